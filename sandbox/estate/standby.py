"""The streaming standby of ValueCanvas's database."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import conninfo, sql
from psycopg.rows import class_row

from sandbox.estate.children import CannotDo, CannotStart, Unprivileged
from sandbox.estate.postgres import PATIENCE, REPLICATOR, Postgres, Server

_LOOK = """
SELECT pg_is_in_recovery() AS recovering,
       pg_is_in_recovery() AND pg_is_wal_replay_paused() AS paused,
       EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') AS streaming,
       coalesce(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0)::bigint AS waiting
"""


@dataclass(frozen=True)
class Replay:
    """How a standby is: `recovering` until it is promoted; `waiting` is what it has received and not replayed, in bytes."""

    recovering: bool
    paused: bool
    streaming: bool
    waiting: int


class Standby(Server):
    """A copy of `primary` that follows it through a replication slot, so that it catches up however long it was away."""

    def __init__(self, home: Path, user: Unprivileged | None, primary: Postgres) -> None:
        super().__init__(home, user, "replica", "Postgres standby", primary.passwords)
        self._primary = primary

    async def create(self) -> None:
        """Copy the primary as it is now, and start following it. Raises CannotStart."""
        programs = await self._programs()
        passwords = self._secret(f"*:*:*:{REPLICATOR}:{self.passwords.replication}\n")
        source = conninfo.make_conninfo(
            host="127.0.0.1", port=self._primary.port, user=REPLICATOR, passfile=str(passwords)
        )
        options = ["--dbname", source, "--pgdata", str(self._data), "--create-slot", "--slot", self._name]
        options += ["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--no-manifest"]
        copy = self._program("pg_basebackup", [str(programs / "pg_basebackup"), *options])
        if await copy.run() != 0:
            raise CannotStart(f"The standby could not copy the primary: {copy.said(3)}")
        self._child = self._server(programs)
        await self.start()

    async def renew(self) -> None:
        """Another copy, of another primary. Raises CannotStart."""
        await self.kill()
        await asyncio.to_thread(shutil.rmtree, self._data)
        await self.create()

    async def look(self) -> Replay:
        """How it is now. Raises CannotDo when it does not answer."""
        try:
            async with await psycopg.AsyncConnection.connect(self.admin_url, connect_timeout=10) as connection:
                cursor = connection.cursor(row_factory=class_row(Replay))
                replay = await (await cursor.execute(_LOOK)).fetchone()
        except psycopg.Error as error:
            raise CannotDo("The standby does not answer.") from error
        assert replay is not None  # noqa: S101 - a SELECT without FROM has one row
        return replay

    async def pause(self) -> None:
        """Fall behind: receive everything and replay nothing, until `resume` or the next start. Raises CannotDo."""
        await self._tell("SELECT pg_wal_replay_pause()")
        await self._until("SELECT pg_get_wal_replay_pause_state() = 'paused'")

    async def resume(self) -> None:
        """Replay again. Raises CannotDo."""
        await self._tell("SELECT pg_wal_replay_resume()")

    async def caught_up(self) -> None:
        """Wait until it has replayed what the primary has written by now. Raises CannotDo when that takes too long."""
        async with await psycopg.AsyncConnection.connect(self._primary.admin_url) as connection:
            row = await (await connection.execute("SELECT pg_current_wal_flush_lsn()::text")).fetchone()
        lsn = row[0] if row else "0/0"
        await self._until(sql.SQL("SELECT pg_last_wal_replay_lsn() >= {}::pg_lsn").format(sql.Literal(lsn)))

    async def _tell(self, statement: str) -> None:
        if not (await self.look()).recovering:
            raise CannotDo("The standby was promoted: it follows nobody, so it cannot lag.")
        async with await psycopg.AsyncConnection.connect(self.admin_url, autocommit=True) as connection:
            await connection.execute(statement)

    async def _until(self, question: str | sql.Composed) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        async with await psycopg.AsyncConnection.connect(self.admin_url, autocommit=True) as connection:
            while await (await connection.execute(question)).fetchone() != (True,):
                if asyncio.get_running_loop().time() > deadline:
                    raise CannotDo(f"The standby did not get there within {PATIENCE:.0f} seconds.")
                await asyncio.sleep(0.01)
