"""What the bot costs while nothing happens: alone, and with ten thousand open incidents."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from benchmarks.crowd import crowd, soon
from benchmarks.figure import Figure
from benchmarks.process import busy, children, resident, share
from benchmarks.stage import Stage, stage
from sandbox.practice import ALL

WARM_UP, WINDOW = 10.0, 35.0
INCIDENTS = 10_000


async def figures() -> list[Figure]:
    """Nothing open."""
    async with stage(parts=ALL) as it:
        await asyncio.sleep(WARM_UP)
        bot, server, rate = await _cost(it)
        memory, store = resident(it.pid), share(_servers(it))
    how = f"no incident open, over {WINDOW:g} s"
    return [
        Figure("Memory, idle (RSS)", memory, "MB", 200, f"its PostgreSQL beside it: {store:.0f} MB"),
        Figure("CPU, idle", bot, "%", 1, f"{how}; its PostgreSQL beside it: {server:.1f} %", 2),
        Figure("Statements, idle", rate, "/s", None, how, 1),
    ]


async def crowded() -> list[Figure]:
    """10,000 incidents open, their next rungs ten minutes away."""
    async with stage(parts=ALL) as it:
        await crowd(it, INCIDENTS, soon(600), timedelta(milliseconds=1), places=False)
        ready = await it.start()
        await asyncio.sleep(WARM_UP)
        bot, server, rate = await _cost(it)
        memory = resident(it.pid)
    how = f"over {WINDOW:g} s, one round of probes included"
    return [
        Figure("10,000 open incidents: memory (RSS)", memory, "MB", 200, "", 0),
        Figure("10,000 open incidents: CPU", bot, "%", None, f"{how}; its PostgreSQL beside it: {server:.1f} %", 1),
        Figure("10,000 open incidents: statements", rate, "/s", None, how, 1),
        Figure("10,000 open incidents: start to ready", ready, "s", 3, "PostgreSQL was running", 1),
    ]


def _servers(it: Stage) -> list[int]:
    return [it.postgres, *children(it.postgres)]


async def _cost(it: Stage) -> tuple[float, float, float]:
    """(percent of a core for the bot, for its PostgreSQL, statements a second)."""
    servers = _servers(it)
    bot, server = await asyncio.gather(busy([it.pid], WINDOW), busy(servers, WINDOW))
    return bot, server, await _statements(it)


async def _statements(it: Stage) -> float:
    """Statements that reach the store, a second: logged for a while by the server itself."""
    log = it.practice.data / "bot/postgres.log"
    await it.sql("alter system set log_statement = 'all'")
    await it.sql("select pg_reload_conf()")
    await asyncio.sleep(1)
    before = log.stat().st_size
    await asyncio.sleep(WINDOW)
    with log.open("rb") as file:
        file.seek(before)
        count = sum(b" LOG:  statement: " in line or b" LOG:  execute " in line for line in file)
    await it.sql("alter system reset log_statement")
    await it.sql("select pg_reload_conf()")
    return count / WINDOW
