"""Rows of the store as values of the rules, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from bot.incident import Ack, Duty, Impact, Incident, Page, Person, Role, Scenario, Severity, Status, Told
from bot.ladder import Hold, Ladder, Rung
from bot.owed import Effect
from bot.rules import Case
from bot.timeline import Entry

Row = Mapping[str, Any]


def person_json(person: Person) -> dict[str, str]:
    return {"id": person.id, "name": person.name}


def person_of(value: Mapping[str, str]) -> Person:
    return Person(value["id"], value["name"])


def _at(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def incident_row(case: Case) -> dict[str, Any]:
    """The columns of `incident`, but for the head of the timeline."""
    it, hold = case.incident, case.hold
    return {
        **{name: getattr(it, name) for name in _PLAIN},
        "services": list(it.services),
        "declared_by": f"{it.declared_by.id}|{it.declared_by.name}",
        "roles": Jsonb({role: person_json(person) for role, person in it.roles.items()}),
        "acks": Jsonb([{"who": person_json(a.who), "at": a.at.isoformat(), "via": a.via} for a in it.acks]),
        "impact": Jsonb(
            {s: {"bad_at": _iso(i.bad_at), "green_at": _iso(i.green_at), "seen": i.seen} for s, i in it.impact.items()}
        ),
        "announced": Jsonb({"channel": it.announced[0], "ts": it.announced[1]}) if it.announced else None,
        "pages": Jsonb({str(round_): {"id": p.id, "url": p.url} for round_, p in it.pages.items()}),
        "proofs": Jsonb({mark: _iso(at) for mark, at in it.proofs.items()}),
        "duties": Jsonb([_duty_json(name, duty) for name, duty in it.duties.items()]),
        "stopped_at": case.ladder.stopped_at,
        "hold": Jsonb({"since": _iso(hold.since), "until": _iso(hold.until), "who": hold.who, "why": hold.why})
        if hold
        else None,
    }


_PLAIN = (
    "number", "declaration", "title", "severity", "scenario", "status", "private", "seen", "declared_at", "started_at",
    "resolved_at", "closed_at", "room_name", "room_state", "room", "board_ts", "round", "aware_at",
)  # fmt: skip


def _duty_json(name: str, duty: Duty) -> dict[str, Any]:
    told = [{"text": t.text, "by": person_json(t.by), "at": t.at.isoformat()} for t in duty.told]
    return {"name": name, "title": duty.title, "due_at": _iso(duty.due_at), "reminded": duty.reminded, "told": told}


def _duty(value: Mapping[str, Any]) -> Duty:
    told = tuple(Told(t["text"], person_of(t["by"]), datetime.fromisoformat(t["at"])) for t in value["told"])
    return Duty(value["title"], _at(value["due_at"]), value["reminded"], told)


def impact_of(value: Mapping[str, Mapping[str, Any]]) -> dict[str, Impact]:
    return {
        s: Impact(datetime.fromisoformat(i["bad_at"]), _at(i["green_at"]), bool(i["seen"])) for s, i in value.items()
    }


def case_of(row: Row) -> Case:
    """A row of the query `case`."""
    who, _, name = row["declared_by"].partition("|")
    incident = Incident(
        **{
            **{column: row[column] for column in _PLAIN},
            "severity": Severity(row["severity"]),
            "scenario": Scenario(row["scenario"]),
            "status": Status(row["status"]),
            "services": tuple(row["services"]),
            "declared_by": Person(who, name),
            "roles": {Role(role): person_of(p) for role, p in row["roles"].items()},
            "acks": tuple(Ack(person_of(a["who"]), datetime.fromisoformat(a["at"]), a["via"]) for a in row["acks"]),
            "impact": impact_of(row["impact"]),
            "announced": (row["announced"]["channel"], row["announced"]["ts"]) if row["announced"] else None,
            "pages": {int(round_): Page(p["id"], p["url"]) for round_, p in row["pages"].items()},
            "proofs": {mark: _at(at) for mark, at in row["proofs"].items()},
            "duties": {duty["name"]: _duty(duty) for duty in row["duties"]},
        }
    )
    hold = row["hold"]
    held = (
        Hold(datetime.fromisoformat(hold["since"]), datetime.fromisoformat(hold["until"]), hold["who"], hold["why"])
        if hold
        else None
    )
    return Case(incident, Ladder(tuple(_rung(r) for r in row["rungs"]), row["stopped_at"], held))


def _rung(value: Mapping[str, Any]) -> Rung:
    late = value["late_by"]
    return Rung(
        value["round"],
        value["level"],
        datetime.fromisoformat(value["due_at"]),
        value["state"],
        _at(value["fired_at"]),
        None if late is None else timedelta(seconds=float(late)),
        value["reason"],
    )


def rung_row(incident: int, rung: Rung) -> dict[str, Any]:
    return {
        "incident": incident,
        **{k: getattr(rung, k) for k in ("round", "level", "due_at", "state", "fired_at", "late_by", "reason")},
    }


_EFFECT = (
    "id",
    "incident",
    "kind",
    "lane",
    "key",
    "args",
    "state",
    "attempts",
    "due_at",
    "begun_at",
    "error",
    "result",
    "created_at",
)


def effect_of(row: Row) -> Effect:
    return Effect(**{column: row[column] for column in _EFFECT})


def entry_of(row: Row) -> Entry:
    return Entry(**row)


def entry_row(entry: Entry) -> dict[str, Any]:
    return {**vars(entry), "data": Jsonb(dict(entry.data))}
