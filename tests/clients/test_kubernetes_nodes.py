"""The bot's client for nodes against the practice cluster: what it reads, cordons, evicts and deletes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.clients.kubernetes_nodes import KubernetesNodes
from bot.errors import NotFound, Refused, Unavailable
from bot.tools import Resident
from sandbox.cluster import Cluster, Fault
from sandbox.cluster.kinds import BUDGETS, EVENTS, LEASES, NODES, PODS, Object
from sandbox.cluster.podstate import is_ready
from tests.clients.kubernetes_stage import HERE, Stage, practice


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A practice cluster with the bot's client."""
    async with practice(tmp_path) as stage:
        yield stage


@pytest.fixture
def cluster(stage: Stage) -> Cluster:
    """The cluster."""
    return stage.cluster


@pytest.fixture
def nodes(stage: Stage) -> KubernetesNodes:
    """The client."""
    return KubernetesNodes(stage.bot.connection)


async def until(cluster: Cluster, holds: Callable[[], bool]) -> None:
    """Wait until something holds that then stays."""
    async with asyncio.timeout(40):
        with cluster.store.listening() as changed:
            while not holds():
                changed.clear()
                await changed.wait()


def named(found: list[Resident], app: str) -> Resident:
    return next(pod for pod in found if pod.name.startswith(app))


async def test_nodes_say_how_they_are(nodes: KubernetesNodes, cluster: Cluster) -> None:
    """Ready or why not, what presses them, whether they take pods, and what their machine is called."""
    cluster.set_node("node-2", ready=False)
    cluster.set_condition("node-3", "MemoryPressure", "True")
    cluster.join("node-4", "aws:///us-east-1a/i-0abc", "172.31.0.9")
    one, two, three, four = await nodes.nodes()
    assert (one.ready, one.why, one.pressures, one.takes_pods, one.control_plane) == (True, "", [], True, False)
    assert (two.ready, two.why) == (False, "Kubelet stopped posting node status.")
    assert three.pressures == ["MemoryPressure"]
    assert (four.provider, four.address) == ("aws:///us-east-1a/i-0abc", "172.31.0.9")
    assert (one.room.cores, one.room.memory) == (2.0, 4 << 30)
    assert datetime.now(UTC) - one.created_at < timedelta(minutes=5)


async def test_a_cordon_is_bound_to_the_node(nodes: KubernetesNodes) -> None:
    """It is set and taken away, twice is once, and another node of that name is left alone."""
    uid = (await nodes.nodes())[0].uid
    for on in (True, True, False, False):
        await nodes.cordon("node-1", uid, on=on)
        assert (await nodes.nodes())[0].cordoned is on
    with pytest.raises(Refused, match="node-1 is another one"):
        await nodes.cordon("node-1", "another", on=True)
    assert not (await nodes.nodes())[0].cordoned


async def test_residents_are_what_a_drain_would_meet(nodes: KubernetesNodes, cluster: Cluster) -> None:
    """Their owners, the disruption budget that holds them, what is lost of them, and what draining does."""
    found = list(await nodes.residents("node-2"))
    assert {pod.node for pod in found} == {"node-2"}
    api, frontend, agent = (named(found, app) for app in ("api-server", "frontend", "node-agent"))
    assert (api.fate, api.owner, api.budgets, api.exhausted) == (
        "evicted",
        "deployment/api-server",
        ["api-server"],
        "",
    )
    assert (frontend.local, frontend.budgets, api.local) == (True, [], False)
    assert (agent.fate, agent.leaves, agent.owner) == ("daemonset", False, "daemonset/node-agent")
    assert len(await nodes.residents()) == len(cluster.store.list(PODS)) == 9


async def test_an_eviction_waits_for_its_budget(nodes: KubernetesNodes, cluster: Cluster) -> None:
    """One may go; then the budget is named; two budgets are a clear no; what is gone or replaced is done."""
    for node in await nodes.nodes():  # so that nothing comes in its place
        await nodes.cordon(node.name, node.uid, on=True)
    one, two, _ = [pod for pod in await nodes.residents() if pod.owner == "deployment/api-server"]
    assert await nodes.evict(one) == ""
    await until(cluster, lambda: cluster.store.list(BUDGETS, HERE)[0]["status"]["currentHealthy"] == 2)
    assert await nodes.evict(one) == ""
    said = "The disruption budget api-server needs 2 healthy pods and has 2 currently"
    assert await nodes.evict(two) == said
    again = next(pod for pod in await nodes.residents() if pod.uid == two.uid)
    assert again.exhausted == "api-server needs 2 healthy pods and has 2"
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "api-server"}}}
    cluster.store.create(BUDGETS, {"metadata": {"name": "second", "namespace": HERE}, "spec": spec})
    with pytest.raises(Refused, match="more than one disruption budget"):
        await nodes.evict(two)
    cluster.faults.fail["create pods/eviction"] = Fault(429, "slow down", "TooManyRequests", times=1, retry_after=3)
    with pytest.raises(Unavailable, match="slow down"):
        await nodes.evict(two)


async def test_a_pod_that_hangs_is_removed_by_its_identity(
    stage: Stage, nodes: KubernetesNodes, cluster: Cluster
) -> None:
    """Evicted on a dead node it hangs, with the instant at which it should have ended; removed it is gone, and twice is once."""
    cluster.kill_node("node-2")
    await until(
        cluster, lambda: not any(is_ready(p) for p in cluster.store.list(PODS) if p["spec"].get("nodeName") == "node-2")
    )
    pod = named(list(await nodes.residents("node-2")), "frontend")
    assert pod.deadline is None
    assert await nodes.evict(pod) == ""
    hanging = named(list(await nodes.residents("node-2")), "frontend")
    assert hanging.uid == pod.uid
    assert hanging.deadline is not None
    for _ in range(2):
        await stage.bot.force_delete(hanging.namespace, hanging.name, hanging.uid)
    assert pod.uid not in {one.uid for one in await nodes.residents()}


async def test_a_node_is_deleted_by_its_identity(nodes: KubernetesNodes, cluster: Cluster) -> None:
    """Another one of its name stays; gone is done already."""
    uid = (await nodes.nodes())[1].uid
    await nodes.delete("node-2", "another")
    assert cluster.store.find(NODES, "", "node-2")
    for _ in range(2):
        await nodes.delete("node-2", uid)
    assert [node.name for node in await nodes.nodes()] == ["node-1", "node-3"]


async def test_events_come_newest_first(nodes: KubernetesNodes, cluster: Cluster) -> None:
    """By the last time that each says, wherever it says it."""
    cluster.set_node("node-2", ready=False)

    def newer(event: Object) -> None:
        event.pop("lastTimestamp")
        event["eventTime"] = "2099-01-01T00:00:00.000001Z"

    one = cluster.store.list(EVENTS, HERE)[0]["metadata"]
    cluster.store.edit(EVENTS, HERE, one["name"], newer)
    first, second = await nodes.events(2)
    assert first.at.year == 2099
    assert second.at <= datetime.now(UTC)
    found = next(event for event in await nodes.events(500) if event.reason == "NodeNotReady")
    assert (found.warning, found.about, found.count) == (True, "node/node-2", 1)


async def test_the_control_plane_says_what_fails(nodes: KubernetesNodes, cluster: Cluster) -> None:
    """Each check by name, also when one fails; a leader that nobody shows us is unknown."""
    well = await nodes.control_plane()
    assert well.checks["etcd"]
    assert all(at is not None for at in well.leaders.values())
    cluster.faults.unhealthy.add("etcd")
    cluster.store.remove(LEASES, "kube-system", "kube-scheduler")
    ill = await nodes.control_plane()
    assert (ill.checks["etcd"], ill.checks["ping"], ill.leaders["kube-scheduler"]) == (False, True, None)
    cluster.faults.down = True
    with pytest.raises(Unavailable):
        await nodes.control_plane()


async def test_usage_is_measured_or_said_to_be_missing(nodes: KubernetesNodes, cluster: Cluster) -> None:
    """Cores and bytes of each node, and of each pod that is ready; 404 and 503 are said."""
    used = await nodes.usage()
    assert set(used) == {"node-1", "node-2", "node-3"}
    assert 0 < used["node-1"].cores < 2
    assert used["node-1"].memory > 400 << 20
    pods = await nodes.pod_usage(HERE)
    assert set(pods) == {p["metadata"]["name"] for p in cluster.store.list(PODS, HERE)}
    assert all(0 < one.cores < 2 and one.memory > 0 for one in pods.values())
    for code, error in ((404, NotFound), (503, Unavailable)):
        cluster.faults.fail["list nodes.metrics.k8s.io"] = Fault(code, "the server is currently unable", times=1)
        with pytest.raises(error):
            await nodes.usage()
