"""The practice cluster and the Kubernetes client that a program of anybody's would use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes_asyncio import client, config
from kubernetes_asyncio.client.rest import RESTResponse

from sandbox.cluster import Cluster

HERE = "production"
ENV = {"DATABASE_URL": "postgresql://primary/canvas", "REDIS_URL": "redis://redis:6379/0"}


_LIBRARY: Any = client


class Api(_LIBRARY.ApiClient):  # type: ignore[misc]
    """The library's own client, which does not look at the status of answers that are read by hand."""

    async def request(self, method: str, url: str, **options: Any) -> Any:
        """Raises ApiException for every bad status."""
        options["_request_timeout"] = options.get("_request_timeout") or 30
        response = await super().request(method, url, **options)
        if not 200 <= response.status <= 299:
            raise _LIBRARY.ApiException(http_resp=RESTResponse(response, await response.read()))
        return response


@dataclass(frozen=True)
class Stage:
    """The cluster, and the client's ways to it."""

    cluster: Cluster
    api: Api
    core: Any
    apps: Any
    policy: Any


@asynccontextmanager
async def practice(folder: Path) -> AsyncIterator[Stage]:
    """Started and settled; its pods are played and start in a moment."""
    cluster = Cluster(folder, env=ENV, pod_start=0.01)
    await cluster.start()
    try:
        await cluster.settled()
        made = client.Configuration()
        await config.load_kube_config(str(cluster.kubeconfig), client_configuration=made, persist_config=False)
        async with Api(made) as api:
            ways = client.CoreV1Api(api), client.AppsV1Api(api), client.PolicyV1Api(api)
            yield Stage(cluster, api, *ways)
    finally:
        await cluster.stop()


async def refused(call: Any, status: int) -> str:
    """The body of the refusal, which has that status."""
    with pytest.raises(client.ApiException) as refusal:
        await call
    assert refusal.value.status == status
    return str(refusal.value.body)
