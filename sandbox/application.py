"""The ValueCanvas application as a child process: the host of the api-server's pods, and its switches."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from sandbox.environment import Secrets
from sandbox.estate.children import CannotStart, Child, free_port

PATIENCE = 60.0
REPOSITORY = Path(__file__).resolve().parents[1]


class Application:
    """`python -m sandbox.valuecanvas` on a port that stays the same over stops and starts.

    With `database` and `redis` it is one instance with these addresses. With neither, its instances are the pods of a
    cluster, which starts and ends them through `pods`; its address is then their Service.
    """

    def __init__(self, home: Path, *, database: str = "", redis: str = "", tokens: Secrets) -> None:
        self.port, control = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.failing: frozenset[str] = frozenset()
        self.writing = False
        self._rules: list[dict[str, Any]] | None = None
        logs = home / "pods"
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(REPOSITORY),
            "PORT": str(self.port),
            "CONTROL_PORT": str(control),
            "API_TOKEN": tokens.api_token,
            "ADMIN_TOKEN": tokens.admin_token,
            "LOGS": str(logs),
            "WRITES": str(home / "valuecanvas.writes"),
        }
        if database or redis:
            environment |= {"DATABASE_URL": database, "REDIS_URL": redis}
        argv = [sys.executable, "-m", "sandbox.valuecanvas"]
        self._child = Child("ValueCanvas", argv, env=environment, log=home / "valuecanvas.log")
        self._control = Control(f"http://127.0.0.1:{control}", tokens.admin_token)
        self.pods = Pods(self._child, self._control, logs)

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._child.running

    async def start(self) -> None:
        """Start it and wait until it answers; its stores need not be up. Raises CannotStart."""
        await self._child.start()
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while asyncio.get_running_loop().time() < deadline and self._child.running:
            try:
                await self._apply()
            except CannotStart:
                await asyncio.sleep(0.03)
            else:
                return
        said = self._child.said(5)
        await self._child.stop()
        raise CannotStart(f"ValueCanvas did not start: {said or 'it said nothing.'}")

    async def stop(self) -> None:
        """Stop it, and with it every instance."""
        await self._child.stop(patience=3)

    async def fail(self, *providers: str) -> None:
        """Make exactly these LLM providers fail ("together", "openai"); none of them: all work. Kept over restarts."""
        self.failing = frozenset(providers)
        if self.running:
            await self._apply()

    async def write(self, *, on: bool) -> None:
        """Turn the periodic writer on or off: a new row in `canvases` each half second, remembered once acknowledged.

        `GET /api/writes` (API token) tells how many of them the database has lost. Kept over restarts.
        """
        self.writing = on
        if self.running:
            await self._apply()

    async def admit(self, rules: list[dict[str, Any]] | None) -> None:
        """Let in only clients of these blocks of addresses; None: everybody. Kept over restarts. Raises CannotStart."""
        self._rules = rules
        if self.running:
            await self._control.put("/policies", {"rules": rules})

    async def _apply(self) -> None:
        for name in ("together", "openai"):
            await self._control.put(f"/providers/{name}", {"up": name not in self.failing})
        await self._control.put("/writer", {"on": self.writing})
        await self._control.put("/policies", {"rules": self._rules})


class Control:
    """The host's control address. Every refusal and every silence is a CannotStart."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._headers = url, {"Authorization": f"Bearer {token}"}

    async def put(self, path: str, body: Mapping[str, object]) -> None:
        """PUT."""
        await self._call("PUT", path, body)

    async def delete(self, path: str) -> None:
        """DELETE."""
        await self._call("DELETE", path, {})

    async def _call(self, method: str, path: str, body: Mapping[str, object]) -> None:
        timeout = aiohttp.ClientTimeout(total=10)
        try:
            async with (
                aiohttp.ClientSession(headers=self._headers, timeout=timeout) as client,
                client.request(method, self._url + path, json=body) as response,
            ):
                if response.status < 400:
                    return
                said = (await response.json()).get("error", response.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CannotStart(f"ValueCanvas does not answer ({type(error).__name__}).") from error
        raise CannotStart(f"ValueCanvas: {said}")


class Pods:
    """Starts and ends instances; what a cluster needs to really run its pods."""

    def __init__(self, host: Child, control: Control, logs: Path) -> None:
        self._host, self._control, self._logs = host, control, logs
        self._started: dict[str, int | None] = {}

    async def start(self, name: str, env: Mapping[str, str]) -> None:
        """Start an instance; it serves when this returns. Raises CannotStart, also while the host is stopped."""
        await self._control.put(f"/instances/{name}", {"env": dict(env)})
        self._started[name] = self._host.pid

    async def stop(self, name: str) -> None:
        """End an instance, also one that is gone."""
        self._started.pop(name, None)
        if self._host.running:
            with contextlib.suppress(CannotStart):
                await self._control.delete(f"/instances/{name}")

    def runs(self, name: str) -> bool:
        """The same as `ready`: it serves as soon as it runs."""
        return self.ready(name)

    def ready(self, name: str) -> bool:
        """Whether it serves; false as soon as the host is another process than the one it was started in."""
        return self._host.running and self._started.get(name) == self._host.pid

    def log(self, name: str) -> Path:
        """Its log file, each line with its instant in front; gone once it was stopped."""
        return self._logs / f"{name}.log"
