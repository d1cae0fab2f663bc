"""What draining a node would do to its pods, decided as kubectl decides it. Pure: JSON in, values of bot/tools/ out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.clients import kubernetes_shapes as shapes
from bot.clients.kubernetes_shapes import HASH, Json, dig, number
from bot.tools import Amount, Fate, Resident

MIRROR = "kubernetes.io/config.mirror"
_NUMBER = re.compile(r"([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|([numkMGTPE]|[KMGTPE]i))?")
_SCALE = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    **{letter: 1000.0**power for power, letter in enumerate("MGTPE", start=2)},
    **{f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", start=1)},
}


def quantity(text: object) -> float:
    """`250m`, `4Gi`, `259000000n`, `1e3`, 2: as a number; zero for what is left out. Raises ValueError for anything else."""
    found = _NUMBER.fullmatch(str(text or 0))
    if found is None:
        raise ValueError(f"{text!r} is no quantity of Kubernetes")
    value, exponent, suffix = found.groups()
    return float(value + (exponent or "")) * _SCALE.get(suffix or "", 1.0)


def amount(said: Any) -> Amount:
    """Of `{"cpu": …, "memory": …}`."""
    return Amount(quantity(dig(said, "cpu")), round(quantity(dig(said, "memory"))))


def fate(pod: Json, daemon_sets: Collection[str]) -> Fate:
    """What a drain with --ignore-daemonsets and --delete-emptydir-data does to it. `daemon_sets`: UIDs of those that are there."""
    if MIRROR in shapes.notes_of(pod):
        return "mirror"
    if shapes.is_over(pod):
        return "over"
    kind, uid = shapes.controller(pod)
    if kind == "DaemonSet":
        return "daemonset" if uid in daemon_sets else "orphan"
    return "evicted" if kind else "orphan"


def residents(pods: Iterable[Json], daemon_sets: Collection[str], budgets: Sequence[Json]) -> list[Resident]:
    """By namespace and name."""
    found = [_resident(pod, daemon_sets, budgets) for pod in pods]
    return sorted(found, key=lambda pod: (pod.namespace, pod.name))


def _resident(pod: Json, daemon_sets: Collection[str], budgets: Sequence[Json]) -> Resident:
    deadline = dig(pod, "metadata", "deletionTimestamp")
    space = dig(pod, "metadata", "namespace")
    mine = [one for one in budgets if dig(one, "metadata", "namespace") == space and _means(one, shapes.labels(pod))]
    return Resident(
        namespace=str(space or ""),
        name=shapes.name_of(pod),
        uid=shapes.uid_of(pod),
        node=str(dig(pod, "spec", "nodeName") or ""),
        fate=fate(pod, daemon_sets),
        owner=owner(pod),
        ready=shapes.is_ready(pod),
        local=any("emptyDir" in volume for volume in dig(pod, "spec", "volumes") or []),
        deadline=datetime.fromisoformat(deadline) if deadline else None,
        asks=_asks(pod),
        budgets=[shapes.name_of(one) for one in mine],
        exhausted=next(filter(None, (_exhausted(one, ready=shapes.is_ready(pod)) for one in mine)), ""),
    )


def owner(pod: Json) -> str:
    """`deployment/api-server`: a replica set is named after its deployment. Empty for nobody."""
    owners = dig(pod, "metadata", "ownerReferences") or []
    one = next((one for one in owners if one.get("controller")), None)
    if one is None:
        return ""
    kind, name, mark = str(one["kind"]), str(one["name"]), shapes.labels(pod).get(HASH, "")
    if kind == "ReplicaSet" and mark and name.endswith(f"-{mark}"):
        return f"deployment/{name.removesuffix(f'-{mark}')}"
    return f"{kind.lower()}/{name}"


def _asks(pod: Json) -> Amount:
    """What its place on a node is reckoned with: its containers together, or the greediest one that runs before them."""
    together = Amount()
    for one in dig(pod, "spec", "containers") or []:
        together += amount(dig(one, "resources", "requests"))
    first = [amount(dig(one, "resources", "requests")) for one in dig(pod, "spec", "initContainers") or []]
    return Amount(
        max([together.cores, *(one.cores for one in first)]), max([together.memory, *(one.memory for one in first)])
    )


def _exhausted(budget: Json, *, ready: bool) -> str:
    """Why the budget lets that pod not go now; empty when it does."""
    healthy, wanted = (number(budget, "status", key) for key in ("currentHealthy", "desiredHealthy"))
    always = dig(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow"
    if number(budget, "status", "disruptionsAllowed") or (not ready and (always or healthy >= wanted)):
        return ""
    return f"{shapes.name_of(budget)} needs {wanted} healthy pods and has {healthy}"


def _means(budget: Json, labels: Mapping[str, str]) -> bool:
    """Whether its selector means a pod with these labels: none means nobody, an empty one everybody."""
    selector = dig(budget, "spec", "selector")
    if selector is None:
        return False
    same = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return same and all(_holds(rule, labels) for rule in selector.get("matchExpressions") or [])


def _holds(rule: Json, labels: Mapping[str, str]) -> bool:
    key, values = rule["key"], rule.get("values") or []
    match rule["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
    return key not in labels
