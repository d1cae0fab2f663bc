"""The practice estate with everything on it that an action needs, the tools on it, and parameters for each action."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest

from actions import CATALOGUE
from actions.llm import breaker
from actions.security_network import POLICY
from bot.action import Action, OfIncident, Tools
from bot.catalogue import Catalogue
from bot.clients.kubernetes import Kubernetes
from bot.clients.toolbox import toolbox
from bot.clock import wall_clock
from bot.estate import load
from bot.tools import Backend
from sandbox.cluster.kinds import PODS
from sandbox.cluster.objects import defaults
from sandbox.practice import Part, Practice
from tests.stories.scene import eventually

PARTS: tuple[Part, ...] = (
    *("postgres", "standby", "redis", "redis-replica", "app", "cluster", "s3"),
    *("dns", "infrastructure"),
)
ACTIONS: Mapping[str, Mapping[str, str]] = {
    "database.failover": {"mode": "switchover"},
    "database.restore": {},
    "database.cancel": {},
    "database.terminate": {},
    "llm.reset-breaker": {},
    "cache.raise": {"maxmemory": "128mb", "watch": "1s"},
    "redis.restart": {},
    "cache.warmup": {},
    "redis.failover": {},
    "pod.force-delete": {"pod": "fits-nowhere"},
    "deployment.restart": {},
    "deployment.scale": {"deployment": "frontend", "replicas": "3"},
    "deployment.undo": {"deployment": "frontend"},
    "network.block": {"addresses": "203.0.113.0/25, 198.51.100.7"},
    "sessions.revoke": {},
    "secrets.rotate": {},
    "audit.enable": {},
    "node.recover": {"node": "node-2"},
    "dns.failover": {},
    "infrastructure.rebuild": {},
}
"""Each action with parameters that are possible on the practice estate; those of sessions are filled in from one."""

CATALOG = Catalogue(CATALOGUE)
SECRET = "valuecanvas/production/secrets"
FAR = datetime(2100, 1, 1, tzinfo=UTC)


class Estate:
    """The practice estate, and the tools that the bot would have on it."""

    def __init__(self, practice: Practice, tools: Tools) -> None:
        self.practice, self.tools = practice, tools

    async def world(self) -> Mapping[str, Any]:
        """All that an action could change."""
        cluster = self.tools.cluster
        workload = await cluster.workload("deployment", "production", "api-server")
        states = {
            name: (state.recovering, state.read_only, state.timeline)
            for name in ("DATABASE_URL", "REPLICA_DATABASE_URL")
            for state in [await self.tools.databases.state(self.practice.env[name])]
        }
        redis = await cluster.workload("statefulset", "production", "redis")
        caches = {
            name: (state.role, state.max_memory, state.policy)
            for name in ("REDIS_URL", "REPLICA_REDIS_URL")
            for state in [await self.tools.caches.state(self.practice.env[name])]
        }
        assert self.practice.dns is not None
        secret = await self.tools.secrets.describe(SECRET)
        frontend = await cluster.workload("deployment", "production", "frontend")
        return {
            "frontend": (frontend.replicas, frontend.env, workload.restarted_at, frontend.restarted_at),
            "pending": [pod.uid for pod in await cluster.pods("production", "app=fits-nowhere")],
            "nodes": {node.name: (node.uid, node.cordoned) for node in await self.tools.nodes.nodes()},
            "leads": await self.practice.dns.leads("api.valuecanvas.com."),
            "databases": self.databases(), "states": states, "caches": caches, "env": workload.env,
            "replicas": workload.replicas, "redis": redis.restarted_at, "versions": secret.versions,
            "policy": await self.tools.network.policy("production", POLICY),
            "sessions": await self.tools.activity.signed_in(self.practice.env["DATABASE_URL"], "auth.sessions", FAR),
        }  # fmt: skip

    def in_incident(self) -> Tools:
        """The tools of an observation that is made for an incident."""

        async def timeline() -> str:
            return "{}"

        return replace(self.tools, incident=OfIncident("INC-1", wall_clock(), timeline))

    def databases(self) -> list[str]:
        with psycopg.connect(self.practice.env["DATABASE_URL"]) as connection:
            return sorted(row[0] for row in connection.execute("select datname from pg_database"))

    async def action(self, name: str) -> Action[Any]:
        words = dict(ACTIONS[name])
        if name in ("database.cancel", "database.terminate"):
            backend = await self.asleep()
            words |= {"pid": str(backend.pid), "started_at": backend.started_at.isoformat()}
        if name == "llm.reset-breaker":
            await self.tripped()
        made = CATALOG.make(name, words)
        assert isinstance(made, Action)
        return made

    async def tripped(self) -> None:
        """The application's circuit breaker is open: its first provider fails."""
        assert self.practice.app is not None
        await self.practice.app.fail("together")

        async def look() -> bool:
            return await breaker(self.tools) == "open"

        await eventually(look)

    async def asleep(self) -> Backend:
        """The session that does something."""

        async def look() -> Backend | None:
            backends = await self.tools.databases.backends(self.practice.env["DATABASE_URL"])
            return next((b for b in backends if "pg_sleep" in b.query), None)

        return await eventually(look)


@asynccontextmanager
async def at_work() -> AsyncIterator[Estate]:
    """Open it, with a session that does something, a release that could be taken back, and a pod that gets no node."""
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        practice = await stack.enter_async_context(Practice(parts=PARTS))
        for name, value in practice.env.items():
            if name.startswith("AWS_"):
                patch.setenv(name, value)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        cluster = Kubernetes(practice.env)
        stack.push_async_callback(cluster.aclose)
        tools = toolbox(
            load(Path("estate.yml"), practice.env), cluster, session, wall_clock, practice.data, practice.env
        )
        await _worked_on(practice, cluster)
        sleeping = asyncio.create_task(_sleep(practice.env["DATABASE_URL"]))
        yield Estate(practice, tools)
        sleeping.cancel()
        await asyncio.gather(sleeping, return_exceptions=True)


async def _worked_on(practice: Practice, cluster: Kubernetes) -> None:
    """A release of the frontend that could be taken back, and a pod that gets no node."""
    assert practice.cluster is not None
    meta = {"name": "fits-nowhere", "namespace": "production", "labels": {"app": "fits-nowhere"}}
    container = {"name": "main", "image": "busybox", "resources": {"requests": {"cpu": "64"}}}
    pod: Any = {"metadata": meta, "spec": {"containers": [container]}}
    defaults(PODS, pod)
    practice.cluster.store.create(PODS, pod)
    frontend = await cluster.workload("deployment", "production", "frontend")
    await cluster.set_env(frontend, "RELEASE", "2")
    await practice.cluster.settled()


async def _sleep(url: str) -> None:
    """A session that does something, begun anew when an action ended it."""
    while True:
        with contextlib.suppress(psycopg.Error):
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute("select pg_sleep(600)")
