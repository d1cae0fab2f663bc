"""The only place that speaks SQL: one pool, transactions that write a whole Change, and reads for the views."""

from __future__ import annotations

import logging
import select
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, LiteralString

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from bot.assessment import Reading
from bot.clock import Clock
from bot.errors import NotFound, StoreUnavailable
from bot.failures import why
from bot.incident import Impact
from bot.owed import NEVER, Effect, Owed, parked, queue_of, wake_ladder
from bot.rules import Case, Change
from bot.store import rows
from bot.store.conninfo import noticing
from bot.store.migrate import migrate
from bot.store.sql import load_queries
from bot.timeline import Entry, Note, link

log = logging.getLogger("bot.store")

Lanes = dict[str, str]
"""Lanes with something due now, and the queue each belongs to."""

SAFETY_NET = timedelta(seconds=1)
"""Our own process looks at once; the wake-up in the job table is for the case that it is gone by then."""


class TakenOver(Exception):
    """Raised inside `tx()` to write nothing: what was being done is not ours any more."""


@dataclass(frozen=True)
class Due:
    """A lane that has something to do at an instant."""

    lane: str
    kind: str
    due_at: datetime


class Store:
    """Our own database. Every method raises StoreUnavailable when it does not answer."""

    def __init__(self, conninfo: str, clock: Clock, redact: Callable[[str], str] = str, max_size: int = 12) -> None:
        self._queries = load_queries()
        self.conninfo = noticing(conninfo)
        self.redact = redact
        self._clock = clock
        self.on_commit: Callable[[Lanes], None] = lambda _lanes: None
        self.pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
            self.conninfo,
            connection_class=AsyncConnection[DictRow],
            kwargs={"row_factory": dict_row, "application_name": "recovery-bot", "options": "-c timezone=UTC"},
            min_size=2,
            max_size=max_size,
            timeout=5.0,
            reconnect_timeout=5.0,
            check=_alive,
            open=False,
        )

    def query(self, name: str) -> LiteralString:
        """A named statement, for a connection that is not of the pool."""
        return self._queries[name]

    async def open(self) -> None:
        """Connect and migrate. Raises StoreUnavailable (try again) or ConfigError (give up)."""
        await self.pool.open()
        async with self._connection() as conn:
            done = await migrate(conn)
        if done:
            log.info("migrated the store: %s", ", ".join(done))

    async def close(self) -> None:
        await self.pool.close()

    @asynccontextmanager
    async def _connection(self, within: float | None = None) -> AsyncIterator[AsyncConnection[DictRow]]:
        try:
            async with self.pool.connection(timeout=within) as conn:
                yield conn
        except (psycopg.OperationalError, PoolTimeout, PoolClosed, TooManyRequests) as error:
            raise StoreUnavailable(f"the store does not answer ({why(error)})") from error

    @asynccontextmanager
    async def tx(self, within: float | None = None) -> AsyncIterator[Tx]:
        """One transaction. After it is committed, the lanes it made due are looked at. `within`: seconds to wait for the store."""
        lanes: Lanes = {}
        try:
            async with self._connection(within) as conn:
                yield Tx(conn, self._queries, self._clock(), lanes, self.redact)
        except TakenOver:
            log.info("left to the replica that took it over")
            return
        if lanes:
            self.on_commit(lanes)


async def _alive(conn: AsyncConnection[DictRow]) -> None:
    """Raises OperationalError when the server has closed it: only then is there something to read before we ask."""
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    if poll.poll(0):
        await AsyncConnectionPool.check_connection(conn)


class Tx:
    """What can be asked and written inside one transaction. `now` is the instant it began."""

    def __init__(
        self, conn: AsyncConnection[DictRow], queries: Mapping[str, LiteralString], now: datetime, lanes: Lanes,
        redact: Callable[[str], str],
    ) -> None:  # fmt: skip
        self._conn = conn
        self.redact = redact
        self._queries = queries
        self._lanes = lanes
        self.now = now

    async def all(self, query: str, **values: Any) -> list[DictRow]:
        cursor = await self._conn.execute(self._queries[query], values)
        return await cursor.fetchall()

    async def one(self, query: str, **values: Any) -> DictRow | None:
        cursor = await self._conn.execute(self._queries[query], values)
        return await cursor.fetchone()

    async def row(self, query: str, **values: Any) -> DictRow:
        """The row of a query that always has one."""
        row = await self.one(query, **values)
        if row is None:
            raise LookupError(f"{query} gave no row")
        return row

    async def do(self, query: str, **values: Any) -> int:
        cursor = await self._conn.execute(self._queries[query], values)
        return cursor.rowcount

    # Cases

    async def case(self, number: int, *, lock: bool = True) -> Case:
        """One incident with its running ladder. Raises NotFound."""
        if lock:
            await self.do("lock_incident", number=number)
        row = await self.one("case", numbers=[number])
        if row is None:
            raise NotFound(f"There is no INC-{number}. `/incident list` shows the open ones.")
        return rows.case_of(row)

    async def cases(self, query: str, **values: Any) -> list[Case]:
        numbers = [row["number"] for row in await self.all(query, **values)]
        found = {row["number"]: rows.case_of(row) for row in await self.all("case", numbers=numbers)}
        return [found[number] for number in numbers]

    async def open_cases(self) -> list[Case]:
        return await self.cases("open_numbers")

    async def recent_open(self, since: datetime) -> list[Case]:
        return await self.cases("recent_open", since=since)

    async def newest(self, most: int) -> list[Case]:
        return await self.cases("newest", most=most)

    async def open_numbers(self) -> list[int]:
        return [row["number"] for row in await self.all("open_numbers")]

    async def open_impacts(self) -> list[tuple[int, dict[str, Impact]]]:
        """What is hit in each open incident, oldest first."""
        return [(int(row["number"]), rows.impact_of(row["impact"])) for row in await self.all("open_impacts")]

    async def count_open(self) -> int:
        return int((await self.row("count_open"))["count"])

    async def number_of_room(self, room: str) -> int | None:
        row = await self.one("case_of_room", room=room)
        return None if row is None else int(row["number"])

    async def number_of_page(self, page: str) -> int | None:
        row = await self.one("case_of_page", page=page)
        return None if row is None else int(row["number"])

    async def declared_as(self, declaration: str) -> int | None:
        row = await self.one("declared_as", declaration=declaration)
        return None if row is None else int(row["number"])

    async def begin_declaring(self) -> None:
        """Hold until no other declaration is being decided."""
        await self.do("declaring")

    async def next_number(self) -> int:
        """The next incident's number. No gaps: a declaration that was cut off leaves its number to the next one."""
        await self.begin_declaring()
        return int((await self.row("next_number"))["number"])

    # Changes

    async def create(self, change: Change) -> None:
        """Write a newly declared incident and all that its change asks for."""
        await self.do("insert_incident", **rows.incident_row(change.case))
        await self.apply(change)

    async def apply(self, change: Change) -> None:
        """Write a change of an incident whose row this transaction has locked."""
        incident = change.case.incident
        head = await self.row("case", numbers=[incident.number])
        seq, prev = head["timeline_seq"], head["timeline_head"]
        for note in change.notes:
            seq += 1
            entry = link(incident.number, seq, self.now, self._redacted(note), prev)
            await self.do("add_entry", **rows.entry_row(entry))
            prev = entry.hash
        before = rows.case_of(head)
        await self.do("update_incident", **rows.incident_row(change.case), timeline_seq=seq, timeline_head=prev)
        for rung in change.case.ladder.rungs:
            if rung not in before.ladder.rungs or before.incident.round != incident.round:
                await self.do("put_rung", **rows.rung_row(incident.number, rung))
        if change.dropped:
            await self.do("drop_kinds", incident=incident.number, kinds=list(change.dropped), now=self.now)
        if change.case.ladder.rungs:
            await self.owe(wake_ladder(incident, change.case.ladder.wake_at))
        for owed in change.owed:
            await self.owe(owed, waits=parked(owed, incident))

    def _redacted(self, note: Note) -> Note:
        data = {name: self.redact(value) if isinstance(value, str) else value for name, value in note.data.items()}
        return replace(note, text=self.redact(note.text), data=data)

    async def owe(self, owed: Owed, *, waits: bool = False) -> None:
        """Write what is owed, with its wake-up. `waits`: for the room or the board, not for time."""
        at = NEVER if waits else (owed.due_at or self.now)
        row = await self.one(
            "owe_standing" if owed.standing else "owe",
            incident=owed.incident, kind=owed.kind, lane=owed.lane, key=owed.key, args=Jsonb(dict(owed.args)), due_at=at, now=self.now,
        )  # fmt: skip
        if row is not None:
            await self.wake(owed.lane, owed.kind, row["due_at"])

    async def wake(self, lane: str, kind: str, at: datetime) -> None:
        """Have `lane` looked at when `at` comes: by this process if it lives, else by whichever does."""
        if at >= NEVER:
            return
        queue = queue_of(kind)
        await self.do("wake", queue=queue, lane=lane, at=max(at, self.now) + SAFETY_NET)
        if at <= self.now:
            self._lanes[lane] = queue

    async def record(self, case: Case, *notes: Note) -> None:
        """Add to the timeline of a locked incident without changing it."""
        await self.apply(Change(case, notes))

    async def unpark(self, incident: int, kinds: Sequence[str]) -> None:
        """What waited for the room (or the board) is due now."""
        for row in await self.all("unpark", incident=incident, kinds=list(kinds), now=self.now, never=NEVER):
            await self.wake(row["lane"], row["kind"], self.now)

    # Effects

    async def claim(self, lane: str, holder: int) -> Effect | None:
        """The head of `lane`, if it is due and free; it is this replica's until it is finished or the replica dies."""
        row = await self.one("claim", lane=lane, holder=holder, now=self.now)
        return None if row is None else rows.effect_of(row)

    async def finish(
        self, effect: Effect, holder: int, result: Mapping[str, Any] | None = None, again_at: datetime | None = None,
        *, dropped: bool = False,
    ) -> bool:  # fmt: skip
        """It is done, or `dropped`: not tried, not wanted now. False when it was not this replica's any more: then roll back."""
        row = await self.one(
            "finish", id=effect.id, holder=holder, result=Jsonb(dict(result)) if result else None, again_at=again_at,
            now=self.now, forget=effect.kind.startswith("intake"), dropped=dropped,
        )  # fmt: skip
        if row is not None and row["state"] == "waiting":
            await self.wake(effect.lane, effect.kind, row["due_at"])
        return row is not None

    async def postpone(
        self, effect: Effect, holder: int, due_at: datetime, error: str, *, untried: bool = False
    ) -> None:
        """Try again at `due_at`. `untried`: the neighbour refused even to begin, so there is nothing to read back."""
        values = {"id": effect.id, "holder": holder, "due_at": due_at, "error": self.redact(error)}
        if await self.one("postpone", **values, untried=int(untried)) is not None:
            await self.wake(effect.lane, effect.kind, due_at)

    async def fail(self, effect: Effect, holder: int, error: str) -> bool:
        return await self.one("fail", id=effect.id, holder=holder, error=self.redact(error), now=self.now) is not None

    async def settle(self, key: str) -> bool:
        """Mark a click as done, in the transaction of what it changes. False: it was done before."""
        return await self.one("settle", key=key, now=self.now) is not None

    async def retry(self, incident: int, effect_id: int | None) -> int:
        """Try failed and delayed effects of an incident again now; how many."""
        return await self._wake_all(await self.all("retry", incident=incident, id=effect_id, now=self.now))

    async def troubled(self, incident: int) -> list[Effect]:
        """Effects of an incident that failed, or are late because a try failed."""
        return [rows.effect_of(row) for row in await self.all("troubled", incident=incident)]

    async def unfinished(self, incident: int, but: int) -> int:
        return int((await self.row("unfinished", incident=incident, but=but, now=self.now))["count"])

    async def touched_between(self, incident: int, kinds: Sequence[str], at: datetime) -> bool:
        """Whether an effect of ours of these kinds was under way around `at`."""
        return bool((await self.row("touched_between", incident=incident, kinds=list(kinds), at=at))["exists"])

    async def effect(self, key: str) -> Effect | None:
        row = await self.one("effect_by_key", key=key)
        return None if row is None else rows.effect_of(row)

    async def due_soon(self, until: datetime) -> list[Due]:
        return [Due(**row) for row in await self.all("due_soon", now=self.now, until=until)]

    async def owed_counts(self) -> list[tuple[str, str, int]]:
        return [(row["kind"], row["state"], int(row["n"])) for row in await self.all("owed_counts")]

    async def forget_done(self, before: datetime) -> int:
        return await self.do("forget_done", before=before)

    # Replicas

    async def join_replicas(self, name: str) -> int:
        return int((await self.row("join_replicas", name=name))["id"])

    async def beat(self, replica: int, stale: timedelta) -> float | None:
        """Seconds until another replica is `stale`, unless it beats again; None for a replica that was buried itself."""
        row = await self.one("beat", id=replica, stale=stale)
        return None if row is None else float(row["next_stale"])

    async def leave_replicas(self, replica: int) -> None:
        await self.do("leave_replicas", id=replica)

    async def take_over(self, stale: timedelta) -> int:
        """Free what dead replicas held, and wake it; how many effects."""
        return await self._wake_all(await self.all("take_over", now=self.now, stale=stale))

    async def held_by(self, replica: int) -> set[int]:
        """The effects that a replica has claimed and not ended."""
        return {int(row["id"]) for row in await self.all("held_by", holder=replica)}

    async def release(self, effects: Sequence[int], replica: int) -> None:
        """Free effects of this replica that it does not do."""
        if effects:
            await self._wake_all(await self.all("release", ids=list(effects), holder=replica, now=self.now))

    async def _wake_all(self, found: Sequence[DictRow]) -> int:
        for row in found:
            await self.wake(row["lane"], row["kind"], self.now)
        return len(found)

    # Timeline, readings, pins, roster

    async def entries(self, incident: int) -> list[Entry]:
        return [rows.entry_of(row) for row in await self.all("entries", incident=incident)]

    async def timeline_head(self, incident: int) -> tuple[int, str]:
        row = await self.one("case", numbers=[incident])
        if row is None:
            raise NotFound(f"There is no INC-{incident}.")
        return int(row["timeline_seq"]), str(row["timeline_head"])

    async def put_readings(self, readings: Iterable[Reading]) -> None:
        for reading in readings:
            await self.do("put_reading", **{**vars(reading), "facts": Jsonb(dict(reading.facts))})

    async def readings(self) -> list[Reading]:
        return [Reading(**row) for row in await self.all("readings")]

    async def pin_message(self, incident: int, channel: str, ts: str, text: str) -> bool:
        return await self.one("pin_message", channel=channel, ts=ts, incident=incident, text=text) is not None

    async def pinned(self, channel: str, ts: str) -> tuple[int, str] | None:
        row = await self.one("pinned", channel=channel, ts=ts)
        return None if row is None else (int(row["incident"]), str(row["text"]))

    async def pinned_changed(self, channel: str, ts: str, text: str | None) -> None:
        """Keep the newest text of a pinned message; None: it is gone."""
        if text is None:
            await self.do("unpin_message", channel=channel, ts=ts)
        else:
            await self.do("pinned_changed", channel=channel, ts=ts, text=text)

    async def put_roster(self, target: str, people: list[dict[str, str]]) -> None:
        await self.do("put_roster", target=target, people=Jsonb(people), now=self.now)

    async def roster(self, target: str) -> list[dict[str, str]]:
        row = await self.one("roster", target=target)
        return [] if row is None else list(row["people"])
