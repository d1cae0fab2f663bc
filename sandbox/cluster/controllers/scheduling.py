"""Why a pod does not get a node, in the scheduler's own words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sandbox.cluster.kinds import Object
from sandbox.cluster.podstate import is_true

_UNITS = {"m": 0.001, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "k": 1e3, "M": 1e6, "G": 1e9}


def against_node(node: Object, pods: Iterable[Object], pod: Object) -> tuple[str, ...]:
    """Why a node does not take the pod; `pods` are all that count. Empty when it takes it."""
    if not is_true(node, "Ready"):
        return ("node(s) had untolerated taint {node.kubernetes.io/unreachable: }",)
    if node["spec"].get("unschedulable") or node["metadata"].get("deletionTimestamp"):
        return ("node(s) were unschedulable",)
    there = [one for one in pods if one["spec"].get("nodeName") == node["metadata"]["name"]]
    has = node["status"].get("allocatable") or {}
    return tuple(
        f"Insufficient {what}"
        for what in ("cpu", "memory")
        if requested(pod, what)
        and requested(pod, what) + sum(requested(one, what) for one in there) > amount(has[what])
    )


def unplaced(against: Iterable[tuple[str, ...]]) -> str:
    """What is said of a pod that no node takes."""
    nodes = list(against)
    total = f"0/{len(nodes)} nodes are available"
    if not nodes:
        return "no nodes available to schedule pods"
    counts = Counter(why for one in nodes for why in one)
    reasons = ", ".join(sorted(f"{count} {why}" for why, count in counts.items()))
    return f"{total}: {reasons}. preemption: {total}: {len(nodes)} Preemption is not helpful for scheduling."


def requested(pod: Object, what: str) -> float:
    """How much of it a pod's containers ask for together."""
    asked = ((one.get("resources") or {}).get("requests") or {} for one in pod["spec"].get("containers") or [])
    return sum(amount(one.get(what, 0)) for one in asked)


def amount(quantity: str | int) -> float:
    """A Kubernetes quantity as a number: cores, or bytes."""
    text = str(quantity)
    unit = next((unit for unit in _UNITS if text.endswith(unit)), "")
    return float(text.removesuffix(unit)) * _UNITS.get(unit, 1.0)
