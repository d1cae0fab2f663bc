"""Scenario 1, corrupted data: a backup is restored beside the database, proven, swapped in; and undone."""

from typing import Any

import psycopg

from sandbox.practice import Part
from tests.stories.scene import Scene, scene, whole

PARTS: tuple[Part, ...] = ("postgres", "redis", "app", "cluster", "s3")


async def approved_by_two(it: Scene, room: str, run: int) -> None:
    await it.chloe.types(f"/recover approve RUN-{run}", room)
    await it.dev.types(f"/recover approve RUN-{run}", room)


def count(it: Scene, table: str) -> int:
    """Rows of a table of the platform, as the application sees them."""
    with psycopg.connect(it.practice.env["DATABASE_URL"]) as connection:
        row = connection.execute(f"select count(*) from {table}").fetchone()  # noqa: S608  a name of ours
    assert row is not None
    return int(row[0])


async def listed(it: Scene, room: str) -> dict[str, Any]:
    """The list of actions, as Ana sees it."""
    await it.ana.types("/recover", room)
    return await it.ana.reads(room, "Recovery actions")


def restore_of(message: dict[str, Any]) -> str:
    """The value of the button that plans a restore."""
    buttons = [block["accessory"] for block in message["blocks"] if "accessory" in block]
    return next(str(b["value"]) for b in buttons if "database.restore" in b["value"])


async def test_lost_data_comes_back_and_the_old_database_is_kept(database: str) -> None:
    """A dropped table is back from the newest backup, the application is healthy, the old database is evidence and way back."""
    async with scene(database, parts=PARTS, process=True) as it:
        with psycopg.connect(it.practice.env["DATABASE_URL"], autocommit=True) as connection:
            connection.execute("drop table canvases")
        room = await it.declares("P0 canvases are gone from the database")
        await it.ana.types("/recover database.backups", room)
        seen = await it.ana.reads(room, "checksum present")
        assert "RPO" in whole(seen)
        actions = await listed(it, room)
        await it.ana.clicks(actions, "recover_start_0", value=restore_of(actions))
        window = await it.ana.window("recover_start", blocks=3)
        backup = next(b for b in window["blocks"] if b.get("block_id") == "backup")
        choices = [option["value"] for option in backup["element"]["options"]]
        assert len(choices) == 4
        assert choices == sorted(choices, reverse=True)
        await it.ana.submits(window, backup=choices[0])
        plan = await it.ana.reads(room, "What changes")
        for words in ("canvases: missing", "2 approvers other than Ana", "the old database comes back"):
            assert words in whole(plan)
        await approved_by_two(it, room, 1)
        done = await it.ana.reads(room, "*succeeded*", within=90)
        assert count(it, "canvases") > 0
        await it.chloe.clicks(done, "recover_undo")
        await it.ana.reads(room, "*undone*", within=90)
        with psycopg.connect(it.practice.env["DATABASE_URL"]) as connection:
            assert connection.execute("select to_regclass('canvases')").fetchone() == (None,)


async def test_a_corrupt_backup_leaves_production_untouched(database: str) -> None:
    """The newest backup is cut short: the run fails with the reason, nothing of production has changed, and what was
    loaded of it is removed."""
    async with scene(database, parts=PARTS, process=True) as it:
        before = count(it, "users")
        assert it.practice.backups is not None
        await it.practice.backups.corrupt_newest()
        room = await it.declares("P0 canvases are gone from the database")
        await it.ana.types("/recover database.restore", room)
        await it.ana.reads(room, "What changes")
        await approved_by_two(it, room, 1)
        failed = whole(await it.ana.reads(room, "*failed*", within=90))
        assert "Production is as it was" in failed
        assert "The half-loaded valuecanvas_run_1 was removed." in failed
        with psycopg.connect(it.practice.env["DATABASE_URL"]) as connection:
            found = connection.execute("select datname from pg_database where datname like 'valuecanvas%'").fetchall()
        assert found == [("valuecanvas",)]
        assert count(it, "users") == before
