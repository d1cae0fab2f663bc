"""What a drain does to each pod, and how much Kubernetes says that there is."""

from typing import Any

import pytest

from bot.clients.kubernetes_drain import MIRROR, fate, owner, quantity, residents
from bot.tools import Amount


def pod(kind: str = "", *, phase: str = "Running", mirror: bool = False, **more: Any) -> dict[str, Any]:
    """A pod as the API server says it, made by something of that kind."""
    owners = [{"kind": kind, "name": "it-5d8", "uid": "owner", "controller": True}] if kind else []
    notes = {"annotations": {MIRROR: "x"}} if mirror else {}
    meta = {"name": "one", "namespace": "here", "uid": "1", "labels": {"app": "it"}, "ownerReferences": owners, **notes}
    return {"metadata": meta, "spec": {"containers": [], **more}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("thing", "becomes"),
    [
        (pod("Node", mirror=True), "mirror"),
        (pod(mirror=True, phase="Failed"), "mirror"),
        (pod(phase="Succeeded"), "over"),
        (pod("DaemonSet", phase="Failed"), "over"),
        (pod("DaemonSet"), "daemonset"),
        (pod("ReplicaSet"), "evicted"),
        (pod("Job"), "evicted"),
        (pod(), "orphan"),
    ],
)
def test_a_pod_goes_as_kubectl_would_have_it(thing: dict[str, Any], becomes: str) -> None:
    """The first rule that fits counts; what nobody would make again stops a drain."""
    assert fate(thing, {"owner"}) == becomes


def test_a_pod_of_a_daemon_set_that_is_gone_is_an_orphan() -> None:
    """Nobody would make it again."""
    assert fate(pod("DaemonSet"), {"another"}) == "orphan"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("250m", 0.25), ("2", 2.0), (2, 2.0), ("259000000n", 0.259), ("100u", 0.0001), ("0.5", 0.5), (None, 0.0),
        ("4Gi", 4.0 * 1024**3), ("512Ki", 512.0 * 1024), ("1M", 1e6), ("1k", 1000.0), ("1e3", 1000.0), ("1E3", 1000.0),
        ("2E", 2e18), ("1Ei", 1024.0**6),
    ],
)  # fmt: skip
def test_quantities(text: object, number: float) -> None:
    """Every way in which Kubernetes writes a number."""
    assert quantity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["4GiB", "much", "1 Gi", "--1"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    """Not taken for zero."""
    with pytest.raises(ValueError, match="no quantity"):
        quantity(text)


def budget(selector: dict[str, Any] | None, **status: int) -> dict[str, Any]:
    status = {"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2} | status
    return {"metadata": {"name": "b", "namespace": "here"}, "spec": {"selector": selector}, "status": status}


@pytest.mark.parametrize(
    ("selector", "held"),
    [
        ({"matchLabels": {"app": "it"}}, True),
        ({"matchLabels": {"app": "other"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["it", "them"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["it"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
        ({}, True),
        (None, False),
    ],
)
def test_a_budget_holds_whom_it_selects(selector: dict[str, Any] | None, held: bool) -> None:
    """An empty selector means everybody, none means nobody."""
    (found,) = residents([pod("ReplicaSet")], (), [budget(selector)])
    assert list(found.budgets) == (["b"] if held else [])


def test_a_budget_is_exhausted_for_those_it_needs() -> None:
    """A pod that is not ready may go as long as enough others are; the reason names the budget."""
    ready, ill = pod("ReplicaSet"), pod("ReplicaSet")
    ready["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    everybody: dict[str, Any] = {}
    (one, two) = residents([ready, ill], (), [budget(everybody)])
    assert (one.exhausted, two.exhausted) == ("b needs 2 healthy pods and has 2", "")
    (one, two) = residents([ready, ill], (), [budget(everybody, currentHealthy=1)])
    assert two.exhausted == "b needs 2 healthy pods and has 1"
    (one, _) = residents([ready, ill], (), [budget(everybody, disruptionsAllowed=1)])
    assert not one.exhausted


def test_a_pod_asks_for_its_containers_together() -> None:
    """Or for the greediest that runs before them; a replica set's pod is its deployment's."""
    containers = [{"resources": {"requests": {"cpu": "250m", "memory": "1Gi"}}}, {}]
    first = [{"resources": {"requests": {"cpu": "1"}}}]
    thing = pod("ReplicaSet", containers=containers, initContainers=first)
    thing["metadata"]["labels"]["pod-template-hash"] = "5d8"
    (found,) = residents([thing], (), [])
    assert found.asks == Amount(1.0, 1 << 30)
    assert found.owner == owner(thing) == "deployment/it"
    assert owner(pod("StatefulSet")) == "statefulset/it-5d8"
