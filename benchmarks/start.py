"""How soon the bot is ready on a store that it made before."""

from __future__ import annotations

from benchmarks.figure import Figure, median
from benchmarks.stage import stage

ROUNDS = 7


async def figures() -> list[Figure]:
    """After a proper stop, when PostgreSQL must start too; and after kill -9, when it still runs."""
    async with stage(warm=False) as it:
        cold = await it.start()
        stopped, killed = [], []
        for _ in range(ROUNDS):
            await it.practice.bot.stop()
            stopped.append(await it.start())
            await it.kill()
            killed.append(await it.start())
    how = f"median of {ROUNDS}, with its own PostgreSQL"
    return [
        Figure("Start to ready, warm", median(stopped), "s", 3, how, 2),
        Figure("Start to ready after kill -9", median(killed), "s", 3, f"{how} still running", 2),
        Figure("Start to ready, the very first", cold, "s", None, "initdb and all migrations", 2),
    ]
