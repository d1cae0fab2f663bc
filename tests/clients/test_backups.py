"""Backups in S3, asked of moto's server over HTTP."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import boto3  # type: ignore[import-untyped]  # to fill the bucket with
import pytest
from moto.server import ThreadedMotoServer

from bot.clients.backups import S3Backups, sha256_of
from bot.errors import NotFound, Refused, Unavailable
from bot.tools import Backup

PART = 1000  # bytes of a range here, so that little data has many
DATA = hashlib.shake_256(b"backup").digest(PART * 12 + 345)
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The address of an S3 of its own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(moto: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Any]:
    """An empty bucket, and the environment that leads the bot to it."""
    for name, value in {"ENDPOINT_URL": moto, "ACCESS_KEY_ID": "practice", "SECRET_ACCESS_KEY": "practice"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3")
    made = _Bucket(client, f"bucket-{abs(hash(request.node.name))}")
    client.create_bucket(Bucket=made.name)
    yield made
    client.close()


class _Bucket:
    def __init__(self, client: Any, name: str) -> None:
        self.client, self.name = client, name

    def put(self, key: str, body: bytes | str) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body)


@pytest.fixture
def backups() -> S3Backups:
    return S3Backups(part=PART, ahead=3, pause=0.01)


async def newest(backups: S3Backups, bucket: Any) -> Backup:
    return (await backups.list(bucket.name, "backups/", ".sha256"))[0]


async def read(stream: AsyncGenerator[bytes, None]) -> bytes:
    return b"".join([chunk async for chunk in stream])


async def test_the_list(backups: S3Backups, bucket: Any) -> None:
    """Newest first, each with what its checksum file says; folders, other prefixes and the checksum files are no backups."""
    bucket.put("backups/", "")
    bucket.put("other/c.sql.gz", DATA)
    bucket.put("backups/a.sql.gz", DATA)
    bucket.put("backups/b.sql.gz", DATA[:10])
    bucket.put("backups/a.sql.gz.sha256", f"{DIGEST}  a.sql.gz\n")
    bucket.put("backups/lonely.sha256", f"{DIGEST}\n")
    listed = await backups.list(bucket.name, "backups/", ".sha256")
    by_key = {backup.key: backup for backup in listed}
    assert set(by_key) == {"backups/a.sql.gz", "backups/b.sql.gz", "backups/lonely.sha256"}
    assert [backup.at for backup in listed] == sorted((backup.at for backup in listed), reverse=True)
    one, two = by_key["backups/a.sql.gz"], by_key["backups/b.sql.gz"]
    assert (one.size, one.checksum, two.size, two.checksum) == (len(DATA), DIGEST, 10, "")
    assert one.at.tzinfo is not None


async def test_more_than_a_page(backups: S3Backups, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 lists some at a time; all are listed, and their checksum files are read."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "7")
    for number in range(40):
        bucket.put(f"backups/{number:03d}.gz", "")
        bucket.put(f"backups/{number:03d}.gz.sha256", f"{number:064x}")
    listed = await backups.list(bucket.name, "backups/", ".sha256")
    assert {backup.key: int(backup.checksum, 16) for backup in listed} == {
        f"backups/{number:03d}.gz": number for number in range(40)
    }


@pytest.mark.parametrize(
    "text",
    [
        f"{DIGEST}  a.gz\n",
        f"{DIGEST} *a.gz",
        f"{DIGEST.upper()}  ./nightly/a.gz\r\n",
        f"{DIGEST}",
        f"\ufeff{DIGEST}\n",
        f"SHA256 (a.gz) = {DIGEST}\n",
        f"SHA2-256(/var/backups/a.gz)= {DIGEST}\n",
        f"{'0' * 64}  b.gz\n{DIGEST}  a.gz\n",
    ],
)
def test_checksum_files(text: str) -> None:
    """Whatever wrote it, the sum of this file is found."""
    assert sha256_of(text.removeprefix("\ufeff"), "a.gz") == DIGEST


@pytest.mark.parametrize(
    "text", ["", "nothing", f"{DIGEST}  b.gz", DIGEST[:-1], f"MD5 (a.gz) = {DIGEST[:32]}", "\0" * 64]
)
def test_files_without_the_checksum(text: str) -> None:
    """The sum of something else is none."""
    assert sha256_of(text, "a.gz") == ""


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 12 * PART + 345])
async def test_the_stream(size: int, backups: S3Backups, bucket: Any) -> None:
    """Every byte, in order, whatever the size."""
    bucket.put("backups/a", DATA[:size])
    assert await read(backups.stream(bucket.name, await newest(backups, bucket))) == DATA[:size]


async def test_a_replaced_object(backups: S3Backups, bucket: Any) -> None:
    """Bytes of two versions are never mixed: a replacement in the middle is refused, and so is one before the first byte."""
    bucket.put("backups/a", DATA)
    backup = await newest(backups, bucket)
    stream = backups.stream(bucket.name, backup)
    assert await anext(stream) == DATA[:PART]
    bucket.put("backups/a", DATA[::-1])
    with pytest.raises(Refused, match="backups/a was replaced"):
        await read(stream)
    with pytest.raises(Refused, match="backups/a was replaced"):
        await read(backups.stream(bucket.name, backup))


async def test_a_shortened_object(backups: S3Backups, bucket: Any) -> None:
    """Fewer bytes than were listed are no backup, also where no version can be asked for."""
    bucket.put("backups/a", DATA)
    backup = replace(await newest(backups, bucket), etag="")
    bucket.put("backups/a", DATA[:-400])
    with pytest.raises(Refused, match="backups/a was replaced"):
        await read(backups.stream(bucket.name, backup))


async def test_a_removed_object(backups: S3Backups, bucket: Any) -> None:
    """What is gone is not found; neither is a bucket."""
    bucket.put("backups/a", DATA)
    backup = await newest(backups, bucket)
    bucket.client.delete_object(Bucket=bucket.name, Key="backups/a")
    with pytest.raises(NotFound, match="no backups/a in"):
        await read(backups.stream(bucket.name, backup))
    with pytest.raises(NotFound, match="no bucket nothing"):
        await backups.list("nothing", "", ".sha256")


async def test_who_stops_early_leaves_nothing_behind(backups: S3Backups, bucket: Any) -> None:
    """A stream that is closed ends the requests that it had under way."""
    bucket.put("backups/a", DATA)
    stream = backups.stream(bucket.name, await newest(backups, bucket))
    await anext(stream)
    before = {task for task in asyncio.all_tasks() if task.get_name().startswith("bytes ")}
    assert before
    await stream.aclose()
    assert all(task.done() for task in before)


@asynccontextmanager
async def between(address: str, cut: Callable[[int], int | None]) -> AsyncIterator[str]:
    """A proxy that breaks answers off: `cut` says after how many bytes, of the connection of that number."""
    host, _, port = address.removeprefix("http://").partition(":")
    serving: list[asyncio.Task[Any] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        left = cut(len(serving))
        up_reader, up_writer = await asyncio.open_connection(host, int(port))
        asking = asyncio.create_task(hand_on(reader, up_writer, None))
        await hand_on(up_reader, writer, left)
        await asking

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for _ in range(10):  # who has just been let in begins
        await asyncio.sleep(0)
    await asyncio.gather(*(task for task in serving if task is not None))


async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None) -> None:
    """What comes in goes out, `left` bytes at most, until either end is gone; then there is no more."""
    with suppress(ConnectionError):
        while data := await reader.read(512):
            if left is not None and (left := left - len(data)) < 0:
                break
            writer.write(data)
            await writer.drain()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_range_that_breaks_is_asked_for_again(
    backups: S3Backups, bucket: Any, moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that die in the middle of a body cost a repetition, and not a byte."""
    bucket.put("backups/a", DATA)
    backup = await newest(backups, bucket)
    async with between(moto, lambda number: 1200 if number <= 4 else None) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        assert await read(backups.stream(bucket.name, backup)) == DATA


async def test_a_line_that_always_breaks(
    backups: S3Backups, bucket: Any, moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some repetitions it is unavailable."""
    bucket.put("backups/a", DATA)
    backup = await newest(backups, bucket)
    async with between(moto, lambda _: 1200) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with pytest.raises(Unavailable, match="S3 does not answer"):
            await read(backups.stream(bucket.name, backup))


async def test_nobody_answers(backups: S3Backups, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address at which nobody listens is no answer."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(Unavailable, match="S3 does not answer"):
            await backups.list(bucket.name, "", ".sha256")


async def test_without_credentials(
    bucket: Any, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No credentials are refused in words, at the first call and not before."""
    backups = S3Backups()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("nothing")))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(Refused, match="S3 cannot be asked: Unable to locate credentials"):
        await backups.list(bucket.name, "", ".sha256")
