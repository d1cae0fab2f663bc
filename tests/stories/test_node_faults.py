"""Replacing a node where something is in the way: budgets, a cluster or an EC2 that fails in the middle, what is refused."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from actions.cluster_assess import Assess
from actions.node_recover import NodeFacts, Recover
from bot.action import Plan, Step, Tools, digest
from bot.clients.kubernetes import Kubernetes
from bot.clients.toolbox import toolbox
from bot.clock import wall_clock
from bot.errors import NotFound, NotNow, Refused, Unavailable
from bot.estate import load
from sandbox.cluster import Cluster, Fault
from sandbox.cluster.kinds import BUDGETS, LEASES, NODES, PODS, Object
from sandbox.cluster.podstate import is_ready
from sandbox.estate.fleet import Fleet
from sandbox.estate.machines import Ec2
from sandbox.practice import Practice
from tests.stories.scene import eventually
from tests.stories.steps import FAULTS, carried_out
from tests.stories.wire import How, Wire, wire_to

HERE = "production"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Stage:
    """A cluster whose pods are played, its machines, and the bot's tools, with a wire to AWS that can be broken."""

    cluster: Cluster
    fleet: Fleet
    ec2: Ec2
    tools: Tools
    wire: Wire

    def victim(self) -> str:
        """The node that has most pods of api-server."""
        on = Counter(
            pod["spec"].get("nodeName", "")
            for pod in self.cluster.store.list(PODS, HERE)
            if pod["metadata"]["labels"]["app"] == "api-server"
        )
        return str(on.most_common(1)[0][0])

    async def planned(self, node: str, run: str = "RUN-1", **cluster: Any) -> tuple[Plan[NodeFacts], list[Step], Tools]:
        """The plan, and the steps that its run has; `cluster`: what the estate file says otherwise."""
        estate = self.tools.estate
        assert estate.cluster is not None
        other = estate.cluster.model_copy(update=cluster)
        tools = replace(self.tools, estate=estate.model_copy(update={"cluster": other}), run=run)
        action = Recover(node=node)
        plan = await action.plan(tools)
        return plan, list(action.steps(plan.facts, tools)), tools

    async def needs(self, healthy: int) -> None:
        """How many pods the budget of api-server needs, once that is reckoned."""

        def change(changed: Object) -> None:
            changed["spec"]["minAvailable"] = healthy

        self.cluster.store.edit(BUDGETS, HERE, "api-server", change)

        async def reckoned() -> bool:
            status = self.cluster.store.get(BUDGETS, HERE, "api-server")["status"]
            return bool(status["desiredHealthy"] == healthy and status["currentHealthy"] == 3)

        await eventually(reckoned)

    async def cordoned(self, name: str) -> bool:
        return next(node.cordoned for node in await self.tools.nodes.nodes() if node.name == name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    """One for the file."""
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        practice = await stack.enter_async_context(Practice(parts=("cluster", "s3")))
        assert practice.s3 is not None
        assert practice.cluster is not None
        assert practice.fleet is not None
        wire = await stack.enter_async_context(wire_to(practice, patch))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        cluster = Kubernetes(practice.env)
        stack.push_async_callback(cluster.aclose)
        estate = load(Path("estate.yml"), practice.env).model_copy(update={"application": None})
        practice.fleet.takes = 0.3
        tools = toolbox(estate, cluster, session, wall_clock)
        yield Stage(practice.cluster, practice.fleet, Ec2(practice.s3), tools, wire)


def silently(_detail: str) -> None:
    """Progress that nobody reads."""


async def test_a_budget_is_named_and_waited_for_and_undo_lets_pods_back(stage: Stage) -> None:
    """The plan says who has to wait; the drain waits, also while the cluster is away, and goes on when it may; then pods may go
    there again. A node that was cordoned before stays so."""
    node = stage.victim()
    await stage.needs(3)
    plan, (cordon, drain, *_), _ = await stage.planned(node)
    assert any("has to wait now: api-server needs 3 healthy pods and has 3" in note for note in plan.notes)
    assert any("is Ready and under no pressure" in warning for warning in plan.warnings)
    await cordon.do(silently)
    assert cordon.done is not None
    assert drain.done is not None
    assert await cordon.done()
    told: list[str] = []
    draining = asyncio.ensure_future(drain.do(told.append))

    async def waits(words: str) -> None:
        async def look() -> bool:
            assert not draining.done()
            return any(words in line for line in told)

        await eventually(look, what=words)
        told.clear()

    await waits("waits: The disruption budget api-server needs 3 healthy pods and has 3")
    stage.cluster.faults.down = True
    await waits("The cluster ")
    stage.cluster.faults.down = False
    await waits(" left; api-server-")
    assert not await drain.done()
    await stage.needs(2)
    assert "pods evicted" in str(await draining)
    assert await drain.done()
    for _ in range(2):
        for step in (drain, cordon):
            assert step.undo is not None
            await step.undo(silently)
    assert not await stage.cordoned(node)

    stage.cluster.store.edit(NODES, "", node, lambda changed: changed["spec"].update(unschedulable=True))
    _, (cordon, *_), _ = await stage.planned(node)
    await cordon.do(silently)
    assert cordon.undo is not None
    await cordon.undo(silently)
    assert await stage.cordoned(node)
    stage.cluster.store.edit(NODES, "", node, lambda changed: changed["spec"].update(unschedulable=False))


async def test_a_drain_that_never_ends_says_who_holds_it(stage: Stage) -> None:
    """Past its time it is refused with the budget's name, and nothing is deleted."""
    await stage.needs(3)
    node = next(pod.node for pod in await stage.tools.nodes.residents() if pod.owner == "deployment/api-server")
    _, steps, _ = await stage.planned(node, drain_within=timedelta(seconds=3))
    with pytest.raises(Refused, match=r"was not empty within 3 s: .* budget api-server needs 3"):
        await steps[1].do(silently)
    assert any(one.name == node for one in await stage.tools.nodes.nodes())
    await stage.needs(2)


async def test_what_cannot_be_replaced_is_refused_with_what_to_do(stage: Stage) -> None:
    """By name: no such node, the control plane, nobody else who takes pods, pods that nobody makes again, two budgets, another
    machine than the node says; a node without a machine is said, and one that is made anew is another one."""
    store, names = stage.cluster.store, stage.fleet.state().nodes
    node = names[0]
    as_it_was = store.get(NODES, "", node)

    async def refused(says: str, error: type[Exception] = NotNow, name: str = node) -> None:
        with pytest.raises(error, match=says):
            await stage.planned(name)

    await refused("no node `nothing`. It has `", NotFound, "nothing")
    store.edit(NODES, "", node, lambda n: n["metadata"]["labels"].update({"node-role.kubernetes.io/control-plane": ""}))
    await refused("belongs to the control plane")
    store.edit(NODES, "", node, lambda n: n["metadata"].update(labels={}))
    for other in names[1:]:
        store.edit(NODES, "", other, lambda n: n["spec"].update(unschedulable=True))
    await refused("No other node is Ready and takes pods")
    for other in names[1:]:
        store.edit(NODES, "", other, lambda n: n["spec"].update(unschedulable=False))
    alone = {"containers": [{"name": "one", "image": "one:1"}], "nodeName": node}
    store.create(PODS, {"metadata": {"name": "alone", "namespace": "default", "labels": {}}, "spec": alone})
    await refused("nobody would make default/alone again")
    store.remove(PODS, "default", "alone")
    node_of_api = next(p.node for p in await stage.tools.nodes.residents() if p.owner == "deployment/api-server")
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "api-server"}}}
    store.create(BUDGETS, {"metadata": {"name": "second", "namespace": HERE}, "spec": spec})
    await refused("falls under more than one disruption budget .api-server, second", name=node_of_api)
    store.remove(BUDGETS, HERE, "second")
    elsewhere = [{"type": "InternalIP", "address": "172.31.9.9"}]
    store.edit(NODES, "", node, lambda n: n["status"].update(addresses=elsewhere))
    await refused(r"its address in EC2 is 172\.31\..*, and the node's is 172\.31\.9\.9")
    store.edit(NODES, "", node, lambda n: n["status"].update(addresses=as_it_was["status"]["addresses"]))

    known, _, _ = await stage.planned(node)
    provider = as_it_was["spec"]["providerID"]
    store.edit(NODES, "", node, lambda n: n["spec"].update(providerID="kind://docker/one"))
    plan, steps, _ = await stage.planned(node)
    assert any(
        "No machine is terminated: its providerID names no machine of EC2's" in warning for warning in plan.warnings
    )
    assert await steps[3].do(silently) == "skipped: the node names no machine of EC2's"
    store.edit(NODES, "", node, lambda n: n["spec"].update(providerID="aws:///us-east-1a/i-0123456789abcdef0"))
    plan, steps, _ = await stage.planned(node)
    assert any("EC2 knows no aws:///us-east-1a/i-0123456789abcdef0 any more" in w for w in plan.warnings)
    assert await steps[3].do(silently) == "i-0123456789abcdef0 is not known to EC2 any more already"
    store.edit(NODES, "", node, lambda n: n["spec"].update(providerID=provider))
    again, _, _ = await stage.planned(node)
    assert digest(Recover(node=node), again.facts) == digest(Recover(node=node), known.facts)
    assert digest(Recover(node=node), known.facts.model_copy(update={"uid": "x"})) != digest(
        Recover(node=node), known.facts
    )


async def test_the_look_says_unknown_where_nobody_answers(stage: Stage) -> None:
    """Usage that nobody measures, checks that fail, a silent leader, pressure; and nothing at all."""
    await stage.cluster.settled()
    faults, node = stage.cluster.faults, stage.fleet.state().nodes[0]
    faults.fail["list nodes.metrics.k8s.io"] = Fault(503, "the server is currently unable", times=1)
    faults.unhealthy.add("etcd")
    stage.cluster.store.remove(LEASES, "kube-system", "kube-scheduler")
    stage.fleet.press(node, on=True)
    look = Assess().look
    seen = await look(stage.tools)
    stage.fleet.press(node, on=False)
    faults.unhealthy.clear()
    said = "\n".join(line.text for line in seen.lines)
    assert f"{node} is under MemoryPressure; the API server fails its checks etcd" in seen.headline
    assert "usage: unknown, The cluster failed: the server is currently unable" in said
    assert "API server: FAILING etcd" in said
    assert "kube-scheduler: unknown, its lease is not shown" in said
    assert [offer.words for line in seen.lines for offer in line.offers] == [{"node": node}]
    faults.down = True
    seen = await look(stage.tools)
    faults.down = False
    assert seen.headline.startswith("unknown: The cluster")
    assert [line.text.partition(",")[0] for line in seen.lines] == [
        f"{what}: unknown" for what in ("nodes", "usage", "pods", "usage of pods", "control plane", "events")
    ]


async def test_choices_begin_with_the_worst(stage: Stage) -> None:
    """Each says how it is."""
    names = stage.fleet.state().nodes
    stage.fleet.press(names[-1], on=True)
    found = await Recover.choices("node", stage.tools)
    stage.fleet.press(names[-1], on=False)
    assert [value for value, _ in found] == [names[-1], *names[:-1]]
    assert found[0][1] == f"{names[-1]}: Ready, under MemoryPressure"


@pytest.mark.parametrize(("of_cluster", "of_ec2"), [("lost", "500"), ("500", "lost"), ("429", "429")])
async def test_nothing_happens_twice_when_a_neighbour_fails(stage: Stage, of_cluster: str, of_ec2: How) -> None:
    """A call to the cluster of each step and both tries at EC2 fail, or happen and nobody says so: one node, and one machine, is
    replaced, and what was moved is ready. A budget that lacks what is lost with the node does not hold it."""
    node, faults = stage.victim(), stage.cluster.faults
    await stage.needs(3)
    before = {m.id: m.state for m in await stage.ec2.machines()}
    stage.fleet.kill(node)

    async def silent() -> bool:
        return not any(is_ready(p) for p in stage.cluster.store.list(PODS) if p["spec"].get("nodeName") == node)

    await eventually(silent)
    plan, steps, tools = await stage.planned(node, f"RUN-{of_cluster}")
    for call in ("patch nodes", "create pods/eviction", "delete pods", "delete nodes"):
        faults.fail[call] = replace(FAULTS[of_cluster])
    stage.wire.breaks(of_ec2, "TerminateInstances", 2)
    assert await carried_out(steps) >= 2
    assert not {"patch nodes", "create pods/eviction", "delete nodes"} & set(faults.fail)
    assert not stage.wire.times
    assert "3 nodes in all; api-server 3 of 3 ready" in await Recover(node=node).verify(plan.facts, tools)
    after = {m.id: m.state for m in await stage.ec2.machines()}
    ended = [id_ for id_, state in before.items() if state == "running" and after[id_] != "running"]
    assert (len(ended), len(after) - len(before)) == (1, 1)
    assert plan.facts.provider.endswith(ended[0])
    assert node not in stage.fleet.state().nodes
    for step in steps[1:4]:
        assert step.done is not None
        assert await step.done(), step.title
    await stage.needs(2)


async def test_a_cluster_that_is_slow_is_asked_whether_it_happened(stage: Stage) -> None:
    """Its answer comes too late: nobody knows, and the step finds out before it is done again."""
    node = stage.fleet.state().nodes[0]
    _, (cordon, *_), _ = await stage.planned(node)
    client = stage.tools.cluster
    assert isinstance(client, Kubernetes)
    stage.cluster.faults.slow, client.connection.deadline = 60.0, 0.2
    try:
        with pytest.raises(Unavailable, match=r"did not answer within 0\.2 s"):
            await cordon.do(silently)
    finally:
        stage.cluster.faults.slow, client.connection.deadline = 0.0, 10.0
    assert await carried_out([cordon]) == 0
    assert await stage.cordoned(node)
    assert cordon.undo is not None
    await cordon.undo(silently)
