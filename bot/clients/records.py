"""Logs and events of a Kubernetes cluster and the activity of PostgreSQL servers, whole, for evidence."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from bot.clients import kubernetes_shapes as shapes
from bot.clients.kubernetes_api import Connection
from bot.clients.kubernetes_logs import started
from bot.clients.sessions import session
from bot.tools.records import Take

LOG_WITHIN = 300.0
"""Seconds that one container's log may take."""
ACTIVITY_WITHIN = 15.0


class EstateRecords:
    """A Records on a connection to the cluster that somebody else closes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def containers(self, namespace: str, selector: str) -> Sequence[tuple[str, str]]:
        pods = await self._connection.every(
            lambda k, c: k.CoreV1Api(c).list_namespaced_pod, namespace, label_selector=selector
        )
        return [(shapes.name_of(pod), container) for pod in pods for container in started(pod)]

    async def log(self, namespace: str, pod: str, container: str, since: timedelta, take: Take) -> None:
        options: dict[str, Any] = {
            "container": container, "since_seconds": max(1, math.ceil(since.total_seconds())), "timestamps": True,
            "_request_timeout": LOG_WITHIN, "_preload_content": False,
        }  # fmt: skip
        await self._connection.stream(
            lambda k, c: k.CoreV1Api(c).read_namespaced_pod_log(pod, namespace, **options), take, within=LOG_WITHIN
        )

    async def events(self, namespace: str, take: Take) -> None:
        found = await self._connection.every(lambda k, c: k.CoreV1Api(c).list_namespaced_event, namespace)
        # The API server itself forgets them after an hour, so there are never many.
        for event in sorted(found, key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime") or "")):
            take(json.dumps(event, sort_keys=True).encode() + b"\n")

    async def activity(self, url: str, take: Take) -> None:
        async with session(url, within=ACTIVITY_WITHIN) as connection:
            rows = await (await connection.execute(_ACTIVITY)).fetchall()
        for row in rows:
            take(str(row["line"]).encode() + b"\n")


_ACTIVITY = "select to_jsonb(a)::text as line from pg_stat_activity a order by backend_start"
