"""Who is in a database: sessions with the server, roles that may log in, and the application's own sign-ins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Client:
    """One session of a client with the server, busy or not. `query` is its last one, cut and without secrets; `at` when
    that began. `address` is empty for one of the same machine."""

    pid: int
    user: str
    application: str
    address: str
    database: str
    state: str
    query: str
    at: datetime | None
    started_at: datetime


@dataclass(frozen=True)
class LoginRole:
    """A role that may log in. `rights`: what it may beyond that, in words."""

    name: str
    rights: str


class Activity(Protocol):
    """A PostgreSQL server by connection string. Raises Unavailable when nobody answers, Refused when it says no."""

    def role(self, url: str) -> str:
        """The role that a connection string names; empty = the machine's own user."""

    async def clients(self, url: str) -> Sequence[Client]:
        """Every session of a client on the server but our own, the latest query first."""

    async def roles(self, url: str) -> Sequence[LoginRole]:
        """By name."""

    async def signed_in(self, url: str, table: str, before: datetime) -> tuple[int, int]:
        """Rows of a table of sessions: (created before that instant, created since)."""

    async def sign_out(self, url: str, table: str, before: datetime, most: int) -> int:
        """Delete at most so many of those created before that instant, in one transaction; how many were deleted."""
