"""ValueCanvas against a real Postgres and a real Redis, stopped and started under it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from sandbox.estate.cache import Redis
from sandbox.estate.children import Unprivileged
from sandbox.estate.postgres import CANVASES, Postgres
from sandbox.estate.wheels import make_home
from sandbox.valuecanvas.app import ValueCanvas
from sandbox.valuecanvas.breaker import Breaker
from sandbox.valuecanvas.stores import Stores

API = {"Authorization": "Bearer api"}
ADMIN = {"Authorization": "Bearer admin"}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def servers() -> AsyncIterator[tuple[Postgres, Redis]]:
    user = Unprivileged.when_root()
    home = make_home(user)
    postgres, redis = Postgres(home, user), Redis(home, user)
    try:
        await asyncio.gather(postgres.create(), redis.start())
        yield postgres, redis
    finally:
        await asyncio.gather(postgres.stop(), redis.stop())
        shutil.rmtree(home)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(clock: Clock, serve: Any) -> AsyncIterator[aiohttp.ClientSession]:
    """ValueCanvas with neither database nor cache, on a held clock."""
    stores = Stores("postgresql://nobody@127.0.0.1:1/none", "redis://127.0.0.1:1/0")
    canvas = ValueCanvas(stores, api_token="api", admin_token="admin", clock=clock)
    async with aiohttp.ClientSession(await serve(canvas.app())) as client:
        yield client


async def get(client: aiohttp.ClientSession, path: str, **headers: Any) -> tuple[int, Any]:
    async with client.get(path, **headers) as response:
        return response.status, await response.json()


async def post(client: aiohttp.ClientSession, path: str, headers: Any = None, body: Any = None) -> tuple[int, Any]:
    async with client.post(path, headers=headers, json=body) as response:
        return response.status, await response.json()


async def chat(client: aiohttp.ClientSession) -> tuple[int, Any]:
    status, body = await post(client, "/api/llm/chat", API, {"prompt": "Test prompt"})
    return status, body.get("provider")


async def switch(client: aiohttp.ClientSession, provider: str, *, up: bool) -> None:
    async with client.put(f"/practice/providers/{provider}", headers=ADMIN, json={"up": up}) as response:
        assert response.status == 200


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    """Ask again until it is so; the test's own deadline is the only clock."""
    async with asyncio.timeout(40):
        while True:
            if await check():
                return
            await asyncio.sleep(0.02)


async def becomes(client: aiohttp.ClientSession, *down: str) -> None:
    """Wait until exactly these are down: it gives each a second to answer, which a busy machine may need more of."""
    wanted = (503, "not_ready", list(down)) if down else (200, "ready", [])

    async def so() -> bool:
        status, body = await get(client, "/health/ready")
        said = [check for check, seen in body["checks"].items() if seen["status"] == "down"]
        return (status, body["status"], said) == wanted

    await until(so)


async def test_readiness_follows_postgres_and_redis(servers: tuple[Postgres, Redis], serve: Any) -> None:
    """Stopping either turns /health/ready red and names it; starting it turns it green without a restart."""
    postgres, redis = servers
    canvas = ValueCanvas(Stores(postgres.url, redis.url), api_token="api", admin_token="admin")
    async with aiohttp.ClientSession(await serve(canvas.app())) as client:
        await becomes(client)
        for server, name, start in ((postgres, "database", postgres.start), (redis, "redis", redis.start)):
            await server.stop()
            await becomes(client, name)
            await start()
            await becomes(client)


async def test_canvases_come_from_the_database(servers: tuple[Postgres, Redis], serve: Any) -> None:
    """The API reads the seeded canvases; warming up fills the cache and cached answers say so."""
    postgres, redis = servers
    canvas = ValueCanvas(Stores(postgres.url, redis.url), api_token="api", admin_token="admin")
    async with aiohttp.ClientSession(await serve(canvas.app())) as client:
        await becomes(client)
        status, body = await get(client, "/api/canvases", headers=API)
        assert (status, len(body["canvases"]), body["canvases"][0]["title"]) == (200, 20, "Canvas 1")
        assert CANVASES == 2_000
        assert await post(client, "/api/admin/cache/warmup", ADMIN) == (200, {"warmed": 3})
        status, body = await post(client, "/api/llm/chat", API, {"prompt": "Suggest a title"})
        assert (status, body["provider"], body["cached"]) == (200, "cache", True)


async def test_without_its_stores_it_still_answers(client: aiohttp.ClientSession) -> None:
    """With database and cache dead from the start it serves, and says so."""
    status, body = await get(client, "/health/ready")
    assert status == 503
    assert {name: seen["status"] for name, seen in body["checks"].items()} == {"database": "down", "redis": "down"}
    assert (await get(client, "/api/canvases", headers=API))[0] == 503
    assert (await post(client, "/api/admin/cache/warmup", ADMIN))[0] == 503
    assert await chat(client) == (200, "together")


async def test_the_breaker_opens_falls_back_and_recovers(client: aiohttp.ClientSession, clock: Clock) -> None:
    """Three failures open it; the fallback serves; after its rest one trial closes it again."""
    assert (await get(client, "/api/llm/health"))[1]["status"] == "healthy"
    await switch(client, "together", up=False)
    assert [await chat(client) for _ in range(3)] == [(200, "openai")] * 3
    status, health = await get(client, "/api/llm/health")
    assert (status, health["status"], health["active_provider"]) == (200, "degraded", "openai")
    assert health["circuit_breaker"]["state"] == "open"
    await switch(client, "together", up=True)
    assert await chat(client) == (200, "openai")
    clock.now += 60
    assert (await get(client, "/api/llm/health"))[1]["circuit_breaker"]["state"] == "half_open"
    assert await chat(client) == (200, "together")
    assert (await get(client, "/api/llm/health"))[1]["status"] == "healthy"


async def test_an_admin_resets_the_breaker(client: aiohttp.ClientSession) -> None:
    """/api/llm/reset closes it at once, for the admin only; the counters remember."""
    await switch(client, "together", up=False)
    for _ in range(3):
        await chat(client)
    await switch(client, "together", up=True)
    assert (await post(client, "/api/llm/reset", API))[0] == 403
    assert (await post(client, "/api/llm/reset"))[0] == 401
    assert (await post(client, "/api/llm/reset", ADMIN))[0] == 200
    assert await chat(client) == (200, "together")
    stats = (await get(client, "/api/llm/stats"))[1]
    assert (stats["fallbacks"], stats["circuit_breaker"]["times_opened"]) == (3, 1)


async def test_with_no_provider_left_it_is_unhealthy(client: aiohttp.ClientSession) -> None:
    """Both providers failing is 503, on the chat and on its health."""
    await switch(client, "together", up=False)
    await switch(client, "openai", up=False)
    assert [status for status, _ in [await chat(client) for _ in range(3)]] == [503] * 3
    status, health = await get(client, "/api/llm/health")
    assert (status, health["status"], health["active_provider"]) == (503, "unhealthy", None)


async def test_chat_needs_the_token_and_a_prompt(client: aiohttp.ClientSession) -> None:
    """No token is 401, a wrong one 403, no prompt 400."""
    assert (await post(client, "/api/llm/chat", None, {"prompt": "x"}))[0] == 401
    assert (await post(client, "/api/llm/chat", ADMIN, {"prompt": "x"}))[0] == 403
    assert (await post(client, "/api/llm/chat", API, {}))[0] == 400


def test_a_failed_trial_opens_the_breaker_again() -> None:
    """One failure while half-open starts the rest anew and is not counted as another opening."""
    breaker = Breaker(threshold=2, rest=10)
    breaker.failed(0)
    assert breaker.state(0) == "closed"
    breaker.failed(1)
    assert (breaker.state(10.9), breaker.state(11)) == ("open", "half_open")
    breaker.failed(11)
    assert (breaker.state(20.9), breaker.times_opened) == ("open", 1)
    breaker.succeeded()
    assert (breaker.state(21), breaker.failures) == ("closed", 0)
