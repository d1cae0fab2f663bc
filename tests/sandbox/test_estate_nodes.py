"""Nodes that die, come back, and are replaced."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sandbox.cluster import Cluster
from sandbox.cluster.deletion import delete
from sandbox.cluster.kinds import NODES, PODS, Object
from sandbox.cluster.podstate import is_ready
from sandbox.estate.fleet import Fleet
from sandbox.panel_nodes import nodes
from tests.sandbox.cluster_stage import ENV


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Settled, its pods played."""
    made = Cluster(tmp_path, env=ENV, pod_start=0.01)
    await made.start()
    try:
        await made.settled()
        yield made
    finally:
        await made.stop()


async def until(cluster: Cluster, holds: Callable[[], bool]) -> None:
    """Wait until something holds that then stays."""
    async with asyncio.timeout(40):
        with cluster.store.listening() as changed:
            while not holds():
                changed.clear()
                await changed.wait()


def on(cluster: Cluster, node: str) -> list[Object]:
    return [pod for pod in cluster.store.list(PODS) if pod["spec"].get("nodeName") == node]


def labelled(cluster: Cluster, app: str) -> list[Object]:
    return [pod for pod in cluster.store.list(PODS) if pod["metadata"]["labels"]["app"] == app]


async def test_pods_of_a_dead_node_hang_until_it_is_back(cluster: Cluster) -> None:
    """Not ready, and not gone however long ago they were asked to go; a machine that runs again lets them go, and starts the rest."""
    fleet = Fleet(cluster, None)
    part = nodes(fleet, cluster)
    doing = {action.name: action.do for action in part.actions}
    await doing["kill"]()
    await until(cluster, lambda: not any(map(is_ready, on(cluster, "node-2"))))
    assert await part.look() == ("down", "node-2 is not ready")
    going = next(pod for pod in on(cluster, "node-2") if pod["metadata"]["labels"]["app"] == "frontend")
    delete(cluster.store, PODS, going, 0.0)
    await until(cluster, lambda: sum(is_ready(pod) for pod in labelled(cluster, "frontend")) == 2)
    assert going["metadata"]["uid"] in {pod["metadata"]["uid"] for pod in on(cluster, "node-2")}
    await doing["press"]()
    await doing["normal"]()
    await until(cluster, lambda: all(map(is_ready, on(cluster, "node-2"))))
    assert going["metadata"]["uid"] not in {pod["metadata"]["uid"] for pod in on(cluster, "node-2")}
    assert await part.look() == ("up", "3 nodes are ready")
    await doing["press"]()
    assert await part.look() == ("pressed", "node-2 has little memory left")


async def test_a_node_that_is_gone_is_replaced_by_another(cluster: Cluster) -> None:
    """Its name is not used again; while the group is held nobody comes."""
    fleet = Fleet(cluster, None, takes=0.01)
    fleet.held = True
    await fleet.start()
    try:
        cluster.store.remove(NODES, "", "node-2")
        await cluster.settled()
        assert fleet.state().nodes == ("node-1", "node-3")
        fleet.held = False
        await until(cluster, lambda: fleet.state().nodes == ("node-1", "node-3", "node-4"))
    finally:
        await fleet.stop()
