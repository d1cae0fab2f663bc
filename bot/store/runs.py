"""Runs in the store: rows to values and back, steps, locks and the lease of who works on one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bot.action import Risk
from bot.errors import NotFound, StoreUnavailable, Unavailable
from bot.failures import why
from bot.run import Held, Run, RunState, Shown, StepRow, StepState, Vote
from bot.store import Store, Tx
from bot.store.rows import Row, person_json, person_of


class Overtaken(Exception):
    """A run is not this process's any more: another one has taken it up, or its lease is gone.

    Not TakenOver, which ends a transaction in silence: who works on the run has to learn of it and stop.
    """


class Runs:
    """What a transaction can ask and write about runs."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def request(self, run: Run, key: str) -> Run | None:
        """Write a new run and give it its number; None when the click `key` made one already."""
        await self._tx.do("requesting")
        number = int((await self._tx.row("next_run"))["number"])
        values = {
            **{name: getattr(run, name) for name in ("incident", "action", "title", "risk", "target", "state")},
            "number": number,
            "parameters": Jsonb(dict(run.parameters)),
            "words": Jsonb(dict(run.words)),
            "locks": list(run.locks),
            "requester": Jsonb(person_json(run.requester)),
            "requested_at": run.requested_at,
            "key": key,
        }
        made = await self._tx.one("insert_run", **values)
        return None if made is None else await self.run(number)

    async def run(self, number: int, *, lock: bool = False) -> Run:
        """Raises NotFound."""
        if lock:
            await self._tx.do("lock_run", number=number)
        row = await self._tx.one("run", numbers=[number])
        if row is None:
            raise NotFound(f"There is no RUN-{number}. The cards of a room name its runs.")
        return run_of(row)

    async def of(self, incident: int) -> list[Run]:
        """All runs of an incident, oldest first."""
        numbers = [row["number"] for row in await self._tx.all("runs_of", incident=incident)]
        return [run_of(row) for row in await self._tx.all("run", numbers=numbers)]

    async def save(self, run: Run) -> None:
        """Write a locked run and its steps."""
        await self._tx.do("update_run", **run_row(run))
        if run.state is RunState.PROPOSED:
            await self._tx.do("forget_steps", run=run.number)
        for step in run.steps:
            await self.put_step(run.number, step)

    async def put_step(self, number: int, step: StepRow) -> None:
        await self._tx.do("put_step", run=number, **vars(step))

    async def carded(self, number: int, kind: str, ts: str) -> None:
        """Where the `plan` or the `progress` card of a run stands."""
        await self._tx.do(
            "carded", number=number, plan=ts if kind == "plan" else None, progress=ts if kind == "progress" else None
        )

    async def take(self, number: int) -> int:
        """Take a run up: the epoch from now on, which nobody else has."""
        return int((await self._tx.row("take_run", number=number))["epoch"])

    async def mine(self, number: int, epoch: int) -> Run:
        """The run, locked. Raises Overtaken when another process has taken it up since."""
        if int((await self._tx.row("run_epoch", number=number))["epoch"]) != epoch:
            raise Overtaken
        return await self.run(number)

    async def lock(self, run: Run) -> Held | None:
        """Take every lock of a run, or none: then who holds the first of the others. Undo by rolling back."""
        for lock in sorted(run.locks):
            if await self._tx.one("take_lock", lock=lock, run=run.number, now=self._tx.now) is None:
                return await self.held(run)
        return None

    async def held(self, run: Run) -> Held | None:
        """Who else holds a lock that `run` needs. A private incident's room is not named."""
        row = await self._tx.one("held_locks", locks=list(run.locks), run=run.number)
        if row is None:
            return None
        who = person_of(row["requester"]).name
        room = "" if row["private"] else str(row["room"] or "")
        return Held(row["lock"], f"RUN-{row['number']}", row["action"], who, row["since"], room)

    async def unlock(self, run: Run) -> None:
        await self._tx.do("free_locks", run=run.number)

    async def usual(self, action: str) -> tuple[timedelta, int] | None:
        """(median duration, number) of the runs of an action that succeeded."""
        row = await self._tx.row("usual_duration", action=action)
        return (timedelta(seconds=float(row["seconds"])), int(row["n"])) if row["n"] else None


BEAT = 1.0
"""Seconds between two looks at the lease while a step is under way."""


class Lease:
    """A connection that holds the advisory lock of one run: while it lives, nobody else works on the run."""

    def __init__(self, conn: psycopg.AsyncConnection[Any]) -> None:
        self._conn = conn

    async def watch(self) -> None:
        """Returns never; raises Overtaken once the lease is gone."""
        while True:
            await self.check()
            await asyncio.sleep(BEAT)

    async def check(self) -> None:
        """Raises Overtaken when the connection, and with it the lease, is gone: do nothing any more."""
        try:
            await self._conn.execute("select 1")
        except psycopg.OperationalError as error:
            raise Overtaken from error


@asynccontextmanager
async def lease(store: Store, run: str) -> AsyncIterator[Lease]:
    """Hold the lease of `run`. A process that is only frozen loses it to us. Raises StoreUnavailable or Unavailable."""
    try:
        conn = await psycopg.AsyncConnection.connect(
            store.conninfo, autocommit=True, application_name=f"recovery-bot {run}"
        )
    except psycopg.OperationalError as error:
        raise StoreUnavailable(f"the store does not answer ({why(error)})") from error
    async with conn:
        for _ in range(2):
            held = await (await conn.execute(store.query("hold_lease"), {"name": run})).fetchone()
            if held is not None and held[0]:
                yield Lease(conn)
                return
            await conn.execute(store.query("end_lease"), {"name": run})
        raise Unavailable(f"{run} is still held by another process")


def run_row(run: Run) -> dict[str, Any]:
    """The columns of a run that change."""
    return {
        **{name: getattr(run, name) for name in _CHANGING},
        "plan": Jsonb(vars(run.plan)) if run.plan else None,
        "votes": Jsonb(
            [{"who": person_json(v.who), "at": v.at.isoformat(), "override": v.override} for v in run.votes]
        ),
        "stop_by": Jsonb(person_json(run.stop_by)) if run.stop_by else None,
        "undo_by": Jsonb(person_json(run.undo_by)) if run.undo_by else None,
    }


_CHANGING = (
    "number", "state", "planned_at", "expires_at", "digest", "started_at", "ended_at", "outcome",
)  # fmt: skip
_SAME = (
    "number", "incident", "action", "title", "parameters", "words", "target", "requested_at", "planned_at", "expires_at",
    "digest", "epoch", "started_at", "ended_at", "outcome", "card_ts", "progress_ts",
)  # fmt: skip


def run_of(row: Row) -> Run:
    """A row of the query `run`."""
    plan = row["plan"]
    return Run(
        **{name: row[name] for name in _SAME},
        risk=Risk(row["risk"]),
        state=RunState(row["state"]),
        locks=tuple(row["locks"]),
        requester=person_of(row["requester"]),
        plan=Shown(**plan) if plan else None,
        votes=tuple(Vote(person_of(v["who"]), datetime.fromisoformat(v["at"]), v["override"]) for v in row["votes"]),
        stop_by=person_of(row["stop_by"]) if row["stop_by"] else None,
        undo_by=person_of(row["undo_by"]) if row["undo_by"] else None,
        steps=_steps(row["steps"]),
    )


def _steps(values: Sequence[Row]) -> tuple[StepRow, ...]:
    def at(value: str | None) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)

    return tuple(
        StepRow(
            int(v["number"]), v["title"], v["undoable"], v["no_return"], StepState(v["state"]), v["detail"],
            at(v["begun_at"]), at(v["ended_at"]),
        )
        for v in values
    )  # fmt: skip
