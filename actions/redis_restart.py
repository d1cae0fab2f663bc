"""Scenario 3, runbook 3.2 and 3.3: restart Redis, and warm the cache up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import BaseModel, Field

from actions.caches import find, in_use, look_at, seen_by_application, servers
from actions.llm import address, no
from actions.rollouts import BETWEEN_LOOKS, GREEN_WITHIN, wait_for_rollout
from bot.action import Action, Change, NotVerified, Plan, Progress, Risk, Step, Tools, not_yet, nothing
from bot.errors import NeighbourError, NotFound, NotNow, Refused, Unavailable
from bot.estate import Estate
from bot.estate_places import Cache, Cluster, Workload
from bot.incident import Scenario
from bot.tools import CacheState

ANSWERS_WITHIN = 60.0
WARMED_WITHIN = timedelta(minutes=2)
CACHE = Field(default="", description="which cache of the estate; the first one when left out")


class RestartFacts(BaseModel):
    """This very stateful set, and the pods that are replaced."""

    cache: str
    statefulset: str
    uid: str
    pods: dict[str, str]
    """Name to UID."""


class Restart(Action[RestartFacts]):
    """Restart Redis, and see that the application has it again."""

    name: ClassVar[str] = "redis.restart"
    risk: ClassVar[Risk] = Risk.LOW
    scenario: ClassVar[Scenario] = Scenario.REDIS
    usual: ClassVar[timedelta] = timedelta(minutes=5)
    service: ClassVar[str] = "redis"
    facts: ClassVar[type[BaseModel]] = RestartFacts

    cache: str = CACHE

    def target(self, estate: Estate) -> str:
        return f"cache {find(estate, self.cache).name}"

    def locks(self, estate: Estate) -> Sequence[str]:
        cluster, workload = statefulset_of(estate, find(estate, self.cache))
        return (self.target(estate), f"statefulset {workload.name} in {cluster.namespace}")

    async def plan(self, tools: Tools) -> Plan[RestartFacts]:
        cache = find(tools.estate, self.cache)
        cluster, named = statefulset_of(tools.estate, cache)
        seen = await tools.cluster.workload("statefulset", cluster.namespace, named.name)
        if not seen.replicas:
            raise NotNow(f"{named.name} is scaled to 0: it has no pod that could be restarted. Scale it up.")
        pods, state = await asyncio.gather(
            tools.cluster.pods(cluster.namespace, seen.selector), look_at(tools, cache.url.get_secret_value())
        )
        answers = isinstance(state, CacheState)
        holds = f"{cache.name} answers and holds {state.keys:,} keys" if isinstance(state, CacheState) else str(state)
        lost = "the cache is empty afterwards and fills itself again; `cache.warmup` helps"
        if isinstance(state, CacheState) and state.appends:
            lost = "it has an append-only file, and loads that again"
        return Plan(
            RestartFacts(
                cache=cache.name, statefulset=seen.name, uid=seen.uid, pods={pod.name: pod.uid for pod in pods}
            ),
            (Change(f"pods of {seen.name}", f"{seen.ready} of {seen.replicas} ready", f"{seen.replicas} new"),),
            notes=(holds, *(f"{p.name}: {p.state}{'' if p.ready else ', not ready'}{f' ({p.why})' if p.why else ''}" for p in pods)),
            loss_says=lost,
            undo_says="not possible: the new pods are like the old ones",
            warnings=(f"{holds}. A restart takes it away for a moment: is it needed?",) if answers else (),
        )  # fmt: skip

    def steps(self, facts: RestartFacts, tools: Tools) -> Sequence[Step]:
        cache = find(tools.estate, facts.cache)
        cluster, workload = statefulset_of(tools.estate, cache)
        name, namespace = facts.statefulset, cluster.namespace

        async def restart(_progress: Progress) -> str:
            await _same(tools, facts, namespace)
            await tools.cluster.restart("statefulset", namespace, name, tools.run)
            return "new pods are being made"

        async def restarted() -> bool:
            return (await tools.cluster.workload("statefulset", namespace, name)).restarted_at == tools.run

        async def replace(_progress: Progress) -> str:
            # A stateful set replaces nothing as long as one of its pods is not ready: not even that pod.
            pods = await tools.cluster.pods(namespace, workload.selector)
            stuck = [p for p in pods if not p.ready and p.state != "Terminating" and facts.pods.get(p.name) == p.uid]
            for pod in stuck:
                await tools.cluster.replace_pod(namespace, pod.name, pod.uid)
            return ", ".join(f"{pod.name} was {pod.state}" for pod in stuck) or "none is stuck"

        async def wait(progress: Progress) -> str:
            return await wait_for_rollout(tools, "statefulset", name, cluster.rollout_within, progress)

        async def answers(progress: Progress) -> str:
            return await answering(tools, cache, progress)

        lost = "pods that were replaced do not come back, nor what they held in memory"
        by_hand = f"`kubectl rollout status statefulset/{name}` says what it waits for."
        return (
            Step(f"Restart {name}", restart, restarted, None, lost),
            Step("Replace pods that are stuck", replace, not_yet, None, lost, by_hand=f"kubectl delete pod -l {workload.selector}"),
            Step(f"Wait until every pod of {name} is new and ready", wait, not_yet, nothing, by_hand=by_hand),
            Step(f"Wait until {cache.name} answers", answers, not_yet, nothing, by_hand="redis-cli ping"),
        )  # fmt: skip

    async def verify(self, facts: RestartFacts, tools: Tools) -> str:
        cache = find(tools.estate, facts.cache)
        cluster, workload = statefulset_of(tools.estate, cache)
        seen = await tools.cluster.workload("statefulset", cluster.namespace, facts.statefulset)
        pods = await tools.cluster.pods(cluster.namespace, workload.selector)
        ready = sum(pod.ready and facts.pods.get(pod.name) != pod.uid for pod in pods)
        if seen.uid != facts.uid or ready < max(seen.replicas, 1) or ready < len(pods):
            raise NotVerified(f"{ready} of {seen.replicas} pods with {workload.selector} are new and ready")
        took = await tools.caches.ping(cache.url.get_secret_value())
        view = await seen_by_application(tools, cache)
        return f"{ready} of {seen.replicas} pods are new and ready; PONG after {_ms(took)}; {view}"


def statefulset_of(estate: Estate, cache: Cache) -> tuple[Cluster, Workload]:
    """The cluster, and the stateful set that runs the cache. Raises NotFound."""
    cluster = estate.cluster
    named = next((s for s in cluster.statefulsets if s.name == cache.statefulset), None) if cluster else None
    if cluster is None or named is None:
        raise NotFound(f"The estate file names no stateful set that runs `{cache.name}`: nobody could restart it.")
    return cluster, named


async def _same(tools: Tools, facts: RestartFacts, namespace: str) -> None:
    seen = await tools.cluster.workload("statefulset", namespace, facts.statefulset)
    if seen.uid != facts.uid:
        raise Refused(f"The stateful set {facts.statefulset} is another one than was looked at.")


async def answering(tools: Tools, cache: Cache, progress: Progress) -> str:
    """Until it answers PING and has loaded its data. Raises Refused when it does not within a minute."""
    said = "not asked yet"
    url = cache.url.get_secret_value()
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            while True:
                try:
                    state = await tools.caches.state(url)
                except Unavailable as error:
                    said = str(error)
                else:
                    if not state.loading:
                        return f"PONG after {_ms(state.latency)}"
                    said = f"{cache.name} is loading its data"
                progress(said)
                await asyncio.sleep(BETWEEN_LOOKS)
    except TimeoutError:
        raise Refused(f"{cache.name} did not answer within {ANSWERS_WITHIN:g} s: {said}") from None


def _ms(span: timedelta) -> str:
    return f"{span.total_seconds() * 1000:.1f} ms"


class WarmUpFacts(BaseModel):
    """Which cache, and which server of it."""

    cache: str
    server: str


class WarmUp(Action[WarmUpFacts]):
    """Let the application fill the cache with what is asked for most."""

    name: ClassVar[str] = "cache.warmup"
    risk: ClassVar[Risk] = Risk.LOW
    scenario: ClassVar[Scenario] = Scenario.REDIS
    usual: ClassVar[timedelta] = timedelta(minutes=1)
    service: ClassVar[str] = "redis"
    facts: ClassVar[type[BaseModel]] = WarmUpFacts
    green_within: ClassVar[float] = GREEN_WITHIN
    """Seconds that the application has to see the cache well."""

    cache: str = CACHE

    def target(self, estate: Estate) -> str:
        return f"cache {find(estate, self.cache).name}"

    async def plan(self, tools: Tools) -> Plan[WarmUpFacts]:
        cache = find(tools.estate, self.cache)
        application = tools.estate.application
        if application is None or application.admin_token is None:
            raise NotFound("The estate file has no `application` with an `admin_token`, and a warm-up needs both.")
        server = await in_use(tools, cache)
        state = await look_at(tools, servers(cache)[server])
        if not isinstance(state, CacheState):
            raise NotNow(f"{state.rstrip('.')}, so it takes nothing. Restart it first: `/recover redis.restart`.")
        return Plan(
            WarmUpFacts(cache=cache.name, server=server),
            (Change(f"keys of {server}", f"{state.keys:,}", "and the common queries"),),
            notes=(f"POST {application.warmup}: the application asks its LLM providers for what is missing",),
            undo_says="not needed: what is cached expires by itself",
        )

    def steps(self, facts: WarmUpFacts, tools: Tools) -> Sequence[Step]:
        url = servers(find(tools.estate, facts.cache))[facts.server]

        async def warm(progress: Progress) -> str:
            return await _warmed(tools, url, progress)

        return (
            Step("Warm the cache up", warm, not_yet, None, "what is cached stays until it expires",
                 by_hand="The cache fills itself by being used, only later."),
        )  # fmt: skip

    async def verify(self, facts: WarmUpFacts, tools: Tools) -> str:
        cache = find(tools.estate, facts.cache)
        state = await tools.caches.state(servers(cache)[facts.server])
        if not state.keys:
            raise NotVerified(f"{facts.server} holds no key")
        return f"{facts.server} holds {state.keys:,} keys; {await seen_by_application(tools, cache, self.green_within)}"


async def _warmed(tools: Tools, url: str, progress: Progress) -> str:
    """Ask the application, and meanwhile tell how the cache fills. Raises NeighbourError."""
    application = tools.estate.application
    assert application is not None  # noqa: S101  the plan asked for it
    token = application.admin_token.get_secret_value() if application.admin_token else ""
    before = await look_at(tools, url)
    had = f"{before.keys:,} before" if isinstance(before, CacheState) else "before: unknown"
    asking = asyncio.create_task(
        tools.site.ask("POST", address(application, application.warmup), token=token, within=WARMED_WITHIN)
    )
    try:
        while not asking.done():
            await asyncio.wait({asking}, timeout=BETWEEN_LOOKS)
            try:
                progress(f"{(await tools.caches.state(url)).keys:,} keys ({had})")
            except NeighbourError as error:
                progress(str(error))
        answer = await asking
    finally:
        asking.cancel()
    if not answer.ok:
        raise no(answer, f"{application.warmup} of the application")
    now = await look_at(tools, url)
    counted = f"{now.keys:,} keys ({had})" if isinstance(now, CacheState) else str(now)
    warmed = answer.fields.get("warmed")
    return f"{warmed} queries warmed; {counted}" if isinstance(warmed, int) else counted
