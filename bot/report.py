"""The incident report: a view of the timeline, in the shape of the runbook, with everything known filled in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.clock import spoken
from bot.incident import Incident
from bot.rules import Case, Rules
from bot.timeline import Entry

UNKNOWN = "_to be filled in_"
_NOTHING_LOST = ("refused", "undone")


@dataclass(frozen=True)
class Report:
    """The report as values; `markdown` writes it out."""

    incident: Incident
    practice: bool
    duration: str
    services: tuple[str, ...]
    recoveries: tuple[str, ...]
    entries: tuple[Entry, ...]
    ladder: tuple[str, ...]
    losses: tuple[str, ...]  # estimates of the runs that worked on data
    reviews: tuple[str, ...]  # what a post-mortem has to look at
    head: str


def build(case: Case, entries: Sequence[Entry], rules: Rules, now: datetime) -> Report:
    """The report of an incident as its timeline stands."""
    incident = case.incident
    end = incident.resolved_at or now
    return Report(
        incident=incident,
        practice=rules.pace.practice,
        duration=spoken(rules.pace.told(end - incident.started_at)),
        services=tuple(rules.titles.get(s, s) for s in incident.impact) or tuple(incident.services),
        recoveries=tuple(e.text for e in entries if e.kind == "recovered"),
        entries=tuple(entries),
        ladder=tuple(
            e.text for e in entries if e.kind in ("rung", "escalated", "held", "page_proven", "page_unproven")
        ),
        losses=tuple(
            f"{e.data['run']}: {e.data['loss']}"
            for e in entries
            if e.kind == "run_ended" and e.data.get("loss") and e.data.get("state") not in _NOTHING_LOST
        ),
        reviews=tuple(e.text for e in entries if e.kind == "break_glass"),
        head=entries[-1].hash if entries else "",
    )


def markdown(report: Report) -> str:
    """The runbook's report template, filled in. What only a person can know is marked as such."""
    it = report.incident
    ended = f"{it.resolved_at:%Y-%m-%d %H:%M} UTC" if it.resolved_at else "still open"
    roles = "".join(f"**{role.capitalize()}**: {_plain(person.name)}  \n" for role, person in it.roles.items())
    practice = "> PRACTICE: this incident ran on the practice clock.\n\n" if report.practice else ""
    lines = [
        f"# Incident Report: {_plain(it.title)}\n",
        practice
        + f"**Incident**: {it.id}  \n**Date**: {it.declared_at:%Y-%m-%d}  \n"
        + f"**Duration**: {it.started_at:%Y-%m-%d %H:%M} UTC - {ended} ({report.duration})  \n"
        + f"**Severity**: {it.severity}  \n**Scenario**: {it.scenario}  \n{roles}"
        + f"**Impact**: {', '.join(map(_plain, report.services)) or UNKNOWN}\n",
        "## Timeline\n",
        *(f"- [{_time(e.at, it.declared_at)}] - {_plain(e.text)}{_by(e)}" for e in report.entries),
        "\n## Root Cause\n",
        UNKNOWN,
        "\n## Resolution\n",
        _resolution(report),
        "\n## Impact\n",
        f"- Users affected: {UNKNOWN}",
        f"- Downtime: {'; '.join(report.recoveries) or report.duration}",
        f"- Data loss: {'; '.join(map(_plain, report.losses)) or UNKNOWN}",
        f"- Financial impact: {UNKNOWN}",
        "\n## Escalation\n",
        *(f"- {_plain(line)}" for line in report.ladder or ("nobody was called",)),
        "\n## Action Items\n",
        *(f"1. [ ] Review: {_plain(text)} - Owner: {UNKNOWN} - Due: post-mortem" for text in report.reviews),
        f"1. [ ] {UNKNOWN} - Owner: {UNKNOWN} - Due: {UNKNOWN}",
        "\n## Lessons Learned\n",
        UNKNOWN,
        f"\n---\nTimeline of {len(report.entries)} entries, chain head `{report.head}`.",
        f"Prove it with `recovery-bot timeline verify {it.id}`.\n",
    ]
    return "\n".join(lines)


def as_json(report: Report) -> str:
    """Incident and timeline as JSON: {"incident": {…}, "timeline": [{…}], "head": hash}; instants in ISO 8601."""
    it = report.incident
    body: Mapping[str, Any] = {
        "incident": {
            "id": it.id, "title": it.title, "severity": it.severity, "scenario": it.scenario, "status": it.status,
            "private": it.private, "services": list(it.services), "seen": it.seen,
            "declared_by": vars(it.declared_by), "declared_at": it.declared_at, "started_at": it.started_at,
            "resolved_at": it.resolved_at, "closed_at": it.closed_at,
            "roles": {role: vars(person) for role, person in it.roles.items()},
            "impact": {s: vars(hit) for s, hit in it.impact.items()}, "practice": report.practice,
        },
        "timeline": [vars(entry) for entry in report.entries],
        "head": report.head,
    }  # fmt: skip
    return json.dumps(body, indent=2, default=_iso, ensure_ascii=False) + "\n"


def _iso(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _time(at: datetime, day: datetime) -> str:
    return f"{at:%H:%M}" if at.date() == day.date() else f"{at:%Y-%m-%d %H:%M}"


def _by(entry: Entry) -> str:
    return "" if entry.actor in ("bot", "") else f" ({_plain(entry.actor_name)})"


def _resolution(report: Report) -> str:
    said = [e.text for e in report.entries if e.kind in ("resolved", "status", "run_ended")]
    return "\n".join(f"- {_plain(text)}" for text in said) or UNKNOWN


def _plain(text: str) -> str:
    """Typed text as one line of Markdown that formats nothing."""
    return "".join(f"\\{c}" if c in "\\`*_~[]<>&#|" else c for c in " ".join(text.split()))
