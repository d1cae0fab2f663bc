"""Scenario 1 on one estate: what blocks is cancelled and ended; the loss is known of a primary that is gone; and a managed
database, which its vendor fails over while the run waits."""

import re
from typing import Any

import psycopg

from sandbox.estate.damage import Blockade
from sandbox.practice import Part, Practice
from tests.stories.scene import Scene, eventually, scene, whole

PARTS: tuple[Part, ...] = ("postgres", "standby", "redis", "app", "cluster")


async def blockers(it: Scene, room: str, how: str) -> tuple[dict[str, Any], str]:
    """The newest tree of queries with a button that ends the report, and the button's value."""
    before = {m["ts"] for m in await it.said(room)}
    await it.ana.types("/recover database.blockers", room)

    async def look() -> tuple[dict[str, Any], str] | None:
        for message in await it.said(room, "nightly-report"):
            buttons = [e for b in message["blocks"] for e in b.get("elements", []) if f"database.{how}" in str(e)]
            if message["ts"] not in before and buttons:
                return message, str(buttons[0]["value"])
        return None

    return await eventually(look, what="a tree of queries with buttons")


async def press(it: Scene, room: str, how: str) -> dict[str, Any]:
    """Ana presses the button beside the report; the card of the plan."""
    message, value = await blockers(it, room, how)
    action_id = next(
        str(e["action_id"]) for b in message["blocks"] for e in b.get("elements", []) if e.get("value") == value
    )
    await it.ana.clicks(message, action_id, value=value)
    return await it.ana.reads(room, "its query is cancelled" if how == "cancel" else "its transaction rolled back")


async def let_go(blockade: Blockade) -> None:
    async def look() -> bool:
        return not blockade.waiting

    await eventually(look, what="nobody waits any more")


async def forgetful(practice: Practice) -> None:
    """A standby that was restarted when there was nothing to replay: it does not know how old its data is."""
    assert practice.postgres is not None and practice.standby is not None  # noqa: PT018
    for server in (practice.postgres, practice.standby):
        await practice.standby.caught_up()
        async with await psycopg.AsyncConnection.connect(server.admin_url, autocommit=True) as connection:
            await connection.execute("checkpoint")
    await practice.standby.caught_up()
    await practice.standby.stop()
    await practice.standby.start()
    # What the primary writes by itself meanwhile may be what was last seen of it.
    await practice.standby.caught_up()


async def proof(it: Scene, room: str, run: int) -> str:
    """The progress card of a run that succeeded."""

    async def look() -> str | None:
        cards = [whole(m) for m in await it.said(room, f"*RUN-{run}*")]
        return next((text for text in cards if "*Proof:*" in text), None)

    return await eventually(look, 120, f"the proof of RUN-{run}")


async def written(it: Scene) -> int:
    """How far the primary had written when it was last looked at, as the store has it."""
    rows = await it.sql("select facts -> 'last_seen' ->> 'lsn' as lsn from reading where facts ? 'last_seen'")
    return max((int(row["lsn"]) for row in rows), default=0)


async def test_queries_a_primary_that_is_gone_and_a_managed_database(database: str) -> None:
    """A person cancels a query and ends a session from the tree of queries, each proven; then the primary dies, and the
    plan still says how much may be lost; then the same as the vendor's customer: the text to send, and `done`."""
    async with scene(database, parts=PARTS, bot=False) as it:
        practice = it.practice
        assert practice.postgres is not None
        async with it.bot():
            room = await it.declares("P1 profiles cannot be saved")
            blockade = Blockade(practice.database, lambda: None)
            await blockade.start()
            plan = await press(it, room, "cancel")
            assert "low risk" in whole(plan)
            await it.ana.clicks(plan, "recover_approve")
            await proof(it, room, 1)
            await let_go(blockade)
            await blockade.start()
            plan = await press(it, room, "terminate")
            assert "one approver other than Ana" in whole(plan)
            await it.chloe.clicks(plan, "recover_approve")
            assert "is gone" in await proof(it, room, 2)
            await let_go(blockade)

            await eventually(lambda: written(it), what="a look at the primary")
            await forgetful(practice)
            await practice.postgres.kill()
            await it.ana.types("/recover database.failover", room)
            plan = await it.ana.reads(room, "was last seen at")
            text = whole(plan)
            assert re.search(
                r"\*Data loss:\* (up to (\d+ min ?)?(\d+ s)?|under a second) \(RPO 1 h 00 min: within\)", text
            ), text
            assert "replica has all of that" in text
            await it.ana.types("/recover reject RUN-3 its vendor does that", room)
            await it.ana.reads(room, "rejected by Ana")

        practice.env["DATABASE_PROVIDER"] = "supabase"
        async with it.bot():
            await it.ana.types("/recover database.failover", room)
            plan = await it.ana.reads(room, "Text to send")
            text = whole(plan)
            for words in (
                "Supabase Support",
                "support@supabase.io",
                "Please fail it over",
                "it is the vendor who acts",
            ):
                assert words in text
            await it.chloe.clicks(plan, "recover_approve")
            waits = whole(await it.ana.reads(room, "waits for people outside"))
            assert "which transactions are lost.” Then say that it is done" in waits
            await practice.postgres.start()
            await it.ana.types("/recover done RUN-4", room)
            assert "primary took a write that was read back; the application is healthy" in await proof(it, room, 4)
