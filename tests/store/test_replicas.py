"""Who does it, and when it is looked at: replicas, orphans, wake-ups."""

import asyncio
from datetime import timedelta

import pytest

from bot import owed
from bot.owed import NEVER
from bot.store import Lanes
from tests.store.given import Clock, declared, finish, opened, owe, row, sql, take
from tests.unit.given import NOW

STALE = timedelta(minutes=10)  # real ones: who is to be alive stays so, however slow the machine is


async def test_what_a_dead_replica_held_is_taken_over(database: str) -> None:
    """A replica that has not beaten for the stale time loses what it held, with a repetition; a living one keeps it."""
    async with opened(database, Clock()) as store:
        async with store.tx() as tx:
            dead, alive = await tx.join_replicas("dead"), await tx.join_replicas("alive")
        await owe(store, "say", "a", "a")
        await owe(store, "say", "b", "b")
        await take(store, "a", dead)
        await take(store, "b", alive)
        sql(database, "update replica set beat_at = now() - interval '11 min' where id = %s", dead)
        looked: Lanes = {}
        store.on_commit = looked.update
        async with store.tx() as tx:
            assert await tx.take_over(STALE) == 1
        assert looked == {"a": "normal"}
        assert (await take(store, "a", alive)).repeated
        async with store.tx() as tx:
            assert await tx.take_over(STALE) == 0


async def test_a_take_over_waits_for_nobody(database: str) -> None:
    """A row that somebody is writing is left for the next sweep: two who write many rows never wait in a circle."""
    async with opened(database, Clock()) as store:
        async with store.tx() as tx:
            gone = await tx.join_replicas("gone")
        for name in ("a", "b"):
            await owe(store, "say", name, name)
            await take(store, name, gone)
        sql(database, "delete from replica")
        async with store.tx() as writing:
            await writing.settle("a")
            async with asyncio.timeout(40), store.tx() as tx:
                assert await tx.take_over(STALE) == 1
        assert (row(database, "a")["state"], row(database, "b")["state"]) == ("done", "waiting")


async def test_who_left_leaves_everything(database: str) -> None:
    """What a replica still holds when it signs off is free at the next look of another."""
    async with opened(database, Clock()) as store:
        async with store.tx() as tx:
            gone = await tx.join_replicas("gone")
        await owe(store, "say", "a", "a")
        await take(store, "a", gone)
        async with store.tx() as tx:
            await tx.leave_replicas(gone)
        async with store.tx() as tx:
            assert await tx.take_over(STALE) == 1


async def test_a_replica_that_was_buried_knows_it(database: str) -> None:
    """A beat of a replica that the others gave up finds nothing to beat, so that it joins anew."""
    async with opened(database, Clock()) as store:
        async with store.tx() as tx:
            frozen = await tx.join_replicas("frozen")
            assert await tx.beat(frozen, STALE) == STALE.total_seconds()
        sql(database, "delete from replica")
        async with store.tx() as tx:
            assert await tx.beat(frozen, STALE) is None


async def test_a_beat_tells_when_the_next_one_may_be_dead(database: str) -> None:
    """Of those that still count as alive, the one that has been silent for longest; who is dead already does not matter."""
    hour = timedelta(hours=1)
    async with opened(database, Clock()) as store:
        async with store.tx() as tx:
            mine, silent, dead = [await tx.join_replicas(name) for name in ("mine", "silent", "dead")]
        sql(database, "update replica set beat_at = now() - interval '50 min' where id = %s", silent)
        sql(database, "update replica set beat_at = now() - interval '70 min' where id = %s", dead)
        async with store.tx() as tx:
            seconds = await tx.beat(mine, hour)
        assert seconds is not None
        assert 0 < seconds <= 600
        sql(database, "delete from replica where id = %s", silent)
        async with store.tx() as tx:
            assert await tx.beat(mine, hour) == hour.total_seconds()


async def test_orphans_are_released_by_their_own_replica(database: str) -> None:
    """What this replica holds and does not do is freed; what another holds stays."""
    async with opened(database, Clock()) as store:
        await owe(store, "say", "a", "a")
        await owe(store, "say", "b", "b")
        mine, theirs = await take(store, "a", 1), await take(store, "b", 2)
        async with store.tx() as tx:
            assert await tx.held_by(1) == {mine.id}
            await tx.release([mine.id, theirs.id], 1)
        assert (await take(store, "a", 2)).repeated
        assert row(database, "b")["holder"] == 2


async def test_every_due_row_has_a_wake_up(database: str) -> None:
    """A wake-up is in the job table, in the same transaction, once for a lane and an instant, on the queue of its kind."""
    async with opened(database, Clock()) as store:
        looked: Lanes = {}
        store.on_commit = looked.update
        later = NOW + timedelta(minutes=15)
        await owe(store, "page.open", "page", "p1")
        await owe(store, "page.open", "page", "p2")
        await owe(store, "ladder", "ladder", "l", due_at=later)
        await owe(store, "board", "board", "b", due_at=NEVER)
        jobs = sql(
            database,
            "select queue_name, args ->> 'lane', scheduled_at from procrastinate_jobs where status = 'todo' order by id",
        )
        second = timedelta(seconds=1)
        assert jobs == [("urgent", "page", NOW + second), ("urgent", "ladder", later + second)]
        assert looked == {"page": "urgent"}


async def test_what_is_rolled_back_wakes_nobody(database: str) -> None:
    """A transaction that ends in an error leaves no row, no wake-up and no look."""
    looked: Lanes = {}
    async with opened(database, Clock()) as store:
        store.on_commit = looked.update

        async def fails() -> None:
            async with store.tx() as tx:
                await tx.owe(owed.Owed("say", "say", "s"))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fails()
    assert sql(database, "select (select count(*) from effect) + (select count(*) from procrastinate_jobs)") == [(0,)]
    assert looked == {}


async def test_what_falls_due_soon_is_seen(database: str) -> None:
    """The look ahead gives due and nearly due lanes, the overdue ones as due now, and nothing of what is far or under way."""
    clock = Clock()
    async with opened(database, clock) as store:
        await owe(store, "say", "over", "o", due_at=NOW - timedelta(hours=1))
        await owe(store, "say", "soon", "s", due_at=NOW + timedelta(seconds=1))
        await owe(store, "say", "far", "f", due_at=NOW + timedelta(seconds=60))
        await owe(store, "say", "doing", "d")
        await take(store, "doing")
        async with store.tx() as tx:
            soon = await tx.due_soon(NOW + timedelta(seconds=1.5))
            assert [(d.lane, d.due_at) for d in soon] == [("over", NOW), ("soon", NOW + timedelta(seconds=1))]
            assert ("say", "doing", 1) in await tx.owed_counts()


async def test_our_own_deeds_are_recognised_by_their_time(database: str) -> None:
    """An acknowledgement heard from the pager while ours was under way is our own echo; later it is somebody's."""
    clock = Clock()
    async with opened(database, clock) as store:
        number = (await declared(store)).incident.number
        await owe(store, "page.ack", "page", "ack", incident=number)
        async with store.tx() as tx:
            assert not await tx.touched_between(number, ["page.ack"], clock.now)
        sql(database, "update effect set state = 'done', done_at = %s where lane <> 'page'", NOW)
        effect = await take(store, "page")
        clock.go(2)
        await finish(store, effect)
        async with store.tx() as tx:
            found = [
                await tx.touched_between(number, ["page.ack"], NOW + timedelta(seconds=s)) for s in (-6, -4, 1, 6, 8)
            ]
        assert found == [False, True, True, True, False]
