"""Stop: after the step that is under way; and at once while the run waits for people, who may never come."""

from bot.action import WaitsForPerson
from bot.run import RunState, StepState
from tests.store.given import sql
from tests.store.levers import ANA, CHLOE, DEV, World, stage

VENDOR = WaitsForPerson("the vendor has to pull it")


async def test_stop_ends_it_after_the_step(database: str) -> None:
    """The step under way ends, no other begins, and what was begun can be undone."""
    async with stage(database, World(stop_at="before b")) as it:
        number = await it.asks()
        await it.approves(number, CHLOE)
        await it.world.reached.wait()
        await it.says("stop", number, ANA)
        it.world.go_on.set()
        run = await it.becomes(number, RunState.STOPPED)
        assert it.world.did == {"a": 1, "b": 1}
        assert run.undoable


async def test_stop_ends_a_run_that_waits_for_people(database: str) -> None:
    """Nobody is left to end it later: the click ends it, says what is open, and frees the target for the next run."""
    async with stage(database, World(trouble={"b": [("before", VENDOR)]})) as it:
        number = await it.asks()
        await it.approves(number, CHLOE)
        await it.becomes(number, RunState.WAITING)
        await it.says("stop", number, ANA)
        run = await it.run(number)
        assert run.state is RunState.STOPPED
        assert run.outcome == (
            "stopped by Ana. Nobody said whether “Pull b” happened, and who was asked may still do it."
            " Done: Pull a. Not done: Pull c."
        )
        assert [step.state for step in run.steps] == [StepState.DONE, StepState.UNKNOWN, StepState.WAITING]
        assert run.undoable
        assert sql(database, "select * from run_lock") == []
        assert (await it.kinds())[-2:] == ["run_stop", "run_ended"]
        again = await it.asks(by=DEV)
        await it.approves(again, CHLOE)
        await it.becomes(again, RunState.SUCCEEDED)


async def test_who_stops_a_step_before_it_waits_need_not_stop_it_again(database: str) -> None:
    """The step under way turns out to be for people outside: the run ends there, and does not wait for them."""
    async with stage(database, World(stop_at="before b", trouble={"b": [("after", VENDOR)]})) as it:
        number = await it.asks()
        await it.approves(number, CHLOE)
        await it.world.reached.wait()
        await it.says("stop", number, ANA)
        it.world.go_on.set()
        run = await it.becomes(number, RunState.STOPPED)
        assert "who was asked may still do it" in run.outcome
        assert sql(database, "select * from run_lock") == []
