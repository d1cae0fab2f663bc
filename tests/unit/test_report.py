"""The report: the runbook's shape with everything known filled in, and typed text that formats nothing."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import report
from bot.clock import Pace
from bot.incident import Impact, Role
from bot.lifecycle import assign, resolve
from bot.rules import Case, Rules
from bot.timeline import GENESIS, Entry, Note, link
from tests.unit.given import ANA, MINUTE, NOW, declared, rules

RULES = rules()
SECTIONS = (
    "## Timeline", "## Root Cause", "## Resolution", "## Impact", "## Escalation", "## Action Items", "## Lessons Learned",
)  # fmt: skip


def entry(kind: str, text: str, seq: int = 1, actor: str = "bot", name: str = "Recovery Bot") -> Entry:
    return link(7, seq, NOW + seq * MINUTE, Note(kind, text, actor, name), GENESIS)


def made(case: Case, *entries: Entry, rules_: Rules = RULES) -> report.Report:
    return report.build(case, entries, rules_, NOW + 42 * MINUTE)


def test_it_has_the_shape_of_the_runbook() -> None:
    """Title, head and every section of the runbook's template, in its order."""
    text = report.markdown(made(declared(), entry("declared", "P1 declared")))
    assert text.startswith("# Incident Report: Checkout is down\n")
    places = [text.index(section) for section in SECTIONS]
    assert places == sorted(places)
    for line in (
        "**Incident**: INC-7  ", "**Date**: 2026-03-02  ", "**Duration**: 2026-03-02 14:00 UTC - still open (42 min)  ",
        "**Severity**: P1  ", "**Scenario**: kubernetes  ", "**Impact**: API Services",
        "- [14:01] - P1 declared", "- Users affected: _to be filled in_", "- Downtime: 42 min",
        "Prove it with `recovery-bot timeline verify INC-7`.",
    ):  # fmt: skip
        assert line in text.splitlines()


def test_what_is_known_is_filled_in() -> None:
    """Recovery, resolution, roles, who acted and who was called come from the timeline and the case."""
    case = assign(declared(), Role.COMMANDER, ANA, ANA, NOW).case
    case = resolve(case, ANA, "", RULES, NOW + 30 * MINUTE).case
    text = report.markdown(
        made(
            case,
            entry("rung", "Rung 1: On-Call is called", 1),
            entry("recovered", "Database is green again after 4 min", 2),
            entry("resolved", "Resolved after 30 min: restarted", 3, "U0ANA", "Ana Ortiz"),
        )
    )
    for line in (
        "**Commander**: Ana Ortiz  ",
        "- [14:03] - Resolved after 30 min: restarted (Ana Ortiz)",
        "- Resolved after 30 min: restarted",
        "- Downtime: Database is green again after 4 min",
        "- Rung 1: On-Call is called",
        "**Duration**: 2026-03-02 14:00 UTC - 2026-03-02 14:30 UTC (30 min)  ",
    ):
        assert line in text.splitlines()


def test_a_practice_says_so() -> None:
    """A report of the practice clock cannot be taken for a real one."""
    quick = rules(pace=Pace(6.0))
    assert "> PRACTICE" in report.markdown(made(declared(rules_=quick), rules_=quick))
    assert "PRACTICE" not in report.markdown(made(declared()))


def test_another_day_is_named() -> None:
    """An entry of a later day carries its date."""
    late = replace(entry("note", "x"), at=NOW + timedelta(days=1))
    assert "- [2026-03-03 14:00] - x" in report.markdown(made(declared(), late)).splitlines()


def test_unknown_services_are_left_to_people() -> None:
    """No affected service is not "none": it is to be filled in."""
    case = declared(services=())
    assert "**Impact**: _to be filled in_" in report.markdown(made(case)).splitlines()
    hit = case.with_(impact={"database": Impact(NOW)})
    assert made(hit).services == ("Database",)


@given(st.text(max_size=60))
def test_typed_text_formats_nothing(typed: str) -> None:
    """Whatever is typed stays on its line, and every character that Markdown knows is escaped."""
    case = declared(title="t").with_(title=typed)
    text = report.markdown(made(case, entry("note", typed, 1, "U0ANA", typed)))
    (line,) = [line for line in text.split("\n") if line.startswith("- [14:01] - ")]
    rest = line.removeprefix("- [14:01] - ")
    bare = rest
    for mark in "\\`*_~[]<>&#|":
        bare = bare.replace(f"\\{mark}", "")
    assert not set(bare) & set("`*_~[]<>&#|\\")
    assert text.count("\n## ") == len(SECTIONS)


@pytest.mark.parametrize(
    "typed", ["<script>", "&lt;b&gt;", "~~gone~~", "[x](http://y)", "![x](y)", "a|b", "# h", "`c`"]
)
def test_markup_in_a_title_is_text(typed: str) -> None:
    """The usual ways to smuggle markup into a heading are escaped."""
    heading = report.markdown(made(declared().with_(title=typed))).split("\n")[0]
    plain = heading.removeprefix("# Incident Report: ")
    assert plain != typed
    assert plain.replace("\\", "") == typed


def test_the_json_is_complete_and_plain() -> None:
    """Instants are ISO 8601, people and impact are objects, the timeline carries its hashes, and the head is the last one."""
    case = resolve(assign(declared(), Role.SCRIBE, ANA, ANA, NOW).case, ANA, "", RULES, NOW + MINUTE).case
    entries = (entry("declared", "é <x>", 1), entry("resolved", "done", 2))
    body = json.loads(report.as_json(made(case, *entries)))
    assert body["head"] == entries[-1].hash
    assert body["incident"]["id"] == "INC-7"
    assert body["incident"]["resolved_at"] == "2026-03-02T14:01:00+00:00"
    assert body["incident"]["roles"] == {"scribe": {"id": "U0ANA", "name": "Ana Ortiz"}}
    assert body["incident"]["impact"]["api"] == {"bad_at": "2026-03-02T14:00:00+00:00", "green_at": None, "seen": False}
    assert body["timeline"][0]["text"] == "é <x>"
    assert set(body["timeline"][0]) == set(vars(entries[0]))


def test_an_empty_timeline_has_no_head() -> None:
    """Nothing written, nothing to prove."""
    assert json.loads(report.as_json(made(declared())))["head"] == ""
