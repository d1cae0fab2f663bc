"""A PagerDuty account on this machine, in the shapes of its REST API v2 and webhooks v3.

    pagerduty = build(webhook_url="http://127.0.0.1:8080/pagerduty/webhook")
    runner = web.AppRunner(pagerduty.app())

People never answer until they are told to: `pagerduty.people["PANAORT"].behave("acks", after=20)`.
"""

import asyncio
import contextlib
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sandbox.pagerduty import phone, web_page
from sandbox.pagerduty.account import Account
from sandbox.pagerduty.directory import INCIDENT_EVENTS, DirectoryApi
from sandbox.pagerduty.errors import Refused, not_found, unauthorized
from sandbox.pagerduty.faults import ApiCall, Faults, FaultSpec, middleware
from sandbox.pagerduty.incidents import IncidentApi
from sandbox.pagerduty.model import Incident, Subscription
from sandbox.pagerduty.people import RUNG_IDS, SERVICE_ID, Person
from sandbox.pagerduty.shapes import Shapes
from sandbox.pagerduty.webhooks import RETRY_DELAYS, Dispatcher

__all__ = ["RUNG_IDS", "SERVICE_ID", "ApiCall", "FaultSpec", "Faults", "PagerDuty", "build"]

ABILITIES = ("coordinated_responding", "sso", "urgencies", "teams")
HTML = "https://valuecanvas.pagerduty.example"


class PagerDuty:
    """The running double. Build it with `build`, serve `app()`, end it with `close()`."""

    def __init__(self, account: Account, dispatcher: Dispatcher, clock: Callable[[], float], api_key: str) -> None:
        self.account = account
        self.webhooks = dispatcher
        self.api_key = api_key
        self.webhook_secret = next((s.secret for s in account.subscriptions.values()), "")
        self.faults = Faults()
        self.calls: deque[ApiCall] = deque(maxlen=10_000)
        self._clock = clock
        self._wake = asyncio.Event()
        self._ticker: asyncio.Task[None] | None = None

    @property
    def people(self) -> Mapping[str, Person]:
        """Everybody in the account, by id."""
        return self.account.people

    @property
    def incidents(self) -> Mapping[str, Incident]:
        """Every incident, by id, oldest first."""
        return self.account.incidents

    def app(self) -> web.Application:
        """The REST API. While it is served, time passes for the people and the policies."""
        app = web.Application(middlewares=[middleware(self.faults, self.calls, self._clock), self._gate()])
        app.add_routes(IncidentApi(self.account, self._clock).routes())
        app.add_routes(DirectoryApi(self.account).routes())
        app.cleanup_ctx.append(self._live)
        return app

    def phone_routes(self) -> list[web.RouteDef]:
        """`/phone/*` for the page."""
        return phone.routes(self.account, self._clock)

    def page_routes(self) -> list[web.RouteDef]:
        """`/pagerduty/*`, where `html_url` leads when it is built with `<public address>/pagerduty`."""
        return web_page.routes(self.account)

    def advance(self) -> None:
        """Do what is due by the clock now; a served app does so by itself, a test with a held clock calls this."""
        self.account.advance(self._clock())

    def set_seconds_per_minute(self, seconds: float) -> None:
        """Turn the practice clock while things are under way."""
        self.account.set_pace(self._clock(), seconds)
        self.wake()

    def wake(self) -> None:
        """Look again at what is due next."""
        self._wake.set()

    async def close(self) -> None:
        """Stop the clock and the webhooks. May be called twice."""
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
            self._ticker = None
        await self.webhooks.close()

    async def _live(self, _app: web.Application) -> AsyncIterator[None]:
        self._ticker = asyncio.create_task(self._tick(), name="pagerduty clock")
        yield
        await self.close()

    async def _tick(self) -> None:
        while True:
            self._wake.clear()
            self.account.advance(self._clock())
            due = self.account.timers.next_due()
            wait = None if due is None else max(0.0, due - self._clock())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    def _gate(self) -> Middleware:
        @web.middleware
        async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            """Only with the key; every `self` link leads back here; PagerDuty's own words for unknown paths."""
            if not secrets.compare_digest(request.headers.get("Authorization", ""), f"Token token={self.api_key}"):
                raise unauthorized()
            if not self.account.shapes.api:
                self.account.shapes.api = str(request.url.origin())
            try:
                return await handler(request)
            except web.HTTPNotFound:
                raise not_found() from None
            except web.HTTPMethodNotAllowed as refused:
                raise Refused(405, 2100, "Method Not Allowed", refused.method) from None

        return gate


def build(
    *,
    webhook_url: str | None = None,
    url: str = "",
    html_url: str = HTML,
    clock: Callable[[], float] = time.time,
    seconds_per_minute: float = 60.0,
    abilities: Iterable[str] = ABILITIES,
    retry_delays: Sequence[float] = RETRY_DELAYS,
    on_change: Callable[[], None] | None = None,
) -> PagerDuty:
    """A fresh account with its people, one service, four policies and, with `webhook_url`, one subscription to it.

    `url`: own address for `self` links (otherwise taken from the first request). `clock`: seconds since the epoch.
    `seconds_per_minute`: the practice clock, by which every waiting is scaled. `retry_delays`: seconds between the
    attempts of a webhook. `on_change`: called after anything that the page shows has changed.
    """
    made: list[PagerDuty] = []

    def changed() -> None:
        for pagerduty in made:
            pagerduty.wake()
        if on_change is not None:
            on_change()

    dispatcher = Dispatcher(lambda: list(account.subscriptions.values()), retry_delays)
    account = Account(
        shapes=Shapes(url, html_url, clock()),
        seconds_per_minute=seconds_per_minute,
        abilities=abilities,
        publish=dispatcher.publish,
        changed=changed,
    )
    if webhook_url:
        subscription = Subscription(account.new_id("W"), webhook_url, secrets.token_hex(32), INCIDENT_EVENTS)
        account.subscriptions[subscription.id] = subscription
    made.append(PagerDuty(account, dispatcher, clock, "u+" + secrets.token_urlsafe(15)))
    return made[0]
