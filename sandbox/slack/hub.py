"""The page's live wire: everything that happens is pushed to the people who may see it."""

import asyncio
import contextlib
import json
from collections.abc import Iterable

from aiohttp import web

from .model import Json

BACKLOG = 10_000
"""Frames a slow page may lag behind before it is dropped; it then reconnects and loads afresh."""


class Hub:
    """One queue per open page, so that a slow one holds up nobody."""

    def __init__(self) -> None:
        self._pages: dict[str, set[_Page]] = {}

    async def serve(self, request: web.Request, user: str) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=30)
        await socket.prepare(request)
        page = _Page(socket)
        self._pages.setdefault(user, set()).add(page)
        writer = asyncio.create_task(page.write())
        try:
            async for _ in socket:
                pass
        finally:
            self._pages[user].discard(page)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await writer
        return socket

    def listening(self) -> list[str]:
        """The people with an open page."""
        return [user for user, pages in self._pages.items() if pages]

    def push(self, frame: Json, to: Iterable[str] | None = None) -> None:
        """Send to these people's pages; None = to everybody's."""
        pages = [page for user in (self._pages if to is None else to) for page in self._pages.get(user, ())]
        if pages:
            text = json.dumps(frame)
            for page in pages:
                page.put(text)

    async def close(self) -> None:
        for page in [page for pages in self._pages.values() for page in pages]:
            await page.socket.close()


class _Page:
    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self._frames: asyncio.Queue[str | None] = asyncio.Queue()

    def put(self, text: str) -> None:
        self._frames.put_nowait(text if self._frames.qsize() < BACKLOG else None)

    async def write(self) -> None:
        while (text := await self._frames.get()) is not None:
            await self.socket.send_str(text)
        await self.socket.close()
