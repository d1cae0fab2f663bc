"""Scenario 1, told whole: the primary dies, one person plans the failover, another approves it, the application is green."""

from sandbox.practice import Part
from tests.stories.again import assessed
from tests.stories.scene import Scene, scene, whole

PARTS: tuple[Part, ...] = ("postgres", "standby", "redis", "app", "cluster")


async def left_over(it: Scene, room: str) -> str:
    """The assessment after the failover: the old primary is bad and says what to do, and no scenario is named for it."""
    says = "rebuild it as its standby", "takes the writes since a failover"
    text = whole(await assessed(it, room, *says, lacks=["Most likely scenario"]))
    assert "recover_start" not in text
    return text


async def test_a_dead_primary_is_failed_over(database: str) -> None:
    """Broken, declared, named, planned, approved by another, run, proven, green again; the timeline tells it."""
    async with scene(database, parts=PARTS) as it:
        practice = it.practice
        assert practice.postgres is not None
        await practice.postgres.kill()
        room = await it.declares("P1 the database is down")
        assessed = await it.ana.reads(room, "Most likely scenario: *database*")
        assert "database.failover" in whole(assessed)
        assert "pods ready" in whole(assessed)
        await it.ana.types("/recover database.failover", room)
        plan = await it.ana.reads(room, "What changes")
        for words in ("point of no return", "RPO 1 h 00 min: within", "left of the RTO", "one approver other than Ana"):
            assert words in whole(plan)
        await it.chloe.clicks(plan, "recover_approve")
        done = whole(await it.ana.reads(room, "*succeeded*"))
        assert "took a write that was read back; the application is healthy (HTTP 200); primary is gone" in done
        assert practice.database() == practice.env["REPLICA_DATABASE_URL"]
        assert "no connection" in await left_over(it, room)
        recovered = await it.entry(1, "recovered", within=90)
        assert "Database is green again" in recovered.text or "API Services" in recovered.text
        kinds = [e.kind for e in await it.timeline(1)]
        assert [k for k in kinds if k.startswith("run_")] == [
            "run_requested", "run_planned", "run_approved", "run_step", "run_step", "run_step", "run_ended",
        ]  # fmt: skip


async def test_a_living_primary_is_not_failed_over_but_switched_over(database: str) -> None:
    """While it takes writes a failover is refused with the way that loses nothing; that way works, and fences the old one."""
    async with scene(database, parts=PARTS) as it:
        room = await it.declares("P1 the database is slow")
        await it.ana.types("/recover database.failover", room)
        await it.ana.reads(room, "still takes writes")
        await it.ana.types("/recover database.failover mode=switchover", room)
        await it.ana.reads(room, "Fence writes on primary")
        await it.chloe.types("/recover approve RUN-2", room)
        done = whole(await it.ana.reads(room, "*succeeded*"))
        assert "primary refuses writes" in done
        assert "read-only" in await left_over(it, room)
