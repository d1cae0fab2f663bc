"""How late rungs fire when a thousand fall due in the same minute."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from benchmarks.crowd import crowd, soon
from benchmarks.figure import Figure, percentile
from benchmarks.stage import LATENCY, Stage, stage, until
from sandbox.practice import ALL

RUNGS = 1000
HEAD_START = 20.0


async def figures() -> list[Figure]:
    """1,000 open incidents, each with a room and a page, whose rung 2 falls due within one minute."""
    async with stage(parts=ALL) as it:
        due = soon(HEAD_START)
        await crowd(it, RUNGS, due, timedelta(seconds=60 / RUNGS), places=True)
        await it.start()
        it.latency(LATENCY)
        assert soon(0) < due, "seeding took longer than the head start"
        await asyncio.sleep((due - soon(0)).total_seconds() + 60)

        async def fired() -> bool:
            rows = await it.sql("select count(*) as n from rung where level = 2 and state = 'waiting' and incident > 1")
            return rows[0]["n"] == 0 and len(_paged(it)) >= RUNGS

        await until(fired, 120, every=0.5)
        rows = await it.sql(
            "select due_at, fired_at, pages from rung join incident on number = incident where level = 2 and incident > 1"
        )
        late = [(row["fired_at"] - row["due_at"]).total_seconds() for row in rows]
        paged = _paged(it)
        calls = [(paged[row["pages"]["1"]["id"]] - row["due_at"].timestamp()) for row in rows]
    how = "1,000 rungs due within 60 s, each with its page, room and board; 100 ms added to each call"
    return [
        Figure("Rung fired after its instant, p50", percentile(late, 0.5), "s", None, how, 3),
        Figure("Rung fired after its instant, p99", percentile(late, 0.99), "s", 1, how, 3),
        Figure("Rungs fired early", sum(one < 0 for one in late), "", 1, "none is the goal"),
        Figure(
            "Rung's page request at PagerDuty, p99",
            percentile(calls, 0.99),
            "s",
            None,
            f"{how}; one read comes before it",
            3,
        ),
    ]


def _paged(it: Stage) -> dict[str, float]:
    """PagerDuty's incident → when the request for responders arrived there."""
    return {c.path.split("/")[2]: c.at for c in it.practice.pagerduty.calls if c.path.endswith("/responder_requests")}
