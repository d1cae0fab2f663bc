"""How soon a click is acknowledged while many declare at once."""

from __future__ import annotations

import asyncio

from benchmarks.figure import Figure, percentile
from benchmarks.stage import LATENCY, Stage, stage, until

ROUNDS, DECLARATIONS, SECONDS = 3, 50, 10.0


async def figures() -> list[Figure]:
    """50 declarations in 10 s, several times; of these the one whose p99 is the median."""
    rounds = sorted([await _round() for _ in range(ROUNDS)], key=lambda waits: percentile(waits, 0.99))
    waits = rounds[ROUNDS // 2]
    how = f"50 declarations in 10 s, rate limits on, 100 ms added to each call; median of {ROUNDS} rounds"
    return [
        Figure("Acknowledgement, p50", percentile(waits, 0.5), "ms", None, how),
        Figure("Acknowledgement, p99", percentile(waits, 0.99), "ms", 200, how),
        Figure("Acknowledgement, slowest of all rounds", max(map(max, rounds)), "ms", 3000, how),
    ]


async def _round() -> list[float]:
    """Milliseconds that each click waited."""
    async with stage() as it:
        await it.quiet()
        it.latency(LATENCY)
        it.practice.slack.set_rate_limits(True)
        async with asyncio.TaskGroup() as group:
            clicks = [group.create_task(_click(it, number)) for number in range(DECLARATIONS)]

        async def declared() -> bool:
            return bool((await it.sql("select count(*) = %(n)s as enough from incident", n=DECLARATIONS))[0]["enough"])

        await until(declared, every=0.1)
        return [click.result() for click in clicks]


async def _click(it: Stage, number: int) -> float:
    await asyncio.sleep(number * SECONDS / DECLARATIONS)
    answer = await it.types(f"/incident declare P1 station{number}")
    assert answer["ok"], answer
    return float(answer["acked_ms"])
