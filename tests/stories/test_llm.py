"""Scenario 2, told whole: Together.ai fails, the fallback is proven, the cache is raised, the breaker is reset by buttons alone."""

import aiohttp
import redis.asyncio

from sandbox.practice import Part
from tests.stories.again import sees
from tests.stories.between import between
from tests.stories.scene import Json, Scene, eventually, find_action, scene, whole

PARTS: tuple[Part, ...] = ("postgres", "redis", "app", "cluster")


async def opened(it: Scene) -> None:
    """Wait until the application's breaker has opened: customers ask all the time."""

    async def look() -> bool:
        url = f"{it.practice.env['API_URL']}/api/llm/health"
        async with aiohttp.ClientSession() as client, client.get(url) as answer:
            return bool((await answer.json())["circuit_breaker"]["state"] == "open")

    await eventually(look, what="an open breaker")


async def press(it: Scene, card: Json, label: str) -> None:
    """Ana presses the offer with that label."""
    for block in card["blocks"]:
        for element in block.get("elements", []):
            if element.get("type") == "button" and element["text"]["text"].endswith(f" {label}"):
                assert find_action(card, element["action_id"], element["value"])
                await it.ana.clicks(card, element["action_id"], value=element["value"])
                return
    raise AssertionError(f"no button {label!r} in {whole(card)}")


async def config(it: Scene) -> tuple[str, str]:
    """maxmemory and policy of the practice Redis."""
    async with redis.asyncio.Redis.from_url(it.practice.env["REDIS_URL"], decode_responses=True) as client:
        found = await client.config_get("maxmemory*")
    return str(found["maxmemory"]), str(found["maxmemory-policy"])


async def test_a_failed_provider_is_survived_and_left_behind(database: str) -> None:
    """Failed, declared, named, the fallback proven, the cache raised and lowered again; a reset too early warns, trips and is not
    verified; after the recovery it is, also when the application fails and its answer is lost meanwhile; the report has the time
    against the RTO."""
    async with between() as broken, scene(database, parts=PARTS, before=broken.before) as it:
        assert it.practice.app is not None
        await it.practice.app.fail("together")
        await opened(it)
        room = await it.declares("P1 answers are odd")
        assert "llm.reset-breaker" in whole(await it.ana.reads(room, "Most likely scenario: *llm*"))

        status = await sees(
            it, room, "llm.status", "Circuit breaker open; Together.ai does not look well",
            "red: Together.ai's status page: Partial System Outage (major)", "red: Together.ai itself: HTTP 503 after",
            "green: OpenAI's status page: All Systems Operational (none)", "green: OpenAI itself: HTTP 401 after",
            "Together.ai call failed", "served by openai", "calls to together:", "(opens at 3)",
        )  # fmt: skip
        await press(it, status, "Ask the LLM something")
        fallback = whole(await it.ana.reads(room, "The fallback works: OpenAI answers"))
        assert "OpenAI is dearer than Together.ai" in fallback

        await it.ana.types("/recover cache.raise maxmemory=128mb watch=1s", room)
        plan = await it.ana.reads(room, "maxmemory of redis: 64 MiB → *128 MiB*")
        assert "hit rate:" in whole(plan)
        await it.ana.clicks(plan, "recover_approve")
        done = await it.ana.reads(room, "redis has 128 MiB and allkeys-lru; hit rate since it started")
        assert "hit rate before:" in whole(done)
        assert await config(it) == (str(128 << 20), "allkeys-lru")
        await it.ana.clicks(done, "recover_undo")
        await it.ana.reads(room, "everything that was begun is undone")
        assert await config(it) == (str(64 << 20), "noeviction")

        await press(it, status, "Plan a reset of the breaker")
        await it.ana.submits(await it.ana.window("recover_start"), watch="20s")
        early = await it.ana.reads(room, "does not look recovered, so the breaker will probably open again")
        await it.ana.clicks(early, "recover_approve")
        again = whole(await it.ana.reads(room, "*ran but not verified*"))
        assert "the breaker has tripped again and is open. Is Together.ai back?" in again
        assert "tripped again after 0 successful calls" in again

        await it.practice.app.fail()
        broken.faults["POST /api/llm/reset"] = ["500", "lost"]
        await it.ana.types("/recover llm.reset-breaker", room)
        plan = await it.ana.reads(room, "Together.ai itself: HTTP 401")
        assert "does not look recovered" not in whole(plan)
        await it.ana.clicks(plan, "recover_approve")
        proof = whole(await it.ana.reads(room, "and the breaker stays closed"))
        assert "a real request was answered by Together.ai in" in proof
        assert not broken.faults["POST /api/llm/reset"]
        await it.ana.types("/recover llm.reset-breaker", room)
        await it.ana.reads(room, "closed already: there is nothing to reset")
        await it.ana.reads(room, "*LLM Services* is green again after", within=90)
        await it.ana.types("/incident resolve Together.ai is back", room)
        await it.entry(1, "resolved")
        report = "\n".join(e.text for e in await it.timeline(1))
        assert "RTO 15 min" in report
        assert "RUN-3 llm.reset-breaker succeeded" in report
