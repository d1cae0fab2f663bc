"""Every message that is a line or two: its name, and the wording its data fills. Names are what `owed.say` writes down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from handlers.blocks import (
    Block,
    actions,
    button,
    clip,
    context,
    esc,
    instant,
    lines,
    newest,
    person,
    section,
    sections,
)
from handlers.board import notice_buttons
from handlers.recover_cards import draw_actions

Data = Mapping[str, Any]
Wording = Callable[[Data], str]


def _why(data: Data) -> str:
    return f": {esc(data['why'])}" if data.get("why") else ""


def _rung(data: Data) -> str:
    late = f" :warning: *late by {esc(data['late_by'])}*" if data.get("late_by") else ""
    return f":telephone_receiver: *Rung {data['level']}: {esc(data['title'])}* is called now. {esc(data['why'])}{late}"


def _no_proof(data: Data) -> str:
    return (
        f":warning: *No proof of page* for rung {data['level']} within {esc(data['waited'])}: {esc(data['why'])}."
        " Using the second way: direct messages and phone numbers."
    )


def _second_way(data: Data) -> str:
    told = ", ".join(person(p) for p in data["people"]) or "_nobody is known_"
    phones = "\n".join(f"• {esc(p['name'])}: {esc(p['phone'])}" for p in data["phones"])
    return f":speech_balloon: Direct messages go to {told} (rung {data['level']})." + (
        f"\nPlease *call*:\n{phones}" if phones else ""
    )


def _notice_due(data: Data) -> str:
    passed = f"{esc(data['passed'])} have passed since somebody was aware"
    left = "*the limit has passed*" if data["over"] else f"*{esc(data['left'])} left*" if data["left"] else ""
    says = ", ".join(filter(None, (passed, left))) + "."
    late = f" (late by {esc(data['late_by'])})" if data.get("late_by") else ""
    return (
        f":alarm_clock: *{esc(data['title'])}* notification{late}: {says} Draft: `/incident notice {data['name']}`."
        f" Once it is sent: `/incident notified {data['name']} &lt;what, to whom&gt;`."
    )


def _called(data: Data) -> str:
    room = f" Room: <#{data['room']}>." if str(data.get("room", "")).startswith(("C", "G")) else ""
    return (
        f":rotating_light: *You are called for {data['incident']}* ({data['severity']}): {esc(data['title'])}.{room}"
        f" {esc(data['why'])} PagerDuty gave no proof that it reached you, so this is the second way."
        f" Acknowledge with the button or `/incident ack {data['incident']}`."
    )


def _acknowledged(data: Data) -> str:
    via = "in PagerDuty" if data["via"] == "pagerduty" else "here"
    ladder = (
        " The ladder is held until the acknowledgement times out."
        if data.get("holds")
        else " The ladder goes on climbing."
    )
    return f":raised_hand: {person(data['who'], data['name'])} acknowledged {via}.{ladder}"


def _recovered(data: Data) -> str:
    goal = ""
    if data.get("rto"):
        goal = f" (RTO {data['rto']}: {'kept' if data.get('within') else '*missed*'})"
    return f":large_green_circle: *{esc(data['service'])}* is green again after {data['took']}{goal}."


def _not_invited(data: Data) -> str:
    people = lines(f"• {person(p)}: {esc(why)}" for p, why in data["people"].items())
    return f":information_source: Could not be invited:\n{people}"


def _no_room(data: Data) -> str:
    where = "in this direct message" if data.get("private") else "here"
    kind = (
        "A private room could not be made, and it is never replaced by a public one"
        if data.get("private")
        else "No room could be made"
    )
    return f":warning: {kind} ({esc(data['why'])}). {data['incident']} goes on {where}."


def _timeline(data: Data) -> str:
    rows = newest(
        f"`{e['at']}` {clip(esc(e['text']), 300)}" + (f" _({esc(e['by'])})_" if e["by"] else "")
        for e in data["entries"]
    )
    return f"*Timeline of {data['incident']}* ({data['count']} entries)\n{rows}"


def _list(data: Data) -> str:
    if not data["incidents"]:
        return "No incident is open. :tada:"
    return f"*{data['heading']}*\n" + lines((_row(i) for i in data["incidents"]), 2900)


def _row(incident: Data) -> str:
    room = f" <#{incident['room']}>" if incident.get("room") else ""
    age = f" · {incident['age']}" if incident.get("age") else ""
    return f"• *{incident['id']}* {incident['severity']} {incident['status']}: {esc(incident['title'])}{room}{age}"


def _update(data: Data) -> str:
    """The runbook's status page template."""
    rows = [
        f"*Incident*: {esc(data['incident'])} {esc(data['title'])}",
        f"*Status*: {esc(data['status']).capitalize()}",
        f"*Impact*: {esc(', '.join(data['affected']) or 'none that is known')}",
        f"*Started*: {instant(datetime.fromisoformat(data['started']), '{date_short_pretty} {time}')}",
        f"*Last Update*: {instant(datetime.fromisoformat(data['at']), '{time}')}",
        f"\n*Current Status*:\n{esc(data['text'])}",
        f"\n*Next Update*: {instant(datetime.fromisoformat(data['due']), '{time}')}",
    ]
    return "\n".join(rows)


WORDINGS: Mapping[str, Wording] = {
    "rung": _rung,
    "no_proof": _no_proof,
    "second_way": _second_way,
    "called": _called,
    "acknowledged": _acknowledged,
    "recovered": _recovered,
    "not_invited": _not_invited,
    "no_room": _no_room,
    "timeline": _timeline,
    "list": _list,
    "impact": lambda d: f":red_circle: *{esc(d['service'])}* is bad{' again' if d.get('again') else ''}.",
    "hold_over": lambda d: f":arrow_forward: The hold is over ({esc(d['why'])}); the ladder goes on.",
    "held": lambda d: (
        f":double_vertical_bar: {person(d['who'])} holds the ladder until {instant(datetime.fromisoformat(d['until']))}{_why(d)}."
    ),
    "resumed": lambda d: f":arrow_forward: {person(d['who'])} resumed the ladder.",
    "severity": lambda d: (
        f":vertical_traffic_light: {person(d['who'])} set the severity {d['old']} → *{d['new']}*{_why(d)}."
    ),
    "status": lambda d: f":memo: {person(d['who'])} set the status {d['old']} → *{d['new']}*{_why(d)}.",
    "role": lambda d: (
        f":bust_in_silhouette: {person(d['who'])} is *{d['role']}*"
        + ("." if d["by"] == d["who"] else f" (by {person(d['by'])}).")
    ),
    "note": lambda d: f":memo: {person(d['who'])}: {esc(d['text'])}",
    "resolved": lambda d: (
        f":white_check_mark: *Resolved* by {person(d['who'], d['name'])} after {d['took']}{_why(d)}. The report follows."
    ),
    "reopened": lambda d: f":rotating_light: *Reopened* by {person(d['who'])}{_why(d)}. The ladder begins anew.",
    "report_due": lambda d: (
        f":alarm_clock: The incident report of {d['incident']} is due. Complete it, then `/incident close`."
    ),
    "update": _update,
    "scenario": lambda d: (
        f":label: {person(d['who'])} set the scenario {d['old']} → *{d['new']}*{_why(d)}."
        + (
            " :warning: *This room is public.* Declare what must not be read by everybody in a private one:"
            " `/incident declare anyway P1 security ...`"
            if d.get("public")
            else ""
        )
    ),
    "aware": lambda d: (
        f":alarm_clock: {person(d['who'])} corrected the instant of awareness to"
        f" {instant(datetime.fromisoformat(d['at']), '{date_short_pretty} {time}')}. To be told: {esc(d['promised'])}."
    ),
    "notified": lambda d: (
        f":incoming_envelope: *{esc(d['title'])}*: {person(d['who'])} recorded a notification: {esc(d['text'])}."
        + (" :warning: *after the limit*" if d.get("late") else "")
    ),
    "notice_due": _notice_due,
    "update_due": lambda _: (
        ":alarm_clock: The next status update is due: `/incident update &lt;what users should know&gt;`."
    ),
    "actions": lambda d: (
        "*Recovery actions*"
        + (f", those for the scenario *{d['scenario']}* first" if d["scenario"] else "")
        + ". `/recover help` has their parameters."
    ),
    "said": lambda d: esc(d["text"]),
    "sorry": lambda d: f":no_entry: {esc(d['text'])}",
    "done": lambda d: f":white_check_mark: {esc(d['text'])}",
    "declared": lambda d: (
        f":rotating_light: *{d['incident']}* is declared. "
        + (f"Room: <#{d['room']}>" if str(d.get("room", "")).startswith(("C", "G")) else "Its room could not be made.")
    ),
    "help": lambda d: str(d["text"]),
    "try_again": lambda d: f":hourglass: {esc(d['text'])}",
    "similar": lambda d: (
        ":thinking_face: *This looks like an incident that is open already.* Join it, or declare yours anyway.\n"
        + lines(map(_row, d["incidents"]))
    ),
}


def _buttons(line: str, data: Data) -> list[Block]:
    """The few lines that can be answered."""
    if line == "actions":
        return draw_actions(data["actions"])
    if line == "notice_due":
        return [notice_buttons(str(data["number"]), str(data["name"]), str(data["title"]))]
    if line == "called":
        return [
            actions(
                "called", button("Acknowledge", "incident_ack", str(data["incident"]).removeprefix("INC-"), "primary")
            )
        ]
    if line == "try_again":
        return [actions("again", button("Try again", "incident_open_form", str(data["form"]), "primary"))]
    if line == "similar":
        # One block each: Slack takes an action id only once in a block.
        joins = [
            actions(f"join_{n}", button(f"Join {i['id']}", "incident_join", str(i["number"]), "primary"))
            for n, i in enumerate(data["incidents"][:3])
        ]
        anyway = button("Declare anyway", "incident_declare_anyway", str(data["declaration"]), "danger")
        return [*joins, actions("similar", anyway)]
    return []


def draw(line: str, data: Data) -> tuple[str, list[Block]]:
    """(fallback text, blocks). Raises KeyError for a line that has no wording."""
    text = WORDINGS[line](data)
    if data.get("practice"):
        text = f"`PRACTICE` {text}"
    foot = [context(str(data["foot"]))] if data.get("foot") else []
    # Of all lines only the help has a length of its own, and nothing of it may be missing.
    body = sections(text) if line == "help" else [section(text)]
    return text, [*body, *_buttons(line, data), *foot]
