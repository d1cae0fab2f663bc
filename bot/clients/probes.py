"""The estate as the first assessment looks at it: HTTP, Postgres and Redis. Each look is one short-lived connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import aiohttp
import psycopg
import redis.asyncio as redis
from psycopg.rows import dict_row
from redis.exceptions import RedisError

from bot.assessment import LAST_SEEN, Look
from bot.clients.site import beginning
from bot.errors import NeighbourError, RecoveryError, Unavailable
from bot.estate import HttpProbe, KubernetesProbe, PostgresProbe, RedisProbe
from bot.estate_places import Dns, Record
from bot.failures import why
from bot.tools import Cluster, Names

_LONGER = 1
"""Seconds that a client waits beyond its probe's deadline, which whoever asks keeps: were its own over first, it would call a
server bad of which nobody knows."""


class Probes:
    """A Prober. Nobody there is bad; somebody there who says "not now" for a reason of ours is unknown."""

    def __init__(self, session: aiohttp.ClientSession, cluster: Cluster, names: Names) -> None:
        self._session = session
        self._cluster = cluster
        self._names = names

    def has_cluster(self) -> bool:
        return self._cluster.known()

    async def led_away(self, dns: Dns) -> str:
        moved, resolvers = [r for r in dns.records if r.failover], dns.resolvers or self._names.own()
        seen = await asyncio.gather(*(self._leads(record, resolvers) for record in moved))
        return f"{', '.join(r.name for r in moved)} leads to the DR site" if seen and all(seen) else ""

    async def _leads(self, record: Record, resolvers: Sequence[str]) -> bool:
        """Whether those that answer, one at least, give its failover address."""

        async def ask(resolver: str) -> set[str] | None:
            try:
                return set((await self._names.ask(resolver, record.name, record.type)).values)
            except NeighbourError:
                return None

        said = [values for values in await asyncio.gather(*map(ask, resolvers)) if values is not None]
        return bool(said) and all(values == set(record.failover) for values in said)

    async def kubernetes(self, probe: KubernetesProbe) -> Look:
        try:
            pods = await self._cluster.pods(probe.namespace)
            services = await self._cluster.services(probe.namespace)
        except Unavailable as error:
            return Look("bad", str(error))
        except RecoveryError as error:
            return Look("unknown", str(error))
        at_work = [pod for pod in pods if pod.state not in ("Completed", "Succeeded")]
        wrong = [f"{pod.name} {pod.state}" + (f" ({pod.why})" if pod.why else "") for pod in at_work if not pod.ready]
        wrong += [f"service {s.name} has no ready pod" for s in services if not s.ready and s.type != "ExternalName"]
        text = f"{sum(pod.ready for pod in at_work)} of {len(at_work)} pods ready, {len(services)} services"
        facts = {"pods": [f"{pod.name} on {pod.node}: {pod.state}, {pod.restarts} restarts" for pod in pods]}
        if not pods:
            return Look("bad", f"no pods in namespace {probe.namespace}", facts)
        return Look("bad" if wrong else "ok", f"{text}: {'; '.join(wrong[:3])}" if wrong else text, facts)

    async def http(self, probe: HttpProbe) -> Look:
        try:
            async with self._session.get(probe.url, allow_redirects=False) as response:
                body = await beginning(response)
                status = response.status
        except aiohttp.InvalidURL:
            return Look("unknown", "the address in the estate file is not a URL")
        except (aiohttp.ClientError, OSError) as error:
            return Look("bad", f"no answer ({why(error)})")
        fields = _json(body)
        if status != probe.expect_status:
            said = f" ({', '.join(names)} failing)" if (names := _failing_checks(fields)) else _reason(fields)
            return Look("bad", f"HTTP {status}{said}", {"status": status, "failing": names})
        for path, wanted in probe.expect.items():
            found = _dig(fields, path)
            if found != wanted:
                return Look("bad", f"HTTP {status}, {path} is {found!r}, expected {wanted!r}", {"status": status})
        for path, bad in probe.bad_when.items():
            found = _dig(fields, path)
            if found in bad:
                return Look("bad", f"HTTP {status}, but {path} is {found}", {"status": status})
        return Look("ok", f"HTTP {status}", {"status": status})

    async def postgres(self, probe: PostgresProbe) -> Look:
        seconds = int(probe.deadline.total_seconds()) + _LONGER
        try:
            async with await psycopg.AsyncConnection.connect(
                probe.url.get_secret_value(), connect_timeout=seconds, autocommit=True, row_factory=dict_row,
                application_name="recovery-bot assessment", options=f"-c statement_timeout={seconds * 1000}",
            ) as conn:  # fmt: skip
                cursor = await conn.execute(_POSTGRES)
                row = await cursor.fetchone()
                standbys = [] if row is None or row["recovering"] else await (await conn.execute(_STANDBYS)).fetchall()
                written = {} if row is None or row["recovering"] or row["read_only"] else await _written(conn)
        except psycopg.ProgrammingError as error:
            said = (
                f"the server says: {_first_line(error)}" if error.sqlstate else "the connection string cannot be used"
            )
            return Look("unknown", said)
        except psycopg.OperationalError as error:
            refused = next((what for words, what in _REFUSALS.items() if words in str(error)), None)
            if refused is not None:
                return Look("unknown", f"the server refuses {refused}")
            return Look("bad", f"no connection: {_first_line(error)}")
        if row is None:
            return Look("unknown", "the server gave no answer to a question that has one")
        look = _judge(probe, row, standbys)
        return replace(look, facts={**look.facts, **written})

    async def redis(self, probe: RedisProbe) -> Look:
        seconds = probe.deadline.total_seconds() + _LONGER
        try:
            client = redis.Redis.from_url(
                probe.url.get_secret_value(), socket_timeout=seconds, socket_connect_timeout=seconds
            )
        except ValueError:
            return Look("unknown", "the address in the estate file is not a Redis URL")
        try:
            await client.ping()
            info: Mapping[str, Any] = await client.info()
        except redis.AuthenticationError:
            return Look("unknown", "the server refuses our password")
        except (RedisError, OSError) as error:
            return Look("bad", f"no answer to PING: {_first_line(error)}")
        finally:
            await client.aclose()
        return _judge_redis(probe, info)


_REFUSALS = {
    "password authentication failed": "our password",
    "no password supplied": "us without a password",
    "no pg_hba.conf entry": "our address",
    "does not exist": "our role or database name",
}
"""What a server that is well says to a stranger: libpq hands on the words alone, without the error's code."""

_POSTGRES = """
select current_setting('server_version') as version, pg_is_in_recovery() as recovering,
       case when pg_is_in_recovery() and pg_last_wal_receive_lsn() is distinct from pg_last_wal_replay_lsn()
            then extract(epoch from now() - pg_last_xact_replay_timestamp()) else 0 end::float8 as behind,
       current_setting('transaction_read_only') = 'on' as read_only
"""

_STANDBYS = """
select coalesce(application_name, client_addr::text) as name, state, sync_state,
       pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::float8 as lag_bytes, extract(epoch from replay_lag)::float8 as lag_seconds
from pg_stat_replication
"""


_WRITTEN = """
select clock_timestamp() as at, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') as lsn,
       (select system_identifier::text from pg_control_system()) as system
"""


async def _written(conn: psycopg.AsyncConnection[dict[str, Any]]) -> dict[str, Any]:
    """How far a server that takes writes has written, for when it does not answer any more; nothing where we may not ask."""
    try:
        row = await (await conn.execute(_WRITTEN)).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return {}
    if row is None:
        return {}
    return {LAST_SEEN: {"at": row["at"].isoformat(), "lsn": int(row["lsn"]), "system": row["system"]}}


def _judge(probe: PostgresProbe, row: Mapping[str, Any], standbys: list[dict[str, Any]]) -> Look:
    """What the answers mean for the role that the estate expects of this server."""
    recovering, version = bool(row["recovering"]), row["version"]
    read_only = bool(row["read_only"]) and not recovering
    facts = {"version": version, "in_recovery": recovering, "read_only": read_only, "standbys": standbys}
    most = probe.max_lag.total_seconds()
    if probe.role == "primary" and recovering:
        return Look("bad", f"PostgreSQL {version} is in recovery: it takes no writes", facts)
    if probe.role == "primary" and read_only:
        return Look("bad", f"PostgreSQL {version} is read-only: it takes no writes", facts)
    if probe.role == "standby" and not recovering:
        return Look("bad", f"PostgreSQL {version} is not in recovery: it is no standby", facts)
    if recovering:
        behind = float(row["behind"] or 0)
        return Look("bad" if behind > most else "ok", f"PostgreSQL {version}, standby, {behind:.1f} s behind", facts)
    late = [s for s in standbys if (s["lag_seconds"] or 0) > most]
    lags = ", ".join(f"{s['name']} {s['state']}, {s['lag_bytes'] or 0:.0f} B behind" for s in standbys)
    text = f"PostgreSQL {version}, primary, " + (lags or "no standby connected")
    return Look("bad" if late else "ok", text, facts)


def _judge_redis(probe: RedisProbe, info: Mapping[str, Any]) -> Look:
    """The same for a Redis."""
    role, version = info.get("role", "?"), info.get("redis_version", "?")
    facts = {"role": role, "version": version, "product": "Redis", "in_recovery": role == "slave"}
    if info.get("loading"):
        return Look("bad", f"Redis {version} is loading its data", {"role": role})
    if probe.role == "primary" and role == "slave":
        return Look("bad", f"Redis {version} is a replica: it takes no writes", facts)
    if probe.role == "standby" and role != "slave":
        return Look("bad", f"Redis {version} is no replica", facts)
    if role == "slave" and info.get("master_link_status") != "up":
        return Look("bad", f"Redis {version}, a replica that hears nothing of its primary", facts)
    return Look("ok", f"PONG, {version}, {role}, {info.get('used_memory_human', '?')} used", facts)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _dig(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _reason(fields: Any) -> str:
    """What a health endpoint says is wrong, if it says it in one of the usual ways."""
    if not isinstance(fields, Mapping):
        return ""
    said = fields.get("message") or fields.get("error") or fields.get("status")
    return f" ({str(said)[:100]})" if said else ""


def _failing_checks(fields: Any) -> list[str]:
    """The parts that a health endpoint calls failing, by its own names for them."""
    checks = fields.get("checks") if isinstance(fields, Mapping) else None
    return [str(name) for name, check in checks.items() if _failing(check)] if isinstance(checks, Mapping) else []


def _failing(check: Any) -> bool:
    state = check.get("status", check.get("ok")) if isinstance(check, Mapping) else check
    return state is False or (
        isinstance(state, str) and state.lower() not in ("ok", "up", "healthy", "pass", "ready", "true")
    )


def _first_line(error: BaseException) -> str:
    """The line of an error that says why, without what surrounds it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # libpq: `connection to server at "db", port 5432 failed: Connection refused`, then advice; one such line for each address.
    why = next((line for line in reversed(lines) if "failed: " in line), lines[0]).rpartition("failed: ")[2]
    # redis-py says it twice: "Error 111 connecting to host:port. Connect call failed ('host', port)."
    return why.partition(". Connect call failed")[0].strip()[:200]


def client_session() -> aiohttp.ClientSession:
    """A session for probes: no proxy from the environment, nothing kept open."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, limit=50), cookie_jar=aiohttp.DummyCookieJar()
    )
