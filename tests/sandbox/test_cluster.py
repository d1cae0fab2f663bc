"""The practice cluster's API server, asked by the real Kubernetes client."""

import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kubernetes_asyncio import client

from sandbox.cluster import Cluster, Fault
from sandbox.cluster.kinds import BUDGETS, PODS, Object
from tests.sandbox.cluster_stage import ENV, HERE, Stage, practice, refused


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A cluster of one's own."""
    async with practice(tmp_path) as stage:
        yield stage


def set_env(name: str, value: str | None, container: str = "api-server") -> Object:
    """A strategic merge patch of one variable."""
    env = [{"name": name, "value": value}]
    return {"spec": {"template": {"spec": {"containers": [{"name": container, "env": env}]}}}}


def env_of(deployment: Any) -> dict[str, str]:
    """The first container's variables, in order."""
    return {entry.name: entry.value for entry in deployment.spec.template.spec.containers[0].env or []}


def going_on(page: Any) -> Any:
    """The token of the next page; the library's name for it has an underscore."""
    return getattr(page.metadata, "_continue")  # noqa: B009


async def test_what_it_holds_at_first(stage: Stage) -> None:
    """ValueCanvas's workloads on three nodes, all of them ready, and leaders that gave a sign of life."""
    assert [node.metadata.name for node in (await stage.core.list_node()).items] == ["node-1", "node-2", "node-3"]
    found = (await stage.apps.list_namespaced_deployment(HERE)).items
    assert {one.metadata.name: one.status.ready_replicas for one in found} == {"api-server": 3, "frontend": 2}
    assert (await stage.apps.read_namespaced_stateful_set("redis", HERE)).status.ready_replicas == 1
    budget = await stage.policy.read_namespaced_pod_disruption_budget("api-server", HERE)
    assert budget.status.disruptions_allowed == 1
    leases = (await client.CoordinationV1Api(stage.api).list_namespaced_lease("kube-system")).items
    assert [lease.metadata.name for lease in leases] == ["kube-controller-manager", "kube-scheduler"]
    assert all(lease.spec.renew_time is not None for lease in leases)
    assert stage.cluster.env_of("api-server") == ENV


async def test_only_the_token_opens_it(stage: Stage) -> None:
    """No token is 403, a wrong one 401; the kubeconfig is for its owner alone, its authority is checked."""
    assert stage.cluster.kubeconfig.stat().st_mode & 0o777 == 0o600
    trusted = ssl.create_default_context(cafile=str(stage.cluster.kubeconfig.with_name("ca.crt")))
    async with aiohttp.ClientSession(stage.cluster.url) as session:
        for headers, status in (({}, 403), ({"Authorization": "Bearer wrong"}, 401)):
            async with session.get("/api/v1/nodes", headers=headers, ssl=trusted) as response:
                assert (response.status, (await response.json())["kind"]) == (status, "Status")
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get("/version")


async def test_pages_and_selectors(stage: Stage) -> None:
    """Labels and fields narrow a list, `limit` cuts it and `continue` goes on; unknown fields are refused."""
    page = await stage.core.list_namespaced_pod(HERE, limit=4)
    rest = await stage.core.list_namespaced_pod(HERE, limit=4, _continue=going_on(page))
    names = [pod.metadata.name for pod in page.items + rest.items]
    assert (len(page.items), page.metadata.remaining_item_count, going_on(rest)) == (4, 2, None)
    assert names == sorted(pod["metadata"]["name"] for pod in stage.cluster.store.list(PODS, HERE))
    for selector, count in (
        ("app in (redis,frontend)", 3),
        ("app!=api-server", 3),
        ("app,!tier", 6),
        ("app notin (redis)", 5),
    ):
        assert len((await stage.core.list_namespaced_pod(HERE, label_selector=selector)).items) == count
    node = page.items[0].spec.node_name
    found = await stage.core.list_pod_for_all_namespaces(field_selector=f"spec.nodeName={node},status.phase=Running")
    assert {pod.spec.node_name for pod in found.items} == {node}
    assert "field label not supported" in await refused(
        stage.core.list_namespaced_pod(HERE, field_selector="spec.image=x"), 400
    )
    await stage.core.patch_node("node-1", {"metadata": {"labels": {"a": "b"}}})
    stage.cluster.store.compact()
    await refused(stage.core.list_namespaced_pod(HERE, limit=4, _continue=going_on(page)), 410)


async def test_a_strategic_patch_merges_by_name(stage: Stage) -> None:
    """New variables stand first, known ones stay in place, `$patch: delete` takes one away, the rest is left alone."""
    patch = stage.apps.patch_namespaced_deployment
    found = await patch("api-server", HERE, set_env("NEW", "1"), field_manager="t")
    assert env_of(found) == {"NEW": "1"} | ENV
    assert next(iter(env_of(found))) == "NEW"
    assert env_of(await patch("api-server", HERE, set_env("DATABASE_URL", "x"))) == {"NEW": "1"} | ENV | {
        "DATABASE_URL": "x"
    }
    gone = {"name": "NEW", "$patch": "delete"}
    body = {"spec": {"template": {"spec": {"containers": [{"name": "api-server", "env": [gone]}]}}}}
    found = await patch("api-server", HERE, body)
    assert (env_of(found), found.metadata.generation) == (ENV | {"DATABASE_URL": "x"}, 4)
    assert (await patch("api-server", HERE, body)).metadata.generation == 4


async def test_patches_that_do_not_fit(stage: Stage) -> None:
    """As the real one refuses them: numbers as values, no merge key, unknown container, both kinds of value, unknown fields."""
    patch = stage.apps.patch_namespaced_deployment
    await refused(patch("api-server", HERE, set_env("A", 1)), 422)  # type: ignore[arg-type]
    nameless: Object = {"spec": {"template": {"spec": {"containers": [{"env": []}]}}}}
    assert "merge key" in await refused(patch("api-server", HERE, nameless), 500)
    assert "image: Required value" in await refused(patch("api-server", HERE, set_env("A", "1", "other")), 422)
    merge = "application/merge-patch+json"
    await refused(patch("api-server", HERE, set_env("A", "1"), _content_type=merge), 422)
    unknown = {"spec": {"replica": 1}}
    assert "unknown field" in await refused(patch("api-server", HERE, unknown, field_validation="Strict"), 400)
    await refused(patch("api-server", HERE, {"spec": {"selector": {"matchLabels": {"app": "x"}}}}), 422)
    await refused(patch("api-server", HERE, {}, _content_type="application/strange+json"), 415)
    await refused(patch("nothing", HERE, {}), 404)
    assert env_of(await stage.apps.read_namespaced_deployment("api-server", HERE)) == ENV


async def test_json_patches(stage: Stage) -> None:
    """A failing `test` is 422, `test null` passes only for what is absent, `/-` appends."""
    patch, path = stage.apps.patch_namespaced_deployment, "/spec/template/spec/containers/0/env"
    body = [{"op": "add", "path": f"{path}/-", "value": {"name": "A", "value": "1"}}]
    assert list(env_of(await patch("api-server", HERE, body)))[-1] == "A"
    await refused(patch("api-server", HERE, [{"op": "test", "path": path, "value": None}, *body]), 422)
    await refused(patch("api-server", HERE, [{"op": "remove", "path": "/spec/nothing"}]), 422)
    body = [{"op": "add", "path": "/metadata/annotations/a~1b", "value": "x"}]
    assert (await patch("api-server", HERE, body)).metadata.annotations["a/b"] == "x"


async def test_preconditions(stage: Stage) -> None:
    """An old resourceVersion or another uid is 409; a dry run keeps nothing."""
    patch = stage.apps.patch_namespaced_deployment
    before = await stage.apps.read_namespaced_deployment("frontend", HERE)
    version = before.metadata.resource_version
    dry = await patch("frontend", HERE, {"spec": {"replicas": 9}}, dry_run="All")
    assert dry.spec.replicas == 9
    await patch("frontend", HERE, {"metadata": {"resourceVersion": version, "annotations": {"a": "b"}}})
    await refused(patch("frontend", HERE, {"metadata": {"resourceVersion": version}, "spec": {"replicas": 1}}), 409)
    await refused(patch("frontend", HERE, {"metadata": {"uid": "other"}, "spec": {"replicas": 1}}), 409)
    after = await stage.apps.read_namespaced_deployment("frontend", HERE)
    assert (after.spec.replicas, after.metadata.generation) == (2, before.metadata.generation)


async def test_secrets(stage: Stage) -> None:
    """stringData is written as base64 and merged; raw text in data is refused; None takes a key away."""
    patch, name = stage.core.patch_namespaced_secret, "valuecanvas-secrets"
    assert (await patch(name, HERE, {"stringData": {"a": "1", "b": "2"}})).data == {"a": "MQ==", "b": "Mg=="}
    assert (await patch(name, HERE, {"data": {"a": None}})).data == {"b": "Mg=="}
    await refused(patch(name, HERE, {"data": {"a": "no base64!"}}), 422)
    await patch(name, HERE, {"immutable": True})
    await refused(patch(name, HERE, {"stringData": {"b": "3"}}), 422)


async def test_scale(stage: Stage) -> None:
    """Zero replicas are left out of the answer; the number reaches the deployment."""
    scaled = await stage.apps.patch_namespaced_deployment_scale("frontend", HERE, {"spec": {"replicas": 0}})
    assert scaled.spec.replicas is None
    await stage.cluster.settled()
    assert (await stage.apps.read_namespaced_deployment("frontend", HERE)).status.replicas is None
    scale = await stage.apps.read_namespaced_deployment_scale("frontend", HERE)
    scale.spec = client.V1ScaleSpec(replicas=1)
    assert (await stage.apps.replace_namespaced_deployment_scale("frontend", HERE, scale)).spec.replicas == 1


async def test_lists_as_kubectl_shows_them(stage: Stage) -> None:
    """Asked for a table the server answers with one: a row an object, its metadata beside it."""
    accept = {
        "Accept": "application/json;as=Table;v=v1;g=meta.k8s.io",
        "Authorization": f"Bearer {stage.cluster.token}",
    }
    trusted = ssl.create_default_context(cafile=str(stage.cluster.kubeconfig.with_name("ca.crt")))
    found: dict[str, list[str]] = {}
    async with aiohttp.ClientSession(stage.cluster.url, headers=accept) as session:
        for path in ("apps/v1/namespaces/production/deployments", "apps/v1/namespaces/production/statefulsets/redis"):
            async with session.get(f"/apis/{path}", ssl=trusted) as response:
                table = await response.json()
            assert (table["kind"], table["columnDefinitions"][0]["name"]) == ("Table", "Name")
            found |= {row["object"]["metadata"]["name"]: row["cells"][:-1] for row in table["rows"]}
        for kind in ("pods", "nodes", "services", "events"):
            async with session.get(f"/api/v1/{kind}", ssl=trusted) as response:
                table = await response.json()
            assert {len(row["cells"]) for row in table["rows"]} == {len(table["columnDefinitions"])}
    assert found == {
        "api-server": ["api-server", "3/3", "3", "3"],
        "frontend": ["frontend", "2/2", "2", "2"],
        "redis": ["redis", "1/1"],
    }


async def test_create_and_delete(stage: Stage) -> None:
    """A name is taken once, a namespace must be there, and what a deployment made goes with it."""
    old = await stage.apps.read_namespaced_deployment("frontend", HERE)
    new = client.V1Deployment(metadata=client.V1ObjectMeta(name="web"), spec=old.spec)
    made = await stage.apps.create_namespaced_deployment("staging", new)
    assert (made.metadata.generation, made.status.replicas) == (1, None)
    await refused(stage.apps.create_namespaced_deployment("staging", new), 409)
    await refused(stage.apps.create_namespaced_deployment("nowhere", new), 404)
    await stage.cluster.settled()
    assert len((await stage.core.list_namespaced_pod("staging")).items) == 2
    await stage.apps.delete_namespaced_deployment("web", "staging")
    with stage.cluster.store.listening() as changed:
        while stage.cluster.store.list(PODS, "staging"):
            await changed.wait()
            changed.clear()
    await refused(stage.apps.read_namespaced_deployment("web", "staging"), 404)


async def test_delete_options(stage: Stage) -> None:
    """With a body the query does not count; a precondition holds; grace zero ends a pod at once even on a dead node."""
    pod = next(pod for pod in stage.cluster.store.list(PODS) if pod["metadata"]["labels"]["app"] == "frontend")
    name, uid, node = pod["metadata"]["name"], pod["metadata"]["uid"], pod["spec"]["nodeName"]
    stage.cluster.set_node(node, ready=False)
    options = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="other"))
    await refused(stage.core.delete_namespaced_pod(name, HERE, body=options), 409)
    options = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=uid))
    await stage.core.delete_namespaced_pod(name, HERE, body=options, grace_period_seconds=0)
    left = await stage.core.read_namespaced_pod(name, HERE)
    assert left.metadata.deletion_timestamp > left.metadata.creation_timestamp
    options.grace_period_seconds = 0
    await stage.core.delete_namespaced_pod(name, HERE, body=options)
    await refused(stage.core.read_namespaced_pod(name, HERE), 404)


async def test_eviction_keeps_to_the_budget(stage: Stage) -> None:
    """One of three may go, the next one is 429 with its cause; two budgets for one pod are 500."""
    stage.cluster.faults.crashing.add("api-server")
    pods = [
        pod["metadata"]["name"] for pod in stage.cluster.store.list(PODS) if "api-server" in pod["metadata"]["name"]
    ]

    def evict(name: str) -> Any:
        eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=name, namespace=HERE))
        return stage.core.create_namespaced_pod_eviction(name, HERE, eviction)

    await evict(pods[0])
    said = json.loads(await refused(evict(pods[1]), 429))
    assert [cause["reason"] for cause in said["details"]["causes"]] == ["DisruptionBudget"]
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "api-server"}}}
    stage.cluster.store.create(BUDGETS, {"metadata": {"name": "second", "namespace": HERE}, "spec": spec})
    assert "more than one PodDisruptionBudget" in await refused(evict(pods[1]), 500)


async def test_readyz(stage: Stage) -> None:
    """Each check by name, and 500 as soon as one of them fails."""

    def ask() -> Any:
        how: Object = {"auth_settings": ["BearerToken"], "response_types_map": {200: "str"}}
        return stage.api.call_api("/readyz", "GET", query_params=[("verbose", "")], _return_http_data_only=True, **how)

    assert "[+]etcd ok" in await ask()
    stage.cluster.faults.unhealthy.add("etcd")
    assert "[-]etcd failed: reason withheld" in await refused(ask(), 500)


async def test_faults(stage: Stage) -> None:
    """One call can be made to fail, once or always; down cuts every connection."""
    stage.cluster.faults.fail["list nodes"] = Fault(503, "no leader", times=1)
    assert "no leader" in await refused(stage.core.list_node(), 503)
    assert (await stage.core.list_node()).items
    stage.cluster.faults.down = True
    with pytest.raises(aiohttp.ClientError):
        await stage.core.list_node()
    stage.cluster.faults.clear()
    assert (await stage.core.list_node()).items


async def test_a_cluster_that_never_started_leaves_nothing(tmp_path: Path) -> None:
    """Its address is known and given back."""
    cluster = Cluster(tmp_path, env=ENV)
    assert cluster.url.startswith("https://127.0.0.1:")
    assert not cluster.running
    await cluster.stop()
