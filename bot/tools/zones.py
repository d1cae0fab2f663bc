"""Hosted zones of Route 53."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

RecordSet = Mapping[str, Any]
"""A ResourceRecordSet exactly as Route 53 says it: aliases, routing policies and health checks too."""


@dataclass(frozen=True)
class Edit:
    """One change of a batch."""

    action: Literal["CREATE", "DELETE", "UPSERT"]
    record: RecordSet


class Zones(Protocol):
    """Raises Unavailable when Route 53 cannot be reached, Refused when it says no, NotFound for a zone that is not there."""

    async def records(self, zone: str, name: str) -> Sequence[RecordSet]:
        """Every record set of that name, of any type."""

    async def change(self, zone: str, edits: Sequence[Edit], comment: str) -> str:
        """One batch, all or nothing; the id of the change."""

    async def in_sync(self, change: str) -> bool:
        """Whether every name server of Route 53 has it."""
