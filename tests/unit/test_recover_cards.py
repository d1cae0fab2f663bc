"""The cards of recovery at their longest and emptiest: taken by Slack, mentioning nobody, never without their buttons."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from actions import CATALOGUE
from actions.node_recover import Recover
from actions.redis_restart import Restart
from bot.action import Finding, Findings, Offer, Risk
from bot.assessment import Verdict
from bot.catalogue import Catalogue
from bot.chat import AssessmentCard, FindingsCard, LineCard, RunCard
from bot.incident import Person, Scenario
from bot.run import OUTCOME, Run, RunState, Shown, StepRow, StepState, Vote
from bot.runcard import facts_of
from handlers.cards import draw
from tests.unit.given import ANA, MALICE, NOW
from tests.unit.slack_text import mentions_nobody, taken_by_slack
from tests.unit.test_cards import buttons

LONGEST = ("x" * 3000, "&" * 3000, "<" * 3000, MALICE * 30, "\n" * 3000, "é" * 3000, "")
ENDED = sorted(OUTCOME)
LIVE = [RunState.RUNNING, RunState.WAITING, RunState.UNDOING]
STEPS = list(StepState)

Drawn = tuple[str, list[dict[str, Any]]]


def steps(text: str, count: int, *states: StepState) -> tuple[StepRow, ...]:
    return tuple(
        StepRow(
            n, text or f"Step {n}", n % 2 == 0, text, states[n % len(states)], text, NOW, NOW + timedelta(seconds=n)
        )
        for n in range(count)
    )


def run(text: str, count: int, state: RunState, *states: StepState) -> Run:
    planned = [{"title": s.title, "undoable": s.undoable, "no_return": s.no_return} for s in steps(text, count, *STEPS)]
    change = {"what": text[:300], "old": text, "new": text}
    notes = [text] * count
    plan = Shown([change] * count, {}, notes, planned, text, 3.0, text, 3600.0, notes)
    return Run(
        number=7, incident=7, action="database.failover", title=text, parameters={}, words={"database": text} if text else {},
        risk=Risk.HIGH, target=text or "t", locks=("t",), requester=ANA, state=state, requested_at=NOW, planned_at=NOW,
        expires_at=NOW + timedelta(minutes=10), plan=plan, digest="0" * 64,
        votes=tuple(Vote(Person("", text[:80] or "p"), NOW, text[:500]) for _ in range(min(count, 5))),
        steps=steps(text, count, *(states or STEPS)), outcome=text, started_at=None if state is RunState.PROPOSED else NOW,
        ended_at=NOW + timedelta(milliseconds=400) if state.ended else None,
    )  # fmt: skip


def card(run_: Run, text: str = "", *, progress: bool) -> RunCard:
    facts = [(f"fact {n}", text) for n in range(len(run_.steps))]
    return RunCard(run_, "INC-7", facts, text, text, text or "one approver", True, practice=True, progress=progress)


def action_list(text: str, count: int) -> LineCard:
    rows = [
        {"name": f"levers.pull-{n}", "title": text, "risk": str(list(Risk)[n % 4]), "usual": "5 min", "number": 7}
        for n in range(count)
    ]
    return LineCard("actions", {"actions": rows, "scenario": "database", "practice": True})


def sound(drawn: Drawn) -> None:
    taken_by_slack(drawn)
    mentions_nobody(drawn)


@pytest.mark.parametrize("text", LONGEST, ids=range(len(LONGEST)))
@pytest.mark.parametrize("count", [0, 1, 30])
def test_a_plan_can_always_be_decided(text: str, count: int) -> None:
    """However much a plan says, it is taken whole, and everything that decides about it is on it."""
    drawn = draw(card(run(text, count, RunState.PROPOSED), text, progress=False))
    sound(drawn)
    assert buttons(drawn) == {"recover_approve", "recover_reject", "recover_override"}
    assert "did not fit" not in str(drawn)


@pytest.mark.parametrize("text", LONGEST, ids=range(len(LONGEST)))
@pytest.mark.parametrize("count", [0, 1, 30])
@pytest.mark.parametrize("state", [*LIVE, *ENDED])
def test_progress_is_taken_in_every_state(state: RunState, text: str, count: int) -> None:
    """Under way or ended, however it ended: taken by Slack whole, mentions nobody, and says the one word for it."""
    drawn = draw(card(run(text, count, state), text, progress=True))
    sound(drawn)
    assert "did not fit" not in str(drawn)
    assert OUTCOME.get(state, "") in drawn[0]


@pytest.mark.parametrize("state", [s for s in RunState if s not in LIVE])
def test_a_plan_is_taken_in_every_state(state: RunState) -> None:
    """The plan's card stays in the room: only while it waits for approval has it buttons."""
    drawn = draw(card(run(MALICE * 30, 30, state), MALICE, progress=False))
    sound(drawn)
    assert bool(buttons(drawn)) == (state is RunState.PROPOSED)


@pytest.mark.parametrize("text", LONGEST, ids=range(len(LONGEST)))
@pytest.mark.parametrize("offers", [0, 1, 5, 9])
@pytest.mark.parametrize("count", [0, 1, 50])
def test_findings_are_taken(text: str, offers: int, count: int) -> None:
    """Fifty findings, each with more to do about it than fits: taken, and what is left out is counted."""
    offered = [Offer(text[:200] or "Plan", "database.cancel", {"pid": str(n)}, Risk.CRITICAL) for n in range(offers)]
    drawn = draw(
        FindingsCard("database.assess", Findings(text, [Finding(text, offered)] * count), "7", True, NOW, "U0ANA")
    )
    sound(drawn)
    assert "did not fit" not in str(drawn)
    shown = sum(block["type"] == "actions" for block in drawn[1])
    if count == 50 and offers:
        assert f"and {count - shown} more" in str(drawn)


@pytest.mark.parametrize("text", LONGEST, ids=range(len(LONGEST)))
@pytest.mark.parametrize("count", [0, 1, 30])
def test_the_list_of_actions_is_taken(text: str, count: int) -> None:
    """Thirty actions with whatever titles, a button each."""
    drawn = draw(action_list(text, count))
    sound(drawn)
    assert sum("accessory" in block for block in drawn[1]) == count


def test_findings_keep_their_order() -> None:
    """Who waits stands below whom it waits for, hanging, and the buttons right below their finding."""
    cancel = Offer("Cancel 1", "database.cancel", {"pid": "1"})
    seen = Findings("two", [Finding("1 holds", (cancel,)), Finding("    2 waits"), Finding("        3 waits")])
    blocks = draw(FindingsCard("database.blockers", seen, "7", False, NOW, "U0ANA"))[1]
    assert [b["type"] for b in blocks] == ["section", "section", "actions", "section"]
    assert blocks[3]["text"]["text"] == "\u2003↳ 2 waits\n\u2003\u2003↳ 3 waits"


def test_the_step_under_way_is_seen_among_thirty() -> None:
    """When it is too much, what is done keeps only its title: the detail that changes is never the one that is cut."""
    done = steps("t" * 300, 30, StepState.DONE)
    begun = replace(done[29], title="Now", state=StepState.BEGUN, detail="12 of 30 GB", ended_at=None)
    drawn = draw(card(replace(run("", 30, RunState.RUNNING), steps=(*done[:29], begun)), progress=True))
    assert "12 of 30 GB" in str(drawn)
    assert buttons(drawn) == {"recover_stop"}


@pytest.mark.parametrize(("state", "steps_", "ids"), [
    (RunState.RUNNING, (StepState.BEGUN,), {"recover_stop"}),
    (RunState.WAITING, (StepState.BEGUN,), {"recover_stop", "recover_done"}),
    (RunState.UNDOING, (StepState.UNDOING,), set()),
    (RunState.FAILED, (StepState.FAILED,), {"recover_undo"}),
    (RunState.SUCCEEDED, (StepState.DONE,), {"recover_undo"}),
    (RunState.UNDONE, (StepState.UNDONE,), set()),
    (RunState.STOPPED, (StepState.WAITING,), set()),
])  # fmt: skip
def test_progress_offers_what_is_possible_now(state: RunState, steps_: tuple[StepState, ...], ids: set[str]) -> None:
    """Stop while it runs, Done while it waits, Undo while something stands that can be undone; no others."""
    assert buttons(draw(card(run("", 1, state, *steps_), progress=True))) == ids


def test_stop_says_when_it_stops() -> None:
    """After the step that is under way; at once while the run waits for people."""
    for state, label in ((RunState.RUNNING, "Stop after this step"), (RunState.WAITING, "Stop")):
        assert label in labels(draw(card(run("", 1, state, StepState.BEGUN), progress=True)))


def test_past_a_point_of_no_return_there_is_no_undo() -> None:
    """The second step cannot be undone: once begun, Undo is not offered."""
    assert not buttons(draw(card(run("", 2, RunState.FAILED, StepState.DONE, StepState.FAILED), progress=True)))


def labels(drawn: Drawn) -> dict[str, str]:
    """Style by label of every button, in order."""
    elements = [e for b in drawn[1] for e in [*b.get("elements", []), *([b["accessory"]] if "accessory" in b else [])]]
    return {e["text"]["text"]: e.get("style", "") for e in elements if e.get("type") == "button"}


def test_a_button_shows_the_risk_of_its_action() -> None:
    """On the assessment, beside a finding and in the list: a mark first, red for critical, and what the marks mean."""
    names = ["database.assess", "database.cancel", "database.failover", "database.restore"]
    offers = [Offer(n, n, risk=r) for n, r in zip(names, Risk, strict=True)]
    wanted = {
        ":eyes: database.assess": "", ":large_blue_circle: database.cancel": "",
        ":large_orange_circle: database.failover": "", ":red_circle: database.restore": "danger",
    }  # fmt: skip
    assessment = draw(AssessmentCard("INC-7", [], Verdict(Scenario.DATABASE, ()), {}, True, offers=offers))
    assert labels(assessment) == wanted
    assert ":large_blue_circle: low · :large_orange_circle: high · :red_circle: critical" in str(assessment)
    findings = Catalogue(CATALOGUE).rated(Findings("seen", [Finding("line", [Offer(n, n) for n in names])]))
    assert labels(draw(FindingsCard("x", findings, "7", True, NOW, ANA.id))) == wanted
    drawn = labels(draw(action_list("text", 4)))
    assert drawn == {
        ":eyes: Look": "", ":large_blue_circle: Plan": "", ":large_orange_circle: Plan": "", ":red_circle: Plan": "danger",
    }  # fmt: skip
    assert max(map(len, drawn)) <= 30


def test_identities_are_short_and_the_plan_is_named() -> None:
    """Nobody reads a UID: its beginning is shown, of many their number. The digest, which covers all of them, stands behind."""
    uids = [f"{n}a5eb1e5-0000-4000-8000-00000000000{n}" for n in range(3)]
    plan = run("", 1, RunState.PROPOSED).plan
    assert plan is not None
    node = {
        "node": "node-1",
        "uid": uids[0],
        "provider": "aws:///us-east-1a/i-0abc",
        "ready_elsewhere": 3,
        "known": uids,
    }
    shown = replace(run("", 1, RunState.PROPOSED), plan=replace(plan, facts=node))
    assert facts_of(shown, Recover) == [
        ("node", "node-1"), ("uid", "0a5eb1e5…"), ("provider", "aws:///us-east-1a/i-0abc"), ("ready elsewhere", "3"),
        ("known", "3 identities"),
    ]  # fmt: skip
    redis = {"cache": "redis", "uid": uids[1], "pods": {"redis-0": uids[2]}}
    facts = facts_of(replace(shown, plan=replace(plan, facts=redis)), Restart)
    assert facts == [("cache", "redis"), ("uid", "1a5eb1e5…"), ("pods", "redis-0 2a5eb1e5…")]
    _, blocks = draw(replace(card(shown, progress=False), facts=facts))
    said = [e["text"] for b in blocks if b["type"] == "context" for e in b["elements"]]
    assert "pods *redis-0 2a5eb1e5…*; all of it is plan `000000000000`" in said[0]
