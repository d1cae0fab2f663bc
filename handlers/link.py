"""One Socket Mode link to Slack, rebuilt whenever it is dead, silent or refused."""

from __future__ import annotations

import asyncio
import logging

from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

log = logging.getLogger("handlers.link")

PING_EVERY = 3
LOOK_EVERY = 1.0
SILENT_FOR = 15.0
"""Seconds without a live link after which it is built anew, from a new ticket: the SDK alone repeats the old one for ever."""


class Link:
    """Keeps one link up. Slack delivers each click to any one of an app's links."""

    def __init__(self, app: AsyncApp, client: AsyncWebClient, app_token: str) -> None:
        self._app = app
        self._client = client
        self._app_token = app_token
        self._handler: AsyncSocketModeHandler | None = None

    @property
    def connected(self) -> bool:
        session = getattr(self._handler.client, "current_session", None) if self._handler is not None else None
        return session is not None and not session.closed

    async def keep(self) -> None:
        """Hold the link for ever."""
        loop = asyncio.get_running_loop()
        alive_at = loop.time()
        while True:
            if self._handler is None:
                await self._connect()
                alive_at = loop.time()
            elif await self._handler.client.is_connected():
                alive_at = loop.time()
            elif loop.time() - alive_at > SILENT_FOR:
                log.warning("a Slack socket is dead for %.0f s; building it anew", SILENT_FOR)
                await self.close()
            await asyncio.sleep(LOOK_EVERY)

    async def _connect(self) -> None:
        handler = AsyncSocketModeHandler(self._app, self._app_token, web_client=self._client, ping_interval=PING_EVERY)
        try:
            async with asyncio.timeout(10):
                await handler.connect_async()  # type: ignore[no-untyped-call]  # Bolt's
        except Exception as error:  # noqa: BLE001  the SDK raises whatever the network does; the link is simply tried again
            log.warning("no Slack socket yet (%s)", type(error).__name__)
            await _closed(handler)
            return
        self._handler = handler
        log.info("a Slack socket is up")

    async def close(self) -> None:
        """Close the link cleanly, so that Slack does not go on sending clicks into it."""
        handler, self._handler = self._handler, None
        if handler is not None:
            await _closed(handler)


async def _closed(handler: AsyncSocketModeHandler) -> None:
    try:
        async with asyncio.timeout(5):
            await handler.close_async()  # type: ignore[no-untyped-call]  # Bolt's
    except Exception as error:  # noqa: BLE001  a link that is given up may fail in any way while it closes
        log.info("closing a Slack socket: %s", type(error).__name__)
