"""The API server fails in the middle of each action on workloads: it is asked what has happened, and nothing is done twice."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from actions import CATALOGUE
from actions.pod_force_delete import ForceDelete
from bot.action import Action, NotVerified, Step, Tools
from bot.catalogue import Catalogue
from bot.clients.kubernetes import Kubernetes
from bot.clients.toolbox import toolbox
from bot.clock import wall_clock
from bot.errors import NotFound, Refused, Unavailable
from bot.estate import load
from bot.tools import Workload
from sandbox.cluster import Cluster, Fault
from sandbox.cluster.kinds import DEPLOYMENTS, PODS, Object
from sandbox.cluster.objects import defaults
from sandbox.practice import Part, Practice
from tests.stories.scene import eventually
from tests.stories.steps import FAULTS, carried_out

HERE = "production"
PARTS: tuple[Part, ...] = ("cluster",)
CATALOG = Catalogue(CATALOGUE)
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Stage:
    cluster: Cluster
    tools: Tools

    async def steps(self, name: str, run: str, **words: str) -> tuple[list[Step], Callable[[], Awaitable[str]]]:
        """The steps of an action as its run has them, and its verification."""
        action: Any = CATALOG.make(name, words)
        assert isinstance(action, Action)
        facts, tools = (await action.plan(self.tools)).facts, replace(self.tools, run=run)
        return list(action.steps(facts, tools)), lambda: action.verify(facts, tools)

    async def seen(self, name: str) -> Workload:
        return await self.tools.cluster.workload("deployment", HERE, name)

    def uid(self, pod: str) -> str:
        """The identity of a pod; empty for none."""
        found = self.cluster.store.find(PODS, HERE, pod)
        return str(found["metadata"]["uid"]) if found else ""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    """One cluster for the file."""
    async with AsyncExitStack() as stack:
        practice = await stack.enter_async_context(Practice(parts=PARTS))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        client = Kubernetes(practice.env)
        stack.push_async_callback(client.aclose)
        assert practice.cluster is not None
        yield Stage(practice.cluster, toolbox(load(Path("estate.yml"), practice.env), client, session, wall_clock))


@pytest.fixture(params=[*FAULTS, "timeout"])
def how(request: pytest.FixtureRequest) -> str:
    """How one call fails."""
    return str(request.param)


async def failing(stage: Stage, how: str, call: str, steps: list[Step]) -> int:
    """Carry steps out while that call fails once; how often something was Unavailable."""
    faults = stage.cluster.faults
    if how != "timeout":
        faults.fail[call] = replace(FAULTS[how])
        return await carried_out(steps)
    client = stage.tools.cluster
    assert isinstance(client, Kubernetes)
    faults.slow, client.connection.deadline = 60.0, 0.2
    try:
        with pytest.raises(Unavailable, match="did not answer within"):
            await steps[0].do(lambda _detail: None)
    finally:
        faults.slow, client.connection.deadline = 0.0, 10.0
    assert steps[0].done is not None
    assert await steps[0].done() is False, "what was not answered in time had not begun"
    return 1 + await carried_out(steps)


async def test_a_restart_is_one_rollout(stage: Stage, how: str) -> None:
    """The deployment changes once, and it is proven by the mark of this run alone."""
    before = await stage.seen("frontend")
    steps, verify = await stage.steps("deployment.restart", f"RUN-{how}", deployment="frontend")
    assert await failing(stage, how, "patch deployments", steps) == 1
    assert "2 of 2 pods of frontend are ready" in await verify()
    assert (await stage.seen("frontend")).generation == before.generation + 1
    await stage.tools.cluster.restart("deployment", HERE, "frontend", "somebody's")
    with pytest.raises(NotVerified, match="by somebody else"):
        await verify()


async def test_a_scaling_happens_once_and_is_taken_back(stage: Stage, how: str) -> None:
    """Undo, too, may fail in the middle; where somebody scaled meanwhile it leaves that alone."""
    before = await stage.seen("frontend")
    steps, verify = await stage.steps("deployment.scale", f"RUN-{how}", deployment="frontend", replicas="3")
    assert await failing(stage, how, "patch deployments", steps) == 1
    assert "3 of 3 pods of frontend" in await verify()
    assert (await stage.seen("frontend")).generation == before.generation + 1
    undo = steps[0].undo
    assert undo is not None
    stage.cluster.store.edit(DEPLOYMENTS, HERE, "frontend", lambda changed: changed["spec"].update(replicas=4))
    with pytest.raises(Refused, match="scaled frontend to 4 meanwhile; it was left alone"):
        await undo(lambda _detail: None)
    with pytest.raises(NotVerified, match="scaled to 4 by somebody else"):
        await verify()
    stage.cluster.store.edit(DEPLOYMENTS, HERE, "frontend", lambda changed: changed["spec"].update(replicas=3))
    stage.cluster.faults.fail["patch deployments"] = replace(FAULTS.get(how, FAULTS["500"]))
    with pytest.raises(Unavailable):
        await undo(lambda _detail: None)
    await undo(lambda _detail: None)
    seen = await stage.seen("frontend")
    assert (seen.replicas, seen.ready) == (before.replicas, before.replicas)


async def test_a_release_is_taken_back_once(stage: Stage, how: str) -> None:
    """One more revision, however the patch fails; and another release meanwhile is no proof."""

    def release(changed: Object) -> None:
        changed["spec"]["template"]["spec"]["containers"][0]["image"] = "valuecanvas/api-server:missing"

    def another(changed: Object) -> None:
        changed["spec"]["template"]["spec"]["containers"][0]["image"] = f"valuecanvas/api-server:{how}"

    stage.cluster.store.edit(DEPLOYMENTS, HERE, "api-server", release)

    async def taken_up() -> bool:
        return any(one.current for one in await stage.tools.cluster.revisions(await stage.seen("api-server")))

    await eventually(taken_up)
    before = await stage.seen("api-server")
    steps, verify = await stage.steps("deployment.undo", f"RUN-{how}")
    assert await failing(stage, how, "patch deployments", steps) == 1
    assert "3 of 3 pods of api-server are ready" in await verify()
    assert (await stage.seen("api-server")).generation == before.generation + 1
    stage.cluster.store.edit(DEPLOYMENTS, HERE, "api-server", another)
    with pytest.raises(NotVerified, match="another release by somebody else"):
        await verify()
    await stage.cluster.settled()


async def test_a_pod_is_forced_once(stage: Stage, how: str) -> None:
    """The new pod of that name is never hit by what was meant for the old one."""
    await stage.cluster.settled()
    old = stage.uid("redis-0")
    assert stage.cluster.hang("redis-0")
    steps, verify = await stage.steps("pod.force-delete", f"RUN-{how}", pod="redis-0")
    # A deletion whose answer is lost is asked for again by the library itself.
    assert await failing(stage, how, "delete pods", steps) == (how != "lost")
    assert "StatefulSet redis has 1 of 1 pods ready in its place" in await verify()
    new = stage.uid("redis-0")
    assert new not in ("", old)
    for step in steps:
        await step.do(lambda _detail: None)
    assert stage.uid("redis-0") == new


class Impatient(ForceDelete):
    """Take a pod out, and look at once whether it is gone."""

    gone_within = 0.1


async def test_a_finalizer_is_named_with_what_takes_it_off(stage: Stage) -> None:
    """Force does not help against it: the step fails, and says who holds the pod."""
    meta = {"name": "held", "namespace": HERE, "finalizers": ["example.com/backup"]}
    spec = {"containers": [{"name": "main", "image": "busybox:missing"}]}
    stage.cluster.store.create(PODS, {"metadata": meta, "spec": spec})
    force = Impatient(pod="held")
    plan = await force.plan(stage.tools)
    assert "Finalizers hold it, and force does not take them off: example.com/backup." in plan.warnings
    steps = force.steps(plan.facts, stage.tools)
    await steps[0].do(lambda _detail: None)
    with pytest.raises(Refused, match=r"finalizers hold it: example\.com/backup"):
        await steps[1].do(lambda _detail: None)
    with pytest.raises(NotVerified, match="still there"):
        await force.verify(plan.facts, stage.tools)
    stage.cluster.store.remove(PODS, HERE, "held")
    assert await force.verify(plan.facts, stage.tools) == "held is gone; nothing makes it anew"
    with pytest.raises(NotFound, match="no pod `held`"):
        await force.plan(stage.tools)


async def test_a_deployment_that_is_another_one_is_left_alone(stage: Stage) -> None:
    """Deleted and made again between the plan and the step: refused, and the new one is as it was."""
    spec = stage.cluster.store.get(DEPLOYMENTS, HERE, "frontend")["spec"]
    plans = [
        await stage.steps("deployment.restart", "RUN-9", deployment="frontend"),
        await stage.steps("deployment.scale", "RUN-9", deployment="frontend", replicas="5"),
    ]
    stage.cluster.store.remove(DEPLOYMENTS, HERE, "frontend")
    stage.cluster.store.create(DEPLOYMENTS, {"metadata": {"name": "frontend", "namespace": HERE}, "spec": spec})
    for steps, _ in plans:
        with pytest.raises(Refused, match="another one than was looked at"):
            await steps[0].do(lambda _detail: None)
        assert steps[0].done is not None
        assert await steps[0].done() is False
    assert (await stage.seen("frontend")).replicas == spec["replicas"]


async def test_looks_say_unknown_where_nobody_answers(stage: Stage) -> None:
    """Where other namespaces may not be seen it is said; a warning that cannot be read is no reason; a cluster that is away is an error."""
    pending, errors = CATALOG.observation("pods.pending", {}), CATALOG.observation("logs.errors", {})
    await stage.cluster.settled()
    stage.cluster.set_node("node-3", ready=False)
    spec = {"nodeName": "node-3", "containers": [{"name": "main", "image": "busybox"}]}
    pod: Object = {"metadata": {"name": "never-started", "namespace": HERE}, "spec": spec}
    defaults(PODS, pod)
    stage.cluster.store.create(PODS, pod)
    stage.cluster.faults.fail |= {
        "list events": Fault(500, "etcd is slow"),
        "list pods": Fault(403, "pods is forbidden", "Forbidden", times=1),
    }
    said = "\n".join(line.text for line in (await pending.look(stage.tools)).lines)
    assert "unknown: other namespaces than production: The cluster refused: pods is forbidden" in said
    assert "production/never-started: Pending for" in said
    assert "on node-3: unknown why: The cluster failed: etcd is slow" in said
    stage.cluster.faults.down = True
    for look in (pending, errors):
        with pytest.raises(Unavailable):
            await look.look(stage.tools)
