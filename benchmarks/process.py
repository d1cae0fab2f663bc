"""What the kernel says about a process: memory and processor time, from /proc."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Megabytes of the process that are in memory (RSS)."""
    return _status(pid, "VmRSS")


def peak(pid: int) -> float:
    """Megabytes that were in memory at most. Not `ru_maxrss`, which begins with that of the process it was started by."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def share(pids: Sequence[int]) -> float:
    """Megabytes of all of them together, what they share counted once (PSS)."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def seconds_used(pid: int) -> float:
    """Processor seconds since it began, its ended and awaited children included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(fields[number]) for number in (11, 12, 13, 14)) / _TICKS


def children(pid: int) -> list[int]:
    """The ids of the processes right below."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


async def busy(pids: Sequence[int], seconds: float) -> float:
    """Percent of one core that they used together during the next `seconds`."""
    began, before = time.monotonic(), sum(map(seconds_used, pids))
    await asyncio.sleep(seconds)
    return 100 * (sum(map(seconds_used, pids)) - before) / (time.monotonic() - began)
