"""What store and engine tests start from: stores on one database, a clock that stands, an incident in the store."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg

from bot.declaring import declare
from bot.owed import Effect, Owed
from bot.rules import Case
from bot.store import Store
from tests.unit.given import NOW, rules, said


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@asynccontextmanager
async def opened(conninfo: str, clock: Any, redact: Callable[[str], str] = str) -> AsyncIterator[Store]:
    """A store of a replica."""
    store = Store(conninfo, clock, redact)
    try:
        await store.open()
        yield store
    finally:
        await store.close()


async def declared(store: Store, key: str = "command/1", **changed: Any) -> Case:
    """An incident, declared and committed."""
    async with store.tx() as tx:
        change = declare(await tx.next_number(), said(key=key, **changed), rules(), tx.now)
        await tx.create(change)
    return change.case


async def owe(store: Store, kind: str, lane: str, key: str, **more: Any) -> None:
    """Something owed, committed."""
    async with store.tx() as tx:
        await tx.owe(Owed(kind, lane, key, **more))


def row(conninfo: str, key: str) -> Mapping[str, Any]:
    """The row of one effect, read from outside."""
    with psycopg.connect(conninfo, row_factory=psycopg.rows.dict_row) as connection:
        found = connection.execute("select * from effect where key = %s", [key]).fetchone()
    assert found is not None
    return found


def sql(conninfo: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run something from outside; its rows."""
    with psycopg.connect(conninfo) as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


async def claim(store: Store, lane: str, holder: int = 1) -> Effect | None:
    """The head of a lane, if it can be had."""
    async with store.tx() as tx:
        return await tx.claim(lane, holder)


async def take(store: Store, lane: str, holder: int = 1) -> Effect:
    """The head of a lane, which must be there."""
    effect = await claim(store, lane, holder)
    assert effect is not None
    return effect


async def finish(store: Store, effect: Effect, holder: int = 1, **more: object) -> bool:
    """It is done; whether it was the holder's."""
    async with store.tx() as tx:
        return await tx.finish(effect, holder, **more)  # type: ignore[arg-type]
