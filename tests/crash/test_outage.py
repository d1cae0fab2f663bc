"""kill -9 in the middle of a DNS failover and of a rebuild: nothing twice, and a true end."""

import asyncio
import json

from bot.run import Run, RunState, StepState
from bot.store.runs import Runs
from sandbox.estate.dns import DR
from sandbox.practice import Part
from tests.stories.scene import Scene, eventually, scene


async def _run(it: Scene, number: int) -> Run:
    async with it.store.tx() as tx:
        return await Runs(tx).run(number)


async def _asked(it: Scene, room: str, number: int, words: str) -> None:
    """Planned, and approved by two others."""
    await it.ana.types(f"/recover {words}", room)

    async def planned() -> bool:
        rows = await it.sql("select state from run where number = %s", number)
        return bool(rows) and rows[0]["state"] == "proposed"

    await eventually(planned)
    for who in (it.chloe, it.dev):
        await who.types(f"/recover approve RUN-{number}", room)


async def _dies(it: Scene, number: int, step: int, words: str = "") -> None:
    """The bot is killed while that step is under way and says `words`, and started again."""

    async def begun() -> bool:
        run = await _run(it, number)
        begun = len(run.steps) > step and run.steps[step].state is StepState.BEGUN
        return begun and words in run.steps[step].detail

    await eventually(begun)
    await it.practice.bot.kill()
    await it.practice.bot.start()
    await it.practice.bot.ready(60)


async def _succeeds(it: Scene, number: int) -> None:
    async def ended() -> bool:
        return (await _run(it, number)).state.ended

    await eventually(ended, 120)
    run = await _run(it, number)
    assert run.state is RunState.SUCCEEDED, run.outcome


async def test_a_bot_that_dies_in_an_outage_goes_on(database: str) -> None:
    """DNS: the change is sent once, and the resolvers are waited for. Rebuild: a Terraform that outlives the bot is waited
    for, and its plan is applied once."""
    parts: tuple[Part, ...] = ("s3", "dns", "cluster", "infrastructure")
    async with scene(database, parts=parts, seconds_per_minute=4, process=True) as it:
        practice = it.practice
        assert practice.dns is not None and practice.code is not None  # noqa: PT018
        room = await it.declares("P0 complete outage")
        await practice.dns.stick()
        await _asked(it, room, 1, "dns.failover")
        await _dies(it, 1, step=2)
        await practice.dns.unstick()
        await _succeeds(it, 1)
        assert await practice.dns.leads("api.valuecanvas.com.") == [DR]
        practice.code.cloud.ready.clear()
        await _asked(it, room, 2, "infrastructure.rebuild data=keep")
        await _dies(it, 2, step=1, words="terraform_data")
        practice.code.cloud.ready.set()
        await _succeeds(it, 2)
        state = json.loads(await asyncio.to_thread(practice.code.state.read_text))
        assert set(state["resources"]) == {f"terraform_data.{n}" for n in ("network", "cluster", "database")}
        assert state["serial"] == 4, "one write each for what was added, changed and destroyed"
