"""Deployments: a replica set for each template, and pods that move from the old ones to the new one."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from sandbox.cluster.controllers.desk import Desk, reference_to, share, template_hash
from sandbox.cluster.deletion import delete, owned
from sandbox.cluster.kinds import DEPLOYMENTS, PODS, REPLICA_SETS, Object
from sandbox.cluster.moments import seconds
from sandbox.cluster.podstate import condition, is_active, with_condition

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


def sync_deployments(desk: Desk) -> None:
    """One step for each of them."""
    for deployment in desk.store.list(DEPLOYMENTS):
        if not deployment["metadata"].get("deletionTimestamp"):
            _sync(desk, deployment)


def _sync(desk: Desk, deployment: Object) -> None:
    sets = owned(desk.store.list(REPLICA_SETS, deployment["metadata"]["namespace"]), deployment)
    new = _newest(desk, deployment, sets)
    if new is None and not deployment["spec"].get("paused"):
        _make_set(desk, deployment, sets)
        return
    old = [one for one in sets if new is None or one["metadata"]["uid"] != new["metadata"]["uid"]]
    if deployment["spec"].get("paused"):
        _scale_paused(desk, deployment, new, old)
    elif new is not None and deployment["spec"]["strategy"]["type"] == "Recreate":
        _recreate(desk, deployment, new, old)
    elif new is not None:
        _roll(desk, deployment, new, old)
        _clean_up(desk, deployment, old)
    _report(desk, deployment, new)


def _newest(desk: Desk, deployment: Object, sets: Sequence[Object]) -> Object | None:
    """The set of the present template, with the newest revision on it and on the deployment."""
    wanted = template_hash(deployment["spec"]["template"])
    found = next((one for one in sets if one["metadata"]["labels"].get(HASH) == wanted), None)
    if found is not None:
        number, top = _revision(found), max((_revision(one) for one in sets if one is not found), default=0)
        number = number if number > top else top + 1
        _annotate(desk, deployment, found, number)
    return found


def _annotate(desk: Desk, deployment: Object, new: Object, number: int) -> None:
    def change(changed: Object) -> None:
        changed["metadata"]["annotations"] = (changed["metadata"].get("annotations") or {}) | {REVISION: str(number)}

    for kind, thing in ((DEPLOYMENTS, deployment), (REPLICA_SETS, new)):
        desk.store.edit(kind, thing["metadata"]["namespace"], thing["metadata"]["name"], change)


def _revision(one: Object) -> int:
    return int((one["metadata"].get("annotations") or {}).get(REVISION, 0))


def _make_set(desk: Desk, deployment: Object, sets: Sequence[Object]) -> None:
    meta, spec = deployment["metadata"], deployment["spec"]
    mark = {HASH: template_hash(spec["template"])}
    template = deepcopy(spec["template"])
    labels = (template["metadata"].get("labels") or {}) | mark
    template["metadata"]["labels"] = labels
    selector = deepcopy(spec["selector"])
    selector["matchLabels"] = (selector.get("matchLabels") or {}) | mark
    number = max((_revision(one) for one in sets), default=0) + 1
    desk.store.create(
        REPLICA_SETS,
        {
            "metadata": {
                "name": f"{meta['name']}-{mark[HASH]}",
                "namespace": meta["namespace"],
                "labels": labels,
                "annotations": {REVISION: str(number)},
                "ownerReferences": [reference_to(DEPLOYMENTS, deployment)],
            },
            "spec": {
                "replicas": 0,
                "minReadySeconds": spec.get("minReadySeconds", 0),
                "selector": selector,
                "template": template,
            },
            "status": {"replicas": 0},
        },
    )

    def progressing(changed: Object) -> None:
        name = f"{meta['name']}-{mark[HASH]}"
        said = f'Created new replica set "{name}"'
        _progress(desk, changed, "True", "NewReplicaSetCreated", said, fresh=True)

    desk.store.edit(DEPLOYMENTS, meta["namespace"], meta["name"], progressing)


def limits(spec: Object) -> tuple[int, int]:
    """(surge, unavailable): how many pods may be too many, and how many too few, on the way."""
    rolling, replicas = spec["strategy"].get("rollingUpdate") or {}, spec["replicas"]
    surge = share(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = share(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    return surge, unavailable if surge or unavailable else 1


def _roll(desk: Desk, deployment: Object, new: Object, old: Sequence[Object]) -> None:
    spec = deployment["spec"]
    replicas = spec["replicas"]
    surge, unavailable = limits(spec)
    have = _size(new)
    total = have + sum(_size(one) for one in old)
    if have > replicas:
        _resize(desk, deployment, new, replicas)
    elif have < replicas and total < replicas + surge:
        _resize(desk, deployment, new, min(replicas, have + replicas + surge - total))
        return
    if not any(_size(one) for one in old):
        return
    # What old sets may lose: first what serves nobody anyway, then as much as leaves enough serving.
    broken_new = _size(new) - _number(new, "availableReplicas")
    spare = total - (replicas - unavailable) - max(broken_new, 0)
    for one in old:
        useless = _size(one) - _number(one, "availableReplicas")
        gone = min(spare, useless)
        if gone > 0:
            _resize(desk, deployment, one, _size(one) - gone)
            return
    serving = sum(_number(one, "availableReplicas") for one in (new, *old))
    spare = serving - (replicas - unavailable)
    for one in old:
        gone = min(spare, _size(one))
        if gone > 0:
            _resize(desk, deployment, one, _size(one) - gone)
            spare -= gone


def _recreate(desk: Desk, deployment: Object, new: Object, old: Sequence[Object]) -> None:
    for one in old:
        _resize(desk, deployment, one, 0)
    pods = desk.store.list(PODS, deployment["metadata"]["namespace"])
    if not any(owned(pods, one) for one in old):
        _resize(desk, deployment, new, deployment["spec"]["replicas"])


def _scale_paused(desk: Desk, deployment: Object, new: Object | None, old: Sequence[Object]) -> None:
    """A paused deployment keeps its template but follows its number."""
    living = [one for one in (new, *old) if one is not None and _size(one)]
    if len(living) == 1 or (living and not deployment["spec"]["replicas"]):
        for one in living:
            _resize(desk, deployment, one, deployment["spec"]["replicas"])
    elif not living and (last := max((one for one in (new, *old) if one is not None), key=_revision, default=None)):
        _resize(desk, deployment, last, deployment["spec"]["replicas"])


def _clean_up(desk: Desk, deployment: Object, old: Sequence[Object]) -> None:
    done = sorted((one for one in old if not _size(one) and not _number(one, "replicas")), key=_revision)
    for one in done[: max(0, len(done) - deployment["spec"].get("revisionHistoryLimit", 10))]:
        delete(desk.store, REPLICA_SETS, one, desk.clock())


def _resize(desk: Desk, deployment: Object, one: Object, replicas: int) -> None:
    if _size(one) == replicas:
        return
    how = "up" if replicas > _size(one) else "down"
    name = one["metadata"]["name"]

    def change(changed: Object) -> None:
        changed["spec"]["replicas"] = replicas

    desk.store.edit(REPLICA_SETS, one["metadata"]["namespace"], name, change)
    said = f"Scaled {how} replica set {name} from {_size(one)} to {replicas}"
    desk.record(DEPLOYMENTS, deployment, "ScalingReplicaSet", said)


def _report(desk: Desk, deployment: Object, new: Object | None) -> None:
    meta = deployment["metadata"]
    sets = owned(desk.store.list(REPLICA_SETS, meta["namespace"]), deployment)
    fresh = [one for one in sets if new is not None and one["metadata"]["uid"] == new["metadata"]["uid"]]

    def change(changed: Object) -> None:
        was = changed.get("status") or {}
        wanted = changed["spec"]["replicas"]
        numbers = {
            key: sum(_number(one, key) for one in sets) for key in ("replicas", "readyReplicas", "availableReplicas")
        }
        numbers["updatedReplicas"] = sum(_number(one, "replicas") for one in fresh)
        numbers["unavailableReplicas"] = max(0, max(wanted, numbers["replicas"]) - numbers["availableReplicas"])
        kept = {key: value for key, value in numbers.items() if value}
        changed["status"] = {"observedGeneration": meta["generation"], "conditions": was.get("conditions") or []} | kept
        enough = numbers["availableReplicas"] >= wanted - limits(changed["spec"])[1]
        reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
        said = f"Deployment {'has' if enough else 'does not have'} minimum availability."
        with_condition(
            changed, {"type": "Available", "status": str(enough), "reason": reason, "message": said}, desk.now
        )
        if not changed["spec"].get("paused"):
            _judge(desk, changed, was, numbers)

    desk.store.edit(DEPLOYMENTS, meta["namespace"], meta["name"], change)


def _judge(desk: Desk, changed: Object, was: Object, numbers: dict[str, int]) -> None:
    """The condition Progressing: whether it gets on, is through, or has stood still for too long."""
    name, wanted = changed["metadata"]["name"], changed["spec"]["replicas"]
    through = numbers["updatedReplicas"] == numbers["replicas"] == numbers["availableReplicas"] == wanted
    if through:
        _progress(desk, changed, "True", "NewReplicaSetAvailable", f'Deployment "{name}" has successfully progressed.')
        return
    old_left = numbers["replicas"] - numbers["updatedReplicas"]
    old_before = was.get("replicas", 0) - was.get("updatedReplicas", 0)
    got_on = old_left < old_before or any(
        numbers[key] > was.get(key, 0) for key in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    last = condition(changed, "Progressing")
    if got_on or last is None or last["reason"] == "NewReplicaSetAvailable":
        _progress(desk, changed, "True", "ReplicaSetUpdated", f'Deployment "{name}" is progressing.', fresh=True)
        return
    if last["reason"] == "ProgressDeadlineExceeded":
        return
    deadline = seconds(last["lastUpdateTime"]) + changed["spec"].get("progressDeadlineSeconds", 600)
    if desk.clock() < deadline:
        desk.look_again(deadline)
        return
    _progress(desk, changed, "False", "ProgressDeadlineExceeded", f'Deployment "{name}" has timed out progressing.')


def _progress(desk: Desk, changed: Object, status: str, reason: str, said: str, *, fresh: bool = False) -> None:
    last = condition(changed, "Progressing")
    same = last is not None and (last["status"], last["reason"]) == (status, reason)
    at = last["lastUpdateTime"] if last is not None and same and not fresh else desk.now
    new = {"type": "Progressing", "status": status, "reason": reason, "message": said, "lastUpdateTime": at}
    with_condition(changed, new, desk.now)


def _size(one: Object) -> int:
    return int(one["spec"]["replicas"])


def _number(one: Object, key: str) -> int:
    return int((one.get("status") or {}).get(key, 0))


def sync_replica_sets(desk: Desk) -> None:
    """As many pods as asked for; those that serve nobody go first."""
    for one in desk.store.list(REPLICA_SETS):
        meta, spec = one["metadata"], one["spec"]
        if meta.get("deletionTimestamp"):
            continue
        pods = [pod for pod in owned(desk.store.list(PODS, meta["namespace"]), one) if is_active(pod)]
        wanted, min_ready = spec["replicas"], spec.get("minReadySeconds", 0)
        for _ in range(wanted - len(pods)):
            desk.make_pod(REPLICA_SETS, one, _free_name(desk, meta["namespace"], meta["name"]), {})
        # The newest first among equals.
        going = sorted(pods, key=lambda pod: (desk.available(pod, 0), -int(pod["metadata"]["resourceVersion"])))
        for pod in going[: max(0, len(pods) - wanted)]:
            delete(desk.store, PODS, pod, desk.clock())
            desk.record(REPLICA_SETS, one, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")
        pods = [pod for pod in owned(desk.store.list(PODS, meta["namespace"]), one) if is_active(pod)]
        desk.status(
            REPLICA_SETS,
            one,
            {
                "observedGeneration": meta["generation"],
                "replicas": len(pods),
                "fullyLabeledReplicas": len(pods),
                "readyReplicas": sum(desk.available(pod, 0) for pod in pods),
                "availableReplicas": sum(desk.available(pod, min_ready) for pod in pods),
            },
        )


def _free_name(desk: Desk, namespace: str, base: str) -> str:
    number = desk.store.version
    while desk.store.find(PODS, namespace, name := f"{base}-{_suffix(number)}"):
        number += 1
    return name


def _suffix(number: int) -> str:
    """Five letters and digits in which no word can be read, as Kubernetes does; no two numbers near give the same."""
    letters, text = "bcdfghjklmnpqrstvwxz2456789", ""
    mixed = number * 7_368_787 % len(letters) ** 5
    for _ in range(5):
        mixed, at = divmod(mixed, len(letters))
        text += letters[at]
    return text
