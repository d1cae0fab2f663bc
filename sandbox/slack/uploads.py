"""Bytes in and out: the upload URL and the files themselves."""

from aiohttp import web

from .workspace import Workspace

MAX_BYTES = 100 << 20
"""The largest upload, whatever the server's limit for other requests."""


async def receive(ws: Workspace, request: web.Request) -> web.Response:
    """POST /upload/<id>: the raw bytes (or a form with one file), no token."""
    file = ws.files.get(request.match_info["id"])
    if file is None or file.content is not None:
        return web.Response(status=404, text="unknown upload")
    content = await _content(request.clone(client_max_size=MAX_BYTES))
    if len(content) != file.size:
        return web.Response(status=400, text=f"expected {file.size} bytes, got {len(content)}")
    file.content = content
    return web.Response(text=f"OK - {file.size}")


async def _content(request: web.Request) -> bytes:
    if request.content_type != "multipart/form-data":
        return await request.read()
    for field in (await request.post()).values():
        if isinstance(field, web.FileField):
            with field.file as opened:
                return opened.read()
    return b""


async def send(ws: Workspace, request: web.Request) -> web.Response:
    """GET /files/<id>/<name>: open to the page; a bearer token, when given, must be the bot's with files:read."""
    given = request.headers.get("Authorization")
    if given is not None and (given != f"Bearer {ws.bot_token}" or "files:read" not in ws.app.scopes):
        return web.Response(status=403, text="not allowed")
    file = ws.files.get(request.match_info["id"])
    if file is None or file.content is None:
        return web.Response(status=404, text="no such file")
    # Never shown as a page of this origin: it may be anybody's HTML.
    safe = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
    return web.Response(body=file.content, content_type=file.mimetype, headers=safe)
