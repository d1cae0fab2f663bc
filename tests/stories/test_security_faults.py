"""A neighbour fails in the middle of each security action: it is asked whether the step has happened, and nothing is done twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from actions import CATALOGUE
from actions.security_network import POLICY
from bot.action import Action, Observation, OfIncident, Step, Tools
from bot.catalogue import Catalogue
from bot.clients.kubernetes import Kubernetes
from bot.clients.toolbox import toolbox
from bot.clock import wall_clock
from bot.errors import Unavailable
from bot.estate import load
from sandbox.estate.s3 import EVIDENCE
from sandbox.practice import Part, Practice
from tests.stories.steps import FAULTS, carried_out
from tests.stories.wire import How, Wire, wire_to

PARTS: tuple[Part, ...] = ("postgres", "redis", "app", "cluster", "s3")
CATALOG = Catalogue(CATALOGUE)
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Stage:
    practice: Practice
    tools: Tools
    wire: Wire

    async def steps(self, name: str, run: str, **words: str) -> tuple[list[Step], Callable[[], Awaitable[str]]]:
        """The steps of an action as its run has them, and its verification."""
        action: Any = CATALOG.make(name, words)
        assert isinstance(action, Action)
        facts, tools = (await action.plan(self.tools)).facts, replace(self.tools, run=run)
        return list(action.steps(facts, tools)), lambda: action.verify(facts, tools)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    """One estate for the file, with a wire to AWS that can be broken."""
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        practice = await stack.enter_async_context(Practice(parts=PARTS))
        wire = await stack.enter_async_context(wire_to(practice, patch))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        cluster = Kubernetes(practice.env)
        stack.push_async_callback(cluster.aclose)
        yield Stage(practice, toolbox(load(Path("estate.yml"), practice.env), cluster, session, wall_clock), wire)


@pytest.mark.parametrize("how", FAULTS)
async def test_a_block_is_made_once(stage: Stage, how: str) -> None:
    """The API server refuses, breaks, or does it and says nothing: the policy is there at the end, and undo takes it away."""
    assert stage.practice.cluster is not None
    steps, verify = await stage.steps("network.block", "RUN-1", addresses="203.0.113.9")
    stage.practice.cluster.faults.fail["patch networkpolicies"] = replace(FAULTS[how])
    assert await carried_out(steps) == 1
    assert "203.0.113.9/32" in await verify()
    stage.practice.cluster.faults.fail["delete networkpolicies"] = replace(FAULTS[how])
    undo = steps[0].undo
    assert undo is not None
    with suppress(Unavailable):  # a lost answer to a delete is asked for again by the library itself
        await undo(lambda _detail: None)
    await undo(lambda _detail: None)
    assert await stage.tools.network.policy("production", POLICY) is None


@pytest.mark.parametrize("how", ["500", "lost"])
async def test_the_audit_log_is_switched_on_by_one_rollout(stage: Stage, how: str) -> None:
    """However the patch fails, the deployment changes once; and the variable goes when it is undone."""
    assert stage.practice.cluster is not None
    before = (await stage.tools.cluster.workload("deployment", "production", "api-server")).generation
    steps, verify = await stage.steps("audit.enable", "RUN-2")
    stage.practice.cluster.faults.fail["patch deployments"] = replace(FAULTS[how])
    assert await carried_out(steps) == 1
    assert "AUDIT_LOG_LEVEL=debug" in await verify()
    seen = await stage.tools.cluster.workload("deployment", "production", "api-server")
    assert seen.generation == before + 1
    undo = steps[0].undo
    assert undo is not None
    await undo(lambda _detail: None)
    assert "AUDIT_LOG_LEVEL" not in (await stage.tools.cluster.workload("deployment", "production", "api-server")).env


@pytest.mark.parametrize(("how", "times"), [("429", 2), ("500", 2), ("lost", 2)])
async def test_a_secret_is_rotated_once(stage: Stage, how: How, times: int) -> None:
    """Two tries of the library fail: the run looks whether its version is there, and there is one new version at the end."""
    assert stage.practice.s3 is not None
    before = set(await stage.practice.s3.secret_versions())
    steps, verify = await stage.steps("secrets.rotate", f"RUN-{how}")
    stage.wire.how, stage.wire.of, stage.wire.times = how, "RotateSecret", times
    assert await carried_out(steps)
    assert "new version in use" in await verify()
    assert len(set(await stage.practice.s3.secret_versions()) - before) == 1


async def test_sessions_are_revoked_to_the_end(stage: Stage) -> None:
    """The database goes away between two batches: the step says that some are left, and goes on where it was."""
    postgres = stage.practice.postgres
    assert postgres is not None
    steps, verify = await stage.steps("sessions.revoke", "RUN-3")
    (step,), gone = steps, list[asyncio.Task[None]]()

    def after_a_batch(_detail: str) -> None:
        if not gone:
            gone.append(asyncio.create_task(postgres.stop()))

    with suppress(Unavailable):  # on a quick machine it may be over before the server is down
        await step.do(after_a_batch)
    await gone[0]
    await postgres.start()
    assert step.done is not None
    if not await step.done():
        await carried_out(steps)
    assert await step.done()
    assert "0 newer ones" in await verify()


async def test_evidence_says_what_it_lacks_and_leaves_nothing_half(stage: Stage) -> None:
    """The bucket breaks: nothing is stored, and it is said. The cluster is away: the rest is stored, and the lack is named."""
    assert stage.practice.s3 is not None
    assert stage.practice.cluster is not None

    async def timeline() -> str:
        return "{}"

    tools = replace(stage.tools, incident=OfIncident("INC-1", wall_clock(), timeline))
    collect: Any = CATALOG.make("evidence.collect", {})
    assert isinstance(collect, Observation)
    stage.wire.how, stage.wire.of, stage.wire.times = "500", f"PUT  /{EVIDENCE}", 2
    with pytest.raises(Unavailable):
        await collect.look(tools)
    assert not await stage.practice.s3.listed(EVIDENCE, "evidence/")
    stage.practice.cluster.faults.down = True
    try:
        seen = await collect.look(tools)
    finally:
        stage.practice.cluster.faults.down = False
    said = "\n".join(line.text for line in seen.lines)
    assert "NOT COLLECTED logs" in said
    assert "NOT COLLECTED events/production.jsonl" in said
    assert "pg_stat_activity/valuecanvas-primary.jsonl" in said
    assert len(await stage.practice.s3.listed(EVIDENCE, "evidence/")) == 2
    again = await collect.look(tools)
    assert again.headline.startswith("stored before")


async def test_looks_say_unknown_where_nobody_answers(stage: Stage) -> None:
    """The database or the logs are away: the review says so, and never that nobody was there."""
    assert stage.practice.postgres is not None
    stage.wire.how, stage.wire.of, stage.wire.times = "500", "logging", 2
    seen = await CATALOG.observation("exfiltration.review", {}).look(stage.tools)
    assert any("unknown who read it" in line.text for line in seen.lines)
    await stage.practice.postgres.stop()
    try:
        seen = await CATALOG.observation("access.review", {}).look(stage.tools)
    finally:
        with suppress(Exception):  # the next test finds it as it is
            await stage.practice.postgres.start()
    assert seen.headline.startswith("unknown")
