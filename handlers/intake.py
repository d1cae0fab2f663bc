"""Stored, then acknowledged: every delivery of Slack becomes a row before Slack hears that it arrived.

The row is an effect like any other, so a crash after the acknowledgement loses nothing, and a delivery that comes twice is
one row. When it cannot be stored, the person is told at once: Slack does not deliver a click again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from slack_bolt.async_app import AsyncAck
from slack_bolt.response import BoltResponse

from bot.chat import Chat
from bot.clock import Clock
from bot.desk import Answer, reply
from bot.engine import Outcome
from bot.errors import NeighbourError, NotFound, RecoveryError, StoreUnavailable
from bot.incident import Person
from bot.owed import Effect, Owed
from bot.rules import Case
from bot.store import Store
from handlers.blocks import modal, section, typed
from handlers.click import Click, click_of, key_of
from handlers.declare import CALLBACK, check
from handlers.story import PREFIX
from handlers.verbs import VERBS

log = logging.getLogger("handlers.intake")

Way = Callable[[Click], Awaitable[None]]
Check = Callable[[Mapping[str, Any]], dict[str, str]]
"""What is wrong with a submitted window, by input."""

STORE_WITHIN = 1.5
"""Seconds that a delivery may take to be stored: Slack waits for three, and the person is to hear it from us."""

STORED = (
    ":rotating_light: It is stored and on its way. A message from me says what came of it: the room to which you are invited,"
    " or the open incident that looks the same."
)


class Intake:
    """Stores deliveries, and does what they ask when the engine comes to them. `ways` is (kind, name) → story."""

    def __init__(self, store: Store, chat: Chat, clock: Clock, phones: str) -> None:
        self._store = store
        self._chat = chat
        self._clock = clock
        self._phones = phones
        self.ways: dict[tuple[str, str], Way] = {}
        self.checks: dict[str, Check] = {CALLBACK: lambda view: check(view, self._clock())}
        self._storing: set[asyncio.Task[None]] = set()

    async def command(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        if await self._stored("command", body):
            await ack()
        else:
            await ack(self._lost())

    async def action(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        # An action's acknowledgement carries no text; without one, Slack itself shows the person that it failed.
        if await self._stored("action", body):
            await ack()

    async def shortcut(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        if await self._stored("shortcut", body):
            await ack()

    async def view(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """A submitted window is checked first: what is wrong is said under its field, and nothing is lost."""
        view = body["view"]
        wrong = self._wrong(view)
        if wrong:
            await ack(response_action="errors", errors=wrong)
        elif not await self._stored("view", body):
            await ack(
                response_action="update", view=modal("lost", "Not stored", [section(self._lost())], close="Close")
            )
        elif view["callback_id"] == CALLBACK:
            await ack(
                response_action="update", view=modal("incident_declared", "Declared", [section(STORED)], close="Close")
            )
        else:
            await ack()

    def _wrong(self, view: Mapping[str, Any]) -> dict[str, str]:
        verb = VERBS.get(view["callback_id"].removeprefix(PREFIX))
        if view["callback_id"] in self.checks:
            return self.checks[view["callback_id"]](view)
        return verb.wrong(typed(view)) if verb else {}

    async def event(self, body: dict[str, Any], next_: Callable[[], Awaitable[None]]) -> BoltResponse | None:
        """A middleware, as Bolt acknowledges an event before it calls its listener: what is not stored is not acknowledged, and
        Slack delivers it again."""
        if self._concerns(body["event"]) and not await self._stored("event", body):
            return BoltResponse(status=503)
        await next_()
        return None

    @staticmethod
    def _concerns(event: Mapping[str, Any]) -> bool:
        """Of all messages only edits and deletions matter, and of a bot's only deletions: somebody may delete a board."""
        if event["type"] != "message":
            return True
        changed = event.get("message") or event.get("previous_message") or {}
        return event.get("subtype") == "message_deleted" or (
            event.get("subtype") == "message_changed" and not changed.get("bot_id")
        )

    async def _stored(self, kind: str, body: dict[str, Any]) -> bool:
        """Whether it is stored. A store that has just restarted is asked again: the key makes that harmless."""
        loop = asyncio.get_running_loop()
        until = loop.time() + STORE_WITHIN
        while True:
            left = max(until - loop.time(), 0.1)
            storing = asyncio.create_task(self._store_it(kind, body, left), name="storing")
            self._storing.add(storing)
            storing.add_done_callback(self._has_ended)
            await asyncio.wait([storing], timeout=left)
            if not storing.done():
                # Nobody waits for its end: psycopg waits for a server that hangs even to be cancelled.
                storing.cancel()
                log.error("a %s could not be stored: the store has not answered within %g s", kind, STORE_WITHIN)
                return False
            error = storing.exception()
            if error is None:
                return True
            if not isinstance(error, StoreUnavailable):
                raise error
            if loop.time() > until - 0.2:
                log.error("a %s could not be stored: %s", kind, error)
                return False
            await asyncio.sleep(0.1)

    def _has_ended(self, storing: asyncio.Task[None]) -> None:
        self._storing.discard(storing)
        if not storing.cancelled():
            storing.exception()  # of one that was given up, nobody else asks

    async def _store_it(self, kind: str, body: dict[str, Any], within: float) -> None:
        key = key_of(kind, body)
        kept = {name: value for name, value in body.items() if name != "token"}
        async with self._store.tx(within) as tx:
            await tx.owe(Owed(f"intake.{kind}", key, key, {"body": kept}))

    async def quiet(self, within: float) -> None:
        """Wait until nothing is being stored, so that no acknowledgement is cut off by a stop."""
        if self._storing:
            await asyncio.wait(self._storing, timeout=within)

    def _lost(self) -> str:
        return (
            ":no_entry: I cannot reach my own database: as far as I can tell, *nothing was stored and nothing was done*."
            f" Try again in a minute. If this is an emergency, call: {self._phones}"
        )

    async def perform(self, effect: Effect, _case: Case | None) -> Outcome:
        """Do what a stored delivery asks; a refusal is an answer to the person, not an error of ours."""
        kind = effect.kind.partition(".")[2]
        click = click_of(effect.key, kind, effect.args["body"])
        click = replace(click, who=Person(click.who.id, self._chat.known_name(click.who.id) or click.who.name))
        way = self.ways.get((kind, click.name))
        try:
            if way is None:
                raise NotFound(
                    "I do not know this button any more; it belongs to another version. Use `/incident help`."
                )
            await way(click)
        except (StoreUnavailable, NeighbourError):
            raise
        except RecoveryError as refusal:
            if click.who.id and kind != "event":
                # A window has no channel of its own, but it knows where it was opened.
                back = replace(click.back, channel=click.channel or str(click.data.get("channel") or ""))
                await self._answer(effect, Answer(back, "sorry", {"text": str(refusal)}))
        if click.who.id:
            with contextlib.suppress(NeighbourError):
                # For the next time: this click did not wait for it.
                await self._chat.name_of(click.who.id)
        return Outcome()

    async def _answer(self, effect: Effect, answer: Answer) -> None:
        async with self._store.tx() as tx:
            await tx.settle(effect.key)
            await tx.owe(reply(effect.key, answer))
