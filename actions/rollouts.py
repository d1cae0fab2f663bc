"""What actions share that wait for workloads: a rollout that is really complete, and the application's own health."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from bot.action import NotVerified, Progress, Tools
from bot.errors import NotFound, Refused
from bot.estate import Estate, HttpProbe
from bot.estate_places import Cluster
from bot.tools import WorkloadKind

BETWEEN_LOOKS = 0.5
GREEN_WITHIN = 60.0


def cluster_of(estate: Estate) -> Cluster:
    """Raises NotFound."""
    if estate.cluster is None:
        raise NotFound("The estate file has no `cluster`, so I do not know where the application runs.")
    return estate.cluster


async def wait_for_rollout(tools: Tools, kind: WorkloadKind, name: str, within: timedelta, progress: Progress) -> str:
    """Until every pod is new and available and no old one is left. Raises Refused when it is stuck or takes too long."""
    namespace = cluster_of(tools.estate).namespace
    generation = (await tools.cluster.workload(kind, namespace, name)).generation
    detail = "not seen yet"
    try:
        async with asyncio.timeout(within.total_seconds()):
            while True:
                rollout = await tools.cluster.rollout(kind, namespace, name, generation)
                detail = rollout.detail
                if rollout.done:
                    return detail
                if rollout.stuck:
                    raise Refused(f"the rollout of {name} is stuck: {rollout.stuck}")
                progress(detail)
                await asyncio.sleep(BETWEEN_LOOKS)
    except TimeoutError:
        raise Refused(f"the rollout of {name} was not complete within {within}: {detail}") from None


async def health_is_green(tools: Tools) -> str:
    """The application's own health, once it is green. Raises NotVerified when it is not within a minute."""
    application = tools.estate.application
    if application is None:
        return "the estate file has no application whose health could be asked"
    probe = HttpProbe(
        kind="http", name="application-health", title="Application health", service="api", scenario="other",
        url=application.url.rstrip("/") + application.health,
    )  # fmt: skip
    look = await tools.prober.http(probe)
    try:
        async with asyncio.timeout(GREEN_WITHIN):
            while look.state != "ok":
                await asyncio.sleep(BETWEEN_LOOKS)
                look = await tools.prober.http(probe)
    except TimeoutError:
        raise NotVerified(f"the application is not healthy: {look.detail}") from None
    return f"the application is healthy ({look.detail})"
