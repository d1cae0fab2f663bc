"""Redis servers, and the Sentinels that watch over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol


@dataclass(frozen=True)
class Follower:
    """A replica as its primary sees it. `lag` is the time since it was heard of; None before the first time."""

    address: str
    state: str
    offset: int
    lag: timedelta | None


@dataclass(frozen=True)
class CacheState:
    """A Redis server as it is now; sizes in bytes, counters since its start.

    `max_memory` 0 = no limit. `host_memory` is what the machine has, 0 where the server does not tell.
    `offset` is the end of the replication stream: written on a primary, received on a replica; two servers compare by it
    only while they share `history`. `leader` is whom a replica follows, empty on a primary; `linked` whether it hears of it.
    """

    version: str
    role: Literal["primary", "replica"]
    latency: timedelta  # of a PING
    uptime: timedelta
    loading: bool
    used_memory: int
    peak_memory: int
    max_memory: int
    host_memory: int
    policy: str
    fragmentation: float
    keys: int
    hits: int
    misses: int
    evicted: int
    expired: int
    rejected: int  # connections, because there were too many
    clients: int
    max_clients: int  # 0 where the server does not tell
    blocked: int
    history: str
    offset: int
    leader: str
    linked: bool
    followers: tuple[Follower, ...]
    snapshots: bool  # whether the last snapshot, if there was one, went well
    appends: bool  # whether it keeps an append-only file
    appended: bool  # whether the last write to it went well

    @property
    def hit_rate(self) -> float | None:
        """Hits among look-ups since the start, 0 to 1; None without a look-up."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None


class Caches(Protocol):
    """Redis servers by connection string; each call is one short connection. Raises Unavailable when nobody answers in time
    and Refused when the server says no."""

    def place(self, url: str) -> str:
        """Where a connection string leads, without its secrets: the same for the same database of the same server."""

    def at(self, url: str, address: str) -> str:
        """The connection string with the same credentials that leads to another `host:port`."""

    async def state(self, url: str) -> CacheState: ...

    async def ping(self, url: str) -> timedelta:
        """How long the answer took."""

    async def configure(self, url: str, setting: str, value: str) -> None:
        """CONFIG SET of one setting, until the server is restarted."""

    async def pause_writes(self, url: str, within: timedelta) -> None:
        """Let writes wait (reads go on), until `resume_writes` or the end of `within`."""

    async def resume_writes(self, url: str) -> None:
        """Writes that wait are done. Done already is done."""

    async def promote(self, url: str) -> None:
        """Make a replica a primary of its own."""

    async def follow(self, url: str, leader: str) -> None:
        """Make a server a replica of the one that `leader` leads to, with its credentials: from then on it takes no writes."""

    async def write_and_read(self, url: str, mark: str) -> None:
        """Write a key of ours, read it back in another connection, take it away. Raises Refused when it cannot."""

    async def leader(self, sentinels: Sequence[str], name: str) -> str:
        """`host:port` of the primary that Sentinel names, asked of one after the other until one answers."""

    async def fail_over(self, sentinels: Sequence[str], name: str) -> None:
        """Let Sentinel promote a replica. One that is under way already is enough. Refused when there is none to promote."""
