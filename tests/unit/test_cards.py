"""Every card, drawn from the most and the least there can be: within Slack's limits, mentioning nobody, with its buttons."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot import board as boards
from bot import report
from bot.assessment import Reading, Verdict
from bot.chat import AnnounceCard, AssessmentCard, BoardCard, Card, LineCard, ReportCard
from bot.clock import Pace
from bot.escalation import escalate, hold
from bot.incident import Ack, Impact, Person, Role, Scenario, Severity, Status
from bot.lifecycle import close, resolve, set_status
from bot.owed import TITLES, Effect
from bot.rules import Case
from bot.timeline import GENESIS, Note, link
from handlers.cards import draw
from tests.unit.given import ANA, MALICE, MINUTE, NOW, declared, rules
from tests.unit.slack_text import mentions_nobody, taken_by_slack

RULES = rules(pace=Pace(6.0))
STRANGER = Person("", MALICE)


def readings(count: int, text: str) -> tuple[Reading, ...]:
    return tuple(
        Reading(f"probe-{n}", "api", ("ok", "bad", "unknown")[n % 3], text, NOW, NOW, 12.5, {"lag": text, "none": None})
        for n in range(count)
    )


def troubles(count: int, text: str) -> tuple[Effect, ...]:
    kinds = sorted(TITLES)
    return tuple(
        Effect(
            n, 7, kinds[n % len(kinds)], "l", str(n), {}, "failed" if n % 2 else "waiting", 9, NOW, NOW, text, None, NOW
        )
        for n in range(count)
    )


def busy(text: str, services: int = 40) -> Case:
    """An incident with everything at its longest."""
    case = declared(rules_=RULES, title=text[:150], seen=text, services=tuple(f"s{n}" for n in range(services)))
    case = hold(case, Person("U0ANA", text[:80]), 15 * MINUTE, text[:500], RULES, NOW).case
    return case.with_(
        declared_by=Person("", text[:80]),
        roles={role: Person("", text[:80]) for role in Role},
        acks=tuple(Ack(Person("", text[:80]), NOW, "pagerduty") for _ in range(20)),
        impact={f"s{n}": Impact(NOW - 9 * MINUTE, seen=True) for n in range(services)},
    )


def board(case: Case, text: str = "", count: int = 0) -> boards.Board:
    figures = replace(
        RULES,
        rto={f"s{n}": 5 * MINUTE for n in range(40)},
        titles={f"s{n}": text[:80] or f"s{n}" for n in range(40)},
        rungs=tuple(replace(rung, title=text[:80] or rung.title) for rung in RULES.rungs),
    )
    return boards.build(case, readings(count, text), troubles(count, text), Scenario.OUTAGE, figures, NOW, {})


def written(case: Case, text: str, count: int) -> report.Report:
    entries = [link(7, n + 1, NOW, Note("recovered", text, "U0ANA", text), GENESIS) for n in range(count)]
    return report.build(case, entries, RULES, NOW + MINUTE)


LONGEST = ("x" * 3000, "&" * 3000, "<" * 3000, MALICE * 30, "\n" * 3000, "é" * 3000, "")
CARDS = ("board", "announce", "assessment", "details", "report")


def card(name: str, text: str, count: int) -> Card:
    case = busy(text or "t")
    verdict = Verdict(Scenario.OUTAGE, tuple([text] * count))
    if name == "board":
        return BoardCard(board(case, text, count))
    if name == "announce":
        return AnnounceCard(board(case, text, count))
    if name == "report":
        return ReportCard(written(case, text, count))
    return AssessmentCard("INC-7", readings(count, text), verdict, {"probe-1": text}, True, name == "details")


@pytest.mark.parametrize("text", LONGEST, ids=range(len(LONGEST)))
@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("count", [0, 1, 60])
def test_the_longest_and_the_emptiest_are_taken(name: str, text: str, count: int) -> None:
    """Whatever is typed, read or failed, and however much of it: Slack takes the card, and it mentions nobody."""
    drawn = draw(card(name, text, count))
    taken_by_slack(drawn)
    mentions_nobody(drawn)


def buttons(drawn: tuple[str, list[dict[str, Any]]]) -> set[str]:
    """The action ids of a card's own buttons."""
    return {e["action_id"] for block in drawn[1] if block["type"] == "actions" for e in block["elements"]}


FIRST = {"incident_ack", "incident_assess", "incident_note", "incident_more", "incident_status", "incident_resolve"}


@pytest.mark.parametrize("text", LONGEST, ids=range(len(LONGEST)))
def test_the_board_keeps_its_buttons(text: str) -> None:
    """However full the board is, what can be done stands on it."""
    drawn = draw(BoardCard(board(busy(text or "t"), text, 60)))
    assert buttons(drawn) == FIRST | {"incident_escalate", "incident_resume"}
    assert "did not fit" not in str(drawn)


@pytest.mark.parametrize(("case", "ids"), [
    (declared(), FIRST | {"incident_command", "incident_escalate", "incident_hold"}),
    (declared(Severity.P3), FIRST | {"incident_command"}),
    (set_status(declared(), Status.MONITORING, ANA, "", RULES, NOW).case, FIRST | {"incident_command"}),
    (resolve(declared(), ANA, "", RULES, NOW).case, {"incident_close", "incident_reopen", "incident_timeline"}),
    (close(declared(), ANA, RULES, NOW).case, {"incident_reopen", "incident_timeline"}),
])  # fmt: skip
def test_the_board_offers_what_is_possible_now(case: Case, ids: set[str]) -> None:
    """Only verbs that the status allows have a button."""
    assert buttons(draw(BoardCard(board(case)))) == ids


def test_a_held_ladder_can_be_resumed_and_a_finished_one_not_held() -> None:
    """Hold and resume never stand side by side; with everybody called there is nothing to hold."""
    case = hold(declared(), ANA, MINUTE, "why", RULES, NOW).case
    assert {"incident_resume"} == buttons(draw(BoardCard(board(case)))) & {"incident_hold", "incident_resume"}
    top = declared()
    for _ in range(3):
        top = escalate(top, ANA, "", RULES, NOW).case
    drawn = draw(BoardCard(board(top)))
    assert not buttons(drawn) & {"incident_hold", "incident_resume"}
    assert "everybody has been called" in str(drawn)


def test_a_failed_call_has_a_retry() -> None:
    """Each trouble that is shown names what failed, why, and offers another try of exactly that."""
    _, blocks = draw(BoardCard(board(declared(), "PagerDuty refuses", 2)))
    retries = [b for b in blocks if b.get("accessory", {}).get("action_id") == "incident_retry"]
    assert [b["accessory"]["value"] for b in retries] == ["7:0", "7:1"]
    assert "failed* failed" not in str(retries)
    assert all("PagerDuty refuses" in b["text"]["text"] for b in retries)


def test_unknown_is_not_green() -> None:
    """Readings that nobody could take are grey, and "nothing is bad" says so when not everything could be read."""
    unread = (replace(readings(3, "no answer within 5 s")[2]),)
    text, blocks = draw(AssessmentCard("INC-7", unread, Verdict(None, ()), {}, False))
    assert text.endswith("0 ok, 0 bad, 1 unknown")
    assert "not everything could be read" in str(blocks)
    assert ":large_green_circle:" not in str(blocks)
    assert ":grey_question:" in str(blocks)


def test_every_card_of_a_practice_says_so() -> None:
    """Nobody takes a practice for an emergency."""
    for name in ("board", "announce", "assessment", "report"):
        assert "PRACTICE" in str(draw(card(name, "x", 1)))
    assert "PRACTICE" in str(draw(LineCard("resumed", {"who": "U0ANA", "practice": True})))


def test_the_announcement_joins_while_it_is_open() -> None:
    """Open: a way in. Over: how long it took. The room is linked, a private or fallback one is not."""
    case = declared().with_(room="C0ROOM", room_state="open")
    _, blocks = draw(AnnounceCard(board(case)))
    assert blocks[0]["accessory"]["action_id"] == "incident_join"
    assert "<#C0ROOM>" in blocks[0]["text"]["text"]
    over = resolve(case, ANA, "", RULES, NOW + timedelta(seconds=6)).case
    _, blocks = draw(AnnounceCard(board(over)))
    assert "accessory" not in blocks[0]
    assert "took 1 min" in str(blocks)
