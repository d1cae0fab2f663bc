"""What all looks together say: the state of a service, and the most likely scenario."""

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from bot.assessment import (
    Reading,
    State,
    Verdict,
    after_failover,
    answers_all_the_same,
    corroborated,
    led_away,
    likely,
    services,
)
from bot.incident import Scenario
from tests.unit.given import NOW

ROLES = {"old": "primary", "new": "standby"}
SCENARIOS = {"db": "database", "cache": "redis", "api": "kubernetes", "llm": "llm", "odd": "other"}


def reading(probe: str, state: State, service: str = "", seconds: int = 0) -> Reading:
    at = NOW + timedelta(seconds=seconds)
    return Reading(probe, service or probe, state, f"{probe} is {state}", at, at)


@pytest.mark.parametrize("states", list(product(("ok", "bad", "unknown"), repeat=2)))
def test_a_service_is_as_bad_as_its_worst_probe(states: tuple[State, State]) -> None:
    """One bad is bad, all ok is ok, everything else is unknown: unknown is never green."""
    found = services([reading("one", states[0], "api", 1), reading("two", states[1], "api", 2)])["api"]
    assert found[0] == ("bad" if "bad" in states else "ok" if set(states) == {"ok"} else "unknown")


def test_a_service_is_bad_since_its_first_bad_reading_and_green_since_its_last() -> None:
    """The instants that count for recovery: the earliest of the bad ones, the latest of the good ones."""
    bad = [reading("one", "ok", "api", 1), reading("two", "bad", "api", 3), reading("three", "bad", "api", 2)]
    assert services(bad) == {"api": ("bad", NOW + timedelta(seconds=2))}
    good = [reading("one", "ok", "api", 1), reading("two", "ok", "api", 4)]
    assert services(good) == {"api": ("ok", NOW + timedelta(seconds=4))}
    assert services([]) == {}


@pytest.mark.parametrize(("bad", "unknown", "scenario"), [
    ("", "", None),
    ("", "llm", None),  # one that nobody could read is no evidence
    ("db cache api llm", "", Scenario.DATABASE),  # the deepest part explains what stands on it
    ("cache api", "", Scenario.REDIS),
    ("api llm", "db", Scenario.KUBERNETES),
    ("llm", "", Scenario.LLM),
    ("odd", "", Scenario.OTHER),
    ("db cache api llm odd", "", Scenario.OUTAGE),
    ("api", "db cache llm odd", Scenario.OUTAGE),  # bad or silent, all of it
    ("", "db cache api llm odd", Scenario.OUTAGE),
])  # fmt: skip
def test_the_deepest_bad_part_names_the_scenario(bad: str, unknown: str, scenario: Scenario | None) -> None:
    """Database before cache before cluster before LLM; everything bad or silent is a complete outage."""
    state_of: dict[str, State] = {**dict.fromkeys(bad.split(), "bad"), **dict.fromkeys(unknown.split(), "unknown")}
    assert likely([reading(p, state_of.get(p, "ok")) for p in SCENARIOS], SCENARIOS).scenario == scenario


def test_the_evidence_is_what_was_read() -> None:
    """Only the readings that speak for the scenario are its evidence."""
    verdict = likely([reading("db", "bad"), reading("api", "bad"), reading("llm", "ok")], SCENARIOS)
    assert verdict == Verdict(Scenario.DATABASE, ("db: db is bad",))


@pytest.mark.parametrize("count", [1, 2])
def test_two_probes_are_too_few_for_an_outage(count: int) -> None:
    """An estate with one or two probes names the scenario of what is bad, not the end of everything."""
    assert likely([reading("db", "bad"), reading("api", "bad")][:count], SCENARIOS).scenario is Scenario.DATABASE


def test_silence_is_bad_only_when_the_application_says_so_too() -> None:
    """A part that did not answer is unknown; with the application's word against it, bad. Another unknown stays unknown."""
    silent = Reading("cache", "redis", "unknown", "no answer within 5 s", NOW, NOW, None, {"silent": True})
    refused = Reading("db", "database", "unknown", "our password is refused", NOW, NOW)
    against = Reading("api", "api", "bad", "HTTP 503", NOW, NOW, 1, {"failing": ["redis", "database"]})
    assert [r.state for r in corroborated([silent, refused])] == ["unknown", "unknown"]
    found = corroborated([silent, refused, against])
    assert [r.state for r in found] == ["bad", "unknown", "bad"]
    assert found[0].detail == "no answer within 5 s, and the application calls it failing"


def server(probe: str, state: State, **facts: bool) -> Reading:
    return replace(reading(probe, state, "database"), facts=facts)


@pytest.mark.parametrize(("old", "says"), [
    (server("old", "bad"), "rebuild it as its standby"),  # gone
    (server("old", "bad", in_recovery=False, read_only=True), "rebuild it as its standby"),  # fenced by a switchover
    (server("old", "bad", in_recovery=True), "swap the two in the estate file"),  # rebuilt
    (server("old", "unknown"), "rebuild it as its standby"),
])  # fmt: skip
def test_the_old_primary_after_a_failover_is_bad_and_no_evidence(old: Reading, says: str) -> None:
    """It says what to do with it; the service is green on the promoted server, and no scenario is named because of it."""
    found = after_failover([old, server("new", "bad", in_recovery=False, read_only=False)], ROLES)
    assert [r.state for r in found] == ["bad", "ok"]
    assert says in found[0].detail
    assert services(found)["database"][0] == "ok"
    scenarios = {**SCENARIOS, **dict.fromkeys(ROLES, "database")}
    assert likely(found, scenarios) == Verdict(None, ())
    assert likely([*found, reading("llm", "bad")], scenarios).scenario is Scenario.LLM


def test_what_is_down_of_a_site_that_nobody_is_led_to_counts_for_no_service() -> None:
    """DNS leads to the DR site: the API is what answers there; without that the dead cluster counts, and a live one always."""
    seen = [reading("health", "ok", "api"), reading("cluster", "bad", "api"), reading("db", "unknown")]
    assert services(led_away(seen, ["cluster", "db"], ""))["api"][0] == "bad"
    away = led_away(seen, ["cluster", "db"], "api.example leads to the DR site")
    assert {service: state for service, (state, _) in services(away).items()} == {"api": "ok"}
    assert away[1].detail == "serves nobody, as api.example leads to the DR site: cluster is bad"
    assert answers_all_the_same(seen, ["cluster", "db"], ["health"])
    for quiet in ([], ["db"]):
        assert not answers_all_the_same(seen, quiet, ["health"])
    assert not answers_all_the_same(seen, ["cluster", "db"], [])
    assert led_away([reading("db", "ok")], ["db"], "x leads to the DR site")[0].service == "db"


def test_before_a_failover_a_dead_primary_is_the_evidence() -> None:
    """A standby that is one, or a server that is read-only, is nobody's successor; two that take writes are an alarm."""
    for facts in ({"in_recovery": True}, {"in_recovery": False, "read_only": True}):
        found = after_failover([server("old", "bad"), server("new", "ok", **facts)], ROLES)
        assert likely(found, dict.fromkeys(ROLES, "database")).evidence == ("old: old is bad",)
    both = [server(name, "ok", in_recovery=False, read_only=False) for name in ROLES]
    assert all("TWO PRIMARIES" in r.detail and r.service for r in after_failover(both, ROLES))
