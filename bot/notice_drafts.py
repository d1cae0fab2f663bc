"""Drafted notifications of a breach, to be completed by a person: for the authority, and for the people concerned.

The headings are those that the law asks for: GDPR articles 33(3) and 34(2); California Civil Code section 1798.82(d).
What the timeline knows is filled in; everything else is marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.incident import Duty, Incident
from bot.timeline import Entry

OPEN = "_[to be completed]_"


def draft(name: str, duty: Duty, incident: Incident, platform: str, entries: Sequence[Entry], now: datetime) -> str:
    """Both texts as one Markdown document. A duty that is neither GDPR nor CCPA gets the general form."""
    head = [
        f"# Draft: {_plain(duty.title)} notification, {incident.id}",
        "",
        "> DRAFT made from the incident's timeline. A person completes and sends it, then records it with",
        f"> `/incident notified {name} <what, to whom>`. Nothing of this was sent by the bot.",
        "",
        f"- Aware since: {_when(incident.aware_at)}",
        f"- To be sent by: {_when(duty.due_at) if duty.due_at else 'without unreasonable delay'}",
        f"- Drafted: {_when(now)}",
        "",
    ]
    made = {"gdpr": _gdpr, "ccpa": _ccpa}.get(name, _general)(incident, platform, entries, duty, now)
    return "\n".join([*head, *made, "", "## What the timeline says", "", *_facts(entries), ""])


def _gdpr(incident: Incident, platform: str, entries: Sequence[Entry], duty: Duty, now: datetime) -> list[str]:
    late = duty.due_at is not None and now > duty.due_at
    reason = ["", f"**Reasons for the delay (Art. 33(1))**: {OPEN}"] if late else []
    return [
        "## To the supervisory authority (GDPR Art. 33)",
        "",
        f"**Controller**: {_plain(platform)}, {OPEN}",
        "",
        (
            f"**Nature of the breach (Art. 33(3)(a))**: {_plain(incident.title)}. Began {_when(incident.started_at)},"
            f" {OPEN}. Categories and approximate number of people concerned: {OPEN}. Categories and approximate number of"
            f" records concerned: {OPEN}."
        ),
        "",
        f"**Data protection officer or other contact point (Art. 33(3)(b))**: {OPEN}",
        "",
        f"**Likely consequences (Art. 33(3)(c))**: {OPEN}",
        "",
        "**Measures taken or proposed (Art. 33(3)(d))**:",
        "",
        *_measures(entries),
        *reason,
        "",
        "## To the people concerned (GDPR Art. 34, where the risk is high)",
        "",
        (
            f"On {_day(incident.started_at)} somebody gained access to {_plain(platform)} who was not allowed to. {OPEN}"
            " (what happened to your data, in plain words)"
        ),
        "",
        f"What this may mean for you: {OPEN}",
        "",
        f"What we have done: we have limited the access and are investigating. {OPEN}",
        "",
        f"What you can do: {OPEN}",
        "",
        f"Questions: {OPEN} (name and contact of the data protection officer)",
    ]


def _ccpa(incident: Incident, platform: str, entries: Sequence[Entry], _duty: Duty, now: datetime) -> list[str]:
    return [
        "## To the Attorney General (when more than 500 residents of California are notified)",
        "",
        f"**Organisation**: {_plain(platform)}, {OPEN}",
        "",
        f"**Date or range of dates of the breach**: {_day(incident.started_at)} to {OPEN}",
        "",
        f"**Sample of the notice to residents**: below, completed. **Number of residents**: {OPEN}",
        "",
        "## Notice of Data Breach (to residents of California)",
        "",
        f"{_plain(platform)}, {_day(now)}",
        "",
        "### What Happened",
        "",
        f"On or about {_day(incident.started_at)} {OPEN}",
        "",
        "### What Information Was Involved",
        "",
        OPEN,
        "",
        "### What We Are Doing",
        "",
        *_measures(entries),
        "",
        "### What You Can Do",
        "",
        OPEN,
        "",
        "### For More Information",
        "",
        f"{OPEN} (contact; and the credit reporting agencies where identity numbers were involved)",
    ]


def _general(incident: Incident, platform: str, entries: Sequence[Entry], _duty: Duty, _now: datetime) -> list[str]:
    return [
        "## To the authority",
        "",
        (
            f"{_plain(platform)}: {_plain(incident.title)}. Began {_when(incident.started_at)}. What was reached: {OPEN}."
            f" Who is concerned: {OPEN}. Contact: {OPEN}."
        ),
        "",
        "Measures taken:",
        "",
        *_measures(entries),
        "",
        "## To the people concerned",
        "",
        f"What happened: {OPEN}. What it means for you: {OPEN}. What you can do: {OPEN}. Questions: {OPEN}.",
    ]


def _measures(entries: Sequence[Entry]) -> list[str]:
    """What runs of recovery actions have done, by their own words."""
    done = [e for e in entries if e.kind == "run_ended" and e.data.get("state") in ("succeeded", "unverified")]
    return [f"- {_when(e.at)}: {_plain(e.text)}" for e in done] + [f"- {OPEN}"]


def _facts(entries: Sequence[Entry]) -> list[str]:
    told = [e for e in entries if e.kind in ("declared", "aware", "note", "pinned", "status", "observed", "run_ended")]
    return [f"- {_when(e.at)}: {_plain(e.text)[:500]}" for e in told] or ["- nothing yet"]


def _when(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at is not None else OPEN


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _plain(text: str) -> str:
    """Typed text as one line of Markdown that formats nothing."""
    return "".join(f"\\{c}" if c in "\\`*_~[]<>&#|" else c for c in " ".join(text.split()))
