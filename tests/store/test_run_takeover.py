"""Runs whose replica dies or freezes: another one takes them up where they were, or says that nobody can tell."""

import asyncio

import pytest

from bot.effects.running import GIVE_UP_AFTER
from bot.run import RunState
from tests.store.given import sql
from tests.store.levers import CHLOE, PEOPLE, World, replica, stage, until


@pytest.mark.parametrize("lever", ["a", "b", "c"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_another_replica_takes_it_up_where_it_was(database: str, lever: str, moment: str) -> None:
    """The process ends in the middle of a step: the next one asks whether it happened, and no lever is pulled twice."""
    async with stage(database, World(stop_at=f"{moment} {lever}"), engines=0) as it:
        async with replica(database, it, "one"):
            number = await it.asks()
            await it.approves(number, CHLOE)
            await it.world.reached.wait()
        it.world.stop_at = ""
        async with replica(database, it, "two"):
            await it.becomes(number, RunState.SUCCEEDED)
        assert it.world.did == {"a": 1, "b": 1, "c": 1}
        assert (await it.run(number)).epoch == 2


async def test_a_step_that_cannot_be_probed_ends_as_unknown(database: str) -> None:
    """The process ends in the middle of a step that nobody can ask about: it is not repeated."""
    async with stage(database, World(stop_at="before b", blind=True), engines=0) as it:
        async with replica(database, it, "one"):
            number = await it.asks()
            await it.approves(number, CHLOE)
            await it.world.reached.wait()
        it.world.stop_at = ""
        async with replica(database, it, "two"):
            run = await it.becomes(number, RunState.UNKNOWN)
        assert "nobody can tell whether “Pull b” happened" in run.outcome
        assert it.world.did == {"a": 1}


async def test_an_undo_is_taken_up_too(database: str) -> None:
    """A process that ends while it undoes is followed by one that goes on."""
    async with stage(database, engines=0) as it:
        async with replica(database, it, "one"):
            number = await it.asks()
            await it.approves(number, CHLOE)
            await it.becomes(number, RunState.SUCCEEDED)
        await it.says("undo", number, CHLOE)
        async with replica(database, it, "two"):
            await it.becomes(number, RunState.UNDONE)
        assert it.world.on == set()


async def test_a_frozen_process_is_overtaken_and_stops(database: str) -> None:
    """Its lease is ended by the one that takes over: waking, it does nothing more, and writes nothing."""
    async with stage(database, World(stop_at="before b"), engines=0) as it, replica(database, it, "one"):
        number = await it.asks()
        await it.approves(number, CHLOE)
        await it.world.reached.wait()
        it.world.stop_at = ""
        # As if its beat had stopped: everything that it holds is free.
        await asyncio.to_thread(
            sql, database, "update replica set beat_at = now() - interval '1 minute' where id <> %s", PEOPLE
        )
        await asyncio.to_thread(sql, database, "update effect set state = 'waiting', holder = null where kind = 'run'")
        async with replica(database, it, "two"):
            run = await it.becomes(number, RunState.SUCCEEDED)
        await until(_nobody_works)  # it wakes, and finds its lease gone
        it.world.go_on.set()
        await asyncio.sleep(0)
        assert run.epoch == 2
        assert it.world.did == {"a": 1, "b": 1, "c": 1}


async def test_a_lease_that_broke_is_taken_again(database: str) -> None:
    """Its connection ends while the store is well and nobody else has the run: it is taken up as after a crash."""
    async with stage(database, World(stop_at="before b")) as it:
        number = await it.asks()
        await it.approves(number, CHLOE)
        await it.world.reached.wait()
        it.world.stop_at = ""
        ended = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s"
        assert await asyncio.to_thread(sql, database, ended, f"recovery-bot RUN-{number}") == [(True,)]
        run = await it.becomes(number, RunState.SUCCEEDED)
        assert run.epoch == 2
        assert it.world.did == {"a": 1, "b": 1, "c": 1}
        assert sql(database, "select * from run_lock") == []


async def test_who_was_overtaken_writes_nothing(database: str, caplog: pytest.LogCaptureFixture) -> None:
    """Another process took the run up in the middle of a step: who was overtaken leaves it, also at the last try of its own."""
    async with stage(database, World(stop_at="before b"), engines=0) as it:
        async with replica(database, it, "none"):
            number = await it.asks()
        await it.approves(number, CHLOE)
        await asyncio.to_thread(sql, database, "update effect set attempts = %s where kind = 'run'", GIVE_UP_AFTER)
        async with replica(database, it, "one"):
            await it.world.reached.wait()
            await asyncio.to_thread(sql, database, "update effect set holder = %s where kind = 'run'", PEOPLE)
            await asyncio.to_thread(sql, database, "update run set epoch = epoch + 1")
            it.world.go_on.set()
            await until(_nobody_looks)
        run = await it.run(number)
        assert (run.state, run.outcome) == (RunState.RUNNING, "")
        assert "cannot go on" not in caplog.text


async def _nobody_looks() -> bool:
    return not any(task.get_name() == "look RUN-1/run" for task in asyncio.all_tasks())


async def _nobody_works() -> bool:
    return not any(task.get_name() == "run" for task in asyncio.all_tasks())
