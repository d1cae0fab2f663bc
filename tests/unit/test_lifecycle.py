"""The life of an incident: every refusal, recovery against RTO, resolve, reopen, close."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import NotNow
from bot.escalation import CALLS, acknowledge, change_severity
from bot.incident import BOT, Ack, Impact, Page, Person, Role, Severity, Status
from bot.lifecycle import assign, close, moves, note, reopen, resolve, set_status, weigh
from bot.rules import Case, Change
from tests.unit.given import ANA, BEN, MINUTE, NOW, declared, kinds, lines, notes, rules

RULES = rules()


def in_status(status: Status, severity: Severity = Severity.P1) -> Case:
    """INC-7 in any status, by the ways that lead there."""
    case = declared(severity)
    if status in (Status.IDENTIFIED, Status.MONITORING):
        return set_status(case, status, ANA, "", RULES, NOW).case
    if status is Status.RESOLVED:
        return resolve(case, ANA, "", RULES, NOW).case
    return close(case, ANA, RULES, NOW).case if status is Status.CLOSED else case


REFUSALS: list[tuple[Callable[[Case], Change], Status, str]] = [
    *((lambda c: set_status(c, Status.IDENTIFIED, ANA, "", RULES, NOW), s,
       f"INC-7 is {s}. Use `reopen <reason>` to go on with it.") for s in (Status.RESOLVED, Status.CLOSED)),
    (lambda c: set_status(c, Status.INVESTIGATING, ANA, "", RULES, NOW), Status.INVESTIGATING, "INC-7 is investigating already."),
    (lambda c: assign(c, Role.SCRIBE, ANA, ANA, NOW), Status.CLOSED, "INC-7 is closed."),
    (lambda c: note(c, "x", ANA, NOW), Status.CLOSED, "INC-7 is closed; its timeline is sealed. Reopen it to add to it."),
    *((lambda c: resolve(c, ANA, "", RULES, NOW), s, f"INC-7 is {s} already.") for s in (Status.RESOLVED, Status.CLOSED)),
    *((lambda c: reopen(c, ANA, "x", RULES, NOW), s, f"INC-7 is {s}; it is still open.")
      for s in (Status.INVESTIGATING, Status.IDENTIFIED, Status.MONITORING)),
    (lambda c: close(c, ANA, RULES, NOW), Status.CLOSED, "INC-7 is closed already."),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(REFUSALS)))
def test_what_is_not_possible_now_says_why(number: int) -> None:
    """Every verb that a status forbids is refused with a sentence that names the status or the way on."""
    verb, status, sentence = REFUSALS[number]
    with pytest.raises(NotNow) as refusal:
        verb(in_status(status))
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(("before", "after"), [
    (b, a) for b, a in product((Status.INVESTIGATING, Status.IDENTIFIED, Status.MONITORING), repeat=2) if a is not b
])  # fmt: skip
def test_only_monitoring_stops_the_ladder(before: Status, after: Status) -> None:
    """Investigating and identified climb, monitoring stands still and withdraws the calls; every change is written, said and shown."""
    change = set_status(in_status(before), after, ANA, "we know", RULES, NOW + MINUTE)
    assert (change.case.ladder.wake_at is not None) is (after is not Status.MONITORING)
    assert [n.text for n in change.notes] == [f"Status {before} → {after}: we know"]
    called = ["page.open", "page.proof"] if before is Status.MONITORING else []  # again, if they were withdrawn
    assert kinds(change) == ["say", "board", "room.describe", "announce", *called]
    assert change.dropped == (CALLS if after is Status.MONITORING else ())


def test_a_role_is_given_once() -> None:
    """A role goes to a person, who is invited; the same again is refused; another person replaces them."""
    change = assign(declared(), Role.COMMANDER, ANA, ANA, NOW)
    assert change.case.incident.roles == {Role.COMMANDER: ANA}
    assert "room.invite" in kinds(change)
    with pytest.raises(NotNow, match=r"Ana Ortiz is commander of INC-7 already\."):
        assign(change.case, Role.COMMANDER, ANA, BEN, NOW)
    assert assign(change.case, Role.COMMANDER, BEN, ANA, NOW).case.incident.roles == {Role.COMMANDER: BEN}


def test_resolving_asks_nobody_first() -> None:
    """Resolve owes the report, the end of the page and a reminder, and drops every call that has not left yet."""
    change = resolve(declared(), ANA, "restarted", RULES, NOW + 42 * MINUTE)
    assert change.notes[0].text == "Resolved after 42 min: restarted"
    assert kinds(change) == ["say", "report.post", "board", "room.describe", "announce", "page.resolve", "remind"]
    assert change.owed[-1].due_at == NOW + 42 * MINUTE + RULES.report_due
    assert set(change.dropped) == {"page.open", "page.add", "page.ack", "page.proof", "tell.rung", "tell"}
    assert change.case.ladder.wake_at is None
    assert change.case.incident.resolved_at == NOW + 42 * MINUTE


def test_what_was_paged_is_resolved_whatever_its_severity_is_now() -> None:
    """A P1 that was corrected to P3 has a page all the same: PagerDuty must not go on ringing after the end."""
    low = change_severity(declared(), Severity.P3, ANA, "not so bad", RULES, NOW + MINUTE).case
    assert "page.resolve" in kinds(resolve(low, ANA, "", RULES, NOW + 2 * MINUTE))
    assert "page.resolve" in kinds(close(low, ANA, RULES, NOW + 2 * MINUTE))
    quiet = reopen(resolve(low, ANA, "", RULES, NOW).case, ANA, "x", RULES, NOW).case
    assert "page.resolve" not in kinds(resolve(quiet, ANA, "", RULES, NOW))


def test_a_p3_has_no_page_to_resolve() -> None:
    """Where nobody was paged, PagerDuty is left alone."""
    assert "page.resolve" not in kinds(resolve(declared(Severity.P3), ANA, "", RULES, NOW))


def test_what_the_pager_resolved_is_said_by_name() -> None:
    """A resolution from PagerDuty by somebody unknown to Slack names them."""
    change = resolve(declared(), Person("", "Olga"), "resolved in PagerDuty", RULES, NOW)
    assert (change.notes[0].actor, change.notes[0].actor_name) == ("pagerduty", "Olga")


def test_reopening_is_a_new_round() -> None:
    """Rung 1 pages again under a key of its own, old acknowledgements are forgotten, and the old page is still resolved."""
    first = acknowledge(declared(), Ack(ANA, NOW, "slack"), RULES, NOW).case.with_(pages={1: Page("P1", "")})
    over = resolve(first, ANA, "", RULES, NOW + MINUTE)
    change = reopen(over.case, BEN, "it is back", RULES, NOW + 90 * MINUTE)
    incident = change.case.incident
    assert (incident.round, incident.page_key, incident.page, incident.acks) == (2, "INC-7.2", None, ())
    assert (incident.resolved_at, incident.status) == (None, Status.INVESTIGATING)
    assert [r.round for r in change.case.ladder.rungs] == [2, 2, 2, 2]
    assert change.case.ladder.waiting[0].due_at == NOW + 105 * MINUTE
    assert "page.open" in kinds(change)
    assert "page.resolve" not in change.dropped
    again = [o.key for o in change.owed]
    assert not set(again) & {o.key for o in over.owed if not o.standing}


def test_a_p3_is_reopened_quietly() -> None:
    """Nobody is called for a P3, the second time neither."""
    assert "page.open" not in kinds(reopen(in_status(Status.RESOLVED, Severity.P3), ANA, "x", RULES, NOW))


def test_closing_exports_then_archives_if_the_estate_says_so() -> None:
    """Closing seals with an export; archiving is an option and comes after it in the same lane."""
    plain = close(in_status(Status.RESOLVED), ANA, RULES, NOW)
    assert "room.archive" not in kinds(plain)
    archived = close(in_status(Status.RESOLVED), ANA, rules(archive_on_close=True), NOW)
    lanes = [(o.kind, o.lane) for o in archived.owed if o.kind in ("report.export", "room.archive")]
    assert lanes == [("report.export", "INC-7/close"), ("room.archive", "INC-7/close")]


def test_closing_an_open_incident_resolves_it_first() -> None:
    """One word from open to closed: both are on the timeline, and the page is resolved."""
    change = close(declared(), ANA, RULES, NOW + MINUTE)
    assert notes(change) == ["resolved", "closed"]
    assert change.case.incident.resolved_at == change.case.incident.closed_at == NOW + MINUTE
    assert "page.resolve" in kinds(change)


def hit(**impact: Impact) -> Case:
    return declared().with_(impact=impact)


STATES = st.dictionaries(st.sampled_from(["api", "database", "cache"]), st.sampled_from(["ok", "bad", "unknown"]))


@given(st.lists(STATES, max_size=8))
def test_unknown_never_ends_and_never_begins_an_outage(rounds: list[dict[str, str]]) -> None:
    """Whatever was seen before, an unknown reading changes nothing, and `moves` says exactly when `weigh` writes."""
    case = declared()
    for number, states in enumerate(rounds):
        at = NOW + number * MINUTE
        readings = {service: (state, at) for service, state in states.items()}
        change = weigh(case, readings, RULES)
        assert bool(change.notes) is moves(case.incident.impact, readings)
        for service, state in states.items():
            before, after = case.incident.impact.get(service), change.case.incident.impact.get(service)
            if state == "unknown":
                assert before == after
            if after is not None and after.green_at is not None:
                assert after.seen
        assert weigh(change.case, readings, RULES).notes == ()
        case = change.case


def test_what_no_probe_saw_bad_is_not_ended_by_a_green_one() -> None:
    """A service that only people call down stays down until people say otherwise, however green its probe is."""
    case = declared()
    assert case.incident.impact == {"api": Impact(NOW)}
    assert weigh(case, {"api": ("ok", NOW + MINUTE)}, RULES) == Change(case)
    bad = weigh(case, {"api": ("bad", NOW + MINUTE)}, RULES)
    assert bad.case.incident.impact == {"api": Impact(NOW, seen=True)}  # down since people said so
    green = weigh(bad.case, {"api": ("ok", NOW + 4 * MINUTE)}, RULES)
    assert green.case.incident.impact["api"].green_at == NOW + 4 * MINUTE


@pytest.mark.parametrize(("minutes", "within", "text"), [
    (4, True, "Database is green again after 4 min (RTO 5 min: kept)"),
    (5, True, "Database is green again after 5 min (RTO 5 min: kept)"),
    (6, False, "Database is green again after 6 min (RTO 5 min: missed)"),
])  # fmt: skip
def test_recovery_is_measured_against_the_rto(minutes: int, within: bool, text: str) -> None:
    """Recovery time is from bad to green; exactly the RTO still keeps it."""
    case = hit(database=Impact(NOW, seen=True))
    change = weigh(case, {"database": ("ok", NOW + minutes * MINUTE)}, RULES)
    assert change.notes[0].text == text
    assert change.notes[0].data == {"service": "database", "state": "ok", "seconds": 60 * minutes, "within_rto": within}
    assert lines(change) == ["recovered"]


def test_a_service_without_an_rto_has_no_verdict() -> None:
    """A probe of something that is no service with an objective is told by its own name, without a goal."""
    change = weigh(hit(cdn=Impact(NOW, seen=True)), {"cdn": ("ok", NOW + MINUTE)}, RULES)
    assert change.notes[0].text == "cdn is green again after 1 min"


def test_bad_again_begins_anew() -> None:
    """What was green and turns bad again is a new outage of that service, with its own beginning."""
    case = hit(database=Impact(NOW, NOW + MINUTE, seen=True))
    change = weigh(case, {"database": ("bad", NOW + 9 * MINUTE)}, RULES)
    assert change.case.incident.impact == {"database": Impact(NOW + 9 * MINUTE, seen=True)}
    assert change.notes[0].text == "Database is bad again"


@pytest.mark.parametrize("act", [
    lambda case, now: resolve(case, BOT, "", RULES, now),
    lambda case, now: set_status(case, Status.IDENTIFIED, ANA, "", RULES, now),
    lambda case, now: assign(case, Role.SCRIBE, ANA, ANA, now),
])  # fmt: skip
def test_a_private_incident_is_never_announced(act: Callable[[Case, datetime], Change]) -> None:
    """Nothing that happens to a private incident reaches the announce channel."""
    assert "announce" not in kinds(act(declared(private=True), NOW + timedelta(seconds=1)))
