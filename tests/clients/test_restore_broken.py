"""A load that is broken off, by anything: nothing of it stays, production is whole, and the next try succeeds."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bot.clients.restore import PsqlRestorer
from bot.errors import Refused, Unavailable
from tests.clients.production import Production, chunks, made, packed, sha256, unheard
from tests.postgres import TestPostgres

RUN = "RUN-7"
ROWS = "".join(f"{n}\tuser {n}\n" for n in range(1, 20_001))
COPIED = f"create table users (id int, email text);\ncopy users from stdin;\n{ROWS}\\.\n"
BACKUP = packed(COPIED)


@pytest.fixture
def restorer() -> PsqlRestorer:
    return PsqlRestorer()


@pytest.fixture
async def new(restorer: PsqlRestorer, production: Production) -> str:
    """The name of an empty new database."""
    name = f"{production.name}_new"
    await restorer.create(production.url, name, RUN)
    return name


async def whole(restorer: PsqlRestorer, production: Production, new: str) -> None:
    """Nothing came of it, and another try does what the first was to do."""
    assert not await restorer.loaded(production.url, new, RUN)
    await restorer.create(production.url, new, RUN)
    assert production.ask("select 1 from pg_class where relname = 'users'", new) == []
    await restorer.load(production.url, new, RUN, chunks(BACKUP), sha256(BACKUP), unheard)
    assert (production.users(new), production.users()) == (20_000, 3)


async def halfway(backup: bytes, then: Callable[[], Awaitable[None]]) -> AsyncGenerator[bytes, None]:
    """The backup, with something that happens in the middle."""
    middle = len(backup) // 2
    yield backup[:middle]
    await then()
    yield backup[middle:]


async def backend(production: Production, new: str) -> int:
    """The server's process that loads: of several, the one with a transaction."""
    ours = f"datname = '{new}' and application_name = 'recovery-bot restore'"
    look = f"select pid from pg_stat_activity where {ours} and xact_start is not null"  # noqa: S608
    async with asyncio.timeout(40):
        while not (rows := await asyncio.to_thread(production.ask, look)):  # noqa: ASYNC110  # it is elsewhere
            await asyncio.sleep(0.01)
    return int(rows[0]["pid"])


def psqls(parent: int) -> Iterator[int]:
    """The psql processes below."""
    for entry in Path("/proc").iterdir():
        try:
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if name == "psql" and int(rest.split()[1]) == parent and rest.split()[0] != "Z":
            yield int(entry.name)


async def test_a_killed_bot(restorer: PsqlRestorer, production: Production, new: str, tmp_path: Path) -> None:
    """SIGKILL in the middle: psql reads the end of its input, and the server takes everything back."""
    (tmp_path / "half").write_bytes(BACKUP[:-9000])
    script = f"""
import asyncio
from pathlib import Path
from bot.clients.restore import PsqlRestorer
async def stream():
    yield Path({str(tmp_path)!r}, 'half').read_bytes()
    print("halfway", flush=True)
    await asyncio.Event().wait()
asyncio.run(PsqlRestorer().load({production.url!r}, {new!r}, {RUN!r}, stream(), {sha256(BACKUP)!r}, lambda _: None))
"""
    bot = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE)
    assert bot.stdout is not None
    assert await bot.stdout.readline() == b"halfway\n"
    bot.kill()
    await bot.communicate()
    await whole(restorer, production, new)


async def test_a_cancelled_load(restorer: PsqlRestorer, production: Production, new: str) -> None:
    """Who is told to stop leaves no psql and no open stream behind."""
    here = asyncio.Event()

    async def wait() -> None:
        here.set()
        await asyncio.Event().wait()

    stream = halfway(BACKUP, wait)
    loading = asyncio.create_task(restorer.load(production.url, new, RUN, stream, sha256(BACKUP), unheard))
    await here.wait()
    assert list(psqls(os.getpid()))
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert not list(psqls(os.getpid()))
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    await whole(restorer, production, new)


async def test_a_cancelled_load_of_a_server_that_hangs(
    restorer: PsqlRestorer, production: Production, new: str
) -> None:
    """Stop is heard also while psql's pipe is full, because the server takes nothing any more."""
    frozen: list[int] = []

    async def freeze() -> None:
        frozen.append(await backend(production, new))
        os.kill(frozen[0], signal.SIGSTOP)

    many = packed(COPIED + "copy users from stdin;\n" + ROWS * 40 + "\\.\n")
    loading = asyncio.create_task(restorer.load(production.url, new, RUN, halfway(many, freeze), sha256(many), unheard))
    try:
        while not frozen or not all(map(_sleeps, psqls(os.getpid()))):  # noqa: ASYNC110  # it is elsewhere
            await asyncio.sleep(0.01)
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    await whole(restorer, production, new)


def _sleeps(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"
    except OSError:
        return True


async def test_a_killed_psql(restorer: PsqlRestorer, production: Production, new: str) -> None:
    """Somebody's out-of-memory killer takes psql: that is told, and may be tried again."""

    async def kill() -> None:
        await backend(production, new)
        for pid in psqls(os.getpid()):
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(Unavailable, match="killed by signal 9"):
        await restorer.load(production.url, new, RUN, halfway(BACKUP, kill), sha256(BACKUP), unheard)
    await whole(restorer, production, new)


async def test_a_lost_connection(restorer: PsqlRestorer, production: Production, new: str) -> None:
    """The server ends the session: that is no answer, and not a no."""

    async def end() -> None:
        production.ask(f"select pg_terminate_backend({await backend(production, new)}, 5000)")

    with pytest.raises(Unavailable, match="lost the connection: terminating connection due to administrator command"):
        await restorer.load(production.url, new, RUN, halfway(BACKUP, end), sha256(BACKUP), unheard)
    await whole(restorer, production, new)


async def test_a_lost_bucket(restorer: PsqlRestorer, production: Production, new: str) -> None:
    """What the stream of the backup raises is what the load raises."""

    async def lose() -> None:
        raise Unavailable("S3 does not answer (ReadTimeoutError)")

    with pytest.raises(Unavailable, match="S3 does not answer"):
        await restorer.load(production.url, new, RUN, halfway(BACKUP, lose), sha256(BACKUP), unheard)
    await whole(restorer, production, new)


@contextmanager
def small_disk() -> Iterator[None]:
    """Processes that are started meanwhile cannot write beyond 17 MB of a file; their log's files have 16."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (17 << 20, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk(restorer: PsqlRestorer) -> None:
    """A server that cannot make a file larger says so; its sentence is what is told."""
    backup = packed(
        "create table a (t text); alter table a alter t set storage plain;"
        "insert into a select repeat('x', 8000) from generate_series(1, 3000);"
    )
    with ExitStack() as stack:
        with small_disk():
            server = stack.enter_context(TestPostgres())
        production = stack.enter_context(made(server))
        name = f"{production.name}_new"
        await restorer.create(production.url, name, RUN)
        with pytest.raises(Refused, match=r"psql stopped: could not extend file .*: File too large"):
            await restorer.load(production.url, name, RUN, chunks(backup), sha256(backup), unheard)
        await whole(restorer, production, name)


async def test_memory_is_bounded(restorer: PsqlRestorer, production: Production, new: str) -> None:
    """A backup of which one chunk unpacks to 60 MB costs a few MB here, however slow the server takes it."""
    row = f"{'x' * 9990}\n"
    backup = packed("create table users (t text);\ncopy users from stdin;\n" + row * 6000 + "\\.\n")
    assert len(backup) < 500_000
    before = _fresh_peak()
    loaded = await restorer.load(production.url, new, RUN, chunks(backup, len(backup)), sha256(backup), unheard)
    assert loaded.unpacked > 59_000_000
    assert _peak() - before < 16_000


def _peak() -> int:
    """Kilobytes that this process had in memory at most."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])


def _fresh_peak() -> int:
    """The same, from now on: what other tests had does not count."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()
