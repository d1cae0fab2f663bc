"""The engine on a real store: everything owed is done, once, in order, whatever fails around it."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from bot.clock import wall_clock
from bot.engine import GIVE_UP_AFTER, SWEEP_EVERY, Engine, Outcome, Performer
from bot.errors import Refused, Unavailable
from bot.owed import Effect
from bot.owed import owe as owe_of
from bot.rules import Case, Change
from bot.store import Store, Tx
from bot.timeline import Note, verify
from tests.store.engines import engine, eventually, performing, say, states
from tests.store.given import declared, opened, owe, row, sql


async def test_what_is_committed_is_done_at_once(database: str) -> None:
    """A look follows its own commit without waiting for a poll: twenty, one after the other, would wait for as many."""
    done: list[str] = []

    async def act(effect: Effect) -> None:
        done.append(effect.key)

    async with engine(database, performing(act)) as (store, _):
        began = time.monotonic()
        for n in range(20):
            await owe(store, "say", f"lane {n}", f"key {n}")
            await eventually(lambda n=n: len(done) == n + 1)  # type: ignore[misc]
        assert time.monotonic() - began < 8 * SWEEP_EVERY
        await eventually(lambda: states(database) == {"done": 20})


async def test_what_falls_due_is_done_then(database: str) -> None:
    """Not a moment before its instant, and soon after it."""
    begun: list[datetime] = []

    async def act(_effect: Effect) -> None:
        begun.append(wall_clock())

    async with engine(database, performing(act)) as (store, _):
        due = wall_clock() + timedelta(seconds=2)
        await owe(store, "page.open", "lane", "a", due_at=due)
        await eventually(lambda: bool(begun))
        assert timedelta(0) <= begun[0] - due < timedelta(seconds=5)


async def test_what_another_process_owes_is_found(database: str) -> None:
    """A row written by a process without an engine is done all the same: nobody has to call this one."""
    done: list[str] = []

    async def act(effect: Effect) -> None:
        done.append(effect.key)

    async with engine(database, performing(act)), opened(database, wall_clock) as other:
        await owe(other, "say", "lane", "a")
        await eventually(lambda: done == ["a"])


async def test_a_lane_goes_on_after_an_outage_of_its_neighbour(database: str) -> None:
    """Unavailable is tried again, as a repetition that knows why; what stands behind it in its lane waits, others do not."""
    tried: list[tuple[str, int, str | None]] = []

    async def act(effect: Effect) -> None:
        tried.append((effect.key, effect.attempts, effect.error))
        if effect.key == "a" and effect.attempts == 1:
            raise Unavailable("Slack does not answer")

    async with engine(database, performing(act)) as (store, replica):
        async with store.tx() as tx:
            for lane, key in (("x", "a"), ("x", "b"), ("y", "c")):
                await say(tx, lane, key)
        await eventually(lambda: states(database) == {"done": 3})
        assert [t for t in tried if t[0] != "c"] == [("a", 1, None), ("a", 2, "Slack does not answer"), ("b", 1, None)]
        assert [t[0] for t in tried].index("c") < 2 + 1
        assert replica.health()["slack"] == "ok"


async def quiet(store: Store, database: str) -> Case:
    """An incident of which nothing is owed yet."""
    case = await declared(store)
    sql(database, "update effect set state = 'dropped'")
    return case.with_(room="C1", board_ts="1.0")


async def test_a_refusal_is_final_and_written_down(database: str) -> None:
    """A clear no fails the effect at once, is an entry of the timeline and is shown on the board; the lane goes on."""
    seen: list[str] = []

    async def act(effect: Effect) -> None:
        seen.append(effect.key)
        if effect.kind == "room.pin":
            raise Refused("Slack says not_pinnable", "not_pinnable")

    async with opened(database, wall_clock) as first:
        case = await quiet(first, database)
        async with first.tx() as tx:
            await tx.apply(
                Change(case, owed=(owe_of(case.incident, "room.pin", "pin"), owe_of(case.incident, "room.pin", "pin2")))
            )
    async with engine(database, performing(act)) as (store, _):
        await eventually(lambda: states(database)["failed"] == 2)
        async with store.tx() as tx:
            entries = await tx.entries(1)
        assert [(e.kind, e.text) for e in entries[-2:]] == [
            ("effect_failed", "Pin the board: Slack says not_pinnable")
        ] * 2
        assert verify(entries).holds
        assert row(database, "INC-1/pin")["attempts"] == 1
        await eventually(lambda: "INC-1/board" in seen)


async def test_the_board_forgets_a_trouble_that_is_over(database: str) -> None:
    """When something that was late is done after all, the board is drawn again, without it."""
    drawn: list[int] = []
    stores: list[Store] = []

    async def act(effect: Effect) -> None:
        if effect.kind == "board":
            async with stores[0].tx() as tx:
                drawn.append(len(await tx.troubled(1)))

    async with opened(database, wall_clock) as first:
        case = await quiet(first, database)
        async with first.tx() as tx:
            await tx.apply(Change(case, owed=(owe_of(case.incident, "room.describe", "topic"),)))
    sql(database, "update effect set attempts = 1, error = 'down', begun_at = now() where key = 'INC-1/topic'")
    async with opened(database, wall_clock) as store:
        stores.append(store)
        replica = Engine(store, performing(act), wall_clock, "one")
        await replica.start()
        await eventually(lambda: row(database, "INC-1/topic")["state"] == "done")
        await eventually(lambda: bool(drawn))
        assert drawn == [0]
        await replica.stop()


async def test_a_bug_stops_neither_lane_nor_neighbours(database: str, caplog: pytest.LogCaptureFixture) -> None:
    """An error of ours is logged and tried again; the others are done meanwhile; in the end it fails and its lane goes on."""
    done: list[str] = []

    async def act(effect: Effect) -> None:
        if effect.key == "bug":
            raise ZeroDivisionError
        done.append(effect.key)

    async with engine(database, performing(act)) as (store, _):
        async with store.tx() as tx:
            for lane, key in (("x", "bug"), ("x", "behind"), ("y", "beside")):
                await say(tx, lane, key)
        await eventually(lambda: done == ["beside"] and row(database, "bug")["error"] is not None)
        assert row(database, "bug")["error"] == "internal error (ZeroDivisionError); the log says more"
        assert row(database, "bug")["state"] in ("waiting", "doing")
        sql(database, "update effect set attempts = %s where key = 'bug'", GIVE_UP_AFTER)
        await eventually(lambda: "behind" in done)
        assert row(database, "bug")["state"] == "failed"
    assert "went wrong" in caplog.text


async def test_what_has_a_deadline_of_its_own_has_no_other(database: str) -> None:
    """A call that hangs is cut off and tried again; a run, a plan and a look, begun before it, take what they allow themselves."""
    own = {"run", "run.plan", "observe"}
    begun: list[str] = []
    go_on = asyncio.Event()

    async def act(effect: Effect) -> None:
        begun.append(effect.kind)
        await go_on.wait()

    async with opened(database, wall_clock) as store:
        replica = Engine(store, performing(act), wall_clock, "one", deadline=0.2)
        await replica.start()
        for kind in own:
            await owe(store, kind, kind, kind)
        await eventually(lambda: set(begun) == own)
        await owe(store, "say", "say", "say")
        await eventually(lambda: row(database, "say")["error"] == "no answer in time")
        go_on.set()
        await eventually(lambda: states(database) == {"done": 4})
        await replica.stop()
    assert {kind for kind in own if begun.count(kind) == 1} == own


async def test_an_unknown_kind_is_a_bug_not_a_crash(database: str) -> None:
    """A row of a newer version, which nobody here can do, is tried again and hurts nobody."""
    done: list[str] = []

    async def say(effect: Effect, _case: Case | None) -> Outcome:
        done.append(effect.key)
        return Outcome()

    async with engine(database, {"say": say}) as (store, _):
        await owe(store, "to.come", "x", "a")
        await owe(store, "say", "y", "b")
        await eventually(lambda: done == ["b"] and "KeyError" in str(row(database, "a")["error"]))


async def test_what_is_decided_is_decided_on_the_newest_state(database: str) -> None:
    """Twenty effects of one incident end at the same time: each decides on the locked row, and every entry is there."""

    async def act(_effect: Effect, _case: Case | None) -> Outcome:
        async def settle(fresh: Case, _tx: Tx) -> Change:
            return Change(fresh, (Note("note", f"after {len(fresh.incident.acks)}"),))

        return Outcome({"n": 1}, settle)

    async with opened(database, wall_clock) as first:
        case = await quiet(first, database)
        async with first.tx() as tx:
            await tx.apply(
                Change(
                    case, owed=tuple(owe_of(case.incident, "assess", f"assess/{n}", lane=f"l{n}") for n in range(20))
                )
            )
    async with engine(database, defaultdict(lambda: act)) as (store, _):
        await eventually(lambda: states(database)["done"] == 20)
        async with store.tx() as tx:
            entries = await tx.entries(1)
        assert len([e for e in entries if e.kind == "note"]) == 20
        assert verify(entries).holds


async def test_what_was_taken_over_meanwhile_is_not_written(database: str) -> None:
    """A replica that was given up while it worked may not write its outcome: neither the row nor the timeline."""
    stores: list[Store] = []

    async def act(effect: Effect, _case: Case | None) -> Outcome:
        async with stores[0].tx() as tx:
            await tx._conn.execute("update effect set holder = 999 where id = %s", [effect.id])  # noqa: SLF001  as another replica would

        async def settle(fresh: Case, _tx: Tx) -> Change:
            return Change(fresh, (Note("note", "must not be there"),))

        return Outcome(settle=settle)

    async with opened(database, wall_clock) as store:
        case = await quiet(store, database)
        sql(
            database,
            "insert into replica (id, beat_at, name) overriding system value values (999, now() + interval '1 h', 'x')",
        )
        stores.append(store)
        replica = Engine(store, {"assess": act}, wall_clock, "one")
        await replica.start()
        async with store.tx() as tx:
            await tx.apply(Change(case, owed=(owe_of(case.incident, "assess", "assess/1"),)))
        await eventually(lambda: row(database, "INC-1/assess/1")["holder"] == 999)
        await replica.stop()
        assert row(database, "INC-1/assess/1")["state"] == "doing"
        async with store.tx() as tx:
            assert not [e for e in await tx.entries(1) if e.kind == "note"]


async def test_two_replicas_share_the_work(database: str) -> None:
    """Forty lanes, two engines: each effect is done once, and neither replica does it all."""
    done: list[tuple[str, str]] = []
    both = asyncio.Event()

    def by(name: str) -> Mapping[str, Performer]:
        async def act(effect: Effect) -> None:
            done.append((name, effect.key))
            if len({who for who, _ in done}) == 2:
                both.set()
            await both.wait()

        return performing(act)

    async with engine(database, by("one"), "one") as (store, _), engine(database, by("two"), "two"):
        async with store.tx() as tx:
            for n in range(40):
                await say(tx, f"lane {n}", f"key {n}")
        await eventually(lambda: states(database) == {"done": 40})
    assert Counter(key for _, key in done) == Counter(f"key {n}" for n in range(40))


async def test_stopping_lets_what_is_under_way_end(database: str) -> None:
    """What was begun is finished and written down; what was not begun stays for the next one."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    done: list[str] = []

    async def act(effect: Effect) -> None:
        begun.set()
        await go_on.wait()
        done.append(effect.key)

    async with opened(database, wall_clock) as store:
        replica = Engine(store, performing(act), wall_clock, "one")
        await replica.start()
        await owe(store, "say", "lane", "a")
        await owe(store, "say", "lane", "b")
        async with asyncio.timeout(40):
            await begun.wait()
        stopping = asyncio.create_task(replica.stop())
        await asyncio.sleep(0)
        go_on.set()
        await stopping
        assert done == ["a"]
        assert (row(database, "a")["state"], row(database, "b")["state"]) == ("done", "waiting")
        assert sql(database, "select count(*) from replica") == [(0,)]


async def test_what_does_not_end_in_time_is_left_to_the_others(database: str) -> None:
    """Past the drain a hanging effect is cut off; since the replica signed off, the next one has it at once, as a repetition."""
    begun = asyncio.Event()
    seen: list[bool] = []

    async def hang(_effect: Effect) -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    async def act(effect: Effect) -> None:
        seen.append(effect.repeated)

    async with opened(database, wall_clock) as store:
        replica = Engine(store, performing(hang), wall_clock, "one")
        await replica.start()
        await owe(store, "say", "lane", "a")
        async with asyncio.timeout(40):
            await begun.wait()
        await replica.stop(drain=0.05)
        assert row(database, "a")["state"] == "doing"
        assert sql(database, "select count(*) from replica") == [(0,)], "nobody waits until it is stale"
    async with engine(database, performing(act), "two"):
        await eventually(lambda: seen == [True])
