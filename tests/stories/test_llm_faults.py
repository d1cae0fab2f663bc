"""The application, the provider, the cluster or Redis fails in the middle of a reset and of a warm-up: it is asked what has happened,
and what nobody knows is said to be unknown."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio

from actions.llm_looks import Status
from actions.llm_reset import ResetBreaker, ResetFacts
from actions.redis_restart import WarmUp
from bot.action import NotVerified, Step, Tools
from bot.clients.caches import RedisCaches
from bot.clients.kubernetes import Kubernetes
from bot.clients.probes import client_session
from bot.clients.site import HttpSite
from bot.clients.toolbox import toolbox
from bot.clock import wall_clock
from bot.errors import Unavailable
from bot.estate import load
from bot.tools import Answer, CacheState
from bot.tools.site import HTTP_WITHIN
from sandbox.practice import Part, Practice
from tests.stories.between import Between, Fault, between
from tests.stories.steps import FAULTS

PARTS: tuple[Part, ...] = ("redis", "app", "cluster")
RESET, HEALTH, STATS = "POST /api/llm/reset", "GET /api/llm/health", "GET /api/llm/stats"
CHAT, WARMUP, READY = "POST /api/llm/chat", "POST /api/admin/cache/warmup", "GET /health/ready"
PAGE, PROBE = "GET /vendors/together/api/v2/status.json", "GET /vendors/together/v1/models"
SAYS: dict[Fault, str] = {
    "429": r"HTTP 429 \(told to fail\)",
    "500": r"HTTP 500 \(told to fail\)",
    "lost": r"^127\.0\.0\.1:\d+ does not answer \(the connection broke off\)$",
    "silent": r"^127\.0\.0\.1:\d+ did not answer within 0\.5 s$",
}
RESETS = ResetBreaker(watch=timedelta(seconds=20))
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Hurried(HttpSite):
    """It does not wait long for an answer that is never to come, and as long as ever for all others."""

    def __init__(self, session: aiohttp.ClientSession, broken: Between) -> None:
        super().__init__(session)
        self._broken = broken

    async def ask(self, method: str, url: str, *, within: timedelta = HTTP_WITHIN, **more: Any) -> Answer:
        silent = "silent" in self._broken.faults[f"{method} {urlsplit(url).path}"][:1]
        return await super().ask(method, url, within=timedelta(seconds=0.5) if silent else within, **more)


@dataclass
class Stage:
    practice: Practice
    broken: Between
    site: HttpSite
    tools: Tools

    async def chat(self, times: int) -> None:
        """What customers do, past whoever stands between."""
        assert self.practice.app is not None
        for number in range(times):
            body = {"prompt": f"{number} at {wall_clock().isoformat()}"}
            url, token = f"{self.practice.app.url}/api/llm/chat", self.practice.env["API_TOKEN"]
            await self.site.ask("POST", url, token=token, body=body)

    async def opened(self) -> None:
        """The breaker is open, and stays so for a minute; the provider is well again."""
        assert self.practice.app is not None
        await self.practice.app.fail("together")
        await self.chat(3)
        await self.practice.app.fail()

    @contextmanager
    def fails(self, call: str, how: Fault) -> Iterator[None]:
        """That call once."""
        # A GET whose answer is lost is asked for again by the library itself.
        self.broken.faults[call] = [how] * (2 if how == "lost" and call.startswith("GET") else 1)
        yield
        assert not self.broken.faults[call]

    def away(self, *calls: str) -> None:
        """These calls do not get through, nor does anything to the cluster, until `back`."""
        assert self.practice.cluster is not None
        self.practice.cluster.faults.down = True
        for call in calls:
            self.broken.faults[call] = ["500"] * 100

    def back(self) -> None:
        """Everybody is there again."""
        assert self.practice.cluster is not None
        self.practice.cluster.faults.down = False
        self.broken.faults.clear()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    """One for the file."""
    async with AsyncExitStack() as stack:
        broken = await stack.enter_async_context(between())
        practice = await stack.enter_async_context(Practice(parts=PARTS))
        broken.before(practice)
        session = await stack.enter_async_context(client_session())
        client = Kubernetes(practice.env)
        stack.push_async_callback(client.aclose)
        site = Hurried(session, broken)
        tools = replace(
            toolbox(load(Path("estate.yml"), practice.env), client, session, wall_clock), site=site, run="RUN-1"
        )
        yield Stage(practice, broken, site, tools)


@pytest.fixture(params=list(SAYS))
def how(request: pytest.FixtureRequest) -> Fault:
    """How one call fails."""
    fault: Fault = request.param
    return fault


def silently(_detail: str) -> None:
    """Progress that nobody reads."""


async def done(step: Step) -> bool | None:
    assert step.done is not None
    return await step.done()


async def test_a_breaker_is_reset_once(stage: Stage, how: Fault) -> None:
    """Whatever happens to the answer, also to the question whether it has happened; then calls are seen to succeed although who
    tells of them fails once, and the proof is held to what is true just then."""
    await stage.opened()
    facts = (await RESETS.plan(stage.tools)).facts
    first, watch = RESETS.steps(facts, stage.tools)
    before = stage.broken.passed[RESET]
    with stage.fails(RESET, how), pytest.raises(Unavailable, match=SAYS[how]) as error:
        await first.do(silently)
    assert error.value.retry_after == (2.0 if how == "429" else None)
    with stage.fails(HEALTH, how), pytest.raises(Unavailable, match=SAYS[how]):
        await done(first)
    happened = await done(first)
    assert happened is (how in ("lost", "silent"))
    if not happened:
        await first.do(silently)
    assert await done(first)
    assert stage.broken.passed[RESET] == before + 1

    assert stage.practice.cluster is not None
    stage.practice.cluster.faults.fail["list pods"] = replace(FAULTS.get(how, FAULTS["500"]))
    stage.broken.faults |= {HEALTH: ["500"], STATS: [how if how != "silent" else "429"]}
    await stage.chat(3)
    assert "calls to Together.ai succeeded" in str(await watch.do(silently))
    assert not stage.broken.faults[HEALTH]

    with stage.fails(CHAT, how), pytest.raises((Unavailable, NotVerified), match=SAYS[how]) as unproven:
        await RESETS.verify(facts, stage.tools)
    assert ("Is Together.ai back?" in str(unproven.value)) == (how == "500")
    with stage.fails(HEALTH, "lost"), pytest.raises(Unavailable):
        await RESETS.verify(facts, stage.tools)
    assert "a real request was answered by Together.ai" in await RESETS.verify(facts, stage.tools)


async def test_a_provider_that_does_not_tell_is_no_recovered_one(stage: Stage, how: Fault) -> None:
    """Of a page that cannot be read nobody can tell; an API that fails does not look recovered. Where the application does not say
    how its breaker is there is no plan."""
    await stage.opened()
    for call, says in (
        (PAGE, "Nobody can tell whether Together.ai has recovered: Together.ai's status page:"),
        (PROBE, "Together.ai does not look recovered, so the breaker will probably open again: Together.ai itself:"),
    ):
        with stage.fails(call, how):
            plan = await RESETS.plan(stage.tools)
        assert plan.facts == ResetFacts(provider="together", looks_well=False)
        (warning,) = plan.warnings
        assert warning.startswith(says)
        assert (f"HTTP {how}" if how in ("429", "500") else "answer") in warning
    if how != "silent":
        with stage.fails(HEALTH, how), pytest.raises(Unavailable, match=SAYS[how]):
            await RESETS.plan(stage.tools)


async def test_where_nobody_tells_it_is_unknown(stage: Stage) -> None:
    """Without the application and the cluster a watch counts nothing, and does not say that nothing succeeded; the look says so, too."""
    reset, told, now = ResetBreaker(watch=timedelta(seconds=20)), list[str](), [wall_clock()]
    facts = ResetFacts(provider="together", looks_well=True)

    def over(detail: str) -> None:
        told.append(detail)
        now[0] += timedelta(seconds=21)

    stage.away(HEALTH, STATS)
    said = await reset.steps(facts, replace(stage.tools, clock=lambda: now[0]))[1].do(over)
    with pytest.raises(Unavailable, match="HTTP 500"):
        await reset.verify(facts, stage.tools)
    seen = await Status().look(stage.tools)
    stage.back()
    assert said == (
        "unknown whether calls to Together.ai succeeded: neither the logs nor the application told within 20 s"
    )
    assert "an unknown number of successful calls of Together.ai's, 3 are enough; breaker unknown" in told
    assert seen.headline.startswith("Circuit breaker unknown")
    assert sum(line.text.startswith("unknown: ") for line in seen.lines) == 3


class Late(RedisCaches):
    """It does not hear the server at first."""

    deaf = True

    async def state(self, url: str) -> CacheState:
        deaf, self.deaf = self.deaf, False
        if deaf:
            raise Unavailable("Redis does not answer")
        return await super().state(url)


class Impatient(WarmUp):
    """Let the application see the cache well at once, or not at all."""

    green_within = 0.1


async def test_a_warm_up_may_be_asked_for_again(stage: Stage, how: Fault) -> None:
    """What was warmed is in the cache once; how many keys there were is said where it is known; an application that does not say
    how it sees the cache is no proof."""
    tools = replace(stage.tools, caches=Late())
    facts: Any = (await WarmUp().plan(stage.tools)).facts
    (warm,) = WarmUp().steps(facts, tools)
    with stage.fails(WARMUP, how), pytest.raises(Unavailable, match=SAYS[how]):
        await warm.do(silently)
    assert await done(warm) is False
    assert "before)" in str(await warm.do(silently))
    tools = replace(stage.tools, caches=Late())
    said = await WarmUp().steps(facts, tools)[0].do(silently)
    assert str(said).startswith("3 queries warmed; ")
    assert str(said).endswith(" keys (before: unknown)")
    stage.broken.faults[READY] = [how] * 100
    with pytest.raises(NotVerified, match="the application"):
        await Impatient().verify(facts, stage.tools)
    stage.back()


async def test_without_redis_nothing_is_warm(stage: Stage) -> None:
    """The application says so, the progress and the proof do, too."""
    facts: Any = (await WarmUp().plan(stage.tools)).facts
    redis, told = stage.practice.redis, list[str]()
    assert redis is not None
    (warm,) = WarmUp().steps(facts, stage.tools)
    await warm.do(silently)
    assert "the application sees it up" in await WarmUp().verify(facts, stage.tools)
    await redis.stop()
    with pytest.raises(Unavailable, match=r"HTTP 503 \(The cache does not answer\.\)"):
        await warm.do(told.append)
    with pytest.raises(Unavailable, match=r"does not answer \(the connection is refused\)"):
        await WarmUp().verify(facts, stage.tools)
    assert all("does not answer (the connection is refused)" in line for line in told)
    await redis.start()
