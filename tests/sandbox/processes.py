"""Watching processes end."""

import asyncio
from collections.abc import Iterable
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie waits only for whoever became its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pids: Iterable[int]) -> None:
    """Wait until none of these processes is left."""
    waiting = list(pids)
    async with asyncio.timeout(60):
        while any(alive(pid) for pid in waiting):  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.02)
