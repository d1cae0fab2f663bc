"""What is owed: every outside call and every decision that falls due is a row, written with the change that asks for it.

A row has a *lane*: one lane does one thing at a time, in order; lanes never wait for each other. A *standing* row (the
board, the announcement, the ladder) is asked for again instead of twice: its key stays, and it shows the newest state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from bot.incident import Incident

State = Literal["waiting", "doing", "done", "failed", "dropped"]


@dataclass(frozen=True)
class Owed:
    """A row to be written. `due_at` None = now. `standing` = re-arm the row of that key if there is one."""

    kind: str
    lane: str
    key: str
    args: Mapping[str, Any] = field(default_factory=dict)
    due_at: datetime | None = None
    standing: bool = False
    needs: Literal["", "room", "board"] = ""
    incident: int | None = None


@dataclass(frozen=True)
class Effect:
    """A row as read. `attempts` counts this one; above 1, an earlier one may have been done after all."""

    id: int
    incident: int | None
    kind: str
    lane: str
    key: str
    args: Mapping[str, Any]
    state: State
    attempts: int
    due_at: datetime
    begun_at: datetime | None
    error: str | None
    result: Mapping[str, Any] | None
    created_at: datetime

    @property
    def repeated(self) -> bool:
        return self.attempts > 1


URGENT = ("intake", "page", "ladder", "room.create", "tell", "run.plan")
"""Kinds (or their first part) that must never stand behind the rest: a click, a page, a rung, the room."""

COSMETIC = ("board", "announce", "room.describe", "assess.all", "watch", "roster", "sweep")


def queue_of(kind: str) -> str:
    """The queue a kind's wake-ups ride on: `urgent`, `normal`, `cosmetic`, or `runs`, where each may take an hour."""
    if kind == "run":
        return "runs"
    if kind in COSMETIC:
        return "cosmetic"
    return "urgent" if kind in URGENT or kind.split(".")[0] in URGENT else "normal"


NEEDS_ROOM = ("board", "room.describe", "room.invite", "room.bookmarks", "reply")
"""Kinds that wait until the room is there."""

NEEDS_BOARD = (
    "room.pin", "room.archive", "say", "assess.post", "report.post", "report.export", "run.card", "observe",
    "notice.draft",
)  # fmt: skip
"""Kinds that wait until the board is there: it is the first message of its room."""


def parked(owed: Owed, incident: Incident) -> bool:
    """Whether what is owed has to wait for the room, or for the board in it."""
    if owed.needs == "board":
        return incident.board_ts is None
    return owed.needs == "room" and incident.room is None


TITLES = {
    "room.create": "Make the room",
    "room.describe": "Topic of the room",
    "room.invite": "Invite people",
    "room.bookmarks": "Bookmarks",
    "room.pin": "Pin the board",
    "room.archive": "Archive the room",
    "board": "Board",
    "announce": "Line in the announce channel",
    "say": "Message to the room",
    "tell": "Direct message",
    "page.open": "Page the on-call through PagerDuty",
    "page.add": "Page the next rung through PagerDuty",
    "page.ack": "Acknowledge in PagerDuty",
    "page.resolve": "Resolve in PagerDuty",
    "page.proof": "Proof of page",
    "assess": "Assessment",
    "assess.post": "Assessment card",
    "report.post": "Report in the room",
    "report.export": "Export of the timeline",
    "update": "Status update",
    "run.plan": "Plan of a run",
    "run": "Run",
    "run.card": "Card of a run",
    "observe": "Observation",
    "notice.draft": "Draft of a notification",
}
"""What a kind is called on the board."""


def owe(incident: Incident, kind: str, name: str, *, lane: str | None = None, **more: Any) -> Owed:
    """A row of `incident`. `name` makes its key unique; keyword arguments are those of Owed."""
    return Owed(
        kind=kind,
        lane=incident.lane(lane or kind),
        key=incident.lane(name),
        needs="room" if kind in NEEDS_ROOM else "board" if kind in NEEDS_BOARD else "",
        incident=incident.number,
        **more,
    )


def say(incident: Incident, line: str, name: str, /, **data: Any) -> Owed:
    """A message to the room: `line` names its wording (handlers/lines.py), `data` fills it."""
    return owe(incident, "say", f"say/{name}", args={"line": line, **data})


def board(incident: Incident) -> Owed:
    """Show the newest state on the board."""
    return owe(incident, "board", "board", standing=True)


def announce(incident: Incident) -> Owed:
    return owe(incident, "announce", "announce", standing=True)


def describe(incident: Incident) -> Owed:
    return owe(incident, "room.describe", "room.describe", standing=True)


def wake_ladder(incident: Incident, at: datetime | None) -> Owed:
    """The ladder's next look; None = it stands still, so the row waits for ever until it is asked for again."""
    return owe(incident, "ladder", "ladder", standing=True, due_at=at or NEVER)


NEVER = datetime(9000, 1, 1, tzinfo=UTC)
"""The due time of what waits for something else than time."""

BACKOFF_FIRST = timedelta(seconds=0.5)
BACKOFF_MOST = timedelta(seconds=15)


def retry_at(now: datetime, attempts: int, retry_after: float | None, jitter: float) -> datetime:
    """When to try again after `attempts` tries. `jitter` in 0..1 spreads replicas; a neighbour's own wish is kept."""
    wait: timedelta = min(BACKOFF_FIRST * (1 << min(attempts - 1, 10)), BACKOFF_MOST)
    if retry_after is not None:
        wait = timedelta(seconds=retry_after)
    return now + wait * (1 + jitter / 4)
