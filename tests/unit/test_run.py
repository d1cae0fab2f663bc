"""Runs and their approvals, decided: a model test over any order of clicks, and the sentences of the refusals."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import run as runs
from bot.action import Risk
from bot.clock import Pace
from bot.errors import NotAllowed, RecoveryError
from bot.incident import Person, Severity
from bot.rules import run_rules_of
from bot.run import Run, RunState, Shown
from tests.unit.given import NOW, estate

RULES = run_rules_of(estate(), Pace())
PEOPLE = [Person(f"U{n}", f"P{n}") for n in range(4)]
DIGESTS = ["one", "two"]

plans = st.tuples(st.just("plan"), st.sampled_from(DIGESTS))
yeses = st.tuples(st.just("approve"), st.sampled_from(PEOPLE), st.sampled_from(["", *DIGESTS]))
noes = st.tuples(st.just("reject"), st.sampled_from(PEOPLE))
glass = st.tuples(st.just("override"), st.sampled_from(PEOPLE), st.sampled_from(list(Severity)))
waits = st.tuples(st.just("wait"), st.integers(1, 400))


def asked(risk: Risk) -> Run:
    return Run(
        number=1, incident=1, action="levers.pull", title="Pull", parameters={}, words={}, risk=risk, target="x", locks=("x",),
        requester=PEOPLE[0], state=RunState.PLANNING, requested_at=NOW,
    )  # fmt: skip


def shown() -> Shown:
    step = {"title": "Pull", "undoable": True, "no_return": ""}
    return Shown([], {}, [], [step], "", None, "", None)


@given(
    st.sampled_from([Risk.LOW, Risk.HIGH, Risk.CRITICAL]),
    st.lists(st.one_of(plans, yeses, yeses, noes, glass, waits), max_size=30),
)
def test_there_is_no_way_to_a_run_without_its_quorum(risk: Risk, clicks: list[tuple[object, ...]]) -> None:
    """Whatever the order: it begins only with the quorum of fresh, distinct, entitled yeses to the plan that stands, in
    time; or by break-glass of the requester, late enough, on P0 or P1, when nobody else said yes."""
    run, now = asked(risk), NOW
    yes: dict[str, str] = {}
    planned, digest = NOW, ""
    for what, *more in clicks:
        before = run
        try:
            run = _click(run, str(what), more, now)
        except RecoveryError:
            assert run is before
            continue
        if what == "wait":
            now += timedelta(seconds=int(str(more[0])))
        if what == "plan" and run is not before:
            yes, planned, digest = {}, now, str(more[0])
        if what == "approve":
            who, bound = more
            assert isinstance(who, Person)
            assert bound in ("", digest)
            assert now < planned + RULES.expiry
            assert who.id not in yes
            assert who.id != PEOPLE[0].id or risk is Risk.LOW
            yes[who.id] = digest
        if what == "override":
            who, severity = more
            assert who == PEOPLE[0]
            assert severity in ("P0", "P1")
            assert now >= planned + RULES.break_glass_after
            assert not yes
            break
        if run.state is RunState.PROPOSED and runs.left(run, RULES) == 0:
            assert len(yes) >= RULES.quorums[risk].votes
            break
        if run.state is RunState.REJECTED:
            break


def _click(run: Run, what: str, more: list[object], now: datetime) -> Run:
    match what, more:
        case "plan", [str(digest)] if run.state in (RunState.PLANNING, RunState.PROPOSED):
            return runs.proposed(run, shown(), digest, RULES, now)
        case "approve", [Person() as who, str(digest)]:
            return runs.approve(run, who, digest, RULES, now)
        case "reject", [Person() as who]:
            return runs.reject(run, who, "no", now)
        case "override", [Person() as who, Severity() as severity]:
            return runs.override(run, who, "why", severity, RULES, now)
    return run


@given(st.integers(0, 1200))
def test_it_expires_exactly_when_it_says(seconds: int) -> None:
    """Not a second early; from the instant on, always."""
    run = runs.proposed(asked(Risk.HIGH), shown(), "one", RULES, NOW)
    over = runs.expire(run, NOW + timedelta(seconds=seconds))
    assert (over is not None) == (seconds >= 600)


def test_a_plan_made_anew_voids_what_was_said() -> None:
    """Earlier yeses do not count for another plan."""
    run = runs.proposed(asked(Risk.CRITICAL), shown(), "one", RULES, NOW)
    run = runs.approve(run, PEOPLE[1], "one", RULES, NOW)
    assert runs.left(run, RULES) == 1
    run = runs.proposed(run, shown(), "two", RULES, NOW)
    assert (runs.left(run, RULES), run.votes) == (2, ())


@pytest.mark.parametrize("risk", [Risk.LOW, Risk.HIGH, Risk.CRITICAL])
def test_a_plan_that_only_an_override_starts_takes_no_approval(risk: Risk) -> None:
    """Whoever approves reads why; the requester may break the glass with a reason, after the same wait."""
    why = "The DR site is not healthy (HTTP 503)."
    run = runs.proposed(asked(risk), replace(shown(), only_override=why), "one", RULES, NOW)
    for person in PEOPLE:
        with pytest.raises(NotAllowed, match=r"does not suffice for RUN-1: The DR site is not healthy \(HTTP 503\)\."):
            runs.approve(run, person, "one", RULES, NOW)
    with pytest.raises(RecoveryError):
        runs.override(run, PEOPLE[0], "gone", Severity.P0, RULES, NOW)
    later = NOW + RULES.break_glass_after
    with pytest.raises(NotAllowed):
        runs.override(run, PEOPLE[1], "gone", Severity.P0, RULES, later)
    assert runs.left(runs.override(run, PEOPLE[0], "gone", Severity.P0, RULES, later), RULES) == 0


def test_a_neighbour_that_asks_to_wait_is_given_its_time() -> None:
    """Each pause is longer than the one before; what a neighbour asks for is kept, but no run waits for hours."""
    assert [runs.pause(tries, None) for tries in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert [runs.pause(2, asked) for asked in (0, 1, 7, 3600)] == [2, 2, 7, 60]
