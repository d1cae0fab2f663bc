"""The bot's Redis client and what stands on it, against real servers: state, settings, promotion, Sentinel, and each no."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis.asyncio

from actions.redis_failover import Failover, FailoverFacts
from bot.action import NotVerified
from bot.clients.caches import RedisCaches
from bot.errors import NotFound, Refused, Unavailable
from sandbox.estate.cache import Redis
from tests.clients.cache_stage import pair, replica_known, sentinel_of, tools_on

CACHES = RedisCaches()
MIB = 1 << 20


@pytest.fixture
async def two() -> AsyncIterator[tuple[Path, Redis, Redis]]:
    """A folder, a Redis and its replica."""
    async with pair() as made:
        yield made


async def linked(primary: Redis, replica: Redis) -> None:
    """Wait until the replica has everything."""
    async with asyncio.timeout(40):
        while True:
            one, two = await CACHES.state(primary.url), await CACHES.state(replica.url)
            online = [follower.state for follower in one.followers] == ["online"]
            if two.linked and online and one.history == two.history and two.offset >= one.offset:
                return
            await asyncio.sleep(0.02)


def quiet(_detail: str) -> None:
    """Nobody listens."""


async def test_a_server_is_read_and_changed(two: tuple[Path, Redis, Redis]) -> None:
    """Role, memory, counters and followers as they are; settings, paused writes and a promotion take effect."""
    _, primary, replica = two
    await linked(primary, replica)
    async with redis.asyncio.Redis.from_url(primary.url) as client:
        await client.set("a", 1)
        await client.get("a")
        await client.get("b")
    one, two_ = await CACHES.state(primary.url), await CACHES.state(replica.url)
    assert (one.role, one.max_memory, one.policy, one.keys, one.hit_rate) == ("primary", 64 * MIB, "noeviction", 1, 0.5)
    assert (one.rejected, one.evicted, one.loading, one.appends, one.snapshots) == (0, 0, False, False, True)
    assert one.host_memory > one.used_memory > 0
    assert [f.state for f in one.followers] == ["online"]
    assert (two_.role, two_.leader, two_.hit_rate) == ("replica", f"127.0.0.1:{primary.port}", None)

    await CACHES.configure(primary.url, "maxmemory", str(128 * MIB))
    assert (await CACHES.state(primary.url)).max_memory == 128 * MIB
    with pytest.raises(Refused, match="says"):
        await CACHES.configure(primary.url, "maxmemory-policy", "nonsense")
    await CACHES.pause_writes(primary.url, timedelta(seconds=60))
    with pytest.raises(Unavailable):
        await CACHES.write_and_read(primary.url, "RUN-1")
    assert await CACHES.ping(primary.url) < timedelta(seconds=30)
    await CACHES.resume_writes(primary.url)
    await CACHES.write_and_read(primary.url, "RUN-1")
    with pytest.raises(Refused, match="replica"):
        await CACHES.write_and_read(replica.url, "RUN-1")
    await CACHES.promote(replica.url)
    await CACHES.follow(primary.url, replica.url)
    await linked(replica, primary)
    await CACHES.write_and_read(replica.url, "RUN-1")


async def test_each_no_is_a_sentence_without_the_password(two: tuple[Path, Redis, Redis]) -> None:
    """A wrong password, an address that is none, nobody there, no connection left, a server that hangs."""
    _, primary, _ = two
    wrong = f"redis://:s3cret@127.0.0.1:{primary.port}/0"
    with pytest.raises(Refused, match="refuses our password") as refusal:
        await CACHES.state(wrong)
    assert "s3cret" not in str(refusal.value)
    with pytest.raises(Refused, match="not a Redis URL"):
        await CACHES.state("http://127.0.0.1")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9 does not answer \(the connection is refused\)"):
        await CACHES.state("redis://127.0.0.1:9/0")
    async with redis.asyncio.Redis.from_url(primary.url, single_connection_client=True) as last:
        await last.config_set("maxclients", 1)
        with pytest.raises(Unavailable, match="takes no more connections: it has as many as it may have"):
            await CACHES.ping(primary.url)
        await last.config_set("maxclients", 100)
    await primary.freeze()
    with pytest.raises(Unavailable, match="does not answer within 2 s"):
        await CACHES.ping(primary.url)


def test_places_and_other_addresses() -> None:
    """The same server is the same place, whatever the password; another address keeps the credentials."""
    assert CACHES.place("redis://:a%40b@Cache.internal") == CACHES.place("redis://u:x@cache.internal:6379/0")
    assert CACHES.place("redis://h/1") != CACHES.place("redis://h/0")
    assert CACHES.at("redis://:a%40b@one:1/2", "two:3") == "redis://:a%40b@two:3/2"
    assert CACHES.at("redis://one:1", "[::1]:3") == "redis://[::1]:3"


async def test_an_old_primary_that_comes_back_is_an_alarm(two: tuple[Path, Redis, Redis]) -> None:
    """Frozen while its replica was promoted, and back with writes of its own: not verified, and both are named."""
    _, primary, replica = two
    await linked(primary, replica)
    replicas = [{"name": "replica", "url": replica.url}]
    async with tools_on(url=primary.url, replicas=replicas, application={"deployment": "api-server"}) as tools:
        action = Failover()
        facts = FailoverFacts(
            cache="redis", how="replica", away_from="redis", promoted="replica", paused=False, deployment="api-server",
            variable="REDIS_URL", secret="",
        )  # fmt: skip
        await primary.freeze()
        promote, fence = action.steps(facts, tools)[:2]
        await promote.do(quiet)
        assert promote.done is not None
        assert await promote.done()
        assert "does not answer" in str(await fence.do(quiet))
        assert "replica took a write that was read back; redis cannot be asked (Redis at" in await action.verify(
            facts, tools
        )
        await primary.thaw()
        with pytest.raises(NotVerified, match="TWO PRIMARIES: redis takes writes too"):
            await action.verify(facts, tools)


async def test_sentinel_fails_over(two: tuple[Path, Redis, Redis]) -> None:
    """Sentinel's primary is who it says; told to, it promotes the replica; what it does not know is said, and no silent one
    stops the others from being asked."""
    home, primary, replica = two
    await linked(primary, replica)
    async with sentinel_of(home, primary, "cache") as url:
        silent = "redis://127.0.0.1:9"
        sentinel = {"master": "cache", "urls": [silent, url]}
        async with tools_on(url=primary.url, sentinel=sentinel) as tools:
            action = Failover()
            await replica_known(url, "cache")
            plan = await action.plan(tools)
            assert plan.facts.away_from == f"127.0.0.1:{primary.port}"
            order, wait = action.steps(plan.facts, tools)
            assert order.done is not None
            assert not await order.done()
            await order.do(quiet)
            assert await wait.do(quiet) == f"127.0.0.1:{replica.port} is the primary"
            assert await order.done()
            said = await action.verify(plan.facts, tools)
            assert (
                f"127.0.0.1:{replica.port} took a write that was read back; 127.0.0.1:{primary.port} is a replica"
                in said
            )
        with pytest.raises(NotFound, match="no primary called `nobody`"):
            await CACHES.leader([url], "nobody")
        with pytest.raises(Unavailable):
            await CACHES.leader([silent], "cache")
