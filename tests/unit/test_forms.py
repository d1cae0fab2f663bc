"""Commands and windows are two ways to the same values; what is wrong with them is said in a sentence."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.errors import BadInput
from bot.incident import Person, Role, Scenario, Severity, Status
from bot.rules import Change
from handlers.blocks import esc, modal, typed
from handlers.click import click_of, key_of
from handlers.declare import check, form, from_window, one_line, started
from handlers.story import help_text
from handlers.verbs import VERBS, Asked, minutes, severity_of
from tests.unit.given import ANA, MINUTE, NOW, declared, estate, notes, rules
from tests.unit.slack_text import window_taken_by_slack

RULES = rules()
ESTATE = estate()


def do(verb: str, text: str = "", values: dict[str, Any] | None = None) -> Change:
    """What a verb decides on INC-7, typed or from its window."""
    given = VERBS[verb].parse(text) if values is None else values
    return VERBS[verb].decide(declared(), Asked(ANA, given, RULES, {"U0BEN": "Ben Adler"}), NOW)


@pytest.mark.parametrize(("verb", "text", "values"), [
    ("escalate", "it burns", {"reason": "it burns"}),
    ("hold", "15m vendor is on it", {"minutes": "15m", "reason": "vendor is on it"}),
    ("hold", "15m   vendor", {"minutes": "15m", "reason": "vendor"}),
    ("hold", "15m\nvendor", {"minutes": "15m", "reason": "vendor"}),
    ("status", "identified the disk is full", {"status": "identified", "reason": "the disk is full"}),
    ("severity", "P0", {"severity": "P0", "reason": ""}),
    ("severity", "", {"severity": "", "reason": ""}),
    ("assign", "commander <@U0BEN|ben>", {"role": "commander", "person": "U0BEN"}),
    ("assign", "<@U0BEN> scribe", {"role": "scribe", "person": "U0BEN"}),
    ("assign", "scribe", {"role": "scribe", "person": ""}),
    ("note", "a &lt; b &amp; <@U0BEN|ben> saw it", {"text": "a < b & @ben saw it"}),
    ("resolve", "", {"reason": ""}),
])  # fmt: skip
def test_a_command_reads_as_its_window(verb: str, text: str, values: dict[str, str]) -> None:
    """The words of a command become the values that the window of the same verb gives."""
    assert VERBS[verb].parse(text) == values


@pytest.mark.parametrize(("text", "span"), [
    ("15", 15 * MINUTE), ("15m", 15 * MINUTE), ("15 MIN", 15 * MINUTE), ("1minute", MINUTE), ("2h", 120 * MINUTE),
    ("24 hours", timedelta(days=1)), ("1440", timedelta(days=1)), (" 5m ", 5 * MINUTE),
])  # fmt: skip
def test_a_span_is_minutes_or_hours(text: str, span: timedelta) -> None:
    """Bare numbers are minutes; from a minute to a day."""
    assert minutes(text) == span


@pytest.mark.parametrize("text", ["", "0", "0m", "1441", "25h", "-5", "1.5h", "soon", "5s", "99999"])
def test_other_spans_are_refused(text: str) -> None:
    """The sentence says what was typed and what would do."""
    with pytest.raises(BadInput) as refusal:
        minutes(text)
    assert f"`{text or 'nothing'}`" in str(refusal.value)
    assert "15m" in str(refusal.value)
    assert refusal.value.field == "minutes"


@pytest.mark.parametrize(("verb", "text", "sentence"), [
    ("hold", "15m", "Say why the ladder is held: `/incident hold 15m <reason>`. The people it would call will ask."),
    ("severity", "P4", "`P4` is no severity. Say P0, P1, P2 or P3."),
    ("severity", "", "`nothing` is no severity. Say P0, P1, P2 or P3."),
    ("status", "resolved", "`resolved` is no status to set. Say investigating, identified or monitoring; `resolve` ends it."),
    ("status", "", "`nothing` is no status to set. Say investigating, identified or monitoring; `resolve` ends it."),
    ("assign", "boss", "`boss` is no role. Say commander, communications or scribe."),
    ("assign", "", "`nothing` is no role. Say commander, communications or scribe."),
    ("note", "   ", "The note is empty. `/incident note <what happened>`"),
    ("note", "x" * 3001, "The note has 3001 characters; 3000 are the most."),
    ("reopen", "", "The reason is empty. Say in a few words what it is."),
    ("update", "", "The update is empty. `/incident update <what users should know>`"),
])  # fmt: skip
def test_what_cannot_be_used_is_answered(verb: str, text: str, sentence: str) -> None:
    """Nothing is changed, and the sentence shows the way."""
    with pytest.raises(BadInput) as refusal:
        do(verb, text)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(("verb", "text", "kind"), [
    ("ack", "", "acknowledged"), ("escalate", "", "escalated"), ("hold", "15m x", "held"), ("assess", "", "assess"),
    ("status", "IDENTIFIED", "status"), ("severity", "p0", "severity"), ("assign", "commander", "role"), ("note", "x", "note"),
    ("resolve", "", "resolved"), ("close", "", "resolved"), ("update", "we look at it", "update"),
])  # fmt: skip
def test_every_verb_is_written_down(verb: str, text: str, kind: str) -> None:
    """Each verb decides a change whose first entry names it and its person."""
    change = do(verb, text)
    assert change.notes[0].kind == kind
    assert (change.notes[0].actor, change.notes[0].actor_name) == ("U0ANA", "Ana Ortiz")


def test_a_role_goes_to_the_person_named_or_to_who_asks() -> None:
    """`assign scribe @ben` gives it by his real name, `assign scribe` takes it."""
    assert do("assign", "scribe <@U0BEN|ben>").case.incident.roles == {Role.SCRIBE: Person("U0BEN", "Ben Adler")}
    assert do("assign", "scribe").case.incident.roles == {Role.SCRIBE: ANA}


def test_severities_are_read_in_any_case() -> None:
    """`p2` is P2."""
    assert severity_of("p2") is Severity.P2


@pytest.mark.parametrize("verb", [v for v in VERBS.values() if v.window is not None], ids=lambda v: v.name)
def test_every_window_is_one_that_slack_opens(verb: Any) -> None:
    """A window is within Slack's limits, has a title, and its inputs are the fields that the verb reads."""
    blocks = verb.window(declared())
    window_taken_by_slack(modal(f"incident_{verb.name}", verb.title, blocks, "OK"))
    inputs = {block["block_id"] for block in blocks if block["type"] == "input"}
    assert inputs >= set(verb.parse("x y"))


def test_the_help_names_every_verb() -> None:
    """What can be done stands in the help, with its usage."""
    text = help_text()
    assert all(f"`/incident {esc(verb.usage)}`" in text for verb in VERBS.values())


# Declaring


@pytest.mark.parametrize(("text", "severity", "title"), [
    ("P0 checkout is down", Severity.P0, "checkout is down"),
    ("p2: checkout", Severity.P2, "checkout"),
    ("P3, odd things", Severity.P3, "odd things"),
    ("checkout is down", Severity.P1, "checkout is down"),
    ("P12 checkout", Severity.P1, "P12 checkout"),
    ("P1  R&amp;D   &lt;all&gt;", Severity.P1, "R&D <all>"),
])  # fmt: skip
def test_one_line_declares(text: str, severity: Severity, title: str) -> None:
    """A severity in front, P1 without one; the rest is the title, as it was typed."""
    said = one_line("command/1", ANA, text, ESTATE, NOW)
    assert (said.severity, said.title, said.key, said.started_at) == (severity, title, "command/1", NOW)


def test_one_line_knows_services_and_scenario() -> None:
    """The words of the line name what is affected."""
    said = one_line("k", ANA, "P1 redis is down", ESTATE, NOW)
    assert (said.services, said.scenario) == (("redis",), Scenario.REDIS)


@pytest.mark.parametrize("text", ["P1", "P0:", "   "])
def test_a_line_without_a_title_is_refused(text: str) -> None:
    """A severity alone declares nothing."""
    with pytest.raises(BadInput, match=r"The title is empty\."):
        one_line("k", ANA, text, ESTATE, NOW)


@pytest.mark.parametrize(("text", "at"), [
    ("now", NOW), ("", NOW), (" NOW ", NOW), ("20m ago", NOW - 20 * MINUTE), ("2 hours ago", NOW - 120 * MINUTE),
    ("90 minutes ago", NOW - 90 * MINUTE), ("1d ago", NOW - timedelta(days=1)),
    ("13:05", NOW.replace(hour=13, minute=5)), ("14:00", NOW), ("15:00", NOW.replace(hour=15) - timedelta(days=1)),
    ("2026-03-01 09:30", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
])  # fmt: skip
def test_a_beginning_is_read(text: str, at: datetime) -> None:
    """Now, a while ago, a time of today (or of yesterday when it is yet to come), a date: always UTC, always past."""
    assert started(text, NOW) == at


@pytest.mark.parametrize("text", ["tomorrow", "20m", "25:00", "14.05", "2026-13-01 10:00", "ago"])
def test_another_beginning_cannot_be_read(text: str) -> None:
    """The sentence shows four ways to say it."""
    with pytest.raises(BadInput, match="I cannot read that time"):
        started(text, NOW)


@pytest.mark.parametrize("text", ["2026-03-03 14:00", "2026-01-01 00:00", "31d ago", "9999d ago"])
def test_a_beginning_is_in_the_last_thirty_days(text: str) -> None:
    """What is to come or very long ago is a slip of the pen."""
    with pytest.raises(BadInput, match="That time must be in the past, at most 30 days ago"):
        started(text, NOW)


def view(**values: Any) -> dict[str, Any]:
    """A submitted window."""
    states: dict[str, Any] = {"title": {"value": "Checkout is down"}, "severity": {"selected_option": {"value": "P0"}},
                              "scenario": {"selected_option": {"value": "database"}}, **values}  # fmt: skip
    return {"state": {"values": {name: {name: state} for name, state in states.items()}}}


def test_a_window_declares() -> None:
    """Every input of the window arrives in the declaration."""
    sent = view(
        services={"selected_options": [{"value": "api"}]}, seen={"value": "500s\neverywhere"},
        started={"value": "20m ago"}, private={"selected_options": [{"value": "private"}]},
    )  # fmt: skip
    assert check(sent, NOW) == {}
    said = from_window("view/1", ANA, sent, NOW)
    assert (said.title, said.severity, said.scenario, said.services) == (
        "Checkout is down", Severity.P0, Scenario.DATABASE, ("api",),
    )  # fmt: skip
    assert (said.seen, said.private, said.started_at) == ("500s\neverywhere", True, NOW - 20 * MINUTE)


def test_what_is_wrong_is_said_under_each_field() -> None:
    """All mistakes at once, each at its input; nothing else."""
    wrong = check(view(title={"value": " "}, seen={"value": "x" * 2001}, started={"value": "soon"}), NOW)
    assert set(wrong) == {"title", "seen", "started"}
    assert check(view(), NOW) == {}


def test_the_declaring_window_is_one_that_slack_opens() -> None:
    """With open incidents of the longest titles above it, and every input of `check` in it."""
    open_now = [declared(title="&" * 150).incident] * 5
    window = form(ESTATE, open_now, "C0GENERAL")
    window_taken_by_slack(window)
    assert {"title", "seen", "started"} <= {b.get("block_id") for b in window["blocks"]}
    assert typed(window) == {}


# Clicks

COMMAND = {"trigger_id": "1.2", "user_id": "U0ANA", "user_name": "ana", "channel_id": "C1", "command": "/incident",
           "text": " ack ", "response_url": "https://r"}  # fmt: skip
ACTION = {"trigger_id": "1.3", "user": {"id": "U0ANA", "username": "ana"}, "container": {"channel_id": "C1"},
          "response_url": "https://r", "actions": [{"action_id": "incident_ack", "action_ts": "9.1", "value": "7"}]}  # fmt: skip
VIEW = {"trigger_id": "1.4", "user": {"id": "U0ANA", "name": "ana"},
        "view": {"id": "V1", "hash": "h", "callback_id": "incident_hold", "private_metadata": '{"number": 7}'}}  # fmt: skip
EVENT = {"event_id": "Ev1", "event": {"type": "reaction_added", "user": "U0ANA", "reaction": "pushpin"}}
SHORTCUT = {"trigger_id": "1.5", "user": {"id": "U0ANA"}, "callback_id": "incident_declare"}


@pytest.mark.parametrize(("kind", "body", "key"), [
    ("command", COMMAND, "command/1.2"), ("action", ACTION, "action/9.1/U0ANA/incident_ack"), ("view", VIEW, "view/V1/h"),
    ("event", EVENT, "event/Ev1"), ("shortcut", SHORTCUT, "shortcut/1.5"),
])  # fmt: skip
def test_a_redelivery_has_the_same_key(kind: str, body: dict[str, Any], key: str) -> None:
    """The key is of what was done, not of how often it was delivered."""
    assert key_of(kind, body) == key
    assert key_of(kind, {**body, "retry_attempt": 1}) == key


def test_two_people_on_one_button_are_two_clicks() -> None:
    """Another person, or the same one later, has a key of their own."""
    other = {**ACTION, "user": {"id": "U0BEN"}}
    later = {**ACTION, "actions": [{"action_id": "incident_ack", "action_ts": "9.2"}]}
    assert len({key_of("action", body) for body in (ACTION, other, later)}) == 3


@pytest.mark.parametrize(("kind", "body", "name", "channel", "words", "value"), [
    ("command", COMMAND, "/incident", "C1", "ack", ""), ("action", ACTION, "incident_ack", "C1", "", "7"),
    ("view", VIEW, "incident_hold", "", "", ""), ("event", EVENT, "reaction_added", "", "", ""),
    ("shortcut", SHORTCUT, "incident_declare", "", "", ""),
])  # fmt: skip
def test_a_body_is_read_as_a_click(
    kind: str, body: dict[str, Any], name: str, channel: str, words: str, value: str
) -> None:
    """Who, where, what: from each of Slack's five kinds of delivery."""
    click = click_of("k", kind, body)
    assert (click.key, click.kind, click.name, click.who.id) == ("k", kind, name, "U0ANA")
    assert (click.channel, click.text, click.value) == (channel, words, value)


def test_a_menu_says_which_option_was_taken() -> None:
    """The value of an overflow or a select is that of its option; a window carries its own data."""
    menu = {**ACTION, "actions": [{"action_id": "incident_more", "selected_option": {"value": "assign:7"}}]}
    assert click_of("k", "action", menu).value == "assign:7"
    assert click_of("k", "view", VIEW).data == {"number": 7}
    assert click_of("k", "command", COMMAND).data == {}


def test_status_words_are_those_of_the_incident() -> None:
    """The window offers exactly the statuses that can be set."""
    (select, _) = VERBS["status"].window(declared())  # type: ignore[misc]
    offered = [option["value"] for option in select["element"]["options"]]
    assert offered == [s.value for s in Status if s.open]
    assert notes(do("status", values={"status": "monitoring"})) == ["status"]
