"""What the client makes of objects that a practice cluster never shows: null lists, init containers, evicted pods."""

from typing import Any

import pytest

from bot.clients import kubernetes_shapes as shapes

WAITING = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
ENDED = {"state": {"terminated": {"exitCode": 3}}, "restartCount": 2}
COMPLETED = {"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}


def pod(meta: Any = None, **status: Any) -> dict[str, Any]:
    """A pod of that status."""
    return {"metadata": {"name": "p", "uid": "u", **(meta or {})}, "spec": {}, "status": status}


@pytest.mark.parametrize(
    ("thing", "state", "why"),
    [
        (pod(phase="Running", containerStatuses=[{"state": {"running": {}}}]), "Running", ""),
        (pod(phase="Pending", containerStatuses=[{}, WAITING]), "ImagePullBackOff", "no such image"),
        (pod(phase="Running", containerStatuses=[ENDED]), "Error", "exit status 3"),
        (pod(phase="Succeeded", containerStatuses=[COMPLETED]), "Completed", ""),
        (pod(phase="Pending", initContainerStatuses=[COMPLETED, WAITING]), "Init:ImagePullBackOff", "no such image"),
        (pod(phase="Pending", initContainerStatuses=[ENDED]), "Init:Error", "exit status 3"),
        (
            pod(phase="Failed", reason="Evicted", message="disk is full", containerStatuses=None),
            "Evicted",
            "disk is full",
        ),
        (pod({"deletionTimestamp": "2026-01-01T00:00:00Z"}, phase="Running"), "Terminating", ""),
        (
            pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "False", "message": "no node"}]),
            "Pending",
            "no node",
        ),
        (pod(), "Unknown", ""),
    ],
)
def test_a_pods_state_is_kubectls(thing: Any, state: str, why: str) -> None:
    """Waiting and ended containers say more than the phase."""
    found = shapes.pod(thing)
    assert (found.state, found.why, found.started_at, dict(found.labels)) == (state, why, None, {})


def test_services_without_endpoints() -> None:
    """A null list is none; an absent condition is ready; a pod with two addresses counts once."""
    label = {"kubernetes.io/service-name": "a"}
    both = [{"addresses": [address], "targetRef": {"uid": "1"}} for address in ("10.0.0.1", "fd00::1")]
    slices: list[dict[str, Any]] = [
        {"metadata": {"labels": label}, "endpoints": None},
        {
            "metadata": {"labels": label},
            "endpoints": [*both, {"addresses": ["10.0.0.2"], "conditions": {"ready": None}}],
        },
        {"metadata": {"labels": label}, "endpoints": [{"addresses": ["10.0.0.3"], "conditions": {"ready": False}}]},
    ]
    things: list[dict[str, Any]] = [
        {"metadata": {"name": "a"}, "spec": {"type": "LoadBalancer"}},
        {"metadata": {"name": "b"}, "spec": {}},
    ]
    assert [(one.type, one.ready) for one in shapes.services(things, slices)] == [("LoadBalancer", 2), ("ClusterIP", 0)]


def test_selectors_of_both_kinds() -> None:
    """As they stand in a query."""
    expressions = [
        {"key": "a", "operator": "In", "values": ["1", "2"]},
        {"key": "b", "operator": "NotIn", "values": ["3"]},
        {"key": "c", "operator": "Exists", "values": None},
        {"key": "d", "operator": "DoesNotExist"},
    ]
    thing = {"spec": {"selector": {"matchLabels": {"z": "1", "y": "2"}, "matchExpressions": expressions}}}
    assert shapes.selector(thing) == "y=2,z=1,a in (1,2),b notin (3),c,!d"


def test_the_first_container_with_a_variable_counts() -> None:
    """Its value is read and it is the one that is set; without any it is the first container."""
    one = {"name": "one", "env": [{"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}
    two = {"name": "two", "env": [{"name": "A", "value": "2"}, {"name": "C"}]}
    three = {"name": "three", "env": [{"name": "A", "value": "3"}, {"name": "B", "value": "x"}]}
    spec = {"selector": {}, "template": {"metadata": None, "spec": {"containers": [one, two, three]}}}
    thing = {"metadata": {"name": "w", "namespace": "n", "uid": "u"}, "spec": spec, "status": None}
    found = shapes.workload("deployment", thing, [])
    assert (dict(found.env), found.replicas, found.ready, found.restarted_at) == ({"A": "2", "C": ""}, 1, 0, "")
    assert [shapes.variable_of(thing, name)[0] for name in "ABCD"] == ["two", "one", "two", "one"]


def owned(kind: str, uid: str) -> dict[str, Any]:
    """The metadata of what somebody made."""
    return {"ownerReferences": [{"kind": kind, "uid": uid, "controller": True}]}


def test_pods_of_others_do_not_count() -> None:
    """A selector may mean more than one's own pods; a pod whose replica set is gone already is still ours."""
    meta = {"name": "d", "uid": "d", "generation": 2, "annotations": {shapes.REVISION: "2"}}
    counts = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "observedGeneration": 2}
    thing = {"metadata": meta, "spec": {"replicas": 1}, "status": counts}
    sets = [
        {"metadata": {"uid": "new", "annotations": {shapes.REVISION: "2"}, **owned("Deployment", "d")}},
        {"metadata": {"uid": "other", "annotations": {shapes.REVISION: "2"}, **owned("Deployment", "another")}},
    ]
    mine = pod({"uid": "1", **owned("ReplicaSet", "new")}, conditions=[{"type": "Ready", "status": "True"}])
    foreign = [pod(owned("ReplicaSet", "other")), pod(owned("StatefulSet", "s")), pod()]
    found = shapes.deployment_rollout(thing, [mine, *foreign], sets)
    assert (found.done, found.detail) == (True, "1 of 1 new pods ready")
    found = shapes.deployment_rollout(thing, [mine, pod(owned("ReplicaSet", "gone"))], sets)
    assert (found.done, found.detail) == (False, "1 of 1 new pods ready, 1 old left")


def test_before_its_controller_looked_nothing_is_done() -> None:
    """Numbers of an older generation say nothing, nor does its passed deadline."""
    overdue = [{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "late"}]
    counts = {
        "replicas": 1,
        "updatedReplicas": 1,
        "availableReplicas": 1,
        "observedGeneration": 1,
        "conditions": overdue,
    }
    meta = {"name": "d", "uid": "d", "generation": 2, "annotations": {shapes.REVISION: "1"}}
    sets = [{"metadata": {"uid": "old", "annotations": {shapes.REVISION: "1"}, **owned("Deployment", "d")}}]
    thing = {"metadata": meta, "spec": {"replicas": 1}, "status": counts}
    found = shapes.deployment_rollout(thing, [pod(owned("ReplicaSet", "old"))], sets)
    assert (found.done, found.stuck, found.detail) == (False, "", "0 of 1 new pods ready, 1 old left")
    counts["observedGeneration"] = 2
    assert shapes.deployment_rollout(thing, [], sets).stuck == "late"


def test_an_on_delete_set_never_gets_there() -> None:
    """Nobody replaces its pods; once somebody did, it is done."""
    strategy = {"type": "OnDelete"}
    status = {
        "observedGeneration": 1,
        "updateRevision": "s-2",
        "currentRevision": "s-1",
        "replicas": 1,
        "readyReplicas": 1,
    }
    meta = {"name": "s", "uid": "s", "generation": 1}
    thing = {"metadata": meta, "spec": {"replicas": 1, "updateStrategy": strategy}, "status": status}
    old = pod({"labels": {shapes.SET_HASH: "s-1"}, **owned("StatefulSet", "s")})
    assert "OnDelete" in shapes.set_rollout(thing, [old]).stuck
