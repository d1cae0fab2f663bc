"""metrics.k8s.io: what nodes and pods use, as `kubectl top` asks for it. The figures are made up, and stay the same for a pod."""

from __future__ import annotations

import re
import zlib

from sandbox.cluster.errors import ApiError, not_found
from sandbox.cluster.kinds import NODES, PODS, Object
from sandbox.cluster.moments import stamp
from sandbox.cluster.podstate import is_ready, is_true
from sandbox.cluster.store import Store

BASE = "/apis/metrics.k8s.io/v1beta1"
_PATH = re.compile(rf"^{BASE}(?:/namespaces/(?P<space>[^/]+))?/(?P<what>nodes|pods)(?:/(?P<name>[^/]+))?$")
_OWN_CPU, _OWN_MEMORY = 80, 400
"""Of a node itself: millicores and MiB."""


def asked(path: str) -> str:
    """`nodes` or `pods` when a path asks for metrics, else empty."""
    found = _PATH.match(path)
    return found["what"] if found else ""


def metrics(store: Store, path: str, now: float) -> Object:
    """The answer. Raises ApiError 404 for what has none: a node that is not ready, a pod that does not run."""
    found = _PATH.match(path)
    if found is None:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    nodes = found["what"] == "nodes"
    things = _nodes(store, now) if nodes else _pods(store, found["space"] or "", now)
    kind = "NodeMetrics" if nodes else "PodMetrics"
    if found["name"]:
        one = next((thing for thing in things if thing["metadata"]["name"] == found["name"]), None)
        if one is None:
            raise not_found(NODES if nodes else PODS, found["name"])
        return {"kind": kind, "apiVersion": "metrics.k8s.io/v1beta1", **one}
    return {"kind": f"{kind}List", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": things}


def _nodes(store: Store, now: float) -> list[Object]:
    pods = store.list(PODS)
    items = []
    for node in store.list(NODES):
        if not is_true(node, "Ready"):
            continue
        name = node["metadata"]["name"]
        used = [_use(pod) for pod in pods if pod["spec"].get("nodeName") == name and is_ready(pod)]
        cpu, memory = _OWN_CPU + sum(use[0] for use in used), _OWN_MEMORY + sum(use[1] for use in used)
        items.append({"metadata": {"name": name}, **_window(now), "usage": _usage(cpu, memory)})
    return items


def _pods(store: Store, namespace: str, now: float) -> list[Object]:
    return [
        {
            "metadata": {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]},
            **_window(now),
            "containers": [{"name": pod["spec"]["containers"][0]["name"], "usage": _usage(*_use(pod))}],
        }
        for pod in store.list(PODS, namespace)
        if is_ready(pod)
    ]


def _use(pod: Object) -> tuple[int, int]:
    dice = zlib.crc32(pod["metadata"]["name"].encode())
    return 15 + dice % 60, 90 + dice % 130


def _usage(cpu: int, memory: int) -> Object:
    return {"cpu": f"{cpu * 1_000_000}n", "memory": f"{memory * 1024}Ki"}


def _window(now: float) -> Object:
    return {"timestamp": stamp(now), "window": "15s"}
