"""PostgreSQL servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol


@dataclass(frozen=True)
class Standby:
    """One row of pg_stat_replication."""

    name: str
    address: str
    state: str
    sync: str
    lag_bytes: int | None
    lag: timedelta | None


@dataclass(frozen=True)
class ServerState:
    """A PostgreSQL server as it is now. `lsn` is the end of its WAL: written on a primary, replayed on a standby."""

    version: str
    system: str  # the cluster's system identifier: a primary and its standbys share it
    recovering: bool
    read_only: bool
    timeline: int
    lsn: int
    replayed_at: datetime | None  # the last transaction that a standby replayed
    connections: int
    max_connections: int
    oldest_transaction: timedelta | None
    standbys: tuple[Standby, ...]


@dataclass(frozen=True)
class Backend:
    """One session of pg_stat_activity that does something, or blocks somebody."""

    pid: int
    started_at: datetime
    user: str
    application: str
    state: str
    query: str
    wait: str
    running_for: timedelta | None
    blocked_by: tuple[int, ...]
    query_start: datetime | None = None  # of the query that runs now, or of the last one when none does

    @property
    def runs(self) -> bool:
        """Whether it runs a query now; a session in a transaction may hold locks without."""
        return self.state == "active" or self.state.startswith("fastpath")


@dataclass(frozen=True)
class LastSeen:
    """How far a server had written at an instant of its own clock, when it was last seen to take writes."""

    at: datetime
    lsn: int
    system: str


class Memory(Protocol):
    """What the assessment remembers of servers that may be gone."""

    async def last_seen(self, url: str) -> LastSeen | None:
        """Of the database server that this connection string leads to; None when it was never seen, or nobody can tell."""


class Databases(Protocol):
    """PostgreSQL servers by connection string; each call is one short connection. Raises Silent when nobody says anything,
    Unavailable when there is no answer to the question or "later", and Refused when the server says no."""

    def place(self, url: str) -> str:
        """Where a connection string leads, without its secrets: the same for the same database of the same server."""

    async def state(self, url: str) -> ServerState: ...

    async def backends(self, url: str) -> Sequence[Backend]: ...

    async def backend(self, url: str, pid: int, started_at: datetime) -> Backend | None:
        """Exactly that backend, whatever it does; None when it is gone (a pid is used again)."""

    async def end(
        self,
        url: str,
        pid: int,
        started_at: datetime,
        how: Literal["cancel", "terminate"],
        query_start: datetime | None = None,
    ) -> bool:
        """Cancel the query, or end the session, of exactly that backend; False when it is gone (a pid is used again), or
        when its query is not the one that began at `query_start`, where that is given."""

    async def promote(self, url: str) -> None:
        """Promote a standby, and wait until it is a primary."""

    async def fence(self, url: str, *, closed: bool) -> None:
        """Make the database read-only for every new session and end those that are open, or open it again."""

    async def write_and_read(self, url: str, mark: str) -> None:
        """Write `mark` in a table of ours, read it back in another session, take it away. Raises Refused when it cannot."""

    async def rows(self, url: str, tables: Sequence[str]) -> Mapping[str, int | None]:
        """Rows by table; None for a table that is not there."""
