"""Scenario 4, runbook 4.1: nodes, pods, events, control plane and usage of the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, TypeVar

from actions.nodes import described, worst_first
from bot.action import Finding, Findings, Observation, Offer, Tools
from bot.clock import spoken
from bot.errors import NeighbourError, NotFound
from bot.incident import Scenario
from bot.tools import Amount, ControlPlane, Event, Node, Pod

NODES_SHOWN, PODS_SHOWN, EVENTS_SHOWN = 20, 12, 8
EVENTS_READ = 200
"""Of the newest; among them warnings are shown before the rest, which is many on a busy cluster."""
SILENT = timedelta(minutes=1)
"""A leader renews its lease every few seconds."""
_ENDED = ("Completed", "Succeeded")

Seen = TypeVar("Seen")


class Assess(Observation):
    """Nodes, unhealthy pods, newest events, control plane and usage of the cluster."""

    name: ClassVar[str] = "cluster.assess"
    scenario: ClassVar[Scenario] = Scenario.KUBERNETES
    usual: ClassVar[timedelta] = timedelta(seconds=5)
    service: ClassVar[str] = "api"

    async def look(self, tools: Tools) -> Findings:
        of = tools.nodes
        nodes, pods, events, plane, usage = await asyncio.gather(
            _or_why(of.nodes()), _or_why(tools.cluster.pods("")), _or_why(of.events(EVENTS_READ)),
            _or_why(of.control_plane()), _or_why(of.usage()),
        )  # fmt: skip
        now = tools.clock()
        wrong = [*_wrong_nodes(nodes), *_wrong_pods(pods), *_wrong_plane(plane)]
        lines = [
            *_nodes(nodes, {} if isinstance(usage, str) else usage, now),
            *([Finding(f"usage: unknown, {usage}")] if isinstance(usage, str) else []),
            *_pods(pods),
            *(Finding(text) for text in (*_plane(plane, now), *_events(events))),
        ]
        if isinstance(nodes, str):
            return Findings(f"unknown: {nodes}", lines)
        ready = sum(node.ready for node in nodes)
        return Findings(f"{ready} of {len(nodes)} nodes are ready; {'; '.join(wrong) or 'nothing stands out'}", lines)


async def _or_why(looking: Awaitable[Seen]) -> Seen | str:
    """What was seen, or why it was not."""
    try:
        return await looking
    except (NeighbourError, NotFound) as error:
        return str(error)


def _wrong_nodes(nodes: Sequence[Node] | str) -> list[str]:
    found = [] if isinstance(nodes, str) else worst_first(nodes)
    return [
        *(f"{node.name} is NOT READY" for node in found if not node.ready),
        *(f"{node.name} is under {' and '.join(node.pressures)}" for node in found if node.ready and node.pressures),
    ]


def unhealthy(pods: Sequence[Pod]) -> list[Pod]:
    """Those that do not serve, and have not done what they were there for."""
    return [pod for pod in pods if not pod.ready and pod.state not in _ENDED]


def _wrong_pods(pods: Sequence[Pod] | str) -> list[str]:
    count = 0 if isinstance(pods, str) else len(unhealthy(pods))
    return [f"{count} {'pod is' if count == 1 else 'pods are'} not healthy"] if count else []


def _wrong_plane(plane: ControlPlane | str) -> list[str]:
    failing = [] if isinstance(plane, str) else [name for name, well in plane.checks.items() if not well]
    return [f"the API server fails its checks {', '.join(failing)}"] if failing else []


def _nodes(nodes: Sequence[Node] | str, used: Mapping[str, Amount], now: datetime) -> list[Finding]:
    if isinstance(nodes, str):
        return [Finding(f"nodes: unknown, {nodes}")]
    found = worst_first(nodes)
    lines = [Finding(described(node, used.get(node.name), now), _offers(node)) for node in found[:NODES_SHOWN]]
    more = len(found) - NODES_SHOWN
    return lines + ([Finding(f"{more} more nodes")] if more > 0 else [])


def _offers(node: Node) -> Sequence[Offer]:
    if node.control_plane or (node.ready and not node.pressures):
        return ()
    return (Offer(f"Plan to replace {node.name}", "node.recover", {"node": node.name}),)


def _pods(pods: Sequence[Pod] | str) -> list[Finding]:
    if isinstance(pods, str):
        return [Finding(f"pods: unknown, {pods}")]
    found = unhealthy(pods)
    if not found:
        return [Finding(f"pods: all {len(pods)} are well")]
    lines = [_pod(pod) for pod in found[:PODS_SHOWN]]
    more = len(found) - PODS_SHOWN
    lines += [f"{more} more pods that are not healthy"] if more > 0 else []
    return [*map(Finding, lines[:-1]), Finding(lines[-1], (Offer("What the pods wait for", "pods.pending"),))]


def _pod(pod: Pod) -> str:
    state = pod.state if pod.state != "Running" else "Running, not ready"
    where, why = f" on {pod.node}" if pod.node else "", f" ({pod.why})" if pod.why else ""
    restarts = f", {pod.restarts} restarts" if pod.restarts else ""
    return f"{pod.namespace}/{pod.name}: {state}{where}{why}{restarts}"


def _plane(plane: ControlPlane | str, now: datetime) -> list[str]:
    if isinstance(plane, str):
        return [f"control plane: unknown, {plane}"]
    failing = [name for name, well in plane.checks.items() if not well]
    lines = [
        "API server: " + (f"FAILING {', '.join(failing)}" if failing else f"all {len(plane.checks)} checks are ok")
    ]
    if not plane.checks:
        lines = ["API server: it answers; its checks are unknown"]
    for name, at in plane.leaders.items():
        if at is None:
            lines.append(f"{name}: unknown, its lease is not shown (a managed cluster hides it)")
        elif now - at > SILENT:
            lines.append(f"{name}: SILENT, it renewed its lease {spoken(now - at)} ago")
        else:
            lines.append(f"{name}: at work")
    return lines


def _events(events: Sequence[Event] | str) -> list[str]:
    if isinstance(events, str):
        return [f"events: unknown, {events}"]
    kept = sorted(events, key=lambda one: not one.warning)[:EVENTS_SHOWN]
    return [
        f"{one.at:%H:%M:%S} {'WARNING ' if one.warning else ''}{one.reason} {one.about}: {one.message[:160]}"
        + (f" (×{one.count})" if one.count > 1 else "")
        for one in sorted(kept, key=lambda one: one.at, reverse=True)
    ]
