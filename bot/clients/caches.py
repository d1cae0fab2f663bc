"""Redis servers and Sentinels, over redis-py. Every call has a deadline, and is tried once: who asked knows what may be repeated."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from bot.errors import NeighbourError, NotFound, Refused, Unavailable
from bot.failures import why
from bot.tools.caches import CacheState, Follower

CONNECT_WITHIN, ANSWER_WITHIN = 2.0, 2.0
"""Seconds. A server that is frozen takes a connection, and says nothing."""

_MARK = "recovery-bot:proof:"
_MARK_LIVES = 60  # seconds


class RedisCaches:
    """A `Caches`."""

    def place(self, url: str) -> str:
        parts = _split(url)
        if parts.scheme == "unix":
            return parts.path
        return f"{_address(parts)}/{parts.path.strip('/') or '0'}"

    def at(self, url: str, address: str) -> str:
        parts = _split(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}{address}"))

    async def state(self, url: str) -> CacheState:
        async with _server(url) as server:
            began = time.monotonic()
            await server.ping()
            latency = timedelta(seconds=time.monotonic() - began)
            return _state(await server.info("everything"), latency)

    async def ping(self, url: str) -> timedelta:
        async with _server(url) as server:
            began = time.monotonic()
            await server.ping()
            return timedelta(seconds=time.monotonic() - began)

    async def configure(self, url: str, setting: str, value: str) -> None:
        async with _server(url) as server:
            await server.config_set(setting, value)

    async def pause_writes(self, url: str, within: timedelta) -> None:
        async with _server(url) as server:
            await server.client_pause(int(within.total_seconds() * 1000), all=False)

    async def resume_writes(self, url: str) -> None:
        async with _server(url) as server:
            await server.client_unpause()

    async def promote(self, url: str) -> None:
        async with _server(url) as server:
            await server.execute_command("REPLICAOF", "NO", "ONE")

    async def follow(self, url: str, leader: str) -> None:
        parts = _split(leader)
        credentials = redis.ConnectionPool.from_url(leader).connection_kwargs
        async with _server(url) as server:
            if user := credentials.get("username"):  # servers before Redis 6 know no users
                await server.config_set("masteruser", user)
            await server.config_set("masterauth", credentials.get("password") or "")
            host, _, port = _address(parts).rpartition(":")
            await server.execute_command("REPLICAOF", host.strip("[]"), port)

    async def write_and_read(self, url: str, mark: str) -> None:
        key, value = f"{_MARK}{mark}", secrets.token_hex(8)
        async with _server(url) as server:
            await server.set(key, value, ex=_MARK_LIVES)
        async with _server(url) as server:
            read = await server.getdel(key)
        if read != value:
            raise Refused("a key that was written could not be read back")

    async def leader(self, sentinels: Sequence[str], name: str) -> str:
        found = await _first(sentinels, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
        if not found:
            raise NotFound(f"Sentinel knows no primary called `{name}`.")
        host, port = found
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def fail_over(self, sentinels: Sequence[str], name: str) -> None:
        try:
            await _first(sentinels, "SENTINEL", "FAILOVER", name)
        except Refused as refused:
            if refused.code != "INPROG":
                raise


async def _first(sentinels: Sequence[str], *command: str) -> Any:
    """The answer of the first Sentinel that gives one. Raises Unavailable when none does."""
    silent: NeighbourError = Unavailable("The estate file names no Sentinel.", untried=True)
    for url in sentinels:
        try:
            async with _server(url) as sentinel:
                # Raw: redis-py's own words for Sentinel swallow the reason of a refusal.
                return await sentinel.execute_command(*command)
        except Unavailable as error:
            silent = error
    raise silent


@asynccontextmanager
async def _server(url: str) -> AsyncIterator[Any]:
    """A connection for one piece of work. Raises NeighbourError, also for what happens inside of the block."""
    try:
        client: Any = redis.Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_WITHIN,
            socket_timeout=ANSWER_WITHIN,
            decode_responses=True,
            single_connection_client=True,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise Refused("The address in the estate file is not a Redis URL.") from error
    try:
        async with client:
            yield client
    except (RedisError, OSError) as error:
        raise _meaning(error, _address(_split(url))) from error


def _meaning(error: Exception, where: str) -> NeighbourError:
    """As an error of ours; texts of Redis hold no password."""
    if isinstance(error, AuthenticationError):
        return Refused(f"Redis at {where} refuses our password.", "NOAUTH")
    if isinstance(error, NoPermissionError):
        return Refused(f"Redis at {where} does not let our user do that: {_line(error)}", "NOPERM")
    if isinstance(error, BusyLoadingError):
        return Unavailable(f"Redis at {where} is loading its data.")
    if isinstance(error, ResponseError):
        text = _line(error)
        return Refused(f"Redis at {where} says: {text}", text.split(" ")[0])
    if isinstance(error, RedisTimeout):
        return Unavailable(f"Redis at {where} does not answer within {ANSWER_WITHIN:g} s.")
    if "max number of clients" in str(error):
        return Unavailable(f"Redis at {where} takes no more connections: it has as many as it may have.")
    return Unavailable(f"Redis at {where} does not answer ({why(error)}).")


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]


def _split(url: str) -> SplitResult:
    return urlsplit(url)


def _address(parts: SplitResult) -> str:
    try:
        host, port = parts.hostname or "localhost", parts.port or 6379
    except ValueError:  # a port that is none: redis-py says so when it is used
        return "an address that cannot be read"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _state(info: Mapping[str, Any], latency: timedelta) -> CacheState:
    """INFO as redis-py reads it; what an older or a managed server does not tell is zero."""

    def number(name: str) -> int:
        return int(info.get(name) or 0)

    replica = info.get("role") == "slave"
    return CacheState(
        version=str(info.get("redis_version", "?")),
        role="replica" if replica else "primary",
        latency=latency,
        uptime=timedelta(seconds=number("uptime_in_seconds")),
        loading=bool(number("loading")),
        used_memory=number("used_memory"),
        peak_memory=number("used_memory_peak"),
        max_memory=number("maxmemory"),
        host_memory=number("total_system_memory"),
        policy=str(info.get("maxmemory_policy", "?")),
        fragmentation=float(info.get("mem_fragmentation_ratio") or 0),
        keys=sum(one["keys"] for name, one in info.items() if name.startswith("db") and isinstance(one, dict)),
        hits=number("keyspace_hits"),
        misses=number("keyspace_misses"),
        evicted=number("evicted_keys"),
        expired=number("expired_keys"),
        rejected=number("rejected_connections"),
        clients=number("connected_clients"),
        max_clients=number("maxclients"),
        blocked=number("blocked_clients"),
        history=str(info.get("master_replid", "")),
        offset=number("slave_repl_offset" if replica else "master_repl_offset"),
        leader=f"{info.get('master_host')}:{info.get('master_port')}" if replica else "",
        linked=info.get("master_link_status") == "up",
        followers=tuple(_follower(info[name]) for name in sorted(info) if _is_follower(name, info[name])),
        snapshots=info.get("rdb_last_bgsave_status", "ok") == "ok",
        appends=bool(number("aof_enabled")),
        appended=info.get("aof_last_write_status", "ok") == "ok",
    )


def _is_follower(name: str, value: object) -> bool:
    return name.removeprefix("slave").isdigit() and isinstance(value, dict)


def _follower(one: Mapping[str, Any]) -> Follower:
    lag = int(one.get("lag", -1))
    return Follower(
        address=f"{one.get('ip', '?')}:{one.get('port', '?')}",
        state=str(one.get("state", "?")),
        offset=int(one.get("offset", 0)),
        lag=timedelta(seconds=lag) if lag >= 0 else None,
    )
