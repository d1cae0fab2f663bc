"""Replicas and servers that are killed: nothing is lost, and nothing is done twice."""

import asyncio
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.clock import wall_clock
from bot.engine import STALE, SWEEP_EVERY
from bot.errors import StoreUnavailable, Unavailable
from bot.owed import Effect
from bot.store import Store
from bot.store.embedded import EmbeddedPostgres
from tests.postgres import reachable_folder
from tests.store.engines import engine, eventually, performing, states
from tests.store.given import opened, owe

ROOT = Path(__file__).parents[2]


async def test_what_a_killed_replica_did_is_taken_over_within_ten_seconds(database: str) -> None:
    """SIGKILL between claim and finish: the other replica does it, knowing that it may have been done already."""
    seen: list[tuple[str, int, bool]] = []

    async def act(effect: Effect) -> None:
        seen.append((effect.key, effect.attempts, effect.repeated))

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.replica", database, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(40):
            assert await process.stdout.readline() == b"started\n"
        async with opened(database, wall_clock) as store:
            await owe(store, "hang", "lane", "a")
            await owe(store, "hang", "lane", "b")
        async with asyncio.timeout(40):
            assert await process.stdout.readline() == b"a 1\n"
        async with engine(database, performing(act)):
            process.kill()
            await eventually(lambda: states(database) == {"done": 2})
        # Its last beat, and the two looks between which it becomes stale; how long they take is the machine's.
        assert STALE.total_seconds() + 2 * SWEEP_EVERY < 10
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()  # to the end of its output, so that the pipe is closed
    assert seen == [("a", 2, True), ("b", 1, False)]


@asynccontextmanager
async def server_of_its_own() -> AsyncIterator[tuple[EmbeddedPostgres, str]]:
    """A PostgreSQL that a test may kill; it is started again whenever it dies."""
    folder = reachable_folder()
    server = EmbeddedPostgres(folder, options={"fsync": "off"})
    conninfo = await server.start()
    watching = asyncio.create_task(server.supervise())
    try:
        yield server, conninfo
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await server.stop()
        shutil.rmtree(folder)


@pytest.mark.parametrize("answer", ["done", "unavailable"])
async def test_nothing_is_lost_when_the_store_dies_under_load(answer: str) -> None:
    """The server is killed twice under work: every effect ends, nothing is done twice that can be read back.

    Also when its neighbour does not answer just while the store is away, so that not even "later" can be written.
    """
    outside: Counter[str] = Counter()
    down = asyncio.Event()

    async with server_of_its_own() as (server, conninfo):

        async def act(effect: Effect) -> None:
            if down.is_set() and answer == "unavailable":
                raise Unavailable("no answer either")
            if effect.repeated and outside[effect.key]:
                return
            outside[effect.key] += 1
            await asyncio.sleep(0.005)

        async with engine(conninfo, performing(act)) as (store, _):
            for n in range(120):
                await owe(store, "say", f"lane {n % 30}", f"key {n}")
                if n in (40, 80):
                    down.set()
                    assert server.pid is not None
                    before = server.pid
                    os.kill(before, signal.SIGKILL)
                    await eventually(lambda before=before: server.pid not in (None, before))  # type: ignore[misc]
                    async with asyncio.timeout(40):
                        await answering(store)
                    down.clear()
            await eventually(lambda: states(conninfo) == {"done": 120}, 40)
    assert outside == Counter(f"key {n}" for n in range(120))


async def answering(store: Store) -> None:
    """Until the store answers again."""
    while True:
        try:
            async with store.tx() as tx:
                await tx.count_open()
        except StoreUnavailable:
            await asyncio.sleep(0.05)
        else:
            return
