"""Webhooks v3: signed, delivered in the background, repeated until taken."""

import asyncio
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import aiohttp

from sandbox.pagerduty.model import Event, Json, Subscription

RETRY_DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
TIMEOUT = aiohttp.ClientTimeout(total=5)


def sign(secret: str, body: bytes) -> str:
    """The X-PagerDuty-Signature of a body."""
    return "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def envelope(event: Event) -> Json:
    """The body of a delivery."""
    occurred = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "event": {
            "id": event.id,
            "event_type": event.type,
            "resource_type": "incident",
            "occurred_at": occurred,
            "agent": event.agent,
            "client": None,
            "data": event.data,
        }
    }


def wants(subscription: Subscription, event: Event) -> bool:
    """Whether a subscription asked for this event."""
    if not subscription.active or event.type not in subscription.events:
        return False
    return subscription.filter.get("type") != "service_reference" or subscription.filter.get("id") == event.service_id


class Dispatcher:
    """Delivers events, each subscription in order: a later event waits while an earlier one is being repeated.

    `log` holds one `(event_type, attempt, status or error name)` for each attempt.
    """

    def __init__(
        self, subscriptions: Callable[[], Iterable[Subscription]], retry_delays: Sequence[float] = RETRY_DELAYS
    ) -> None:
        self._subscriptions = subscriptions
        self._delays = retry_delays
        self._queues: dict[str, deque[Event]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None
        self.log: deque[tuple[str, int, int | str]] = deque(maxlen=10_000)

    def publish(self, event: Event) -> None:
        """Queue an event for every subscription that wants it. Needs a running event loop."""
        for subscription in self._subscriptions():
            if not wants(subscription, event):
                continue
            self._queues.setdefault(subscription.id, deque()).append(event)
            task = self._tasks.get(subscription.id)
            if task is None or task.done():
                self._tasks[subscription.id] = asyncio.get_running_loop().create_task(
                    self._drain(subscription), name=f"webhook {subscription.id}"
                )

    async def idle(self) -> None:
        """Wait until everything queued has been taken or given up."""
        while busy := [task for task in self._tasks.values() if not task.done()]:
            await asyncio.wait(busy)

    async def close(self) -> None:
        """Stop delivering; what is still queued is lost, as it is when PagerDuty gives up."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _drain(self, subscription: Subscription) -> None:
        queue = self._queues[subscription.id]
        while queue:
            await self._deliver(subscription, queue[0])
            queue.popleft()

    async def _deliver(self, subscription: Subscription, event: Event) -> None:
        body = json.dumps(envelope(event)).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "PagerDuty-Webhook/V3.0",
            "X-PagerDuty-Signature": sign(subscription.secret, body),
            "X-Webhook-Id": event.id,
            "X-Webhook-Subscription": subscription.id,
        } | {header["name"]: header["value"] for header in subscription.headers}
        for attempt, delay in enumerate((0.0, *self._delays)):
            await asyncio.sleep(delay)
            outcome = await self._attempt(subscription.url, body, headers)
            self.log.append((event.type, attempt + 1, outcome))
            if isinstance(outcome, int) and outcome < 300:
                return

    async def _attempt(self, url: str, body: bytes, headers: dict[str, str]) -> int | str:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        try:
            async with self._session.post(url, data=body, headers=headers) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__
