"""The panel over HTTP: what it breaks is really broken."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest

from sandbox.cluster.deletion import delete
from sandbox.cluster.kinds import PODS
from sandbox.cluster.podstate import is_ready
from sandbox.practice import ALL, Practice

STAND_IN = [sys.executable, str(Path(__file__).with_name("stand_in.py"))]
MANIFEST = {
    "display_information": {"name": "Recovery Bot"},
    "features": {"bot_user": {"display_name": "recovery-bot"}},
    "oauth_config": {"scopes": {"bot": ["chat:write", "channels:read"]}},
    "settings": {"socket_mode_enabled": True, "event_subscriptions": {"bot_events": []}},
}


class Page:
    """The panel as the page uses it."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client

    async def state(self) -> Any:
        async with self._client.get("/panel/state") as response:
            return await response.json()

    async def part(self, name: str) -> Any:
        return next(part for part in (await self.state())["parts"] if part["name"] == name)

    async def post(self, path: str, **body: Any) -> tuple[int, Any]:
        async with self._client.post(f"/panel/{path}", json=body) as response:
            return response.status, await response.json()

    async def do(self, part: str, action: str) -> str:
        """Press a button that is offered; returns the part's new state."""
        assert action in [one["name"] for one in (await self.part(part))["actions"]]
        assert await self.post("do", part=part, action=action) == (200, {"ok": True})
        state: str = (await self.part(part))["state"]
        return state


@pytest.fixture
async def light() -> AsyncIterator[tuple[Practice, Page]]:
    """Slack, PagerDuty and a stand-in for the bot."""
    async with Practice(manifest=MANIFEST, command=STAND_IN) as practice:
        assert await practice.bot.ready(60)
        async with aiohttp.ClientSession(practice.url) as client:
            yield practice, Page(client)


async def answers(url: str, **headers: Any) -> int | str:
    """The status of a GET, or the name of the error instead."""
    try:
        async with aiohttp.ClientSession() as client, client.get(url, **headers) as response:
            return response.status
    except aiohttp.ClientError as error:
        return type(error).__name__


async def healthy(url: str) -> None:
    """Wait until it is: a pod that is on its way out may still have its turn, and a busy machine answers late."""
    async with asyncio.timeout(40):
        while await answers(url) != 200:  # noqa: ASYNC110  it is elsewhere
            await asyncio.sleep(0.05)


async def test_the_platform_breaks_and_heals() -> None:
    """Stopping Postgres, Redis or the application, and failing the LLM, shows on the application; starting heals."""
    async with (
        Practice(manifest=MANIFEST, parts=ALL) as practice,
        aiohttp.ClientSession(practice.url) as client,
    ):
        page, health = Page(client), f"{practice.env['API_URL']}/health/ready"
        await healthy(health)
        for part in ("postgres", "redis"):
            assert await page.do(part, "stop") == "down"
            assert await answers(health) == 503
            assert await page.do(part, "start") == "up"
        async with await psycopg.AsyncConnection.connect(practice.env["DATABASE_URL"]) as database:
            cursor = await database.execute("SELECT count(*) FROM users")
            assert await cursor.fetchone() == (500,)
        await redis_breaks_and_heals(practice, page, health)
        await workloads_break_and_heal(practice, page, health)
        together = [practice.env["TOGETHER_STATUS_URL"], practice.env["TOGETHER_API_URL"]]
        assert [await answers(url) for url in together] == [200, 401]
        await _an_intruder_comes_and_is_shut_out(practice, page)
        assert await page.do("llm", "fail_all") == "down"
        assert [await answers(url) for url in together] == [200, 503]
        assert await page.do("api", "stop") == "down"
        assert await answers(health) == "ServerDisconnectedError"
        assert await page.do("api", "start") == "up"
        token = {"Authorization": f"Bearer {practice.env['API_TOKEN']}"}
        async with client.post(
            f"{practice.env['API_URL']}/api/llm/chat", headers=token, json={"prompt": "still failing?"}
        ) as response:
            assert response.status == 503
        assert await page.do("llm", "recover") == "up"


async def redis_breaks_and_heals(practice: Practice, page: Page, health: str) -> None:
    """Frozen it runs and is not ready; stopped it stays so, until its pod is a new one. The replica stops by itself."""
    assert practice.cluster is not None
    store = practice.cluster.store

    def pod() -> Any:
        return store.find(PODS, "production", "redis-0") or {"metadata": {"uid": ""}}

    async def until(so: Callable[[], bool]) -> None:
        async with asyncio.timeout(40):
            with store.listening() as changed:
                while not so():
                    changed.clear()
                    await changed.wait()

    await until(lambda: is_ready(pod()))
    assert await page.do("redis", "freeze") == "frozen"
    assert await answers(health) == 503
    await until(lambda: not is_ready(pod()))
    assert "running" in pod()["status"]["containerStatuses"][0]["state"]
    assert await page.do("redis", "thaw") == "up"
    await healthy(health)
    assert await page.do("redis", "stop") == "down"
    old = pod()
    delete(store, PODS, old, time.time())
    await until(lambda: pod()["metadata"]["uid"] != old["metadata"]["uid"] and is_ready(pod()))
    assert (await page.part("redis"))["state"] == "up"
    assert await page.do("redis-replica", "stop") == "down"
    assert await page.do("redis-replica", "start") == "up"


async def workloads_break_and_heal(practice: Practice, page: Page, health: str) -> None:
    """A pod that hangs has ended and is not replaced; a bad release leaves the old pods serving; both are put right."""
    assert practice.cluster is not None
    await practice.cluster.settled()
    assert await page.do("workloads", "stuck_pod") == "stuck"
    async with asyncio.timeout(40):
        while (await page.part("redis"))["state"] != "down":  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.05)
    assert await answers(health) == 503
    assert await page.do("workloads", "bad_release") == "stuck", "the first thing that is wrong"
    assert await page.do("workloads", "normal") == "normal"
    assert await page.do("workloads", "bad_release") == "bad release"
    assert "cannot be pulled" in (await page.part("workloads"))["detail"]
    assert await page.do("workloads", "normal") == "normal"
    await practice.cluster.settled()
    await healthy(health)


async def _an_intruder_comes_and_is_shut_out(practice: Practice, page: Page) -> None:
    """Inside until the stolen sign-ins are gone and the session of the database user is ended; each shows by itself."""
    assert await page.do("intruder", "start") == "inside"
    assert practice.postgres is not None
    async with await psycopg.AsyncConnection.connect(practice.env["DATABASE_URL"], autocommit=True) as database:
        await database.execute("DELETE FROM auth.sessions WHERE address IS NOT NULL")
    admin = await psycopg.AsyncConnection.connect(practice.postgres.admin_url, autocommit=True)
    async with admin:
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'backdoor'")

        async def out() -> bool:
            part = await page.part("intruder")
            return bool(part["state"] == "out" and "signed out" in part["detail"])

        async with asyncio.timeout(40):
            while not await out():  # noqa: ASYNC110 - they try again by themselves
                await asyncio.sleep(0.05)
        assert await page.do("intruder", "stop") == "normal"
        cursor = await admin.execute("SELECT FROM pg_roles WHERE rolname = 'backdoor'")
        assert await cursor.fetchone() is None


async def test_the_pair_its_data_and_its_backups_break() -> None:
    """Every way of harming the databases and S3 leads to its state, and the words say what is wrong."""
    async with (
        Practice(manifest=MANIFEST, parts={"postgres", "standby", "s3"}) as practice,
        aiohttp.ClientSession(practice.url) as client,
    ):
        page = Page(client)
        for part, action, state in (
            *(("standby", "lag", "lagging"), ("standby", "resume", "up")),
            *(("queries", "block", "blocking"), ("queries", "release", "normal")),
            *(("s3", "corrupt", "corrupt"), ("s3", "take", "up"), ("s3", "down", "down"), ("s3", "up", "up")),
            *(("data", "drop", "missing"), ("standby", "stop", "down"), ("postgres", "kill", "down")),
        ):
            assert await page.do(part, action) == state
        assert (await page.part("data"))["state"] == "unknown"
        assert await page.do("postgres", "start") == "up"
        assert (await page.part("data"))["detail"] == "no table canvases"
        assert await page.do("standby", "start") == "up"
        assert await page.do("postgres", "stop") == "down"
        assert practice.standby is not None
        async with await psycopg.AsyncConnection.connect(practice.standby.url) as database:
            await database.execute("SELECT pg_promote()")
        promoted = await page.part("standby")
        assert [action["name"] for action in promoted["actions"]] == ["stop"]
        assert (promoted["state"], promoted["detail"]) == ("promoted", f"port {practice.standby.port}, takes writes")
        status, answer = await page.post("do", part="standby", action="lag")
        assert (status, answer["error"]) == (400, "The standby was promoted: it follows nobody, so it cannot lag.")


async def test_pagerduty_goes_down_and_comes_back(light: tuple[Practice, Page]) -> None:
    """Down refuses connections on its own port, refuse refuses writes, slow adds latency, up is normal again."""
    practice, page = light
    users = f"{practice.env['PAGERDUTY_API_URL']}/users"
    key = {"Authorization": f"Token token={practice.env['PAGERDUTY_API_KEY']}"}
    assert await answers(users, headers=key) == 200
    assert await page.do("pagerduty", "down") == "down"
    assert await answers(users, headers=key) == "ClientConnectorError"
    assert await page.do("pagerduty", "refuse") == "refusing"
    assert await answers(users, headers=key) == 200
    assert practice.pagerduty.faults.fail["writes"].kind == "refuse"
    assert await page.do("pagerduty", "slow") == "slow"
    assert practice.pagerduty.faults.latency > 0
    assert await page.do("pagerduty", "up") == "up"
    assert await answers(users, headers=key) == 200


@pytest.mark.parametrize(
    ("action", "state"),
    [("slow", "slow"), ("ratelimit", "rate limited"), ("down", "down"), ("silent", "silent")],
)
async def test_slack_is_broken_in_every_way(light: tuple[Practice, Page], action: str, state: str) -> None:
    """Each way leads to its state and from there back to normal."""
    practice, page = light
    assert await page.do("slack", action) == state
    assert await page.do("slack", "normal") == "up"
    assert (practice.slack.faults.latency, practice.slack.faults.fail) == (0.0, {})


async def test_the_bot_is_killed_started_and_stopped(light: tuple[Practice, Page]) -> None:
    """kill -9 ends it at once, start gives a new process, stop ends it; each shows under `bot`."""
    practice, page = light
    first = (await page.state())["bot"]["pid"]
    assert await page.do("bot", "kill") == "down"
    assert practice.bot.returncode == -9
    assert (await page.state())["bot"] == {"state": "stopped", "pid": None}
    assert await page.do("bot", "start") == "up"
    assert await practice.bot.ready(60)
    assert (await page.state())["bot"]["pid"] not in (None, first)
    assert await page.do("bot", "stop") == "down"


async def test_turning_the_clock_restarts_the_bot(light: tuple[Practice, Page]) -> None:
    """A new practice clock reaches PagerDuty, Slack and a new bot process; nonsense is refused."""
    practice, page = light
    first = practice.bot.pid
    assert await page.post("clock", seconds_per_minute=6) == (200, {"ok": True})
    state = await page.state()
    assert state["clock"] == {"seconds_per_minute": 6.0, "choices": [60, 15, 6, 1]}
    assert practice.env["BOT_SECONDS_PER_MINUTE"] == "6"
    assert (practice.pagerduty.account.pace, practice.slack.seconds_per_minute) == (0.1, 6.0)
    assert practice.bot.pid not in (None, first)
    assert (await page.post("clock", seconds_per_minute=0))[0] == 400
    assert (await page.post("clock", seconds_per_minute="fast"))[0] == 400


async def test_open_pages_are_told_to_look_again(light: tuple[Practice, Page]) -> None:
    """A change on the panel and a ringing phone reach the page's socket as `panel` and `phone`."""
    practice, page = light
    async with (
        aiohttp.ClientSession(practice.url) as client,
        client.ws_connect("/ui/socket", params={"user": "U0ANA"}) as socket,
    ):
        await page.do("slack", "slow")
        assert (await socket.receive_json(timeout=40))["type"] == "panel"
        await page.do("slack", "normal")
        assert (await socket.receive_json(timeout=40))["type"] == "panel"
        ana = practice.pagerduty.people["PANAORT"]
        practice.pagerduty.account.trigger(0.0, ana, title="Checkout is down", key="INC-1")
        assert (await socket.receive_json(timeout=40))["type"] == "phone"


async def test_what_does_not_exist_is_refused(light: tuple[Practice, Page]) -> None:
    """Unknown parts and actions are 400 with a sentence; parts that do not run are not on the panel."""
    _, page = light
    for part, action in (("postgres", "stop"), ("slack", "explode"), ("moon", "start")):
        status, answer = await page.post("do", part=part, action=action)
        assert (status, answer["error"][-1]) == (400, ".")
    assert [part["name"] for part in (await page.state())["parts"]] == ["pagerduty", "slack", "bot"]


async def test_the_pages_are_served(light: tuple[Practice, Page]) -> None:
    """The page is at `/`, never cached; PagerDuty's links and the vendors' status pages lead somewhere."""
    practice, _ = light
    ana = practice.pagerduty.people["PANAORT"]
    incident = practice.pagerduty.account.trigger(0.0, ana, title="<b>Checkout</b>", key="INC-1")
    async with aiohttp.ClientSession() as client:
        async with client.get(practice.url) as response:
            assert response.status == 200
            assert response.headers["Cache-Control"] in ("no-store", "no-cache")
        link = practice.pagerduty.account.shapes.incident(incident)["html_url"]
        async with client.get(link) as response:
            assert "&lt;b&gt;Checkout" in await response.text()
        async with client.get(practice.env["TOGETHER_STATUS_URL"]) as response:
            assert (await response.json())["status"]["indicator"] == "none"
