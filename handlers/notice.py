"""What is noticed without anybody typing a command: a :pushpin:, an edit, a deletion, somebody opening the Home tab."""

from __future__ import annotations

from bot.chat import Chat
from bot.desk import Desk
from bot.errors import NeighbourError
from bot.incident import Person, clean_text
from handlers.blocks import Block, actions, as_typed, button, context, divider, esc, header, section
from handlers.click import Click
from handlers.slack import Windows
from handlers.story import help_text

PIN = "pushpin"


class Notice:
    """Events of rooms and of the Home tab."""

    def __init__(self, desk: Desk, chat: Chat, windows: Windows) -> None:
        self._desk = desk
        self._chat = chat
        self._windows = windows

    async def reaction(self, click: Click) -> None:
        """A :pushpin: on a message of a room puts it on the timeline. Anyone may."""
        item = click.event.get("item") or {}
        if click.event.get("reaction") != PIN or item.get("type") != "message":
            return
        number = await self._desk.number_of_room(item["channel"])
        if number is None:
            return
        found = await self._chat.text_of(item["channel"], item["ts"])
        if found is None:
            return
        author, text = found
        by = Person(click.who.id, await self._name(click.who.id))
        said = clean_text(as_typed(text)[:3000], "message") or "(a message without text)"
        await self._desk.pin(
            click.key, number, item["channel"], item["ts"], said, Person(author, await self._name(author)), by
        )

    async def message(self, click: Click) -> None:
        """An edit or a deletion of a message that may be on a timeline, or the deletion of a board."""
        event = click.event
        if event.get("subtype") == "message_deleted":
            if (event.get("previous_message") or {}).get("bot_id"):
                await self._desk.deleted(click.key, event["channel"], event["deleted_ts"])
                return
            await self._desk.pinned_changed(click.key, event["channel"], event["deleted_ts"], None)
        elif event.get("subtype") == "message_changed":
            message = event["message"]
            if message.get("subtype") == "tombstone":
                await self._desk.pinned_changed(click.key, event["channel"], message["ts"], None)
                return
            text = clean_text(as_typed(str(message.get("text", "")))[:3000], "message")
            await self._desk.pinned_changed(click.key, event["channel"], message["ts"], text)

    async def home(self, click: Click) -> None:
        """The Home tab: declare, and what is open."""
        if click.event.get("tab") != "home":
            return
        cases = [c for c in await self._desk.open_cases() if not c.incident.private]
        blocks: list[Block] = [
            header("Recovery Bot"),
            section("Something is broken? Declare it. Seconds later there is a room with the right people in it."),
            actions("home", button("Declare an incident", "incident_declare", "home", "danger")),
            divider(),
            section(f"*Open incidents* ({len(cases)})" if cases else "No incident is open. :tada:"),
        ]
        for case in cases[:20]:
            it = case.incident
            room = f" <#{it.room}>" if it.room_state == "open" and it.room else ""
            blocks.append(
                section(
                    f"*{it.id}* {it.severity} {it.status}: {esc(it.title)}{room}",
                    button("Join", "incident_join", str(it.number)),
                )
            )
        blocks += [
            divider(),
            section(help_text()),
            context("Everything the bot knows is on the board in an incident's room."),
        ]
        await self._windows.home(click.who.id, blocks)

    async def _name(self, user: str) -> str:
        try:
            return await self._chat.name_of(user) if user else "somebody"
        except NeighbourError:
            return user
