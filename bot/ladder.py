"""The escalation ladder, decided: which rung is due, what a hold, a stop and a restart do to the ones still waiting.

Pure: rungs and instants in, rungs and instants out. Due times are absolute and live in the store. Whatever makes the
ladder stand still (a hold, an acknowledgement that holds it, monitoring) moves the waiting rungs back by the time it
stood still, so that the distance between two rungs is never lost and none comes early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

LATE_AFTER = timedelta(seconds=5)
"""A rung that fires later than this after its instant says so."""


@dataclass(frozen=True)
class Rung:
    """One level of escalation of one incident. `round` grows when an incident is reopened."""

    round: int
    level: int
    due_at: datetime
    state: Literal["waiting", "fired", "skipped"] = "waiting"
    fired_at: datetime | None = None
    late_by: timedelta | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Hold:
    """The ladder stands still from `since` until `until`, asked for by `who` because of `why`."""

    since: datetime
    until: datetime
    who: str
    why: str


@dataclass(frozen=True)
class Ladder:
    """All rungs of the running round, lowest first, and what holds them."""

    rungs: tuple[Rung, ...]
    stopped_at: datetime | None = None
    hold: Hold | None = None

    @property
    def waiting(self) -> tuple[Rung, ...]:
        return tuple(rung for rung in self.rungs if rung.state == "waiting")

    @property
    def next(self) -> Rung | None:
        return min(self.waiting, key=lambda rung: rung.level, default=None)

    @property
    def now_at(self) -> Rung | None:
        """The highest rung that has fired."""
        return max((r for r in self.rungs if r.state == "fired"), key=lambda rung: rung.level, default=None)

    @property
    def wake_at(self) -> datetime | None:
        """The instant of the next thing to do, or None while the ladder stands still for good."""
        if self.stopped_at is not None:
            return None
        instants = [rung.due_at for rung in self.waiting]
        if self.hold is not None:
            instants.append(self.hold.until)
        return min(instants, default=None)


def build(offsets: Iterable[tuple[int, timedelta]], start: datetime, round_: int = 1) -> Ladder:
    """A fresh ladder: `offsets` are (level, time after `start`)."""
    return Ladder(tuple(Rung(round_, level, start + after) for level, after in sorted(offsets)))


def due(ladder: Ladder, now: datetime) -> tuple[Rung, ...]:
    """The rungs that must fire now, lowest first; none while the ladder stands still."""
    if ladder.stopped_at is not None or (ladder.hold is not None and now < ladder.hold.until):
        return ()
    return tuple(rung for rung in ladder.waiting if rung.due_at <= now)


def fire(ladder: Ladder, levels: Iterable[int], now: datetime, reason: str | None = None) -> Ladder:
    """The ladder after `levels` have fired. With a `reason` they were asked for, so they are not late."""
    wanted = set(levels)

    def fired(rung: Rung) -> Rung:
        late = now - rung.due_at
        is_late = reason is None and late > LATE_AFTER
        return replace(rung, state="fired", fired_at=now, late_by=late if is_late else None, reason=reason)

    return _each(ladder, lambda rung: fired(rung) if rung.level in wanted and rung.state == "waiting" else rung)


def pause(ladder: Ladder, until: datetime, who: str, why: str, now: datetime) -> Ladder:
    """Hold the ladder until `until`; a hold that is running is replaced, longer or shorter."""
    standing_until = ladder.hold.until if ladder.hold is not None and ladder.hold.until > now else now
    held = Hold(ladder.hold.since if ladder.hold is not None and ladder.hold.until > now else now, until, who, why)
    return replace(_shift(ladder, until - standing_until), hold=held)


def unpause(ladder: Ladder, now: datetime) -> Ladder:
    """End the hold: early, the waiting rungs come forward by what was left of it; after its time, nothing moves."""
    if ladder.hold is None:
        return ladder
    left = max(ladder.hold.until - now, timedelta(0))
    return replace(_shift(ladder, -left), hold=None)


def stop(ladder: Ladder, now: datetime) -> Ladder:
    """No rung fires any more (monitoring, resolved)."""
    return ladder if ladder.stopped_at is not None else replace(unpause(ladder, now), stopped_at=now)


def restart(ladder: Ladder, now: datetime) -> Ladder:
    """Go on after a stop: the waiting rungs move back by the time it lasted."""
    if ladder.stopped_at is None:
        return ladder
    return replace(_shift(ladder, now - ladder.stopped_at), stopped_at=None)


def _shift(ladder: Ladder, by: timedelta) -> Ladder:
    return _each(ladder, lambda rung: replace(rung, due_at=rung.due_at + by) if rung.state == "waiting" else rung)


def _each(ladder: Ladder, change: Callable[[Rung], Rung]) -> Ladder:
    return replace(ladder, rungs=tuple(change(rung) for rung in ladder.rungs))
