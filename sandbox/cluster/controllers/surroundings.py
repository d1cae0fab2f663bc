"""What stands around the workloads: endpoints of services, disruption budgets, autoscalers, places for pods, dead nodes."""

from __future__ import annotations

from sandbox.cluster.controllers.desk import Desk, reference_to, share
from sandbox.cluster.controllers.scheduling import against_node, unplaced
from sandbox.cluster.deletion import owner_of
from sandbox.cluster.kinds import (
    AUTOSCALERS,
    BUDGETS,
    DEPLOYMENTS,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    SLICES,
    STATEFUL_SETS,
    Object,
)
from sandbox.cluster.podstate import condition, is_active, is_ready, is_true, with_condition
from sandbox.cluster.selectors import selected


def sync_services(desk: Desk) -> None:
    """One endpoint slice for each service that selects pods."""
    for service in desk.store.list(SERVICES):
        selector = service["spec"].get("selector")
        if not selector:
            continue
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        endpoints = [
            _endpoint(pod)
            for pod in desk.store.list(PODS, namespace)
            if selected({"matchLabels": selector}, pod["metadata"].get("labels") or {})
            and (pod.get("status") or {}).get("podIP")
        ]
        found = desk.store.find(SLICES, namespace, f"{name}-slice")
        if found is None:
            ports = [
                {"name": one.get("name", ""), "port": one["port"], "protocol": "TCP"}
                for one in service["spec"]["ports"]
            ]
            meta = {"name": f"{name}-slice", "namespace": namespace, "labels": {"kubernetes.io/service-name": name}}
            meta["ownerReferences"] = [reference_to(SERVICES, service)]
            slice_ = {"metadata": meta, "addressType": "IPv4", "ports": ports, "endpoints": endpoints or None}
            desk.store.create(SLICES, slice_)
        elif (found["endpoints"] or []) != endpoints:

            def change(changed: Object, endpoints: list[Object] = endpoints) -> None:
                # Null, not an empty list, as with the real one.
                changed["endpoints"] = endpoints or None

            desk.store.edit(SLICES, namespace, f"{name}-slice", change)


def _endpoint(pod: Object) -> Object:
    meta, going = pod["metadata"], bool(pod["metadata"].get("deletionTimestamp"))
    ready = is_ready(pod)
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready and not going, "serving": ready, "terminating": going},
        "nodeName": pod["spec"].get("nodeName"),
        "targetRef": {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
    }


def sync_budgets(desk: Desk) -> None:
    """How many pods each disruption budget can spare."""
    for budget in desk.store.list(BUDGETS):
        meta, spec = budget["metadata"], budget["spec"]
        pods = [
            pod
            for pod in desk.store.list(PODS, meta["namespace"])
            if is_active(pod) and selected(spec.get("selector"), pod["metadata"].get("labels") or {})
        ]
        expected = max(len(pods), _asked_for(desk, pods))
        healthy = sum(is_ready(pod) for pod in pods)
        if "maxUnavailable" in spec:
            wanted = max(0, expected - share(spec["maxUnavailable"], expected, up=True))
        else:
            wanted = share(spec.get("minAvailable", 1), expected, up=True)

        def change(
            changed: Object,
            numbers: tuple[int, int, int, int] = (meta["generation"], expected, healthy, wanted),
        ) -> None:
            generation, expected, healthy, wanted = numbers
            changed["status"] = {
                "observedGeneration": generation,
                "expectedPods": expected,
                "currentHealthy": healthy,
                "desiredHealthy": wanted,
                "disruptionsAllowed": max(0, healthy - wanted),
            }

        desk.store.edit(BUDGETS, meta["namespace"], meta["name"], change)


def _asked_for(desk: Desk, pods: list[Object]) -> int:
    """How many there would be if nothing were missing."""
    total, seen = 0, set()
    for pod in pods:
        ref = owner_of(pod)
        if ref is None:
            total += 1
            continue
        kind = {"ReplicaSet": REPLICA_SETS, "StatefulSet": STATEFUL_SETS}.get(ref["kind"])
        owner = desk.store.find(kind, pod["metadata"]["namespace"], ref["name"]) if kind else None
        above = owner_of(owner) if owner is not None else None
        if above is not None and above["kind"] == "Deployment":
            owner = desk.store.find(DEPLOYMENTS, pod["metadata"]["namespace"], above["name"])
        if owner is not None and owner["metadata"]["uid"] not in seen:
            seen.add(owner["metadata"]["uid"])
            total += owner["spec"]["replicas"]
    return total


def sync_autoscalers(desk: Desk) -> None:
    """Keep what they own between their bounds; zero switches them off, as with the real one. They never see a load."""
    for scaler in desk.store.list(AUTOSCALERS):
        meta, spec = scaler["metadata"], scaler["spec"]
        ref = spec["scaleTargetRef"]
        kind = {"Deployment": DEPLOYMENTS, "StatefulSet": STATEFUL_SETS}.get(ref["kind"])
        target = desk.store.find(kind, meta["namespace"], ref["name"]) if kind else None
        if kind is None or target is None:
            continue
        have = target["spec"]["replicas"]
        wanted = min(max(have, spec.get("minReplicas", 1)), spec["maxReplicas"]) if have else 0
        if wanted != have:

            def change(changed: Object, wanted: int = wanted) -> None:
                changed["spec"]["replicas"] = wanted

            desk.store.edit(kind, meta["namespace"], ref["name"], change)
        desk.status(AUTOSCALERS, scaler, {"currentReplicas": have, "desiredReplicas": wanted})


def schedule(desk: Desk) -> None:
    """Give each pod without a node the emptiest one that has room; without any it waits."""
    nodes = desk.store.list(NODES)
    for pod in desk.store.list(PODS):
        if pod["spec"].get("nodeName") or not is_active(pod):
            continue
        meta = pod["metadata"]
        others = [other for other in desk.store.list(PODS) if is_active(other)]
        against = {one["metadata"]["name"]: against_node(one, others, pod) for one in nodes}
        node = _emptiest([name for name, why in against.items() if not why], others, pod)
        why = unplaced(against.values())

        def change(changed: Object, node: str | None = node, why: str = why) -> None:
            found: Object = {"type": "PodScheduled", "status": "True"}
            if node is None:
                found = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}
            else:
                changed["spec"]["nodeName"] = node
            with_condition(changed, found, desk.now)

        desk.store.edit(PODS, meta["namespace"], meta["name"], change)
        if node is None and (condition(pod, "PodScheduled") or {}).get("message") != why:
            desk.record(PODS, pod, "FailedScheduling", why, warning=True)
        elif node is not None:
            said = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
            desk.record(PODS, pod, "Scheduled", said)


def _emptiest(nodes: list[str], pods: list[Object], pod: Object) -> str | None:
    """The node with the fewest of the pod's kind, then with the fewest pods."""
    labels = pod["metadata"].get("labels") or {}

    def load(name: str) -> tuple[int, int, str]:
        there = [other for other in pods if other["spec"].get("nodeName") == name]
        like = sum((other["metadata"].get("labels") or {}).get("app") == labels.get("app") for other in there)
        return like, len(there), name

    return min(nodes, key=load, default=None)


def tend_nodes(desk: Desk) -> None:
    """Pods on a node that is not ready serve nobody; pods on one that is gone are taken away."""
    nodes = {node["metadata"]["name"]: node for node in desk.store.list(NODES)}
    for pod in desk.store.list(PODS):
        name, meta = pod["spec"].get("nodeName"), pod["metadata"]
        if name and name not in nodes:
            desk.store.remove(PODS, meta["namespace"], meta["name"])
        elif name and not is_true(nodes[name], "Ready") and is_ready(pod):

            def change(changed: Object) -> None:
                with_condition(changed, {"type": "Ready", "status": "False", "reason": "NodeLost"}, desk.now)

            desk.store.edit(PODS, meta["namespace"], meta["name"], change)
