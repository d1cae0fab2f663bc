"""The append-only, hash-chained record of an incident. The report is a view of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

GENESIS = "0" * 64
"""What the first entry of a chain calls its predecessor."""


@dataclass(frozen=True)
class Note:
    """Something that happened, before it has a place in the chain. `actor` is a person's Slack id, or `bot`.

    `data` is JSON without floats: the store keeps numbers as decimals, so a float may come back spelled otherwise.
    """

    kind: str
    text: str
    actor: str = "bot"
    actor_name: str = "Recovery Bot"
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One link: `hash` covers every other field, `prev` is the hash before it."""

    incident: int
    seq: int
    at: datetime
    kind: str
    actor: str
    actor_name: str
    text: str
    data: Mapping[str, Any]
    prev: str
    hash: str


def link(incident: int, seq: int, at: datetime, note: Note, prev: str) -> Entry:
    """Give `note` its place after the entry whose hash is `prev`."""
    unsealed = Entry(incident, seq, at, note.kind, note.actor, note.actor_name, note.text, dict(note.data), prev, "")
    return Entry(**{**vars(unsealed), "hash": digest(unsealed)})


def digest(entry: Entry) -> str:
    """SHA-256 over the canonical JSON of everything but the hash itself; instants in UTC, to the microsecond."""
    body = {
        "incident": entry.incident,
        "seq": entry.seq,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "kind": entry.kind,
        "actor": entry.actor,
        "actor_name": entry.actor_name,
        "text": entry.text,
        "data": entry.data,
        "prev": entry.prev,
    }
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class Verdict:
    """Whether a chain holds; if not, the first entry that does not and why."""

    entries: int
    head: str
    broken_at: int | None = None
    why: str = ""

    @property
    def holds(self) -> bool:
        return self.broken_at is None


def verify(entries: Iterable[Entry]) -> Verdict:
    """Walk a chain in order of `seq` and name the first entry that was changed, removed or slipped in."""
    prev, count = GENESIS, 0
    for entry in entries:
        count += 1
        if entry.seq != count:
            return Verdict(count, prev, count, f"entry {count} is missing: the next one is numbered {entry.seq}")
        if entry.prev != prev:
            return Verdict(count, prev, entry.seq, "it does not continue the entry before it")
        if digest(entry) != entry.hash:
            return Verdict(count, prev, entry.seq, "its content is not what was recorded")
        prev = entry.hash
    return Verdict(count, prev)
