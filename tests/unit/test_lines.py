"""Every line that the bot says has a wording, renders with exactly the data that is written down, and mentions nobody."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from actions import CATALOGUE
from bot.catalogue import Catalogue
from handlers.lines import WORDINGS, draw
from handlers.recover import help_all
from handlers.story import help_text
from tests.unit.given import MALICE, NOW
from tests.unit.slack_text import mentions_nobody, taken_by_slack

ROOT = Path(__file__).parents[2]
ROWS = [{"id": "INC-7", "number": 7, "severity": "P1", "status": "investigating", "title": MALICE, "room": "C0ROOM"}]

SAID: Mapping[str, dict[str, Any]] = {
    "rung": {"level": 2, "title": MALICE, "why": MALICE, "late_by": "5 min"},
    "hold_over": {"why": MALICE},
    "held": {"who": "U0ANA", "until": NOW.isoformat(), "why": MALICE},
    "resumed": {"who": "U0ANA"},
    "acknowledged": {"who": "", "name": MALICE, "via": "pagerduty", "holds": True},
    "no_proof": {"level": 1, "why": MALICE, "waited": "1 min"},
    "severity": {"who": "U0ANA", "old": "P1", "new": "P0", "why": MALICE},
    "status": {"who": "U0ANA", "old": "investigating", "new": "identified", "why": MALICE},
    "role": {"who": "U0ANA", "role": "scribe", "by": "U0BEN"},
    "note": {"who": "U0ANA", "text": MALICE},
    "impact": {"service": MALICE, "again": True},
    "recovered": {"service": MALICE, "took": "4 min", "rto": "5 min", "within": False},
    "resolved": {"who": "", "name": MALICE, "why": MALICE, "took": "42 min"},
    "reopened": {"who": "U0ANA", "why": MALICE},
    "scenario": {"who": "U0ANA", "old": "other", "new": "security", "why": MALICE, "public": True},
    "aware": {"who": "U0ANA", "at": NOW.isoformat(), "promised": MALICE},
    "notified": {"who": "U0ANA", "title": MALICE, "text": MALICE, "late": True},
    "notice_due": {
        "name": "gdpr",
        "title": MALICE,
        "passed": "1 d 12 h",
        "left": "1 d 12 h",
        "over": False,
        "late_by": "5 min",
        "number": "7",
    },
    "report_due": {},
    "update_due": {},
    "second_way": {"people": ["U0ANA", MALICE], "phones": [{"name": MALICE, "phone": MALICE}], "level": 1},
    "not_invited": {"people": {"U0ANA": "cant_invite", MALICE: MALICE}},
    "no_room": {"why": MALICE, "private": True},
}
"""What `owed.say` writes down for each line; the incident's id and whether it is practice are added when it is posted."""

ANSWERED: Mapping[str, dict[str, Any]] = {
    "called": {"person": "U0ANA", "level": 2, "why": MALICE, "incident": "INC-7", "severity": "P1", "title": MALICE, "room": "C0ROOM"},
    "timeline": {"incident": "INC-7", "count": 1, "entries": [{"at": "14:00:00", "text": MALICE, "by": MALICE}], "foot": "UTC"},
    "list": {"heading": "Open incidents", "incidents": ROWS},
    "actions": {"scenario": "database", "actions": [
        {"name": "database.assess", "title": MALICE, "risk": risk, "usual": "5 s", "number": 7} for risk in ("observe", "high")
    ]},
    "said": {"text": MALICE},
    "sorry": {"text": MALICE},
    "done": {"text": MALICE},
    "declared": {"incident": "INC-7", "room": "C0ROOM", "foot": "The board."},
    "help": {"text": help_text()},
    "try_again": {"text": MALICE, "form": "declare"},
    "similar": {"incidents": ROWS * 3, "declaration": "command/1", "draft": {}},
    "update": {"incident": "INC-7", "title": MALICE, "text": MALICE, "due": NOW.isoformat(), "status": "identified",
               "affected": [MALICE], "at": NOW.isoformat(), "started": NOW.isoformat()},
}  # fmt: skip
"""The lines that are answers to one person, or messages outside a room."""

COMPUTED = {"{what}_due": ("report_due", "update_due")}
"""A name that is put together, and what it can become."""


def calls(name: str) -> Iterator[ast.Call]:
    """Every call of `name` or `….name` in the product."""
    for folder in ("bot", "handlers"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    called = node.func
                    if (isinstance(called, ast.Attribute) and called.attr == name) or (
                        isinstance(called, ast.Name) and called.id == name
                    ):
                        yield node


def named(node: ast.expr) -> tuple[str, ...]:
    """The names that an argument can be; none for a name that is passed on."""
    if isinstance(node, ast.Constant):
        return (str(node.value),)
    return COMPUTED[ast.unparse(node)[2:-1]] if isinstance(node, ast.JoinedStr) else ()


def said_in_code() -> list[tuple[str, frozenset[str]]]:
    """(line, the names of its data) of each `owed.say` with a name of its own."""
    return [
        (line, frozenset(keyword.arg or "" for keyword in call.keywords))
        for call in calls("say")
        if len(call.args) == 3
        for line in named(call.args[1])
    ]


def test_every_line_that_is_said_has_its_data_here() -> None:
    """The table above is what the code writes: no line more, no field less."""
    found = said_in_code()
    assert len(found) >= len(SAID)
    assert {line: set(data) for line, data in SAID.items()} == {line: set(fields) for line, fields in found}


def test_every_line_that_is_posted_or_answered_is_known() -> None:
    """Cards and answers by name have a wording too, and no wording is left over."""
    used = {line for call in calls("LineCard") if call.args for line in named(call.args[0])}
    used |= {line for call in calls("Answer") if len(call.args) == 3 for line in named(call.args[1])}
    assert used <= set(WORDINGS)
    assert set(WORDINGS) == set(SAID) | set(ANSWERED)
    assert set(ANSWERED) <= used


@pytest.mark.parametrize("line", sorted({**SAID, **ANSWERED}))
@pytest.mark.parametrize("practice", [True, False])
def test_a_line_is_drawn_and_mentions_nobody(line: str, practice: bool) -> None:
    """With its data, and with the worst that people type in it, Slack takes it and wakes nobody; a practice says so."""
    data = SAID[line] if line in SAID else ANSWERED[line]
    drawn = draw(line, {"incident": "INC-7", **data, "practice": practice})
    taken_by_slack(drawn)
    mentions_nobody(drawn)
    assert ("PRACTICE" in drawn[0]) is practice


@pytest.mark.parametrize("line", sorted({**SAID, **ANSWERED}))
def test_a_line_of_the_longest_words_is_within_the_limits(line: str) -> None:
    """Every typed field at its longest and made of what escaping lengthens most still fits."""

    def long(value: Any) -> Any:
        if value == MALICE:
            return "&" * 3000
        if isinstance(value, dict):
            return {long(k): long(v) for k, v in value.items()}
        return [long(v) for v in value] * 9 if isinstance(value, list) else value

    data = SAID[line] if line in SAID else ANSWERED[line]
    text, blocks = draw(line, {"incident": "INC-7", **long(data)})
    taken_by_slack((text[:3900], blocks))


def test_the_newest_entries_of_a_timeline_are_shown() -> None:
    """Where not all fit, the last ones are there, and a long note hides no other entry."""
    entries = [{"at": "14:00:00", "text": f"entry {n} " + "x" * 3000, "by": ""} for n in range(40)]
    text, _ = draw("timeline", {"incident": "INC-7", "count": 40, "entries": entries})
    assert "entry 39 " in text
    assert "entry 35 " in text
    assert "entry 1 " not in text
    assert len(text) < 3000


def test_optional_words_leave_no_trace() -> None:
    """Without a reason, a lateness or a goal, the sentence ends as if there were none."""
    assert draw("resolved", {**SAID["resolved"], "who": "U0ANA", "why": ""})[0] == (
        ":white_check_mark: *Resolved* by <@U0ANA> after 42 min. The report follows."
    )
    assert draw("rung", {**SAID["rung"], "title": "CTO", "why": "30 minutes.", "late_by": ""})[0].endswith(
        "is called now. 30 minutes."
    )
    assert draw("recovered", {**SAID["recovered"], "service": "API", "rto": ""})[0].endswith(
        "is green again after 4 min."
    )
    assert draw("role", {**SAID["role"], "by": "U0ANA"})[0].endswith("<@U0ANA> is *scribe*.")
    assert draw("list", {"heading": "Open", "incidents": []})[0] == "No incident is open. :tada:"


def test_a_line_without_a_wording_is_a_bug() -> None:
    """An unknown name is an error, not an empty message."""
    with pytest.raises(KeyError):
        draw("nonsense", {})


def test_the_help_names_every_action_however_many_there_are() -> None:
    """A section takes 3000 characters, and the rest goes into the next one: nothing is cut."""
    text, blocks = draw("help", {"text": help_all(Catalogue(CATALOGUE))})
    taken_by_slack((text, blocks))
    assert "\n".join(block["text"]["text"] for block in blocks) == text
    assert all(f"`{procedure.name}`" in text for procedure in CATALOGUE)
