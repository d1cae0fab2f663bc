"""The bot's own HTTP: is it alive, is it ready, its figures, and PagerDuty's webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from bot.clients.pagerduty import heard_by_webhook
from bot.clock import Clock
from bot.engine import Outcome
from bot.errors import StoreUnavailable
from bot.hearing import Hearing
from bot.owed import Effect, Owed
from bot.rules import Case
from bot.store import Store

log = logging.getLogger("bot.web")

Health = Callable[[], Mapping[str, str]]
"""The neighbours as last seen: name → `ok` or what is wrong."""

OLDEST_WEBHOOK = timedelta(days=2)
"""PagerDuty gives up after this; whatever is older is a replay."""


class Web:
    """Routes of the product itself. `ready` is set once the engine runs."""

    def __init__(self, store: Store, clock: Clock, health: Health, webhook_secret: str) -> None:
        self._store = store
        self._clock = clock
        self._health = health
        self._secret = webhook_secret.encode()
        self.ready = False

    def app(
        self, slack_events: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    ) -> web.Application:
        app = web.Application(client_max_size=4 * 1024 * 1024)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        if self._secret:
            app.router.add_post("/pagerduty/webhook", self._webhook)
        if slack_events is not None:
            app.router.add_post("/slack/events", slack_events)
        return app

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _readyz(self, _request: web.Request) -> web.Response:
        """200 when the store answers and the engine runs. Neighbours that are down are named, but do not matter here."""
        if not self.ready:
            return web.json_response({"status": "starting"}, status=503)
        try:
            async with self._store.tx() as tx:
                open_now = await tx.count_open()
        except StoreUnavailable as error:
            return web.json_response({"status": "not ready", "store": str(error)}, status=503)
        return web.json_response({"status": "ready", "store": "ok", "open_incidents": open_now, **self._health()})

    async def _metrics(self, _request: web.Request) -> web.Response:
        """Prometheus text, read from the rows at the moment of asking."""
        registry = CollectorRegistry()
        open_now = Gauge("recovery_bot_open_incidents", "Incidents that are not resolved", registry=registry)
        owed = Gauge("recovery_bot_owed", "Effects that are not done", ["kind", "state"], registry=registry)
        up = Gauge(
            "recovery_bot_neighbour_up", "1 when the neighbour answered last time", ["neighbour"], registry=registry
        )
        for neighbour, state in self._health().items():
            up.labels(neighbour).set(1 if state == "ok" else 0)
        try:
            async with self._store.tx() as tx:
                open_now.set(await tx.count_open())
                for kind, state, count in await tx.owed_counts():
                    owed.labels(kind, state).set(count)
        except StoreUnavailable:
            up.labels("store").set(0)
        else:
            up.labels("store").set(1)
        return web.Response(body=generate_latest(registry), content_type="text/plain")

    async def _webhook(self, request: web.Request) -> web.Response:
        """A v3 webhook: signature over the exact bytes, each event once, nothing older than PagerDuty would send."""
        body = await request.read()
        signatures = request.headers.get("X-PagerDuty-Signature", "")
        wanted = "v1=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        if not any(hmac.compare_digest(s.strip().encode(), wanted.encode()) for s in signatures.split(",")):
            return web.json_response({"error": "the signature does not match"}, status=401)
        try:
            event = json.loads(body)["event"]
            key, occurred = (
                f"webhook/{event['id']}",
                datetime.fromisoformat(str(event["occurred_at"]).replace("Z", "+00:00")),
            )
        except (ValueError, KeyError, TypeError):
            return web.json_response({"error": "this is no v3 webhook"}, status=400)
        if occurred < self._clock() - OLDEST_WEBHOOK:
            return web.json_response({"error": "this event is too old; it is refused as a replay"}, status=409)
        try:
            async with self._store.tx() as tx:
                await tx.owe(Owed("intake.webhook", key, key, {"event": event}))
        except StoreUnavailable as error:
            return web.json_response({"error": str(error)}, status=503)
        return web.json_response({"status": "stored"})


def webhook_performer(hearing: Hearing) -> Callable[[Effect, Case | None], Awaitable[Outcome]]:
    """Does what a stored webhook says."""

    async def perform(effect: Effect, _case: Case | None) -> Outcome:
        event: Mapping[str, Any] = effect.args["event"]
        heard = heard_by_webhook(event)
        if heard is not None:
            await hearing.hear(heard)
        return Outcome()

    return perform
