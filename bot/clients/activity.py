"""Who is in a PostgreSQL server, and the rows of the application's table of sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from psycopg.sql import SQL, Identifier

from bot.clients.sessions import APPLICATION, Connection, role_of, session
from bot.errors import Refused
from bot.redact import redact
from bot.tools import Client, LoginRole

WITHIN = 30.0
"""Seconds for counting or deleting a batch."""
_LOOK = 10.0
_QUERY = 300  # characters of a query that are shown


class PostgresActivity:
    """An Activity; each call is one short connection."""

    def role(self, url: str) -> str:
        return role_of(url)

    async def clients(self, url: str) -> Sequence[Client]:
        async with session(url, within=_LOOK) as connection:
            rows = await (await connection.execute(_CLIENTS, [APPLICATION])).fetchall()
        return [Client(**{**row, "query": _shown(row["query"])}) for row in rows]

    async def roles(self, url: str) -> Sequence[LoginRole]:
        async with session(url, within=_LOOK) as connection:
            rows = await (await connection.execute(_ROLES)).fetchall()
        return [LoginRole(row["name"], row["rights"]) for row in rows]

    async def signed_in(self, url: str, table: str, before: datetime) -> tuple[int, int]:
        async with session(url, within=WITHIN) as connection:
            query = SQL(
                "select count(*) filter (where created_at < %s) as older, count(*) filter (where created_at >= %s) as newer"
                " from {}"
            ).format(await _named(connection, table))
            row = await (await connection.execute(query, [before, before])).fetchone()
        return (int(row["older"]), int(row["newer"])) if row else (0, 0)

    async def sign_out(self, url: str, table: str, before: datetime, most: int) -> int:
        async with session(url, within=WITHIN) as connection:
            query = SQL(
                "delete from {table} where ctid = any(array(select ctid from {table} where created_at < %s limit %s))"
            ).format(table=await _named(connection, table))
            return (await connection.execute(query, [before, most])).rowcount


async def _named(connection: Connection, table: str) -> Identifier:
    """The table as an identifier. Raises Refused for one that is not there."""
    query = (
        "select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace"
    )
    row = await (await connection.execute(f"{query} where c.oid = to_regclass(%s)", [table])).fetchone()
    if row is None:
        raise Refused(f"There is no table {table} in the database; `sessions` of the estate file names it.", "42P01")
    return Identifier(row["schema"], row["name"])


def _shown(query: str | None) -> str:
    text = " ".join(redact(query or "").split())
    return text if len(text) <= _QUERY else text[: _QUERY - 1] + "…"


_CLIENTS = """
select pid, coalesce(usename, '') as "user", coalesce(application_name, '') as application,
       coalesce(host(client_addr), '') as address, coalesce(datname, '') as database, coalesce(state, '') as state,
       query, query_start as at, backend_start as started_at
from pg_stat_activity
where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name <> %s
order by query_start desc nulls last
"""

_ROLES = """
select rolname as name, concat_ws(', ', case when rolsuper then 'superuser' end,
       case when rolcreaterole then 'may create roles' end, case when rolcreatedb then 'may create databases' end,
       case when rolreplication then 'replication' end, case when rolbypassrls then 'bypasses row security' end) as rights
from pg_roles where rolcanlogin order by rolname
"""
