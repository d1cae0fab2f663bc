"""Backups in S3 as a client of AWS sees them, and that they are what their checksums say."""

import asyncio
import gzip
import hashlib
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aioboto3
import botocore.exceptions
import psycopg
import pytest
import pytest_asyncio
from botocore.config import Config
from psycopg.conninfo import make_conninfo

from sandbox.estate.backups import GROWTH, NIGHTS, Backups, last_night, shortened
from sandbox.estate.children import CannotDo, Unprivileged
from sandbox.estate.s3 import S3
from sandbox.estate.wheels import postgres_programs
from sandbox.practice import Practice

pytestmark = pytest.mark.asyncio(loop_scope="module")
BUCKET = "valuecanvas-backups"


class Cloud:
    """S3 as the bot reaches it: by its environment alone."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def listed(self) -> dict[str, datetime]:
        """Keys of dumps, newest first."""
        answer = await self.client.list_objects_v2(Bucket=BUCKET, Prefix="backups/")
        dumps = [one for one in answer["Contents"] if one["Key"].endswith(".sql.gz")]
        return {
            one["Key"]: one["LastModified"] for one in sorted(dumps, key=lambda one: one["LastModified"], reverse=True)
        }

    async def read(self, key: str) -> bytes:
        answer = await self.client.get_object(Bucket=BUCKET, Key=key)
        async with answer["Body"] as body:
            content: bytes = await body.read()
        return content

    async def sound(self, key: str) -> bool:
        """Whether sha256sum would say so."""
        digest, name = (await self.read(f"{key}.sha256")).decode().removesuffix("\n").split("  ")
        assert f"backups/{name}" == key
        return hashlib.sha256(await self.read(key)).hexdigest() == digest


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def practice() -> AsyncIterator[Practice]:
    """A database and S3; tests add backups and leave S3 open."""
    async with Practice(parts={"postgres", "s3"}) as practice:
        yield practice


@pytest_asyncio.fixture(loop_scope="module")
async def cloud(practice: Practice) -> AsyncIterator[Cloud]:
    env = practice.env
    client = aioboto3.Session(
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        region_name=env["AWS_DEFAULT_REGION"],
    ).client("s3", endpoint_url=env["AWS_ENDPOINT_URL"], config=Config(retries={"max_attempts": 1}))
    async with client as opened:
        yield Cloud(opened)


def s3_of(practice: Practice) -> tuple[S3, Backups]:
    assert practice.s3 is not None
    assert practice.backups is not None
    return practice.s3, practice.backups


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return [one.name for one in folder.iterdir()]


async def load(practice: Practice, dump: bytes, name: str) -> tuple[int, ...]:
    """Load a dump into a new database as the application's role; its users and canvases."""
    url = practice.env["DATABASE_URL"]
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
    psql = postgres_programs(practice.home, Unprivileged.when_root()) / "psql"
    into = make_conninfo(url, dbname=name)
    process = await asyncio.create_subprocess_exec(
        psql, "-qX", "-v", "ON_ERROR_STOP=1", into, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    await process.communicate(gzip.decompress(dump))
    assert process.returncode == 0
    async with await psycopg.AsyncConnection.connect(into) as connection:
        cursor = await connection.execute("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM canvases)")
        row = await cursor.fetchone()
    assert row is not None
    return row


async def test_the_last_nights_are_there(practice: Practice, cloud: Cloud) -> None:
    """One backup for each night, as old as its name says, each with a checksum that holds; evidence and logs have buckets too."""
    newest = last_night(datetime.now(UTC))
    nights = [newest - timedelta(days=age) for age in range(NIGHTS)]
    wanted = {f"backups/valuecanvas-{night:%Y-%m-%d}.sql.gz": night for night in nights}
    listed = await cloud.listed()
    assert {key: listed[key] for key in wanted} == wanted
    assert [await cloud.sound(key) for key in wanted] == [True] * NIGHTS
    buckets = await cloud.client.list_buckets()
    assert {one["Name"] for one in buckets["Buckets"]} == {BUCKET, practice.env["EVIDENCE_BUCKET"], "valuecanvas-logs"}


async def test_backups_can_be_loaded(practice: Practice, cloud: Cloud) -> None:
    """The newest night holds what the database holds; the one before holds fewer canvases."""
    night = last_night(datetime.now(UTC))
    newest, before = (f"backups/valuecanvas-{night - timedelta(days=age):%Y-%m-%d}.sql.gz" for age in (0, 1))
    assert await load(practice, await cloud.read(newest), "newest") == (500, 2000)
    assert await load(practice, await cloud.read(before), "before") == (500, 2000 - GROWTH)


async def test_one_more_is_taken_and_corrupted(practice: Practice, cloud: Cloud) -> None:
    """A backup taken now is the newest and sound; corrupted, it is as old as it was and no longer what its checksum says."""
    _, backups = s3_of(practice)
    key = await backups.take()
    listed = await cloud.listed()
    assert next(iter(listed)) == key
    assert await cloud.sound(key)
    assert await backups.sound((await backups.listed())[0])
    size = len(await cloud.read(key))
    assert await backups.corrupt_newest() == key
    assert len(await cloud.read(key)) == size // 2
    assert not await cloud.sound(key)
    assert not await backups.sound((await backups.listed())[0])
    assert await cloud.listed() == listed
    assert not [name for name in names(practice.home) if name.startswith("dump")]


async def test_a_range_of_one_version_is_read(cloud: Cloud) -> None:
    """Parts of an object are had by range and ETag, as a parallel download asks for them."""
    key = next(iter(await cloud.listed()))
    whole, head = await cloud.read(key), await cloud.client.head_object(Bucket=BUCKET, Key=key)
    part = await cloud.client.get_object(Bucket=BUCKET, Key=key, Range="bytes=10-19", IfMatch=head["ETag"])
    async with part["Body"] as body:
        assert await body.read() == whole[10:20]
    with pytest.raises(botocore.exceptions.ClientError, match="PreconditionFailed"):
        await cloud.client.get_object(Bucket=BUCKET, Key=key, IfMatch='"another"')


async def test_s3_goes_down_and_keeps_what_it_has(practice: Practice, cloud: Cloud) -> None:
    """Down refuses connections, also to clients that were connected; up again, everything is there."""
    s3, backups = s3_of(practice)
    before = await cloud.listed()
    await s3.shut()
    with pytest.raises(botocore.exceptions.EndpointConnectionError):
        await cloud.listed()
    with pytest.raises(CannotDo, match="S3 does not answer"):
        await backups.take()
    await s3.reopen()
    assert await cloud.listed() == before


async def test_without_a_database_there_is_no_dump(practice: Practice, tmp_path: Path) -> None:
    """What pg_dump says is the reason, and no half file stays."""
    s3, _ = s3_of(practice)
    user = Unprivileged.when_root()
    backups = Backups(tmp_path, user, s3, lambda: "postgresql://nobody@127.0.0.1:9/none", lambda: 0.0)
    with pytest.raises(CannotDo, match="could not be dumped"):
        await backups.take()
    assert names(tmp_path) == ["backups.log"]


@pytest.mark.parametrize(
    ("now", "night"),
    [
        ("2026-03-02T02:00", "2026-03-02T02:00"),
        ("2026-03-01T01:59", "2026-02-28T02:00"),
        ("2026-03-01T23:00", "2026-03-01T02:00"),
    ],
)
async def test_a_night_ends_at_two(now: str, night: str) -> None:
    """The last night is today's from 02:00 UTC on, and yesterday's before."""
    assert last_night(datetime.fromisoformat(now)) == datetime.fromisoformat(night)


async def test_an_earlier_night_lacks_the_last_canvases_only() -> None:
    """Rows are taken from the end of canvases, nothing else changes, and never more than there are."""
    dump = b"a\nCOPY public.users (id) FROM stdin;\n1\n2\n\\.\nCOPY public.canvases (id) FROM stdin;\n1\n2\n3\n\\.\nz\n"
    assert gzip.decompress(shortened(gzip.compress(dump), 2)) == dump.replace(b"1\n2\n3\n", b"1\n")
    assert gzip.decompress(shortened(gzip.compress(dump), 9)) == dump.replace(b"1\n2\n3\n", b"")
