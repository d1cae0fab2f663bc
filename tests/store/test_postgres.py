"""The databases that the tests themselves get."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.postgres import TestPostgres

_ROOT = Path(__file__).parents[2]
_PROCESS = """
import time
from tests.postgres import TestPostgres
with TestPostgres() as server:
    print(server.folder, server.server.pid, server._guard.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[TestPostgres]:
    """One server for this file."""
    with TestPostgres() as running:
        yield running


async def _prepare(conninfo: str) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await connection.execute("create table note as select 'prepared' as text")


def _notes(conninfo: str) -> list[str]:
    with psycopg.connect(conninfo) as connection:
        return [row[0] for row in connection.execute("select text from note order by text")]


def test_each_clone_is_as_prepared_and_alone(server: TestPostgres) -> None:
    """What one test writes, no other sees, and a clone left open is dropped all the same."""
    with server.clone(_prepare) as one, server.clone(_prepare) as two:
        with psycopg.connect(one) as connection:
            connection.execute("insert into note values ('mine')")
        assert _notes(one) == ["mine", "prepared"]
        assert _notes(two) == ["prepared"]
        left_open = psycopg.connect(two)
    left_open.close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(one)
    with server.clone(_prepare) as three:
        assert _notes(three) == ["prepared"]


def test_nothing_is_left_when_the_test_process_is_killed() -> None:
    """The guard ends the server and removes its folder after a SIGKILL of the process that wanted them."""
    environ = {**os.environ, "PYTHONPATH": str(_ROOT)}
    process = subprocess.Popen([sys.executable, "-c", _PROCESS], stdout=subprocess.PIPE, text=True, env=environ)
    assert process.stdout is not None
    folder, server_pid, guard_pid = process.stdout.readline().split()
    guard = os.pidfd_open(int(guard_pid))
    process.kill()
    process.wait()
    process.stdout.close()
    _wait_for_end(guard)
    assert not Path(folder).exists()
    assert not Path(f"/proc/{server_pid}/cwd").exists()


def _wait_for_end(process: int) -> None:
    """Until the process of this descriptor has ended, at most a minute."""
    ended, _, _ = select.select([process], [], [], 60)
    os.close(process)
    assert ended
