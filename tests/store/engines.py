"""Engines for tests: a replica with its store, running, whose performers are a function."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from bot.clock import wall_clock
from bot.engine import Engine, Outcome, Performer
from bot.owed import Effect, Owed
from bot.rules import Case
from bot.store import Store, Tx
from tests.store.given import opened, sql

Act = Callable[[Effect], Awaitable[Outcome | None]]


async def eventually(holds: Callable[[], bool], within: float = 40.0) -> None:
    """Until it holds; the most that a test waits for the engine: a busy machine is no failure."""
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end, "it did not come to pass"
        await asyncio.sleep(0.02)


def performing(act: Act) -> Mapping[str, Performer]:
    """Every kind is done by `act`."""

    async def perform(effect: Effect, _case: Case | None) -> Outcome:
        return await act(effect) or Outcome()

    return defaultdict(lambda: perform)


@asynccontextmanager
async def engine(
    conninfo: str, performers: Mapping[str, Performer], name: str = "one"
) -> AsyncIterator[tuple[Store, Engine]]:
    """One replica: its store and its engine, running."""
    async with opened(conninfo, wall_clock) as store:
        replica = Engine(store, performers, wall_clock, name)
        await replica.start()
        try:
            yield store, replica
        finally:
            await replica.stop()


def states(conninfo: str) -> Counter[str]:
    return Counter(r[0] for r in sql(conninfo, "select state from effect"))


async def say(tx: Tx, lane: str, key: str) -> None:
    await tx.owe(Owed("say", lane, key))
