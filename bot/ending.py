"""The end of tasks."""

from __future__ import annotations

import asyncio
from typing import Any

AGAIN = 1.0
"""Seconds after which a task that has not ended is cancelled once more."""


async def ended(*tasks: asyncio.Task[Any]) -> list[BaseException]:
    """Cancel tasks until each has ended; the errors that they ended with, other than their cancellation.

    Once is not enough: what a task awaits may lose a cancellation, as `asyncio.wait_for` of Python 3.11 does in libraries.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=AGAIN)
    errors = [task.exception() for task in tasks if not task.cancelled()]
    return [error for error in errors if error is not None]
