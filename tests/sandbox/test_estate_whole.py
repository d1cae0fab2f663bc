"""The platform as a whole: a dead primary is healed by promoting the standby and telling the deployment, by nothing less."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import psycopg
import pytest
from kubernetes_asyncio import client, config

from sandbox.practice import Part, Practice
from tests.sandbox.test_panel import MANIFEST, Page, answers, healthy

PARTS: tuple[Part, ...] = ("postgres", "standby", "redis", "app", "cluster")


@pytest.fixture
async def practice() -> AsyncIterator[Practice]:
    """Everything that a failover touches."""
    async with Practice(manifest=MANIFEST, parts=PARTS) as practice:
        yield practice


@pytest.fixture
async def deployments(practice: Practice) -> AsyncIterator[Any]:
    """Deployments by the kubeconfig that the bot is given."""
    known = client.Configuration()
    await config.load_kube_config(practice.env["KUBECONFIG"], client_configuration=known)
    async with client.ApiClient(known) as api:
        yield client.AppsV1Api(api)


async def test_a_failover_heals_the_application(practice: Practice, deployments: Any) -> None:
    """Dead primary: not ready. Promoted standby: still not. A deployment that names it, rolled out: ready."""
    health = f"{practice.env['API_URL']}/health/ready"
    replica = practice.env["REPLICA_DATABASE_URL"]
    assert practice.postgres is not None
    assert practice.cluster is not None
    assert practice.database() == practice.env["DATABASE_URL"]
    await healthy(health)
    await practice.postgres.kill()
    assert await answers(health) == 503
    async with await psycopg.AsyncConnection.connect(replica) as database:
        await database.execute("SELECT pg_promote()")
    assert await answers(health) == 503

    container = {"name": "api-server", "env": [{"name": "DATABASE_URL", "value": replica}]}
    template = {"spec": {"template": {"spec": {"containers": [container]}}}}
    await deployments.patch_namespaced_deployment("api-server", "production", template)
    await practice.cluster.settled()
    assert practice.database() == replica
    await healthy(health)


async def test_the_writer_notices_what_is_lost(practice: Practice) -> None:
    """Rows that were acknowledged and are gone show on the panel, as does that nobody can tell."""
    primary = practice.postgres
    assert primary is not None
    async with aiohttp.ClientSession(practice.url) as browser:
        page = Page(browser)

        async def writes(state: str, ending: str) -> None:
            """Wait until the panel says so of at least one write: a busy machine answers its question late."""
            async with asyncio.timeout(40):
                while True:
                    writer = await page.part("writer")
                    some = not writer["detail"].startswith("0 acknowledged")
                    if some and writer["state"] == state and writer["detail"].endswith(ending):
                        return
                    await asyncio.sleep(0.05)

        await page.do("writer", "start")
        await writes("running", "none lost")
        async with await psycopg.AsyncConnection.connect(primary.url) as database:
            await database.execute("DELETE FROM canvases WHERE id > 2000")
        await writes("losing", " lost")
        await primary.stop()
        assert (await page.part("writer"))["state"] == "unknown"
        assert await page.do("writer", "stop") == "normal"


async def test_the_application_lives_without_the_kubernetes_api(practice: Practice, deployments: Any) -> None:
    """With the API down nobody can ask about pods, which go on serving; up again, it answers as before."""
    async with aiohttp.ClientSession(practice.url) as browser:
        page = Page(browser)
        assert await page.do("cluster", "down") == "down"
        with pytest.raises(aiohttp.ClientError):
            await deployments.list_namespaced_deployment("production")
        await healthy(f"{practice.env['API_URL']}/health/ready")
        assert await page.do("cluster", "up") == "up"
    listed = await deployments.list_namespaced_deployment("production")
    assert {one.metadata.name for one in listed.items} == {"api-server", "frontend"}
