"""The board: everything that a person who has just woken up must see, as values. handlers/board.py draws it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.assessment import Reading
from bot.clock import spoken
from bot.incident import Ack, Incident, Person, Role, Scenario
from bot.ladder import Hold
from bot.notices import ClockLine, clocks, running
from bot.owed import TITLES, Effect
from bot.rules import Case, Rules

BAR_CELLS = 10


@dataclass(frozen=True)
class Budget:
    """How much of a service's RTO is used: `used` of BAR_CELLS cells. `state`: running, over, kept or missed.

    `green` = a reading saw it turn green; else it ended because people said so.
    """

    service: str
    used: int
    state: str
    took: str
    rto: str
    green: bool


@dataclass(frozen=True)
class RungLine:
    """A rung for the eye: its instant, and how it stands."""

    level: int
    title: str
    due_at: datetime
    state: str
    late_by: str


@dataclass(frozen=True)
class Trouble:
    """Something owed that did not happen: `failed` needs a person, otherwise it is tried again."""

    effect: int
    what: str
    why: str
    failed: bool
    attempts: int


@dataclass(frozen=True)
class Board:
    """All of it."""

    incident: Incident
    practice: bool
    budgets: tuple[Budget, ...]
    commander: Person | None
    acks: tuple[Ack, ...]
    rungs: tuple[RungLine, ...]
    next_rung: RungLine | None
    hold: Hold | None
    readings: tuple[Reading, ...]
    titles: Mapping[str, str]
    troubles: tuple[Trouble, ...]
    likely: Scenario | None
    since: str
    clocks: tuple[ClockLine, ...] = ()

    @property
    def rung_now(self) -> RungLine | None:
        return max((r for r in self.rungs if r.state == "fired"), key=lambda r: r.level, default=None)


def build(
    case: Case,
    readings: Sequence[Reading],
    troubled: Iterable[Effect],
    likely: Scenario | None,
    rules: Rules,
    now: datetime,
    titles: Mapping[str, str] | None = None,
) -> Board:
    """The board of `case` at `now`. `titles` name the probes."""
    incident = case.incident
    rungs = tuple(
        RungLine(
            rung.level, rules.rung(rung.level).title, rung.due_at, rung.state,
            spoken(rules.pace.told(rung.late_by)) if rung.late_by else "",
        )
        for rung in case.ladder.rungs
    )  # fmt: skip
    climbing = case.ladder.stopped_at is None
    waiting = [r for r in rungs if r.state == "waiting"]
    end = incident.resolved_at or now
    return Board(
        incident=incident,
        practice=rules.pace.practice,
        budgets=tuple(_budgets(incident, rules, end)),
        commander=incident.roles.get(Role.COMMANDER),
        acks=incident.acks,
        rungs=rungs,
        next_rung=waiting[0] if waiting and climbing else None,
        hold=case.hold if case.hold is not None and case.hold.until > now else None,
        readings=tuple(readings),
        titles=titles or {},
        troubles=tuple(_trouble(effect) for effect in troubled if effect.kind in TITLES and _lasting(effect)),
        likely=likely,
        since=spoken(rules.pace.told(end - incident.started_at)),
        clocks=clocks(incident, rules, now),
    )


def _budgets(incident: Incident, rules: Rules, end: datetime) -> Iterable[Budget]:
    for service, hit in incident.impact.items():
        rto = rules.rto.get(service)
        if rto is None:
            continue
        took = (hit.green_at or end) - hit.bad_at
        used = min(BAR_CELLS, int(BAR_CELLS * (took / rto))) if rto else BAR_CELLS
        over = took > rto
        words = ("kept", "missed") if hit.green_at is not None or not incident.status.open else ("running", "over")
        state = words[over]
        title, told = rules.titles.get(service, service), rules.pace.told
        yield Budget(title, used, state, spoken(told(took)), spoken(told(rto)), hit.green_at is not None)


def _lasting(effect: Effect) -> bool:
    """One try that is repeated in a moment is no news."""
    return effect.state == "failed" or effect.attempts >= 2


def _trouble(effect: Effect) -> Trouble:
    what = TITLES[effect.kind]
    return Trouble(effect.id, what, effect.error or "", effect.state == "failed", effect.attempts)


def next_look(case: Case, rules: Rules, now: datetime) -> datetime | None:
    """When the board looks different by itself: at each cell of a budget until it is used up, and each hour of a
    notification clock. None = never again."""
    incident = case.incident
    hour = rules.pace.wait(timedelta(hours=1))
    instants = []
    if incident.aware_at is not None and running(incident):
        instants.append(incident.aware_at + hour * (int((now - incident.aware_at) / hour) + 1))
    if not incident.status.open:
        return min(instants, default=None)
    for service, hit in case.incident.impact.items():
        rto = rules.rto.get(service)
        if rto is None or hit.green_at is not None or not rto:
            continue
        cell = rto / BAR_CELLS
        passed = int((now - hit.bad_at) / cell)
        if passed < BAR_CELLS:
            instants.append(hit.bad_at + cell * (passed + 1) + timedelta(milliseconds=50))
    return min(instants, default=None)
