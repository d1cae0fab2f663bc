"""What is owed, in the store: claimed by one, in order, again when asked, freed when its replica dies."""

import asyncio
from datetime import timedelta

import pytest

from bot import owed
from bot.owed import NEVER
from bot.store import Lanes
from tests.store.given import Clock, claim, declared, finish, opened, owe, row, sql, take
from tests.unit.given import NOW


async def test_only_one_claims(database: str) -> None:
    """Twenty replicas reach for one effect at once: one has it, nobody waits for it."""
    async with opened(database, Clock()) as one, opened(database, Clock()) as two:
        await owe(one, "say", "lane", "a")
        found = await asyncio.gather(*(claim((one, two)[n % 2], "lane", n + 1) for n in range(20)))
        assert len([effect for effect in found if effect is not None]) == 1
        assert row(database, "a")["attempts"] == 1


async def test_a_lane_is_done_in_order(database: str) -> None:
    """The second waits for the first to end, also when the first is late or being done by another replica."""
    clock = Clock()
    async with opened(database, clock) as store:
        await owe(store, "say", "lane", "a", due_at=NOW + timedelta(seconds=5))
        await owe(store, "say", "lane", "b")
        await owe(store, "say", "other", "c")
        assert await claim(store, "lane") is None
        assert (await take(store, "other")).key == "c"
        clock.go(5)
        first = await take(store, "lane")
        assert first.key == "a"
        assert await claim(store, "lane", 2) is None
        assert await finish(store, first)
        assert (await take(store, "lane", 2)).key == "b"


@pytest.mark.parametrize("end", ["failed", "dropped"])
async def test_a_failed_head_blocks_nobody(database: str, end: str) -> None:
    """What failed for good, or is not wanted any more, lets the rest of its lane go on."""
    async with opened(database, Clock()) as store:
        case = await declared(store)
        number, lane = case.incident.number, "lane"
        await owe(store, "note", lane, "a", incident=number)
        await owe(store, "note", lane, "b")
        if end == "failed":
            first = await take(store, lane)
            async with store.tx() as tx:
                assert await tx.fail(first, 1, "no")
        else:
            sql(database, "update effect set state = 'dropped' where key = 'a'")
        assert (await take(store, lane)).key == "b"


async def test_nothing_is_claimed_before_its_instant(database: str) -> None:
    """Early is a bug, by a microsecond too."""
    clock = Clock()
    async with opened(database, clock) as store:
        await owe(store, "say", "lane", "a", due_at=NOW + timedelta(seconds=1))
        clock.now = NOW + timedelta(microseconds=999_999)
        assert await claim(store, "lane") is None
        clock.now = NOW + timedelta(seconds=1)
        assert (await take(store, "lane")).due_at == clock.now


async def test_the_same_key_is_owed_once(database: str) -> None:
    """Asked for twice, it is one row: as it was first said, done or not."""
    async with opened(database, Clock()) as store:
        await owe(store, "say", "lane", "a", args={"n": 1})
        await owe(store, "say", "lane", "a", args={"n": 2})
        effect = await take(store, "lane")
        assert effect.args == {"n": 1}
        await finish(store, effect)
        await owe(store, "say", "lane", "a")
        assert await claim(store, "lane") is None


async def test_what_was_dropped_can_be_owed_again(database: str) -> None:
    """Withdrawn and asked for again, it is one row as it was first said, which knows that it may have been done before."""
    async with opened(database, clock := Clock()) as store:
        number = (await declared(store)).incident.number
        await owe(store, "tell", "lane", "a", args={"n": 1}, incident=number)
        for tries in (1, 2):
            async with store.tx() as tx:
                await tx.postpone(await take(store, "lane"), 1, clock.now, "Slack does not answer")
                await tx.do("drop_kinds", incident=number, kinds=["tell"], now=tx.now)
            assert await claim(store, "lane") is None
            clock.go(1)
            await owe(store, "tell", "lane", "a", args={"n": 2}, incident=number)
            found = row(database, "a")
            assert (found["state"], found["attempts"], found["args"], found["error"]) == (
                "waiting",
                tries,
                {"n": 1},
                None,
            )


async def test_what_is_dropped_at_its_turn_was_not_tried(database: str) -> None:
    """Found not to be wanted when it was claimed, it counts no try, blocks nobody, and can be owed again."""
    async with opened(database, Clock()) as store:
        await owe(store, "tell", "lane", "a")
        await owe(store, "tell", "lane", "b")
        assert await finish(store, await take(store, "lane"), dropped=True)
        assert (row(database, "a")["state"], row(database, "a")["attempts"]) == ("dropped", 0)
        assert (await take(store, "lane")).key == "b"
        await owe(store, "tell", "lane", "a")
        assert row(database, "a")["state"] == "waiting"


async def test_a_try_that_failed_is_repeated_and_knows_it(database: str) -> None:
    """A postponed effect comes back at its instant, as a repetition that remembers when it first began."""
    clock = Clock()
    async with opened(database, clock) as store:
        await owe(store, "say", "lane", "a")
        first = await take(store, "lane")
        assert (first.attempts, first.repeated, first.begun_at) == (1, False, NOW)
        async with store.tx() as tx:
            await tx.postpone(first, 1, NOW + timedelta(seconds=2), "Slack does not answer")
        assert await claim(store, "lane") is None
        clock.go(2)
        again = await take(store, "lane")
        assert (again.attempts, again.repeated, again.begun_at) == (2, True, NOW)
        assert again.error == "Slack does not answer"


async def test_a_try_that_never_began_is_no_repetition(database: str) -> None:
    """Turned away before anything could happen (429): the next try has nothing to read back."""
    async with opened(database, clock := Clock()) as store:
        await owe(store, "say", "lane", "a")
        async with store.tx() as tx:
            await tx.postpone(await take(store, "lane"), 1, NOW, "ratelimited", untried=True)
        clock.go(1)
        again = await take(store, "lane")
        assert (again.attempts, again.repeated, again.begun_at) == (1, False, clock.now)


async def test_only_the_holder_ends_it(database: str) -> None:
    """A replica that lost an effect can neither finish nor postpone nor fail it."""
    async with opened(database, Clock()) as store:
        await owe(store, "say", "lane", "a")
        effect = await take(store, "lane", 1)
        async with store.tx() as tx:
            assert not await tx.finish(effect, 2)
            assert not await tx.fail(effect, 2, "x")
            await tx.postpone(effect, 2, NOW, "x")
        assert row(database, "a")["state"] == "doing"
        assert await finish(store, effect, 1)
        assert not await finish(store, effect, 1)


async def test_a_standing_row_asked_for_while_it_is_done_is_done_again(database: str) -> None:
    """What changed while the board was being drawn is drawn after it, with the newest arguments."""
    clock = Clock()
    async with opened(database, clock) as store:
        await owe(store, "board", "board", "b", standing=True)
        effect = await take(store, "board")
        await owe(store, "board", "board", "b", standing=True, args={"n": 2})
        assert row(database, "b")["state"] == "doing"
        assert await claim(store, "board") is None
        await finish(store, effect)
        assert await claim(store, "board") is None
        clock.go(1)
        assert (await take(store, "board")).args == {"n": 2}


async def test_the_board_is_edited_at_most_once_a_second(database: str) -> None:
    """However often it is asked for, two drawings are a second apart; the first is at once, the last is never lost."""
    clock = Clock()
    drawn = []
    async with opened(database, clock) as store:
        for _ in range(35):
            await owe(store, "board", "board", "b", standing=True)
            effect = await claim(store, "board")
            if effect is not None:
                drawn.append(clock.now)
                await finish(store, effect)
            clock.go(0.1)
        assert [(at - NOW).total_seconds() for at in drawn] == [0, 1, 2, 3]
        assert row(database, "b")["due_at"] == NOW + timedelta(seconds=4)


async def test_asking_again_never_undoes_a_retry_that_waits(database: str) -> None:
    """While Slack is down, news about the incident do not make the board's retries come faster."""
    clock = Clock()
    async with opened(database, clock) as store:
        await owe(store, "board", "board", "b", standing=True)
        async with store.tx() as tx:
            await tx.postpone(await take(store, "board"), 1, NOW + timedelta(seconds=15), "down")
        clock.go(2)
        await owe(store, "board", "board", "b", standing=True)
        assert row(database, "b")["due_at"] == NOW + timedelta(seconds=15)


async def test_a_look_that_is_due_later_comes_forward(database: str) -> None:
    """A board that would redraw itself in a minute is drawn now when something happened."""
    clock = Clock()
    async with opened(database, clock) as store:
        await owe(store, "board", "board", "b", standing=True)
        await finish(store, await take(store, "board"), again_at=NOW + timedelta(seconds=60))
        clock.go(5)
        await owe(store, "board", "board", "b", standing=True)
        assert (await take(store, "board")).attempts == 1


async def test_the_ladder_keeps_the_instant_it_was_given_last(database: str) -> None:
    """A hold moves the next rung back, and its wake-up with it: earlier, later and never."""
    async with opened(database, Clock()) as store:
        for minutes in (15, 30, 10):
            await owe(store, "ladder", "ladder", "l", standing=True, due_at=NOW + timedelta(minutes=minutes))
            assert row(database, "l")["due_at"] == NOW + timedelta(minutes=minutes)
        await owe(store, "ladder", "ladder", "l", standing=True, due_at=NEVER)
        assert row(database, "l")["due_at"] == NEVER


async def test_what_waits_for_the_room_is_released_with_it(database: str) -> None:
    """Parked rows have no wake-up and are never due; the room makes exactly its own due, at once."""
    clock = Clock()
    looked: Lanes = {}
    async with opened(database, clock) as store:
        case = await declared(store)
        number = case.incident.number
        parked = {r[0] for r in sql(database, "select kind from effect where due_at = %s", NEVER)}
        assert parked == {"board", "room.describe", "room.invite", "room.bookmarks", "say"}
        store.on_commit = looked.update
        async with store.tx() as tx:
            await tx.unpark(number, owed.NEEDS_ROOM)
        assert set(looked) == {
            f"INC-{number}/{lane}"
            for lane in ("board", "room.describe", "room.invite", "room.invite/responders/1", "room.bookmarks")
        }
        assert sql(database, "select kind from effect where due_at = %s", NEVER) == [("say",)]
        async with store.tx() as tx:
            await tx.unpark(number, owed.NEEDS_BOARD)
        assert sql(database, "select count(*) from effect where due_at = %s", NEVER) == [(0,)]


async def test_a_click_is_settled_once(database: str) -> None:
    """In the transaction of what it changed; a second time, or one that nobody is doing, settles nothing."""
    async with opened(database, Clock()) as store:
        await owe(store, "intake.command", "c", "c", args={"body": {"text": "hunter2"}})
        async with store.tx() as tx:
            assert not await tx.settle("c")
        effect = await take(store, "c")
        async with store.tx() as tx:
            assert await tx.settle("c")
            assert not await tx.settle("c")
        assert (row(database, "c")["state"], row(database, "c")["args"]) == ("done", {})
        assert not await finish(store, effect)


async def test_a_finished_click_is_forgotten_but_known(database: str) -> None:
    """Its body is not kept; its key is, so that a redelivery finds it done; after two weeks the row goes."""
    async with opened(database, clock := Clock()) as store:
        await owe(store, "intake.event", "e", "e", args={"body": {"event_id": "Ev1"}})
        await finish(store, await take(store, "e"))
        assert row(database, "e")["args"] == {}
        await owe(store, "intake.event", "e", "e", args={"body": {"event_id": "Ev1"}})
        assert await claim(store, "e") is None
        async with store.tx() as tx:
            assert await tx.forget_done(NOW) == 0
            assert await tx.forget_done(clock.now + timedelta(seconds=1)) == 1


async def test_failed_calls_are_tried_again_on_demand(database: str) -> None:
    """Retry takes one or all of what failed or is late, and each comes back as a repetition, now."""
    clock = Clock()
    async with opened(database, clock) as store:
        number = (await declared(store)).incident.number
        for key in ("a", "b", "c"):
            await owe(store, "note", key, key, incident=number)
            effect = await take(store, key)
            async with store.tx() as tx:
                if key == "c":
                    await tx.postpone(effect, 1, NOW + timedelta(minutes=9), "down")
                else:
                    await tx.fail(effect, 1, "no")
        async with store.tx() as tx:
            assert [(e.key, e.error) for e in await tx.troubled(number)] == [("a", "no"), ("b", "no"), ("c", "down")]
            assert await tx.retry(number, effect_id=int(row(database, "a")["id"])) == 1
            assert await tx.retry(number, None) == 3
        assert all([(await take(store, key)).repeated for key in ("a", "b", "c")])
        async with store.tx() as tx:
            assert await tx.retry(number, None) == 0


async def test_what_is_not_wanted_any_more_is_dropped(database: str) -> None:
    """Waiting and failed calls of the kinds go; one that is under way is left to end; other incidents are not touched."""
    async with opened(database, Clock()) as store:
        number = (await declared(store)).incident.number
        other = (await declared(store, "command/2")).incident.number
        for key, incident in (("waiting", number), ("doing", number), ("theirs", other)):
            await owe(store, "tell", key, key, incident=incident)
        await take(store, "doing")
        async with store.tx() as tx:
            await tx.do("drop_kinds", incident=number, kinds=["tell"], now=tx.now)
        assert [row(database, key)["state"] for key in ("waiting", "doing", "theirs")] == [
            "dropped",
            "doing",
            "waiting",
        ]
