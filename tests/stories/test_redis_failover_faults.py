"""Redis or the cluster fails while the primary is changed: one promotion, writes that were held go on, and what nobody knows is said
to be unknown."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from bot.action import NotVerified
from bot.errors import Refused
from tests.stories.broken_caches import OF_BOTH, Stage, broken_caches, doing, plain, silently
from tests.stories.redis_wire import HOWS

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


@pytest.mark.parametrize(("of_cluster", "of_redis"), OF_BOTH)
async def test_a_failover_happens_once(stage: Stage, of_cluster: str, of_redis: str) -> None:
    """Every command of it fails once, at either server and at the cluster: one promotion, one rollout, no write is left waiting at the
    old primary, which follows, and is asked again when it is silent once."""
    primary, replica = await stage.linked()
    old, new = stage.wires[primary], stage.wires[replica]
    facts, steps, verify = await stage.steps("redis.failover", f"RUN-{of_redis}")
    assert (facts.away_from, facts.promoted, facts.paused) == (primary, replica, True)
    hold, promote, fence, send, roll = steps
    before = (await stage.seen()).generation
    old.breaks("CLIENT PAUSE", of_redis)
    new.breaks("INFO", of_redis)
    errors, said = await stage.through(hold)
    assert len(errors) >= 2
    assert "has everything" in said
    new.breaks("REPLICAOF", of_redis)
    assert (await stage.through(promote))[0]
    assert new.count("REPLICAOF NO ONE") == 1
    old.breaks("REPLICAOF", of_redis)
    errors, said = await stage.through(fence)
    if of_redis.startswith("-"):  # it is not done and says so, and the application has to go on first
        assert said.endswith("Should it take writes, stop it")
        assert await stage.takes_writes(primary) is None
        said = str(await fence.do(silently))
    assert (errors, said) == ([], f"it follows {replica}, and takes no writes")
    assert await stage.takes_writes(primary) is False
    for step, calls in ((send, ("get deployments", "patch deployments")), (roll, ("get deployments", "list pods"))):
        await stage.not_in_time(step)
        seen = stage.fail_at(of_cluster, *calls)
        assert len((await stage.through(step))[0]) == seen
    assert (await stage.seen()).generation == before + 1
    new.breaks("SET", of_redis)
    assert f"nobody can tell whether {replica} takes writes: Redis at" in await stage.fails(verify, NotVerified)
    # As it is when it becomes a replica: whoever is connected is cut off.
    old.breaks("INFO", of_redis)
    with stage.impatient():
        assert f"{replica} took a write that was read back; {primary} is a replica now" in plain(await verify())


@pytest.mark.parametrize("how", HOWS)
async def test_writes_that_were_held_are_let_go(stage: Stage, how: str) -> None:
    """By undo, after any part of the hold; by what follows a failure for good; by the last step when its first answer was lost. Not while
    the replica is, or may be, promoted."""
    primary, replica = await stage.linked()
    old, new = stage.wires[primary], stage.wires[replica]
    _, (hold, promote, fence, *_), _ = await stage.steps("redis.failover", "RUN-1")
    old.breaks("CLIENT PAUSE", how)
    await stage.fails(doing(hold))
    old.breaks("CLIENT UNPAUSE", how)
    await stage.undone(hold)
    assert await stage.takes_writes(primary)
    assert hold.tidy is not None
    assert promote.tidy is not None
    new.breaks("REPLICAOF", "-NOPERM this user has no permissions to run the 'replicaof' command")
    assert "does not let our user do that" in await stage.fails(doing(promote), Refused)
    old.breaks("CLIENT UNPAUSE", how)
    with stage.impatient():
        assert plain(await promote.tidy()).startswith(f"Writes on {primary} may still be held: Redis at")
    new.breaks("INFO", how)
    with stage.impatient():
        assert f"stay held, for {replica} may be promoted (Redis at" in plain(await hold.tidy())
    assert await hold.tidy() == f"Writes on {primary} go on."
    assert await stage.takes_writes(primary)
    await hold.do(silently)
    new.breaks("REPLICAOF", how)
    assert (await stage.through(promote))[0]
    assert new.count("REPLICAOF NO ONE") == 1
    assert await promote.tidy() == f"Writes on {primary} stay held, for {replica} was promoted."
    assert await stage.takes_writes(primary) is None
    old.breaks("CLIENT UNPAUSE", how)
    if how.startswith("-"):
        assert str(await fence.do(silently)).endswith("Should it take writes, stop it")
    _, said = await stage.through(fence)
    assert said == f"it follows {replica}, and takes no writes"
    assert await stage.takes_writes(primary) is False
    await stage.tools.caches.promote(old.url)
    await stage.tools.caches.follow(new.url, old.url)


async def test_a_hold_that_ran_out_is_renewed(stage: Stage) -> None:
    """The server let writes go before the promotion, as after a crash: they are held again, and the replica gets what came meanwhile. A
    primary that is away by then stops nothing, and what it took is unknown; when it comes back it is an alarm."""
    primary, replica = await stage.linked()
    old, new = stage.wires[primary], stage.wires[replica]
    _, (hold, promote, fence, *_), verify = await stage.steps("redis.failover", "RUN-1")
    await hold.do(silently)
    await stage.tools.caches.resume_writes(old.url)
    new.breaks("REPLICAOF", "reset")
    await stage.through(promote)
    assert await stage.takes_writes(primary) is None
    await stage.tools.caches.resume_writes(old.url)
    await stage.tools.caches.follow(new.url, old.url)
    await stage.linked()
    await new.refuse()
    for ask in (doing(hold), doing(promote), promote.done):
        assert ask is not None
        assert "the connection is refused" in await stage.fails(ask)
    await new.listen()
    await old.refuse()
    _, said = await stage.through(promote)
    assert f"{replica} takes writes; what {primary} took since it was held is unknown: Redis at" in said
    assert (await stage.through(fence))[1].endswith("(the connection is refused). Should it take writes, stop it")
    assert f"{primary} cannot be asked (Redis at" in plain(await verify())
    await old.listen()
    await stage.tools.caches.resume_writes(old.url)
    assert f"TWO PRIMARIES: {primary} takes writes too" in await stage.fails(verify, NotVerified)
    await stage.tools.caches.follow(new.url, old.url)
