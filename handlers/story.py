"""A verb, asked for by command, button or window: find the incident, check who asks, decide, answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bot.chat import Chat, ReplyTo
from bot.desk import LONG_AGO, Answer, Desk
from bot.errors import BadInput, NeighbourError, NotAllowed, NotFound
from bot.incident import Role, parse_number
from bot.rules import Case
from handlers.blocks import context, esc, modal, typed
from handlers.click import Click
from handlers.slack import Windows
from handlers.verbs import VERBS, Asked, Verb, notified_window

PREFIX = "incident_"


class Story:
    """Everything that happens to an incident after it was declared."""

    def __init__(self, desk: Desk, chat: Chat, windows: Windows) -> None:
        self._desk = desk
        self._chat = chat
        self._windows = windows

    async def command(self, click: Click, verb: Verb, text: str) -> None:
        """`/incident <verb> …` in a room, or anywhere with `INC-<n>` as the first word."""
        number, rest = await self.where(click, text)
        await self._do(click, verb, number, verb.parse(rest))

    async def where(self, click: Click, text: str) -> tuple[int, str]:
        """(the incident that is meant, the remaining words). Raises BadInput."""
        head, _, rest = text.partition(" ")
        number = parse_number(head)
        if number is not None:
            return number, rest.strip()
        number = await self._desk.number_of_room(click.channel)
        if number is None:
            raise BadInput(
                "This channel is not an incident room. Name the incident: `/incident … INC-7`, or use its room."
            )
        return number, text

    async def button(self, click: Click, verb: Verb) -> None:
        """A button of the board: at once where nothing is to be asked, else its window."""
        number = int(click.value)
        if verb.window is None:
            await self._do(click, verb, number, {})
        else:
            await self.open(click, verb, number)

    async def draft(self, click: Click) -> None:
        """The Draft button of a notification clock: `<number>:<name>`."""
        number, _, name = click.value.partition(":")
        await self._do(click, VERBS["notice"], int(number), {"duty": name})

    async def notified(self, click: Click) -> None:
        """The button of a notification clock that records what was sent: `<number>:<name>`."""
        number, _, name = click.value.partition(":")
        await self.open(click, VERBS["notified"], int(number), chosen=name)

    async def open(self, click: Click, verb: Verb, number: int, *, chosen: str = "") -> None:
        """Ask in a window what the verb needs. `chosen`: the notification that is meant."""
        case = await self._desk.case(number)
        fields = verb.window(case) if verb.window is not None else ()
        if chosen:
            fields = notified_window(case, chosen)
        data = json.dumps({"number": number, "channel": click.channel})
        blocks = [context(f"*{case.incident.id}*  {case.incident.severity} {case.incident.status}"), *fields]
        try:
            await self._windows.open(click.trigger, modal(PREFIX + verb.name, verb.title, blocks, "OK", data))
        except NeighbourError as error:
            again = {"text": f"The window could not be opened ({error}).", "form": f"{verb.name}:{number}"}
            await self._desk.answer(click.key, Answer(click.back, "try_again", again))

    async def submit(self, click: Click, verb: Verb) -> None:
        number = int(click.data["number"])
        await self._do(click, verb, number, typed(click.view))

    async def _do(self, click: Click, verb: Verb, number: int, values: Mapping[str, Any]) -> None:
        case = await self._desk.case(number)
        await self._may_see(click, case)
        if verb.responder:
            await self._desk.access.must_respond(click.who)
        names = await self._names(values)
        # What is typed goes to Slack, the pager, the timeline and the report: a secret in it goes nowhere.
        typed_in = {name: self._desk.store.redact(v) if isinstance(v, str) else v for name, v in values.items()}
        asked = Asked(click.who, typed_in, self._desk.rules, names)
        back = click.back if click.channel else _into(click, case)
        answer = Answer(back, "done", {"text": verb.done.format(id=case.incident.id)})
        await self._desk.change(click.key, number, lambda now_case, now: verb.decide(now_case, asked, now), answer)

    async def _may_see(self, click: Click, case: Case) -> None:
        """A private incident is worked on from its room, or by who has a part in it."""
        incident = case.incident
        if not incident.private or click.channel == incident.room or click.kind in ("action", "view"):
            return
        if click.who.id in {incident.declared_by.id, *(p.id for p in incident.roles.values())}:
            return
        try:
            await self._desk.access.must_respond(click.who)
        except NotAllowed as refusal:
            raise NotFound(f"There is no {incident.id} that you can see.") from refusal

    async def _names(self, values: Mapping[str, Any]) -> dict[str, str]:
        """People of a form by name, as far as Slack tells."""
        user = str(values.get("person", ""))
        if not user:
            return {}
        try:
            return {user: await self._chat.name_of(user)}
        except NeighbourError:
            return {user: user}

    async def take_command(self, click: Click) -> None:
        """The button of a board without a commander."""
        await self._do(click, VERBS["assign"], int(click.value), {"role": Role.COMMANDER, "person": click.who.id})

    async def more(self, click: Click) -> None:
        """The overflow menu of the board: `<verb>:<number>`."""
        name, _, number = click.value.partition(":")
        if name == "timeline":
            await self.timeline(click, int(number))
        elif name == "help":
            await self.help(click)
        else:
            await self.open(click, VERBS[name], int(number))

    async def retry(self, click: Click) -> None:
        """The Retry button of one effect: `<number>:<effect>`."""
        number, _, effect = click.value.partition(":")
        await self._retry(click, int(number), int(effect))

    async def retry_command(self, click: Click, text: str) -> None:
        number, _ = await self.where(click, text)
        await self._retry(click, number, None)

    async def _retry(self, click: Click, number: int, effect: int | None) -> None:
        await self._desk.access.must_respond(click.who)
        await self._desk.retry(click.key, number, effect, click.who, click.back)

    async def timeline_command(self, click: Click, text: str) -> None:
        number, _ = await self.where(click, text)
        await self.timeline(click, number)

    async def timeline_button(self, click: Click) -> None:
        await self.timeline(click, int(click.value))

    async def timeline(self, click: Click, number: int) -> None:
        """The newest entries, privately; the whole of it is in the export."""
        case = await self._desk.case(number)
        await self._may_see(click, case)
        entries = await self._desk.entries(number)
        shown = [
            {"at": f"{e.at:%H:%M:%S}", "text": e.text, "by": "" if e.actor == "bot" else e.actor_name}
            for e in entries[-40:]
        ]
        foot = f"Times are UTC. Prove it with `recovery-bot timeline verify {case.incident.id}`."
        data = {"incident": case.incident.id, "count": len(entries), "entries": shown, "foot": foot}
        await self._desk.answer(click.key, Answer(click.back, "timeline", data))

    async def status(self, click: Click, text: str) -> None:
        """`/incident status`: alone it shows, with a word it sets."""
        number, rest = await self.where(click, text)
        if rest:
            await self._do(click, VERBS["status"], number, VERBS["status"].parse(rest))
            return
        case = await self._desk.case(number)
        await self._may_see(click, case)
        incident = case.incident
        next_rung = case.ladder.next
        words = [
            f"{incident.id} {incident.severity} {incident.status}: {incident.title}",
            f"commander: {incident.roles[Role.COMMANDER].name if Role.COMMANDER in incident.roles else 'nobody yet'}",
            f"acknowledged by: {', '.join(a.who.name for a in incident.acks) or 'nobody yet'}",
        ]
        if next_rung is not None and incident.status.climbs:
            words.append(f"next rung: {next_rung.level} at {next_rung.due_at:%H:%M:%S} UTC")
        async with self._desk.store.tx() as tx:
            words += [f"{e.kind}: {e.error}" for e in await tx.troubled(number)]
        await self._desk.answer(click.key, Answer(click.back, "said", {"text": "\n".join(words)}))

    async def list(self, click: Click, text: str) -> None:
        """Open incidents; `list all` the newest of all."""
        async with self._desk.store.tx() as tx:
            cases = await tx.newest(20) if text.strip() == "all" else await tx.recent_open(LONG_AGO)
        visible = [c.incident for c in cases if not c.incident.private or c.incident.room == click.channel]
        shown = [self._desk.row(i) for i in visible]
        heading = "Newest incidents" if text.strip() == "all" else "Open incidents"
        await self._desk.answer(click.key, Answer(click.back, "list", {"heading": heading, "incidents": shown}))

    async def help(self, click: Click) -> None:
        await self._desk.answer(click.key, Answer(click.back, "help", {"text": help_text()}))


def _into(click: Click, case: Case) -> ReplyTo:
    """A window has no channel of its own: answer in the room it was opened from, else directly."""
    return replace(click.back, channel=str(click.data.get("channel") or case.incident.room or ""))


def help_text() -> str:
    """All commands. Buttons and commands do the same."""
    rows = ["*Recovery Bot* · every button has a command that does the same"]
    rows.append(
        "• `/incident declare` opens the window; `/incident declare P1 checkout is down` declares at once. Anyone may."
    )
    rows.append(
        "• `/incident declare anyway P1 …` declares even if an open incident looks the same; `/incident join INC-7` joins it."
    )
    rows += [f"• `/incident {esc(verb.usage)}` {esc(verb.help)}" for verb in VERBS.values()]
    rows += [
        "• `/incident timeline` shows what happened; `/incident list [all]` shows incidents.",
        "• `/incident retry` tries again what failed.",
        "• `/incident help` this text. Outside a room, name the incident first: `/incident ack INC-7`.",
    ]
    return "\n".join(rows)
