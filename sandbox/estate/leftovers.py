"""What a killed program left running: orphans come to us, and are ended with us. Linux; elsewhere nothing is done."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_PROC = Path("/proc")
PATIENCE = 5.0


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(of: int) -> list[int]:
    """The ids of every process below `of`, parents before their children; zombies too."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found, look = [], [of]
    while look:
        below = children.get(look.pop(), [])
        found += below
        look += below
    return found


def _parents() -> Iterator[tuple[int, int]]:
    if not sys.platform.startswith("linux"):
        return
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The name in brackets may itself hold spaces and brackets.
                yield int(entry.name), int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])


def mentions(pid: int, folder: Path) -> bool:
    """Whether a process was started with `folder` in its arguments or its environment."""
    needle = os.fsencode(folder)
    for name in ("cmdline", "environ"):
        with contextlib.suppress(OSError):
            if needle in (_PROC / str(pid) / name).read_bytes():
                return True
    return False


def everybody_in(folder: Path) -> list[int]:
    """Every process but this one that was started with `folder`; for a folder that nobody else can know of."""
    return [pid for pid, _ in _parents() if pid != os.getpid() and mentions(pid, folder)]


def descendants_in(folder: Path) -> list[int]:
    """Our descendants that were started with `folder`; for a folder that a person chose."""
    return [pid for pid in descendants(os.getpid()) if mentions(pid, folder)]


async def gone(pids: Sequence[int]) -> None:
    """Wait until none of these runs any more; a zombie does not."""
    while any(map(_runs, pids)):  # noqa: ASYNC110 - nobody tells us
        await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


async def end_leftovers(look: Callable[[], Sequence[int]]) -> None:
    """End the processes that `look` finds: asked first (SIGTERM), killed after a few seconds."""
    order, deadline = signal.SIGTERM, asyncio.get_running_loop().time() + PATIENCE
    asked: set[int] = set()
    while left := look():
        if asyncio.get_running_loop().time() > deadline:
            order, asked = signal.SIGKILL, set()
        for pid in left:
            if pid not in asked:
                asked.add(pid)
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, order)
        await asyncio.sleep(0.02)
        reap(asked)


def reap(pids: set[int]) -> None:
    """Take the exit status of those that were left to us, so that no zombie stays."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
