"""What goes wrong on purpose, and rate limits."""

from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import FaultSpec
from tests.sandbox.slack_stage import Clock, Stage, connected, error_of, staged, until

ROOM = "C0INCIDENTS"


async def _said(slack: Stage) -> list[str]:
    return [m["text"] for m in await slack.person().messages(ROOM)]


def _post(client: AsyncWebClient) -> Any:
    return client.chat_postMessage(channel=ROOM, text="x")


async def test_drop_loses_the_call_and_lost_only_the_answer() -> None:
    """Dropped: nothing happened. Lost: it happened, and nobody was told. Both are recorded."""
    async with staged() as slack:
        client = slack.web()
        slack.ws.faults.fail["chat.postMessage"] = FaultSpec("drop", times=1)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await _post(client)
        assert await _said(slack) == []
        slack.ws.faults.fail["chat.postMessage"] = FaultSpec("lost", times=1)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await _post(client)
        assert await _said(slack) == ["x"]
        assert await error_of(_post(client)) == ""
        assert [call.result for call in slack.ws.calls] == ["drop", "ok", "ok"]


async def test_http_errors_internal_errors_and_429_are_answered_as_slack_does() -> None:
    """5xx by status, internal_error at 200, ratelimited at 429 with Retry-After; each as often as it was set."""
    async with staged() as slack:
        client = slack.web()
        for kind, status in (("http_500", 500), ("http_503", 503), ("internal_error", 200), ("ratelimited", 429)):
            slack.ws.faults.fail["*"] = FaultSpec(kind, times=2, retry_after=7)  # type: ignore[arg-type]
            for _ in range(2):
                with pytest.raises(SlackApiError) as refusal:
                    await _post(client)
                assert refusal.value.response.status_code == status
            if kind == "ratelimited":
                assert refusal.value.response.headers["Retry-After"] == "7"
        assert await error_of(_post(client)) == ""
        assert await _said(slack) == ["x"]


async def test_hang_never_answers_and_ends_with_the_caller() -> None:
    """The caller's own deadline is the only way out."""
    async with staged() as slack:
        client = slack.web()
        client.timeout = 1
        slack.ws.faults.fail["auth.test"] = FaultSpec("hang")
        with pytest.raises(TimeoutError):
            await client.auth_test()
        assert await error_of(_post(slack.web())) == ""


async def test_latency_is_added_to_each_call() -> None:
    """The wait comes before the call is done."""
    async with staged() as slack:
        slack.ws.faults.latency = 0.9
        client = slack.web()
        client.timeout = 0.3  # type: ignore[assignment]
        with pytest.raises(TimeoutError):
            await client.auth_test()
        slack.ws.faults.latency = 0.0
        assert await error_of(slack.web().auth_test()) == ""


async def test_down_refuses_calls_and_cuts_sockets_until_it_is_over() -> None:
    """Nothing gets through while Slack is down; afterwards the SDK is back by itself."""
    async with staged() as slack:
        app = slack.bolt()
        async with connected(slack, app):
            slack.ws.faults.down = True
            await until(lambda: not slack.ws.sockets.connections)
            with pytest.raises(aiohttp.ClientConnectionError):
                await _post(slack.web())
            slack.ws.faults.down = False
            await until(lambda: slack.ws.sockets.connections)


async def test_a_ghost_takes_its_share_and_the_click_is_lost() -> None:
    """With nine ghosts beside one socket most commands time out, none is delivered twice."""
    async with staged() as slack:
        app, calls = slack.bolt(), []

        @app.command("/raw")
        async def raw(ack: Any) -> None:
            calls.append(1)
            await ack()

        async with connected(slack, app):
            slack.ws.sockets.ack_timeout = 0.05
            slack.ws.faults.ghost = 1_000_000  # any of them is picked
            answer = await slack.person().post("command", channel="C0GENERAL", command="/raw", text="")
            assert answer["error"] == "operation_timeout"
            slack.ws.sockets.ack_timeout = 3.0
            slack.ws.faults.ghost = 0
            assert (await slack.person().post("command", channel="C0GENERAL", command="/raw", text=""))["ok"]
        assert calls == [1]


async def test_faults_can_be_set_over_http() -> None:
    """Tests in another process switch them at /ui/faults and read the calls at /ui/calls."""
    async with staged() as slack:
        ana = slack.person()
        await ana.post("faults", fail={"auth.test": {"kind": "internal_error", "times": 1}})
        assert await error_of(slack.web().auth_test()) == "internal_error"
        assert [call["result"] for call in (await ana.get("calls"))["calls"]] == ["internal_error"]
        assert "No such fault" in (await ana.post("faults", fail={"*": {"knd": "drop"}}))["error"]


async def test_each_method_has_its_own_minute() -> None:
    """Tier 2 is twenty calls in sixty seconds; then 429 with the seconds to wait, for that method alone."""
    clock = Clock()
    async with staged(rate_limits=True, clock=clock) as slack:
        client = slack.web()
        for _ in range(20):
            await client.conversations_list()
            clock.now += 1
        with pytest.raises(SlackApiError) as refusal:
            await client.conversations_list()
        assert refusal.value.response.status_code == 429
        assert refusal.value.response.headers["Retry-After"] == "40"
        assert await error_of(client.conversations_info(channel=ROOM)) == ""
        clock.now += 40
        assert await error_of(client.conversations_list()) == ""


async def test_a_channel_takes_a_short_burst_then_one_post_a_second() -> None:
    """Five posts at once, the sixth must wait; another channel need not."""
    clock = Clock()
    async with staged(rate_limits=True, clock=clock) as slack:
        client = slack.web()
        assert [await error_of(_post(client)) for _ in range(6)] == [""] * 5 + ["ratelimited"]
        assert await error_of(client.chat_postMessage(channel="C0STATUS", text="x")) == ""
        clock.now += 1
        assert [await error_of(_post(client)) for _ in range(2)] == ["", "ratelimited"]
        slack.ws.set_rate_limits(False)
        assert await error_of(_post(client)) == ""
