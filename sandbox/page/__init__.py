"""The web page of the practice estate: plain ES modules and CSS, served as they lie here."""

import mimetypes
from pathlib import Path

from aiohttp import web

ROOT = Path(__file__).parent
# Python's table differs between systems; a module served as text/plain would not run.
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
# The page asks nobody but its own server (and dashboards on this machine, for pictures).
POLICY = (
    "default-src 'self'; img-src 'self' data: http://127.0.0.1:* http://localhost:*; "
    "connect-src 'self' ws://127.0.0.1:* ws://localhost:*; base-uri 'none'; form-action 'none'"
)


def routes() -> list[web.RouteDef]:
    """The page at `/` and its files under `/page/`; to be added to the application that serves `/ui/*`."""
    return [web.get("/", _index), web.get("/favicon.ico", _icon), web.get("/page/{name:.+}", _file)]


async def _index(_request: web.Request) -> web.StreamResponse:
    return _answer(ROOT / "index.html")


async def _icon(_request: web.Request) -> web.StreamResponse:
    return _answer(ROOT / "icon.svg")


async def _file(request: web.Request) -> web.StreamResponse:
    path = (ROOT / request.match_info["name"]).resolve()
    if not path.is_relative_to(ROOT) or path.suffix not in TYPES or not path.is_file():
        raise web.HTTPNotFound
    return _answer(path)


def _answer(path: Path) -> web.FileResponse:
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    headers = {
        "Content-Type": f"{kind}; charset=utf-8",
        "Cache-Control": "no-cache",
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return web.FileResponse(path, headers=headers)
