"""Server-side apply and metrics of the practice cluster, asked for with the library that everybody uses."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from kubernetes_asyncio import client

from sandbox.cluster.kinds import POLICIES
from tests.sandbox.cluster_stage import HERE, Stage, practice, refused

APPLY = "application/apply-patch+yaml"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with practice(tmp_path_factory.mktemp("cluster")) as it:
        yield it


def policy(*blocked: str, **labels: str) -> dict[str, Any]:
    block = {"cidr": "0.0.0.0/0", "except": list(blocked)}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "block", "labels": labels},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"ipBlock": block}]}]},
    }


def config(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data}


async def applies(stage: Stage, body: Any, manager: str, **options: Any) -> Any:
    network: Any = client.NetworkingV1Api(stage.api)
    core: Any = client.CoreV1Api(stage.api)
    kind = {"NetworkPolicy": network.patch_namespaced_network_policy, "ConfigMap": core.patch_namespaced_config_map}
    patch = kind[body["kind"]]
    return await patch(body["metadata"]["name"], HERE, body, field_manager=manager, _content_type=APPLY, **options)


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_missing_is_made_and_dry_runs_keep_nothing(stage: Stage) -> None:
    """201 for a new object and 200 afterwards; the same again changes nothing; a dry run answers and keeps nothing."""
    await applies(stage, policy("203.0.113.7/32"), "bot", dry_run="All")
    assert stage.cluster.store.find(POLICIES, HERE, "block") is None
    made = await applies(stage, policy("203.0.113.7/32"), "bot")
    again = await applies(stage, policy("203.0.113.7/32"), "bot")
    assert made.metadata.resource_version == again.metadata.resource_version
    await applies(stage, policy("203.0.113.7/32", "198.51.100.0/24"), "bot")
    kept = stage.cluster.store.get(POLICIES, HERE, "block")
    assert kept["spec"]["ingress"][0]["from"][0]["ipBlock"]["except"] == ["203.0.113.7/32", "198.51.100.0/24"]
    assert kept["metadata"]["generation"] == 2


@pytest.mark.asyncio(loop_scope="module")
async def test_fields_of_others_conflict_until_forced_and_what_is_given_up_goes(stage: Stage) -> None:
    """Another's value is a 409 that names manager and field; forced, it changes hands; a field nobody wants any more goes."""
    await applies(stage, config(level="info", size="4"), "theirs")
    await applies(stage, config(size="4", extra="yes"), "bot")
    body = json.loads(await refused(applies(stage, config(level="debug"), "bot"), 409))
    assert body["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "theirs" using v1', "field": ".data.level"}
    ]
    changed = await applies(stage, config(level="debug"), "bot", force=True)
    assert changed.data == {"level": "debug", "size": "4"}, "`extra` was ours alone, `size` is theirs too"
    await refused(applies(stage, config(level="info"), "theirs"), 409)
    patched = await stage.core.patch_namespaced_config_map("settings", HERE, {"data": {"level": "warn"}})
    assert patched.data["level"] == "warn"
    assert "unknown" in await refused(applies(stage, config(level="debug"), "bot"), 409)


@pytest.mark.asyncio(loop_scope="module")
async def test_named_items_of_lists_have_owners_of_their_own(stage: Stage) -> None:
    """A variable that we applied stands beside those of others, and goes alone."""

    def env(*entries: tuple[str, str]) -> dict[str, Any]:
        container = {"name": "frontend", "env": [{"name": name, "value": value} for name, value in entries]}
        meta = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "frontend"}}
        return meta | {"spec": {"template": {"spec": {"containers": [container]}}}}

    async def apply(*entries: tuple[str, str]) -> dict[str, str]:
        found = await stage.apps.patch_namespaced_deployment(
            "frontend", HERE, env(*entries), field_manager="bot", _content_type=APPLY
        )
        return {one.name: one.value for one in found.spec.template.spec.containers[0].env}

    assert await apply(("A", "1"), ("B", "2")) == {"API_URL": "http://api-server", "A": "1", "B": "2"}
    assert await apply(("B", "3")) == {"API_URL": "http://api-server", "B": "3"}
    assert await apply() == {"API_URL": "http://api-server"}


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_no_apply_is_refused(stage: Stage) -> None:
    """No manager, no kind, managed fields in the body, an address block that is none, force without an apply."""
    network: Any = client.NetworkingV1Api(stage.api)
    core: Any = client.CoreV1Api(stage.api)
    await refused(network.patch_namespaced_network_policy("block", HERE, policy(), _content_type=APPLY), 422)
    await refused(applies(stage, {**config(), "apiVersion": None}, "bot"), 400)
    held = {**config(), "metadata": {"name": "settings", "managedFields": []}}
    await refused(applies(stage, held, "bot"), 400)
    assert "except[0]" in await refused(applies(stage, policy("2001:db8::/32"), "bot", force=True), 422)
    await refused(core.patch_namespaced_config_map("settings", HERE, {"data": {}}, field_manager="b", force=True), 422)


@pytest.mark.asyncio(loop_scope="module")
async def test_metrics_are_of_what_runs(stage: Stage) -> None:
    """Usage in the units of the real one, for ready nodes and running pods; one that is not there is a 404."""
    custom = client.CustomObjectsApi(stage.api)
    await stage.cluster.settled()
    nodes = await custom.list_cluster_custom_object("metrics.k8s.io", "v1beta1", "nodes")
    assert [one["metadata"]["name"] for one in nodes["items"]] == ["node-1", "node-2", "node-3"]
    assert nodes["items"][0]["usage"]["cpu"].endswith("n")
    pods = await custom.list_namespaced_custom_object("metrics.k8s.io", "v1beta1", HERE, "pods")
    assert any(one["metadata"]["name"].startswith("api-server-") for one in pods["items"])
    await refused(custom.get_cluster_custom_object("metrics.k8s.io", "v1beta1", "nodes", "node-9"), 404)
