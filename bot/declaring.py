"""Declaring an incident, decided: the row, its first rung, and everything that is owed from the first second."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from bot import ladder as ladders
from bot import notices, owed
from bot.escalation import begin_ladder
from bot.estate import Estate
from bot.incident import Declaration, Impact, Incident, Scenario, Status, alike, room_name
from bot.rules import Case, Change, Rules
from bot.timeline import Note


def similar(
    declaration: Declaration, open_incidents: Iterable[Incident], rules: Rules, now: datetime
) -> list[Incident]:
    """Open incidents of the last while that look the same, newest first. Private ones are never told."""
    since = now - rules.similar_within
    found = [
        ours
        for ours in open_incidents
        if ours.declared_at >= since and not ours.private and ours.status.open and alike(ours, declaration)
    ]
    return sorted(found, key=lambda ours: ours.declared_at, reverse=True)


def declare(number: int, said: Declaration, rules: Rules, now: datetime) -> Change:
    """The incident as it stands in the instant it is declared: rung 1 has fired, room and page are owed."""
    incident = Incident(
        number=number,
        declaration=said.key,
        title=said.title,
        severity=said.severity,
        scenario=said.scenario,
        status=Status.INVESTIGATING,
        private=said.private or said.scenario in rules.private_scenarios,
        services=said.services,
        seen=said.seen,
        declared_by=said.by,
        declared_at=now,
        started_at=min(said.started_at, now),
        room_name=room_name(number, said.title),
        impact={service: Impact(bad_at=min(said.started_at, now)) for service in said.services},
    )
    what = ", ".join(rules.titles.get(service, service) for service in said.services) or "services not yet known"
    declared = Note(
        "declared",
        f"{said.severity} declared: {said.title} ({said.scenario}; {what})"
        + (f". Seen: {said.seen}" if said.seen else ""),
        said.by.id,
        said.by.name,
        {
            "severity": said.severity,
            "scenario": said.scenario,
            "services": list(said.services),
            "private": incident.private,
        },
    )
    change = Change(
        Case(incident, ladders.Ladder(())),
        (declared,),
        (
            owed.owe(incident, "room.create", "room.create", lane="room"),
            owed.board(incident),
            owed.describe(incident),
            owed.owe(incident, "room.invite", "room.invite/first", args={"people": [said.by.id]}),
            responders(incident),
            owed.owe(incident, "room.bookmarks", "room.bookmarks"),
            owed.owe(incident, "assess", "assess/first", args={"first": True}),
            watch_all(now + rules.assess_every),
        ),
    )
    if not incident.private:
        change = change.then(Change(change.case, owed=(owed.announce(incident),)))
    if incident.scenario is Scenario.SECURITY:
        change = change.then(notices.begin(change.case, now, rules))
    if not incident.severity.pages:
        return change
    return change.then(begin_ladder(change.case, rules, now))


def responders(incident: Incident) -> owed.Owed:
    """Their invitation has a lane of its own: a group that cannot be read keeps nobody else out of the room."""
    name = f"room.invite/responders/{incident.round}"
    return owed.owe(incident, "room.invite", name, lane=name, args={"responders": True})


def watch_all(at: datetime) -> owed.Owed:
    """The round of probes over the whole estate, shared by all open incidents."""
    return owed.Owed("assess.all", "estate/assess", "estate/assess", due_at=at, standing=True)


def guess_scenario(text: str, services: Iterable[str], estate: Estate) -> Scenario:
    """The scenario that one line of text names: security before all, then by the services in it, then by the runbook's words.

    A breach is private from the first second, whatever else the line names.
    """
    lowered, named = text.lower(), set(services)
    if any(word in lowered for word in _BREACH):
        return Scenario.SECURITY
    for service in estate.services:
        if service.name in named and service.scenario:
            return Scenario(service.scenario)
    for scenario, words in _SIGNS:
        if any(word in lowered for word in words):
            return scenario
    return Scenario.OTHER


def guess_services(text: str, estate: Estate) -> tuple[str, ...]:
    """The services whose name, title or keyword stands in one line of text, in the estate's order."""
    line = _words(text)
    return tuple(
        s.name for s in estate.services if any(_words(name) in line for name in (s.name, s.title, *s.keywords))
    )


def _words(text: str) -> str:
    """A text as its words alone, each with a space on both sides."""
    return f" {' '.join(''.join(c if c.isalnum() or c in '-_' else ' ' for c in text.lower()).split())} "


_BREACH = (
    "security",
    "breach",
    "unauthorized",
    "unauthorised",
    "compromised",
    "malicious",
    "data leak",
    "leaked",
    "intruder",
)

_SIGNS: tuple[tuple[Scenario, tuple[str, ...]], ...] = (
    (Scenario.OUTAGE, ("everything is down", "all services", "complete outage", "no response from any")),
    (Scenario.DATABASE, ("database", "postgres", "replication", "corrupt")),
    (Scenario.REDIS, ("redis", "cache")),
    (Scenario.LLM, ("llm", "together.ai", "openai", "circuit breaker")),
    (Scenario.KUBERNETES, ("kubernetes", "pods", "node ", "nodes", "cluster", "control plane")),
)
"""The runbook's symptoms, the most alarming scenario first."""

MAX_AGE = timedelta(days=30)
"""A declaration may say that it began up to this long ago."""
