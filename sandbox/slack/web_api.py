"""The Web API: who calls, may they, how often, what goes wrong on the way, and the answer."""

import asyncio

from aiohttp import web

from . import arguments
from .errors import SlackError
from .faults import FaultSpec
from .method import Method
from .methods import METHODS
from .model import Json
from .workspace import ApiCall, Workspace


class _Cut(Exception):
    """The caller gets no answer at all."""


def cut(request: web.Request) -> web.Response:
    """Drop the connection; the answer, which aiohttp wants, goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


class WebApi:
    """Serves `/api/<method>`."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws

    async def serve(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        try:
            return await self._answer(request, name)
        except _Cut:
            return cut(request)

    async def _answer(self, request: web.Request, name: str) -> web.StreamResponse:
        ws = self._ws
        if ws.faults.down:
            raise _Cut
        try:
            given = await arguments.gather(request)
        except SlackError as error:
            return self._refuse(name, {}, error)
        if ws.faults.latency:
            await asyncio.sleep(ws.faults.latency)
        fault = ws.faults.take(name, given)
        if fault and fault.kind != "lost":
            return await self._suffer(request, name, given, fault)
        try:
            answer = self._perform(request, name, given)
        except _Ratelimited as limited:
            self._record(name, given, "ratelimited")
            return _too_many(limited.retry_after)
        except SlackError as error:
            if fault:
                raise _Cut from error
            return self._refuse(name, given, error)
        self._record(name, given, "ok")
        if fault:
            raise _Cut
        return self._json({"ok": True, **answer})

    def _perform(self, request: web.Request, name: str, given: Json) -> Json:
        method = METHODS.get(name)
        if method is None:
            raise SlackError("unknown_method", req_method=name)
        self._authorize(request, method)
        if method.caller != "none" and method.scopes:
            self._ws.needs(*method.scopes)
        wait = self._ws.limits.check(name, method.tier, str(given.get("channel")))
        if wait is not None:
            raise _Ratelimited(wait)
        return method.run(self._ws, arguments.check(method.arguments, given))

    def _authorize(self, request: web.Request, method: Method) -> None:
        if method.caller == "none":
            return
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise SlackError("not_authed")
        kinds = {self._ws.bot_token: "bot", self._ws.app_token: "app"}
        if token not in kinds:
            raise SlackError("invalid_auth")
        if kinds[token] != method.caller:
            raise SlackError("not_allowed_token_type")

    async def _suffer(self, request: web.Request, name: str, given: Json, fault: FaultSpec) -> web.StreamResponse:
        if fault.kind == "refused":
            return self._refuse(name, given, SlackError(fault.code))
        self._record(name, given, fault.kind)
        if fault.kind == "ratelimited":
            return _too_many(fault.retry_after)
        if fault.kind == "internal_error":
            return self._json({"ok": False, "error": "internal_error"})
        if fault.kind in ("http_500", "http_503"):
            return web.Response(status=int(fault.kind[-3:]), text="upstream error")
        if fault.kind == "hang":
            await self._until_gone(request)
        raise _Cut

    async def _until_gone(self, request: web.Request) -> None:
        """Wait until the caller hangs up or the local Slack closes."""
        while request.transport is not None and not request.transport.is_closing():
            try:
                async with asyncio.timeout(0.1):
                    await self._ws.closing.wait()
            except TimeoutError:
                continue
            return

    def _refuse(self, name: str, given: Json, error: SlackError) -> web.Response:
        self._record(name, given, error.code)
        return self._json(error.body())

    def _json(self, body: Json) -> web.Response:
        headers = {"x-oauth-scopes": ",".join(sorted(self._ws.app.scopes))}
        return web.json_response(body, headers=headers)

    def _record(self, name: str, given: Json, result: str) -> None:
        self._ws.calls.append(ApiCall(self._ws.clock(), name, given, result))


class _Ratelimited(Exception):
    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


def _too_many(retry_after: int) -> web.Response:
    body = {"ok": False, "error": "ratelimited"}
    return web.json_response(body, status=429, headers={"Retry-After": str(retry_after)})
