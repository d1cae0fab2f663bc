"""The stage of a figure: the practice Slack and PagerDuty, and the bot as operators start it, with its embedded store."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any

import aiohttp
import psycopg
from psycopg.rows import dict_row

from bot.store.embedded_home import running
from sandbox.practice import Part, Practice

Json = dict[str, Any]
COMMAND = (sys.executable, "-m", "bot", "run")
ANNOUNCE = "C0INCIDENTS"
LATENCY = 0.1
"""Seconds added to each call to Slack and to PagerDuty where a figure says so."""


class Stage:
    """One bot and its neighbours; `post` and `get` are a person at the page."""

    def __init__(self, practice: Practice, session: aiohttp.ClientSession) -> None:
        self.practice = practice
        self._session = session

    async def post(self, path: str, **body: Any) -> Json:
        async with self._session.post(self.practice.url + path, json=body) as answer:
            return dict(await answer.json())

    async def get(self, path: str, **query: str) -> Json:
        async with self._session.get(self.practice.url + path, params=query) as answer:
            return dict(await answer.json())

    async def types(self, text: str, user: str = "U0ANA") -> Json:
        """A slash command in #general; the answer has `acked_ms`."""
        command, _, rest = text.partition(" ")
        return await self.post("/ui/command", user=user, channel="C0GENERAL", command=command, text=rest)

    def latency(self, seconds: float) -> None:
        """Add `seconds` to every call to Slack and to PagerDuty."""
        self.practice.slack.faults.latency = self.practice.pagerduty.faults.latency = seconds

    @property
    def pid(self) -> int:
        pid = self.practice.bot.pid
        assert pid is not None, "the bot does not run"
        return pid

    @property
    def postgres(self) -> int:
        """The process id of the bot's own PostgreSQL."""
        return int((self.practice.data / "bot/postgres/postmaster.pid").read_text().split("\n", 1)[0])

    async def start(self) -> float:
        """Start the bot; seconds until /readyz says 200."""
        began = time.monotonic()
        await self.practice.bot.start()
        assert await self.practice.bot.ready(60)
        return time.monotonic() - began

    async def connected(self) -> None:
        """Wait until the bot takes clicks over its socket."""

        async def look() -> bool:
            return bool((await self.get("/ui/boot", user="U0ANA"))["app"]["connected"])

        await until(look)

    async def kill(self) -> None:
        """kill -9, the bot alone; its PostgreSQL lives on, as it would."""
        os.kill(self.pid, signal.SIGKILL)
        await self.practice.bot.ended.wait()

    async def sql(self, statement: str, **values: Any) -> list[Json]:
        """Ask the bot's own store."""
        connect = psycopg.AsyncConnection.connect
        async with await connect(running(self.practice.data / "bot"), autocommit=True, row_factory=dict_row) as conn:
            cursor = await conn.execute(statement.encode(), values)
            return [dict(row) for row in await cursor.fetchall()] if cursor.description else []

    async def undone(self) -> int:
        """Effects that are due and not done."""
        rows = await self.sql(
            "select count(*) as n from effect where state = 'doing' or (state = 'waiting' and due_at <= now())"
            " and kind not in ('assess.all', 'watch', 'sweep', 'roster')"
        )
        return int(rows[0]["n"])

    async def quiet(self, within: float = 60.0) -> None:
        """Wait until nothing is due any more."""

        async def look() -> bool:
            return await self.undone() == 0

        await until(look, within, every=0.1)


async def until(look: Callable[[], Awaitable[bool]], within: float = 30.0, every: float = 0.01) -> None:
    """Wait until `look` says yes. Raises TimeoutError."""
    end = time.monotonic() + within
    while not await look():
        if time.monotonic() > end:
            raise TimeoutError(f"did not happen within {within:g} s")
        await asyncio.sleep(every)


@contextlib.asynccontextmanager
async def stage(*, parts: Collection[Part] = (), warm: bool = True) -> AsyncIterator[Stage]:
    """A stage with everything started; with `warm` the bot too, on a store that was made by an earlier start."""
    async with Practice(parts=parts) as practice, aiohttp.ClientSession() as session:
        practice.slack.set_rate_limits(False)
        practice.bot.argv[:] = COMMAND
        it = Stage(practice, session)
        if warm:
            await it.start()
            await practice.bot.stop()
            await it.start()
            await it.connected()
        yield it
