"""The host of several ValueCanvas instances in one process, and the Service in front of them.

The public address answers from a ready instance, in turn, and 503 when there is none. The control address starts and ends
instances, each with an environment of its own. Customers and the periodic writer come through the Service, as people do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from psycopg import Error as PostgresError
from psycopg_pool import PoolTimeout

from sandbox.valuecanvas.admission import admitted
from sandbox.valuecanvas.app import COMMON_PROMPTS, Handler, ValueCanvas, routes
from sandbox.valuecanvas.llm import LlmService
from sandbox.valuecanvas.stores import Stores
from sandbox.valuecanvas.writes import Ledger

_log = logging.getLogger(__name__)

# What customers ask all day long, so that an outage shows without anybody testing.
CUSTOMER_INTERVAL = WRITER_INTERVAL = 0.5
PATIENCE = 2.0
SERVING: ContextVar[str] = ContextVar("SERVING", default="")
"""The instance whose work this is: its log lines go to its own file, too."""


class CannotRun(Exception):
    """An instance that crashes at its start; the message says why."""


@dataclass
class Instance:
    """One pod's worth of ValueCanvas."""

    name: str
    canvas: ValueCanvas
    log: logging.Handler | None
    audit: bool = False
    busy: int = 0


class Host:
    """`logs`: the folder for one log file an instance; None: none. Errors of an instance's start are CannotRun."""

    def __init__(
        self, *, api_token: str, admin_token: str, ledger: Ledger | None = None, logs: Path | None = None
    ) -> None:
        self.llm = LlmService(time.monotonic)
        self.writing = False
        self._api_token, self._admin_token = api_token, admin_token
        self._ledger, self._logs = ledger or Ledger(), logs
        self._instances: dict[str, Instance] = {}
        self._turn = 0
        self._rules: list[dict[str, Any]] | None = None

    async def add(self, name: str, env: Mapping[str, str]) -> None:
        """Start an instance; its stores need not be up. One of that name is replaced. Raises CannotRun."""
        await self.remove(name)
        handler = self._log_of(name)
        mark = SERVING.set(name)
        try:
            stores = _stores(env)
            await stores.open()
            _log.info("ValueCanvas %s serves", name)
        except CannotRun as error:
            _log.error("ValueCanvas %s cannot run: %s", name, error)
            _close(handler)
            raise
        finally:
            SERVING.reset(mark)
        canvas = ValueCanvas(
            stores, api_token=self._api_token, admin_token=self._admin_token, llm=self.llm, ledger=self._ledger
        )
        self._instances[name] = Instance(name, canvas, handler, env.get("AUDIT_LOG_LEVEL") == "debug")

    async def remove(self, name: str) -> None:
        """Take an instance out of the turn, let it finish what it is at, and end it. Its log stays."""
        instance = self._instances.pop(name, None)
        if instance is None:
            return
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while instance.busy and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - moments, at a pod's end
            await asyncio.sleep(0.01)
        await instance.canvas.stores.close()
        _close(instance.log)

    async def close(self) -> None:
        """End all of them."""
        for name in list(self._instances):
            await self.remove(name)

    @property
    def names(self) -> list[str]:
        """The instances that serve."""
        return list(self._instances)

    def public(self) -> web.Application:
        """The Service's application."""

        def through(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
            async def serve(request: web.Request) -> web.Response:
                if not admitted(self._rules, _client(request)):
                    # As a network does it: no answer at all.
                    if request.transport is not None:
                        request.transport.abort()
                    return web.Response(status=503)
                async with self._next() as instance:
                    if instance is None:
                        return web.json_response({"error": "No pod of api-server is ready."}, status=503)
                    response = await handler(instance.canvas, request)
                    if instance.audit:
                        _log.info(
                            "audit %s %s from %s: %s", request.method, request.path, _client(request), response.status
                        )
                    response.headers["X-Served-By"] = instance.name
                    return response

            return serve

        app = web.Application()
        app.add_routes([web.route(method, path, through(handler)) for method, path, handler in routes()])
        app.cleanup_ctx.append(self._background)
        return app

    def control(self) -> web.Application:
        """The control application; every call needs the admin token."""
        app = web.Application(middlewares=[self._guard()])
        app.add_routes(
            [
                web.get("/instances", self._list),
                web.put("/instances/{name}", self._add),
                web.delete("/instances/{name}", self._remove),
                web.put("/providers/{name}", self._switch),
                web.put("/writer", self._write),
                web.put("/policies", self._admit),
            ]
        )
        return app

    @contextlib.asynccontextmanager
    async def _next(self) -> AsyncIterator[Instance | None]:
        """The instance whose turn it is, busy meanwhile; None when there is none."""
        instances = list(self._instances.values())
        if not instances:
            yield None
            return
        self._turn += 1
        instance = instances[self._turn % len(instances)]
        mark = SERVING.set(instance.name)
        instance.busy += 1
        try:
            yield instance
        finally:
            instance.busy -= 1
            SERVING.reset(mark)

    async def _background(self, _app: web.Application) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._ask_for_ever(), name="customers")]
        tasks.append(asyncio.create_task(self._write_for_ever(), name="writer"))
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.close()

    async def _ask_for_ever(self) -> None:
        asked = 0
        while True:
            asked += 1
            async with self._next() as instance:
                if instance is not None:
                    await instance.canvas.ask(f"Customer question {asked}")
                    # What everybody asks, so that a warm cache shows in its hit rate.
                    await instance.canvas.ask(COMMON_PROMPTS[asked % len(COMMON_PROMPTS)])
            await asyncio.sleep(CUSTOMER_INTERVAL)

    async def _write_for_ever(self) -> None:
        while True:
            if self.writing:
                async with self._next() as instance:
                    if instance is None:
                        self._ledger.failed += 1
                    else:
                        with contextlib.suppress(PostgresError, PoolTimeout):
                            await instance.canvas.note()
            await asyncio.sleep(WRITER_INTERVAL)

    def _log_of(self, name: str) -> logging.Handler | None:
        if self._logs is None:
            return None
        self._logs.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(self._logs / f"{name}.log", encoding="utf-8")
        form = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
        form.converter = time.gmtime
        handler.setFormatter(form)
        handler.addFilter(lambda _record: SERVING.get() == name)
        logging.getLogger().addHandler(handler)
        return handler

    def _guard(self) -> Any:
        @web.middleware
        async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
            given = request.headers.get("Authorization", "")
            if not secrets.compare_digest(given.encode(), f"Bearer {self._admin_token}".encode()):
                return web.json_response({"error": "The admin token is needed."}, status=403)
            answer: web.StreamResponse = await handler(request)
            return answer

        return guard

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response({"instances": self.names, "writing": self.writing})

    async def _add(self, request: web.Request) -> web.Response:
        try:
            await self.add(request.match_info["name"], (await request.json())["env"])
        except CannotRun as error:
            return web.json_response({"error": str(error)}, status=422)
        return web.json_response({"instances": self.names}, status=201)

    async def _remove(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        await self.remove(name)
        if self._logs is not None:
            (self._logs / f"{name}.log").unlink(missing_ok=True)
        return web.json_response({"instances": self.names})

    async def _switch(self, request: web.Request) -> web.Response:
        provider = self.llm.providers.get(request.match_info["name"])
        if provider is None:
            return web.json_response({"error": "There is no such provider."}, status=404)
        provider.up = bool((await request.json())["up"])
        return web.json_response({"provider": provider.name, "up": provider.up})

    async def _admit(self, request: web.Request) -> web.Response:
        self._rules = (await request.json())["rules"]
        return web.json_response({"rules": self._rules})

    async def _write(self, request: web.Request) -> web.Response:
        self.writing = bool((await request.json())["on"])
        return web.json_response({"writing": self.writing})


def _client(request: web.Request) -> str:
    """Who asks: as the balancer in front says, else who connected."""
    said = request.headers.get("X-Forwarded-For", "").partition(",")[0].strip()
    return said or request.remote or ""


def _stores(env: Mapping[str, str]) -> Stores:
    """Raises CannotRun for an environment that no instance can run with."""
    if missing := [name for name in ("DATABASE_URL", "REDIS_URL") if not env.get(name)]:
        raise CannotRun(f"{' and '.join(missing)} must be set")
    try:
        return Stores(env["DATABASE_URL"], env["REDIS_URL"])
    except (PostgresError, ValueError) as error:
        raise CannotRun(f"an address in its environment cannot be used ({type(error).__name__})") from error


def _close(handler: logging.Handler | None) -> None:
    if handler is not None:
        logging.getLogger().removeHandler(handler)
        handler.close()
