"""The bot's Kubernetes client and workloads that are in trouble: pods that hang or wait, and releases to take back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.errors import Refused
from bot.tools import Pod
from sandbox.cluster.kinds import AUTOSCALERS, DEPLOYMENTS, PODS, REPLICA_SETS, Object
from tests.clients.kubernetes_stage import HERE, Stage, practice


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A practice cluster with the bot's client."""
    async with practice(tmp_path) as stage:
        yield stage


async def until(stage: Stage, check: Callable[[], bool]) -> None:
    """Look after every change."""
    async with asyncio.timeout(40):
        with stage.cluster.store.listening() as changed:
            while not check():
                await changed.wait()
                changed.clear()


def uid(stage: Stage, name: str) -> str:
    """The identity of the pod of that name; empty for none."""
    found = stage.cluster.store.find(PODS, HERE, name)
    return str(found["metadata"]["uid"]) if found else ""


async def one(stage: Stage, app: str) -> Pod:
    """The first pod of an application."""
    return (await stage.bot.pods(HERE, f"app={app}"))[0]


async def test_pods_of_all_namespaces_with_what_keeps_them(stage: Stage) -> None:
    """An empty namespace is all; a pod says who owns it, what holds it, and whether it only mirrors one of its node's."""
    mirror = {"kubernetes.io/config.mirror": "x"}
    meta = {"name": "static", "namespace": "staging", "annotations": mirror, "finalizers": ["example.com/hold"]}
    spec = {"containers": [{"name": "main", "image": "busybox"}]}
    stage.cluster.store.create(PODS, {"metadata": meta, "spec": spec})
    found = {pod.name: pod for pod in await stage.bot.pods("")}
    assert {pod.namespace for pod in found.values()} == {HERE, "kube-system", "staging"}
    static, redis = found["static"], found["redis-0"]
    assert (static.mirror, static.finalizers, static.owner_uid) == (True, ("example.com/hold",), "")
    assert (redis.mirror, redis.owner_kind, redis.owner, redis.ends_at) == (False, "StatefulSet", "redis", None)
    assert (redis.phase, redis.uid) == ("Running", uid(stage, "redis-0"))
    assert redis.created_at is not None
    assert await stage.bot.pod(HERE, "redis-0") == redis
    assert await stage.bot.wanted_by("StatefulSet", HERE, "redis", redis.owner_uid) == 1
    api = await one(stage, "api-server")
    assert await stage.bot.wanted_by("ReplicaSet", HERE, api.owner, api.owner_uid) == 3
    for owner in (
        ("ReplicaSet", HERE, api.owner, "another"),
        ("ReplicaSet", HERE, "none", "x"),
        ("Job", HERE, "a", "b"),
    ):
        assert await stage.bot.wanted_by(*owner) is None


async def test_a_pod_that_hangs_goes_by_force_and_only_that_one(stage: Stage) -> None:
    """It stays Terminating, overdue, and blocks its set; forced it is gone and a new one comes, which is not hit by the same call."""
    old = await stage.bot.pod(HERE, "redis-0")
    assert stage.cluster.hang("redis-0")
    hung = await stage.bot.pod(HERE, "redis-0")
    assert (hung.uid, hung.state, hung.ready) == (old.uid, "Terminating", False)
    assert hung.ends_at is not None
    await stage.bot.replace_pod(HERE, "redis-0", old.uid)
    assert uid(stage, "redis-0") == old.uid, "what ends already is not ended by asking again"
    await stage.bot.force_delete(HERE, "redis-0", old.uid)
    await until(stage, lambda: uid(stage, "redis-0") not in ("", old.uid))
    new = uid(stage, "redis-0")
    await stage.bot.force_delete(HERE, "redis-0", old.uid)
    await stage.bot.force_delete(HERE, "nothing", old.uid)
    assert uid(stage, "redis-0") == new


async def test_a_pod_on_a_dead_node_ends_by_force_alone(stage: Stage) -> None:
    """Nobody on the node says that it has ended."""
    pod = await one(stage, "frontend")
    stage.cluster.set_node(pod.node, ready=False)
    await stage.bot.replace_pod(HERE, pod.name, pod.uid)
    assert (await stage.bot.pod(HERE, pod.name)).state == "Terminating"
    await stage.bot.force_delete(HERE, pod.name, pod.uid)
    assert not uid(stage, pod.name)


async def test_finalizers_hold_a_pod_in_spite_of_force(stage: Stage) -> None:
    """It goes when they are taken off."""
    pod = await one(stage, "frontend")

    def hold(changed: Object) -> None:
        changed["metadata"]["finalizers"] = ["example.com/hold"]

    def let_go(changed: Object) -> None:
        del changed["metadata"]["finalizers"]

    stage.cluster.store.edit(PODS, HERE, pod.name, hold)
    await stage.bot.force_delete(HERE, pod.name, pod.uid)
    held = await stage.bot.pod(HERE, pod.name)
    assert (held.uid, held.state, held.finalizers) == (pod.uid, "Terminating", ("example.com/hold",))
    assert held.ends_at is not None
    assert held.ends_at <= datetime.now(UTC)
    stage.cluster.store.edit(PODS, HERE, pod.name, let_go)
    await until(stage, lambda: not uid(stage, pod.name))


async def test_a_pod_that_fits_nowhere_says_why(stage: Stage) -> None:
    """The scheduler's reason stands on the pod and in an event; when there is room it starts."""

    def ask(cpu: str) -> Callable[[Object], None]:
        def change(changed: Object) -> None:
            changed["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu}}

        return change

    stage.cluster.store.edit(DEPLOYMENTS, HERE, "frontend", ask("64"))
    why = "0/3 nodes are available: 3 Insufficient cpu."

    def said() -> bool:
        pods = stage.cluster.store.list(PODS, HERE)
        return any(why in str(pod["status"].get("conditions")) for pod in pods)

    await until(stage, said)
    (waiting,) = [pod for pod in await stage.bot.pods(HERE, "app=frontend") if pod.phase == "Pending"]
    assert (waiting.state, waiting.node) == ("Pending", "")
    assert waiting.why.startswith(why)
    assert await stage.bot.last_warning(waiting) == waiting.why
    assert await stage.bot.last_warning(await one(stage, "redis")) == ""
    stage.cluster.store.edit(DEPLOYMENTS, HERE, "frontend", ask("250m"))
    await stage.cluster.settled()


async def test_a_release_is_taken_back_and_forth(stage: Stage) -> None:
    """Each release is a revision; going back makes the old replica set the newest one; the same again changes nothing."""

    def release(changed: Object) -> None:
        changed["spec"]["template"]["spec"]["containers"][0]["image"] = "valuecanvas/api-server:missing"

    first = await stage.bot.workload("deployment", HERE, "api-server")
    (only,) = await stage.bot.revisions(first)
    assert (only.number, only.current, only.differences) == (1, True, ())
    stage.cluster.store.edit(DEPLOYMENTS, HERE, "api-server", release)
    await until(stage, lambda: len(stage.cluster.store.list(REPLICA_SETS, HERE)) == 3)
    seen = await stage.bot.workload("deployment", HERE, "api-server")
    bad, good = await stage.bot.revisions(seen)
    assert [(one.number, one.current) for one in (bad, good)] == [(2, True), (1, False)]
    (image,) = good.differences
    assert (image.old, image.new) == ("valuecanvas/api-server:missing", "valuecanvas/api-server:1.8.0")
    generation = await stage.bot.roll_back(seen, good.uid)
    assert (await stage.finished("deployment", "api-server", generation)).done
    assert await stage.bot.roll_back(seen, good.uid) == generation
    now = await stage.bot.revisions(seen)
    assert [(one.number, one.uid, one.current) for one in now] == [(3, good.uid, True), (2, bad.uid, False)]


async def test_going_back_is_refused_where_nothing_would_come_of_it(stage: Stage) -> None:
    """Paused, not kept any more, another one's replica set, or another deployment of the name: a sentence, and nothing is changed."""
    seen = await stage.bot.workload("deployment", HERE, "api-server")
    await stage.bot.set_env(seen, "RELEASE", "2")
    await stage.cluster.settled()
    old = (await stage.bot.revisions(seen))[-1].uid
    frontend = (await stage.bot.revisions(await stage.bot.workload("deployment", HERE, "frontend")))[0].uid
    stage.cluster.store.edit(DEPLOYMENTS, HERE, "api-server", lambda changed: changed["spec"].update(paused=True))
    for which, says in ((old, "is paused"), (frontend, "not kept any more"), ("none", "not kept any more")):
        with pytest.raises(Refused, match=says):
            await stage.bot.roll_back(seen, which)
    spec = stage.cluster.store.get(DEPLOYMENTS, HERE, "api-server")["spec"]
    assert {"name": "RELEASE", "value": "2"} in spec["template"]["spec"]["containers"][0]["env"]
    stage.cluster.store.remove(DEPLOYMENTS, HERE, "api-server")
    stage.cluster.store.create(DEPLOYMENTS, {"metadata": {"name": "api-server", "namespace": HERE}, "spec": spec})
    with pytest.raises(Refused, match="another one"):
        await stage.bot.revisions(seen)


async def test_deployments_are_listed_with_their_autoscalers(stage: Stage) -> None:
    """All of a namespace, by name."""
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "frontend"}
    spec = {"scaleTargetRef": ref, "minReplicas": 1, "maxReplicas": 5}
    stage.cluster.store.create(AUTOSCALERS, {"metadata": {"name": "web", "namespace": HERE}, "spec": spec})
    found = await stage.bot.deployments(HERE)
    assert [(one.name, one.replicas, one.autoscaler) for one in found] == [
        ("api-server", 3, ""),
        ("frontend", 2, "web"),
    ]
    assert await stage.bot.deployments("staging") == []
