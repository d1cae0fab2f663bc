"""The bot's Kubernetes client against the practice cluster: what it reads, and what it changes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.clients.kubernetes import Kubernetes
from bot.errors import NotFound, Refused
from bot.tools import WorkloadKind
from sandbox.cluster import Cluster
from sandbox.cluster.kinds import AUTOSCALERS, DEPLOYMENTS, NODES, PODS, STATEFUL_SETS, Object
from tests.clients.kubernetes_stage import ENV, HERE, Stage, practice

SECRETS = "valuecanvas-secrets"


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
def bot(stage: Stage) -> Kubernetes:
    """The client."""
    return stage.bot


def container(deployment: Object) -> Object:
    """The first container of a workload's template."""
    found: Object = deployment["spec"]["template"]["spec"]["containers"][0]
    return found


async def test_pods_say_what_kubectl_would(bot: Kubernetes, cluster: Cluster) -> None:
    """A selector narrows them; each has its node, its labels, its state and when it started."""
    pods = await bot.pods(HERE, "app=api-server")
    assert [(pod.ready, pod.state, pod.why, pod.restarts) for pod in pods] == [(True, "Running", "", 0)] * 3
    assert {pod.labels["app"] for pod in pods} == {"api-server"}
    assert {pod.node for pod in pods} <= {node["metadata"]["name"] for node in cluster.store.list(NODES)}
    assert all(pod.started_at is not None for pod in pods)
    assert [pod.name for pod in await bot.pods(HERE)] == sorted(
        pod["metadata"]["name"] for pod in cluster.store.list(PODS, HERE)
    )
    assert await bot.pods("nowhere") == []


async def test_services_count_ready_addresses(bot: Kubernetes, cluster: Cluster) -> None:
    """An address counts while its pod is ready."""
    assert [(one.name, one.type, one.ready) for one in await bot.services(HERE)] == [
        ("api-server", "ClusterIP", 3),
        ("frontend", "ClusterIP", 2),
        ("redis", "ClusterIP", 1),
    ]
    for node in cluster.store.list(NODES):
        cluster.set_node(node["metadata"]["name"], ready=False)
    with cluster.store.listening() as changed:
        while any(one.ready for one in await bot.services(HERE)):
            await changed.wait()
            changed.clear()


async def test_a_workload_is_read_whole(bot: Kubernetes, cluster: Cluster) -> None:
    """Plain variables, those from a secret, the selector, and no autoscaler when there is none."""

    def from_secret(changed: Object) -> None:
        ref = {"secretKeyRef": {"name": SECRETS, "key": "url"}}
        container(changed)["env"].append({"name": "QUEUE_URL", "valueFrom": ref})

    cluster.store.edit(DEPLOYMENTS, HERE, "api-server", from_secret)
    found = await bot.workload("deployment", HERE, "api-server")
    assert (found.replicas, found.paused, found.autoscaler, found.generation) == (3, False, "", 2)
    assert (dict(found.env), dict(found.from_secret)) == (ENV, {"QUEUE_URL": (SECRETS, "url")})
    assert (found.selector, found.restarted_at) == ("app=api-server", "")
    redis = await bot.workload("statefulset", HERE, "redis")
    assert (redis.kind, redis.replicas, redis.ready, redis.env) == ("statefulset", 1, 1, {})


async def test_the_autoscaler_of_a_workload_is_named(bot: Kubernetes, cluster: Cluster) -> None:
    """Only the one whose target it is."""
    for name, target in (("web", "frontend"), ("api", "api-server")):
        ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
        spec = {"scaleTargetRef": ref, "minReplicas": 1, "maxReplicas": 5}
        cluster.store.create(AUTOSCALERS, {"metadata": {"name": name, "namespace": HERE}, "spec": spec})
    assert (await bot.workload("deployment", HERE, "api-server")).autoscaler == "api"
    assert (await bot.workload("statefulset", HERE, "redis")).autoscaler == ""


async def test_a_variable_is_set_and_rolled_out(bot: Kubernetes, cluster: Cluster, stage: Stage) -> None:
    """Only that variable changes; the rollout is done when no old pod is left; the same value again changes nothing."""
    before = {pod.uid for pod in await bot.pods(HERE, "app=api-server")}
    seen = await bot.workload("deployment", HERE, "api-server")
    generation = await bot.set_env(seen, "DATABASE_URL", "postgresql://standby/canvas")
    found = await stage.finished("deployment", "api-server", generation)
    assert (found.done, found.ready, found.wanted, found.detail) == (True, 3, 3, "3 of 3 new pods ready")
    assert cluster.env_of("api-server") == ENV | {"DATABASE_URL": "postgresql://standby/canvas"}
    assert before.isdisjoint(pod.uid for pod in await bot.pods(HERE, "app=api-server"))
    assert await bot.set_env(seen, "DATABASE_URL", "postgresql://standby/canvas") == generation


async def test_a_variable_from_a_secret_becomes_plain(bot: Kubernetes, cluster: Cluster) -> None:
    """Setting it takes the reference away, in the container that has it."""

    def two(changed: Object) -> None:
        ref = {"secretKeyRef": {"name": SECRETS, "key": "url"}}
        side = {"name": "side", "image": "side:1", "env": [{"name": "QUEUE_URL", "valueFrom": ref}]}
        changed["spec"]["template"]["spec"]["containers"].append(side)

    cluster.store.edit(DEPLOYMENTS, HERE, "frontend", two)
    await bot.set_env(await bot.workload("deployment", HERE, "frontend"), "QUEUE_URL", "amqp://queue")
    first, second = cluster.store.get(DEPLOYMENTS, HERE, "frontend")["spec"]["template"]["spec"]["containers"]
    assert second["env"] == [{"name": "QUEUE_URL", "value": "amqp://queue"}]
    assert "QUEUE_URL" not in {entry["name"] for entry in first["env"]}


async def test_secrets_are_read_and_merged(bot: Kubernetes) -> None:
    """One key is set, the others stay; a missing key is None, a missing secret is NotFound."""
    await bot.set_secret(HERE, SECRETS, "one", "first €")
    await bot.set_secret(HERE, SECRETS, "two", "second")
    assert await bot.secret_value(HERE, SECRETS, "one") == "first €"
    assert await bot.secret_value(HERE, SECRETS, "two") == "second"
    assert await bot.secret_value(HERE, SECRETS, "three") is None
    for call in (bot.secret_value(HERE, "nothing", "one"), bot.set_secret(HERE, "nothing", "one", "x")):
        with pytest.raises(NotFound, match='secrets "nothing" not found'):
            await call


@pytest.mark.parametrize(("kind", "name"), [("deployment", "api-server"), ("statefulset", "redis")])
async def test_a_restart_replaces_every_pod_once(bot: Kubernetes, stage: Stage, kind: WorkloadKind, name: str) -> None:
    """The mark stands on the workload; the same mark again is no second restart."""
    before = {pod.uid for pod in await bot.pods(HERE, f"app={name}")}
    generation = await bot.restart(kind, HERE, name, "RUN-7")
    assert (await stage.finished(kind, name, generation)).done
    after = {pod.uid for pod in await bot.pods(HERE, f"app={name}")}
    assert (len(after), before & after) == (len(before), set())
    assert (await bot.workload(kind, HERE, name)).restarted_at == "RUN-7"
    assert await bot.restart(kind, HERE, name, "RUN-7") == generation


async def test_scaling_remembers_what_was(bot: Kubernetes, stage: Stage) -> None:
    """Down to nothing and back; the number of before stands in the annotation, and zero never replaces it."""
    note = "recovery-bot/replicas"
    seen = await bot.workload("deployment", HERE, "api-server")
    generation = await bot.scale(seen, 0, note)
    assert await bot.scale(seen, 0, note) == generation
    assert (await stage.finished("deployment", "api-server", generation)).detail == "0 of 0 new pods ready"
    assert await bot.pods(HERE, "app=api-server") == []
    down = await bot.workload("deployment", HERE, "api-server")
    assert (down.replicas, down.annotations[note]) == (0, "3")
    generation = await bot.scale(down, 3, note)
    assert (await stage.finished("deployment", "api-server", generation)).done
    up = await bot.workload("deployment", HERE, "api-server")
    assert (up.replicas, up.annotations[note]) == (3, "3")


async def test_long_lists_come_in_pages(cluster: Cluster) -> None:
    """Every page is read."""
    bot = Kubernetes({"KUBECONFIG": str(cluster.kubeconfig)}, page=2)
    try:
        assert len(await bot.pods(HERE)) == len(cluster.store.list(PODS, HERE)) == 6
    finally:
        await bot.aclose()


async def test_a_partition_keeps_old_pods_on_purpose(bot: Kubernetes, cluster: Cluster, stage: Stage) -> None:
    """A stateful set's rollout is done when the pods above the partition are new."""

    def split(changed: Object) -> None:
        changed["spec"]["replicas"] = 2
        changed["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}

    cluster.store.edit(STATEFUL_SETS, HERE, "redis", split)
    await cluster.settled()
    before = {pod.name: pod.uid for pod in await bot.pods(HERE, "app=redis")}
    found = await stage.finished("statefulset", "redis", await bot.restart("statefulset", HERE, "redis", "RUN-8"))
    after = {pod.name: pod.uid for pod in await bot.pods(HERE, "app=redis")}
    assert (found.done, found.wanted) == (True, 1)
    assert {name for name in before if before[name] == after[name]} == {"redis-0"}


async def test_what_is_not_there_is_not_found(bot: Kubernetes) -> None:
    """NotFound with the cluster's own sentence."""
    with pytest.raises(NotFound, match=r'deployments\.apps "nothing" not found'):
        await bot.workload("deployment", HERE, "nothing")
    with pytest.raises(NotFound):
        await bot.restart("statefulset", HERE, "nothing", "RUN-1")


async def test_a_deployment_of_the_same_name_is_another_one(bot: Kubernetes, cluster: Cluster) -> None:
    """Deleted and made again since it was looked at: nothing is written to it."""
    seen = await bot.workload("deployment", HERE, "frontend")
    old = cluster.store.get(DEPLOYMENTS, HERE, "frontend")
    cluster.store.remove(DEPLOYMENTS, HERE, "frontend")
    cluster.store.create(DEPLOYMENTS, {"metadata": {"name": "frontend", "namespace": HERE}, "spec": old["spec"]})
    for call in (bot.set_env(seen, "A", "1"), bot.scale(seen, 0, "note")):
        with pytest.raises(Refused, match="another one"):
            await call
