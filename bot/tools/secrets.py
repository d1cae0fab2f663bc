"""Secrets that rotate. Their values are never read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Secret:
    """A secret without its value. `current`: the version in use; `pending`: one that a rotation makes, empty = none.
    `versions`: the ids of all; the one that a rotation makes has its token for an id."""

    name: str
    identity: str  # the same name made anew has another one
    rotates: bool  # a rotation is configured
    deleted: bool
    current: str
    pending: str
    versions: frozenset[str]
    rotated_at: datetime | None


class Secrets(Protocol):
    """Secrets in a manager of secrets. Raises Unavailable, Refused, NotFound."""

    async def describe(self, name: str) -> Secret: ...

    async def rotate(self, name: str, token: str) -> None:
        """Ask for a rotation now. `token` (32 to 64 characters) becomes the id of the new version: the same token again is
        the same rotation. Who waits for its end looks until that version is `current`."""
