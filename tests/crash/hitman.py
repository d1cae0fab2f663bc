"""Sees the bot's checkpoints as they are written, and kills the bot at the one that was chosen.

Triggers in the bot's store tell of every new state of a run and of a step. Where the bot is to die before a state is
written, the trigger waits in the bot's transaction until the bot is dead; the transaction is then rolled back.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import psycopg

from tests.crash.instant import AtRow, RunDeath
from tests.crash.point import AtTime

_WATCH = """
create table crash_aim (what text not null, state text not null);
create function crash_watch() returns trigger language plpgsql as $$
declare
    row jsonb := to_jsonb(new);
    is_run boolean := tg_table_name = 'run';
    it text := case when is_run then 'run' else row->>'number' end;
    became text := row->>'state';
begin
    if is_run and became not in ('planning', 'proposed', 'running', 'waiting', 'undoing') then
        became := 'ended';
    end if;
    perform pg_notify('crash', concat_ws(' ', coalesce(row->>'run', row->>'number'), it, became));
    if exists (select from crash_aim where what = it and state = became) then
        perform pg_advisory_xact_lock_shared(4711);
    end if;
    return null;
end $$;
create trigger crash after update on run for each row
    when (old.state is distinct from new.state) execute function crash_watch();
create trigger crash after update on step for each row
    when (old.state is distinct from new.state) execute function crash_watch();
"""
_HELD_UP = """
select from pg_locks join pg_database on pg_database.oid = pg_locks.database and datname = current_database()
where locktype = 'advisory' and objid = 4711 and not granted
"""
"""In this store: others of the same server have hitmen of their own."""
_BETWEEN = 0.02


class Hitman:
    """`seen`: every (run, "run" or number of a step, new state), as it was written. `pid`: of the bot while it runs."""

    def __init__(self, listening: psycopg.AsyncConnection[Any], asking: psycopg.AsyncConnection[Any],
                 pid: Callable[[], int | None]) -> None:  # fmt: skip
        self._listening, self._asking, self._pid = listening, asking, pid
        self._aim: RunDeath | None = None
        self._clock: asyncio.TimerHandle | None = None
        self.seen: list[tuple[int, str, str]] = []
        self.struck = ""
        """What was under way when it struck last."""

    @asynccontextmanager
    async def aiming(self, death: RunDeath) -> AsyncIterator[None]:
        """Strike once while this lasts. A time counts from `now`."""
        self._aim, self.struck = death, ""
        holding: asyncio.Task[None] | None = None
        try:
            if isinstance(death, AtRow) and not death.written:
                await self._asking.execute("select pg_advisory_lock(4711)")
                await self._asking.execute("insert into crash_aim values (%s, %s)", [death.what, death.state])
                holding = asyncio.create_task(self._when_held_up(death), name="hitman")
            yield
        finally:
            self._disarm()
            if holding is not None:
                holding.cancel()
                await asyncio.gather(holding, return_exceptions=True)
                # Not truncate: that waits for the one who is held up, who waits for us.
                await self._asking.execute("delete from crash_aim")
                await self._asking.execute("select pg_advisory_unlock(4711)")

    def now(self) -> None:
        """From here the time of a chosen instant counts."""
        if isinstance(self._aim, AtTime) and self._clock is None:
            self._later(self._aim.after, "a chosen instant")

    def strike(self, what: str) -> None:
        """Kill the bot."""
        pid = self._pid()
        self._disarm()
        self.struck = self.struck or what
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def watch(self) -> None:
        """Never returns."""
        async for told in self._listening.notifies():
            run, what, state = told.payload.split()
            self.seen.append((int(run), what, state))
            aim = self._aim
            if isinstance(aim, AtRow) and aim.written and (aim.what, aim.state) == (what, state):
                self._aim = None
                self._later(aim.wait, f"{what} {state}")

    async def _when_held_up(self, death: AtRow) -> None:
        while not await (await self._asking.execute(_HELD_UP)).fetchall():  # noqa: ASYNC110  it is in the store
            await asyncio.sleep(_BETWEEN)
        self.strike(f"{death.what} {death.state}, not written")

    def _later(self, seconds: float, what: str) -> None:
        if seconds:
            self._clock = asyncio.get_running_loop().call_later(seconds, self.strike, what)
        else:
            self.strike(what)

    def _disarm(self) -> None:
        self._aim = None
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


@asynccontextmanager
async def hitman(database: str, pid: Callable[[], int | None]) -> AsyncIterator[Hitman]:
    """One that watches the store `database`, which must be migrated."""
    async with AsyncExitStack() as stack:
        connect = psycopg.AsyncConnection.connect
        asking = await stack.enter_async_context(await connect(database, autocommit=True))
        listening = await stack.enter_async_context(await connect(database, autocommit=True))
        await asking.execute(_WATCH)
        await listening.execute("listen crash")
        it = Hitman(listening, asking, pid)
        watching = asyncio.create_task(it.watch(), name="checkpoints")
        try:
            yield it
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
