"""Webhooks v3 as a subscriber receives them, over HTTP."""

import hashlib
import hmac
import socket
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sandbox.pagerduty import SERVICE_ID, PagerDuty, build

Json = dict[str, Any]


class Subscriber:
    """Takes webhooks at `/hook`, answering with the statuses in `answers`, then 202."""

    def __init__(self) -> None:
        self.deliveries: list[tuple[dict[str, str], bytes, Json]] = []
        self.answers: list[int] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        self.deliveries.append((dict(request.headers), await request.read(), (await request.json())["event"]))
        return web.Response(status=self.answers.pop(0) if self.answers else 202)

    def events(self) -> list[str]:
        return [event["event_type"] for _, _, event in self.deliveries]


@pytest.fixture
def subscriber() -> Subscriber:
    return Subscriber()


@pytest.fixture
async def pagerduty(subscriber: Subscriber, serve: Any) -> PagerDuty:
    """A served account with one subscription; repeats come without delay."""
    hook = await serve(subscriber.app()) + "/hook"
    pagerduty = build(webhook_url=hook, clock=now, retry_delays=(0.0,) * 5)
    await serve(pagerduty.app())
    return pagerduty


def now() -> float:
    """The account's clock stands still: nothing happens but what a test does."""
    return 1_700_000_000.0


def declare(pagerduty: PagerDuty) -> Any:
    ana = pagerduty.people["PANAORT"]
    return pagerduty.account.trigger(now(), ana, title="Checkout is down", key="INC-1")


async def test_a_delivery_is_signed_and_shaped(pagerduty: PagerDuty, subscriber: Subscriber) -> None:
    """The body is one event in the webhook shape, and the signature is the HMAC of exactly those bytes."""
    declare(pagerduty)
    await pagerduty.webhooks.idle()
    (headers, body, event) = subscriber.deliveries[0]
    digest = hmac.new(pagerduty.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-PagerDuty-Signature"] == f"v1={digest}"
    assert headers["X-Webhook-Id"] == event["id"]
    assert headers["X-Webhook-Subscription"] in pagerduty.account.subscriptions
    assert set(event) == {"id", "event_type", "resource_type", "occurred_at", "agent", "client", "data"}
    assert event["occurred_at"] == "2023-11-14T22:13:20.000Z"
    assert (event["data"]["incident_key"], event["data"]["number"]) == ("INC-1", 1)
    assert event["agent"]["summary"] == "Ana Ortiz"


async def test_every_change_is_told_in_order(pagerduty: PagerDuty, subscriber: Subscriber) -> None:
    """One event for each change of an incident's life, in the order of the changes."""
    incident, account = declare(pagerduty), pagerduty.account
    ana, ben = account.people["PANAORT"], account.people["PBENADL"]
    account.acknowledge(now() + 1, incident, ana)
    account.unacknowledge(now() + 2, incident, ana)
    account.annotate(now() + 3, incident, ana, "looking")
    account.reassign(now() + 4, incident, ana, [ben])
    account.delegate(now() + 5, incident, ana, account.policies["PRUNG01"])
    account.escalate(now() + 6, incident, ana, 2)
    account.request_responders(now() + 7, incident, ana, "help", [account.people["PFRANKO"]])
    account.paging.answer(now() + 8, account.paging.ringing()[-1], "acknowledge")
    account.resolve(now() + 9, incident, ana)
    await pagerduty.webhooks.idle()
    assert [name.removeprefix("incident.") for name in subscriber.events()] == [
        "triggered",
        "acknowledged",
        "unacknowledged",
        "annotated",
        "reassigned",
        "delegated",
        "escalated",
        "responder.added",
        "responder.replied",
        "resolved",
    ]
    assert subscriber.deliveries[3][2]["data"]["content"] == "looking"
    assert subscriber.deliveries[8][2]["data"]["state"] == "joined"


async def test_a_refused_delivery_is_repeated(pagerduty: PagerDuty, subscriber: Subscriber) -> None:
    """An answer other than 2xx is repeated with the same event id, and the later events wait their turn."""
    subscriber.answers = [500, 503]
    incident = declare(pagerduty)
    pagerduty.account.resolve(now() + 1, incident, pagerduty.people["PANAORT"])
    await pagerduty.webhooks.idle()
    assert subscriber.events() == ["incident.triggered"] * 3 + ["incident.resolved"]
    assert len({event["id"] for _, _, event in subscriber.deliveries}) == 2


async def test_a_dead_subscriber_is_given_up(serve: Any) -> None:
    """Nobody listening ends after the last repeat, and closing never waits for it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        hook = f"http://127.0.0.1:{taken.getsockname()[1]}/hook"
        pagerduty = build(webhook_url=hook, clock=now, retry_delays=(0.0, 0.0))
        await serve(pagerduty.app())
        declare(pagerduty)
        await pagerduty.webhooks.idle()
    assert [(attempt, outcome) for _, attempt, outcome in pagerduty.webhooks.log] == [
        (1, "ClientConnectorError"),
        (2, "ClientConnectorError"),
        (3, "ClientConnectorError"),
    ]


async def test_subscriptions_are_made_over_the_api(subscriber: Subscriber, serve: Any) -> None:
    """POST gives the secret once; only the chosen events arrive; DELETE ends it."""
    hook = await serve(subscriber.app()) + "/hook"
    pagerduty = build(clock=now)
    address = await serve(pagerduty.app())
    wanted = {
        "type": "webhook_subscription",
        "delivery_method": {"type": "http_delivery_method", "url": hook},
        "events": ["incident.resolved"],
        "filter": {"type": "service_reference", "id": SERVICE_ID},
    }
    headers = {"Authorization": f"Token token={pagerduty.api_key}"}
    async with aiohttp.ClientSession(address, headers=headers) as client:
        async with client.post("/webhook_subscriptions", json={"webhook_subscription": wanted}) as response:
            made = (await response.json())["webhook_subscription"]
        async with client.get(f"/webhook_subscriptions/{made['id']}") as response:
            assert (await response.json())["webhook_subscription"]["delivery_method"]["secret"] is None
        incident = declare(pagerduty)
        pagerduty.account.resolve(now() + 1, incident, pagerduty.people["PANAORT"])
        await pagerduty.webhooks.idle()
        async with client.delete(f"/webhook_subscriptions/{made['id']}") as response:
            assert response.status == 204
    headers_seen, body, _ = subscriber.deliveries[0]
    digest = hmac.new(made["delivery_method"]["secret"].encode(), body, hashlib.sha256).hexdigest()
    assert headers_seen["X-PagerDuty-Signature"] == f"v1={digest}"
    assert subscriber.events() == ["incident.resolved"]
    assert pagerduty.account.subscriptions == {}
