"""Somebody between the bot and the application, who loses answers or gives wrong ones when told to."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import aiohttp
from aiohttp import web

from sandbox.practice import Practice

Fault = Literal["500", "lost"]


class Between:
    """`faults`: by method and path, what happens to the next calls, in order. "500": it does not reach the application;
    "lost": it does, and the connection breaks off instead of the answer."""

    def __init__(self) -> None:
        self.url = self._target = ""
        self.faults: dict[str, list[Fault]] = defaultdict(list)

    def before(self, practice: Practice) -> None:
        """Stand before that estate's application, and let the bot come here."""
        assert practice.app is not None
        self._target = practice.app.url
        practice.env["API_URL"] = self.url

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Any call."""
        faults = self.faults[f"{request.method} {request.path}"]
        fault = faults.pop(0) if faults else None
        if fault == "500":
            return web.json_response({"error": "told to fail"}, status=500)
        headers = {k: v for k, v in request.headers.items() if k in ("Authorization", "Content-Type")}
        async with (
            aiohttp.ClientSession() as client,
            client.request(request.method, self._target + request.path_qs, headers=headers, data=await request.read())
            as answer,
        ):  # fmt: skip
            body, kind = await answer.read(), answer.content_type
        if fault == "lost":
            assert request.transport is not None
            request.transport.close()
        return web.Response(body=body, status=answer.status, content_type=kind)


@asynccontextmanager
async def between() -> AsyncIterator[Between]:
    """Listening."""
    one = Between()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", one.serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield one
    finally:
        await runner.cleanup()
