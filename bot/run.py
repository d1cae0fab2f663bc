"""A run: a plan that waits for its approval, and what became of it. Decisions only; `now` is passed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bot.action import Risk
from bot.clock import spoken
from bot.errors import NotAllowed, NotNow
from bot.incident import Person, Severity

FIRST_PAUSE, LONGEST_ASKED = 1.0, 60.0
"""Seconds."""


def pause(tries: int, asked: float | None) -> float:
    """Seconds until a step is tried again: longer each time, and as long as its neighbour asks for, within a minute."""
    return max(FIRST_PAUSE * 2.0 ** (tries - 1), min(asked or 0.0, LONGEST_ASKED))


class RunState(StrEnum):
    PLANNING = "planning"
    PROPOSED = "proposed"
    RUNNING = "running"
    WAITING = "waiting"  # for people outside, in the middle of a run
    UNDOING = "undoing"
    SUCCEEDED = "succeeded"
    UNVERIFIED = "unverified"
    FAILED = "failed"
    STOPPED = "stopped"
    UNDONE = "undone"
    UNKNOWN = "unknown"
    REFUSED = "refused"  # the plan itself was not possible
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def live(self) -> bool:
        """It works on its target and holds its locks."""
        return self in (RunState.RUNNING, RunState.WAITING, RunState.UNDOING)

    @property
    def ended(self) -> bool:
        return not self.live and self not in (RunState.PLANNING, RunState.PROPOSED)


OUTCOME = {
    RunState.SUCCEEDED: "succeeded",
    RunState.UNVERIFIED: "ran but not verified",
    RunState.FAILED: "failed",
    RunState.STOPPED: "stopped",
    RunState.UNDONE: "undone",
    RunState.UNKNOWN: "unknown",
    RunState.REFUSED: "not possible now",
    RunState.REJECTED: "rejected",
    RunState.EXPIRED: "expired",
}
"""What an outcome is called, everywhere."""


class StepState(StrEnum):
    WAITING = "waiting"
    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclass(frozen=True)
class StepRow:
    """A step as it stands. `undoable` False = once begun, there is no way back."""

    number: int
    title: str
    undoable: bool
    no_return: str = ""
    state: StepState = StepState.WAITING
    detail: str = ""
    begun_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def touched(self) -> bool:
        """It was begun and is not undone, so the world may have changed."""
        return self.state not in (StepState.WAITING, StepState.UNDONE)


@dataclass(frozen=True)
class Shown:
    """A plan as people see it, kept with the run. Times are seconds, so that it is plain JSON."""

    changes: Sequence[Mapping[str, str]]
    facts: Mapping[str, Any]
    notes: Sequence[str]
    steps: Sequence[Mapping[str, Any]]
    undo_says: str
    loss_seconds: float | None
    loss_says: str
    rpo_seconds: float | None
    drift: Sequence[str] = ()
    warnings: Sequence[str] = ()
    only_override: str = ""


@dataclass(frozen=True)
class Vote:
    """One approval. `override` = break-glass, with its reason."""

    who: Person
    at: datetime
    override: str = ""


@dataclass(frozen=True)
class Quorum:
    """Who must say yes: how many, of whom, and whether the requester counts."""

    votes: int
    group: str
    requester: bool


@dataclass(frozen=True)
class Run:
    """One row. `digest` is what approvals are bound to; empty until there is a plan."""

    number: int
    incident: int
    action: str
    title: str
    parameters: Mapping[str, Any]
    words: Mapping[str, str]
    risk: Risk
    target: str
    locks: tuple[str, ...]
    requester: Person
    state: RunState
    requested_at: datetime
    planned_at: datetime | None = None
    expires_at: datetime | None = None
    plan: Shown | None = None
    digest: str = ""
    votes: tuple[Vote, ...] = ()
    steps: tuple[StepRow, ...] = ()
    stop_by: Person | None = None
    undo_by: Person | None = None
    epoch: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str = ""
    card_ts: str = ""
    progress_ts: str = ""

    @property
    def id(self) -> str:
        return f"RUN-{self.number}"

    def lane(self, name: str) -> str:
        return f"{self.id}/{name}"

    @property
    def worked_on(self) -> bool:
        """A process of ours has to bring it on: it waits for nobody and has not ended."""
        return self.state in (RunState.RUNNING, RunState.UNDOING)

    @property
    def undoable(self) -> bool:
        """Something was begun, and no point of no return was."""
        touched = [step for step in self.steps if step.touched]
        return bool(touched) and all(step.undoable for step in touched)


@dataclass(frozen=True)
class RunRules:
    """The estate's figures, at the practice pace."""

    quorums: Mapping[Risk, Quorum]
    expiry: timedelta
    break_glass_after: timedelta
    break_glass_severities: frozenset[Severity]

    def quorum(self, run: Run) -> Quorum:
        return self.quorums[run.risk]


def proposed(run: Run, shown: Shown, digest: str, rules: RunRules, now: datetime) -> Run:
    """The plan is made (or made anew): earlier approvals are void."""
    steps = tuple(
        StepRow(n, str(s["title"]), bool(s["undoable"]), str(s["no_return"])) for n, s in enumerate(shown.steps)
    )
    return replace(
        run,
        state=RunState.PROPOSED,
        plan=shown,
        digest=digest,
        planned_at=now,
        expires_at=now + rules.expiry,
        votes=(),
        steps=steps,
        started_at=None,
    )


def _must_be_proposed(run: Run, now: datetime) -> None:
    if run.state is RunState.PLANNING:
        raise NotNow(f"{run.id} has no plan yet; its card follows.")
    if run.state is not RunState.PROPOSED:
        word = OUTCOME.get(run.state, "running already")
        raise NotNow(f"{run.id} is {word}; this card is used up. `/recover {run.action}` makes a new plan.")
    if run.expires_at is not None and now >= run.expires_at:
        raise NotNow(
            f"The plan of {run.id} expired at {run.expires_at:%H:%M:%S} UTC; `/recover {run.action}` makes a new one."
        )


def approve(run: Run, by: Person, digest: str, rules: RunRules, now: datetime) -> Run:
    """Count a yes to exactly this plan; the run with the vote. `digest` empty = the newest plan is meant (a command)."""
    _must_be_proposed(run, now)
    if digest and digest != run.digest:
        raise NotNow(f"The plan of {run.id} has changed since this card was drawn; look at its newest card.")
    if run.plan is not None and run.plan.only_override:
        raise NotAllowed(
            f"An approval does not suffice for {run.id}: {run.plan.only_override} Only {run.requester.name} may break the"
            f" glass, with a reason: `/recover override {run.id} <reason>`."
        )
    quorum = rules.quorum(run)
    if by.id == run.requester.id and not quorum.requester:
        raise NotAllowed(
            f"You asked for {run.id}, so somebody else of the {quorum.group} must approve it: it is {run.risk} risk."
        )
    if any(vote.who.id == by.id for vote in run.votes):
        raise NotNow(f"You have approved {run.id} already; {left(run, rules)} more must.")
    return replace(run, votes=(*run.votes, Vote(by, now)))


def left(run: Run, rules: RunRules) -> int:
    """How many approvals are still missing."""
    if any(vote.override for vote in run.votes):
        return 0
    return max(0, rules.quorum(run).votes - len(run.votes))


def override_from(run: Run, rules: RunRules) -> datetime | None:
    """When the requester may break the glass, if nobody approves before."""
    return None if run.planned_at is None else run.planned_at + rules.break_glass_after


def override(run: Run, by: Person, reason: str, severity: Severity, rules: RunRules, now: datetime) -> Run:
    """Break-glass: the requester alone, with a typed reason, when nobody has approved for a while."""
    _must_be_proposed(run, now)
    if severity not in rules.break_glass_severities:
        raise NotAllowed(
            f"Break-glass is for {' and '.join(sorted(rules.break_glass_severities))}; this is {severity}."
        )
    if by.id != run.requester.id:
        raise NotAllowed(f"Only {run.requester.name}, who asked for {run.id}, may break the glass.")
    if run.votes:
        raise NotNow(f"{run.votes[0].who.name} has approved {run.id}; get the rest of the approvals.")
    opens = override_from(run, rules)
    if opens is not None and now < opens:
        raise NotNow(f"Break-glass opens in {spoken(opens - now)}; ask the {rules.quorum(run).group} until then.")
    return replace(run, votes=(Vote(by, now, reason),))


def begin(run: Run, now: datetime) -> Run:
    """The quorum is there and the locks are ours."""
    return replace(run, state=RunState.RUNNING, started_at=now)


def reject(run: Run, by: Person, reason: str, now: datetime) -> Run:
    _must_be_proposed(run, now)
    return end(run, RunState.REJECTED, f"rejected by {by.name}: {reason}", now)


def expire(run: Run, now: datetime) -> Run | None:
    """The expired run, or None while it is not."""
    if run.state is RunState.PROPOSED and run.expires_at is not None and now >= run.expires_at:
        return end(run, RunState.EXPIRED, "nobody approved in time", now)
    return None


def stop(run: Run, by: Person, now: datetime) -> Run:
    """Ask to stop after the step that is under way. One that waits for people may never end, so the run ends here."""
    if run.state not in (RunState.RUNNING, RunState.WAITING):
        raise NotNow(f"{run.id} is not running; there is nothing to stop.")
    run = replace(run, stop_by=run.stop_by or by)
    if run.state is RunState.RUNNING:
        return run
    step = next(s for s in run.steps if s.state is StepState.BEGUN)
    open_ = replace(step, state=StepState.UNKNOWN, detail="nobody said whether it happened", ended_at=now)
    return end(with_step(run, open_), RunState.STOPPED, (
        f"stopped by {by.name}. Nobody said whether “{step.title}” happened, and who was asked may still do it."
        f" {half_done(run)}"
    ), now)  # fmt: skip


def half_done(run: Run) -> str:
    """Which steps were done and which were not begun."""
    done = [s.title for s in run.steps if s.state is StepState.DONE]
    left = [s.title for s in run.steps if s.state is StepState.WAITING]
    parts = [f"Done: {'; '.join(done)}." if done else "No step before it was done."]
    if left:
        parts.append(f"Not done: {'; '.join(left)}.")
    return " ".join(parts)


def undo(run: Run, by: Person) -> Run:
    """Begin to undo what was begun, last first."""
    if not run.state.ended or run.state in (RunState.REFUSED, RunState.REJECTED, RunState.EXPIRED):
        raise NotNow(
            f"{run.id} has not run, so there is nothing to undo. `/recover stop {run.id}` stops a running one."
        )
    if run.state is RunState.UNDONE:
        raise NotNow(f"{run.id} is undone already.")
    if not run.undoable:
        beyond = next((s for s in run.steps if s.touched and not s.undoable), None)
        why = f"“{beyond.title}” is a point of no return: {beyond.no_return}" if beyond else "no step was begun"
        raise NotNow(f"{run.id} cannot be undone: {why}.")
    return replace(run, state=RunState.UNDOING, undo_by=by, ended_at=None, stop_by=None)


def end(run: Run, state: RunState, outcome: str, now: datetime) -> Run:
    return replace(run, state=state, outcome=outcome, ended_at=now)


def with_step(run: Run, step: StepRow) -> Run:
    return replace(run, steps=tuple(step if s.number == step.number else s for s in run.steps))


@dataclass(frozen=True)
class Held:
    """Who holds a lock."""

    lock: str
    run: str
    action: str
    by: str
    since: datetime
    room: str = field(default="")

    def __str__(self) -> str:
        return (
            f"{self.lock} is held by {self.run} ({self.action}, asked for by {self.by}) since {self.since:%H:%M:%S} UTC"
        )
