"""What can be made to go wrong with the API while it runs, and the record of what was asked of it."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sandbox.pagerduty import errors
from sandbox.pagerduty.errors import Refused

Kind = Literal["http_500", "http_503", "refuse", "ratelimited", "hang", "drop", "lost"]
WRITES = frozenset({"POST", "PUT", "DELETE"})


@dataclass
class FaultSpec:
    """One fault.

    `kind`: "http_500", "http_503", "refuse" (403 with PagerDuty's body), "ratelimited" (429), "hang" (no answer until
    the client gives up), "drop" (connection cut before anything is done), "lost" (done, then the connection is cut).
    `times`: how often before it cures itself; None is for ever. `retry_after`: seconds, for "ratelimited".
    """

    kind: Kind
    times: int | None = None
    retry_after: int = 1


@dataclass
class Faults:
    """Set at run time.

    `latency`: seconds added to every call. `down`: every connection is cut at once.
    `fail`: which calls fail and how; keys are tried in the order "POST /incidents/{id}/notes", "writes", "*".
    """

    latency: float = 0.0
    down: bool = False
    fail: dict[str, FaultSpec] = field(default_factory=dict)

    def take(self, method: str, route: str) -> FaultSpec | None:
        """The fault that hits this call, counted down."""
        keys = [f"{method} {route}", *(["writes"] if method in WRITES else []), "*"]
        key = next((key for key in keys if key in self.fail), None)
        if key is None:
            return None
        spec = self.fail[key]
        if spec.times is not None:
            spec.times -= 1
            if spec.times <= 0:
                del self.fail[key]
        return spec

    def clear(self) -> None:
        """Everything works again."""
        self.latency, self.down = 0.0, False
        self.fail.clear()


@dataclass
class ApiCall:
    """One recorded call: arrival time, method, path template, query, JSON body, and the answer's status.

    `status` None: no answer was given (hung, cut) or not yet.
    """

    at: float
    method: str
    route: str
    path: str
    query: dict[str, str]
    body: Any = None
    status: int | None = None


def answer(refused: Refused, headers: dict[str, str] | None = None) -> web.Response:
    """A refusal as an HTTP answer."""
    return web.json_response(refused.body(), status=refused.status, headers=headers)


def middleware(faults: Faults, calls: deque[ApiCall], clock: Callable[[], float]) -> Middleware:
    """Records each call, then lets the faults at it, then the handler."""

    @web.middleware
    async def meddle(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else request.path
        call = ApiCall(clock(), request.method, route, request.path, dict(request.query))
        calls.append(call)
        if faults.down:
            return _cut(request)
        if request.can_read_body:
            call.body = await _json_or_none(request)
        if faults.latency:
            await asyncio.sleep(faults.latency)
        spec = faults.take(request.method, route)
        early = await _before(request, spec)
        if early is not None:
            call.status = None if spec is not None and spec.kind == "drop" else early.status
            return early
        try:
            response = await handler(request)
        except Refused as refused:
            response = answer(refused)
        if spec is not None and spec.kind == "lost":
            return _cut(request)
        call.status = response.status
        return response

    return meddle


async def _before(request: web.Request, spec: FaultSpec | None) -> web.StreamResponse | None:
    match spec:
        case FaultSpec(kind="http_500" | "http_503" as kind):
            status = int(kind.removeprefix("http_"))
            return web.json_response({"error": {"message": "Internal Server Error", "code": 2000}}, status=status)
        case FaultSpec(kind="refuse"):
            return answer(errors.forbidden())
        case FaultSpec(kind="ratelimited", retry_after=seconds):
            return answer(errors.too_many(), {"Retry-After": str(seconds), "ratelimit-reset": str(seconds)})
        case FaultSpec(kind="drop"):
            return _cut(request)
        case FaultSpec(kind="hang"):
            # Ended by the client's departure or the server's shutdown: both cancel the handler.
            await asyncio.Event().wait()
    return None


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


async def _json_or_none(request: web.Request) -> Any:
    try:
        return await request.json()
    except ValueError:
        return None
