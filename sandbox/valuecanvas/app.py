"""One instance of ValueCanvas: what it serves over HTTP."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web
from psycopg import Error as PostgresError
from psycopg_pool import PoolTimeout

from sandbox.valuecanvas.llm import LlmService, NoProvider
from sandbox.valuecanvas.stores import Stores
from sandbox.valuecanvas.writes import Ledger, Write, new_title

COMMON_PROMPTS = ("Summarise this canvas", "Suggest a title", "Find the key value drivers")


Handler = Callable[["ValueCanvas", web.Request], Awaitable[web.Response]]


class ValueCanvas:
    """The application. `api_token` opens the API, `admin_token` the administration; both as bearer tokens.

    `llm` and `ledger` are shared by all instances of one host: the breaker's state and what was acknowledged.
    """

    def __init__(
        self,
        stores: Stores,
        *,
        api_token: str,
        admin_token: str,
        clock: Callable[[], float] = time.monotonic,
        llm: LlmService | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.llm = llm or LlmService(clock)
        self.stores, self._api_token, self._admin_token = stores, api_token, admin_token
        self._ledger = ledger or Ledger()

    def app(self) -> web.Application:
        """This instance alone; see `Host` for several behind one address."""

        def here(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
            async def answer(request: web.Request) -> web.Response:
                return await handler(self, request)

            return answer

        app = web.Application()
        app.add_routes([web.route(method, path, here(handler)) for method, path, handler in routes()])
        app.cleanup_ctx.append(self._stores_open)
        return app

    async def front(self, _request: web.Request) -> web.Response:
        """The front page."""
        return web.Response(
            text="<!doctype html><title>ValueCanvas</title><h1>ValueCanvas</h1>", content_type="text/html"
        )

    async def live(self, _request: web.Request) -> web.Response:
        """The process answers."""
        return web.json_response({"status": "alive"})

    async def ready(self, _request: web.Request) -> web.Response:
        """200 when database and cache both answered just now, else 503; each check says how it went."""
        database, cache = await asyncio.gather(self.stores.check_database(), self.stores.check_cache())
        ready = database["status"] == cache["status"] == "up"
        body = {"status": "ready" if ready else "not_ready", "checks": {"database": database, "redis": cache}}
        return web.json_response(body, status=200 if ready else 503)

    async def canvases(self, request: web.Request) -> web.Response:
        """The canvases changed last, with the API's token or with the session of somebody who signed in."""
        try:
            if session := request.headers.get("X-Session"):
                if not await self.stores.signed_in(session):
                    return _error(401, "Sign in again.")
            else:
                self._require(request, self._api_token)
            return web.json_response({"canvases": await self.stores.canvases(20)})
        except (PostgresError, PoolTimeout):
            return _error(503, "The database does not answer.")

    async def write(self, request: web.Request) -> web.Response:
        """Store a new canvas, body {"title"?}; 201 {"id", "title"} once it is committed."""
        self._require(request, self._api_token)
        title = (await _body(request)).get("title")
        try:
            write = await self.note(title if isinstance(title, str) and title else None)
        except (PostgresError, PoolTimeout):
            return _error(503, "The database did not take it.")
        return web.json_response({"id": write.id, "title": write.title}, status=201)

    async def note(self, title: str | None = None) -> Write:
        """Store a canvas and remember that it was acknowledged. Raises PostgresError or PoolTimeout."""
        try:
            write = await self.stores.write(title or new_title())
        except (PostgresError, PoolTimeout):
            self._ledger.failed += 1
            raise
        self._ledger.acknowledged(write)
        return write

    async def writes(self, request: web.Request) -> web.Response:
        """{"acknowledged", "failed", "missing", "examples": [{"id", "title"}]}: `missing` acknowledged canvases are lost."""
        self._require(request, self._api_token)
        known = self._ledger.writes
        try:
            missing = await self.stores.missing(known)
        except (PostgresError, PoolTimeout):
            return _error(503, "The database does not answer.")
        examples = [{"id": write.id, "title": write.title} for write in missing[:5]]
        counts = {"acknowledged": len(known), "failed": self._ledger.failed, "missing": len(missing)}
        return web.json_response(counts | {"examples": examples})

    async def llm_health(self, _request: web.Request) -> web.Response:
        """200 while some provider serves (also on the fallback: `status` is then degraded), 503 when none does."""
        health = self.llm.health()
        return web.json_response(health, status=503 if health["status"] == "unhealthy" else 200)

    async def llm_stats(self, _request: web.Request) -> web.Response:
        """Counters since the start."""
        return web.json_response(self.llm.stats())

    async def chat(self, request: web.Request) -> web.Response:
        """Body {"prompt", "model"?}; answers {"answer", "provider", "cached"}, provider "cache" for a cached one."""
        self._require(request, self._api_token)
        body = await _body(request)
        prompt = body.get("prompt")
        if not isinstance(prompt, str) or not prompt:
            return _error(400, "A prompt is needed.")
        return await self.ask(prompt, body.get("model"))

    async def ask(self, prompt: str, model: Any = None) -> web.Response:
        """Ask the LLM, or the cache, something."""
        if (known := await self.stores.remembered(prompt)) is not None:
            return web.json_response({"answer": known, "provider": "cache", "model": model, "cached": True})
        try:
            answer, provider = self.llm.complete(prompt)
        except NoProvider as error:
            return _error(503, f"No LLM provider answers: {error}.")
        return web.json_response({"answer": answer, "provider": provider, "model": model, "cached": False})

    async def reset(self, request: web.Request) -> web.Response:
        """Close the circuit breaker by hand."""
        self._require(request, self._admin_token)
        self.llm.reset()
        return web.json_response(self.llm.health())

    async def warm_up(self, request: web.Request) -> web.Response:
        """Put the common prompts into the cache; 503 when there is no cache."""
        self._require(request, self._admin_token)
        warmed = 0
        for prompt in COMMON_PROMPTS:
            try:
                answer, _ = self.llm.complete(prompt)
            except NoProvider as error:
                return _error(503, f"No LLM provider answers: {error}.")
            warmed += await self.stores.remember(prompt, answer)
        if not warmed:
            return _error(503, "The cache does not answer.")
        return web.json_response({"warmed": warmed})

    async def switch_provider(self, request: web.Request) -> web.Response:
        """For practice: body {"up": bool} makes a provider fail or work."""
        self._require(request, self._admin_token)
        provider = self.llm.providers.get(request.match_info["name"])
        up = (await _body(request)).get("up")
        if provider is None or not isinstance(up, bool):
            return _error(400, 'Name a provider and send {"up": true} or {"up": false}.')
        provider.up = up
        return web.json_response({"provider": provider.name, "up": up})

    def _require(self, request: web.Request, token: str) -> None:
        given = request.headers.get("Authorization", "")
        if not given:
            raise web.HTTPUnauthorized(text='{"error": "A bearer token is needed."}', content_type="application/json")
        if not secrets.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise web.HTTPForbidden(text='{"error": "This token may not do that."}', content_type="application/json")

    async def _stores_open(self, _app: web.Application) -> AsyncIterator[None]:
        await self.stores.open()
        yield
        await self.stores.close()


def routes() -> Sequence[tuple[str, str, Handler]]:
    """Everything that is served: method, path, and who answers."""
    return (
        ("GET", "/", ValueCanvas.front),
        ("GET", "/health/live", ValueCanvas.live),
        ("GET", "/health/ready", ValueCanvas.ready),
        ("GET", "/api/canvases", ValueCanvas.canvases),
        ("POST", "/api/canvases", ValueCanvas.write),
        ("GET", "/api/writes", ValueCanvas.writes),
        ("GET", "/api/llm/health", ValueCanvas.llm_health),
        ("GET", "/api/llm/stats", ValueCanvas.llm_stats),
        ("POST", "/api/llm/chat", ValueCanvas.chat),
        ("POST", "/api/llm/reset", ValueCanvas.reset),
        ("POST", "/api/admin/cache/warmup", ValueCanvas.warm_up),
        ("PUT", "/practice/providers/{name}", ValueCanvas.switch_provider),
    )


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _error(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)
