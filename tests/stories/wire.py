"""The way to AWS, which fails when told to."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import aiohttp
import pytest
from aiohttp import web

from sandbox.doors import Door, listen
from sandbox.practice import Practice

CHANGE = "POST  /2013-04-01/hostedzone/Z0PRACTICE/rrset"
"""A change of records, as the wire names it."""
How = Literal["429", "500", "throttled", "lost", "silent"]
_THROTTLED = "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>"


@dataclass
class Wire:
    """Calls whose method, target, path and action hold `of` fail `times` times. "lost": it is done, and the connection breaks off
    instead of the answer; "silent": it is done, and no answer ever comes. `passed`: what came to AWS."""

    to: str
    how: How = "500"
    of: str = ""
    times: int = 0
    passed: list[str] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    def breaks(self, how: How, of: str, times: int = 1) -> None:
        """From now on."""
        self.how, self.of, self.times = how, of, times
        self.passed.clear()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        # EC2's calls are told apart by their form alone.
        action = re.match(rb"Action=\w+", await request.read())
        what = f"{request.method} {request.headers.get('X-Amz-Target', '')} {request.path_qs}"
        what += f" {action[0].decode()}" if action else ""
        hit = self.times > 0 and self.of in what
        self.times -= hit
        if hit and self.how == "throttled":
            return web.Response(status=400, text=_THROTTLED, content_type="text/xml")
        if hit and self.how in ("429", "500"):
            return web.Response(status=int(self.how))
        said = await self._through(request, what)
        if hit and self.how == "silent":
            await asyncio.Event().wait()  # until the client hangs up
        if (hit or said is None) and request.transport is not None:
            request.transport.abort()
        return said or web.Response(status=503)

    async def _through(self, request: web.Request, what: str) -> web.Response | None:
        """AWS's answer; None when nobody is there."""
        body = await request.read()
        try:
            async with (
                aiohttp.ClientSession(auto_decompress=False) as client,
                client.request(request.method, self.to + request.path_qs, headers=request.headers, data=body) as answer,
            ):
                self.passed.append(what)
                kept = {k: v for k, v in answer.headers.items() if k.lower() not in ("content-length", "connection")}
                return web.Response(status=answer.status, headers=kept, body=await answer.read())
        except aiohttp.ClientError:
            return None


@asynccontextmanager
async def wire_to(practice: Practice, patch: pytest.MonkeyPatch) -> AsyncIterator[Wire]:
    """Between the clients of this process and that estate's AWS."""
    assert practice.s3 is not None
    wire, socket = Wire(practice.s3.url), listen()
    door = Door(wire.app(), socket)
    for name, value in practice.env.items():
        if name.startswith("AWS_"):
            patch.setenv(name, value)
    patch.setenv("AWS_ENDPOINT_URL", door.url)
    await door.start()
    try:
        yield wire
    finally:
        await door.close()
