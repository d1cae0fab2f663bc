"""Declaring: the one-line form, the window, the look-alikes, and what the person sees at each turn."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bot import owed
from bot.declaring import MAX_AGE, guess_scenario, guess_services
from bot.desk import Answer, Desk
from bot.errors import BadInput, NeighbourError, NotAllowed, NotFound
from bot.estate import Estate
from bot.incident import Declaration, Incident, Person, Scenario, Severity, clean_line, clean_text
from bot.rules import Case, Change
from bot.timeline import Note
from handlers.blocks import Block, as_typed, checkbox, context, esc, modal, option, section, select, text_input, typed
from handlers.blocks import lines as joined
from handlers.click import Click
from handlers.slack import Windows

CALLBACK = "incident_declare"
_SEVERITY = re.compile(r"^[Pp]([0-3])\b[:,]?\s*")

MEANING = {
    Severity.P0: "P0: everything is at stake",
    Severity.P1: "P1: a service is down",
    Severity.P2: "P2: degraded, users notice",
    Severity.P3: "P3: nobody is paged",
}


class Declaring:
    """The ways in that begin an incident."""

    def __init__(self, desk: Desk, windows: Windows) -> None:
        self._desk = desk
        self._windows = windows

    async def command(self, click: Click, text: str) -> None:
        """`/incident declare` opens the window; `/incident declare P1 checkout is down` declares at once.

        `/incident declare anyway P1 …` asks no questions about incidents that look the same.
        """
        if not text:
            await self.open(click)
            return
        head, _, rest = text.partition(" ")
        anyway = head.lower() == "anyway" and bool(rest)
        said = one_line(click.key, click.who, rest if anyway else text, self._desk.estate, self._desk.clock())
        await self._declare(click, said, anyway=anyway)

    async def open(self, click: Click) -> None:
        """A small view first, so that the trigger cannot run out while the form is made."""
        try:
            view_id = await self._windows.open(
                click.trigger, modal(CALLBACK, "Declare an incident", [section(":hourglass: One moment …")])
            )
        except NeighbourError as error:
            text = f"The window could not be opened ({error})."
            await self._desk.answer(click.key, Answer(click.back, "try_again", {"text": text, "form": "declare"}))
            return
        open_now = [case.incident for case in await self._desk.open_cases() if not case.incident.private]
        await self._windows.update(view_id, form(self._desk.estate, open_now[:5], click.channel))

    async def submit(self, click: Click) -> None:
        """The window was sent; it was checked before it was stored, so it is complete."""
        said = from_window(click.key, click.who, click.view, self._desk.clock())
        await self._declare(click, said, view_id=str(click.view.get("root_view_id") or click.view["id"]))

    async def anyway(self, click: Click) -> None:
        """Not the same after all: declare what was said. A second click on it finds the first one's incident."""
        async with self._desk.store.tx() as tx:
            shown = await tx.effect(f"{click.value}/reply")
        if shown is None:
            raise BadInput("This declaration is too old. Please declare again.")
        draft = shown.args["data"]["draft"]
        said = Declaration(
            key=f"{click.value}/anyway", by=Person(draft["by"]["id"], draft["by"]["name"]), title=draft["title"],
            severity=Severity(draft["severity"]), scenario=Scenario(draft["scenario"]), services=tuple(draft["services"]),
            seen=draft["seen"], private=draft["private"], started_at=datetime.fromisoformat(draft["started_at"]),
        )  # fmt: skip
        await self._declare(click, said, anyway=True)

    async def _declare(self, click: Click, said: Declaration, *, anyway: bool = False, view_id: str = "") -> None:
        outcome = await self._desk.declare(said, anyway=anyway)
        if isinstance(outcome, Incident):
            await self._say_declared(click, outcome, view_id)
        else:
            await self._say_similar(click, said, outcome, view_id)

    async def _say_declared(self, click: Click, incident: Incident, view_id: str) -> None:
        data = {
            "incident": incident.id,
            "room": incident.room or "",
            "foot": "The pinned board in its room is always the newest state.",
        }
        await self._desk.answer(click.key, Answer(click.back, "declared", data), of=incident)
        if view_id:
            text = f":rotating_light: *{incident.id}* is declared. Its room is #{incident.room_name}; you are being invited."
            await self._show(view_id, incident.id, text)

    async def _say_similar(self, click: Click, said: Declaration, found: Sequence[Incident], view_id: str) -> None:
        draft = {
            **vars(said),
            "by": vars(said.by),
            "services": list(said.services),
            "started_at": said.started_at.isoformat(),
        }
        data = {
            "incidents": [self._desk.row(i) for i in found[:3]],
            "declaration": click.key,
            "draft": draft,
        }
        await self._desk.answer(click.key, Answer(click.back, "similar", data))
        if view_id:
            text = ":thinking_face: This looks like an incident that is open already. I have sent you a message with the choice."
            await self._show(view_id, "Is it the same?", text)

    async def _show(self, view_id: str, title: str, text: str) -> None:
        """The window is a courtesy: the incident does not wait for it, and Slack may show our acknowledgement after it."""
        try:
            await self._windows.update(view_id, modal("incident_declared", title, [section(text)], close="Close"))
        except NeighbourError:
            return

    async def join(self, click: Click, number: int) -> None:
        """Into the room of an incident."""

        def decide(case: Case, _now: datetime) -> Change:
            incident = case.incident
            note = Note("joined", f"{click.who.name} joined", click.who.id, click.who.name)
            # By the click: who left the room may join again.
            invite = owed.owe(incident, "room.invite", f"room.invite/{click.key}", args={"people": [click.who.id]})
            return Change(case, (note,), (invite,))

        case = await self._desk.case(number)
        if case.incident.private:
            await self._refuse_private(click, case.incident)
        data = {"text": f"You are being invited to the room of {case.incident.id}, #{case.incident.room_name}."}
        await self._desk.change(click.key, number, decide, Answer(click.back, "done", data))

    async def _refuse_private(self, click: Click, incident: Incident) -> None:
        """Who is no responder does not even learn that it is there."""
        try:
            await self._desk.access.must_respond(click.who)
        except NotAllowed as refusal:
            raise NotFound(f"There is no {incident.id} that you can see.") from refusal
        raise NotAllowed(f"{incident.id} is private; ask its commander to invite you.")


def one_line(key: str, by: Person, text: str, estate: Estate, now: datetime) -> Declaration:
    """`P1 checkout is down` → a declaration; without a severity it is P1. Raises BadInput."""
    match = _SEVERITY.match(text)
    title = clean_line(as_typed(text[match.end() :] if match else text), "title")
    services = guess_services(title, estate)
    return Declaration(
        key=key, by=by, title=title, severity=Severity(f"P{match[1]}") if match else Severity.P1,
        scenario=guess_scenario(title, services, estate), services=services, seen="", private=False, started_at=now,
    )  # fmt: skip


def form(estate: Estate, open_now: Sequence[Incident], channel: str) -> Block:
    """The window. What is open already is shown first."""
    standing = [f"• *{i.id}* {i.severity} {i.status}: {esc(i.title)}" for i in open_now]
    blocks: list[Block] = [context("*Open now:*\n" + joined(standing, 900))] if standing else []
    blocks += [
        text_input("title", "What is wrong?", most=150, placeholder="Checkout is down"),
        select("severity", "Severity", [option(MEANING[s], s) for s in Severity], initial=Severity.P1),
        select("scenario", "Scenario", [option(s.capitalize(), s) for s in Scenario], initial=Scenario.OTHER,
               hint="Security incidents are private from the start."),
        select("services", "Affected services", [option(f"{s.title} ({s.priority})", s.name) for s in estate.services],
               optional=True, many=True),
        text_input("seen", "What is seen?", multiline=True, optional=True, most=2000),
        text_input("started", "Started when?", optional=True, most=40, value="now", hint="now, 20m ago, 14:05, 2026-01-31 14:05 (UTC)"),
        checkbox("private", "Private", option("Only invited people can see the room", "private")),
    ]  # fmt: skip
    return modal(CALLBACK, "Declare an incident", blocks, "Declare", json.dumps({"channel": channel}))


def check(view: Mapping[str, Any], now: datetime) -> dict[str, str]:
    """What is wrong with a submitted window, by input; empty when nothing is."""
    wrong: dict[str, str] = {}
    values = typed(view)
    for name, read in (
        ("title", lambda: clean_line(str(values.get("title", "")), "title")),
        ("seen", lambda: clean_text(str(values.get("seen", "")), "description", 2000)),
        ("started", lambda: started(str(values.get("started", "now")), now)),
    ):
        try:
            read()
        except BadInput as error:
            wrong[name] = str(error)
    return wrong


def from_window(key: str, by: Person, view: Mapping[str, Any], now: datetime) -> Declaration:
    """A submitted window as a declaration. Raises BadInput, as `check` would have said."""
    values = typed(view)
    return Declaration(
        key=key, by=by, title=clean_line(str(values.get("title", "")), "title"),
        severity=Severity(str(values.get("severity", Severity.P1))), scenario=Scenario(str(values.get("scenario", Scenario.OTHER))),
        services=tuple(values.get("services", ())), seen=clean_text(str(values.get("seen", "")), "description", 2000),
        private="private" in values.get("private", ()), started_at=started(str(values.get("started", "now")), now),
    )  # fmt: skip


_AGO = re.compile(r"^(\d{1,4})\s*(m|min|h|d)[a-z]*\s+ago$", re.IGNORECASE)
_UNITS = {"m": timedelta(minutes=1), "min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def started(text: str, now: datetime) -> datetime:
    """`now`, `20m ago`, `14:05`, `2026-01-31 14:05` (UTC) → an instant that is past. Raises BadInput."""
    said = text.strip().lower()
    at: datetime | None = None
    match = _AGO.match(said)
    if said in ("", "now"):
        at = now
    elif match:
        at = now - int(match[1]) * _UNITS[match[2].lower()]
    else:
        for pattern in ("%Y-%m-%d %H:%M", "%H:%M"):
            try:
                read = datetime.strptime(said, pattern).replace(tzinfo=UTC)
            except ValueError:
                continue
            at = read if "%Y" in pattern else now.replace(hour=read.hour, minute=read.minute, second=0, microsecond=0)
            if at > now and "%Y" not in pattern:
                at -= timedelta(days=1)
            break
    if at is None:
        raise BadInput("I cannot read that time. Say `now`, `20m ago`, `14:05` or `2026-01-31 14:05` (UTC).", "started")
    if at > now + timedelta(minutes=1) or at < now - MAX_AGE:
        raise BadInput("That time must be in the past, at most 30 days ago.", "started")
    return min(at, now)
