"""The bot's own PostgreSQL, when none is given: the wheel's binaries, one data folder, our child process.

The server has a session of its own and outlives a bot that is killed; the next start takes it over, by its pid and a
real connection. Where everything lies is `bot.store.embedded_home`'s business.
"""

import asyncio
import logging
import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psycopg

from bot.errors import StoreError
from bot.store.embedded_home import USER, Home, default_data_dir, tail

__all__ = ["EmbeddedPostgres", "default_data_dir"]

_log = logging.getLogger(__name__)

_LEFTOVER_PATIENCE = 5.0  # seconds that orphans of a killed server get to end by themselves
_STOP_ORDERS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
_BUSY = "the database system is "  # starting up, shutting down, in recovery mode, not yet accepting connections

# Small, and durable: what was committed is on the disk.
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "32MB",
    "max_connections": "50",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "io_method": "sync",
    "jit": "off",
    "huge_pages": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
}


class EmbeddedPostgres:
    """One PostgreSQL server on one data folder, which nobody else may use meanwhile.

    `options` are server settings that win over ours. `patience` is how many seconds a start may take, crash recovery
    included; `adopt_patience`, how long a server found running may stay silent before it is replaced. Every failure is
    a StoreError whose text is a sentence; a folder in use is DataDirectoryBusy.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        options: Mapping[str, str] | None = None,
        patience: float = 300.0,
        adopt_patience: float = 5.0,
    ) -> None:
        self._data_dir = data_dir
        self._settings = {**_SETTINGS, **(options or {})}
        self._patience = patience
        self._adopt_patience = adopt_patience
        self._home: Home | None = None
        self._process: _Process | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id; None when it is not started."""
        return self._process.pid if self._process else None

    async def start(self) -> str:
        """Take the folder, bring the server up (or take over a running one) and give the connection string."""
        if self._home is not None:
            raise StoreError("The embedded PostgreSQL is started already.")
        self._home = await asyncio.to_thread(Home.take, self._data_dir)
        try:
            await self._bring_up(self._home)
        except BaseException:  # cancelled or failed: nothing may stay behind, and the error goes on
            await self.stop()
            raise
        return self._home.conninfo

    async def stop(self) -> None:
        """End the server (clients are cut off, commits are kept) and release the folder. Harmless when not started."""
        process, self._process = self._process, None
        home, self._home = self._home, None
        try:
            if process is not None:
                await process.end()
        finally:
            if home is not None:
                await asyncio.to_thread(home.release)

    async def wait_died(self) -> None:
        """Return when the server has ended although nobody stopped it."""
        if self._process is None:
            raise StoreError("The embedded PostgreSQL is not started.")
        await self._process.ended()

    async def supervise(self) -> None:
        """Start the server again whenever it dies, until cancelled. The connection string stays the same."""
        delay = 0.0
        while self._home is not None:
            if self._process is not None:
                await self._process.ended()
                _log.error("the embedded PostgreSQL died; starting it again")
            await asyncio.sleep(delay)
            try:
                await self._bring_up(self._home)
                delay = 0.0
            except StoreError:
                _log.exception("the embedded PostgreSQL does not start")
                delay = min(30.0, delay * 2 or 1.0)

    async def _bring_up(self, home: Home) -> None:
        if self._process is not None:
            await self._process.end()
            self._process = None
        if await self._adopt(home):
            return
        await _clear(home)
        if not (home.cluster / "PG_VERSION").exists():
            await _initialise(home, durable=self._settings["fsync"] != "off")
        self._process = _Process(home.spawn(self._settings))
        await self._ready(home, self._process, self._patience)

    async def _adopt(self, home: Home) -> bool:
        """Take over a server that runs on this folder, if it also answers."""
        pid = home.running_pid()
        if pid is None:
            return False
        try:
            self._process = _Process(pid)
        except ProcessLookupError:
            return False
        try:
            await self._ready(home, self._process, self._adopt_patience)
        except StoreError as error:
            _log.warning("a PostgreSQL found running is not usable and is replaced: %s", error)
            await self._process.end()
            self._process = None
            return False
        _log.info("took over the running PostgreSQL, process %d", pid)
        return True

    async def _ready(self, home: Home, process: "_Process", patience: float) -> None:
        """Return when a real connection works; a server that is busy recovering gets the whole patience."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            failure = await _connection_failure(home.conninfo)
            if failure is None:
                return
            if not process.alive:
                raise StoreError(f"The embedded PostgreSQL ended while it was starting: {home.last_words()}")
            if "password authentication failed" in failure:
                raise StoreError(
                    f"The file {home.password} does not hold the password of the database in {home.cluster}."
                )
            if loop.time() - begun > (self._patience if _BUSY in failure else patience):
                raise StoreError(f"The embedded PostgreSQL does not answer: {failure}")
            await asyncio.sleep(0.02)


async def _connection_failure(conninfo: str) -> str | None:
    # psycopg leaves a connection open when it is cancelled while it is being set up: the probe ends by itself, within 5 s.
    probe = asyncio.create_task(_probe(conninfo), name="embedded postgres probe")
    try:
        await asyncio.shield(probe)
    except asyncio.CancelledError:
        await asyncio.gather(probe, return_exceptions=True)
        raise
    except psycopg.OperationalError as error:
        return str(error)
    return None


async def _probe(conninfo: str) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo, connect_timeout=5) as connection:
        await connection.execute("select 1")


async def _clear(home: Home) -> None:
    """See to it that nothing is left of an earlier server: no orphan of a killed one, no pid file in the way."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while orphans := home.server_pids():
        if loop.time() - begun > _LEFTOVER_PATIENCE:
            for pid in orphans:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.02)
    home.remove_leftovers()


async def _initialise(home: Home, *, durable: bool) -> None:
    """Make the database cluster beside its place and move it there whole, so that a crash leaves all or nothing."""
    fresh = await asyncio.to_thread(home.fresh_cluster)
    process = await asyncio.create_subprocess_exec(
        home.programs / "initdb",
        f"--pgdata={fresh}",
        f"--username={USER}",
        f"--pwfile={home.password}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        *([] if durable else ["--no-sync"]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        **home.account.subprocess_options(fresh),
    )
    _, said = await process.communicate()
    if process.returncode:
        raise StoreError(f"initdb could not make a database in {fresh}: {tail(said.decode(errors='replace'))}")
    fresh.rename(home.cluster)


class _Process:
    """The server's process, ours or found running: notices its end and, when it is our child, reaps it."""

    def __init__(self, process: subprocess.Popen[bytes] | int) -> None:
        self._child = None if isinstance(process, int) else process
        self.pid = process if isinstance(process, int) else process.pid
        self._fd = os.pidfd_open(self.pid)  # a pid can be reused, this cannot
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._loop.add_reader(self._fd, self._on_end)

    def _on_end(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        if self._child is not None:
            self._child.wait()
        self._ended.set_result(None)

    @property
    def alive(self) -> bool:
        return not self._ended.done()

    async def ended(self) -> None:
        await asyncio.shield(self._ended)

    async def end(self) -> None:
        """Ask it to end, ever more firmly, and wait until it has."""
        for order, seconds in _STOP_ORDERS:
            if not self.alive:
                return
            with suppress(ProcessLookupError):  # ended, and reaped by its own parent
                signal.pidfd_send_signal(self._fd, order)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.ended()
        if self.alive:
            raise StoreError(f"The embedded PostgreSQL (process {self.pid}) cannot be ended.")
