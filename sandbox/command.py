"""The bot (or whatever COMMAND is) as a child process that the panel can kill, stop and start."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import aiohttp

from sandbox.environment import around
from sandbox.estate.children import CannotStart, Child

State = Literal["running", "stopped", "restarting"]
# A draining bot is given this long after SIGTERM.
PATIENCE = 30.0


class Command:
    """COMMAND with the environment of the practice estate; its output goes to `log`.

    `on_change` hears of every start and end; `report` is told in a sentence about an end that nobody ordered.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: dict[str, str],
        home: Path,
        log: Path,
        *,
        on_change: Callable[[], None],
        report: Callable[[str], None],
    ) -> None:
        self.argv, self.environment, self.log = list(argv), environment, log
        self.state: State = "stopped"
        self.ended = asyncio.Event()
        self._home, self._on_change, self._report = home, on_change, report
        self._ordered = False
        self._child: Child | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._child.pid if self._child is not None else None

    @property
    def returncode(self) -> int | None:
        """How it ended last: exit status, or minus the signal."""
        return self._child.returncode if self._child is not None else None

    def said(self, lines: int = 20) -> str:
        """The last lines of its output."""
        return self._child.said(lines) if self._child is not None else ""

    async def start(self) -> None:
        """Start it, unless it runs. Raises CannotStart."""
        if self._child is not None and self._child.running:
            return
        await self._collect()
        self.ended.clear()
        self._ordered = False
        self._child = Child(
            self.argv[0], self.argv, env=around(self.environment, self._home), log=self.log, cwd=Path.cwd()
        )
        await self._child.start()
        self.state = "running"
        self._watch = asyncio.create_task(self._until_it_ends(self._child), name="bot")
        self._on_change()

    async def stop(self) -> None:
        """SIGTERM, and wait for the drain."""
        self._ordered = True
        if self._child is not None:
            await self._child.stop(PATIENCE)
        await self._collect()

    async def kill(self) -> None:
        """kill -9. What it started in a session of its own lives on, as it would on a real machine."""
        self._ordered = True
        if self._child is not None:
            await self._child.kill()
        await self._collect()

    async def restart(self) -> None:
        """Stop it properly and start it with the environment as it is now."""
        self.state = "restarting"
        self._on_change()
        try:
            await self.stop()
            await self.start()
        finally:
            if self.pid is None:
                self.state = "stopped"

    async def ready(self, patience: float) -> bool:
        """Wait for 200 from /readyz; False when that took too long. Raises CannotStart when it ended instead."""
        ready = asyncio.create_task(self._answers())
        ended = asyncio.create_task(self.ended.wait())
        try:
            await asyncio.wait({ready, ended}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and not ready.done():
                said = self.said(12) or "it said nothing"
                raise CannotStart(f"{' '.join(self.argv)} ended with status {self.returncode}:\n{said}")
            return ready.done()
        finally:
            for task in (ready, ended):
                task.cancel()
            await asyncio.gather(ready, ended, return_exceptions=True)

    async def _answers(self) -> None:
        address = f"http://{self.environment['BOT_HTTP']}/readyz"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as client:
            while True:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with client.get(address) as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(0.05)

    async def _until_it_ends(self, child: Child) -> None:
        status = await child.wait()
        if not self._ordered:
            self._report(f"The bot has ended by itself with status {status}; its log is {self.log}")
        if self.state == "running":
            self.state = "stopped"
        self.ended.set()
        self._on_change()

    async def _collect(self) -> None:
        if self._watch is not None:
            await self._watch
            self._watch = None
