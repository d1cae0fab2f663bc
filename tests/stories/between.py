"""Somebody between the bot and the application or the vendors, who loses answers or gives wrong ones when told to."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import aiohttp
from aiohttp import web

from sandbox.practice import Practice

Fault = Literal["429", "500", "lost", "silent"]


class Between:
    """`faults`: by method and path, what happens to the next calls, in order. "429" and "500": it does not get through; "lost": it
    does, and the connection breaks off instead of the answer; "silent": it does, and no answer ever comes. `passed`: how often
    something got through."""

    def __init__(self) -> None:
        self.url = self._app = self._vendors = ""
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.passed: Counter[str] = Counter()

    def before(self, practice: Practice) -> None:
        """Stand before that estate's application and its vendors, and let the bot come here."""
        assert practice.app is not None
        self._app, self._vendors = practice.app.url, practice.url
        practice.env["API_URL"] = self.url
        for name in ("TOGETHER_STATUS_URL", "TOGETHER_API_URL"):
            practice.env[name] = practice.env[name].replace(practice.url, self.url)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Any call."""
        call = f"{request.method} {request.path}"
        fault = self.faults[call].pop(0) if self.faults[call] else None
        if fault in ("429", "500"):
            later = {"Retry-After": "2"} if fault == "429" else None
            return web.json_response({"error": "told to fail"}, status=int(fault), headers=later)
        headers = {k: v for k, v in request.headers.items() if k in ("Authorization", "Content-Type")}
        target = self._vendors if request.path.startswith("/vendors/") else self._app
        async with (
            aiohttp.ClientSession() as client,
            client.request(request.method, target + request.path_qs, headers=headers, data=await request.read())
            as answer,
        ):  # fmt: skip
            body, kind = await answer.read(), answer.content_type
        self.passed[call] += 1
        if fault == "silent":
            await asyncio.Event().wait()  # the client hangs up
        if fault == "lost" and request.transport is not None:
            request.transport.close()
        return web.Response(body=body, status=answer.status, content_type=kind)


@asynccontextmanager
async def between() -> AsyncIterator[Between]:
    """Listening."""
    one = Between()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", one.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield one
    finally:
        await runner.cleanup()
