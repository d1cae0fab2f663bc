"""Scenario 1, told whole: the primary dies, one person plans the failover, another approves it, the application is green."""

from pathlib import Path

import psycopg

from sandbox.estate.postgres import ROLE
from sandbox.practice import Part, Practice
from tests.stories.again import assessed
from tests.stories.scene import Scene, eventually, scene, whole

PARTS: tuple[Part, ...] = ("postgres", "standby", "redis", "app", "cluster")


async def left_over(it: Scene, room: str) -> str:
    """The assessment after the failover: the old primary is bad and says what to do, and no scenario is named for it."""
    says = "rebuild it as its standby", "takes the writes since a failover"
    text = whole(await assessed(it, room, *says, lacks=["Most likely scenario"]))
    assert "recover_start" not in text
    return text


def rule_them_out(path: Path, role: str, *, out: bool) -> None:
    """The first line of pg_hba.conf refuses that role, or does not."""
    rule = f"host all {role} all reject\n"
    rules = path.read_text().removeprefix(rule)
    path.write_text(rule + rules if out else rules)


async def let_in(practice: Practice, *, allowed: bool) -> None:
    """Whether the primary takes new sessions of the application's role; those that are open go on in either case."""
    assert practice.postgres is not None
    url = practice.postgres.url
    async with await psycopg.AsyncConnection.connect(practice.postgres.admin_url) as admin:
        (path,) = await (await admin.execute("show hba_file")).fetchone() or ("",)
        rule_them_out(Path(path), ROLE, out=not allowed)
        await admin.execute("select pg_reload_conf()")

    async def look() -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(url):
                return allowed
        except psycopg.OperationalError:
            return not allowed

    await eventually(look, what="the new rule")


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
        assert "took a write that was read back; the application is healthy (HTTP 200); primary does not answer" in done
        assert practice.database() == practice.env["REPLICA_DATABASE_URL"]
        assert "no connection" in await left_over(it, room)
        recovered = await it.entry(1, "recovered", within=90)
        assert "Database is green again" in recovered.text or "API Services" in recovered.text
        kinds = [e.kind for e in await it.timeline(1)]
        assert [k for k in kinds if k.startswith("run_")] == [
            "run_requested", "run_planned", "run_approved", "run_step", "run_step", "run_step", "run_ended",
        ]  # fmt: skip


async def test_a_living_primary_is_not_failed_over_but_switched_over(database: str) -> None:
    """While it takes writes a failover is refused with the way that loses nothing; while it refuses only us, it may take those
    of others, and no approval suffices; the other way works, and fences the old one."""
    async with scene(database, parts=PARTS) as it:
        room = await it.declares("P1 the database is slow")
        await it.ana.types("/recover database.failover", room)
        await it.ana.reads(room, "still takes writes")
        await let_in(it.practice, allowed=False)
        await it.ana.types("/recover database.failover", room)
        plan = whole(await it.ana.reads(room, "Only by break-glass"))
        assert "primary answers, though not what was asked" in plan
        assert "pg_hba.conf rejects connection" in plan
        await it.ana.types("/recover reject RUN-2 it lives", room)
        await it.ana.reads(room, "rejected by Ana")
        await let_in(it.practice, allowed=True)
        await it.ana.types("/recover database.failover mode=switchover", room)
        await it.ana.reads(room, "Fence writes on primary")
        await it.chloe.types("/recover approve RUN-3", room)
        done = whole(await it.ana.reads(room, "*succeeded*"))
        assert "primary refuses writes" in done
        assert "read-only" in await left_over(it, room)
