"""One point, run: declare, die, start again on the same store, and look at what the world has become."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp

from bot.clock import wall_clock
from bot.owed import NEVER
from bot.store import Store
from bot.store.embedded_home import running
from tests.crash.point import Death, Point
from tests.crash.proof import broken
from tests.crash.reaper import HauntedPractice
from tests.stories.scene import BOT_COMMAND, Scene

FIRST_QUIET, NEXT_QUIET = 4.0, 8.0
"""Seconds after which a chosen call that has not come is not waited for; later ones wait for the take-over."""

SETTLED_WITHIN = 45.0


@dataclass(frozen=True)
class Result:
    """What a point showed: `wrong` is empty when every invariant holds. `seconds`: from ready to nothing left undone."""

    point: Point
    deaths: tuple[str, ...]
    wrong: tuple[str, ...]
    seconds: float
    log: str = ""

    def __str__(self) -> str:
        head = f"{self.point}  ({'; '.join(self.deaths)})  caught up {self.seconds:.1f} s after ready"
        if not self.wrong:
            return f"ok    {head}"
        return "\n".join(
            [f"WRONG {head}", *(f"      - {line}" for line in self.wrong), f"      again: {self.point.repeat}"]
        )


async def run(point: Point, database: str) -> Result:
    """Run it in a store of its own: `database`, or the embedded one where the point says so."""
    command = [*BOT_COMMAND] if point.embedded else ["/usr/bin/env", f"BOT_DATABASE_URL={database}", *BOT_COMMAND]
    practice = HauntedPractice(
        command=command, seconds_per_minute=point.seconds_per_minute, http=point.http, webhooks=point.webhooks
    )
    async with practice, aiohttp.ClientSession() as session:
        practice.slack.set_rate_limits(False)
        if point.answers:
            practice.pagerduty.people["PANAORT"].behave("acks", after=30)
        await practice.bot.ready(60)
        async with _store(point, practice, database) as store:
            it = Scene(practice, session, store, database)
            await it.connected()
            if point.taken:
                await it.post("/ui/channel", user="U0FRANK", name="inc-1-checkout-is-down", is_private=False)
            deaths = await _live_and_die(it, practice, point)
            await practice.bot.start()
            await practice.bot.ready(60)
            began = time.monotonic()
            undone = await _settle(store, point)
            seconds = time.monotonic() - began
            wrong = [*undone, *await broken(it)]
        await practice.bot.stop()
        if practice.bot.returncode != 0:
            wrong.append(f"SIGTERM at the end: exit status {practice.bot.returncode}")
        return Result(point, tuple(deaths), tuple(wrong), seconds, practice.bot.said(400) if wrong else "")


@contextlib.asynccontextmanager
async def _store(point: Point, practice: HauntedPractice, database: str) -> AsyncIterator[Store]:
    store = Store(running(practice.data / "bot") if point.embedded else database, wall_clock, max_size=2)
    await store.pool.open()
    try:
        yield store
    finally:
        await store.close()


async def _live_and_die(it: Scene, practice: HauntedPractice, point: Point) -> list[str]:
    """Declare, and let the deaths come one after the other; what each of them struck."""
    first, *further = point.deaths
    declared = asyncio.create_task(_declare(it, practice, point, first))
    await _dead(practice, FIRST_QUIET)
    await asyncio.gather(declared, return_exceptions=True)
    struck = [practice.reaper.struck]
    for death in further:
        practice.reaper.aim(death)
        await practice.bot.start()
        await _dead(practice, NEXT_QUIET)
        struck.append(practice.reaper.struck)
    return struck


async def _declare(it: Scene, practice: HauntedPractice, point: Point, death: Death) -> None:
    """What a person does; whether they get an answer is not sure: the bot may die under their hands."""
    scenario = "security" if point.private else "other"
    words = "P1 checkout is down" + (": breach" if point.private else "")
    if not point.window:
        practice.reaper.aim(death)
        await it.post("/ui/command", user="U0ANA", channel="C0GENERAL", command="/incident", text=f"declare {words}")
        return
    await it.ana.types("/incident declare")
    window = await it.ana.window("incident_declare")
    practice.reaper.aim(death)
    await it.ana.submits(window, title=words[3:], severity="P1", scenario=scenario)


async def _dead(practice: HauntedPractice, patience: float) -> None:
    try:
        async with asyncio.timeout(patience):
            await practice.bot.ended.wait()
    except TimeoutError:
        practice.reaper.strike_now()
        await practice.bot.ended.wait()


async def _settle(store: Store, point: Point) -> list[str]:
    """Wait until nothing is left to do but what falls due later; what is left when that does not come about."""
    end = time.monotonic() + SETTLED_WITHIN
    left = ["?"]
    while left and time.monotonic() < end:
        await asyncio.sleep(0.05)
        left = await left_undone(store, whole_ladder=point.seconds_per_minute < 1)
    return [f"left undone: {line}" for line in left]


async def left_undone(store: Store, *, whole_ladder: bool) -> list[str]:
    """Effects that are due, under way, failed or wait for a room that never came; rungs that have not fired."""
    async with store.pool.connection() as conn:
        cursor = await conn.execute(
            "select kind, key, state, attempts, error from effect where incident is not null and ("
            " state in ('doing', 'failed') or (state = 'waiting' and (due_at <= now() + interval '1.2 s'"
            " or (due_at >= %(never)s and kind <> 'ladder') or (kind = 'page.proof' and %(fast)s))))"
            " or kind like 'intake%%' and state in ('waiting', 'doing', 'failed')",
            {"never": NEVER, "fast": whole_ladder},
        )
        left = [
            f"{r['key']} {r['state']}, attempt {r['attempts']}, {r['error'] or 'no error'}"
            for r in await cursor.fetchall()
        ]
        if whole_ladder:
            cursor = await conn.execute("select level from rung where state = 'waiting'")
            left += [f"rung {r['level']} has not fired" for r in await cursor.fetchall()]
    return left
