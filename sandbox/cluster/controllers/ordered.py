"""Stateful sets, one pod after the other; and daemon sets, one pod on each node."""

from __future__ import annotations

from sandbox.cluster.controllers.desk import Desk, share, template_hash
from sandbox.cluster.deletion import delete, owned
from sandbox.cluster.kinds import DAEMON_SETS, NODES, PODS, STATEFUL_SETS, Object
from sandbox.cluster.podstate import is_active, is_ready

REVISION = "controller-revision-hash"


def sync_stateful_sets(desk: Desk) -> None:
    """One step for each of them: never two pods on the move at once, unless the set asks for it."""
    for one in desk.store.list(STATEFUL_SETS):
        if not one["metadata"].get("deletionTimestamp"):
            _step(desk, one)
            _report(desk, one)


def _step(desk: Desk, one: Object) -> None:
    meta, spec = one["metadata"], one["spec"]
    pods = _by_number(desk, one)
    update = template_hash(spec["template"])
    parallel = spec.get("podManagementPolicy") == "Parallel"
    for number in range(spec["replicas"]):
        pod = pods.get(number)
        if pod is None:
            labels = {REVISION: update, "statefulset.kubernetes.io/pod-name": f"{meta['name']}-{number}"}
            desk.make_pod(STATEFUL_SETS, one, f"{meta['name']}-{number}", labels, hostname=f"{meta['name']}-{number}")
            pods = _by_number(desk, one)
            pod = pods[number]
        if not is_ready(pod) and not parallel:
            # Also a broken one: as with the real thing nothing goes on until somebody deletes it.
            return
    surplus = [number for number in sorted(pods, reverse=True) if number >= spec["replicas"]]
    if surplus:
        pod = pods[surplus[0]]
        if is_active(pod):
            delete(desk.store, PODS, pod, desk.clock())
        return
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return
    partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    for number in sorted(pods, reverse=True):
        pod = pods[number]
        if number < partition:
            return
        if not is_active(pod):
            return
        if pod["metadata"]["labels"][REVISION] != update:
            delete(desk.store, PODS, pod, desk.clock())
            return
        if not is_ready(pod):
            return


def _by_number(desk: Desk, one: Object) -> dict[int, Object]:
    pods = owned(desk.store.list(PODS, one["metadata"]["namespace"]), one)
    return {int(pod["metadata"]["name"].rpartition("-")[2]): pod for pod in pods}


def _report(desk: Desk, one: Object) -> None:
    spec, was = one["spec"], one.get("status") or {}
    update = template_hash(spec["template"])
    pods = [pod for pod in _by_number(desk, one).values() if is_active(pod)]
    ready = [pod for pod in pods if is_ready(pod)]
    updated = [pod for pod in pods if pod["metadata"]["labels"][REVISION] == update]
    partition = ((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition", 0)
    name = one["metadata"]["name"]
    through = not partition and len(updated) == len(ready) == len(pods) == spec["replicas"]
    current = f"{name}-{update}" if through else was.get("currentRevision", f"{name}-{update}")
    desk.status(
        STATEFUL_SETS,
        one,
        {
            "observedGeneration": one["metadata"]["generation"],
            "replicas": len(pods),
            "readyReplicas": len(ready),
            "availableReplicas": len(ready),
            "updatedReplicas": len(updated),
            "currentReplicas": sum(f"{name}-{pod['metadata']['labels'][REVISION]}" == current for pod in pods),
            "currentRevision": current,
            "updateRevision": f"{name}-{update}",
        },
    )


def sync_daemon_sets(desk: Desk) -> None:
    """A pod on each node; on a new template the old ones are replaced, `maxUnavailable` at a time."""
    nodes = {node["metadata"]["name"]: node for node in desk.store.list(NODES)}
    for one in desk.store.list(DAEMON_SETS):
        meta, spec = one["metadata"], one["spec"]
        if meta.get("deletionTimestamp"):
            continue
        update = template_hash(spec["template"])
        pods = owned(desk.store.list(PODS, meta["namespace"]), one)
        placed = {pod["spec"].get("nodeName"): pod for pod in pods}
        for name in nodes:
            if name not in placed:
                labels = {REVISION: update}
                desk.make_pod(DAEMON_SETS, one, f"{meta['name']}-{name}-{desk.store.version}", labels, nodeName=name)
        strategy = spec.get("updateStrategy") or {}
        if strategy.get("type") != "OnDelete":
            most = share((strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1), len(nodes), up=True)
            away = len(nodes) - sum(is_ready(pod) and is_active(pod) for pod in pods)
            old = [pod for pod in pods if is_active(pod) and pod["metadata"]["labels"][REVISION] != update]
            # What does not serve anyway costs nothing.
            for pod in sorted(old, key=is_ready):
                if not is_ready(pod) or away < most:
                    away += is_ready(pod)
                    delete(desk.store, PODS, pod, desk.clock())
        pods = [pod for pod in owned(desk.store.list(PODS, meta["namespace"]), one) if is_active(pod)]
        ready = sum(is_ready(pod) for pod in pods)
        desk.status(
            DAEMON_SETS,
            one,
            {
                "observedGeneration": meta["generation"],
                "desiredNumberScheduled": len(nodes),
                "currentNumberScheduled": len(pods),
                "updatedNumberScheduled": sum(pod["metadata"]["labels"][REVISION] == update for pod in pods),
                "numberMisscheduled": 0,
                "numberReady": ready,
                "numberAvailable": ready,
                "numberUnavailable": len(nodes) - ready,
            },
        )
