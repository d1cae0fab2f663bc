"""The figures that the decisions need, taken from the estate and set to the practice pace; and what a decision returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.action import Risk
from bot.clock import Pace
from bot.estate import Estate
from bot.incident import Incident, Scenario, Severity
from bot.ladder import Hold, Ladder
from bot.owed import Owed
from bot.run import Quorum, RunRules
from bot.timeline import Note


@dataclass(frozen=True)
class RungRule:
    """One level of the estate's ladder, its `after` at the practice pace."""

    level: int
    title: str
    after: timedelta
    why: str


@dataclass(frozen=True)
class NoticeRule:
    """A duty to notify, its limit at the practice pace; None = without unreasonable delay."""

    name: str
    title: str
    within: timedelta | None


@dataclass(frozen=True)
class Rules:
    """All spans are real time: already scaled by the pace."""

    rungs: tuple[RungRule, ...]
    similar_within: timedelta
    assess_every: timedelta
    proof_within: timedelta
    ack_timeout: timedelta
    report_due: timedelta
    private_scenarios: frozenset[Scenario]
    archive_on_close: bool
    rto: Mapping[str, timedelta]
    titles: Mapping[str, str]
    pace: Pace
    notices: tuple[NoticeRule, ...] = ()

    def rung(self, level: int) -> RungRule:
        return next(rung for rung in self.rungs if rung.level == level)

    @property
    def offsets(self) -> tuple[tuple[int, timedelta], ...]:
        return tuple((rung.level, rung.after) for rung in self.rungs)


def rules_of(estate: Estate, pace: Pace) -> Rules:
    """The figures of `estate` at `pace`."""
    return Rules(
        rungs=tuple(RungRule(r.level, r.title, pace.wait(r.after), r.why) for r in estate.ladder),
        similar_within=pace.wait(estate.incident.similar_within),
        assess_every=pace.wait(estate.incident.assess_every),
        proof_within=pace.wait(estate.incident.proof_within),
        ack_timeout=pace.wait(estate.incident.ack_timeout),
        report_due=pace.wait(estate.incident.report_due),
        private_scenarios=frozenset(Scenario(name) for name in estate.incident.private_scenarios),
        archive_on_close=estate.incident.archive_on_close,
        rto={service.name: pace.wait(service.rto) for service in estate.services},
        titles={service.name: service.title for service in estate.services},
        pace=pace,
        notices=tuple(
            NoticeRule(n.name, n.title, None if n.within is None else pace.wait(n.within))
            for n in (estate.security.notices if estate.security else ())
        ),
    )


def run_rules_of(estate: Estate, pace: Pace) -> RunRules:
    """Who approves what, and how long a plan waits, at `pace`."""
    approvals = estate.approvals
    return RunRules(
        quorums={
            risk: Quorum(spec.quorum, spec.group, spec.requester)
            for risk, spec in ((risk, getattr(approvals, risk)) for risk in Risk)
        },
        expiry=pace.wait(approvals.expiry),
        break_glass_after=pace.wait(approvals.break_glass_after),
        break_glass_severities=frozenset(Severity(name) for name in approvals.break_glass_severities),
    )


@dataclass(frozen=True)
class Case:
    """All that a decision about one incident looks at."""

    incident: Incident
    ladder: Ladder

    def with_(self, **fields: object) -> Case:
        """The case with fields of its incident changed."""
        return replace(self, incident=replace(self.incident, **fields))  # type: ignore[arg-type]

    @property
    def hold(self) -> Hold | None:
        return self.ladder.hold


@dataclass(frozen=True)
class Change:
    """What a decision wants written, all in one transaction: the new case, the timeline, what is owed, what no longer is."""

    case: Case
    notes: tuple[Note, ...] = ()
    owed: tuple[Owed, ...] = ()
    dropped: tuple[str, ...] = ()  # kinds of effects of this incident that are not wanted any more

    def then(self, other: Change) -> Change:
        """This change followed by one that was decided on its case."""
        return Change(other.case, self.notes + other.notes, self.owed + other.owed, self.dropped + other.dropped)


def clock_time(at: datetime) -> str:
    """An instant as the timeline writes it: `14:05:09 UTC`."""
    return f"{at:%H:%M:%S} UTC"


def told(case: Case | None) -> Case:
    """The case of an effect that belongs to an incident. Raises LookupError for one that does not: a bug."""
    if case is None:
        raise LookupError("this effect belongs to no incident")
    return case


def in_room(case: Case | None) -> tuple[Incident, str]:
    """(incident, channel) of an effect that waits for the room. Raises LookupError when there is none: a bug."""
    incident = told(case).incident
    if incident.room is None:
        raise LookupError(f"{incident.id} has no room yet")
    return incident, incident.room
