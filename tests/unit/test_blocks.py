"""Block Kit in small words: escaping, cutting, fitting, and reading what was typed."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.redact import redact
from handlers.blocks import (
    MESSAGE_MAX,
    as_typed,
    bar,
    clip,
    cut,
    esc,
    fit,
    header,
    lines,
    newest,
    option,
    overflow,
    person,
    section,
    text_input,
    typed,
)
from tests.unit.given import MALICE
from tests.unit.slack_text import mentions_nobody

TYPED = st.text(st.sampled_from("ab &;<>@|!#_*`\n…é"), max_size=60)


@given(TYPED)
def test_escaped_text_is_the_same_text(text: str) -> None:
    """Escaping loses nothing, and nothing of it is markup."""
    assert html.unescape(esc(text)) == text
    assert not set(esc(text)) & set("<>")
    assert as_typed(esc(text)) == text


@given(TYPED, st.integers(2, 80))
def test_a_cut_never_goes_through_an_escape(text: str, most: int) -> None:
    """Clipped markup is at most that long, and what is left reads as the beginning of what was typed."""
    clipped = clip(esc(text), most)
    assert len(clipped) <= most
    assert not re.search(r"&(?!amp;|lt;|gt;)", clipped)
    if clipped != esc(text):
        assert clipped.endswith("…")
        assert text.startswith(html.unescape(clipped[:-1]))


@given(TYPED, st.integers(2, 80))
def test_a_cut_never_goes_through_a_mention(text: str, most: int) -> None:
    """A person or an instant is shown whole or not at all."""
    clipped = clip(f"{esc(text)} <@U0ANA> <!date^1^{{time}}|14:00:00 UTC> {esc(text)}", most)
    rest = re.sub(r"<@U0ANA>|<!date\^1\^\{time\}\|14:00:00 UTC>", "", clipped)
    assert not set(rest) & set("<>")


@given(st.text(max_size=60), st.integers(1, 80))
def test_plain_text_is_cut_anywhere(text: str, most: int) -> None:
    """Plain text has no markup to protect: all but the last character of its room is used."""
    short = cut(text, most)
    assert len(short) == min(len(text), most)
    assert short == text or text.startswith(short[:-1])


def test_a_header_keeps_a_title_with_an_ampersand() -> None:
    """What is plain text is neither escaped nor cut at what would be an escape elsewhere."""
    title = "P1  R&D < " + "x" * 150
    assert header(title)["text"]["text"] == title[:149] + "…"


@pytest.mark.parametrize(("user", "name", "shown"), [
    ("U0ANA", "Ana", "<@U0ANA>"), ("W012", "", "<@W012>"), ("", "Ursula <b>", "Ursula &lt;b&gt;"), ("bot", "", "bot"),
    ("Ursula", "", "Ursula"), ("U0ANA><!channel", "", "U0ANA&gt;&lt;!channel"),
])  # fmt: skip
def test_only_an_id_is_a_mention(user: str, name: str, shown: str) -> None:
    """A Slack id becomes a person, everything else is a name, escaped."""
    assert person(user, name) == shown


@pytest.mark.parametrize(("spelled", "said"), [
    ("a &lt; b &amp;&amp; c", "a < b && c"),
    ("ask <@U0ANA|ana> or <@U0BEN>", "ask @ana or @U0BEN"),
    ("in <#C0GENERAL|general>", "in #general"),
    ("<!here> <!subteam^S0RESPOND|@responders>", "@here @responders"),
    ("see <https://x.example/a?b=1&amp;c=2|x.example> <https://y.example>", "see https://x.example/a?b=1&c=2 https://y.example"),
    ("&amp;lt;", "&lt;"),
    ("1 < 2 > 0", "1 < 2 > 0"),
])  # fmt: skip
def test_slacks_spelling_is_undone(spelled: str, said: str) -> None:
    """Commands and messages reach us spelled by Slack; the timeline has what was typed."""
    assert as_typed(spelled) == said


@given(st.lists(st.text("ab", max_size=60), max_size=30), st.integers(50, 400))
def test_lines_say_how_many_were_left_out(items: list[str], most: int) -> None:
    """Joined lines stay below the limit, and every line is there or counted."""
    text = lines(items, most)
    assert len(text) <= most
    left = re.search(r"_… and (\d+) more_$", text)
    assert len([line for line in text.split("\n") if not line.startswith("_…")]) + int(left[1] if left else 0) == max(
        len(items), 0 if left else 1
    )


@given(st.lists(st.text("ab", min_size=1, max_size=60), max_size=30), st.integers(50, 400))
def test_the_newest_lines_are_kept(items: list[str], most: int) -> None:
    """Of too many lines the last ones are shown, in their order."""
    text = newest(items, most)
    kept = text.split("\n") if text else []
    assert len(text) <= most
    assert kept == items[len(items) - len(kept) :]
    assert len(kept) == len(items) or len(text) + len(items[-len(kept) - 1]) + 2 > most


@given(st.lists(st.integers(0, 3000), max_size=70))
def test_a_message_fits(sizes: list[int]) -> None:
    """At most 50 blocks and as many characters as Slack takes; what was cut is said, in the last block."""
    blocks = fit([section("x" * size) for size in sizes])
    assert len(blocks) <= 50
    assert sum(len(b.get("text", {}).get("text", "")) for b in blocks) <= MESSAGE_MAX
    whole = [section("x" * size) for size in sizes]
    if blocks != whole:
        assert blocks[:-1] == whole[: len(blocks) - 1]
        assert "did not fit" in blocks[-1]["elements"][0]["text"]
    else:
        assert len(sizes) <= 50


def test_fifty_blocks_fit() -> None:
    """The limit itself is not beyond it."""
    assert len(fit([section("x")] * 50)) == 50
    assert "did not fit" in fit([section("x")] * 51)[49]["elements"][0]["text"]


def test_typed_markup_is_text() -> None:
    """A section of what somebody typed mentions nobody."""
    mentions_nobody((esc(MALICE), [section(esc(MALICE))]))


def test_small_limits_are_kept() -> None:
    """Overflow menus have 5 options, texts of options 75 characters, inputs their initial value within their length."""
    assert len(overflow("x", [option("o" * 90, "v")] * 9)["options"]) == 5
    assert len(option("o" * 90, "v", "d" * 90)["text"]["text"]) == 75
    assert text_input("t", "l", most=3, value="abcdef")["element"]["initial_value"] == "abc"
    assert section("")["text"]["text"] == " "
    assert bar(3, 10) == "▓▓▓░░░░░░░"


def test_a_window_is_read_by_input_name() -> None:
    """Text, choices, people and check boxes come by name; what was left empty is absent."""
    state = {
        "title": {"title": {"type": "plain_text_input", "value": "x"}},
        "seen": {"seen": {"type": "plain_text_input", "value": None}},
        "severity": {"severity": {"type": "static_select", "selected_option": {"value": "P2"}}},
        "services": {
            "services": {"type": "multi_static_select", "selected_options": [{"value": "api"}, {"value": "redis"}]}
        },
        "private": {"private": {"type": "checkboxes", "selected_options": []}},
        "person": {"person": {"type": "users_select", "selected_user": "U0ANA"}},
    }
    assert typed({"state": {"values": state}}) == {
        "title": "x", "severity": "P2", "services": ["api", "redis"], "person": "U0ANA",
    }  # fmt: skip
    assert typed({}) == {}


@pytest.mark.parametrize("password", ["a&b<c>d", "p@ss/w:rd&x"])
def test_a_secret_is_hidden_in_markup_too(password: str) -> None:
    """A password that escaping spells differently is still recognised in what is drawn."""
    drawn = esc(f"could not connect with {password} to the database")
    assert password not in html.unescape(redact(drawn, [password]))
