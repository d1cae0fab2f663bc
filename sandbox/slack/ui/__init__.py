"""What a person can do, over HTTP: the page, the stories and the benchmarks all drive these."""

from collections.abc import Awaitable, Callable
from inspect import isawaitable

from aiohttp import web

from ..errors import PersonError, SlackError
from ..model import Json
from ..workspace import Workspace
from . import acts, places, switches, talk
from . import request as ask

Do = Callable[[Workspace, Json], Json | Awaitable[Json]]

READS: dict[str, Do] = {
    "boot": places.boot,
    "messages": talk.messages,
    "views": acts.views,
    "calls": switches.calls,
}
WRITES: dict[str, Do] = {
    "message": acts.message,
    "edit": talk.edit,
    "delete": talk.delete,
    "command": acts.command,
    "action": acts.action,
    "options": acts.options,
    "view/submit": acts.submit,
    "view/close": acts.close,
    "react": talk.reaction,
    "pin": talk.pinning,
    "shortcut": acts.shortcut,
    "home": places.home,
    "read": talk.read,
    "join": places.join,
    "leave": places.leave,
    "invite": places.invite,
    "channel": places.create,
    "im": places.direct,
    "archive": places.archive,
    "unarchive": places.unarchive,
    "faults": switches.faults,
}


def routes(ws: Workspace) -> list[web.RouteDef]:
    """Everything under /ui."""

    async def socket(request: web.Request) -> web.StreamResponse:
        try:
            me = ask.person(ws, request.query)
        except PersonError as error:
            return _refused(error)
        return await ws.hub.serve(request, me.id)

    async def upload(request: web.Request) -> web.Response:
        try:
            return web.json_response(await talk.upload(ws, request))
        except (PersonError, SlackError) as error:
            return _refused(error)

    return [
        *(web.get(f"/ui/{name}", _endpoint(ws, do, reads=True)) for name, do in READS.items()),
        *(web.post(f"/ui/{name}", _endpoint(ws, do, reads=False)) for name, do in WRITES.items()),
        web.get("/ui/socket", socket),
        web.post("/ui/upload", upload),
    ]


def _endpoint(ws: Workspace, do: Do, *, reads: bool) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        try:
            given = dict(request.query) if reads else await ask.body(request)
            result = do(ws, given)
            return web.json_response(await result if isawaitable(result) else result)
        except (PersonError, SlackError) as error:
            return _refused(error)

    return serve


def _refused(error: Exception) -> web.Response:
    return web.json_response({"error": str(error)}, status=400)
