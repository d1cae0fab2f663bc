"""Scenario 3, told whole: Redis hangs, and is restarted or failed over by buttons alone; every Redis is a real one."""

from pathlib import Path

import redis.asyncio

from sandbox.cluster import Fault
from sandbox.cluster.kinds import PODS
from sandbox.cluster.podstate import is_ready
from sandbox.practice import Part
from tests.stories.again import assessed, sees
from tests.stories.between import between
from tests.stories.scene import eventually, scene, whole

SHIPPED = Path("estate.yml").read_text()
PARTS: tuple[Part, ...] = ("postgres", "redis", "redis-replica", "app", "cluster")


async def test_a_frozen_redis_is_restarted_and_warmed_up(database: str, tmp_path: Path) -> None:
    """Frozen, declared, named, assessed, restarted (its stuck pod is replaced), seen by the application, warm, within its RTO; the cluster
    fails once meanwhile, and an answer of the application is lost."""
    parts: tuple[Part, ...] = ("postgres", "redis", "app", "cluster")
    estate = tmp_path / "estate.yml"
    estate.write_text(SHIPPED.replace("deadline: 5s", "deadline: 4s"))
    environ = {"BOT_ESTATE": str(estate)}
    async with between() as broken, scene(database, parts=parts, before=broken.before, environ=environ) as it:
        assert it.practice.redis is not None
        assert it.practice.cluster is not None
        await it.practice.redis.freeze()
        store = it.practice.cluster.store

        async def seen_frozen() -> bool:
            return not is_ready(store.get(PODS, "production", "redis-0"))

        await eventually(seen_frozen)
        room = await it.declares("P1 pages load slowly")
        seen = whole(await it.ana.reads(room, "Most likely scenario: *redis*"))
        assert "redis.restart" in seen
        assert "redis: no answer within 4 s, and the application calls it failing" in seen
        await sees(it, room, "redis.assess", "redis does not answer", "the application sees it down")
        for action in ("cache.warmup", "redis.failover", "redis.restart"):
            await it.ana.types(f"/recover {action}", room)
        await it.ana.reads(room, "so it takes nothing. Restart it first")
        await it.ana.reads(room, "names neither `replicas` nor a `sentinel`")
        it.practice.cluster.faults.fail["patch statefulsets"] = Fault(500, "etcd is slow", times=1)
        plan = await it.ana.reads(room, "redis-0: Running, not ready")
        assert "left of the RTO" in whole(plan)
        await it.ana.clicks(plan, "recover_approve")
        done = whole(await it.ana.reads(room, "1 of 1 pods are new and ready; PONG after"))
        assert "redis-0 was Running" in done
        assert "the application sees it up" in done
        await it.ana.reads(room, "*Redis Cache* is green again after", within=90)

        broken.faults["POST /api/admin/cache/warmup"] = ["lost"]
        await it.ana.types("/recover cache.warmup", room)
        await it.ana.clicks(await it.ana.reads(room, "and the common queries"), "recover_approve")
        assert "3 queries warmed" in whole(await it.ana.reads(room, "redis holds 3 keys"))
        assert not broken.faults["POST /api/admin/cache/warmup"]
        says = "PONG after", "of 64 MiB (noeviction)", "connections refused", "no append-only file"
        await sees(it, room, "redis.assess", "redis answers; nothing stands out", *says)
        assert any("RTO 5 min" in e.text for e in await it.timeline(1) if e.kind == "recovered")


async def test_a_redis_that_answers_is_failed_over_without_loss(database: str) -> None:
    """Writes are held, the replica gets everything and is promoted, the application goes there, and the old one follows it."""
    async with scene(database, parts=PARTS) as it:
        assert it.practice.redis is not None
        assert it.practice.redis_replica is not None
        async with redis.asyncio.Redis.from_url(it.practice.env["REDIS_URL"]) as client:
            await client.set("kept", "yes")
        room = await it.declares("P1 redis is slow")
        await it.ana.types("/recover redis.failover", room)
        plan = await it.ana.reads(room, "Hold writes on redis until replica has everything")
        for words in ("point of no return", "none: redis is held until replica has everything", "other than Ana"):
            assert words in whole(plan)
        await it.chloe.clicks(plan, "recover_approve")
        done = whole(await it.ana.reads(room, "replica took a write that was read back; redis is a replica now"))
        assert "the application sees it up" in done
        assert it.practice.cluster is not None
        assert it.practice.cluster.env_of("api-server")["REDIS_URL"] == it.practice.env["REPLICA_REDIS_URL"]
        async with redis.asyncio.Redis.from_url(it.practice.env["REPLICA_REDIS_URL"]) as client:
            assert await client.get("kept") == b"yes"
        assert await it.practice.redis.role() == "slave"
        await assessed(it, room, "takes the writes since a failover")
