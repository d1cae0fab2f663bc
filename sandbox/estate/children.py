"""Child processes that never outlive their parent, each in a session of its own."""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import pwd
import random
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

_PR_SET_PDEATHSIG = 1


class CannotDo(Exception):
    """The practice estate cannot do what it was asked for; the message says why, for a person to read."""


class CannotStart(CannotDo):
    """A part of the practice estate did not start; the message says which and why."""


@dataclass(frozen=True)
class Unprivileged:
    """The user that servers run as when we are root, because some refuse to be root."""

    uid: int
    gid: int

    @classmethod
    def when_root(cls) -> "Unprivileged | None":
        """`nobody` when this process is root, else None: the servers run as ourselves."""
        if os.geteuid() != 0:
            return None
        entry = pwd.getpwnam("nobody")
        return cls(entry.pw_uid, entry.pw_gid)


FIRST_PORT, LAST_PORT = 20_000, 31_999


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens at; it is only taken once somebody does.

    Below the ports that the system hands to outgoing connections (from 32768 on Linux, 49152 elsewhere): one of those would be
    in use again before our server is up. In turn, over all processes of this user: two that ask never get the same one.
    """
    with _last_port() as file:
        said = file.read()
        last = int(said) if said.isdigit() else random.randint(FIRST_PORT, LAST_PORT)  # noqa: S311  where to begin
        for _ in range(1000):
            last = last + 1 if FIRST_PORT <= last < LAST_PORT else FIRST_PORT
            with socket.socket() as asked, contextlib.suppress(OSError):
                asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                asked.bind(("127.0.0.1", last))
                file.seek(0)
                file.write(f"{last}")
                return last
    raise CannotStart(f"No port between {FIRST_PORT} and {LAST_PORT} is free.")


@contextlib.contextmanager
def _last_port() -> Iterator[TextIO]:
    """The file that holds the port given last, locked until the end of the block."""
    path = Path(tempfile.gettempdir()) / f"recovery-bot-ports-{os.getuid()}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _death_signal(order: signal.Signals) -> Callable[[], None] | None:
    """For the child before it becomes its program: ask the kernel for `order` when the parent dies. Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def arm() -> None:
        prctl(_PR_SET_PDEATHSIG, int(order), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return arm


class Child:
    """One program that can be started and stopped again and again.

    Its output goes to `log`. `order` is the signal that asks it to end, also sent by the kernel should we die.
    The death of the thread that called `start` counts as ours, so start children from a thread that stays.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path | None = None,
        user: Unprivileged | None = None,
        order: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name, self.argv, self.env, self.log = name, list(argv), dict(env), log
        self._cwd, self._user, self._order = cwd, user, order
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Started and not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def returncode(self) -> int | None:
        """How the last process ended: exit status, or minus the signal; None while it runs."""
        return self._process.returncode if self._process is not None else None

    async def start(self, stdin: bytes | None = None) -> None:
        """Start it, with `stdin` on its standard input. Raises CannotStart when the program cannot be run."""
        if self.running:
            return
        drop = {} if self._user is None else {"user": self._user.uid, "group": self._user.gid, "extra_groups": []}
        with self.log.open("ab") as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self.argv,
                    env=self.env,
                    cwd=self._cwd,
                    stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_death_signal(self._order),
                    **drop,  # type: ignore[arg-type]
                )
            except OSError as error:
                raise CannotStart(f"{self.name} could not be started: {error}.") from error
        if stdin is not None and self._process.stdin is not None:
            self._process.stdin.write(stdin)
            self._process.stdin.close()

    async def wait(self) -> int:
        """Wait for its end; returns the exit status, or minus the signal."""
        return 0 if self._process is None else await self._process.wait()

    async def run(self) -> int:
        """Start it and wait for its end, for programs that end by themselves; killed when we are cancelled meanwhile."""
        try:
            await self.start()
            return await self.wait()
        finally:
            await self.kill()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program itself, when it runs."""
        if self._process is not None and self.running:
            self._process.send_signal(number)

    async def stop(self, patience: float = 10.0) -> None:
        """Ask it to end, and kill its whole session when it has not within `patience` seconds."""
        if self._process is None or not self.running:
            return
        self._process.send_signal(self._order)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._process.wait()
        await self._sweep(self._process)

    async def kill(self) -> None:
        """kill -9, at once, it and whatever it left in its session."""
        if self._process is not None and self.running:
            await self._sweep(self._process)

    async def _sweep(self, process: asyncio.subprocess.Process) -> None:
        # Its number is the session's too, and cannot have gone to anybody else so soon.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    def said(self, lines: int = 20) -> str:
        """The last lines of its output."""
        try:
            text = self.log.read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])
