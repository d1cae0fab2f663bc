"""The practice estate with a reaper: it sees every call of the bot and kills the bot where a point says so."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.practice import Practice
from tests.crash.point import AtCall, AtTime, Death


class Reaper:
    """Counts the bot's calls since `aim` and sends SIGKILL at the one that was chosen."""

    def __init__(self, pid: Callable[[], int | None]) -> None:
        self._pid = pid
        self._death: Death | None = None
        self._left = 0
        self._clock: asyncio.TimerHandle | None = None
        self.struck = ""
        """What was under way when it struck last."""

    def aim(self, death: Death) -> None:
        """Strike once, from now on."""
        self.disarm()
        self._death, self.struck = death, ""
        if isinstance(death, AtTime):
            self._clock = asyncio.get_running_loop().call_later(death.after, self._strike, "a chosen instant")
        else:
            self._left = death.nth

    def disarm(self) -> None:
        self._death = None
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def strike_now(self) -> None:
        """The chosen call never came: die while all is quiet."""
        self._strike("quiet")

    def _strike(self, what: str) -> None:
        pid = self._pid()
        self.disarm()
        self.struck = what
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @web.middleware
    async def watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Middleware of everything the bot calls."""
        death = self._death
        if not isinstance(death, AtCall) or not _outside(request.path):
            return await handler(request)
        self._left -= 1
        if self._left:
            return await handler(request)
        what = f"{request.method} {request.path} ({death.moment})"
        await request.read()
        if death.moment in ("refused", "arrived"):
            self._strike(what)
        elif death.moment in ("held", "answered"):
            self._clock = asyncio.get_running_loop().call_later(death.wait, self._strike, what)
        if death.moment == "refused":
            return _cut(request)
        if death.moment in ("arrived", "held"):
            await asyncio.sleep(death.wait)
            if death.moment == "held":
                return _cut(request)
        answer = await handler(request)
        if death.moment == "kept":
            await asyncio.sleep(death.wait)
        if death.moment in ("done", "kept"):
            self._strike(what)
        return answer


def _outside(path: str) -> bool:
    """Whether a path is one of an effect's calls: not the page's, not the socket's, not the directory's."""
    return path not in _DIRECTORY and not path.startswith(("/ui/", "/link", "/phone/", "/panel/"))


_DIRECTORY = {
    "/api/apps.connections.open", "/api/auth.test", "/api/users.lookupByEmail", "/api/users.info", "/oncalls", "/log_entries",
    "/escalation_policies/PRUNG01", "/escalation_policies/PRUNG02", "/escalation_policies/PRUNG03", "/escalation_policies/PRUNG04",
}  # fmt: skip


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


class HauntedPractice(Practice):
    """A practice estate whose bot may die at any call."""

    def _prepare(self, undo: ExitStack) -> None:
        self.reaper = Reaper(lambda: self.bot.pid)
        super()._prepare(undo)
        for door in (self.door, self.pagerduty_door):
            door.app.middlewares.append(self.reaper.watch)
