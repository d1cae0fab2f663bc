"""A PostgreSQL for a test process: started once, a template prepared once, and a fresh copy of it for each test.

    @pytest.fixture(scope="session")
    def postgres() -> Iterator[TestPostgres]:
        with TestPostgres() as server:
            yield server

    @pytest.fixture
    def database(postgres: TestPostgres) -> Iterator[str]:
        with postgres.clone(migrate) as conninfo:      # migrate: async, takes a connection string, runs once
            yield conninfo

The server lives on an event loop of its own thread, so that it belongs to no test's loop. A guard process outside ends
the server and removes its folder as soon as the test process is gone, however it went.
"""

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier, Literal

from bot.store.embedded import EmbeddedPostgres

Prepare = Callable[[str], Awaitable[None]]
Result = TypeVar("Result")

_GUARD = Path(__file__).with_name("postgres_guard.py")
_FAST: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "autovacuum": "off",
    # A client that was cut off while it logged in holds up whoever drops a database until the server gives it up.
    "authentication_timeout": "5s",
}


_MEMORY = Path("/dev/shm")  # noqa: S108  a folder of our own is made in it, with a name that nobody can guess
_ENOUGH = 2 * 2**30
"""Bytes: several servers with a few databases each, many times over."""


def reachable_folder() -> Path:
    """A new folder that another system user can pass through, as the server needs when the tests run as root. In memory
    where there is enough of it: to copy and to delete a database of three hundred files costs a disk most of a test."""
    roomy = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH
    folder = Path(tempfile.mkdtemp(prefix="recovery-bot-test-", dir=_MEMORY if roomy else None))
    folder.chmod(0o711)
    return folder


class TestPostgres:
    """The server of this test process; a context manager. `options` are server settings."""

    __test__ = False  # pytest is not to collect it

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        self._options = {**_FAST, **(options or {})}
        self._names = (f"test_{number}" for number in itertools.count(1))
        self._templates: dict[Prepare, str] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgres", daemon=True)

    def __enter__(self) -> Self:
        self.folder = reachable_folder()
        self._guard = subprocess.Popen(
            [sys.executable, _GUARD, self.folder], stdin=subprocess.PIPE, start_new_session=True
        )
        self._thread.start()
        self.server = EmbeddedPostgres(self.folder, options=self._options)
        self.conninfo = self._run(self.server.start())
        self._hash_quickly()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()

    def _hash_quickly(self) -> None:
        """The same password, hashed once instead of 4096 times at each of the thousands of logins of a test run."""
        role = conninfo_to_dict(self.conninfo)
        statement = SQL("alter role {} password {}").format(Identifier(str(role["user"])), Literal(role["password"]))
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute("set scram_iterations = 1")
            connection.execute(statement)

    @contextmanager
    def clone(self, prepare: Prepare) -> Iterator[str]:
        """The connection string of a database of one's own, as `prepare` left its template; dropped at the end."""
        template = self._templates.get(prepare)
        if template is None:
            template = self._templates[prepare] = self.create()
            self._run(_awaited(prepare(self.at(template))))
        name = self.create(template)
        try:
            yield self.at(name)
        finally:
            self._execute(SQL("drop database if exists {} with (force)").format(Identifier(name)))

    def create(self, template: str = "template0") -> str:
        """A new database; its name."""
        name = next(self._names)
        self._execute(
            SQL("create database {} template {} strategy file_copy").format(Identifier(name), Identifier(template))
        )
        return name

    def at(self, name: str) -> str:
        """The connection string of the database of that name."""
        return make_conninfo(self.conninfo, dbname=name)

    def _execute(self, statement: Any) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(statement)

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _awaited(work: Awaitable[None]) -> None:
    await work
