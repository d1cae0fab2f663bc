"""A served local Slack for one test, a person at its page, and a real bolt app beside it.

async with staged() as slack, connected(app := slack.bolt(), slack):
    await slack.person("U0ANA").post("command", channel="C0GENERAL", command="/incident", text="")
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import Workspace, build, close, routes

PATIENCE = 40.0
"""Seconds after which a test that waits for something gives up."""

SCOPES = (
    "app_mentions:read bookmarks:read bookmarks:write canvases:read canvases:write channels:history channels:join "
    "channels:manage channels:read chat:write commands files:read files:write groups:history groups:read groups:write "
    "im:history im:read im:write pins:read pins:write reactions:read reactions:write usergroups:read users:read "
    "users:read.email"
)
EVENTS = (
    "app_home_opened app_mention member_joined_channel member_left_channel message.channels message.groups message.im "
    "pin_added reaction_added channel_archive channel_created channel_rename file_shared"
)


def manifest(*, scopes: str = SCOPES, events: str = EVENTS, socket_mode: bool = True) -> dict[str, Any]:
    """An app manifest with everything switched on."""
    shortcut = {"description": "Start one", "callback_id": "declare_anywhere", "name": "Declare", "type": "global"}
    on_message = {"description": "Keep it", "callback_id": "keep", "name": "Keep", "type": "message"}
    command = {"command": "/incident", "description": "Incidents", "usage_hint": "declare", "should_escape": True}
    return {
        "display_information": {"name": "Recovery Bot"},
        "features": {
            "app_home": {"home_tab_enabled": True, "messages_tab_enabled": True},
            "bot_user": {"display_name": "recovery-bot", "always_online": True},
            "shortcuts": [shortcut, on_message],
            "slash_commands": [command, {"command": "/raw", "description": "Not escaped"}],
        },
        "oauth_config": {"scopes": {"bot": scopes.split()}},
        "settings": {
            "event_subscriptions": {"bot_events": events.split()},
            "interactivity": {"is_enabled": True},
            "socket_mode_enabled": socket_mode,
        },
    }


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class Person:
    """Somebody at the page."""

    id: str
    url: str
    session: aiohttp.ClientSession

    async def get(self, endpoint: str, /, **query: Any) -> Any:
        """GET /ui/<endpoint>; fails the test unless it answers 200."""
        async with self.session.get(f"{self.url}/ui/{endpoint}", params={"user": self.id, **query}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def post(self, endpoint: str, /, **body: Any) -> Any:
        """POST /ui/<endpoint>; the answer whatever its status."""
        async with self.session.post(f"{self.url}/ui/{endpoint}", json={"user": self.id, **body}) as answer:
            return await answer.json()

    async def messages(self, channel: str, **query: Any) -> list[Any]:
        found: list[Any] = (await self.get("messages", channel=channel, **query))["messages"]
        return found

    async def views(self) -> list[Any]:
        found: list[Any] = (await self.get("views"))["views"]
        return found

    async def click(self, container: Mapping[str, Any], block_id: str, action_id: str, **chosen: Any) -> Any:
        return await self.post("action", container=dict(container), block_id=block_id, action_id=action_id, **chosen)


@dataclass
class Stage:
    """The workspace, where it is served, and ways to reach it."""

    ws: Workspace
    url: str
    session: aiohttp.ClientSession

    def person(self, user: str = "U0ANA") -> Person:
        return Person(user, self.url, self.session)

    def web(self, token: str | None = None) -> AsyncWebClient:
        """The SDK's own client, without retries, so that each fault is seen as it is."""
        client = AsyncWebClient(token=token or self.ws.bot_token, base_url=f"{self.url}/api/", timeout=20)
        client.retry_handlers.clear()
        return client

    def bolt(self) -> AsyncApp:
        return AsyncApp(client=self.web(), signing_secret=self.ws.signing_secret)


@asynccontextmanager
async def staged(
    described: Mapping[str, Any] | None = None, *, rate_limits: bool = False, **options: Any
) -> AsyncIterator[Stage]:
    """A local Slack on a free port; `options` as for `build`. Environment that misleads the SDK is taken away."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    ws = build(described or manifest(), public_url=url, **options)
    ws.set_rate_limits(rate_limits)
    app = web.Application()
    app.add_routes(routes(ws))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    with pytest.MonkeyPatch.context() as environment:
        for name in os.environ:
            if name.lower().endswith("_proxy") or name.startswith("SLACK_"):
                environment.delenv(name)
        try:
            async with aiohttp.ClientSession() as session:
                yield Stage(ws, url, session)
        finally:
            await close(ws)
            await runner.cleanup()


@asynccontextmanager
async def connected(slack: Stage, app: AsyncApp, sockets: int = 1) -> AsyncIterator[list[AsyncSocketModeHandler]]:
    """The app connected by Socket Mode, perhaps more than once."""
    handlers = [AsyncSocketModeHandler(app, slack.ws.app_token, ping_interval=1) for _ in range(sockets)]
    try:
        for handler in handlers:
            await handler.connect_async()  # type: ignore[no-untyped-call]
        await until(lambda: len(slack.ws.sockets.connections) >= sockets)
        yield handlers
    finally:
        for handler in handlers:
            await handler.close_async()  # type: ignore[no-untyped-call]


async def until(true: Any) -> None:
    """Wait until `true()` holds; for what nobody announces."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 -- the real SDK has no event to wait for
            await asyncio.sleep(0.005)


async def soon(queue: "asyncio.Queue[Any]") -> Any:
    """The next thing that arrives."""
    async with asyncio.timeout(PATIENCE):
        return await queue.get()


@asynccontextmanager
async def watching(person: Person) -> AsyncIterator["asyncio.Queue[Any]"]:
    """The page's pushes to this person, as they come."""
    seen: asyncio.Queue[Any] = asyncio.Queue()
    async with person.session.ws_connect(f"{person.url}/ui/socket?user={person.id}") as wire:

        async def read() -> None:
            async for frame in wire:
                seen.put_nowait(frame.json())

        reader = asyncio.create_task(read())
        try:
            yield seen
        finally:
            await wire.close()
            await reader


async def pushed(queue: "asyncio.Queue[Any]", kind: str) -> Any:
    """The next push of this kind; others are skipped."""
    while (frame := await soon(queue))["type"] != kind:
        continue
    return frame


async def error_of(call: Any) -> str:
    """The error code with which Slack refuses this call; "" when it does not."""
    try:
        await call
    except SlackApiError as error:
        return str(error.response["error"])
    return ""
