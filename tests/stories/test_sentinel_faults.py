"""A Sentinel fails while it is told to fail over: it is told once, nobody else is told meanwhile, and the new primary is found."""

from typing import Any

import pytest
from redis.asyncio import Redis

from actions.redis_failover import Failover
from bot.action import Step
from bot.clients.caches import RedisCaches
from bot.errors import Refused, Unavailable
from tests.clients.cache_stage import pair, replica_known, sentinel_of, tools_on
from tests.stories.broken_caches import plain, silently
from tests.stories.redis_wire import RedisWire, redis_wire
from tests.stories.scene import eventually

ORDER, ASK = "SENTINEL FAILOVER", "SENTINEL GET-MASTER-ADDR-BY-NAME"


async def not_done(order: Step, wire: RedisWire, how: str, error: type[Exception]) -> str:
    """What the order says when the first Sentinel fails so, and has not begun."""
    wire.breaks(ORDER, how)
    with pytest.raises(error) as raised:
        await order.do(silently)
    assert order.done is not None
    assert await order.done() is False
    return plain(str(raised.value))


@pytest.mark.parametrize("how", ["lost", "silent"])
async def test_sentinel_is_told_once(how: str) -> None:
    """A no, a broken connection and a failover that is under way begin none; a lost answer is not asked of another Sentinel, which would
    promote, too; told again it looks first. Somebody who is away, or busy, is passed over."""
    async with pair() as (home, primary, replica), sentinel_of(home, primary, "cache") as url:
        await replica_known(url, "cache")
        async with redis_wire(url) as one, redis_wire(url) as two:
            sentinel = {"master": "cache", "urls": [one.url, two.url]}
            async with tools_on(url=primary.url, sentinel=sentinel) as tools:
                assert isinstance(tools.caches, RedisCaches)
                action = Failover()
                order, wait = action.steps((await action.plan(tools)).facts, tools)
                said = await not_done(order, one, "-NOGOODSLAVE No suitable replica to promote", Refused)
                assert "says: NOGOODSLAVE No suitable replica to promote" in said
                assert "broke off the connection" in await not_done(order, one, "reset", Unavailable)
                one.breaks(ORDER, "-INPROG Failover already in progress")
                assert await order.do(silently) == "Sentinel has begun"
                assert one.count(ORDER) + two.count(ORDER) == 0
                await one.refuse()
                assert order.done is not None
                assert await order.done() is False
                await one.listen()
                one.breaks(ORDER, "-BUSY Redis is busy running a script.")
                two.breaks(ORDER, how)
                tools.caches.deadline = 1.0 if how == "silent" else 20.0
                with pytest.raises(Unavailable, match="Redis at"):
                    await order.do(silently)
                assert (one.count(ORDER), two.count(ORDER)) == (0, 1)
                tools.caches.deadline = 20.0

                new = f"127.0.0.1:{replica.port}"
                one.breaks(ASK, "-LOADING Redis is loading the dataset in memory")
                two.breaks(ASK, "lost")
                with pytest.raises(Unavailable, match="broke off the connection"):
                    await wait.do(silently)
                one.breaks(ASK, "lost")
                assert await wait.do(silently) == f"{new} is the primary"
                assert await order.done()
                assert await order.do(silently) == "Sentinel has done it"
                assert one.count(ORDER) + two.count(ORDER) == 0
        async with Redis.from_url(url, decode_responses=True) as client:

            async def epoch() -> int:
                master: Any = await client.sentinel_master("cache")
                return int(master["config-epoch"])

            assert await eventually(epoch) == 1
