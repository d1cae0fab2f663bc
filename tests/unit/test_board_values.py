"""The board as values: budgets, rungs, troubles, and when it looks different by itself."""

from datetime import datetime, timedelta

import pytest

from bot import board as boards
from bot.assessment import Reading
from bot.clock import Pace
from bot.escalation import hold
from bot.incident import Impact, Role, Status
from bot.lifecycle import assign, resolve, set_status
from bot.owed import Effect
from bot.rules import Case, Rules
from tests.unit.given import ANA, MINUTE, NOW, declared, rules

RULES = rules()


def board(case: Case, now: datetime = NOW, rules_: Rules = RULES, troubled: tuple[Effect, ...] = ()) -> boards.Board:
    return boards.build(case, (), troubled, None, rules_, now)


def hit(bad_at: datetime = NOW, green_at: datetime | None = None) -> Case:
    return declared().with_(impact={"database": Impact(bad_at, green_at, seen=True)})


@pytest.mark.parametrize(("seconds", "green", "used", "state"), [
    (0, False, 0, "running"),
    (29, False, 0, "running"),
    (30, False, 1, "running"),
    (300, False, 10, "running"),
    (301, False, 10, "over"),
    (9999, False, 10, "over"),
    (299, True, 9, "kept"),
    (300, True, 10, "kept"),
    (301, True, 10, "missed"),
])  # fmt: skip
def test_a_budget_is_a_bar_of_ten_cells(seconds: int, green: bool, used: int, state: str) -> None:
    """An RTO of 5 minutes: a cell each 30 s, over only beyond it, and a verdict once it is green."""
    end = NOW + timedelta(seconds=seconds)
    (budget,) = board(hit(green_at=end if green else None), now=end).budgets
    assert (budget.service, budget.used, budget.state, budget.rto) == ("Database", used, state, "5 min")


def test_a_resolved_incident_has_stopped_its_clocks() -> None:
    """After resolving, a bar that never turned green ends at that instant, kept or missed."""
    over = resolve(hit(), ANA, "", RULES, NOW + 4 * MINUTE).case
    (budget,) = board(over, NOW + 400 * MINUTE).budgets
    assert (budget.state, budget.took, budget.green) == ("kept", "4 min", False)
    assert board(over, NOW + 400 * MINUTE).since == "4 min"


def test_what_has_no_rto_has_no_bar() -> None:
    """A service that the estate gives no time has no budget and causes no redrawing."""
    case = declared().with_(impact={"cdn": Impact(NOW)})
    assert (board(case).budgets, boards.next_look(case, RULES, NOW)) == ((), None)


def test_an_rto_of_nothing_is_used_up_at_once() -> None:
    """An RTO of zero is a full bar, over after the first moment, and never divides by zero."""
    strict = rules(rto={"database": timedelta(0)})
    (budget,) = board(hit(), NOW + MINUTE, strict).budgets
    assert (budget.used, budget.state) == (10, "over")
    assert boards.next_look(hit(), strict, NOW) is None


@pytest.mark.parametrize(
    ("seconds", "next_seconds"), [(0, 30), (29.9, 30), (30.1, 60), (299, 300), (300.05, None), (900, None)]
)
def test_it_is_drawn_again_at_each_cell(seconds: float, next_seconds: float | None) -> None:
    """The next look is just after the next cell, until the bar is full; then nothing changes by itself."""
    look = boards.next_look(hit(), RULES, NOW + timedelta(seconds=seconds))
    assert look == (None if next_seconds is None else NOW + timedelta(seconds=next_seconds, milliseconds=50))


def test_each_look_sees_another_bar() -> None:
    """Following its own next looks, the board draws every cell once, sees the end, and then rests."""
    now: datetime | None = NOW
    seen = []
    while now is not None:
        (budget,) = board(hit(), now).budgets
        seen.append((budget.used, budget.state))
        now = boards.next_look(hit(), RULES, now)
    assert seen == [*((cells, "running") for cells in range(10)), (10, "over")]


@pytest.mark.parametrize("case", [hit(green_at=NOW), resolve(hit(), ANA, "", RULES, NOW).case])
def test_what_is_over_is_not_drawn_again(case: Case) -> None:
    """Green services and resolved incidents have no clock that runs."""
    assert boards.next_look(case, RULES, NOW + MINUTE) is None


def test_the_ladder_shows_now_next_and_hold() -> None:
    """The rung now is the highest that has fired, the next one is named unless it stands still; a hold until it is over."""
    case = hold(declared(), ANA, 5 * MINUTE, "vendor", RULES, NOW).case
    shown = board(case)
    assert shown.rung_now is not None
    assert shown.next_rung is not None
    assert (shown.rung_now.level, shown.next_rung.level, shown.next_rung.due_at) == (1, 2, NOW + 20 * MINUTE)
    assert shown.hold is not None
    assert board(case, NOW + 5 * MINUTE).hold is None
    still = set_status(case, Status.MONITORING, ANA, "", RULES, NOW).case
    assert board(still).next_rung is None


def test_lateness_and_age_are_in_the_minutes_of_the_rules() -> None:
    """On a practice clock the board speaks of the rules' minutes, and says that it is practice."""
    quick = rules(pace=Pace(6.0))
    shown = board(declared(rules_=quick), NOW + timedelta(seconds=60), quick)
    assert (shown.since, shown.practice) == ("10 min", True)


def effect(kind: str, state: str, error: str | None) -> Effect:
    return Effect(3, 7, kind, "l", "k", {}, state, 2, NOW, NOW, error, None, NOW)  # type: ignore[arg-type]


def test_troubles_are_named_for_people() -> None:
    """What failed or is late has a title; inner kinds are not shown."""
    troubled = (
        effect("page.open", "failed", "PagerDuty refuses"),
        effect("room.pin", "waiting", None),
        effect("ladder", "failed", "x"),
    )
    shown = board(declared(), troubled=troubled).troubles
    assert [(t.effect, t.what, t.why, t.failed, t.attempts) for t in shown] == [
        (3, "Page the on-call through PagerDuty", "PagerDuty refuses", True, 2),
        (3, "Pin the board", "", False, 2),
    ]


def test_commander_and_readings_are_passed_on() -> None:
    """Who leads, and what was read, are as the case and the probes say."""
    case = assign(declared(), Role.COMMANDER, ANA, ANA, NOW).case
    read = Reading("api-health", "api", "ok", "200", NOW, NOW)
    shown = boards.build(case, (read,), (), None, RULES, NOW, {"api-health": "API health"})
    assert (shown.commander, shown.readings, shown.titles) == (ANA, (read,), {"api-health": "API health"})
