"""A PostgreSQL server as recovery sees it: its state and sessions, a fence, a write that is read back, and its refusals."""

# ruff: noqa: S608  # names of our own making

import asyncio
import socket
import time
from datetime import timedelta
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bot.clients.databases import PostgresDatabases
from bot.errors import NeighbourError, Refused, Silent, Unavailable
from tests.clients.production import PASSWORD, Production


@pytest.fixture
def databases() -> PostgresDatabases:
    return PostgresDatabases()


async def session(url: str, *statements: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
    """A session of somebody else, in a transaction that has run these statements."""
    connection = await psycopg.AsyncConnection.connect(url, application_name="api")
    for statement in statements:
        await connection.execute(statement.encode())
    return connection


async def test_state(databases: PostgresDatabases, production: Production) -> None:
    """A primary's state tells its version, identity, place in its log, connections and oldest transaction."""
    state = await databases.state(production.url)
    assert (state.recovering, state.read_only, state.timeline) == (False, False, 1)
    assert state.version.startswith("18.")
    assert (state.replayed_at, state.standbys) == (None, ())
    assert state.system.isdigit()
    assert state.max_connections == 200
    assert 1 <= state.connections < 200
    other = await session(production.url, "insert into users values (9, 'later')")
    later = await databases.state(production.admin)
    await other.close()
    assert later.lsn >= state.lsn
    assert later.connections > 1
    assert later.oldest_transaction is not None
    assert later.oldest_transaction > timedelta(0)


async def test_strings_as_any_client_takes_them(databases: PostgresDatabases, production: Production) -> None:
    """A URL with an escaped password and key=value lead to the same server, also with options of their own."""
    folder = str(conninfo_to_dict(production.url)["host"])
    name, password = production.name, quote(PASSWORD, safe="")
    url = f"postgresql://{name}:{password}@/{name}?host={quote(folder, safe='')}&options=-c%20search_path%3Dpublic"
    one, other = await databases.state(url), await databases.state(production.url)
    assert one.system == other.system


async def test_blocking(databases: PostgresDatabases, production: Production) -> None:
    """Who waits is shown with whom it waits for, who blocks it is shown although idle, and who does nothing is not."""
    idle = await session(production.url)
    blocker = await session(production.url, "update users set email = 'x' where id = 1")
    waiting = await session(production.url)
    secret = "update users set email = 'y' where id = 1 -- " + "long " * 100 + "password='hush-hush'"
    task = asyncio.create_task(waiting.execute(secret.encode()))
    async with asyncio.timeout(40):
        while not (found := [one for one in await databases.backends(production.admin) if one.blocked_by]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    by_pid = {one.pid: one for one in await databases.backends(production.admin) if one.user == production.name}
    assert set(by_pid) == {blocker.info.backend_pid, waiting.info.backend_pid}
    assert found[0].pid == waiting.info.backend_pid
    assert found[0].blocked_by == (blocker.info.backend_pid,)
    assert (found[0].state, found[0].application, found[0].wait) == ("active", "api", "Lock: transactionid")
    assert by_pid[blocker.info.backend_pid].state == "idle in transaction"
    assert by_pid[blocker.info.backend_pid].running_for is not None
    assert len(found[0].query) == 300
    assert "hush" not in found[0].query
    await blocker.rollback()
    await task
    for connection in (idle, blocker, waiting):
        await connection.close()


async def test_ending_exactly_that_session(databases: PostgresDatabases, production: Production) -> None:
    """A query is cancelled and a session terminated only while the pid belongs to whom it was seen with."""
    blocker = await session(production.url, "lock table users")
    waiting = await session(production.url)
    task = asyncio.create_task(waiting.execute("select * from users"))
    async with asyncio.timeout(40):
        while not (found := [one for one in await databases.backends(production.url) if one.blocked_by]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    one = found[0]
    other = one.started_at - timedelta(microseconds=1)
    assert not await databases.end(production.url, one.pid, other, "cancel")
    assert not await databases.end(production.url, one.pid, other, "terminate")
    assert not task.done()
    assert await databases.end(production.url, one.pid, one.started_at, "cancel")
    with pytest.raises(psycopg.errors.QueryCanceled):
        await task
    assert await databases.end(production.url, one.pid, one.started_at, "terminate")
    with pytest.raises(psycopg.OperationalError):
        await waiting.execute("select 1")
    async with asyncio.timeout(40):  # it says so before it is gone
        while await databases.backend(production.url, one.pid, one.started_at):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not await databases.end(production.url, one.pid, one.started_at, "terminate")
    await blocker.close()


async def test_only_the_query_that_was_meant(databases: PostgresDatabases, production: Production) -> None:
    """One backend is seen whatever it does; the query that it runs next is not cancelled for the one before."""
    other = await session(production.url, "select 1")
    pid = other.info.backend_pid
    started = production.ask(f"select backend_start from pg_stat_activity where pid = {pid}")[0]["backend_start"]
    idle = await databases.backend(production.url, pid, started)
    assert idle is not None
    assert not idle.runs
    assert await databases.backend(production.url, pid, started - timedelta(microseconds=1)) is None
    task = asyncio.create_task(other.execute("select pg_sleep(600)"))
    async with asyncio.timeout(40):
        while not ((seen := await databases.backend(production.url, pid, started)) and seen.runs):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not await databases.end(production.url, pid, started, "cancel", idle.query_start)
    assert not task.done()
    assert await databases.end(production.url, pid, started, "cancel", seen.query_start)
    with pytest.raises(psycopg.errors.QueryCanceled):
        await task
    await other.close()


async def test_a_superusers_session_is_not_ours(databases: PostgresDatabases, production: Production) -> None:
    """What the server does not let us see or end is refused, not called gone."""
    other = await session(production.admin)
    seen = production.ask(f"select backend_start from pg_stat_activity where pid = {other.info.backend_pid}")
    with pytest.raises(Refused, match="does not show us"):
        await databases.end(production.url, other.info.backend_pid, seen[0]["backend_start"], "terminate")
    await other.close()


async def test_the_fence(databases: PostgresDatabases, production: Production) -> None:
    """Closed, nobody writes, old sessions are ended and only this database is meant; it opens again; either may be repeated."""
    old = await session(production.url, "insert into users values (9, 'not yet committed')")
    before = await databases.state(production.url)
    await databases.fence(production.url, closed=True)
    with pytest.raises(psycopg.OperationalError):
        await old.commit()
    await old.close()
    await databases.fence(production.url, closed=True)
    fenced = await databases.state(production.url)
    assert fenced.read_only
    assert fenced.lsn > before.lsn, "all that was written is in the log that a standby is to reach"
    assert not (await databases.state(production.admin)).read_only
    with pytest.raises(Refused, match="read-only transaction"):
        await databases.write_and_read(production.url, "RUN-1")
    reader = await session(production.url, "select 1")
    for _ in range(2):
        await databases.fence(production.url, closed=False)
    with pytest.raises(psycopg.OperationalError):
        await reader.execute("select 1")
    await reader.close()
    assert not (await databases.state(production.url)).read_only
    await databases.write_and_read(production.url, "RUN-1")
    assert production.users() == 3


async def test_a_write_read_back(databases: PostgresDatabases, production: Production) -> None:
    """The mark is written and read, nothing of it stays, and what a broken call left is in nobody's way."""
    look = "select relname from pg_class where relname like 'recovery_bot%'"
    await asyncio.gather(*(databases.write_and_read(production.url, f"RUN-{n}'; --") for n in range(3)))
    assert production.ask(look) == []


async def test_rows(databases: PostgresDatabases, production: Production) -> None:
    """Rows by table, in any schema and spelling; None for one that is not there; a name is never SQL."""
    production.ask('create schema auth; create table auth."Odd one" as select generate_series(1, 7) n')
    production.ask(f"grant usage on schema auth to {production.name}")
    production.ask(f'grant select on auth."Odd one" to {production.name}')
    asked = ["users", "public.users", 'auth."Odd one"', "nothing"]
    assert await databases.rows(production.url, asked) == dict(zip(asked, (3, 3, 7, None), strict=True))
    assert await databases.rows(production.url, ["users; drop table users"]) == {"users; drop table users": None}
    production.ask(f'revoke select on auth."Odd one" from {production.name}')
    with pytest.raises(Refused, match="permission denied for table Odd one"):
        await databases.rows(production.url, asked)


async def test_a_primary_is_promoted_already(databases: PostgresDatabases, production: Production) -> None:
    """To promote a primary is done, and needs no permission."""
    await databases.promote(production.url)


REFUSED = {
    "wrong password": ({"password": "wrong-one"}, "password authentication failed"),
    "no password": ({"password": ""}, "no password supplied"),
    "no such database": ({"dbname": "nothing"}, 'database "nothing" does not exist'),
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_refusals(kind: str, databases: PostgresDatabases, production: Production) -> None:
    """A server that says no is quoted, without the password."""
    changed, sentence = REFUSED[kind]
    parts = {**conninfo_to_dict(production.url), **changed}
    with pytest.raises(Refused, match=sentence) as refusal:
        await databases.state(make_conninfo("", **parts))
    assert PASSWORD not in str(refusal.value)
    assert "wrong-one" not in str(refusal.value)


@pytest.mark.parametrize("text", ["postgresql//user:hush-hush@host/db", "password=hush-hush nonsense", "host=x port"])
async def test_a_string_that_is_none(text: str, databases: PostgresDatabases) -> None:
    """A connection string that cannot be read is refused and not repeated."""
    with pytest.raises(Refused, match="cannot be read") as refusal:
        await databases.state(text)
    assert "hush" not in str(refusal.value)


async def test_nobody_answers(databases: PostgresDatabases) -> None:
    """A port at which nobody listens is no answer, and surely nothing happened."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(Silent, match=f"127.0.0.1:{port} .*Connection refused") as error:
            await databases.promote(f"postgresql://me:hush-hush@127.0.0.1:{port}/db")
    assert error.value.untried
    assert "hush" not in str(error.value)


async def test_somebody_who_never_answers() -> None:
    """A server that takes the connection and is silent costs the deadline, not more."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begun = time.monotonic()
        with pytest.raises(Silent):
            await PostgresDatabases(connect=2).state(
                f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/db?connect_timeout=60"
            )
    assert time.monotonic() - begun < 30


async def test_who_hangs_up_says_nothing(databases: PostgresDatabases) -> None:
    """A connection that is taken and broken off without a word, at one address or at each of several, is no answer."""
    door = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = door.sockets[0].getsockname()[1]
    async with door:
        for place in (f"127.0.0.1:{port}", f"127.0.0.1:{port},127.0.0.1:{port}"):
            with pytest.raises(Silent):
                await databases.state(f"postgresql://me@{place}/db")


@pytest.mark.parametrize("last", [True, False])
async def test_who_refuses_us_has_answered(databases: PostgresDatabases, production: Production, last: bool) -> None:
    """A server that is full, for us alone, lives; also when it has another address at which nobody is."""
    production.ask(f'alter role "{production.name}" connection limit 0')
    parts = conninfo_to_dict(production.url)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dead, live = ("127.0.0.1", taken.getsockname()[1]), (parts["host"], parts.get("port") or 5432)
        hosts = (dead, live) if last else (live, dead)
        several = {"host": ",".join(str(h) for h, _ in hosts), "port": ",".join(str(p) for _, p in hosts)}
        for changed in ({}, several):
            with pytest.raises(NeighbourError, match="too many connections") as error:
                await databases.state(make_conninfo("", **{**parts, **changed}))
            assert not isinstance(error.value, Silent)


async def test_a_query_that_takes_too_long(production: Production) -> None:
    """What waits for a lock longer than the deadline is unavailable, in a sentence."""
    blocker = await session(production.url, "lock table users")
    with pytest.raises(Unavailable, match=r"timeout|did not answer within"):
        await PostgresDatabases(long=0.3).rows(production.url, ["users"])
    await blocker.close()
