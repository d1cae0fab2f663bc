"""What `kubectl get` shows: lists as tables, when they are asked for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox.cluster.kinds import DEPLOYMENTS, NODES, PODS, SERVICES, STATEFUL_SETS, Kind, Object
from sandbox.cluster.moments import seconds
from sandbox.cluster.podstate import is_true

WANTED = "as=Table"


def table(kind: Kind, answer: Object, now: float) -> Object:
    """The object or list as a table; its rows hold the objects' metadata."""
    titles, cells = _COLUMNS.get(kind, ((), lambda _: ()))
    columns = ("Name", *titles, "Age")
    things = answer.get("items", [answer])
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": answer["metadata"].get("resourceVersion", "")},
        "columnDefinitions": [
            {
                "name": name,
                "type": "string",
                "format": "name" if name == "Name" else "",
                "description": "",
                "priority": 0,
            }
            for name in columns
        ],
        "rows": [
            {
                "cells": [thing["metadata"]["name"], *map(str, cells(thing)), _age(thing, now)],
                "object": {
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": thing["metadata"],
                },
            }
            for thing in things
        ],
    }


def _age(thing: Object, now: float) -> str:
    age = int(now - seconds(thing["metadata"]["creationTimestamp"]))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if age >= 2 * size:
            return f"{age // size}{unit}"
    return f"{max(0, age)}s"


def _pod(pod: Object) -> Sequence[object]:
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    ready = sum(one["ready"] for one in containers)
    state = status.get("phase", "Pending")
    for one in containers:
        state = ((one.get("state") or {}).get("waiting") or {}).get("reason") or state
    if pod["metadata"].get("deletionTimestamp"):
        state = "Terminating"
    restarts = sum(one["restartCount"] for one in containers)
    return f"{ready}/{len(pod['spec']['containers'])}", state, restarts, pod["spec"].get("nodeName", "<none>")


def _deployment(one: Object) -> Sequence[object]:
    status = one["status"]
    ready = f"{status.get('readyReplicas', 0)}/{one['spec']['replicas']}"
    return ready, status.get("updatedReplicas", 0), status.get("availableReplicas", 0)


def _stateful_set(one: Object) -> Sequence[object]:
    return (f"{one['status'].get('readyReplicas', 0)}/{one['spec']['replicas']}",)


def _service(one: Object) -> Sequence[object]:
    ports = ",".join(f"{port['port']}/TCP" for port in one["spec"].get("ports") or [])
    return one["spec"].get("type", "ClusterIP"), one["spec"].get("clusterIP", "<none>"), ports


def _node(one: Object) -> Sequence[object]:
    cordoned = ",SchedulingDisabled" if one["spec"].get("unschedulable") else ""
    return ("Ready" if is_true(one, "Ready") else "NotReady") + cordoned, one["status"]["nodeInfo"]["kubeletVersion"]


_COLUMNS: Mapping[Kind, tuple[tuple[str, ...], Callable[[Any], Sequence[object]]]] = {
    PODS: (("Ready", "Status", "Restarts", "Node"), _pod),
    DEPLOYMENTS: (("Ready", "Up-to-date", "Available"), _deployment),
    STATEFUL_SETS: (("Ready",), _stateful_set),
    SERVICES: (("Type", "Cluster-IP", "Port(s)"), _service),
    NODES: (("Status", "Version"), _node),
}
