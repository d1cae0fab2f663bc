"""The ladder: every rung once, never early, said in the room, whatever people and processes do meanwhile."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection

from sandbox.pagerduty import FaultSpec
from tests.stories.scene import Scene, eventually, scene, whole

FAST = 0.05
"""Seconds a minute: the ladder of an hour climbs in three seconds."""

TITLES = {1: "On-Call Engineer", 2: "Engineering Manager", 3: "CTO + Infrastructure Team", 4: "CEO + All Hands"}


async def rungs(it: Scene) -> list[int]:
    """The levels that were called, in order."""
    return [int(e.data["level"]) for e in await it.timeline(1) if e.kind == "rung"]


async def climbed(it: Scene, *levels: int) -> None:
    async def look() -> bool:
        return await rungs(it) == list(levels)

    await eventually(look, what=f"rungs {levels}, and no others")


async def due(it: Scene) -> dict[int, datetime]:
    rows = await it.sql("select level, due_at from rung where state = 'waiting'")
    return {row["level"]: row["due_at"] for row in rows}


@asynccontextmanager
async def still(it: Scene) -> AsyncIterator[AsyncConnection[Any]]:
    """Nothing happens to an incident meanwhile: whoever changes one says when its ladder is looked at next, by the rungs it read."""
    async with it.store.pool.connection() as conn:
        await conn.execute("select from incident for update")
        yield conn


async def away(it: Scene, minutes: int) -> None:
    """Time goes by while nobody looks: everything that waits for its time is due so much earlier."""
    by = timedelta(minutes=minutes)
    async with still(it) as conn:
        await conn.execute("update rung set due_at = due_at - %s where state = 'waiting'", [by])
        await conn.execute("update effect set due_at = due_at - %s where kind = 'ladder' and state = 'waiting'", [by])


async def test_the_ladder_climbs_to_the_top(database: str) -> None:
    """All four rungs at 0, 15, 30 and 60 practice minutes, each on time, paged, invited, and said with who and why."""
    async with scene(database, seconds_per_minute=FAST) as it:
        room = await it.declares("P1 checkout is down")
        await it.ana.reads(room, "Rung 4: CEO + All Hands")
        await it.quiet()
        await climbed(it, 1, 2, 3, 4)
        for level, title in TITLES.items():
            (line,) = await it.said(room, f"Rung {level}: {title}* is called now")
            assert "PRACTICE" in whole(line)
        assert "60 minutes have passed without mitigation" in whole(line)
        assert {"U0CHLOE", "U0DEV", "U0EVA", "U0FRANK"} <= set(it.practice.slack.channels[room].members)
        (page,) = it.pages()
        assert [len(r.targets) for r in page.requests] == [1, 1, 1]
        begun = (await it.entry(1, "declared")).at
        offsets = [(e.at - begun).total_seconds() / FAST for e in await it.timeline(1) if e.kind == "rung"]
        for offset, minutes in zip(offsets, (0, 15, 30, 60), strict=True):
            assert minutes <= offset, "a rung came early"
        assert "everybody has been called" in whole(await it.board(room))


async def test_two_rungs_that_fell_due_in_an_outage_fire_once_and_say_late(database: str) -> None:
    """The bot is away for 35 minutes: rungs 2 and 3 are called when it is back, once each, labelled late; 4 is on time."""
    async with scene(database, bot=False) as it:
        async with it.bot():
            room = await it.declares("P1 checkout is down")
            await it.quiet()
        await away(it, 35)
        async with it.bot():
            await climbed(it, 1, 2, 3)
            await it.ana.reads(
                room, "Rung 2: Engineering Manager* is called now. 15 minutes have passed without mitigation"
            )
            await it.ana.reads(room, "late by 20 min")
            await it.ana.reads(room, "late by 5 min")
            await it.quiet()
        async with it.bot():
            await it.quiet()
            await climbed(it, 1, 2, 3)
            assert len(await it.said(room, "is called now")) == 3
            assert [len(r.targets) for r in it.pages()[0].requests] == [1, 1]
            assert list(await due(it)) == [4]


async def test_a_process_that_is_killed_misses_no_rung(database: str) -> None:
    """kill -9, and started again: the real process climbs on, each rung once."""
    async with scene(database, process=True, seconds_per_minute=FAST * 2) as it:
        room = await it.declares("P1 checkout is down")
        await it.ana.reads(room, "Rung 2")
        await it.practice.bot.kill()
        await it.practice.bot.start()
        await it.ana.reads(room, "Rung 4")
        await it.connected()
        await it.quiet()
        assert Counter(await rungs(it)) == {1: 1, 2: 1, 3: 1, 4: 1}
        assert len(await it.said(room, "is called now")) == 4


async def test_a_hold_stops_the_climb_and_resume_gives_it_back(database: str) -> None:
    """Held, nothing climbs and every instant moves by the hold; resumed, the instants come forward by what was left."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        before = await due(it)
        await it.ana.types("/incident hold 2h the vendor is on it", room)
        await it.ana.reads(room, "<@U0ANA> holds the ladder until")
        held = await due(it)
        assert {level: held[level] - before[level] for level in held} == dict.fromkeys((2, 3, 4), timedelta(hours=2))
        await it.board(room, "the vendor is on it")
        await away(it, 100)
        await it.ana.types("/incident resume", room)
        await it.ana.reads(room, "resumed the ladder")
        await climbed(it, 1, 2, 3, 4)


async def test_a_hold_that_is_over_says_so_and_the_ladder_goes_on(database: str) -> None:
    """The end of a hold is said with its reason; the rungs have moved by exactly its length and come when they are due."""
    async with scene(database, seconds_per_minute=1) as it:
        room = await it.declares("P1 checkout is down")
        # No rung comes while this looks.
        async with still(it) as conn:
            await conn.execute("update rung set due_at = due_at + interval '1 h' where state = 'waiting'")
        before = await due(it)
        await it.ana.types("/incident hold 1m wait for the vendor", room)
        await it.ana.reads(room, "The hold is over (wait for the vendor)")
        after = await due(it)
        assert {level: after[level] - before[level] for level in after} == dict.fromkeys(
            (2, 3, 4), timedelta(seconds=1)
        )
        await climbed(it, 1)
        async with still(it) as conn:
            await conn.execute("update rung set due_at = now() where level = 2")
            await conn.execute("update effect set due_at = now() where kind = 'ladder'")
        await climbed(it, 1, 2)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("hold soon because", "is not a time to hold for"),
        ("hold 15m", "Say why the ladder is held"),
        ("resume", "is not held"),
    ],
)
async def test_a_hold_needs_a_time_and_a_reason(database: str, text: str, answer: str) -> None:
    """Without them nothing is held and the person is told why."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        before = await due(it)
        await it.ana.types(f"/incident {text}", room)
        await it.ana.reads(room, answer)
        assert await due(it) == before


async def test_escalating_climbs_at_once_with_the_reason_and_ends_at_the_top(database: str) -> None:
    """Each `escalate` is one rung more; the rungs above keep their instants; after the last one it is refused."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        before = await due(it)
        await it.ana.types("/incident escalate the database is corrupt", room)
        await it.ana.reads(
            room, "Rung 2: Engineering Manager* is called now. Ana Ortiz escalated: the database is corrupt"
        )
        assert await due(it) == {level: before[level] for level in (3, 4)}
        await it.ana.types("/incident escalate", room)
        await it.ana.types("/incident escalate", room)
        await climbed(it, 1, 2, 3, 4)
        await it.ana.types("/incident escalate", room)
        await it.ana.reads(room, "everybody on the ladder has been called")
        await it.quiet()
        await climbed(it, 1, 2, 3, 4)


@pytest.mark.parametrize("by", ["command", "phone"])
async def test_on_p2_an_acknowledgement_holds_the_ladder_until_it_times_out(database: str, by: str) -> None:
    """Here or on the phone: the rungs wait for the half hour that an acknowledgement counts; on P1 they do not."""
    async with scene(database) as it:
        room = await it.declares("P2 checkout is slow")
        before = await due(it)
        await it.entry(1, "paged")
        if by == "command":
            await it.ana.types("/incident ack", room)
        else:
            await it.ana.picks_up()
        await it.ana.reads(room, "The ladder is held until the acknowledgement times out")
        moved = {(at - before[level]).total_seconds() for level, at in (await due(it)).items()}
        assert moved == {1800}
        await it.ana.types("/incident severity P1 worse than it looked", room)
        await it.ana.reads(room, "set the severity P2 → *P1*")
        left = {round((at - before[level]).total_seconds()) for level, at in (await due(it)).items()}
        assert max(left) < 60


async def test_on_p1_an_acknowledgement_does_not_hold(database: str) -> None:
    """Somebody is on it, and the ladder climbs on all the same, until there is progress."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        before = await due(it)
        await it.ana.types("/incident ack", room)
        await it.ana.reads(room, "The ladder goes on climbing")
        assert await due(it) == before
        await away(it, 16)
        await it.ana.reads(room, "Rung 2")


async def test_monitoring_stops_the_ladder_and_going_back_goes_on(database: str) -> None:
    """Monitoring: nothing climbs; back to investigating: the rungs come at the distance they had left."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        await it.ana.types("/incident status monitoring a fix is out", room)
        await it.ana.reads(room, "*monitoring*: a fix is out")
        await away(it, 120)
        await it.board(room, "the ladder stands still")
        await it.ana.types("/incident escalate", room)
        await it.ana.reads(room, "the ladder stands still. Set it to investigating or reopen it")
        await it.quiet()
        await climbed(it, 1)
        await it.ana.types("/incident status investigating it came back", room)
        await climbed(it, 1, 2, 3, 4)


async def test_p3_calls_nobody(database: str) -> None:
    """No page, no rungs; raised to P1, a ladder begins with its first rung and a page."""
    async with scene(database) as it:
        room = await it.declares("P3 a typo on the landing screen")
        await it.board(room, "none for this severity")
        await it.ana.types("/incident escalate", room)
        await it.ana.reads(room, "is P3 and has no ladder")
        await it.quiet()
        assert await rungs(it) == []
        assert it.pages() == []
        await it.ana.types("/incident severity P1 it is the price", room)
        await it.ana.reads(room, "Rung 1: On-Call Engineer")
        await it.entry(1, "paged")
        await it.ana.types("/incident severity P3 a joke after all", room)
        await it.board(room, "P3  a typo")
        await away(it, 120)
        await it.quiet()
        await climbed(it, 1)


@pytest.mark.parametrize(
    ("lower", "shown", "back"),
    [
        ("/incident severity P3 not so bad", "P3  checkout", "/incident severity P1 it is"),
        ("/incident status monitoring a fix is out", "the ladder stands still", "/incident status identified no"),
    ],
    ids=["P3", "monitoring"],
)
async def test_a_page_that_waits_for_pagerduty_is_withdrawn_and_comes_when_calling_goes_on(
    database: str, lower: str, shown: str, back: str
) -> None:
    """Nobody is called any more while PagerDuty is down: nothing leaves when it is back. Called again, they are paged once."""
    async with scene(database) as it:
        it.practice.pagerduty.faults.fail["POST /incidents"] = FaultSpec("http_503")
        room = await it.declares("P1 checkout is down")
        await it.board(room, "Page the on-call through PagerDuty* is late")
        await it.ana.types(lower, room)
        await it.board(room, shown)
        await it.gone(room, "Page the on-call through PagerDuty")
        await it.quiet()
        it.practice.pagerduty.faults.clear()
        # As they are that were under way when the others were withdrawn.
        await it.sql("update effect set state = 'waiting', due_at = now() where kind in ('page.open', 'page.proof')")
        await it.quiet()
        assert it.pages() == []
        assert await it.said(room, "No proof of page") == []
        await it.ana.types(back, room)
        await it.entry(1, "paged")
        await it.ana.picks_up()
        await it.proven(1)
        await it.quiet()
        assert len(it.pages()) == 1
        await climbed(it, 1)


async def test_the_page_of_what_was_corrected_to_p3_is_silenced_from_slack(database: str) -> None:
    """Paged as P1, then lowered: an acknowledgement stops the phone, and resolving ends the page."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        await it.entry(1, "paged")
        await it.ana.types("/incident severity P3 a joke after all", room)
        await it.board(room, "P3  checkout")
        await it.ana.types("/incident ack", room)
        await it.entry(1, "page_acked")
        assert [page.status for page in it.pages()] == ["acknowledged"]
        await it.ana.types("/incident resolve it was one", room)
        await it.entry(1, "page_resolved")
        assert [page.status for page in it.pages()] == ["resolved"]


async def test_resolved_nothing_climbs_and_nobody_is_told_any_more(database: str) -> None:
    """What is still owed of paging ends with the incident: no further rung, no second way."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        await it.ana.types("/incident resolve false alarm", room)
        await it.entry(1, "resolved")
        await away(it, 120)
        await it.sql("update effect set due_at = now() where kind in ('page.proof', 'ladder') and state = 'waiting'")
        await it.quiet()
        await climbed(it, 1)
        assert await it.said(room, "No proof of page") == []
