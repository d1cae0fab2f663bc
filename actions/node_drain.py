"""Draining a node, as kubectl does it: evict, wait for disruption budgets, and take away what hangs on a dead node."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from actions.rollouts import BETWEEN_LOOKS
from bot.action import Progress, Tools
from bot.clock import spoken
from bot.errors import Refused, Unavailable
from bot.tools import Amount, Node, Resident

NAMED = 5
"""Pods that are named one by one; the rest is counted."""


def listed(pods: Iterable[Resident]) -> str:
    """Their names, as many as fit."""
    names = [f"{pod.namespace}/{pod.name}" for pod in pods]
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def against(pods: Sequence[Resident]) -> str:
    """Why the node that these are on cannot be drained; empty when it can."""
    if orphans := [pod for pod in pods if pod.fate == "orphan"]:
        return f"nobody would make {listed(orphans)} again. Move or delete what only exists there"
    if held := [pod for pod in pods if pod.fate == "evicted" and len(pod.budgets) > 1]:
        budgets = ", ".join(held[0].budgets)
        return f"{listed(held)} falls under more than one disruption budget ({budgets}), and the cluster evicts no such pod"
    return ""


def short_of(leaving: Iterable[Resident], others: Iterable[Node], residents: Sequence[Resident]) -> str:
    """What the other nodes lack for these pods, by what they ask for; empty when there is room."""
    nodes = list(others)
    names = {node.name for node in nodes}
    asked = sum((pod.asks for pod in leaving), Amount())
    taken = sum((pod.asks for pod in residents if pod.node in names and pod.fate != "over"), Amount())
    room = sum((node.room for node in nodes), Amount())
    cores, memory = room.cores - taken.cores, room.memory - taken.memory
    if asked.cores <= cores and asked.memory <= memory:
        return ""
    return (
        f"its pods ask for {asked.cores:g} cores and {asked.memory >> 20} MiB, and the other nodes have"
        f" {max(0.0, cores):g} cores and {max(0, memory) >> 20} MiB left: some will wait for the new node"
    )


@dataclass
class Round:
    """What one look at the node has found and done."""

    left: Sequence[Resident] = ()
    waits: dict[str, str] = field(default_factory=dict)
    """Why a pod may not go yet, by its name."""
    removed: set[str] = field(default_factory=set)
    """UIDs of those that were taken away by force."""

    def __str__(self) -> str:
        ending = sum(pod.deadline is not None for pod in self.left)
        parts = [f"{len(self.left)} {'pod' if len(self.left) == 1 else 'pods'} left"] + (
            [f"{ending} ending"] if ending else []
        )
        parts += [f"{name} waits: {why}" for name, why in list(self.waits.items())[:NAMED]]
        return "; ".join(parts)


def is_lost(pod: Resident, node: Node) -> bool:
    """Whether a pod serves nobody and never will again. No budget is kept by keeping it, and it may be what the budget lacks: the
    cluster itself deletes it, whatever its budget says, but only after five minutes."""
    return not node.ready and not pod.ready


async def drain(tools: Tools, node: str, uid: str, within: timedelta, progress: Progress) -> str:
    """Until nothing is on the node that a drain takes away. Raises Refused when that is not so within the time, or never will be.

    A cluster that does not answer meanwhile is asked again: each round begins with what is there.
    """
    seen: set[str] = set()
    removed: set[str] = set()
    said = "it was not seen yet"
    try:
        async with asyncio.timeout(within.total_seconds()):
            while True:
                try:
                    one = await _round(tools, node, uid)
                except Unavailable as error:
                    said = str(error)
                else:
                    seen |= {pod.uid for pod in one.left}
                    removed |= one.removed
                    if not one.left:
                        return _told(len(seen), len(removed))
                    said = str(one)
                progress(said)
                await asyncio.sleep(BETWEEN_LOOKS)
    except TimeoutError:
        raise Refused(f"{node} was not empty within {spoken(within)}: {said}") from None


async def is_drained(tools: Tools, node: str, uid: str) -> bool:
    """Whether nothing is left on it, or it is gone."""
    found = next((one for one in await tools.nodes.nodes() if one.uid == uid), None)
    return found is None or not any(pod.leaves for pod in await tools.nodes.residents(node))


async def _round(tools: Tools, node: str, uid: str) -> Round:
    found = next((one for one in await tools.nodes.nodes() if one.uid == uid), None)
    if found is None:  # its pods go with it
        return Round()
    here = await tools.nodes.residents(node)
    if why := against(here):
        raise Refused(f"{node} cannot be drained: {why}")
    one = Round([pod for pod in here if pod.leaves])
    for pod in one.left:
        if pod.deadline is None:
            why = await tools.nodes.evict(pod)
            if why and is_lost(pod, found):
                await tools.cluster.replace_pod(pod.namespace, pod.name, pod.uid)
            elif why:
                one.waits[pod.name] = why
        elif not found.ready and tools.clock() > pod.deadline:
            # Nobody is there to end it: without this it would hang for ever.
            await tools.cluster.force_delete(pod.namespace, pod.name, pod.uid)
            one.removed.add(pod.uid)
    return one


def _told(evicted: int, removed: int) -> str:
    if not evicted:
        return "nothing was left on it"
    hung = f", {removed} of them removed by force: their node did not end them" if removed else ""
    return f"{evicted} {'pod' if evicted == 1 else 'pods'} evicted{hung}"
