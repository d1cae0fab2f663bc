"""What climbing, acknowledging, holding and proof decide, and what each owes."""

from datetime import timedelta

import pytest

from bot import ladder as ladders
from bot.clock import Pace
from bot.errors import NotNow
from bot.escalation import acknowledge, begin_ladder, change_severity, climb, escalate, hold, prove, resume, unproven
from bot.incident import Ack, Person, Severity, Status
from bot.lifecycle import reopen, resolve, set_status
from bot.rules import Case, Change
from tests.unit.given import ANA, BEN, MINUTE, NOW, declared, kinds, lines, notes, rules

RULES = rules()


def by_ana(via: str = "slack", seconds: float = 0) -> Ack:
    return Ack(ANA, NOW + timedelta(seconds=seconds), via)


def monitoring(case: Case) -> Case:
    return set_status(case, Status.MONITORING, ANA, "", RULES, NOW).case


def test_a_rung_pages_proves_invites_and_says_who_is_called() -> None:
    """Each rung owes the page, its proof at its time, the invitation, a line and the board; rung 1 opens, later ones add."""
    first = begin_ladder(declared(), RULES, NOW)
    assert kinds(first) == ["page.open", "page.proof", "room.invite", "say", "board"]
    second = climb(declared(), RULES, NOW + 15 * MINUTE)
    assert kinds(second) == ["page.add", "page.proof", "room.invite", "say", "board"]
    proof = second.owed[1]
    assert proof.due_at == NOW + 15 * MINUTE + RULES.proof_within
    assert dict(second.owed[3].args) == {
        "line": "rung", "level": 2, "title": "Rung 2 people", "why": "15 minutes have passed.", "late_by": "",
    }  # fmt: skip
    assert second.notes[0].text == "Rung 2: Rung 2 people is called (15 minutes have passed.)"


def test_lateness_is_told_in_the_minutes_of_the_rules() -> None:
    """On a practice clock of 6 seconds a minute, a rung that comes 30 real seconds late is 5 minutes late."""
    quick = rules(rungs=tuple(RULES.rungs), pace=Pace(6.0))
    change = climb(declared(), quick, NOW + 15 * MINUTE + timedelta(seconds=30))
    assert change.owed[3].args["late_by"] == "5 min"
    assert change.notes[0].text.endswith("late by 5 min")


@pytest.mark.parametrize("severity", [Severity.P0, Severity.P1])
def test_an_ack_does_not_hold_the_grave_ones(severity: Severity) -> None:
    """On P0 and P1 an acknowledgement is written down and the ladder goes on as it was."""
    case = declared(severity)
    change = acknowledge(case, by_ana(), RULES, NOW)
    assert change.case.ladder == case.ladder
    assert change.case.incident.acks == (by_ana(),)
    assert notes(change) == ["acknowledged", "page_proven"]
    assert kinds(change) == ["say", "board", "announce", "page.ack"]
    assert change.owed[0].args["holds"] is False


def test_an_ack_holds_a_p2_until_it_times_out_and_then_it_goes_on() -> None:
    """P2: held for the ack timeout; after it the room hears so, and each rung comes that much later."""
    change = acknowledge(declared(Severity.P2), by_ana(), RULES, NOW + 10 * MINUTE)
    held = change.case
    assert held.hold == ladders.Hold(NOW + 10 * MINUTE, NOW + 40 * MINUTE, "Ana Ortiz", "acknowledged")
    assert climb(held, RULES, NOW + 40 * MINUTE - timedelta(microseconds=1)).owed == ()
    over = climb(held, RULES, NOW + 40 * MINUTE)
    assert (notes(over), lines(over), over.case.hold) == (["hold_over"], ["hold_over"], None)
    assert [n.data.get("level") for n in climb(over.case, RULES, NOW + 45 * MINUTE).notes] == [2]
    both = climb(held, RULES, NOW + 45 * MINUTE)
    assert notes(both) == ["hold_over", "rung"]


def test_an_ack_keeps_a_longer_hold() -> None:
    """A hold of two hours, asked for with a reason, is not cut to half an hour by an acknowledgement."""
    held = hold(declared(Severity.P2), BEN, timedelta(hours=2), "vendor works on it", RULES, NOW).case
    assert acknowledge(held, by_ana(), RULES, NOW).case.ladder == held.ladder


def test_a_p3_has_no_ladder() -> None:
    """Nobody is called, an ack reaches no pager, and there is nothing to climb or hold."""
    case = declared(Severity.P3)
    assert case.ladder.rungs == ()
    change = acknowledge(case, by_ana(), RULES, NOW)
    assert (notes(change), "page.ack" in kinds(change)) == (["acknowledged"], False)
    with pytest.raises(NotNow, match=r"INC-7 is P3 and has no ladder. Raise its severity to P2 or above first."):
        escalate(case, ANA, "", RULES, NOW)
    with pytest.raises(NotNow, match="has no ladder"):
        hold(case, ANA, MINUTE, "why", RULES, NOW)


@pytest.mark.parametrize(
    ("via", "seconds", "again"), [("slack", 4.9, False), ("slack", 5.0, True), ("pagerduty", 0, True)]
)
def test_an_ack_that_arrives_twice_counts_once(via: str, seconds: float, again: bool) -> None:
    """The same person by the same way within 5 seconds is one acknowledgement: a webhook and a poll may both bring it."""
    case = acknowledge(declared(), by_ana(), RULES, NOW).case
    change = acknowledge(case, by_ana(via, seconds), RULES, NOW)
    assert bool(change.notes) is again
    assert len(change.case.incident.acks) == 1 + again


def test_an_ack_after_reopening_is_an_ack_of_its_own() -> None:
    """What the second round owes has other keys than the first: it is said and sent again."""
    first = acknowledge(declared(), by_ana(), RULES, NOW)
    again = reopen(resolve(first.case, ANA, "", RULES, NOW).case, ANA, "not over", RULES, NOW)
    second = acknowledge(again.case, by_ana(), RULES, NOW)
    assert not {o.key for o in first.owed if not o.standing} & {o.key for o in second.owed if not o.standing}


def test_an_ack_from_the_pager_is_not_sent_back_to_it() -> None:
    """What PagerDuty told us is not told to PagerDuty; somebody unknown to Slack is named."""
    change = acknowledge(declared(), Ack(Person("", "Olga"), NOW, "pagerduty"), RULES, NOW)
    assert "page.ack" not in kinds(change)
    assert (change.notes[0].actor, change.notes[0].actor_name) == ("pagerduty", "Olga")


def test_a_private_incident_is_never_announced() -> None:
    """No acknowledgement and no severity of a private incident reaches the announce channel."""
    case = declared(Severity.P1, private=True)
    assert "announce" not in kinds(acknowledge(case, by_ana(), RULES, NOW))
    assert "announce" not in kinds(change_severity(case, Severity.P0, ANA, "", RULES, NOW))


def test_a_page_is_proven_once() -> None:
    """The first answer proves the newest rung; a second answer adds nothing; the next rung needs its own."""
    case = acknowledge(declared(), by_ana(), RULES, NOW).case
    assert case.incident.proofs == {"1/1": NOW}
    assert notes(acknowledge(case, Ack(BEN, NOW, "slack"), RULES, NOW)) == ["acknowledged"]
    assert prove(case, 1, NOW + MINUTE, "Ben").notes == ()
    higher = climb(case, RULES, NOW + 15 * MINUTE).case
    assert prove(higher, 2, NOW + 16 * MINUTE, "Chloe").case.incident.proofs["1/2"] == NOW + 16 * MINUTE


def test_no_proof_uses_the_second_way_once() -> None:
    """The room is told and direct messages are owed, once for a rung; a late answer still proves the page."""
    change = unproven(declared(), 1, "nobody was notified", RULES)
    assert (notes(change), lines(change)) == (["page_unproven"], ["no_proof"])
    assert kinds(change) == ["say", "tell.rung", "board"]
    assert change.owed[0].args["waited"] == "1 min"
    assert unproven(change.case, 1, "again", RULES) == Change(change.case)
    assert notes(prove(change.case, 1, NOW, "Ana")) == ["page_proven"]


@pytest.mark.parametrize("status", [Status.MONITORING, Status.RESOLVED])
def test_nobody_is_told_the_second_way_when_it_is_over(status: Status) -> None:
    """An incident that does not climb any more calls nobody, proof or not."""
    case = monitoring(declared())
    if status is Status.RESOLVED:
        case = resolve(case, ANA, "", RULES, NOW).case
    assert unproven(case, 1, "x", RULES) == Change(case)


def test_a_proven_page_is_never_unproven() -> None:
    """Whoever comes later with bad news of a rung that has answered changes nothing."""
    case = prove(declared(), 1, NOW, "Ana").case
    assert unproven(case, 1, "x", RULES) == Change(case)


def test_escalating_climbs_one_rung_and_leaves_the_others_alone() -> None:
    """The next rung fires at once with its reason; those above keep their instants; beyond the last there is a refusal."""
    change = escalate(declared(), ANA, "it burns", RULES, NOW + MINUTE)
    assert [r.state for r in change.case.ladder.rungs] == ["fired", "fired", "waiting", "waiting"]
    assert change.case.ladder.rungs[2].due_at == NOW + 30 * MINUTE
    assert [n.text for n in change.notes] == [
        "Escalated to rung 2: it burns",
        "Rung 2: Rung 2 people is called (Ana Ortiz escalated: it burns)",
    ]
    case = change.case
    for _ in range(2):
        case = escalate(case, ANA, "", RULES, NOW + MINUTE).case
    with pytest.raises(NotNow, match=r"INC-7 is on its last rung; everybody on the ladder has been called\."):
        escalate(case, ANA, "", RULES, NOW + MINUTE)
    with pytest.raises(NotNow, match=r"INC-7 has no rung left to hold\."):
        hold(case, ANA, MINUTE, "why", RULES, NOW + MINUTE)


def test_a_hold_is_in_the_minutes_of_the_rules_and_named() -> None:
    """15 minutes at 6 seconds a minute are 90 real seconds; the record says who and why."""
    quick = rules(pace=Pace(6.0))
    change = hold(declared(), ANA, 15 * MINUTE, "vendor", quick, NOW)
    assert change.case.hold == ladders.Hold(NOW, NOW + timedelta(seconds=90), "Ana Ortiz", "vendor")
    assert change.notes[0].text == "Ladder held for 15 min: vendor"
    back = resume(change.case, BEN, NOW + timedelta(seconds=30))
    assert (notes(back), lines(back)) == (["resumed"], ["resumed"])
    with pytest.raises(NotNow, match=r"The ladder of INC-7 is not held\."):
        resume(back.case, BEN, NOW)


@pytest.mark.parametrize("status", [Status.MONITORING, Status.RESOLVED])
def test_what_does_not_climb_cannot_be_climbed(status: Status) -> None:
    """While monitoring and after the end there is nothing to escalate or hold, and the answer says what to do."""
    case = monitoring(declared())
    if status is Status.RESOLVED:
        case = resolve(case, ANA, "", RULES, NOW).case
    with pytest.raises(
        NotNow, match=f"INC-7 is {status}; the ladder stands still. Set it to investigating or reopen it."
    ):
        escalate(case, ANA, "", RULES, NOW)
    with pytest.raises(NotNow, match="stands still"):
        hold(case, ANA, MINUTE, "why", RULES, NOW)


def test_the_end_cannot_be_acknowledged() -> None:
    """A resolved incident has nothing to acknowledge, and no severity to change before it is reopened."""
    case = resolve(declared(), ANA, "", RULES, NOW).case
    with pytest.raises(NotNow, match=r"INC-7 is resolved; there is nothing to acknowledge\."):
        acknowledge(case, by_ana(), RULES, NOW)
    with pytest.raises(NotNow, match=r"INC-7 is resolved; reopen it first\."):
        change_severity(case, Severity.P0, ANA, "", RULES, NOW)


def test_lowering_to_p3_stops_the_ladder_and_raising_goes_on() -> None:
    """P1 → P3 → P1: the time at P3 does not count; the same severity again is refused."""
    low = change_severity(declared(), Severity.P3, ANA, "not so bad", RULES, NOW + 5 * MINUTE)
    assert low.notes[0].text == "Severity P1 → P3: not so bad"
    assert low.case.ladder.wake_at is None
    high = change_severity(low.case, Severity.P1, ANA, "", RULES, NOW + 65 * MINUTE)
    assert high.case.ladder.waiting[0].due_at == NOW + 75 * MINUTE
    with pytest.raises(NotNow, match=r"INC-7 is P1 already\."):
        change_severity(high.case, Severity.P1, ANA, "", RULES, NOW)


def test_lowering_to_p3_withdraws_the_calls_and_an_ack_still_reaches_the_pager() -> None:
    """Of a P3 nobody is told the second way, and what has not left yet is dropped; the page that has left can be silenced."""
    low = change_severity(declared(), Severity.P3, ANA, "not so bad", RULES, NOW + MINUTE)
    assert set(low.dropped) == {"page.open", "page.add", "page.proof", "tell.rung", "tell"}
    assert unproven(low.case, 1, "nobody was notified", RULES) == Change(low.case)
    assert "page.ack" in kinds(acknowledge(low.case, by_ana(), RULES, NOW + 2 * MINUTE))


def test_raising_again_owes_what_was_withdrawn() -> None:
    """The rungs that were called are owed as they were, with the proof they lack; one that is proven needs none."""
    two = escalate(unproven(declared(), 1, "no answer", RULES).case, ANA, "it burns", RULES, NOW)
    low = change_severity(two.case, Severity.P3, ANA, "", RULES, NOW + MINUTE)
    again = change_severity(low.case, Severity.P1, ANA, "", RULES, NOW + 9 * MINUTE)
    assert kinds(again)[-4:] == ["page.open", "tell.rung", "page.add", "page.proof"]
    owed = {o.kind: o for o in again.owed}
    assert owed["page.add"] == next(o for o in two.owed if o.kind == "page.add")
    assert owed["page.proof"].due_at == NOW + 9 * MINUTE + RULES.proof_within
    proven = prove(low.case, 2, NOW, "Chloe").case
    assert kinds(change_severity(proven, Severity.P1, ANA, "", RULES, NOW))[-3:] == [
        "page.open",
        "tell.rung",
        "page.add",
    ]


def test_raising_a_p3_begins_its_ladder() -> None:
    """The first page of what was declared as P3 leaves when it is raised: at once, or when it stops being monitored."""
    low = declared(Severity.P3)
    assert "page.open" in kinds(change_severity(low, Severity.P1, ANA, "", RULES, NOW + 90 * MINUTE))
    raised = change_severity(monitoring(low), Severity.P1, ANA, "", RULES, NOW)
    assert "page.open" not in kinds(raised)
    back = set_status(raised.case, Status.INVESTIGATING, ANA, "", RULES, NOW + 9 * MINUTE)
    assert "page.open" in kinds(back)
    assert back.case.ladder.waiting[0].due_at == NOW + 24 * MINUTE


def test_raising_a_p2_ends_what_only_its_ack_held() -> None:
    """P2 → P1: an acknowledgement does not hold a P1, a person's hold does."""
    acked = acknowledge(declared(Severity.P2), by_ana(), RULES, NOW).case
    assert change_severity(acked, Severity.P1, ANA, "", RULES, NOW).case.hold is None
    asked = hold(declared(Severity.P2), ANA, MINUTE, "vendor", RULES, NOW).case
    assert change_severity(asked, Severity.P1, ANA, "", RULES, NOW).case.hold == asked.hold
