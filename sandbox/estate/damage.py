"""What people do to a database: a table that is gone, a query that everybody waits for."""

import asyncio
from collections.abc import Callable

import psycopg

from sandbox.estate.children import CannotDo

TABLES = ("users", "canvases")
PATIENCE = 30.0
_OPTIONS = "-c statement_timeout=5000 -c lock_timeout=1000"


class Contents:
    """The tables of the database at `database()`."""

    def __init__(self, database: Callable[[], str]) -> None:
        self._database = database

    async def missing(self) -> list[str]:
        """The tables that are not there. Raises CannotDo when the database does not answer."""
        row = await self._execute("SELECT to_regclass(%s), to_regclass(%s)", TABLES)
        return [table for table, there in zip(TABLES, row or (), strict=True) if there is None]

    async def drop_canvases(self) -> None:
        """As somebody at the wrong prompt would. Raises CannotDo."""
        await self._execute("DROP TABLE canvases")

    async def _execute(self, statement: str, values: tuple[str, ...] = ()) -> tuple[object, ...] | None:
        try:
            async with await psycopg.AsyncConnection.connect(
                self._database(), connect_timeout=10, options=_OPTIONS, application_name="practice"
            ) as connection:
                cursor = await connection.execute(statement, values or None)
                return await cursor.fetchone() if cursor.description else None
        except psycopg.Error as error:
            raise CannotDo(f"The database did not do it: {str(error).splitlines()[0]}") from error


class Blockade:
    """A report that locks `users` and runs for hours, and a session that waits for it. `on_change` hears of its end."""

    def __init__(self, database: Callable[[], str], on_change: Callable[[], None]) -> None:
        self._database, self._on_change = database, on_change
        self._sessions: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> bool:
        """Whether it lasts; it also ends when somebody cancels its query or ends its session."""
        return bool(self._sessions)

    async def start(self) -> None:
        """Returns when the second session waits for the first. Raises CannotDo."""
        if self._sessions:
            return
        try:
            report = await self._connect("nightly-report")
            try:
                await report.execute("SET LOCAL lock_timeout = '1s'")
                await report.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            except BaseException:
                await report.close()
                raise
            self._keep(report, "SELECT count(*) FROM users, pg_sleep(86400)")
            job = await self._connect("profile-update")
            self._keep(job, "UPDATE users SET email = email WHERE id = 1")
            await self._until_it_waits(job.info.backend_pid)
        except (psycopg.Error, TimeoutError, CannotDo) as error:
            await self.stop()
            raise CannotDo("The database could not be blocked.") from error

    async def stop(self) -> None:
        """Let go."""
        sessions = list(self._sessions)
        for session in sessions:
            session.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)

    async def _connect(self, name: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
        return await psycopg.AsyncConnection.connect(self._database(), connect_timeout=10, application_name=name)

    def _keep(self, connection: psycopg.AsyncConnection[tuple[object, ...]], query: str) -> None:
        session = asyncio.create_task(self._run(connection, query), name="blockade")
        self._sessions.add(session)
        session.add_done_callback(self._ended)

    async def _run(self, connection: psycopg.AsyncConnection[tuple[object, ...]], query: str) -> None:
        try:
            await connection.execute(query)
        except psycopg.Error:
            return  # cancelled, ended, or the server is gone: that is what this is for
        finally:
            await connection.close()

    def _ended(self, session: asyncio.Task[None]) -> None:
        self._sessions.discard(session)
        self._on_change()

    async def _until_it_waits(self, pid: int) -> None:
        async with asyncio.timeout(PATIENCE):
            async with await self._connect("practice") as connection:
                await connection.set_autocommit(True)
                question = "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = %s AND NOT granted)"
                while await (await connection.execute(question, (pid,))).fetchone() != (True,):  # noqa: ASYNC110 - locks tell nobody
                    await asyncio.sleep(0.01)
