"""Watches: a stream of what happens to the objects of one kind."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator

from aiohttp import web

from sandbox.cluster.calls import Call
from sandbox.cluster.errors import ApiError, bad_request
from sandbox.cluster.faults import Faults
from sandbox.cluster.kinds import Kind, Object
from sandbox.cluster.selectors import Matches, matcher
from sandbox.cluster.store import Change, Store

BOOKMARK_EVERY = 10.0
LONGEST = 1_800.0


class Watches:
    """Serves them until their time is up, the client goes, or `close` is called."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store, self._faults = store, faults
        self._closed = False

    def close(self) -> None:
        """End all of them."""
        self._closed = True
        self._store.wake()

    async def serve(self, request: web.Request, call: Call) -> web.StreamResponse:
        """From `resourceVersion` on, or with everything there is first. Too old a version is an ERROR event of code 410."""
        meant = matcher(call.kind, call.query.get("labelSelector", ""), call.query.get("fieldSelector", ""))
        since = call.query.get("resourceVersion", "")
        if since and not since.isdigit():
            raise bad_request(f"invalid resource version: {since!r}")
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        await stream.prepare(request)
        position = int(since or 0)
        if not position:
            position = self._store.version
            for thing in self._store.list(call.kind, call.namespace):
                if meant(thing):
                    await _write(stream, "ADDED", thing)
        with contextlib.suppress(ConnectionResetError):
            await self._follow(request, stream, call, meant, position)
        return stream

    async def _follow(
        self, request: web.Request, stream: web.StreamResponse, call: Call, meant: Matches, position: int
    ) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + min(call.number("timeoutSeconds") or LONGEST, LONGEST)
        bookmarks = call.flag("allowWatchBookmarks")
        marked = loop.time()
        with self._store.listening() as changed:
            while not self._closed:
                changed.clear()
                if self._faults.down and request.transport is not None:
                    request.transport.abort()
                    return
                try:
                    events = list(_events(self._store.changes(call.kind, position), call, meant))
                except ApiError as error:
                    await _write(stream, "ERROR", error.status())
                    return
                position = self._store.version
                for type_, thing in events:
                    await _write(stream, type_, thing)
                now = loop.time()
                if bookmarks and (now - marked >= BOOKMARK_EVERY or now >= end):
                    marked = now
                    await _write(stream, "BOOKMARK", _bookmark(call.kind, position))
                if now >= end:
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(end, marked + BOOKMARK_EVERY) - now if bookmarks else end - now):
                        await changed.wait()


def _events(changes: Iterator[Change], call: Call, meant: Matches) -> Iterator[tuple[str, Object]]:
    """As this watch sees them: an object that comes to be meant is added, one that no longer is, is deleted."""
    for change in changes:
        if call.namespace and change.now["metadata"].get("namespace") != call.namespace:
            continue
        was = change.before is not None and meant(change.before)
        if change.type == "DELETED":
            if was:
                yield "DELETED", change.now
        elif meant(change.now):
            yield ("MODIFIED" if was else "ADDED"), change.now
        elif was and change.before is not None:
            version = change.now["metadata"]["resourceVersion"]
            yield "DELETED", change.before | {"metadata": change.before["metadata"] | {"resourceVersion": version}}


def _bookmark(kind: Kind, version: int) -> Object:
    return {"kind": kind.name, "apiVersion": kind.api_version, "metadata": {"resourceVersion": str(version)}}


async def _write(stream: web.StreamResponse, type_: str, thing: Object) -> None:
    await stream.write(json.dumps({"type": type_, "object": thing}, separators=(",", ":")).encode() + b"\n")
