"""A parent that does nothing but see to it that nothing is left, however its child ends: no process and no file."""

import ctypes
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sandbox.estate.leftovers import adopt_orphans, descendants, reap

_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 5.0


def guarded(work: Callable[[], int], folder: Path) -> int:
    """Run `work` in a child process and return its status.

    Signals are handed on. Whatever still runs below us when the child has ended, even by kill -9, is ended, and
    `folder` is removed. Should we be killed ourselves, the child is asked to end (Linux).
    """
    adopt_orphans()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os._exit(_as_child(work, folder))
    for number in _SIGNALS:
        signal.signal(number, lambda got, _: _hand_on(child, got))
    status = _wait_for(child)
    _end_everything()
    shutil.rmtree(folder, ignore_errors=True)
    return status if status >= 0 else 128 - status


def _as_child(work: Callable[[], int], folder: Path) -> int:
    # A session of its own: Ctrl-C in the terminal reaches the guardian alone, which hands it on once.
    os.setsid()
    adopt_orphans()
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    try:
        status = work()
    except KeyboardInterrupt:
        status = 0
    finally:
        # Also here: the guardian may be gone.
        shutil.rmtree(folder, ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
    return status


def _hand_on(child: int, number: int) -> None:
    try:
        os.kill(child, number)
    except ProcessLookupError:
        return


def _wait_for(child: int) -> int:
    """Reap until `child` itself has ended; its exit status, or minus the signal."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def _end_everything() -> None:
    order, deadline = signal.SIGTERM, time.monotonic() + PATIENCE
    asked: set[int] = set()
    while left := descendants(os.getpid()):
        if time.monotonic() > deadline:
            order, asked = signal.SIGKILL, set()
        for pid in left:
            if pid not in asked:
                asked.add(pid)
                _hand_on(pid, order)
        time.sleep(0.02)
        reap(asked)
