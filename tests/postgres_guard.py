"""`python postgres_guard.py FOLDER`: when stdin closes, end the PostgreSQL in FOLDER, if any, and remove FOLDER.

A process of its own, and only the standard library: it must start at once and outlive a test process that is killed.
"""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path


def main(folder: Path) -> None:
    """Wait for the end of the test process, then leave nothing behind."""
    for order in (signal.SIGINT, signal.SIGTERM):
        signal.signal(order, signal.SIG_IGN)
    sys.stdin.read()
    with suppress(OSError, ValueError):
        pid = int((folder / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, signal.SIGKILL)  # its children notice and end; the data is thrown away
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)  # a child may still be writing: once more
        time.sleep(0.02)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
