"""A scene: the real bot against the practice Slack and PagerDuty, and people who type, click, read and answer phones.

The bot runs in this process (quick to start) with a store of its own, or as the process that operators start.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from bot.command import serve
from bot.settings import read
from bot.store import Store
from bot.timeline import Entry
from sandbox.pagerduty.model import Incident
from sandbox.practice import Part, Practice

Json = dict[str, Any]
Found = TypeVar("Found")

GENERAL, ANNOUNCE = "C0GENERAL", "C0INCIDENTS"
BOT_COMMAND = (sys.executable, "-m", "bot", "run", "--practice")


async def eventually(look: Callable[[], Awaitable[Found | None]], within: float = 40.0, what: str = "") -> Found:
    """What `look` finds, as soon as it finds something; AssertionError after `within` seconds: a busy machine is no failure."""
    end = time.monotonic() + within
    while True:
        found = await look()
        if found:
            return found
        assert time.monotonic() < end, f"did not happen within {within} s: {what or getattr(look, '__name__', look)}"
        await asyncio.sleep(0.04)


@dataclass
class Someone:
    """A person at the page."""

    scene: Scene
    id: str

    async def types(self, text: str, channel: str = GENERAL) -> Json:
        """A slash command: `/incident declare P1 checkout is down`."""
        command, _, rest = text.partition(" ")
        answer = await self.scene.post("/ui/command", user=self.id, channel=channel, command=command, text=rest)
        assert answer["ok"], answer
        return answer

    async def sees(self, channel: str, *, thread: str = "") -> list[Json]:
        more = {"thread_ts": thread} if thread else {}
        return list((await self.scene.get("/ui/messages", user=self.id, channel=channel, **more))["messages"])

    async def reads(self, channel: str, words: str, within: float = 40.0) -> Json:
        """The first message in `channel` whose text or blocks contain `words`, once it is there."""

        async def look() -> Json | None:
            return next((m for m in await self.sees(channel) if words in whole(m)), None)

        return await eventually(look, within, f"{self.id} reads {words!r} in {channel}")

    async def says(self, channel: str, text: str, *, thread: str = "") -> str:
        """A message; its ts."""
        more = {"thread_ts": thread} if thread else {}
        return str((await self.scene.post("/ui/message", user=self.id, channel=channel, text=text, **more))["ts"])

    async def joins(self, channel: str) -> None:
        await self.scene.post("/ui/join", user=self.id, channel=channel)

    async def direct(self, within: float = 40.0) -> str:
        """The channel of their direct messages with the bot, once there is one."""

        async def look() -> str | None:
            channels = (await self.scene.get("/ui/boot", user=self.id))["channels"]
            return next((str(c["id"]) for c in channels if c["is_im"] and c["user"] == "U0BOT"), None)

        return await eventually(look, within, f"{self.id} has a direct message")

    async def picks_up(self, press: str = "acknowledge", within: float = 40.0) -> None:
        """Answer the phone as soon as it rings."""

        async def look() -> Json | None:
            phone = await self.scene.get("/phone/state")
            address = self.id.removeprefix("U0").lower() + "@"
            mine = next(p["id"] for p in phone["people"] if p["email"].startswith(address))
            return next((c for c in phone["calls"] if c["ringing"] and c["person"] == mine), None)

        call = await eventually(look, within, f"the phone of {self.id} rings")
        await self.scene.post("/phone/answer", call_id=call["id"], press=press)

    async def clicks(self, message: Mapping[str, Any], action_id: str, *, value: str | None = None) -> Json:
        """A button of a message or view, or one choice of an overflow menu; `value` tells those of one action apart."""
        block, element = find_action(message, action_id, value)
        kind = "ephemeral" if message.get("ephemeral") else "message"
        container = {"type": kind, "channel": message.get("channel"), "ts": message.get("ts")}
        if message.get("type") in ("modal", "home"):
            container = {"type": "view", "view_id": message["id"]}
        chosen: Json = {}
        if element["type"] == "overflow":
            chosen["selected_option"] = next(o for o in element["options"] if o["value"] == value)
        elif "value" in element:
            chosen["value"] = element["value"]
        return await self.scene.post(
            "/ui/action",
            user=self.id,
            container=container,
            block_id=block["block_id"],
            action_id=action_id,
            **chosen,
        )

    async def window(self, callback_id: str, within: float = 40.0, *, blocks: int = 2) -> Json:
        """The window on top, once it is the one named, has at least so many blocks."""

        async def look() -> Json | None:
            views = (await self.scene.get("/ui/views", user=self.id))["views"]
            top = views[-1] if views else {"callback_id": "", "blocks": []}
            ready = top["callback_id"] == callback_id and len(top["blocks"]) >= blocks
            return dict(top) if ready else None

        return await eventually(look, within, f"{self.id} has the window {callback_id}")

    async def submits(self, view: Mapping[str, Any], **values: Any) -> Json:
        """Send a window: str for text and single selects, list for multi selects; what is not given stays as shown."""
        filled = {}
        for block in view["blocks"]:
            if block["type"] == "input":
                name = block["element"]["action_id"]
                filled[block["block_id"]] = {name: state_of(block["element"], values.get(name))}
        return await self.scene.post("/ui/view/submit", user=self.id, view_id=view["id"], values=filled)


def state_of(element: Mapping[str, Any], value: Any) -> Json:
    """The state of an input as Slack sends it."""
    kind = element["type"]
    if kind == "plain_text_input":
        return {"type": kind, "value": element.get("initial_value") if value is None else value}
    if kind == "users_select":
        return {"type": kind, "selected_user": element.get("initial_user") if value is None else value}
    options = element["options"]
    if kind in ("multi_static_select", "checkboxes"):
        chosen = [o for o in options if o["value"] in (value or ())]
        return {"type": kind, "selected_options": chosen or element.get("initial_options") or []}
    selected = next((o for o in options if o["value"] == value), element.get("initial_option"))
    return {"type": kind, "selected_option": selected}


def whole(message: Mapping[str, Any]) -> str:
    """All words of a message: its text and every text in its blocks."""
    words = [str(message.get("text") or "")]

    def gather(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("text"), str):
                words.append(value["text"])
            for item in value.values():
                gather(item)
        elif isinstance(value, list):
            for item in value:
                gather(item)

    gather(message.get("blocks") or [])
    return "\n".join(words)


def find_action(message: Mapping[str, Any], action_id: str, value: str | None = None) -> tuple[Json, Json]:
    """(block, element) of an action; AssertionError when the message has none (or none with that choice)."""
    for block in message.get("blocks") or []:
        for element in [*block.get("elements", []), *([block["accessory"]] if "accessory" in block else [])]:
            values = [option["value"] for option in element.get("options", [])] or [element.get("value")]
            if element.get("action_id") == action_id and (value is None or value in values):
                return block, element
    raise AssertionError(f"no {action_id} in {whole(message)[:300]}")


class Scene:
    """The estate and the bot. `store` reads the bot's own rows; stories use it only to look."""

    def __init__(self, practice: Practice, session: aiohttp.ClientSession, store: Store, database: str) -> None:
        self.practice = practice
        self.database = database
        self.store = store
        self._session = session

    def __getattr__(self, name: str) -> Someone:
        """`scene.ana`, `scene.ben`, `scene.chloe`, `scene.dev`, `scene.eva`, `scene.frank`, `scene.grace`."""
        if name in ("ana", "ben", "chloe", "dev", "eva", "frank", "grace"):
            return Someone(self, f"U0{name.upper()}")
        raise AttributeError(name)

    async def post(self, path: str, **body: Any) -> Json:
        async with self._session.post(self.practice.url + path, json=body) as answer:
            return dict(await answer.json())

    async def get(self, path: str, **query: str) -> Json:
        async with self._session.get(self.practice.url + path, params=query) as answer:
            return dict(await answer.json())

    async def channel(self, start: str, user: str = "U0ANA", within: float = 40.0) -> str:
        """The id of the channel whose name begins with `start`, once `user` can see it."""

        async def look() -> str | None:
            channels = (await self.get("/ui/boot", user=user))["channels"]
            return next((str(c["id"]) for c in channels if c["name"].startswith(start)), None)

        return await eventually(look, within, f"channel {start}")

    async def board(self, room: str, words: str = "", within: float = 40.0) -> Json:
        """The board of a room: the message that is pinned by us, once it says `words`."""

        async def look() -> Json | None:
            messages = (await self.get("/ui/messages", user="U0ANA", channel=room))["messages"]
            return next((dict(m) for m in messages if m.get("pinned") and words in whole(m)), None)

        return await eventually(look, within, f"a board that says {words!r}")

    async def declares(self, words: str, who: str = "ana") -> str:
        """Declare in one line; the room, once its board stands and `who` is in it."""
        someone: Someone = getattr(self, who)
        before = {c["id"] for c in (await self.get("/ui/boot", user=someone.id))["channels"]}
        await someone.types(f"/incident declare {words}")

        async def look() -> str | None:
            channels = (await self.get("/ui/boot", user=someone.id))["channels"]
            mine = (c for c in channels if c["id"] not in before and c["name"].startswith("inc-") and c["is_member"])
            return next((str(c["id"]) for c in mine if c["pins"]), None)

        return await eventually(look, what=f"a room with a board after {words!r}")

    async def joined(self, channel: str, user: str, within: float = 40.0) -> None:
        """Wait until somebody is a member of a channel."""

        async def look() -> bool:
            return user in self.practice.slack.channels[channel].members

        await eventually(look, within, f"{user} is in {channel}")

    async def said(self, channel: str, words: str = "") -> list[Json]:
        """What the bot has said in a channel so far, oldest first."""
        messages = (await self.get("/ui/messages", user="U0ANA", channel=channel))["messages"]
        return [
            m for m in messages if m.get("bot_id") and not m.get("subtype") and not m["ephemeral"] and words in whole(m)
        ]

    async def quiet(self, *, but: Sequence[str] = ()) -> None:
        """Wait until nothing that is due or tried again is left to do, except kinds of effects that are not waited for."""

        async def look() -> bool:
            async with self.store.pool.connection() as conn:
                cursor = await conn.execute(
                    "select kind, error from effect where state in ('waiting', 'doing') and kind <> all(%s)"
                    " and (due_at <= now() + interval '1 s' or error is not null)",
                    [["watch", "assess.all", *but]],
                )
                return not await cursor.fetchall()

        await eventually(look, what="nothing is left to do")

    async def sql(self, statement: str, *values: Any) -> list[Json]:
        """Look at (or, as time does, move) the bot's own rows."""
        async with self.store.pool.connection() as conn:
            cursor = await conn.execute(statement.encode(), values)
            return list(await cursor.fetchall()) if cursor.description else []

    def pages(self) -> list[Incident]:
        """PagerDuty's incidents, oldest first."""
        return list(self.practice.pagerduty.incidents.values())

    @contextlib.asynccontextmanager
    async def bot(self) -> AsyncIterator[None]:
        """The bot in this process, for a scene that was opened without one."""
        async with bot_in_here({**self.practice.env, "BOT_DATABASE_URL": self.database}):
            await self.connected()
            yield

    async def proven(self, level: int) -> Entry:
        """The timeline entry that says that the page of a rung is proven."""

        async def look() -> Entry | None:
            found = (e for e in await self.timeline(1) if e.kind == "page_proven" and f"rung {level}:" in e.text)
            return next(found, None)

        return await eventually(look, what=f"proof of rung {level}")

    async def poll(self) -> None:
        """Let the next look at PagerDuty fall due now, and wait until it was taken."""
        before = (await self.sql("update effect set due_at = now() where kind = 'watch' returning done_at"))[0]

        async def look() -> bool:
            return (await self.sql("select done_at from effect where kind = 'watch'"))[0] != before

        await eventually(look, what="a poll of PagerDuty")

    async def gone(self, room: str, words: str) -> None:
        """Wait until the board does not say `words` any more."""

        async def look() -> bool:
            return words not in whole(await self.board(room))

        await eventually(look, what=f"a board without {words!r}")

    def calls(self, method: str) -> list[Json]:
        """What the bot asked of Slack so far, by method."""
        return [dict(args) for _, name, args, _ in self.practice.slack.calls if name == method]

    async def timeline(self, number: int) -> list[Entry]:
        async with self.store.tx() as tx:
            return await tx.entries(number)

    async def entry(self, number: int, kind: str, within: float = 40.0) -> Entry:
        """The first entry of a kind, once it is written."""

        async def look() -> Entry | None:
            return next((e for e in await self.timeline(number) if e.kind == kind), None)

        return await eventually(look, within, f"timeline entry {kind}")

    async def connected(self) -> None:
        """Wait until the bot takes clicks."""

        async def look() -> bool:
            try:
                async with self._session.get(f"http://{self.practice.env['BOT_HTTP']}/readyz") as answer:
                    ready = answer.status == 200
            except aiohttp.ClientError:
                return False
            http = "SLACK_APP_TOKEN" not in self.practice.env
            return ready and (http or bool((await self.get("/ui/boot", user="U0ANA"))["app"]["connected"]))

        await eventually(look, 30, "the bot is ready")


@contextlib.asynccontextmanager
async def scene(
    database: str,
    *,
    parts: Sequence[Part] = (),
    seconds_per_minute: float = 60.0,
    http: bool = False,
    webhooks: bool = True,
    process: bool = False,
    bot: bool = True,
    wait: bool = True,
    environ: Mapping[str, str] | None = None,
    before: Callable[[Practice], None] = lambda _: None,
) -> AsyncIterator[Scene]:
    """Raise the curtain. `process`: the bot as its own process; `bot` False: none until the story starts it with `it.bot()`.

    `before`: break something before the bot starts.
    """
    from bot.clock import wall_clock

    command = ("/usr/bin/env", f"BOT_DATABASE_URL={database}", *BOT_COMMAND) if process else ()
    async with contextlib.AsyncExitStack() as stack:
        practice = await stack.enter_async_context(
            Practice(parts=parts, command=command, seconds_per_minute=seconds_per_minute, http=http, webhooks=webhooks)
        )
        practice.slack.set_rate_limits(False)
        before(practice)
        if environ:
            practice.env.update(environ)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        store = Store(database, wall_clock, max_size=3)
        stack.push_async_callback(store.close)
        await store.open()
        if bot and not process:
            await stack.enter_async_context(bot_in_here({**practice.env, "BOT_DATABASE_URL": database}))
        it = Scene(practice, session, store, database)
        if bot and wait:
            await it.connected()
        yield it


@contextlib.asynccontextmanager
async def bot_in_here(environ: Mapping[str, str]) -> AsyncIterator[None]:
    """The bot, as `recovery-bot run` builds it, on this event loop."""
    stopped = asyncio.Event()
    task = asyncio.create_task(serve(read(environ, practice=True), stopped))
    try:
        yield
    finally:
        stopped.set()
        await task
