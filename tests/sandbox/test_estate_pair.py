"""The primary and its standby: what the application's role may do there, and what breaking them does."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from psycopg.conninfo import make_conninfo

from sandbox.estate.children import CannotDo
from sandbox.estate.damage import Blockade, Contents
from sandbox.estate.leftovers import descendants
from sandbox.estate.postgres import Postgres
from sandbox.estate.standby import Standby
from sandbox.practice import Practice
from tests.sandbox.processes import gone

pytestmark = pytest.mark.asyncio(loop_scope="module")
Pair = tuple[Postgres, Standby]


def pair_of(practice: Practice) -> Pair:
    assert practice.postgres is not None
    assert practice.standby is not None
    return practice.postgres, practice.standby


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def practice() -> AsyncIterator[Practice]:
    """Both servers; every test leaves them running, together and as full as they were or fuller."""
    async with Practice(parts={"postgres", "standby"}) as practice:
        yield practice


@pytest.fixture
def pair(practice: Practice) -> Pair:
    return pair_of(practice)


async def ask(url: str, query: str, *values: object) -> Any:
    """One statement in a session of its own, committed at once; the first field of its answer."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(query, values or None)
        row = await cursor.fetchone() if cursor.description else None
    return row[0] if row else None


async def add_user(url: str, name: str) -> None:
    await ask(url, "INSERT INTO users (email, created_at) VALUES (%s, now())", f"{name}@customers.example")


async def has_user(url: str, name: str) -> bool:
    return bool(await ask(url, "SELECT count(*) FROM users WHERE email = %s", f"{name}@customers.example"))


async def test_the_bot_is_given_both_addresses(practice: Practice, pair: Pair) -> None:
    """DATABASE_URL leads to the primary and REPLICA_DATABASE_URL to the standby, both as the application's role."""
    assert await ask(practice.env["DATABASE_URL"], "SELECT pg_is_in_recovery()") is False
    assert await ask(practice.env["REPLICA_DATABASE_URL"], "SELECT pg_is_in_recovery()") is True
    assert await ask(practice.env["REPLICA_DATABASE_URL"], "SELECT current_user::text") == "valuecanvas"
    following = "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'"
    async with asyncio.timeout(40):  # it takes connections before it has begun to follow
        while await ask(pair[0].url, following) != "replica":  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_the_standby_follows_and_refuses_writes(pair: Pair) -> None:
    """What is committed on the primary is read on the standby, which takes no writes."""
    primary, standby = pair
    await add_user(primary.url, "followed")
    await standby.caught_up()
    assert await has_user(standby.url, "followed")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await add_user(standby.url, "refused")


async def test_the_role_may_do_what_a_restore_needs(pair: Pair) -> None:
    """It creates, renames and drops databases of its own, and makes one read-only for new sessions and opens it again."""
    url = pair[0].url
    beside = make_conninfo(url, dbname="renamed")
    await ask(url, "CREATE DATABASE beside")
    await ask(url, "ALTER DATABASE beside RENAME TO renamed")
    await ask(beside, "CREATE TABLE users ()")
    await ask(url, "ALTER DATABASE renamed SET default_transaction_read_only = on")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await ask(beside, "CREATE TABLE canvases ()")
    await ask(url, "ALTER DATABASE renamed RESET default_transaction_read_only")
    await ask(beside, "CREATE TABLE canvases ()")
    await ask(url, "DROP DATABASE renamed")
    assert (
        await ask(url, "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = 'valuecanvas'")
        == "valuecanvas"
    )


async def test_the_role_may_promote_wherever_it_connects(pair: Pair) -> None:
    """pg_promote is granted in the application's database, in the maintenance one and in every later one."""
    url = pair[1].url
    may = "SELECT has_function_privilege('pg_promote(boolean, integer)', 'execute')"
    await ask(pair[0].url, "CREATE DATABASE later")
    await pair[1].caught_up()
    assert [await ask(make_conninfo(url, dbname=name), may) for name in ("valuecanvas", "postgres", "later")] == [
        True
    ] * 3
    await ask(pair[0].url, "DROP DATABASE later")


async def test_a_lagging_standby_receives_and_does_not_replay(pair: Pair) -> None:
    """While it lags nothing new is read on it and bytes wait; afterwards it catches up."""
    primary, standby = pair
    await standby.pause()
    await add_user(primary.url, "late")
    async with asyncio.timeout(40):
        while not (await standby.look()).waiting:  # noqa: ASYNC110 - the stream tells nobody
            await asyncio.sleep(0.01)
    assert (await standby.look()).paused
    assert not await has_user(standby.url, "late")
    await standby.resume()
    await standby.caught_up()
    assert await has_user(standby.url, "late")


async def test_a_stopped_standby_catches_up(pair: Pair) -> None:
    """What was written while it was away is there after its start, at the same address."""
    primary, standby = pair
    await standby.stop()
    with pytest.raises(CannotDo, match="does not answer"):
        await standby.look()
    await add_user(primary.url, "missed")
    await standby.start()
    await standby.caught_up()
    assert await has_user(standby.url, "missed")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
async def test_kill_9_ends_every_session_and_loses_no_commit(pair: Pair) -> None:
    """No process of the server is left at once, the standby goes on, and a start has everything that was committed."""
    primary, standby = pair
    assert primary.pid is not None
    async with await psycopg.AsyncConnection.connect(primary.url) as connection:
        await add_user(primary.url, "committed")
        everybody = [primary.pid, *descendants(primary.pid)]
        assert connection.info.backend_pid in everybody
        await primary.kill()
        await gone(everybody)
        with pytest.raises(psycopg.OperationalError):
            await connection.execute("SELECT 1")
    assert not primary.running
    assert (await standby.look()).recovering
    await primary.start()
    assert await has_user(primary.url, "committed")
    await standby.caught_up()


async def test_a_dropped_table_is_missing(pair: Pair) -> None:
    """The panel's word comes from the database itself; dropping what is not there is a sentence."""
    url = pair[0].url
    await ask(url, "CREATE DATABASE harmed")
    harmed = make_conninfo(url, dbname="harmed")
    contents = Contents(lambda: harmed)
    await ask(harmed, "CREATE TABLE users (); CREATE TABLE canvases ()")
    assert await contents.missing() == []
    await contents.drop_canvases()
    assert await contents.missing() == ["canvases"]
    with pytest.raises(CannotDo, match="does not exist"):
        await contents.drop_canvases()
    await ask(url, "DROP DATABASE harmed")
    with pytest.raises(CannotDo):
        await contents.missing()


async def blocked(url: str) -> bool:
    """Whether a reader of users has to wait."""
    try:
        await ask(make_conninfo(url, options="-c lock_timeout=1"), "SELECT count(*) FROM users")
    except psycopg.errors.LockNotAvailable:
        return True
    return False


async def test_a_long_query_blocks_until_it_is_ended(pair: Pair) -> None:
    """A report holds users and another session waits for it; ending the query releases both."""
    url, heard = pair[0].url, []
    blockade = Blockade(lambda: url, lambda: heard.append("end"))
    await blockade.start()
    await blockade.start()
    waiting = "SELECT application_name FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
    assert await ask(url, waiting) == "profile-update"
    assert await blocked(url)
    await blockade.stop()
    assert (blockade.waiting, heard) == (False, ["end", "end"])
    assert not await blocked(url)


@pytest.mark.parametrize("end", ["pg_cancel_backend", "pg_terminate_backend"])
async def test_anybody_may_end_the_long_query(pair: Pair, end: str) -> None:
    """The role of the application cancels the query or ends its session, and the blockade knows that it is over."""
    url, over = pair[0].url, asyncio.Event()
    blockade = Blockade(lambda: url, lambda: None if blockade.waiting else over.set())
    await blockade.start()
    report = "(SELECT pid FROM pg_stat_activity WHERE application_name = 'nightly-report')"
    assert await ask(url, f"SELECT {end}({report})")
    async with asyncio.timeout(40):
        await over.wait()
    assert not await blocked(url)


async def test_a_server_that_is_down_cannot_be_blocked() -> None:
    """The reason is a sentence, and nothing is left waiting."""
    blockade = Blockade(lambda: "postgresql://nobody@127.0.0.1:9/none", lambda: None)
    with pytest.raises(CannotDo, match="could not be blocked"):
        await blockade.start()
    assert not blockade.waiting


async def test_a_promoted_standby_takes_writes_and_cannot_lag() -> None:
    """With the primary killed, the application's role promotes the standby; nothing that was replayed is lost."""
    async with Practice(parts={"postgres", "standby"}) as practice:
        primary, standby = pair_of(practice)
        await standby.pause()
        await primary.kill()
        assert await ask(practice.env["REPLICA_DATABASE_URL"], "SELECT pg_promote()") is True
        await add_user(standby.url, "survivor")
        assert await ask(standby.url, "SELECT count(*) FROM users") == 501
        assert not (await standby.look()).recovering
        with pytest.raises(CannotDo, match="promoted"):
            await standby.pause()
