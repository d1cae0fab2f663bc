"""Getting things to the app: one attempt for what a person does, four for an event, whatever the road."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from .model import Json
from .tasks import Tasks

EnvelopeKind = Literal["events_api", "slash_commands", "interactive"]


@dataclass(frozen=True, slots=True)
class Retry:
    """Which redelivery this is (1..3) and why it is needed."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The app's acknowledgement. `error` is "" when it came in time; `body` is what it carried (JSON or bare text)."""

    error: str = ""
    reason: str = ""
    body: Json | str | None = None
    no_retry: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a person's click: `error` "" | "operation_timeout" | "dispatch_failed"; `acked_ms` is the wait."""

    error: str
    body: Json | str | None
    acked_ms: int


class Road(Protocol):
    """Socket Mode or HTTP."""

    @property
    def connected(self) -> bool: ...

    async def send(self, kind: EnvelopeKind, payload: Json, retry: Retry | None) -> Reply: ...


class Delivery:
    """Sends over one road. `minute` = real seconds that one minute of the retry schedule lasts."""

    def __init__(self, road: Road, tasks: Tasks, minute: Callable[[], float]) -> None:
        self.road = road
        self._tasks = tasks
        self._minute = minute

    def event(self, payload: Json) -> None:
        """Deliver an event in the background: at once, then (unacknowledged) at once, after 1 and after 5 minutes."""
        self._tasks.spawn(self._event(payload))

    async def _event(self, payload: Json) -> None:
        retry: Retry | None = None
        for number, minutes in enumerate((0, 1, 5, None), start=1):
            reply = await self.road.send("events_api", payload, retry)
            if not reply.error or reply.no_retry or minutes is None:
                return
            retry = Retry(number, reply.reason)
            await asyncio.sleep(minutes * self._minute())

    async def ask(self, kind: EnvelopeKind, payload: Json) -> Answer:
        """Deliver what a person did: exactly once, never again."""
        started = time.monotonic()
        reply = await self.road.send(kind, payload, None)
        return Answer(reply.error, reply.body, round((time.monotonic() - started) * 1000))
