"""Somebody who should not be there: stolen sign-ins used from an address far away, a database user of their own, read backups."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import Literal

import aiohttp
import psycopg
from psycopg import sql

from sandbox.estate.children import CannotDo
from sandbox.estate.s3 import BACKUPS, S3

ADDRESS = "203.0.113.66"
"""Of the range that is kept for documentation: nobody has it."""
ROLE = "backdoor"
SESSIONS = 3
EVERY = 0.3
Outcome = Literal["", "let in", "signed out", "refused"]


class Intruder:
    """Stopped by what is done about it: traffic that is blocked, sign-ins that are revoked, a session that is ended.

    `database()`: the application's; `admin()`: the superuser's connection string of the same server.
    """

    def __init__(
        self,
        database: Callable[[], str],
        admin: Callable[[], str],
        app: str,
        s3: S3 | None,
        on_change: Callable[[], None],
    ) -> None:
        self._database, self._admin, self._app, self._s3, self._on_change = database, admin, app, s3, on_change
        self._tasks: list[asyncio.Task[None]] = []
        self._sessions: list[str] = []
        self.traffic: Outcome = ""
        self.querying = False

    @property
    def active(self) -> bool:
        """Whether they were let loose."""
        return bool(self._tasks)

    @property
    def inside(self) -> bool:
        """Whether they still get at anything."""
        return self.active and (self.querying or self.traffic in ("", "let in"))

    async def start(self) -> None:
        """Come in. Raises CannotDo."""
        if self.active:
            return
        password = secrets.token_urlsafe(12)
        try:
            await self._settle_in(password)
        except psycopg.Error as error:
            raise CannotDo(f"The intruder could not get into the database: {str(error).splitlines()[0]}") from error
        self.traffic, self.querying = "", True
        self._tasks = [
            asyncio.create_task(self._query(password), name="intruder's queries"),
            asyncio.create_task(self._browse(), name="intruder's traffic"),
        ]
        await self._steal()

    async def stop(self) -> None:
        """Leave, and take everything along."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.traffic, self.querying = "", False
        if tasks:
            with contextlib.suppress(psycopg.Error, CannotDo):
                async with await self._connect(self._admin()) as connection:
                    await connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(ROLE)))
                    await connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(ROLE)))

    async def _settle_in(self, password: str) -> None:
        role = sql.Identifier(ROLE)
        async with await self._connect(self._admin()) as connection:
            if await (await connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (ROLE,))).fetchone() is None:
                await connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
            await connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(password)))
            await connection.execute(sql.SQL("GRANT pg_read_all_data TO {}").format(role))
        query = (
            "INSERT INTO auth.sessions (user_id, address) SELECT n, %s FROM generate_series(1, %s) n RETURNING id::text"
        )
        async with await self._connect(self._database()) as connection:
            rows = await (await connection.execute(query, (ADDRESS, SESSIONS))).fetchall()
        self._sessions = [str(row[0]) for row in rows]

    async def _query(self, password: str) -> None:
        url = psycopg.conninfo.make_conninfo(self._database(), user=ROLE, password=password, application_name="psql")
        try:
            async with await self._connect(url) as connection:
                while True:
                    await connection.execute("SELECT email FROM users ORDER BY id LIMIT 100")
                    await asyncio.sleep(EVERY)
        except psycopg.Error:
            self.querying = False
            self._on_change()

    async def _browse(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as client:
            turn = 0
            while True:
                turn += 1
                headers = {"X-Forwarded-For": ADDRESS, "X-Session": self._sessions[turn % SESSIONS]}
                before = self.traffic
                try:
                    async with client.get(f"{self._app}/api/canvases", headers=headers) as answer:
                        self.traffic = {200: "let in", 401: "signed out"}.get(answer.status, before)  # type: ignore[assignment]
                except (aiohttp.ClientError, TimeoutError):
                    self.traffic = "refused"
                if self.traffic != before:
                    self._on_change()
                await asyncio.sleep(EVERY)

    async def _steal(self) -> None:
        """Read the newest backups, as somebody with stolen keys."""
        if self._s3 is None:
            return
        with contextlib.suppress(CannotDo):
            for stored in (await self._s3.listed(BACKUPS, ""))[-2:]:
                await self._s3.get(BACKUPS, stored.key, came_from=ADDRESS)

    async def _connect(self, url: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
        return await psycopg.AsyncConnection.connect(url, connect_timeout=10, autocommit=True)
