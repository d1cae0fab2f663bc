"""Pods of the practice cluster really come and go: rollouts, crashes, watches and logs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kubernetes_asyncio import client, watch

from sandbox.cluster import Cluster
from sandbox.cluster.kinds import DAEMON_SETS, DEPLOYMENTS, NODES, PODS, STATEFUL_SETS, Kind, Object
from sandbox.cluster.podstate import is_active, is_ready
from tests.sandbox.cluster_stage import ENV, HERE, Stage, practice, refused

STREAM = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=30)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A cluster of one's own."""
    async with practice(tmp_path) as stage:
        yield stage


async def until(cluster: Cluster, check: Callable[[], bool]) -> None:
    """Look after every change."""
    async with asyncio.timeout(40):
        with cluster.store.listening() as changed:
            while not check():
                await changed.wait()
                changed.clear()


def pods_of(cluster: Cluster, app: str) -> list[Object]:
    """Those that are not on their way out."""
    return [pod for pod in cluster.store.list(PODS) if pod["metadata"]["labels"].get("app") == app and is_active(pod)]


def status(stage: Stage, kind: Kind, namespace: str, name: str) -> Object:
    """As it is now."""
    found: Object = stage.cluster.store.get(kind, namespace, name)["status"]
    return found


async def restart(stage: Stage, mark: str) -> Any:
    """As kubectl does."""
    body = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": mark}}}}}
    return await stage.apps.patch_namespaced_deployment("api-server", HERE, body)


async def test_a_new_pod_is_ready_before_an_old_one_goes(stage: Stage) -> None:
    """Through a whole rollout never fewer than three serve and never more than four are there."""
    old = {pod["metadata"]["uid"] for pod in pods_of(stage.cluster, "api-server")}
    await restart(stage, "now")
    seen: set[tuple[int, int]] = set()

    def over() -> bool:
        pods = pods_of(stage.cluster, "api-server")
        seen.add((len(pods), sum(map(is_ready, pods))))
        return len(pods) == 3 and all(map(is_ready, pods)) and old.isdisjoint(pod["metadata"]["uid"] for pod in pods)

    await until(stage.cluster, over)
    assert max(there for there, _ in seen) == 4
    assert min(ready for _, ready in seen) >= 3


async def test_recreate_ends_all_before_it_starts_any(stage: Stage) -> None:
    """With the strategy Recreate old and new pods never stand beside each other."""
    old = {pod["metadata"]["uid"] for pod in pods_of(stage.cluster, "api-server")}
    strategy = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate", "rollingUpdate": None}}}
    await stage.apps.patch_namespaced_deployment("api-server", HERE, strategy)
    await restart(stage, "now")
    mixed = []

    def over() -> bool:
        uids = {
            pod["metadata"]["uid"] for pod in stage.cluster.store.list(PODS) if "api-server" in pod["metadata"]["name"]
        }
        mixed.append(bool(uids & old) and bool(uids - old))
        return len(uids) == 3 and not uids & old

    await until(stage.cluster, over)
    assert not any(mixed)


async def test_a_rollback_uses_the_old_replica_set_again(stage: Stage) -> None:
    """The old template gets a new revision, not a new set."""
    for tag in ("1", "2", "1"):
        body = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": f"f:{tag}"}]
        await stage.apps.patch_namespaced_deployment("frontend", HERE, body)
        await stage.cluster.settled()
    found = await stage.apps.list_namespaced_replica_set(HERE, label_selector="app=frontend")
    revisions = {
        one.spec.template.spec.containers[0].image: one.metadata.annotations["deployment.kubernetes.io/revision"]
        for one in found.items
    }
    assert revisions == {"valuecanvas/frontend:1.8.0": "1", "f:1": "4", "f:2": "3"}


async def test_a_bad_image_stops_the_rollout(stage: Stage) -> None:
    """The old pods stay; after the progress deadline the deployment says so."""
    body = {
        "spec": {
            "progressDeadlineSeconds": 1,
            "template": {"spec": {"containers": [{"name": "api-server", "image": "x:missing"}]}},
        }
    }
    await stage.apps.patch_namespaced_deployment("api-server", HERE, body)

    def overdue() -> bool:
        conditions = status(stage, DEPLOYMENTS, HERE, "api-server")["conditions"]
        return any(one["reason"] == "ProgressDeadlineExceeded" for one in conditions)

    await until(stage.cluster, overdue)
    pods = pods_of(stage.cluster, "api-server")
    assert (len(pods), sum(map(is_ready, pods))) == (4, 3)
    events = await stage.core.list_namespaced_event(HERE, field_selector="type=Warning,reason=Failed")
    assert {
        "Back-off pulling image" in event.message or "Failed to pull" in event.message for event in events.items
    } == {True}


async def test_a_paused_deployment_waits(stage: Stage) -> None:
    """It takes a new template and does nothing with it until it is resumed."""
    await stage.apps.patch_namespaced_deployment("api-server", HERE, {"spec": {"paused": True}})
    generation = (await restart(stage, "now")).metadata.generation
    await until(
        stage.cluster,
        lambda: bool(status(stage, DEPLOYMENTS, HERE, "api-server")["observedGeneration"] == generation),
    )
    assert len((await stage.apps.list_namespaced_replica_set(HERE, label_selector="app=api-server")).items) == 1
    await stage.apps.patch_namespaced_deployment("api-server", HERE, {"spec": {"paused": None}})
    await stage.cluster.settled()
    assert len((await stage.apps.list_namespaced_replica_set(HERE, label_selector="app=api-server")).items) == 2


async def test_a_stateful_set_rolls_from_the_last_to_the_first(stage: Stage) -> None:
    """One pod at a time, each under its old name; then both revisions are one."""
    await stage.apps.patch_namespaced_stateful_set("redis", HERE, {"spec": {"replicas": 3}})
    await stage.cluster.settled()
    gone: list[str] = []
    uids = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in pods_of(stage.cluster, "redis")}
    body = {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}}
    generation = (await stage.apps.patch_namespaced_stateful_set("redis", HERE, body)).metadata.generation

    def over() -> bool:
        now = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in pods_of(stage.cluster, "redis")}
        gone.extend(name for name in sorted(uids, reverse=True) if now.get(name) != uids[name] and name not in gone)
        found = status(stage, STATEFUL_SETS, HERE, "redis")
        seen = bool(found["observedGeneration"] == generation)
        return seen and bool(found["currentRevision"] == found["updateRevision"])

    await until(stage.cluster, over)
    assert gone == ["redis-2", "redis-1", "redis-0"]


async def test_an_autoscaler_keeps_its_bounds(stage: Stage) -> None:
    """Below its minimum the replicas are set back; zero switches it off."""
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "frontend"}
    body: Any = {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": ref, "minReplicas": 2, "maxReplicas": 4}}
    await client.AutoscalingV2Api(stage.api).create_namespaced_horizontal_pod_autoscaler(HERE, body)
    for asked, left in ((1, 2), (9, 4), (0, 0)):
        await stage.apps.patch_namespaced_deployment_scale("frontend", HERE, {"spec": {"replicas": asked}})
        await until(
            stage.cluster,
            lambda left=left: len(pods_of(stage.cluster, "frontend")) == left,  # type: ignore[misc]
        )
        await stage.cluster.settled()


async def test_a_daemon_set_is_on_every_node(stage: Stage) -> None:
    """Also on one that is added or cordoned; a node that is deleted takes its pods along."""
    template = {
        "metadata": {"labels": {"app": "agent"}},
        "spec": {"containers": [{"name": "agent", "image": "agent:1"}]},
    }
    spec = {"selector": {"matchLabels": {"app": "agent"}}, "template": template}
    body = {"metadata": {"name": "agent", "namespace": "kube-system"}, "spec": spec}
    await stage.core.patch_node("node-3", {"spec": {"unschedulable": True}})
    await stage.apps.create_namespaced_daemon_set("kube-system", body)

    def nodes() -> set[str]:
        return {pod["spec"]["nodeName"] for pod in pods_of(stage.cluster, "agent") if is_ready(pod)}

    await until(stage.cluster, lambda: nodes() == {"node-1", "node-2", "node-3"})
    await stage.core.delete_node("node-2")
    await until(stage.cluster, lambda: nodes() == {"node-1", "node-3"})
    await until(stage.cluster, lambda: len(pods_of(stage.cluster, "api-server")) == 3)
    node = stage.cluster.store.get(NODES, "", "node-1")
    new = {"metadata": {"name": "node-4"}, "spec": {}, "status": node["status"]}
    await stage.core.create_node(new)
    await until(stage.cluster, lambda: nodes() == {"node-1", "node-3", "node-4"})
    body = {"spec": {"template": {"spec": {"containers": [{"name": "agent", "image": "agent:2"}]}}}}
    await stage.apps.patch_namespaced_daemon_set("agent", "kube-system", body)

    def over() -> bool:
        found = status(stage, DAEMON_SETS, "kube-system", "agent")
        return found.get("updatedNumberScheduled") == 3 and found["numberReady"] == 3

    await until(stage.cluster, over)


async def test_a_watch_tells_everything_once(stage: Stage) -> None:
    """From a version on: new, changed and gone; a pod that starts to be meant is added."""
    start = (await stage.core.list_namespaced_pod(HERE)).metadata.resource_version
    name = pods_of(stage.cluster, "frontend")[0]["metadata"]["name"]
    seen = []
    async with watch.Watch() as stream:
        events = stream.stream(
            stage.core.list_namespaced_pod,
            HERE,
            resource_version=start,
            label_selector="mark=x",
            timeout_seconds=10,
            _request_timeout=STREAM,
        )
        await stage.core.patch_namespaced_pod(name, HERE, {"metadata": {"labels": {"mark": "x"}}})
        await stage.core.patch_namespaced_pod(name, HERE, {"metadata": {"annotations": {"a": "b"}}})
        await stage.core.patch_namespaced_pod(name, HERE, {"metadata": {"labels": {"mark": None}}})
        async for event in events:
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                break
    assert seen == [("ADDED", name), ("MODIFIED", name), ("DELETED", name)]


async def test_a_watch_from_too_long_ago_is_410(stage: Stage) -> None:
    """In a stream of status 200, as the real one says it; a watch without a version begins with what there is."""
    start = (await stage.core.list_node()).metadata.resource_version
    await stage.core.patch_node("node-1", {"metadata": {"labels": {"a": "b"}}})
    stage.cluster.store.compact()
    async with watch.Watch() as stream:
        with pytest.raises(client.ApiException) as refusal:
            async for _ in stream.stream(stage.core.list_node, resource_version=start, timeout_seconds=5):
                pass
    assert refusal.value.status == 410
    async with watch.Watch() as stream:
        events = stream.stream(stage.core.list_node, timeout_seconds=1, allow_watch_bookmarks=True)
        found = [(event["type"], event["raw_object"]["metadata"].get("name")) async for event in events]
    assert found == [("ADDED", "node-1"), ("ADDED", "node-2"), ("ADDED", "node-3"), ("BOOKMARK", None)]


async def test_going_down_ends_open_watches(stage: Stage) -> None:
    """Nobody waits at a cluster that is away."""
    async with watch.Watch() as stream:
        events = stream.stream(stage.core.list_node, timeout_seconds=30, _request_timeout=STREAM)
        assert (await anext(events))["type"] == "ADDED"
        stage.cluster.faults.down = True
        with pytest.raises(aiohttp.ClientError):
            async for _ in events:
                pass


async def test_logs_follow_a_container_to_its_end(stage: Stage) -> None:
    """What was said, then what is said, then the end; too short a time and a wrong container are refused."""
    name = pods_of(stage.cluster, "frontend")[0]["metadata"]["name"]
    read = stage.core.read_namespaced_pod_log
    assert await read(name, HERE) == "frontend started\n"
    assert (await read(name, HERE, timestamps=True)).endswith("Z frontend started\n")
    assert await read(name, HERE, since_seconds=3600, tail_lines=1) == "frontend started\n"
    assert await read(name, HERE, tail_lines=0) == ""
    await refused(read(name, HERE, since_seconds=0), 422)
    await refused(read(name, HERE, container="other"), 400)
    await refused(read("nothing", HERE), 404)
    response = await read(name, HERE, follow=True, _preload_content=False, _request_timeout=STREAM)
    await stage.core.delete_namespaced_pod(name, HERE)
    assert await response.text() == "frontend started\n"


class Host:
    """Runs pods by noting that they run. `crash`: how many starts fail before one holds."""

    def __init__(self, crash: int = 0) -> None:
        self.running: dict[str, Mapping[str, str]] = {}
        self.crash = crash

    async def start(self, name: str, env: Mapping[str, str]) -> None:
        """Raises while it is to crash."""
        if self.crash:
            self.crash -= 1
            raise OSError("the host is full")
        self.running[name] = dict(env)

    async def stop(self, name: str) -> None:
        """Forget it."""
        self.running.pop(name, None)

    def runs(self, name: str) -> bool:
        """Whether it runs."""
        return name in self.running

    def ready(self, name: str) -> bool:
        """As soon as it runs."""
        return self.runs(name)

    def log(self, name: str) -> None:
        """It says nothing."""


def restarts(cluster: Cluster) -> int:
    """How often containers of the api-server were started again."""
    found = [pod["status"].get("containerStatuses") or [{}] for pod in pods_of(cluster, "api-server")]
    return sum(statuses[0].get("restartCount", 0) for statuses in found)


async def test_pods_of_the_api_server_really_run(tmp_path: Path) -> None:
    """Each is started with the environment of its template and ended with its pod; a crash is tried again."""
    host = Host(crash=2)
    cluster = Cluster(tmp_path, env=ENV, run={"api-server": host}, pod_start=0.01)
    await cluster.start()
    try:
        await cluster.settled()
        assert list(host.running.values()) == [ENV] * 3
        assert set(host.running) == {pod["metadata"]["name"] for pod in pods_of(cluster, "api-server")}
        assert restarts(cluster) == 2

        def other(changed: Object) -> None:
            changed["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "DATABASE_URL", "value": "new"}]

        cluster.store.edit(DEPLOYMENTS, HERE, "api-server", other)
        await until(cluster, lambda: list(host.running.values()) == [{"DATABASE_URL": "new"}] * 3)
        host.running.clear()
        await until(cluster, lambda: len(host.running) == 3 and restarts(cluster) == 3)
        await cluster.settled()
    finally:
        await cluster.stop()
