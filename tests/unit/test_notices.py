"""Notification clocks by tables: limits, reminders, corrections, and who was told."""

from datetime import timedelta

import pytest

from bot import notices
from bot.clock import Pace
from bot.errors import BadInput, NotNow
from bot.incident import Scenario
from bot.lifecycle import close
from bot.notice_drafts import OPEN, draft
from bot.rules import Case, NoticeRule, Rules, rules_of
from tests.unit.given import ANA, MALICE, NOW, declared, estate, lines, notes, rules

HOUR = timedelta(hours=1)
RULES = rules(notices=(NoticeRule("gdpr", "GDPR", 72 * HOUR), NoticeRule("ccpa", "CCPA", None)))


def breach(rules_: Rules = RULES) -> Case:
    return declared(rules_=rules_, scenario=Scenario.SECURITY, title="Unauthorized access")


def test_a_security_incident_is_aware_from_its_declaration() -> None:
    """The clocks start with it, the next look is at half of the shorter limit or after a day, and close waits for them."""
    case = breach()
    assert case.incident.aware_at == NOW
    assert {n: d.due_at for n, d in case.incident.duties.items()} == {"gdpr": NOW + 72 * HOUR, "ccpa": None}
    assert notices.next_at(case.incident, RULES) == NOW + 24 * HOUR
    with pytest.raises(NotNow, match="notified gdpr"):
        close(case, ANA, RULES, NOW)


def test_other_incidents_have_no_clocks() -> None:
    """Nothing runs, nothing is shown, nothing can be recorded."""
    case = declared(rules_=RULES)
    assert (case.incident.aware_at, notices.clocks(case.incident, RULES, NOW)) == (None, ())
    with pytest.raises(NotNow, match="No notification clock"):
        notices.notified(case, "gdpr", "sent", ANA, NOW)
    with pytest.raises(NotNow, match="no security incident"):
        notices.correct(case, NOW - HOUR, ANA, RULES, NOW)


@pytest.mark.parametrize(("hours", "reminded", "late"), [
    (0.0, {}, False), (23.9, {}, False), (24.0, {"ccpa": 1}, False), (35.9, {"ccpa": 1}, True), (36.0, {"gdpr": 50, "ccpa": 1}, True),
    (54.0, {"gdpr": 75, "ccpa": 2}, True), (64.8, {"gdpr": 90, "ccpa": 2}, True), (72.0, {"gdpr": 100, "ccpa": 3}, False),
    (500.0, {"gdpr": 100, "ccpa": 20}, True),
])  # fmt: skip
def test_reminders_come_at_their_marks(hours: float, reminded: dict[str, int], late: bool) -> None:
    """50, 75, 90 percent and the limit; each day without one. Of several that were missed only the last, with how late."""
    change = notices.remind(breach(), RULES, NOW + hours * HOUR)
    assert {n: d.reminded for n, d in change.case.incident.duties.items() if d.reminded} == reminded
    assert lines(change) == ["notice_due"] * len(reminded)
    assert any("late by" in note.text for note in change.notes) is late
    assert not notices.remind(change.case, RULES, NOW + hours * HOUR).notes


def test_each_reminder_is_followed_by_the_next() -> None:
    """Walking from instant to instant visits every mark once, and none early."""
    case, seen = breach(), []
    for _ in range(6):
        at = notices.next_at(case.incident, RULES)
        assert at is not None
        assert not notices.remind(case, RULES, at - timedelta(seconds=1)).notes
        change = notices.remind(case, RULES, at)
        seen += [(int((at - NOW) / HOUR), note.data["duty"], note.data["mark"]) for note in change.notes]
        case = change.case
    assert seen == [
        (24, "ccpa", 1), (36, "gdpr", 50), (48, "ccpa", 2), (54, "gdpr", 75), (64, "gdpr", 90), (72, "gdpr", 100), (72, "ccpa", 3),
    ]  # fmt: skip


def test_who_was_told_stops_the_clock() -> None:
    """It is recorded with person and instant, reminded of no more, and closing is possible once all are told."""
    change = notices.notified(breach(), "gdpr", "form 33 to the authority", ANA, NOW + 71 * HOUR)
    assert (notes(change), lines(change)) == (["notified"], ["notified"])
    gdpr, _ = notices.clocks(change.case.incident, RULES, NOW + 100 * HOUR)
    assert (gdpr.state, gdpr.told[0].by, gdpr.left) == ("told", ANA, "1 h 00 min")
    assert [n.data["duty"] for n in notices.remind(change.case, RULES, NOW + 100 * HOUR).notes] == ["ccpa"]
    both = notices.notified(change.case, "ccpa", "not required: nobody in California", ANA, NOW).case
    assert notices.next_at(both.incident, RULES) is None
    assert notes(close(both, ANA, RULES, NOW))[-1] == "closed"


def test_told_after_the_limit_says_so() -> None:
    """On the timeline, in the room and on the board."""
    change = notices.notified(breach(), "gdpr", "sent", ANA, NOW + 73 * HOUR)
    assert "after the limit of 2026-03-05 14:00 UTC" in change.notes[0].text
    assert notices.clocks(change.case.incident, RULES, NOW + 73 * HOUR)[0].state == "late"
    with pytest.raises(BadInput, match="Say `gdpr`, `ccpa`"):
        notices.notified(breach(), "hipaa", "sent", ANA, NOW)


def test_awareness_is_only_corrected_backwards() -> None:
    """The limits move with it, marks that are passed now are said once; a later instant is refused."""
    change = notices.correct(breach(), NOW - 40 * HOUR, ANA, RULES, NOW)
    assert change.case.incident.duties["gdpr"].due_at == NOW + 32 * HOUR
    assert [n.data["mark"] for n in notices.remind(change.case, RULES, NOW).notes] == [50, 1]
    with pytest.raises(NotNow, match="earlier"):
        notices.correct(breach(), NOW + HOUR, ANA, RULES, NOW)


def test_an_incident_that_becomes_security_starts_the_clocks_then() -> None:
    """And says that its room is public; back and forth changes nothing about the clocks."""
    change = notices.become(declared(rules_=RULES), Scenario.SECURITY, ANA, "sessions from nowhere", RULES, NOW + HOUR)
    assert change.case.incident.aware_at == NOW + HOUR
    assert next(o for o in change.owed if o.kind == "say").args["public"] is True
    back = notices.become(change.case, Scenario.OTHER, ANA, "", RULES, NOW + 2 * HOUR)
    again = notices.become(back.case, Scenario.SECURITY, ANA, "", RULES, NOW + 3 * HOUR)
    assert again.case.incident.aware_at == NOW + HOUR
    with pytest.raises(NotNow, match="security already"):
        notices.become(again.case, Scenario.SECURITY, ANA, "", RULES, NOW)


def test_the_estates_limits_are_at_the_practice_pace() -> None:
    """72 h of a minute of six seconds are 7.2 h, and are still called 72 h."""
    quick = rules_of(estate(), Pace(6.0))
    case = breach(quick)
    assert case.incident.duties["gdpr"].due_at == NOW + 7.2 * HOUR
    assert notices.clocks(case.incident, quick, NOW)[0].left == "3 d 0 h"


@pytest.mark.parametrize(("name", "headings"), [
    ("gdpr", ("Art. 33(3)(a)", "Art. 33(3)(b)", "Art. 33(3)(c)", "Art. 33(3)(d)", "Art. 34")),
    ("ccpa", ("What Happened", "What Information Was Involved", "What We Are Doing", "What You Can Do", "For More Information")),
    ("other", ("To the authority", "To the people concerned")),
])  # fmt: skip
def test_a_draft_has_what_the_law_asks_for(name: str, headings: tuple[str, ...]) -> None:
    """Every heading, marked gaps, and typed text that formats nothing."""
    case = declared(rules_=RULES, scenario=Scenario.SECURITY, title=MALICE[:100])
    text = draft(name, case.incident.duties["gdpr"], case.incident, "ValueCanvas", (), NOW + 80 * HOUR)
    assert all(heading in text for heading in headings)
    assert OPEN in text
    assert "<!channel>" not in text
    assert ("Reasons for the delay" in text) is (name == "gdpr")
