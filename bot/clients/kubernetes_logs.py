"""What containers have written lately, read as a stream: however much it is, only the lines that are asked for are held."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.clients import kubernetes_shapes as shapes
from bot.clients.kubernetes_api import Connection
from bot.clients.kubernetes_shapes import Json
from bot.errors import NeighbourError, NotFound, Refused
from bot.tools import LogLine

WITHIN = 60.0
"""Seconds that one container's log may take."""
LONGEST = 8 << 10
"""Bytes of a line that are looked at and kept."""
AT_ONCE = 8

_OLDEST = datetime.min.replace(tzinfo=UTC)


async def recent(
    connection: Connection, pods: Sequence[Json], since: timedelta, contains: Sequence[str], most: int
) -> list[LogLine]:
    """The newest `most` lines of every container, oldest first. Raises NeighbourError when none could be read."""
    newest, room = _Newest(most), asyncio.Semaphore(AT_ONCE)
    targets = [(pod, name) for pod in pods for name in started(pod)]

    async def one(order: int, pod: Json, container: str) -> NeighbourError | None:
        reader = _Reader(shapes.name_of(pod), container, order, contains, newest)
        try:
            async with room:
                await connection.stream(_asked(pod, container, since, contains, most), reader.take, within=WITHIN)
        except NotFound:
            return None  # the pod went away meanwhile, and its log with it
        except NeighbourError as error:
            # It has been replaced by one that has not started.
            if isinstance(error, Refused) and error.code == "Invalid":
                return None
            reader.note(f"[its log could not be read to its end: {error}]")
            return error
        reader.end()
        return None

    failed = await asyncio.gather(*(one(order, *target) for order, target in enumerate(targets)))
    errors = [error for error in failed if error is not None]
    if errors and len(errors) == len(targets):
        raise errors[0]
    return newest.lines()


def _asked(
    pod: Json, container: str, since: timedelta, contains: Sequence[str], most: int
) -> Callable[[Any, Any], Awaitable[Any]]:
    options: dict[str, Any] = {
        "container": container,
        "since_seconds": max(1, math.ceil(since.total_seconds())),  # zero is refused
        "timestamps": True,
        "_preload_content": False,
        "_request_timeout": WITHIN,
    }
    if not contains:
        options["tail_lines"] = most
    name, namespace = shapes.name_of(pod), shapes.dig(pod, "metadata", "namespace")
    return lambda library, client: library.CoreV1Api(client).read_namespaced_pod_log(name, namespace, **options)


def started(pod: Json) -> Iterator[str]:
    """The containers that have written, or could have: asked for the log of any other, the API server says 400."""
    statuses = {one.get("name"): one for one in shapes.dig(pod, "status", "containerStatuses") or []}
    for container in shapes.dig(pod, "spec", "containers") or []:
        status = statuses.get(container["name"]) or {}
        if status.get("restartCount") or not {"running", "terminated"}.isdisjoint(status.get("state") or {}):
            yield container["name"]


class _Newest:
    """The newest `most` of all lines that it is given."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[datetime, int, int, LogLine]] = []

    def add(self, at: datetime, order: int, number: int, line: LogLine) -> None:
        """`order` and `number`, the container's and the line's, keep lines of one instant in their order."""
        entry = (at, order, number, line)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        elif self._most:
            heapq.heappushpop(self._heap, entry)

    def lines(self) -> list[LogLine]:
        """Oldest first."""
        return [entry[-1] for entry in sorted(self._heap)]


class _Reader:
    """Cuts one container's stream into lines, and keeps those that are wanted."""

    def __init__(self, pod: str, container: str, order: int, contains: Sequence[str], newest: _Newest) -> None:
        self._pod, self._container, self._order, self._contains = pod, container, order, contains
        self._newest = newest
        self._held = b""
        self._at, self._number = _OLDEST, 0

    def take(self, piece: bytes) -> None:
        """The next piece, cut anywhere."""
        *whole, rest = piece.split(b"\n")
        for part in whole:
            self._line(self._with_held(part))
            self._held = b""
        self._held = self._with_held(rest)

    def end(self) -> None:
        """What came last without a line's end."""
        if self._held:
            self._line(self._held)

    def note(self, text: str) -> None:
        """A line of ours, as the newest of this container."""
        self._keep(text, datetime.max.replace(tzinfo=UTC))

    def _with_held(self, part: bytes) -> bytes:
        return self._held + part[: max(0, LONGEST - len(self._held))]

    def _line(self, raw: bytes) -> None:
        stamp, _, text = raw.decode(errors="replace").rstrip("\r").partition(" ")
        try:
            self._at = datetime.fromisoformat(stamp)
        except ValueError:
            text = f"{stamp} {text}"  # without an instant: it belongs to the line before
        if not self._contains or any(word in text for word in self._contains):
            self._keep(f"{text} …" if len(raw) >= LONGEST else text, self._at)

    def _keep(self, text: str, at: datetime) -> None:
        self._number += 1
        line = LogLine(self._pod, self._container, text)
        self._newest.add(at if at.tzinfo else at.replace(tzinfo=UTC), self._order, self._number, line)
