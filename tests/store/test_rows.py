"""What is written: a declaration once, the timeline for ever, readings, pins, the case as it was."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bot.assessment import LAST_SEEN, Reading
from bot.declaring import declare
from bot.errors import ConfigError, NotFound, StoreUnavailable
from bot.escalation import acknowledge, climb, hold
from bot.incident import Ack, Impact, Page, Role
from bot.lifecycle import note, reopen, resolve
from bot.rules import Case, Change
from bot.store import Store, TakenOver
from bot.timeline import Note, verify
from tests.store.given import Clock, declared, opened, sql
from tests.unit.given import ANA, BEN, MINUTE, NOW, rules, said

RULES = rules()


async def read(store: Store, number: int = 1) -> Case:
    async with store.tx() as tx:
        return await tx.case(number, lock=False)


async def test_a_case_is_read_as_it_was_written(database: str) -> None:
    """Every field of an incident, its ladder and its hold survives the store, instants to the microsecond."""
    clock = Clock(NOW + timedelta(microseconds=123456))
    async with opened(database, clock) as store:
        case = await declared(store, seen="500s\n\teverywhere é", private=True)
        assert await read(store) == case
        case = case.with_(
            roles={Role.SCRIBE: BEN}, acks=(Ack(ANA, clock.now, "slack"),), announced=("C1", "1.2"),
            impact={"api": Impact(NOW, NOW + MINUTE, seen=True), "db": Impact(NOW)}, room="C2", room_state="open", board_ts="3.4",
            pages={1: Page("P1", "https://p")}, proofs={"1/1": clock.now, "1/2": None},
        )  # fmt: skip
        case = hold(case, ANA, 15 * MINUTE, "why", RULES, clock.now).case
        async with store.tx() as tx:
            await tx.apply(Change(case))
        assert await read(store) == case
        late = climb(case, RULES, NOW + 90 * MINUTE)
        async with store.tx() as tx:
            await tx.apply(late)
        assert await read(store) == late.case


async def test_a_reopened_incident_has_the_ladder_of_its_round(database: str) -> None:
    """The rungs of the first round stay as they were; what is read is the running round."""
    clock = Clock()
    async with opened(database, clock) as store:
        case = await declared(store)
        for change in (over := resolve(case, ANA, "", RULES, NOW), reopen(over.case, ANA, "x", RULES, NOW + MINUTE)):
            async with store.tx() as tx:
                await tx.apply(change)
        assert await read(store) == change.case
        assert sql(database, "select round, count(*) from rung group by round order by round") == [(1, 4), (2, 4)]


async def test_the_timeline_can_only_grow(database: str) -> None:
    """Neither update nor delete nor truncate, not even for the owner of the table."""
    async with opened(database, Clock()) as store:
        await declared(store)
    for statement in ("update timeline set text = 'x'", "delete from timeline", "truncate timeline",
                      "update timeline set text = text where false", "delete from incident"):  # fmt: skip
        with pytest.raises(psycopg.Error) as refusal:
            sql(database, statement)
        assert "append-only" in str(refusal.value) or "violates foreign key" in str(refusal.value)


async def test_the_timeline_is_a_chain_that_holds(database: str) -> None:
    """Entries of many transactions, side by side, are numbered without a gap, linked, and their head is kept."""
    async with opened(database, Clock()) as store:
        await declared(store)

        async def write(text: str) -> None:
            async with store.tx() as tx:
                await tx.record(
                    await tx.case(1), Note("note", text, "U0ANA", "Ana Ortiz", {"é": [1, None, True], "a": {"b": "&"}})
                )

        await asyncio.gather(*(write(f"note {n} é \n &") for n in range(20)))
        async with store.tx() as tx:
            entries, head = await tx.entries(1), await tx.timeline_head(1)
        verdict = verify(entries)
        assert verdict.holds
        assert (verdict.entries, verdict.head) == head
        assert len(entries) == 2 + 20


async def test_a_secret_never_reaches_the_timeline(database: str) -> None:
    """Text and data of an entry are redacted before they are hashed and kept."""
    async with opened(database, Clock(), lambda text: text.replace("hunter2", "[hidden]")) as store:
        case = await declared(store)
        async with store.tx() as tx:
            await tx.apply(note(await tx.case(1), "the password is hunter2", ANA, NOW))
            await tx.record(case, Note("rung", "x", data={"reason": "hunter2", "level": 2}))
        async with store.tx() as tx:
            entries = await tx.entries(1)
    assert [e.text for e in entries[-2:]] == ["the password is [hidden]", "x"]
    assert entries[-1].data == {"reason": "[hidden]", "level": 2}
    assert verify(entries).holds


async def test_one_declaration_is_one_incident(database: str) -> None:
    """Two transactions that declare by the same key in the same instant: one of them wins, the other finds it."""
    async with opened(database, Clock()) as one, opened(database, Clock()) as two:

        async def declare_once(store: Store) -> int:
            async with store.tx() as tx:
                await tx.begin_declaring()
                standing = await tx.declared_as("command/1")
                if standing is not None:
                    return standing
                change = declare(await tx.next_number(), said(), RULES, tx.now)
                await tx.create(change)
                return change.case.incident.number

        numbers = await asyncio.gather(*(declare_once(store) for store in (one, two) * 5))
        assert len(set(numbers)) == 1
        assert sql(database, "select count(*) from incident") == [(1,)]


async def test_a_declaration_is_unique_without_the_lock_too(database: str) -> None:
    """The table itself refuses a second incident of one declaration, and a second room of one name."""
    async with opened(database, Clock()) as store:
        await declared(store)
        with pytest.raises(psycopg.errors.UniqueViolation):
            await declared(store)
        assert sql(database, "select count(*) from incident") == [(1,)]


async def test_what_was_taken_over_is_written_nowhere(database: str) -> None:
    """TakenOver inside a transaction leaves no trace, and no lane is looked at."""
    looked: list[object] = []
    async with opened(database, Clock()) as store:
        store.on_commit = looked.append

        async def overtaken() -> None:
            async with store.tx() as tx:
                await tx.create(declare(await tx.next_number(), said(), RULES, tx.now))
                raise TakenOver

        await overtaken()
        assert sql(database, "select count(*) from incident") == [(0,)]
        assert looked == []


async def test_an_unknown_incident_is_a_sentence(database: str) -> None:
    """A number nobody has leads to the list."""
    async with opened(database, Clock()) as store, store.tx() as tx:
        with pytest.raises(NotFound, match=r"There is no INC-9\. `/incident list` shows the open ones\."):
            await tx.case(9)
        with pytest.raises(NotFound, match=r"There is no INC-9\."):
            await tx.timeline_head(9)


async def test_an_absent_server_is_unavailable() -> None:
    """No connection means StoreUnavailable, with no address and no password in it."""
    store = Store("host=127.0.0.1 port=1 user=u password=hunter2 connect_timeout=1", Clock())
    store.pool.timeout = 0.2
    try:
        with pytest.raises(StoreUnavailable, match="the store does not answer") as error:
            await store.open()
        assert "hunter2" not in str(error.value)
    finally:
        await store.close()


async def test_a_server_that_vanished_is_noticed(database: str) -> None:
    """Every link to the store has deadlines, whoever opens it; those that the operator's own address sets stay."""
    ours = {
        "connect_timeout": "5", "keepalives": "1", "keepalives_idle": "5", "keepalives_interval": "2",
        "keepalives_count": "3", "tcp_user_timeout": "10000",
    }  # fmt: skip
    theirs = {"connect_timeout": "9", "keepalives_idle": "60", "tcp_user_timeout": "0"}
    for given, wanted in (({}, ours), (theirs, ours | theirs)):
        async with opened(make_conninfo(database, **given), Clock()) as store:
            async with store.pool.connection() as pooled:
                assert wanted.items() <= pooled.info.get_parameters().items()
            # The run's lease and procrastinate's listener take the address from here.
            assert wanted.items() <= conninfo_to_dict(store.conninfo).items()
            assert store.pool.conninfo == store.conninfo


def test_an_address_that_cannot_be_read_is_a_sentence() -> None:
    """What is wrong with it is said without quoting it: there may be a password in it."""
    with pytest.raises(ConfigError, match="Write BOT_DATABASE_URL as postgresql://") as error:
        Store("hunter2", Clock())
    assert "hunter2" not in str(error.value)


async def test_what_was_seen_last_outlives_a_reading(database: str) -> None:
    """A server that is gone says nothing: how far it had written stays, until it is seen anew; all else is the newest."""
    seen, anew = ({LAST_SEEN: {"at": f"{NOW}", "lsn": n, "system": "7"}} for n in (1, 2))
    said: list[dict[str, Any]] = [{"version": "18", **seen}, {"version": "19"}, {}, {"version": "20", **anew}]
    kept = [said[0], {"version": "19", **seen}, seen, said[3]]
    async with opened(database, Clock()) as store:
        for minutes, facts in enumerate(said):
            at = NOW + timedelta(minutes=minutes)
            async with store.tx() as tx:
                await tx.put_readings([Reading("db", "database", "ok", "", at, at, None, facts)])
                assert [r.facts for r in await tx.readings()] == [kept[minutes]]


async def test_readings_keep_since_when_they_say_the_same(database: str) -> None:
    """A state that stays keeps its beginning; another one begins; an older reading never overwrites a newer one."""

    def reading(state: str, minutes: int) -> Reading:
        at = NOW + minutes * MINUTE
        return Reading("api", "api", state, f"{state} {minutes}", at, at, 1.5, {"lag": 0.25})  # type: ignore[arg-type]

    async with opened(database, Clock()) as store:
        for new, since in ((("ok", 0), 0), (("ok", 1), 0), (("bad", 2), 2), (("ok", 1), 2), (("unknown", 5), 5)):
            async with store.tx() as tx:
                await tx.put_readings([reading(*new)])
                (kept,) = await tx.readings()
            assert kept.since == NOW + since * MINUTE
        assert (kept.state, kept.facts) == ("unknown", {"lag": 0.25})


async def test_open_incidents_are_found_by_room_page_and_declaration(database: str) -> None:
    """The ways from Slack and PagerDuty back to an incident."""
    clock = Clock()
    async with opened(database, clock) as store:
        case = await declared(store)
        await declared(store, "command/2", services=())
        async with store.tx() as tx:
            await tx.apply(Change(case.with_(room="C1", room_state="open", pages={1: Page("PX", "")})))
        async with store.tx() as tx:
            assert await tx.number_of_room("C1") == 1
            assert await tx.number_of_room("C2") is None
            assert await tx.number_of_page("PX") == 1
            assert await tx.number_of_page("PY") is None
            assert await tx.declared_as("command/2") == 2
            assert await tx.open_numbers() == [1, 2]
            assert [c.incident.number for c in await tx.recent_open(NOW)] == [2, 1]
            assert await tx.open_impacts() == [(1, {"api": Impact(NOW)}), (2, {})]
            await tx.apply(resolve(await tx.case(1), ANA, "", RULES, NOW))
            assert (await tx.open_numbers(), await tx.count_open()) == ([2], 1)
            assert [c.incident.number for c in await tx.newest(5)] == [2, 1]


async def test_a_message_is_pinned_once_and_followed(database: str) -> None:
    """The first pin counts; its text is kept for the next edit, and forgotten when it is gone."""
    async with opened(database, Clock()) as store:
        await declared(store)
        async with store.tx() as tx:
            assert await tx.pin_message(1, "C1", "1.0", "before")
            assert not await tx.pin_message(1, "C1", "1.0", "again")
            assert await tx.pinned("C1", "1.0") == (1, "before")
            await tx.pinned_changed("C1", "1.0", "after")
            assert await tx.pinned("C1", "1.0") == (1, "after")
            await tx.pinned_changed("C1", "1.0", None)
            assert await tx.pinned("C1", "1.0") is None


async def test_the_roster_is_remembered(database: str) -> None:
    """The newest answer replaces the one before; an unknown target has nobody."""
    async with opened(database, Clock()) as store, store.tx() as tx:
        assert await tx.roster("P1") == []
        for name in ("Ana", "Ben"):
            await tx.put_roster("P1", [{"name": name, "email": "e", "slack": "U"}])
        assert [p["name"] for p in await tx.roster("P1")] == ["Ben"]


async def test_acknowledgements_of_one_second_do_not_overwrite_each_other(database: str) -> None:
    """Ten people acknowledge at once: the row is locked, and all ten stand in it."""
    clock = Clock()
    async with opened(database, clock) as one, opened(database, clock) as two:
        await declared(one)

        async def ack(store: Store, number: int) -> None:
            async with store.tx() as tx:
                who = type(ANA)(f"U{number}", f"Person {number}")
                await tx.apply(acknowledge(await tx.case(1), Ack(who, tx.now, "slack"), RULES, tx.now))

        await asyncio.gather(*(ack((one, two)[n % 2], n) for n in range(10)))
        assert len((await read(one)).incident.acks) == 10
