"""Objects of S3 as evidence: what is there, who read it, and a place to keep an archive."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class StoredObject:
    """One object as a listing shows it; `size` in bytes."""

    key: str
    size: int
    at: datetime
    etag: str


class Objects(Protocol):
    """S3. Raises Unavailable when it cannot be reached, Refused when it says no, NotFound for what is not there."""

    def listing(self, bucket: str) -> AsyncIterator[StoredObject]:
        """Every object by key, a page at a time."""

    async def logged_in(self, bucket: str) -> tuple[str, str] | None:
        """(bucket, prefix) that the access logs of a bucket are delivered to; None = nobody logs who reads it."""

    def access(self, bucket: str, prefix: str, since: datetime) -> AsyncIterator[str]:
        """The lines of the access logs below `prefix` that were delivered since then, oldest first, one file at a time."""

    async def put(self, bucket: str, key: str, chunks: AsyncIterator[bytes]) -> str:
        """Store an object in parts; memory stays bounded, and a broken upload leaves nothing. How it is protected from
        being changed, in words; empty = it is not. A bucket with object lock and no rule of its own gets a legal hold."""

    async def text(self, bucket: str, key: str) -> str | None:
        """A small object's text; None when it is not there."""
