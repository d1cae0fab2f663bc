"""What a declaration becomes, what it looks like, and what one typed line says."""

from datetime import timedelta

import pytest

from bot.declaring import declare, guess_scenario, guess_services, similar
from bot.incident import Impact, Scenario, Severity, Status
from bot.lifecycle import resolve
from bot.rules import Case
from tests.unit.given import ANA, MINUTE, NOW, declared, estate, kinds, notes, rules, said

RULES = rules()
ESTATE = estate()


def test_room_and_page_are_owed_from_the_same_instant() -> None:
    """The page does not wait for the room: both are due at once, in lanes of their own."""
    change = declare(7, said(), RULES, NOW)
    assert kinds(change) == [
        "room.create", "board", "room.describe", "room.invite", "room.invite", "room.bookmarks", "assess", "assess.all", "announce",
        "page.open", "page.proof", "room.invite", "say", "board",
    ]  # fmt: skip
    owed = {o.kind: o for o in change.owed}
    assert owed["room.create"].due_at is None
    assert owed["page.open"].due_at is None
    assert owed["room.create"].lane != owed["page.open"].lane
    assert notes(change) == ["declared", "rung"]
    assert change.notes[0].text == "P1 declared: Checkout is down (kubernetes; API Services)"
    assert change.case.incident.room_name == "inc-7-checkout-is-down"
    assert [r.state for r in change.case.ladder.rungs] == ["fired", "waiting", "waiting", "waiting"]


def test_a_p3_calls_nobody() -> None:
    """A P3 has a room, a board and an assessment, and no page, no proof, no rung."""
    change = declare(7, said(severity=Severity.P3, services=(), seen="odd"), RULES, NOW)
    assert not {"page.open", "page.proof"} & set(kinds(change))
    assert change.notes[0].text.endswith("services not yet known). Seen: odd")


@pytest.mark.parametrize(("scenario", "asked", "private"), [
    (Scenario.SECURITY, False, True), (Scenario.OTHER, True, True), (Scenario.OTHER, False, False),
])  # fmt: skip
def test_security_is_private_from_the_start(scenario: Scenario, asked: bool, private: bool) -> None:
    """A security incident, or one asked to be private, is private and never announced."""
    change = declare(7, said(scenario=scenario, private=asked), RULES, NOW)
    assert change.case.incident.private is private
    assert ("announce" in kinds(change)) is not private


def test_the_clock_runs_from_when_it_began() -> None:
    """RTO counts from the said beginning, the ladder from the declaration; a beginning to come counts as now."""
    early = declare(7, said(started_at=NOW - 20 * MINUTE), RULES, NOW).case
    assert early.incident.impact == {"api": Impact(NOW - 20 * MINUTE)}
    assert early.ladder.waiting[0].due_at == NOW + 15 * MINUTE
    assert declare(7, said(started_at=NOW + MINUTE), RULES, NOW).case.incident.started_at == NOW


def found(theirs: dict[str, object], *cases: Case, after: timedelta = MINUTE) -> list[int]:
    return [i.number for i in similar(said(**theirs), [c.incident for c in cases], RULES, NOW + after)]


@pytest.mark.parametrize(("theirs", "same"), [
    ({"services": ("api", "redis"), "scenario": Scenario.REDIS, "title": "cache"}, True),  # a service in common
    ({"services": (), "scenario": Scenario.KUBERNETES, "title": "pods"}, True),  # the scenario
    ({"services": (), "scenario": Scenario.OTHER, "title": "the CHECKOUT again"}, True),  # the words
    ({"services": (), "scenario": Scenario.OTHER, "title": "everything is slow and down"}, False),  # empty words only
    ({"services": ("redis",), "scenario": Scenario.REDIS, "title": "cache"}, False),
])  # fmt: skip
def test_what_looks_the_same_is_found(theirs: dict[str, object], same: bool) -> None:
    """A service, a scenario or telling words in common; that both say "is down" tells nothing."""
    assert found(theirs, declared()) == ([7] if same else [])


def test_two_of_no_scenario_are_not_alike_by_it() -> None:
    """`other` is no scenario to have in common."""
    ours = declared(scenario=Scenario.OTHER, services=(), title="printer")
    assert found({"services": (), "scenario": Scenario.OTHER, "title": "coffee"}, ours) == []


def test_only_recent_open_public_ones_are_told() -> None:
    """Older than half an hour, resolved or private ones are never shown as look-alikes."""
    assert found({}, declared(), after=30 * MINUTE) == [7]
    assert found({}, declared(), after=31 * MINUTE) == []
    assert found({}, declared(private=True)) == []
    assert found({}, resolve(declared(), ANA, "", RULES, NOW).case) == []


def test_the_newest_look_alike_comes_first() -> None:
    """Of several the newest is offered first."""
    older = declare(6, said(), RULES, NOW - 5 * MINUTE).case
    assert found({}, older, declared()) == [7, 6]


@pytest.mark.parametrize(("line", "services"), [
    ("checkout is down", ("api",)),
    ("Postgres replica lags, redis too", ("database", "redis")),
    ("the circuit breaker is open", ("llm",)),
    ("errors from together.ai", ("llm",)),
    ("API Services return 503", ("api",)),
    ("database-1 is full", ()),  # a word of its own, not a part of one
    ("nothing that we know", ()),
])  # fmt: skip
def test_services_are_known_by_their_words(line: str, services: tuple[str, ...]) -> None:
    """A service is named by its name, title or keyword as whole words, in the estate's order."""
    assert guess_services(line, ESTATE) == services


@pytest.mark.parametrize(("line", "scenario"), [
    ("unauthorized access to the database", Scenario.SECURITY),
    ("customer data leaked from the api", Scenario.SECURITY),
    ("memory leak in the api", Scenario.KUBERNETES),
    ("redis is down", Scenario.REDIS),
    ("database and redis are down", Scenario.DATABASE),
    ("everything is down", Scenario.OUTAGE),
    ("the control plane is gone", Scenario.KUBERNETES),
    ("the coffee machine", Scenario.OTHER),
])  # fmt: skip
def test_a_scenario_is_guessed_from_one_line(line: str, scenario: Scenario) -> None:
    """An attack first, since it is private; then the services named; then the runbook's words; else other."""
    assert guess_scenario(line, guess_services(line, ESTATE), ESTATE) is scenario


def test_a_declared_incident_is_investigated() -> None:
    """Its first status is investigating, its key the one it was declared by."""
    incident = declared().incident
    assert (incident.status, incident.declaration, incident.id) == (Status.INVESTIGATING, "command/1", "INC-7")
