"""A local Slack as strict as the real one: Web API, Socket Mode, HTTP delivery, and people who type and click.

workspace = build(manifest, public_url="http://127.0.0.1:3000")
app.add_routes(routes(workspace))
await close(workspace)
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from . import responses, ui, uploads
from .faults import Faults, FaultSpec
from .manifest import read
from .web_api import WebApi, cut
from .workspace import Workspace

Serve = Callable[[Workspace, web.Request], Awaitable[web.StreamResponse]]

__all__ = ["FaultSpec", "Faults", "Workspace", "build", "close", "routes"]


def build(
    manifest: Mapping[str, Any],
    *,
    team: str = "ValueCanvas",
    public_url: str,
    events_url: str | None = None,
    signing_secret: str | None = None,
    clock: Callable[[], float] = time.time,
    seconds_per_minute: float = 60.0,
) -> Workspace:
    """A fresh team with the app of this manifest installed.

    `public_url`: where `routes` will be served, without trailing slash. `events_url`: deliver over HTTP to this
    address (else by the manifest: Socket Mode, or its own request URL). `clock`: Unix seconds.
    `seconds_per_minute`: real seconds that a minute of retries and disconnects lasts.
    """
    return Workspace(
        read(manifest),
        team=team,
        public_url=public_url,
        events_url=events_url,
        signing_secret=signing_secret or secrets.token_hex(16),
        clock=clock,
        seconds_per_minute=seconds_per_minute,
    )


def routes(workspace: Workspace) -> list[web.RouteDef]:
    """/api/*, /link, /response/*, /upload/*, /files/* and /ui/*."""
    api = WebApi(workspace)

    def unless_down(serve: Serve) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            return cut(request) if workspace.faults.down else await serve(workspace, request)

        return answer

    async def file(request: web.Request) -> web.StreamResponse:
        return await uploads.send(workspace, request)

    return [
        web.get("/api/{method}", api.serve),
        web.post("/api/{method}", api.serve),
        web.get("/link", unless_down(lambda ws, request: ws.sockets.serve(request))),
        web.post("/response/{id}", unless_down(responses.serve)),
        web.post("/upload/{id}", unless_down(uploads.receive)),
        web.get("/files/{id}/{name}", file),
        *ui.routes(workspace),
    ]


async def close(workspace: Workspace) -> None:
    """Close every socket and stop every task. Call it before the server's own cleanup."""
    workspace.closing.set()
    await workspace.sockets.close()
    await workspace.hub.close()
    await workspace.tasks.close()
    if workspace.http:
        await workspace.http.close()
