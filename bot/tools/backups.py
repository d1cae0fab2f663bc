"""Backups, and what restores them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class Backup:
    """One object of a backup bucket. `checksum` is the SHA-256 that its checksum file says, empty without such a file."""

    key: str
    size: int  # bytes
    at: datetime
    etag: str
    checksum: str


class Backups(Protocol):
    """Backups in S3. Raises Unavailable when S3 cannot be reached, Refused when it says no, NotFound for what is not there."""

    async def list(self, bucket: str, prefix: str, checksum: str) -> Sequence[Backup]:
        """Newest first; `checksum` is what the name of a checksum file ends with."""

    def stream(self, bucket: str, backup: Backup) -> AsyncGenerator[bytes, None]:
        """The object's bytes in order, fetched in parallel ranges of the version with that etag; memory stays bounded.
        Who stops early closes it. Raises Refused when the object was replaced meanwhile."""


@dataclass(frozen=True)
class Loaded:
    """A backup that was loaded: its size and what came out of it, in bytes. `left_out` is what the server did not let our
    role do and the data does not need (an owner, a grant, a comment on an extension), a sentence each, the first few."""

    size: int
    unpacked: int
    left_out: tuple[str, ...] = ()


class Restorer(Protocol):
    """Restore a backup into a new database beside the one that `url` leads to, and swap the two. `run` marks the new
    database as that run's own; nothing without this mark is ever loaded into, swapped in or dropped. Raises Unavailable
    when nobody answers and Refused when something is wrong; the old database is then as it was."""

    def at(self, url: str, name: str) -> str:
        """The connection string of the database of that name on the same server."""

    async def create(self, url: str, name: str, run: str) -> None:
        """An empty database with owner, encoding, settings and grants of the old one. What an interrupted try of this run
        left is made anew; a loaded one stays. Refused when the name is somebody else's."""

    async def load(
        self,
        url: str,
        name: str,
        run: str,
        chunks: AsyncGenerator[bytes, None],
        checksum: str,
        progress: Callable[[int], None],
    ) -> Loaded:
        """Load a gzipped plain-text dump into the database that `create` made, all or nothing: it is committed only when
        the whole of it has the SHA-256 `checksum` (hex) and every statement went well. `progress` hears of the bytes of the
        backup that were taken in so far. `chunks` are closed in any case."""

    async def loaded(self, url: str, name: str, run: str) -> bool:
        """Whether `load` was committed."""

    async def swap(self, url: str, new: str, kept: str, run: str) -> None:
        """Rename old → `kept` and `new` → old in one transaction, and end the sessions of both; new sessions wait meanwhile.
        Done already is done."""

    async def swapped(self, url: str, new: str, kept: str, run: str) -> bool | None:
        """Whether the swap is in force; None when what is there fits neither."""

    async def swap_back(self, url: str, new: str, kept: str, run: str) -> None:
        """Undo `swap`, in the same way. Not swapped is done already."""

    async def drop(self, url: str, name: str, run: str) -> None:
        """Remove the new database. Gone is done already; refused for one that this run did not make, or that is in use as
        the old one's successor."""
