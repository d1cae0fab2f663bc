"""Redis or the cluster fails while Redis is restarted or gets more memory: nothing is done twice, and what nobody knows is said to be
unknown."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from actions.cache_raise import Raise
from actions.redis_restart import Restart
from bot.action import NotVerified
from bot.clock import wall_clock
from bot.errors import Refused, Unavailable
from tests.stories.broken_caches import HERE, OF_BOTH, Stage, broken_caches, doing, plain, silently
from tests.stories.redis_wire import HOWS
from tests.stories.scene import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    """One for the file."""
    async with broken_caches() as made:
        yield made


@pytest.fixture(autouse=True)
def everything_went_wrong(stage: Stage) -> Iterator[None]:
    """No test ends with something that was to go wrong and did not."""
    yield
    stage.went_wrong()


class Impatient(Restart):
    """Restart Redis, and see that the application has it again, at once."""

    answers_within = 0.1


@pytest.mark.parametrize("how", HOWS)
async def test_a_raise_happens_once_and_is_taken_back(stage: Stage, how: str) -> None:
    """Each setting is set once, however it fails; undo after any of them, begun or done, brings back what was there."""
    primary, _ = await stage.linked()
    wire, before = stage.wires[primary], await stage.settings(primary)
    _, steps, verify = await stage.steps("cache.raise", "RUN-1", maxmemory="128mb", watch="0s")
    settings = ("maxmemory-policy", "maxmemory")
    for begun in (1, 2):
        for step in steps[: begun - 1]:
            await step.do(silently)
        wire.breaks(f"CONFIG SET {settings[begun - 1]}", how)
        await stage.fails(doing(steps[begun - 1]))
        for step in reversed(steps[:begun]):
            wire.breaks("CONFIG SET", how)
            await stage.undone(step)
        assert await stage.settings(primary) == before
    for step, setting in zip(steps, settings, strict=False):
        wire.breaks(f"CONFIG SET {setting}", how)
        errors, _ = await stage.through(step)
        assert errors
        assert wire.count(f"CONFIG SET {setting}") == 1
    wire.breaks("INFO", how)
    errors, said = await stage.through(steps[2])
    assert errors
    assert said.endswith("in the last 0 s: not watched")
    wire.breaks("INFO", how)
    await stage.fails(verify)
    assert "has 128 MiB and allkeys-lru" in await verify()
    for step in reversed(steps):
        await stage.undone(step)
    assert await stage.settings(primary) == before


async def test_a_watch_says_what_it_cannot_see(stage: Stage) -> None:
    """Redis goes away while its hit rate is watched: the rate is unknown, and no figure; it comes back, and there is one again."""
    primary, _ = await stage.linked()
    wire, now, told = stage.wires[primary], [wall_clock()], list[str]()
    action = Raise(maxmemory="128mb", watch=timedelta(seconds=10))
    tools = replace(stage.tools, clock=lambda: now[0])
    facts = (await action.plan(tools)).facts

    def over(detail: str) -> None:
        told.append(detail)
        now[0] += timedelta(seconds=11)

    await wire.refuse()
    with pytest.raises(Unavailable, match="the connection is refused"):
        await action.steps(facts, tools)[2].do(over)
    await wire.listen()
    wire.breaks("INFO")
    wire.faults["PING"] = ["", "lost"]
    said = await action.steps(facts, tools)[2].do(over) or ""
    assert re.search(r"in the last 10 s: unknown, Redis at \S+ broke off the connection$", plain(said))
    assert "hit rate now: unknown" in plain(told[-1])
    with pytest.raises(NotVerified, match="has 64 MiB and noeviction: was it restarted"):
        await action.verify(facts, tools)


@pytest.mark.parametrize(("of_cluster", "of_redis"), OF_BOTH)
async def test_redis_is_restarted_once(stage: Stage, of_cluster: str, of_redis: str) -> None:
    """The stateful set changes once, its stuck pod is deleted once, and an answer that does not come is waited for."""
    wire, redis = stage.wires["redis"], stage.practice.redis
    assert redis is not None
    await stage.cluster.settled()
    await redis.freeze()

    async def not_ready() -> bool:
        return not (await stage.tools.cluster.pod(HERE, "redis-0")).ready

    await eventually(not_ready)
    old = (await stage.tools.cluster.pod(HERE, "redis-0")).uid
    before = (await stage.tools.cluster.workload("statefulset", HERE, "redis")).generation
    stage.caches.deadline = 0.15
    _, steps, verify = await stage.steps("redis.restart", f"RUN-{of_cluster}{of_redis}")
    stage.patient()
    restart, replace_, wait, answers = steps
    for step in (restart, replace_, wait):
        await stage.not_in_time(step)
    seen = stage.fail_at(of_cluster, "get statefulsets", "patch statefulsets")
    assert len((await stage.through(restart))[0]) == seen
    seen = stage.fail_at(of_cluster, "list pods", "delete pods")
    errors, said = await stage.through(replace_)
    assert (len(errors), said) == (seen, "redis-0 was Running")
    seen = stage.fail_at(of_cluster, "get statefulsets", "list pods")
    errors, said = await stage.through(wait)
    assert (len(errors), said) == (seen, "1 of 1 new pods ready")
    new = (await stage.tools.cluster.pod(HERE, "redis-0")).uid
    assert new != old
    assert (await replace_.do(silently), await restart.do(silently)) == ("none is stuck", "new pods are being made")
    wire.breaks("PING", of_redis)
    errors, said = await stage.through(answers)
    assert not errors
    assert said.startswith("PONG after")
    wire.breaks("PING", of_redis)
    await stage.fails(verify)
    assert "1 of 1 pods are new and ready; PONG after" in await verify()
    assert (await stage.tools.cluster.pod(HERE, "redis-0")).uid == new
    assert (await stage.tools.cluster.workload("statefulset", HERE, "redis")).generation == before + 1


async def test_a_redis_that_stays_away_is_named(stage: Stage) -> None:
    """While it does not come back the step says why, and fails in time with a sentence."""
    wire, told = stage.wires["redis"], list[str]()
    action = Impatient()
    facts = (await action.plan(stage.tools)).facts
    await wire.refuse()
    said = await stage.fails(lambda: action.steps(facts, stage.tools)[3].do(told.append), Refused)
    assert re.match(
        r"redis did not answer within 0\.1 s: (not asked yet|Redis at \S+ does not answer \(the connection)", said
    )
    assert not [line for line in told if plain(line) != line]
    await wire.listen()


NOS = (
    ("OOM command not allowed when used memory > 'maxmemory'.", "says: command not allowed when used memory"),
    ("READONLY You can't write against a read only replica.", "says: You can't write against a read only replica"),
    ("NOPERM this user has no permissions", "does not let our user do that: this user has no permissions"),
    ("WRONGPASS invalid username-password pair", "refuses our password"),
    ("ERR unknown command", "says: unknown command"),
)


@pytest.mark.parametrize(("no", "says"), NOS)
async def test_a_no_is_said_and_not_asked_again(stage: Stage, no: str, says: str) -> None:
    """Each command that changes something: a sentence, and everything is as it was."""
    primary, replica = await stage.linked()
    old, new, before = stage.wires[primary], stage.wires[replica], await stage.settings(primary)
    _, (policy, memory, _), _ = await stage.steps("cache.raise", "RUN-1", maxmemory="128mb", watch="0s")
    _, (hold, promote, fence, *_), _ = await stage.steps("redis.failover", "RUN-1")
    commands = (
        (policy, old, "CONFIG SET maxmemory-policy"), (memory, old, "CONFIG SET maxmemory"), (hold, old, "CLIENT PAUSE"),
        (promote, new, "REPLICAOF"),
    )  # fmt: skip
    for step, wire, command in commands:
        wire.breaks(command, f"-{no}")
        assert says in await stage.fails(doing(step), Refused)
        assert not wire.count(command)
    assert hold.tidy is not None
    assert await hold.tidy() == f"Writes on {primary} go on."
    old.breaks("REPLICAOF", f"-{no}")
    _, said = await stage.through(fence)
    assert says in said
    assert said.endswith(". Should it take writes, stop it")
    assert await stage.settings(primary) == before
    await stage.linked()
