"""The estate on which several runs are killed one after the other, put back before each as it was at first.

Of a primary and its standby the folders are copied once, when all is well, and copied back: every failover finds the same
database, a standby that follows it, and an application that is sent to it. A restore leaves a database that can be restored
again. The bot, its store and its incident go on.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
import psycopg
from psycopg.conninfo import make_conninfo

from bot.clients.kubernetes import Kubernetes
from bot.ending import ended
from sandbox.estate.dns import PRIMARY
from sandbox.estate.postgres import Server
from sandbox.practice import Part, Practice
from tests.crash.hitman import Hitman, hitman
from tests.crash.instant import Of
from tests.stories.scene import Scene, scene

PARTS: dict[Of, tuple[Part, ...]] = {
    "failover": ("postgres", "standby", "redis", "app", "cluster"),
    "switchover": ("postgres", "standby", "redis", "app", "cluster"),
    "restore": ("postgres", "redis", "app", "cluster", "s3"),
    "rotate": ("postgres", "redis", "app", "cluster", "s3"),
    "node": ("postgres", "redis", "app", "cluster", "s3"),
    "dns": ("postgres", "redis", "app", "cluster", "s3", "dns", "infrastructure"),
    "rebuild": ("postgres", "redis", "app", "cluster", "s3", "dns", "infrastructure"),
    "undo-restore": ("postgres", "redis", "app", "cluster", "s3"),
    "undo-dns": ("postgres", "redis", "app", "cluster", "s3", "dns", "infrastructure"),
}
PACE = 6.0
"""Seconds a minute where there is DNS: what resolvers keep is kept for minutes."""
BETWEEN_WRITES, BETWEEN_LOOKS = 0.2, 0.4


@dataclass(frozen=True)
class Written:
    """A canvas that a customer was told is stored, and when (seconds since 1970)."""

    title: str
    at: float


class Ground:
    """The estate, its bot and whoever kills it. `room`: of the one incident in which everything is run."""

    def __init__(self, it: Scene, killer: Hitman, room: str) -> None:
        self.it, self.killer, self.room = it, killer, room
        self.written: list[Written] = []
        self.both = 0
        """How often both servers were seen to take writes."""
        self._used = False

    @property
    def practice(self) -> Practice:
        return self.it.practice

    @property
    def servers(self) -> list[Server]:
        return [server for server in (self.practice.postgres, self.practice.standby) if server is not None]

    async def keep(self) -> None:
        """Copy everything as it is."""
        if self.practice.standby is None:
            return
        for server in self.servers:  # the primary first: it sends its last word before it ends
            await server.stop()
        for folder in self._folders():
            await self._run("cp", "-a", f"{folder}/data", f"{folder}/kept")
        await self._start()

    async def fresh(self) -> None:
        """Put everything back as it was at first, where a run leaves something else than it found."""
        self.written, self.both = [], 0
        if self.practice.dns is not None:
            await self.practice.dns.lead(PRIMARY)
            for resolver in self.practice.dns.resolvers:
                resolver.kept.clear()
        if self.practice.code is not None:
            await asyncio.to_thread(self.practice.code.begin)
        if not self._used or self.practice.standby is None:  # a database may be restored again and again
            self._used = True
            return
        for server in self.servers:
            await server.kill()
        for folder in self._folders():
            await asyncio.to_thread(shutil.rmtree, f"{folder}/data")
            await self._run("cp", "-a", f"{folder}/kept", f"{folder}/data")
        await self._start()
        assert self.practice.postgres is not None and self.practice.cluster is not None  # noqa: PT018
        if self.practice.database() != self.practice.postgres.url:
            cluster = Kubernetes(self.practice.env)
            try:
                workload = await cluster.workload("deployment", "production", "api-server")
                await cluster.set_env(workload, "DATABASE_URL", self.practice.postgres.url)
            finally:
                await cluster.aclose()
            await self.practice.cluster.settled()

    def _folders(self) -> list[str]:
        return [str(self.practice.home / name) for name in ("postgres", "replica")[: len(self.servers)]]

    async def _start(self) -> None:
        await asyncio.gather(*(server.start() for server in self.servers))
        if self.practice.standby is not None:
            await self.practice.standby.caught_up()

    @staticmethod
    async def _run(*argv: str) -> None:
        process = await asyncio.create_subprocess_exec(*argv)
        assert await process.wait() == 0, argv

    async def silence(self, node: str) -> None:
        """A node dies; on return it is not ready."""
        assert self.practice.fleet is not None
        self.practice.fleet.kill(node)
        while node not in self.practice.fleet.state().dead:  # noqa: ASYNC110  it happens elsewhere
            await asyncio.sleep(BETWEEN_LOOKS / 4)

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Customers write as long as this lasts."""
        async with _meanwhile(self._customers()):
            yield

    @asynccontextmanager
    async def guarded(self) -> AsyncIterator[None]:
        """Somebody looks who takes writes as long as this lasts."""
        if self.practice.standby is None:
            yield
            return
        async with _meanwhile(self._look()):
            yield

    async def write(self, session: aiohttp.ClientSession, title: str) -> bool:
        """One customer: whether they were told that it is stored."""
        with suppress(aiohttp.ClientError, TimeoutError):
            address = f"{self.practice.env['PRIMARY_URL']}/api/canvases"
            async with session.post(address, json={"title": title}) as answer:
                if answer.status == 201:
                    self.written.append(Written(title, time.time()))
                    return True
        return False

    @asynccontextmanager
    async def customer(self) -> AsyncIterator[aiohttp.ClientSession]:
        headers = {"Authorization": f"Bearer {self.practice.env['API_TOKEN']}"}
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=5)) as session:
            yield session

    async def _customers(self) -> None:
        number = 0
        async with self.customer() as session:
            while True:
                number += 1
                await self.write(session, f"Crash {time.time():.6f} {number}")
                await asyncio.sleep(BETWEEN_WRITES)

    async def _look(self) -> None:
        """The new one first: who is seen to take writes after it took them at the same time."""
        assert self.practice.standby is not None
        new, old = (self.practice.env[name] for name in ("REPLICA_DATABASE_URL", "DATABASE_URL"))
        async with await psycopg.AsyncConnection.connect(self.practice.standby.admin_url, autocommit=True) as conn:
            while await (await conn.execute("select pg_is_in_recovery()")).fetchone() == (True,):  # noqa: ASYNC110
                await asyncio.sleep(BETWEEN_LOOKS / 4)
        while True:
            if await takes_writes(new) and await takes_writes(old):
                self.both += 1
            await asyncio.sleep(BETWEEN_LOOKS)


@asynccontextmanager
async def _meanwhile(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do what never ends until this does. Raises what it died of."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        try:
            yield
        finally:
            await ended(task)


async def takes_writes(url: str) -> bool:
    """Whether a new session at `url` could write."""
    try:
        # Without a transaction: one whose end is cut off would leave the connection open.
        async with await psycopg.AsyncConnection.connect(url, connect_timeout=5, autocommit=True) as conn:
            cursor = await conn.execute("select pg_is_in_recovery() or current_setting('transaction_read_only')::bool")
            return await cursor.fetchone() == (False,)
    except psycopg.OperationalError:
        return False


async def titles(url: str, name: str = "") -> set[str]:
    """Titles of the customers' canvases in the database at `url` (or another one of that server); none when it is not there."""
    try:
        async with await psycopg.AsyncConnection.connect(make_conninfo(url, dbname=name) if name else url) as conn:
            cursor = await conn.execute("select title from canvases where title like 'Crash %'")
            return {str(row[0]) for row in await cursor.fetchall()}
    except psycopg.OperationalError:
        return set()


@asynccontextmanager
async def ground(of: Of, database: str) -> AsyncIterator[Ground]:
    """Open one, with the incident declared. `database`: a store for the bot."""
    async with AsyncExitStack() as stack:
        pace = PACE if "dns" in PARTS[of] else 60.0
        it = await stack.enter_async_context(scene(database, parts=PARTS[of], process=True, seconds_per_minute=pace))
        killer = await stack.enter_async_context(hitman(database, lambda: it.practice.bot.pid))
        ready = Ground(it, killer, await it.declares("P1 the database is down"))
        await ready.keep()
        yield ready
