"""REST: people, services, policies, who is on call, what the account may do, and its webhooks."""

import secrets
from collections.abc import Mapping
from typing import TypeVar

from aiohttp import web

from sandbox.pagerduty import errors
from sandbox.pagerduty.account import ACK_TIMEOUT, Account
from sandbox.pagerduty.model import Json, Subscription
from sandbox.pagerduty.people import SERVICE_ID, SERVICE_NAME
from sandbox.pagerduty.requests import many, page, wrapped

Thing = TypeVar("Thing")

INCIDENT_EVENTS = frozenset(
    f"incident.{name}"
    for name in (
        "triggered",
        "acknowledged",
        "unacknowledged",
        "resolved",
        "reassigned",
        "delegated",
        "escalated",
        "annotated",
        "responder.added",
        "responder.replied",
    )
)


class DirectoryApi:
    """The handlers of everything that is not an incident."""

    def __init__(self, account: Account) -> None:
        self._account, self._shapes = account, account.shapes

    def routes(self) -> list[web.RouteDef]:
        """What is served."""
        return [
            web.get("/users", self.users),
            web.get("/users/me", self.me),
            web.get("/users/{id}", self.user),
            web.get("/services", self.services),
            web.get("/services/{id}", self.service),
            web.get("/escalation_policies", self.policies),
            web.get("/escalation_policies/{id}", self.policy),
            web.get("/oncalls", self.oncalls),
            web.get("/abilities", self.abilities),
            web.get("/abilities/{id}", self.ability),
            web.get("/priorities", self.priorities),
            web.get("/webhook_subscriptions", self.subscriptions),
            web.post("/webhook_subscriptions", self.subscribe),
            web.get("/webhook_subscriptions/{id}", self.subscription),
            web.put("/webhook_subscriptions/{id}", self.change_subscription),
            web.delete("/webhook_subscriptions/{id}", self.unsubscribe),
        ]

    async def users(self, request: web.Request) -> web.Response:
        """GET /users: `query` matches names and addresses."""
        wanted = request.query.get("query", "").lower()
        found = [p for p in self._account.people.values() if wanted in p.name.lower() or wanted in p.email]
        return web.json_response(page(request, "users", [self._shapes.person(person) for person in found]))

    async def me(self, _request: web.Request) -> web.Response:
        """GET /users/me: account keys belong to nobody, which PagerDuty answers with 400."""
        raise errors.bad("Must use a user-level API token to access this endpoint")

    async def user(self, request: web.Request) -> web.Response:
        """GET /users/{id}."""
        return web.json_response({"user": self._shapes.person(_find(self._account.people, request))})

    async def services(self, request: web.Request) -> web.Response:
        """GET /services."""
        wanted = request.query.get("query", "").lower()
        found = [self._service()] if wanted in SERVICE_NAME.lower() else []
        return web.json_response(page(request, "services", found))

    async def service(self, request: web.Request) -> web.Response:
        """GET /services/{id}."""
        return web.json_response({"service": _find({SERVICE_ID: self._service()}, request)})

    def _service(self) -> Json:
        busy = any(incident.open for incident in self._account.incidents.values())
        first = next(iter(self._account.policies.values()))
        return self._shapes.service(first, int(ACK_TIMEOUT), busy=busy)

    async def policies(self, request: web.Request) -> web.Response:
        """GET /escalation_policies."""
        wanted = request.query.get("query", "").lower()
        found = [self._shapes.policy(p) for p in self._account.policies.values() if wanted in p.name.lower()]
        return web.json_response(page(request, "escalation_policies", found))

    async def policy(self, request: web.Request) -> web.Response:
        """GET /escalation_policies/{id}."""
        return web.json_response({"escalation_policy": self._shapes.policy(_find(self._account.policies, request))})

    async def oncalls(self, request: web.Request) -> web.Response:
        """GET /oncalls: everybody on every level, by policy and by user."""
        policies, users, include = (many(request, name) for name in ("escalation_policy_ids", "user_ids", "include"))
        found = [
            self._shapes.oncall(policy, level, person, include)
            for policy in self._account.policies.values()
            if not policies or policy.id in policies
            for level, rule in enumerate(policy.rules, start=1)
            for person in rule.targets
            if not users or person.id in users
        ]
        return web.json_response(page(request, "oncalls", found))

    async def abilities(self, _request: web.Request) -> web.Response:
        """GET /abilities."""
        return web.json_response({"abilities": sorted(self._account.abilities)})

    async def ability(self, request: web.Request) -> web.Response:
        """GET /abilities/{id}: 204 or 402."""
        if request.match_info["id"] not in self._account.abilities:
            raise errors.unpaid(request.match_info["id"])
        return web.Response(status=204)

    async def priorities(self, request: web.Request) -> web.Response:
        """GET /priorities: none are set up."""
        return web.json_response(page(request, "priorities", []))

    async def subscriptions(self, request: web.Request) -> web.Response:
        """GET /webhook_subscriptions."""
        found = [self._shapes.subscription(one) for one in self._account.subscriptions.values()]
        return web.json_response(page(request, "webhook_subscriptions", found))

    async def subscribe(self, request: web.Request) -> web.Response:
        """POST /webhook_subscriptions: the only answer that shows the secret."""
        body: Json = await wrapped(request, "webhook_subscription")
        method = body.get("delivery_method")
        url = method.get("url") if isinstance(method, dict) else None
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise errors.bad("Delivery method URL is invalid")
        subscription = Subscription(
            self._account.new_id("W"),
            url,
            secrets.token_hex(32),
            _events(body),
            body.get("description") or "",
            filter=_filter(body),
            headers=(method or {}).get("custom_headers") or [],
        )
        self._account.subscriptions[subscription.id] = subscription
        return web.json_response({"webhook_subscription": self._shapes.subscription(subscription, secret=True)})

    async def subscription(self, request: web.Request) -> web.Response:
        """GET /webhook_subscriptions/{id}."""
        return self._show(_find(self._account.subscriptions, request))

    async def change_subscription(self, request: web.Request) -> web.Response:
        """PUT /webhook_subscriptions/{id}: description, events, active."""
        subscription = _find(self._account.subscriptions, request)
        body: Json = await wrapped(request, "webhook_subscription")
        if "events" in body:
            subscription.events = _events(body)
        subscription.active = bool(body.get("active", subscription.active))
        subscription.description = body.get("description", subscription.description)
        return self._show(subscription)

    async def unsubscribe(self, request: web.Request) -> web.Response:
        """DELETE /webhook_subscriptions/{id}."""
        del self._account.subscriptions[_find(self._account.subscriptions, request).id]
        return web.Response(status=204)

    def _show(self, subscription: Subscription) -> web.Response:
        return web.json_response({"webhook_subscription": self._shapes.subscription(subscription)})


def _find(things: Mapping[str, Thing], request: web.Request) -> Thing:
    thing = things.get(request.match_info["id"])
    if thing is None:
        raise errors.not_found()
    return thing


def _events(body: Json) -> frozenset[str]:
    events = body.get("events")
    if not isinstance(events, list) or not events or not INCIDENT_EVENTS.issuperset(events):
        raise errors.bad("Events are invalid")
    return frozenset(events)


def _filter(body: Json) -> Json:
    given = body.get("filter")
    if not isinstance(given, dict) or given.get("type") not in ("account_reference", "service_reference"):
        raise errors.bad("Filter is invalid")
    if given["type"] == "service_reference" and given.get("id") != SERVICE_ID:
        raise errors.bad("Filter service not found")
    return given
