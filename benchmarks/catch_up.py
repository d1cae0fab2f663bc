"""How soon everything overdue is done after kill -9 in the middle of the work."""

from __future__ import annotations

import asyncio
import time

from benchmarks.figure import Figure, median
from benchmarks.stage import LATENCY, stage

ROUNDS, DECLARATIONS = 3, 10


async def figures() -> list[Figure]:
    """Ten declarations, killed in their midst; the bot is started again at once."""
    waits, left = [], 0
    for _ in range(ROUNDS):
        async with stage() as it:
            await it.quiet()
            it.latency(LATENCY)
            await asyncio.gather(*(it.types(f"/incident declare P1 station{n}") for n in range(DECLARATIONS)))
            await asyncio.sleep(0.3)
            await it.kill()
            left = await it.undone()
            await it.start()
            began = time.monotonic()
            await it.quiet()
            waits.append(time.monotonic() - began)
    how = f"median of {ROUNDS}; {DECLARATIONS} declarations killed 0.3 s after the last click, {left} calls were due or under way"
    return [Figure("Catch-up after kill -9, from ready", median(waits), "s", 5, how, 1)]
