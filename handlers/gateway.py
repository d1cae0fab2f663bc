"""The connection to Slack: the Bolt app, its Socket Mode links or its HTTP route, and who we are there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import NeighbourError
from handlers.link import Link
from handlers.slack import slack_errors

log = logging.getLogger("handlers.gateway")

CALL_TIMEOUT = 5.0
LINKS = 2


def web_client(token: str, base_url: str, session: aiohttp.ClientSession) -> AsyncWebClient:
    """A client that never repeats a call by itself: the engine reads back first. `session` has the timeout."""
    return AsyncWebClient(token=token, base_url=base_url, session=session, timeout=int(CALL_TIMEOUT), retry_handlers=[])


def slack_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT), connector=aiohttp.TCPConnector(limit=64)
    )


class Gateway:
    """Slack's deliveries come in here. Clicks are stored even while Slack's API does not answer us."""

    def __init__(self, client: AsyncWebClient, signing_secret: str, app_token: str) -> None:
        self._client = client
        self._bot_id: str | None = None
        self._user_id: str | None = None

        async def authorize() -> AuthorizeResult:
            """Who we are, as far as it is known: Bolt would ask Slack first, and lose the click when Slack is slow."""
            return AuthorizeResult(
                enterprise_id=None,
                team_id=None,
                bot_token=client.token,
                bot_id=self._bot_id,
                bot_user_id=self._user_id,
            )

        secret = signing_secret or "unused-in-socket-mode"
        # Events of our own messages matter too: a board that somebody deletes comes back. Intake drops the others.
        self.app = AsyncApp(
            client=client, signing_secret=secret, authorize=authorize, ignoring_self_events_enabled=False
        )
        self._links = [Link(self.app, client, app_token) for _ in range(LINKS)] if app_token else []

    @property
    def known(self) -> bool:
        """Whether Slack has told who the token belongs to."""
        return self._user_id is not None

    async def learn_who_we_are(self) -> None:
        """Ask Slack who the token belongs to, until it answers."""
        while self._user_id is None:
            try:
                async with slack_errors():
                    me = await self._client.auth_test()
                self._user_id, self._bot_id = str(me["user_id"]), str(me.get("bot_id", ""))
                log.info("Slack knows us as %s in %s", me.get("user"), me.get("team"))
            except NeighbourError as error:
                log.warning("Slack: %s", error)
                await asyncio.sleep(5)

    @property
    def connected(self) -> bool:
        """Whether deliveries can reach us over a socket."""
        return any(link.connected for link in self._links)

    async def keep_sockets(self) -> None:
        """Hold the Socket Mode links for ever. Two of them: Slack renews each every few hours, never both at once."""
        async with asyncio.TaskGroup() as group:
            for link in self._links:
                group.create_task(link.keep())

    async def close(self) -> None:
        for link in self._links:
            await link.close()

    def http_route(self) -> Callable[[web.Request], Awaitable[web.Response]]:
        """`/slack/events`, for the HTTP mode: commands, interactivity and events on one path."""

        async def slack_events(request: web.Request) -> web.Response:
            answer = await self.app.async_dispatch(await to_bolt_request(request))
            return await to_aiohttp_response(answer)

        return slack_events
