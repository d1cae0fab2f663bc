"""`python -m tests.store.replica CONNINFO`: a replica in a process of its own, whose one performer never ends."""

import asyncio
import sys

from bot.clock import wall_clock
from bot.engine import Engine, Outcome
from bot.owed import Effect
from bot.rules import Case
from tests.store.given import opened


async def hang(effect: Effect, _case: Case | None) -> Outcome:
    """Say what was begun, and never finish it."""
    sys.stdout.write(f"{effect.key} {effect.attempts}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().create_future()
    return Outcome()


async def main(conninfo: str) -> None:
    """Until somebody kills it."""
    async with opened(conninfo, wall_clock) as store:
        await Engine(store, {"hang": hang}, wall_clock, "doomed").start()
        sys.stdout.write("started\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
