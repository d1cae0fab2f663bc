"""The HTTP side of the API server: who asks, what goes wrong on purpose, and where each call leads."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.cluster import metrics
from sandbox.cluster.apply import APPLY
from sandbox.cluster.calls import Call, read_call
from sandbox.cluster.errors import ApiError
from sandbox.cluster.faults import Faults
from sandbox.cluster.kinds import KINDS, Object
from sandbox.cluster.logs import Logs, serve_log
from sandbox.cluster.objects import Objects
from sandbox.cluster.store import Store
from sandbox.cluster.subresources import Subresources
from sandbox.cluster.tables import WANTED, table
from sandbox.cluster.watching import Watches

CHECKS = ("ping", "log", "etcd", "etcd-readiness", "informer-sync", "poststarthook/start-apiextensions-controllers")
# What anybody may see.
OPEN = ("/readyz", "/livez", "/healthz", "/version")


@dataclass(frozen=True)
class Rooms:
    """What the calls work on."""

    store: Store
    objects: Objects
    subresources: Subresources
    watches: Watches
    logs: Logs
    faults: Faults
    token: str
    clock: Callable[[], float]


class Server:
    """Listens with TLS on a socket that is there already; every error is a Status."""

    def __init__(self, rooms: Rooms, opened: socket.socket, context: ssl.SSLContext) -> None:
        self._rooms, self._socket, self._context = rooms, opened, context
        app = web.Application(client_max_size=4 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        # A watch ends as soon as nobody reads it.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        self._started = False

    async def start(self) -> None:
        """Serve."""
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket, ssl_context=self._context).start()
        self._started = True

    async def stop(self) -> None:
        """End every watch and give the port back."""
        self._rooms.watches.close()
        if self._started:
            await self._runner.cleanup()
        self._socket.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        faults = self._rooms.faults
        if faults.slow:
            await asyncio.sleep(faults.slow)
        if faults.down:
            if request.transport is not None:
                request.transport.abort()
            raise web.HTTPServiceUnavailable
        try:
            return await self._serve(request)
        except ApiError as error:
            headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else None
            return web.json_response(error.status(), status=error.code, headers=headers)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path.startswith(OPEN):
            return self._open(request)
        self._authenticate(request)
        if (found := discovery(path)) is not None:
            return web.json_response(found)
        if what := metrics.asked(path):
            self._fail("list", f"{what}.metrics.k8s.io")
            return web.json_response(metrics.metrics(self._rooms.store, path, self._rooms.clock()))
        call = read_call(request.method, path, request.query, request.content_type, await request.read())
        lost = self._fail(call.verb, call.resource)
        if call.verb == "watch":
            return await self._rooms.watches.serve(request, call)
        if call.sub == "log":
            return await serve_log(request, call, self._rooms.store, self._rooms.logs, self._rooms.clock())
        made = call.verb == "create" or self._is_missing(call)
        try:
            answer = self._do(call)
        finally:  # a refusal is an answer, too
            if lost and request.transport is not None:
                request.transport.abort()
        if call.verb in ("get", "list") and not call.sub and WANTED in request.headers.get("Accept", ""):
            answer = table(call.kind, answer, self._rooms.clock())
        return web.json_response(answer, status=201 if made else 200)

    def _fail(self, verb: str, resource: str) -> bool:
        """Raise what this call was made to fail with. Whether its answer is to be lost."""
        fault = self._rooms.faults.take(verb, resource)
        if fault is not None and not fault.lost:
            raise ApiError(fault.code, fault.reason, fault.message, retry_after=fault.retry_after)
        return fault is not None

    def _is_missing(self, call: Call) -> bool:
        """Whether an apply makes its object."""
        return call.content_type == APPLY and self._rooms.store.find(call.kind, call.namespace, call.name) is None

    def _do(self, call: Call) -> Object:
        rooms = self._rooms
        if call.sub == "eviction" and call.kind.plural == "pods" and call.verb == "create":
            return rooms.subresources.evict(call)
        if call.sub == "scale" and call.kind.replicated:
            return rooms.subresources.scale(call)
        if call.sub and not (call.sub == "status" and call.kind.status):
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        match call.verb:
            case "get":
                return rooms.objects.get(call)
            case "list":
                return rooms.objects.list(call)
            case "create":
                return rooms.objects.create(call)
            case "update":
                return rooms.objects.update(call)
            case "patch":
                return rooms.objects.patch(call)
        return rooms.objects.delete(call) if call.name else rooms.objects.delete_all(call)

    def _authenticate(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        if not given:
            raise ApiError(
                403, "Forbidden", f'forbidden: User "system:anonymous" cannot {request.method} path {request.path}'
            )
        if not secrets.compare_digest(given.encode(), f"Bearer {self._rooms.token}".encode()):
            raise ApiError(401, "Unauthorized", "Unauthorized")

    def _open(self, request: web.Request) -> web.Response:
        if request.path == "/version":
            return web.json_response({"major": "1", "minor": "36", "gitVersion": "v1.36.2", "platform": "linux/amd64"})
        bad = self._rooms.faults.unhealthy
        which = request.path.partition("/")[2].partition("/")[0]
        lines = [f"[-]{name} failed: reason withheld" if name in bad else f"[+]{name} ok" for name in CHECKS]
        if not bad:
            text = "\n".join([*lines, f"{which} check passed"]) if "verbose" in request.query else "ok"
            return web.Response(text=text)
        return web.Response(text="\n".join([*lines, f"{which} check failed"]), status=500)


def discovery(path: str) -> Object | None:
    """What there is to ask for, as kubectl and dynamic clients look it up; None for another path."""
    groups = sorted({(kind.group, kind.version) for kind in KINDS if kind.group})
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        return {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [
                {"name": group, "versions": [version], "preferredVersion": version}
                for group, version in ((g, {"groupVersion": f"{g}/{v}", "version": v}) for g, v in groups)
            ],
        }
    kinds = [kind for kind in KINDS if kind.base == path]
    if not kinds:
        return None
    verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    resources: list[dict[str, Any]] = []
    for kind in kinds:
        about = {"singularName": kind.name.lower(), "namespaced": kind.namespaced, "kind": kind.name}
        resources.append({"name": kind.plural, **about, "verbs": verbs, "shortNames": list(kind.short)})
        if kind.status:
            resources.append({"name": f"{kind.plural}/status", **about, "verbs": ["get", "patch", "update"]})
        if kind.replicated:
            scale = {"kind": "Scale", "group": "autoscaling", "version": "v1", "verbs": ["get", "patch", "update"]}
            resources.append({"name": f"{kind.plural}/scale", **about, **scale})
    if path == "/api/v1":
        about = {"singularName": "", "namespaced": True}
        eviction = {"kind": "Eviction", "group": "policy", "version": "v1", "verbs": ["create"]}
        resources.append({"name": "pods/eviction", **about, **eviction})
        resources.append({"name": "pods/log", **about, "kind": "Pod", "verbs": ["get"]})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": kinds[0].api_version, "resources": resources}
