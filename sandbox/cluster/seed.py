"""What the practice cluster holds at first: ValueCanvas's production namespace on three nodes."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.cluster.kinds import (
    BUDGETS,
    DAEMON_SETS,
    DEPLOYMENTS,
    LEASES,
    NAMESPACES,
    NODES,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    Object,
)
from sandbox.cluster.moments import micro, stamp
from sandbox.cluster.objects import defaults
from sandbox.cluster.podstate import with_condition
from sandbox.cluster.store import Store

NAMESPACE = "production"
NODE_NAMES = ("node-1", "node-2", "node-3")
LEADERS = ("kube-scheduler", "kube-controller-manager")


PRESSURES = ("DiskPressure", "MemoryPressure", "PIDPressure")
GRACE = 2
"""Seconds that a pod may take to end: short, for who waits for those of a dead node."""


def seed(store: Store, env: Mapping[str, str], now: float, machines: Mapping[str, tuple[str, str]]) -> None:
    """Fill an empty store. `env` is that of the api-server's container; `machines`: (provider id, address) of a node."""
    for name in ("default", "kube-system", "kube-node-lease", NAMESPACE, "staging"):
        store.create(NAMESPACES, {"metadata": {"name": name}, "status": {"phase": "Active"}})
    for name in NODE_NAMES:
        store.create(NODES, node(name, stamp(now), *machines.get(name, ("", ""))))
    for name in LEADERS:
        store.create(LEASES, lease(name, now))
    secret: Object = {"metadata": _meta("valuecanvas-secrets"), "type": "Opaque", "data": {}}
    store.create(SECRETS, secret)
    store.create(DEPLOYMENTS, _deployment("api-server", 3, 8000, env))
    store.create(DEPLOYMENTS, _deployment("frontend", 2, 3000, {"API_URL": "http://api-server"}))
    store.create(STATEFUL_SETS, _redis())
    store.create(DAEMON_SETS, _agent())
    for number, (name, port) in enumerate((("api-server", 8000), ("frontend", 3000), ("redis", 6379)), start=10):
        spec = {"type": "ClusterIP", "selector": {"app": name}, "ports": [{"name": "main", "port": port}]}
        store.create(SERVICES, {"metadata": _meta(name), "spec": spec | {"clusterIP": f"10.43.0.{number}"}})
    budget = {"minAvailable": 2, "selector": {"matchLabels": {"app": "api-server"}}}
    store.create(BUDGETS, {"metadata": _meta("api-server"), "spec": budget})


def lease(name: str, now: float) -> Object:
    """A leader's sign of life."""
    spec = {"holderIdentity": f"control-plane_{name}", "leaseDurationSeconds": 15, "renewTime": micro(now)}
    return {"metadata": {"name": name, "namespace": "kube-system"}, "spec": spec}


def _meta(name: str) -> Object:
    return {"name": name, "namespace": NAMESPACE, "labels": {"app": name}}


def node(name: str, now: str, provider: str = "", address: str = "") -> Object:
    """One that has just joined. `provider`: what its cloud calls its machine, with its private `address`."""
    machine = [{"type": "InternalIP", "address": address}] if address else []
    made: Object = {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {"podCIDR": "10.42.0.0/24"} | ({"providerID": provider} if provider else {}),
        "status": {
            "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "110"},
            "capacity": {"cpu": "2", "memory": "4Gi", "pods": "110"},
            "nodeInfo": _machine(name),
            "addresses": [{"type": "Hostname", "address": name}, *machine],
        },
    }
    for kind in PRESSURES:
        with_condition(made, {"type": kind, "status": "False", "reason": "KubeletHasSufficient"}, now)
    with_condition(made, {"type": "Ready", "status": "True", "reason": "KubeletReady"}, now)
    return made


def _machine(name: str) -> Object:
    """Every field, because clients refuse to read a node without one of them."""
    return {
        "architecture": "amd64",
        "bootID": name,
        "containerRuntimeVersion": "containerd://2.2.0",
        "kernelVersion": "6.12.0",
        "kubeProxyVersion": "",
        "kubeletVersion": "v1.36.2",
        "machineID": name,
        "operatingSystem": "linux",
        "osImage": "practice",
        "systemUUID": name,
    }


def _container(name: str, image: str, port: int, env: Mapping[str, str]) -> Object:
    return {
        "name": name,
        "image": image,
        "ports": [{"containerPort": port}],
        "env": [{"name": key, "value": value} for key, value in env.items()],
    }


def _deployment(name: str, replicas: int, port: int, env: Mapping[str, str]) -> Object:
    container = _container(name, f"valuecanvas/{name}:1.8.0", port, env)
    deployment: Object = {
        "metadata": _meta(name),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": GRACE},
            },
        },
    }
    if name == "frontend":
        spec = deployment["spec"]["template"]["spec"]
        spec["volumes"] = [{"name": "rendered", "emptyDir": {}}]
    defaults(DEPLOYMENTS, deployment)
    return deployment


def _redis() -> Object:
    template = {
        "metadata": {"labels": {"app": "redis"}},
        "spec": {
            "containers": [_container("redis", "redis:8", 6379, {})],
            "terminationGracePeriodSeconds": GRACE,
        },
    }
    spec = {"replicas": 1, "serviceName": "redis", "selector": {"matchLabels": {"app": "redis"}}, "template": template}
    redis = {"metadata": _meta("redis"), "spec": spec}
    defaults(STATEFUL_SETS, redis)
    return redis


def _agent() -> Object:
    """What runs on every node."""
    labels = {"app": "node-agent"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [_container("agent", "agent:2", 9100, {})]}}
    meta = {"name": "node-agent", "namespace": "kube-system", "labels": labels}
    agent = {"metadata": meta, "spec": {"selector": {"matchLabels": labels}, "template": template}}
    defaults(DAEMON_SETS, agent)
    return agent
