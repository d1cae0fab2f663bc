"""ValueCanvas's database: a real PostgreSQL with a few users and canvases in it."""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from sandbox.estate.children import CannotStart, Child, Unprivileged, free_port
from sandbox.estate.leftovers import descendants, gone
from sandbox.estate.wheels import give, postgres_programs

ROLE = DATABASE = "valuecanvas"
REPLICATOR = "replicator"
USERS, CANVASES, SESSIONS = 500, 2_000, 5_000
PATIENCE = 60.0

_SETTINGS = {
    "shared_buffers": "32MB",
    "max_connections": "60",
    "wal_level": "replica",
    # A standby looks soon whether its primary is back.
    "wal_retrieve_retry_interval": "250ms",
    "io_method": "sync",
    "jit": "off",
    "huge_pages": "off",
    # Practice data: it must survive a stop and kill -9, not a power cut.
    "fsync": "off",
    "full_page_writes": "off",
    "timezone": "UTC",
}
_SEED = """
CREATE TABLE users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE, created_at timestamptz NOT NULL
);
CREATE TABLE canvases (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner_id bigint NOT NULL REFERENCES users, title text NOT NULL,
  updated_at timestamptz NOT NULL
);
CREATE SCHEMA auth;
CREATE TABLE auth.sessions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id bigint NOT NULL REFERENCES users, address inet,
  created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO users (email, created_at)
  SELECT 'user' || n || '@customers.example', now() - n * interval '1 hour' FROM generate_series(1, {users}) n;
INSERT INTO canvases (owner_id, title, updated_at)
  SELECT 1 + n % {users}, 'Canvas ' || n, now() - n * interval '1 minute' FROM generate_series(1, {canvases}) n;
INSERT INTO auth.sessions (user_id, created_at)
  SELECT 1 + n % {users}, now() - n * interval '1 minute' FROM generate_series(1, {sessions}) n;
"""


def _application_password() -> str:
    # With characters that a URL must escape, as real passwords have.
    return f"{secrets.token_urlsafe(12)}@/:{secrets.token_urlsafe(4)}%"


@dataclass(frozen=True)
class Passwords:
    """Of the superuser, of the application's role and of replication; a primary and its standby share them."""

    admin: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    application: str = field(default_factory=_application_password)
    replication: str = field(default_factory=lambda: secrets.token_urlsafe(18))


class Server:
    """One PostgreSQL server in the folder `name` of `home`, on a port that stays the same over stops and starts.

    `title` is what people call it.
    """

    def __init__(self, home: Path, user: Unprivileged | None, name: str, title: str, passwords: Passwords) -> None:
        self.title, self.passwords, self.port = title, passwords, free_port()
        self._home, self._user, self._name = home, user, name
        self._folder = home / name
        self._data = self._folder / "data"
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """The application's connection string; its role owns the database, may see the server's statistics, end sessions,
        promote a standby and create databases."""
        return f"postgresql://{ROLE}:{quote(self.passwords.application, safe='')}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def admin_url(self) -> str:
        """The superuser's connection string."""
        return f"postgresql://postgres:{quote(self.passwords.admin, safe='')}@127.0.0.1:{self.port}/postgres"

    @property
    def running(self) -> bool:
        """Whether the server process lives."""
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int | None:
        """The server process while it runs."""
        return self._child.pid if self._child is not None else None

    async def start(self) -> None:
        """Start the server and wait until it takes connections. Raises CannotStart."""
        if self._child is None:
            raise CannotStart(f"{self.title} has not been created.")
        await self._child.start()
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while asyncio.get_running_loop().time() < deadline and self._child.running:
            try:
                connection = await psycopg.AsyncConnection.connect(self.admin_url, connect_timeout=5)
            except psycopg.OperationalError:
                await asyncio.sleep(0.02)
                continue
            await connection.close()
            return
        said = self._child.said(5)
        await self.stop()
        raise CannotStart(f"{self.title} did not start: {said or 'it said nothing.'}")

    async def stop(self) -> None:
        """Stop the server at once, breaking open connections; its data stays."""
        if self._child is not None:
            await self._child.stop()

    async def kill(self) -> None:
        """kill -9, the server and every process of a session; the next start recovers what was committed."""
        if self._child is None or self.pid is None:
            return
        # Each of them leads a session of its own, so that the server's does not hold them.
        sessions = descendants(self.pid)
        await self._child.kill()
        for pid in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # Until then they hold its memory and its files: a start would be refused, and its folder could not be removed.
        await gone(sessions)

    async def _programs(self) -> Path:
        programs = await asyncio.to_thread(postgres_programs, self._home, self._user)
        give(self._folder, self._user)
        give(self._folder / "socket", self._user)
        return programs

    def _secret(self, text: str) -> Path:
        """A file that only the server's user can read: passwords are on no command line."""
        file = self._folder / "password"
        file.touch(mode=0o600)
        file.write_text(text)
        if self._user is not None:
            os.chown(file, self._user.uid, self._user.gid)
        return file

    def _server(self, programs: Path) -> Child:
        settings = _SETTINGS | {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self._folder / "socket"),
            # Also what a standby is called on its primary.
            "cluster_name": self._name,
        }
        argv = [str(programs / "postgres"), "-D", str(self._data)]
        argv += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return self._program(self.title, argv)

    def _program(self, name: str, argv: list[str]) -> Child:
        # SIGINT is PostgreSQL's fast shutdown: sessions are ended, data is written.
        return Child(
            name,
            argv,
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", "HOME": str(self._folder)},
            log=self._home / f"{self._name}.log",
            cwd=self._folder,
            user=self._user,
            order=signal.SIGINT,
        )


class Postgres(Server):
    """The primary: made, then filled, then stopped and started at will."""

    def __init__(self, home: Path, user: Unprivileged | None) -> None:
        super().__init__(home, user, "postgres", "Postgres", Passwords())

    async def create(self) -> None:
        """Make the cluster, start it, fill it. Raises CannotStart."""
        await self.make()
        await self.fill()

    async def make(self) -> None:
        """Make the cluster and start it; a standby can be made from it from here on. Raises CannotStart."""
        programs = await self._programs()
        await self._initdb(programs)
        self._child = self._server(programs)
        await self.start()
        async with await psycopg.AsyncConnection.connect(self.admin_url, autocommit=True) as connection:
            role, password = sql.Identifier(REPLICATOR), sql.Literal(self.passwords.replication)
            await connection.execute(sql.SQL("CREATE ROLE {} LOGIN REPLICATION PASSWORD {}").format(role, password))

    async def renew(self) -> None:
        """Another server in the place of this one, with the same roles and an empty database. Raises CannotStart."""
        await self.kill()
        await asyncio.to_thread(shutil.rmtree, self._data)
        await self.make()
        await self.prepare()

    async def fill(self) -> None:
        """The application's role, its database and what is in it."""
        await self.prepare()
        seed = sql.SQL(_SEED).format(
            users=sql.Literal(USERS), canvases=sql.Literal(CANVASES), sessions=sql.Literal(SESSIONS)
        )
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            await connection.execute(seed)

    async def prepare(self) -> None:
        """The application's role, and its database, empty."""
        role, password = sql.Identifier(ROLE), sql.Literal(self.passwords.application)
        promote = sql.SQL("GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO {}").format(role)
        async with await psycopg.AsyncConnection.connect(self.admin_url, autocommit=True) as connection:
            await connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(role, password))
            await connection.execute(sql.SQL("GRANT pg_monitor, pg_signal_backend TO {}").format(role))
            await connection.execute(promote)
        # Functions belong to a database; whatever is created later is a copy of this one.
        template = psycopg.conninfo.make_conninfo(self.admin_url, dbname="template1")
        async with await psycopg.AsyncConnection.connect(template) as connection:
            await connection.execute(promote)
        async with await psycopg.AsyncConnection.connect(self.admin_url, autocommit=True) as connection:
            await connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), role))

    async def _initdb(self, programs: Path) -> None:
        secret = self._secret(self.passwords.admin)
        options = ["--auth=scram-sha-256", f"--pwfile={secret}", "--username=postgres", "--no-sync"]
        options += ["--no-instructions", "--encoding=UTF8", "--locale=C"]
        initdb = self._program("initdb", [str(programs / "initdb"), "-D", str(self._data), *options])
        status = await initdb.run()
        secret.unlink()
        if status != 0:
            raise CannotStart(f"Postgres could not make its data folder: {initdb.said(5)}")
