"""PostgreSQL servers as recovery sees them: their state, their sessions, promotion, and a fence against writes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, LiteralString

import psycopg
from psycopg.rows import DictRow
from psycopg.sql import SQL, Composed, Identifier

from bot.clients.sessions import CONNECT, Connection, named, place_of, session
from bot.errors import Refused, Unavailable
from bot.redact import redact
from bot.tools import Backend, ServerState, Standby

STATEMENT = 10.0
LONG = 60.0
"""Seconds for a promotion, and for counting rows."""

Query = LiteralString | SQL | Composed

_BETWEEN_LOOKS = 0.05  # seconds
_QUERY = 300  # characters of a query that are shown
_WRITABLE = "-c default_transaction_read_only=off -c synchronous_commit=local"


class PostgresDatabases:
    """A Databases. Deadlines in seconds: for connecting, of a call, and of one that has much to do."""

    def __init__(self, statement: float = STATEMENT, long: float = LONG, connect: float = CONNECT) -> None:
        self._connect = connect
        self._statement = statement
        self._long = long

    def place(self, url: str) -> str:
        return place_of(url)

    async def state(self, url: str) -> ServerState:
        async with session(url, within=self._statement, connect=self._connect) as connection:
            row = await _one(connection, _STATE)
            standbys = await (await connection.execute(_STANDBYS)).fetchall()
        return ServerState(
            version=row["version"],
            system=str(row["system"]),
            recovering=row["recovering"],
            read_only=row["read_only"],
            timeline=int(row["timeline"]),
            lsn=int(row["lsn"] or 0),
            replayed_at=row["replayed_at"],
            connections=int(row["connections"] or 0),
            max_connections=int(row["max_connections"]),
            oldest_transaction=row["oldest_transaction"],
            standbys=tuple(_standby(one) for one in standbys),
        )

    async def backends(self, url: str) -> Sequence[Backend]:
        async with session(url, within=self._statement, connect=self._connect) as connection:
            rows = await (await connection.execute(_BACKENDS)).fetchall()
        return [_backend(row) for row in rows]

    async def backend(self, url: str, pid: int, started_at: datetime) -> Backend | None:
        async with session(url, within=self._statement, connect=self._connect) as connection:
            row = await (await connection.execute(_BACKEND, [pid])).fetchone()
        _must_be_shown(row, url, pid)
        return _backend(row) if row is not None and row["backend_start"] == started_at else None

    async def end(
        self,
        url: str,
        pid: int,
        started_at: datetime,
        how: Literal["cancel", "terminate"],
        query_start: datetime | None = None,
    ) -> bool:
        query = _CANCEL if how == "cancel" else _TERMINATE
        async with session(url, within=self._statement, connect=self._connect) as connection:
            row = await (await connection.execute(query, [started_at, query_start, pid])).fetchone()
        _must_be_shown(row, url, pid)
        return row is not None and bool(row["done"])

    async def promote(self, url: str) -> None:
        async with session(url, within=self._long, connect=self._connect) as connection:
            try:
                if await _recovering(connection):
                    # Not told to wait: the statement's own snapshot would stand in the way of what is still to be replayed.
                    await connection.execute("select pg_promote(false)")
            except psycopg.errors.ObjectNotInPrerequisiteState:
                pass  # somebody promoted it between the two
            while await _recovering(connection):  # noqa: ASYNC110  # it is elsewhere that this happens
                await asyncio.sleep(_BETWEEN_LOOKS)

    async def fence(self, url: str, *, closed: bool) -> None:
        name = named(url)
        what = SQL("set default_transaction_read_only = on" if closed else "reset default_transaction_read_only")
        fence = SQL("alter database {} {}").format(Identifier(name), what)
        # A session of ours begins read-only too once the fence is up; then it could not take it down.
        async with session(url, within=self._statement, connect=self._connect, options=_WRITABLE) as connection:
            await connection.execute(fence)
            left = await end_sessions(connection, name, patience=self._statement / 2, older=True)
            # Once more: this commit waits until the log is written, and so is what the ended ones committed without waiting.
            await connection.execute(fence)
        if left:
            raise Unavailable(
                f"{place_of(url)}: sessions that began before are still there: {', '.join(map(str, left))}"
            )

    async def write_and_read(self, url: str, mark: str) -> None:
        # A table for each mark: nothing stays behind, and what a broken call left is taken away by its repetition.
        table = Identifier(f"recovery_bot_{hashlib.sha256(mark.encode()).hexdigest()[:16]}")
        async with session(url, within=self._statement, connect=self._connect) as connection:
            await connection.execute(SQL("drop table if exists {}").format(table))
            await connection.execute(SQL("create table {} (mark text not null)").format(table))
            await connection.execute(SQL("insert into {} values (%s)").format(table), [mark])
        async with session(url, within=self._statement, connect=self._connect) as connection:
            rows = await (await connection.execute(SQL("select mark from {}").format(table))).fetchall()
            await connection.execute(SQL("drop table {}").format(table))
        if [row["mark"] for row in rows] != [mark]:
            raise Refused(f"{place_of(url)} took a write, but another session does not read it back.")

    async def rows(self, url: str, tables: Sequence[str]) -> Mapping[str, int | None]:
        counted: dict[str, int | None] = {}
        async with session(url, within=self._long, connect=self._connect) as connection:
            for table in tables:
                parts = (await _one(connection, "select parse_ident(to_regclass(%s)::text) as parts", [table]))["parts"]
                counted[table] = None
                if parts is not None:
                    query = SQL("select count(*) as rows from {}").format(Identifier(*parts))
                    counted[table] = (await _one(connection, query))["rows"]
        return counted


async def end_sessions(connection: Connection, name: str, *, patience: float, older: bool = False) -> list[int]:
    """End all other sessions with the database of that name, and wait until they are gone; the pids that stay.

    `older`: only those that began before now; others may begin meanwhile. Raises psycopg.Error when we may not.
    """
    loop = asyncio.get_running_loop()
    now = (await _one(connection, "select clock_timestamp() as now"))["now"] if older else None
    give_up = loop.time() + patience
    while True:
        cursor = await connection.execute(_END_SESSIONS, [name, now])
        left = [row["pid"] for row in await cursor.fetchall()]
        if not left or loop.time() > give_up:
            return left
        await asyncio.sleep(_BETWEEN_LOOKS)


_STATE = """
select current_setting('server_version') as version, pg_is_in_recovery() as recovering,
       (select system_identifier from pg_control_system()) as system,
       current_setting('transaction_read_only') = 'on' as read_only,
       case when pg_is_in_recovery()
            then coalesce((select received_tli from pg_stat_wal_receiver), (select timeline_id from pg_control_checkpoint()))
            else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int end as timeline,
       pg_wal_lsn_diff(
         case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, '0/0') as lsn,
       case when pg_is_in_recovery() then pg_last_xact_replay_timestamp() end as replayed_at,
       (select sum(numbackends) from pg_stat_database) as connections,
       current_setting('max_connections') as max_connections,
       (select max(clock_timestamp() - xact_start) from pg_stat_activity
        where backend_type = 'client backend' and pid <> pg_backend_pid()) as oldest_transaction
"""

_STANDBYS = """
select coalesce(nullif(application_name, ''), client_addr::text, 'pid ' || pid) as name, coalesce(host(client_addr), '') as address,
       coalesce(state, '') as state, coalesce(sync_state, '') as sync, replay_lag as lag,
       pg_wal_lsn_diff(
         case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end, replay_lsn) as lag_bytes
from pg_stat_replication order by name
"""

_BACKENDS = """
with sessions as materialized (
  select *, case when wait_event_type = 'Lock' then pg_blocking_pids(pid) else '{}' end as blocked_by from pg_stat_activity
)
select pid, backend_start, usename, application_name, state, query, query_start, wait_event_type, wait_event, blocked_by,
       clock_timestamp() - case when state = 'active' then query_start else xact_start end as running_for
from sessions
where pid <> pg_backend_pid() and backend_start is not null
  and (backend_type = 'client backend' and state = 'active' or state like 'fastpath%'
       or pid in (select unnest(blocked_by) from sessions))
order by running_for desc nulls last, pid
"""

_BACKEND = """
select pid, backend_start, usename, application_name, state, query, query_start, wait_event_type, wait_event,
       pg_blocking_pids(pid) as blocked_by,
       clock_timestamp() - case when state = 'active' then query_start else xact_start end as running_for
from pg_stat_activity where pid = %s
"""

_END = """
select backend_start,
       case when backend_start = %s and query_start is not distinct from coalesce(%s::timestamptz, query_start)
            then {}(pid) end as done
from pg_stat_activity where pid = %s
"""
_CANCEL, _TERMINATE = _END.format("pg_cancel_backend"), _END.format("pg_terminate_backend")

_END_SESSIONS = """
select pid, pg_terminate_backend(pid) from pg_stat_activity
where datname = %s and pid <> pg_backend_pid() and coalesce(backend_type, 'client backend') = 'client backend'
  and coalesce(backend_start < %s::timestamptz, true)
"""


async def _one(
    connection: Connection, query: str | SQL | psycopg.sql.Composed, values: Sequence[object] = ()
) -> DictRow:
    row = await (await connection.execute(query, values)).fetchone()
    if row is None:
        raise Refused("The database server gave no answer to a question that has one.")
    return row


async def _recovering(connection: Connection) -> bool:
    return bool((await _one(connection, "select pg_is_in_recovery() as recovering"))["recovering"])


def _standby(row: DictRow) -> Standby:
    lag = None if row["lag_bytes"] is None else int(row["lag_bytes"])
    return Standby(row["name"], row["address"], row["state"], row["sync"], lag, row["lag"])


def _must_be_shown(row: DictRow | None, url: str, pid: int) -> None:
    if row is not None and row["backend_start"] is None:
        raise Refused(f"{place_of(url)} does not show us when session {pid} began, so it is left alone.")


def _backend(row: DictRow) -> Backend:
    query = " ".join(redact(row["query"] or "").split())
    return Backend(
        pid=row["pid"],
        started_at=row["backend_start"],
        user=row["usename"] or "",
        application=row["application_name"] or "",
        state=row["state"] or "",
        query=query if len(query) <= _QUERY else query[: _QUERY - 1] + "…",
        wait=": ".join(filter(None, (row["wait_event_type"], row["wait_event"]))),
        running_for=row["running_for"],
        blocked_by=tuple(row["blocked_by"]),
        query_start=row["query_start"],
    )
