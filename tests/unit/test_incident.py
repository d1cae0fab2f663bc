"""Names and typed words: what a room is called, and what is kept of what people type."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import BadInput
from bot.incident import ROOM_NAME_MAX, Severity, Status, clean_line, clean_text, parse_number, room_name
from tests.unit.given import declared


@given(st.integers(1, 10**9), st.text(max_size=300), st.integers(0, 20))
def test_a_room_name_is_one_that_slack_takes(number: int, title: str, attempt: int) -> None:
    """At most 80 characters of a-z, 0-9 and single dashes, beginning with the number, for any title and any suffix."""
    name = room_name(number, title, attempt)
    assert len(name) <= ROOM_NAME_MAX
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert name == f"inc-{number}" or name.startswith(f"inc-{number}-")
    assert not attempt or name.endswith(f"-{attempt + 1}")


@given(st.text(max_size=200))
def test_each_try_has_another_name(title: str) -> None:
    """Twenty suffixes give twenty-one different names, also where the title is cut."""
    assert len({room_name(7, title, attempt) for attempt in range(21)}) == 21


@pytest.mark.parametrize(("title", "name"), [
    ("Checkout is down", "inc-7-checkout-is-down"),
    ("Größe & Maß: 50 %!", "inc-7-groe-ma-50"),
    ("数据库", "inc-7"),
    ("  --  ", "inc-7"),
    ("a" * 200, "inc-7-" + "a" * 74),
])  # fmt: skip
def test_a_room_name_is_readable(title: str, name: str) -> None:
    """Words stay words; what Slack cannot take is left out; a name without letters is the number alone."""
    assert room_name(7, title) == name


@given(st.text(max_size=200))
def test_typed_text_keeps_no_control_characters(text: str) -> None:
    """What remains can be stored and drawn: no control, format, private or half characters, but newlines and tabs."""
    kept = clean_text(text, "note", 10_000)
    assert not any(unicodedata.category(c)[0] == "C" for c in kept if c not in "\n\t")
    assert kept == kept.strip()
    assert clean_text(kept, "note", 10_000) == kept


@given(st.text(max_size=200))
def test_a_line_is_one_line(text: str) -> None:
    """A title has single spaces and no line break, or is refused as empty."""
    if clean_text(text, "title").split():
        line = clean_line(text, "title", 10_000)
        assert line == " ".join(line.split())
    else:
        with pytest.raises(BadInput, match=r"The title is empty\. Say in a few words what it is\."):
            clean_line(text, "title", 10_000)


def test_too_long_is_refused_with_the_figures() -> None:
    """The sentence says how long it is and how long it may be; exactly the most is taken; the field is named."""
    assert clean_line("x" * 150, "title") == "x" * 150
    with pytest.raises(
        BadInput, match=r"The title has 151 characters; 150 are the most\. Put details in a note\."
    ) as refusal:
        clean_line("x" * 151, "title")
    assert refusal.value.field == "title"
    assert len(clean_text("x" * 3000, "note")) == 3000
    with pytest.raises(BadInput, match=r"The note has 3001 characters; 3000 are the most\."):
        clean_text("x" * 3001, "note")


@pytest.mark.parametrize(("text", "number"), [
    ("INC-12", 12), ("inc-12", 12), ("INC12", 12), ("#12", 12), ("12", None), ("INC-", None), ("", None),
    ("INC-1x", None), ("INC-12 ", None), ("INC-1234567890", None), ("P1", None),
])  # fmt: skip
def test_an_incident_is_named_with_its_prefix(text: str, number: int | None) -> None:
    """A bare number could be minutes: only `INC-12` and `#12` name an incident."""
    assert parse_number(text) == number


def test_severities_and_statuses_say_what_they_mean() -> None:
    """P3 pages nobody, only P2 is held by an ack; monitoring is open but does not climb."""
    assert [s.pages for s in Severity] == [True, True, True, False]
    assert [s.ack_holds for s in Severity] == [False, False, True, False]
    assert [s.open for s in Status] == [True, True, True, False, False]
    assert [s.climbs for s in Status] == [True, True, False, False, False]


def test_the_page_key_is_the_incident_and_its_round() -> None:
    """PagerDuty's key is the incident's id, and another one for each reopening."""
    incident = declared().incident
    assert (incident.page_key, declared().with_(round=3).incident.page_key) == ("INC-7", "INC-7.3")
    assert incident.lane("board") == "INC-7/board"
