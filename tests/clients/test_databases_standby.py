"""A standby is seen as one, promoted once, and a primary that its own is."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from bot.clients.databases import PostgresDatabases
from bot.errors import Refused
from tests.clients.standby import READY, standby_of
from tests.postgres import TestPostgres


@pytest.fixture(scope="module")
def primary() -> Iterator[TestPostgres]:
    with TestPostgres(READY) as server:
        yield server


@pytest.fixture
async def standby(primary: TestPostgres) -> AsyncIterator[str]:
    async with standby_of(primary, READY) as conninfo:
        yield conninfo


async def test_a_standby_is_promoted(primary: TestPostgres, standby: str) -> None:
    """It is seen to follow and to reach the primary's place; it takes no writes; promoted, it takes them on a new timeline."""
    databases = PostgresDatabases()
    await databases.write_and_read(primary.conninfo, "RUN-1")
    first = await databases.state(primary.conninfo)
    async with asyncio.timeout(40):
        # It takes connections before it has begun to follow.
        while [one.state for one in first.standbys] != ["streaming"]:
            await asyncio.sleep(0.01)
            first = await databases.state(primary.conninfo)
    assert [one.sync for one in first.standbys] == ["async"]
    async with asyncio.timeout(40):
        while (second := await databases.state(standby)).lsn < first.lsn:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (second.system, second.recovering, second.read_only, second.timeline) == (first.system, True, True, 1)
    assert second.replayed_at is not None
    with pytest.raises(Refused, match="read-only transaction"):
        await databases.write_and_read(standby, "RUN-1")
    with pytest.raises(Refused, match=r"read-only|during recovery"):
        await databases.fence(standby, closed=True)
    await asyncio.gather(databases.promote(standby), databases.promote(standby))
    await databases.promote(standby)
    third = await databases.state(standby)
    assert (third.recovering, third.read_only, third.timeline) == (False, False, 2)
    await databases.write_and_read(standby, "RUN-2")


async def test_who_may_not_promote(primary: TestPostgres, standby: str) -> None:
    """A role without the right is refused, and the standby stays one."""
    password = hashlib.sha256(b"nobody").hexdigest()
    with psycopg.connect(primary.conninfo, autocommit=True) as connection:
        connection.execute(f"create role somebody login password '{password}'".encode())
    databases, url = PostgresDatabases(), psycopg.conninfo.make_conninfo(standby, user="somebody", password=password)
    async with asyncio.timeout(40):
        while True:
            try:
                with pytest.raises(Refused, match="permission denied for function pg_promote"):
                    await databases.promote(url)
            except AssertionError:  # the role has not come over yet
                await asyncio.sleep(0.01)
            else:
                break
    assert (await databases.state(standby)).recovering
