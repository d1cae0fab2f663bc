"""Scenario 4, runbook 4.3, looking: pods that do not start, or do not go. And what actions on pods share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from actions.rollouts import cluster_of
from bot.action import Finding, Findings, Observation, Offer, Tools
from bot.clock import spoken
from bot.errors import NeighbourError, NotFound, Refused
from bot.incident import Scenario
from bot.tools import Pod

MOST = 25
"""Pods that are listed one by one."""
HASH = "pod-template-hash"
STARTING = frozenset({"ContainerCreating", "PodInitializing"})
"""Nothing is wrong with these yet."""
_FAR = datetime.max.replace(tzinfo=UTC)


class Pending(Observation):
    """List pods that wait for a place or cannot start, the oldest first, and those that do not go."""

    name: ClassVar[str] = "pods.pending"
    scenario: ClassVar[Scenario] = Scenario.KUBERNETES
    usual: ClassVar[timedelta] = timedelta(seconds=5)
    service: ClassVar[str] = "api"

    async def look(self, tools: Tools) -> Findings:
        here, now = cluster_of(tools.estate).namespace, tools.clock()
        pods, lacks = await _everywhere(tools, here)
        pending = sorted(filter(waits, pods), key=lambda pod: pod.created_at or _FAR)
        overdue = sorted((p for p in pods if late(p, now)), key=lambda pod: pod.ends_at or _FAR)
        reasons = await asyncio.gather(*(_reason(tools, pod) for pod in pending[:MOST]))
        offered: set[str] = set()
        lines = [
            Finding(_line(pod, why, now), _undo(pod, here, offered)) for pod, why in zip(pending, reasons, strict=False)
        ]
        lines += [_stuck(pod, now) for pod in overdue[:MOST]]
        left = max(0, len(pending) - MOST) + max(0, len(overdue) - MOST)
        lines += [Finding(f"… and {left} more")] if left else []
        spaces = len({pod.namespace for pod in pods})
        lines += [
            Finding(f"looked at: {len(pods)} pods of {spaces} namespace{'s' * (spaces != 1)}"),
            *map(Finding, lacks),
        ]
        return Findings(_headline(len(pending), len(overdue)), lines)


async def _everywhere(tools: Tools, here: str) -> tuple[Sequence[Pod], Sequence[str]]:
    """The pods of all namespaces, or, where the bot may not see them, of the estate's; and what is missing."""
    try:
        return await tools.cluster.pods(""), ()
    except Refused as refused:
        if refused.code != "Forbidden":
            raise
        return await tools.cluster.pods(here), [f"unknown: other namespaces than {here}: {refused}"]


def _headline(pending: int, overdue: int) -> str:
    if not pending and not overdue:
        return "No pod waits for a place or for its start"
    parts = [f"{pending} {_pods(pending)} not started"] if pending else []
    parts += [f"{overdue} {_pods(overdue)} should be gone and {'is' if overdue == 1 else 'are'} not"] if overdue else []
    return "; ".join(parts)


def _pods(number: int) -> str:
    return "pod has" if number == 1 else "pods have"


def waits(pod: Pod) -> bool:
    """Whether a pod has not started, or cannot: Pending as kubectl says it, or a container that does not come up."""
    if pod.phase == "Pending":
        return pod.state != "Terminating"
    return pod.phase in ("Running", "Unknown") and pod.state not in ("Running", "Terminating", "Completed")


def late(pod: Pod, now: datetime) -> bool:
    """Whether a pod that was deleted should be gone by now."""
    return pod.ends_at is not None and pod.ends_at < now


async def _reason(tools: Tools, pod: Pod) -> str:
    """Why, as `kubectl describe pod` shows it: what the scheduler or the container's state says, else the newest warning."""
    if pod.why:
        return pod.why
    try:
        return await tools.cluster.last_warning(pod)
    except (NeighbourError, NotFound) as error:
        return f"unknown why: {error}"


def _line(pod: Pod, why: str, now: datetime) -> str:
    age = f"for {spoken(now - pod.created_at)}" if pod.created_at else ""
    where = f", on {pod.node}" if pod.node else ", without a node"
    tail = f", restarted {pod.restarts} times" if pod.restarts else ""
    return f"{pod.namespace}/{pod.name}: {pod.state} {age}{where}{tail}: {why or 'no reason given yet'}"


def _undo(pod: Pod, here: str, offered: set[str]) -> Sequence[Offer]:
    """A way back for the release that its deployment got, once for each deployment."""
    deployment = deployment_of(pod)
    if not deployment or pod.namespace != here or deployment in offered or pod.state in STARTING:
        return ()
    offered.add(deployment)
    return (Offer(f"Undo {deployment}"[:70], "deployment.undo", {"deployment": deployment}),)


def _stuck(pod: Pod, now: datetime) -> Finding:
    since = spoken(now - pod.ends_at) if pod.ends_at else ""
    held = f", held by {', '.join(pod.finalizers)}" if pod.finalizers else ""
    text = f"{pod.namespace}/{pod.name}: Terminating, on {pod.node or 'no node'}, overdue for {since}{held}"
    words = {"pod": pod.name, "namespace": pod.namespace}
    return Finding(text, (Offer(f"Force-delete {pod.name}"[:70], "pod.force-delete", words),))


def deployment_of(pod: Pod) -> str:
    """The deployment behind its replica set, by name; empty for none."""
    mark = pod.labels.get(HASH, "")
    named = pod.owner_kind == "ReplicaSet" and mark and pod.owner.endswith(f"-{mark}")
    return pod.owner.removesuffix(f"-{mark}") if named else ""
