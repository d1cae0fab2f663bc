"""The assessment: what one look at one part says, and what all looks together say about the scenario.

A reading is ok, bad or unknown. Unknown means that nobody could tell (a deadline, a broken probe): it is never green,
and it never ends an outage.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from bot.incident import Scenario

State = Literal["ok", "bad", "unknown"]

LAST_SEEN = "last_seen"
"""The fact of a reading that outlives it in the store: how far a primary had written (`at`, `lsn`, `system`) when it was
last seen to take writes."""


@dataclass(frozen=True)
class Reading:
    """What a probe said `at` an instant; `since` it says the same. `latency_ms` None = no answer."""

    probe: str
    service: str
    state: State
    detail: str
    at: datetime
    since: datetime
    latency_ms: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Look:
    """What a client answers to a probe: a state, one line for people, and figures."""

    state: State
    detail: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """The most likely scenario and the evidence for it; None = nothing is bad."""

    scenario: Scenario | None
    evidence: tuple[str, ...]


def after_failover(readings: Sequence[Reading], roles: Mapping[str, str]) -> list[Reading]:
    """The readings, judged by who takes the writes now: after a failover the promoted server is the primary, and the old one
    counts for no service; two that take writes are an alarm on both. `roles` maps a database probe to the estate's role."""
    writers = [
        r for r in readings
        if r.probe in roles and r.facts.get("in_recovery") is False and not r.facts.get("read_only")
    ]  # fmt: skip
    by_service = {r.service: [w for w in writers if w.service == r.service] for r in writers}
    return [_judged(r, by_service.get(r.service, []), roles) if r.probe in roles else r for r in readings]


def answers_all_the_same(readings: Sequence[Reading], primary: Collection[str], outside: Collection[str]) -> bool:
    """Whether a service answers well from outside while a part of the primary site that it stands on does not: where DNS leads
    matters only then. `primary`, `outside`: probes of the primary site itself, and of addresses that follow DNS."""
    well = {r.service for r in readings if r.probe in outside and r.state == "ok"}
    return any(r.service in well for r in readings if r.probe in primary and r.state != "ok")


def led_away(readings: Sequence[Reading], primary: Collection[str], where: str) -> list[Reading]:
    """While DNS leads to the DR site (`where` says so; empty = it does not), what is not well of the primary site serves nobody
    and counts for no service. `primary`: the probes of the primary site itself."""
    return [
        replace(r, service="", detail=f"serves nobody, as {where}: {r.detail}")
        if where and r.probe in primary and r.state != "ok"
        else r
        for r in readings
    ]


def corroborated(readings: Sequence[Reading]) -> list[Reading]:
    """A part that did not answer in time is unknown; when the application, too, calls it failing, it is bad."""
    failing = {str(name) for r in readings if r.state == "bad" for name in r.facts.get("failing", ())}
    return [
        replace(r, state="bad", detail=f"{r.detail}, and the application calls it failing")
        if r.state == "unknown" and r.facts.get("silent") and failing & {r.probe, r.service}
        else r
        for r in readings
    ]


def _judged(reading: Reading, writers: Sequence[Reading], roles: Mapping[str, str]) -> Reading:
    names = {w.probe for w in writers}
    if len(names) > 1 and reading.probe in names:
        others = ", ".join(sorted(names - {reading.probe}))
        return replace(reading, state="bad", detail=f"TWO PRIMARIES: {others} takes writes too. {reading.detail}")
    if len(names) != 1 or roles[writers[0].probe] == "primary":
        return reading
    if reading.probe in names:
        what = f"{reading.facts.get('product', 'PostgreSQL')} {reading.facts.get('version', '?')}"
        return replace(reading, state="ok", detail=f"{what}, takes the writes since a failover")
    if roles[reading.probe] == "primary":
        return replace(reading, service="", state="bad", detail=f"{_after(reading, writers[0])} {reading.detail}")
    return reading


def _after(old: Reading, new: Reading) -> str:
    """What to do with the server that was the primary. First, as the rest of a reading may be cut."""
    if old.facts.get("in_recovery"):
        return f"follows {new.probe} as a standby now: swap the two in the estate file."
    return f"out since the failover to {new.probe}: rebuild it as its standby, then swap the two in the estate file."


def services(readings: Iterable[Reading]) -> dict[str, tuple[State, datetime]]:
    """Per service the state of all its probes together: one bad is bad, all ok is ok, else unknown; and since when."""
    by_service: dict[str, list[Reading]] = {}
    for reading in readings:
        if not reading.service:
            continue
        by_service.setdefault(reading.service, []).append(reading)
    found: dict[str, tuple[State, datetime]] = {}
    for service, its in by_service.items():
        bad = [r for r in its if r.state == "bad"]
        if bad:
            found[service] = ("bad", min(r.at for r in bad))
        elif all(r.state == "ok" for r in its):
            found[service] = ("ok", max(r.at for r in its))
        else:
            found[service] = ("unknown", max(r.at for r in its))
    return found


def likely(readings: Sequence[Reading], scenario_of: Mapping[str, str]) -> Verdict:
    """Name the scenario: the deepest part that is bad explains the ones that stand on it.

    `scenario_of` maps a probe to the scenario it speaks for. Everything bad or silent is a complete outage. What counts for
    no service (as the old primary after a failover) is no evidence for anything.
    """
    readings = [r for r in readings if r.service]
    bad = [r for r in readings if r.state == "bad"]
    silent = [r for r in readings if r.state == "unknown"]
    if not bad:
        if silent and len(silent) == len(readings):
            return Verdict(Scenario.OUTAGE, tuple(f"{r.probe}: {r.detail}" for r in silent))
        return Verdict(None, ())
    if len(readings) > 2 and len(bad) + len(silent) == len(readings):
        return Verdict(Scenario.OUTAGE, tuple(f"{r.probe}: {r.detail}" for r in (*bad, *silent)))
    for scenario in _DEEPEST_FIRST:
        evidence = tuple(f"{r.probe}: {r.detail}" for r in bad if scenario_of.get(r.probe) == scenario)
        if evidence:
            return Verdict(scenario, evidence)
    return Verdict(Scenario.OTHER, tuple(f"{r.probe}: {r.detail}" for r in bad))


_DEEPEST_FIRST = (Scenario.DATABASE, Scenario.REDIS, Scenario.KUBERNETES, Scenario.LLM, Scenario.OUTAGE)
