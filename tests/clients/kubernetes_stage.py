"""A practice cluster, and the bot's client for it. Nothing of the client is played."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.clients.kubernetes import Kubernetes
from bot.tools import Rollout, WorkloadKind
from sandbox.cluster import Cluster

HERE = "production"
ENV = {"DATABASE_URL": "postgresql://app:s3cret@primary:5432/canvas", "REDIS_URL": "redis://redis:6379/0"}


@dataclass(frozen=True)
class Stage:
    """The two of them."""

    cluster: Cluster
    bot: Kubernetes

    async def finished(self, kind: WorkloadKind, name: str, generation: int) -> Rollout:
        """Look until the rollout is done or stuck."""
        async with asyncio.timeout(40):
            with self.cluster.store.listening() as changed:
                while True:
                    changed.clear()
                    found = await self.bot.rollout(kind, HERE, name, generation)
                    if found.done or found.stuck:
                        return found
                    await changed.wait()


@asynccontextmanager
async def practice(folder: Path) -> AsyncIterator[Stage]:
    """Started, with every workload as it was asked to be; pods are played and start in a moment."""
    cluster = Cluster(folder, env=ENV, pod_start=0.01)
    await cluster.start()
    try:
        await cluster.settled()
        async with aclosing(Kubernetes({"KUBECONFIG": str(cluster.kubeconfig)}, deadline=20.0)) as bot:
            yield Stage(cluster, bot)
    finally:
        await cluster.stop()
