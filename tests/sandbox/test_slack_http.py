"""Delivery over HTTP, to bolt's own web server and to one that misbehaves."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from sandbox.slack.http_events import signature
from tests.sandbox.slack_stage import PATIENCE, Stage, manifest, pushed, soon, staged, watching


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/slack/events"
    finally:
        await runner.cleanup()


class Odd:
    """A request URL that answers events as it is told: a status, or silence."""

    def __init__(self, *, headers: dict[str, str] | None = None, status: int = 500) -> None:
        self.headers, self.status = headers, status
        self.got: asyncio.Queue[web.Request] = asyncio.Queue()
        self.bodies: list[bytes] = []
        self.app = web.Application()
        self.app.router.add_post("/slack/events", self.answer)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.content_type == "application/json" and (challenge := json.loads(body).get("challenge")):
            return web.json_response({"challenge": challenge})
        self.bodies.append(body)
        self.got.put_nowait(request)
        return web.Response(status=self.status, headers=self.headers)


async def test_bolt_over_http_gets_commands_clicks_and_events() -> None:
    """The same story as over the socket, with bolt checking every signature."""
    async with staged(manifest(socket_mode=False), events_url="http://127.0.0.1:1/slack/events") as slack:
        app = slack.bolt()
        heard: asyncio.Queue[Any] = asyncio.Queue()

        @app.command("/incident")
        async def incident(ack: Any, body: Any, client: Any) -> None:
            await ack("Declaring")
            block = {
                "type": "actions",
                "block_id": "row",
                "elements": [{"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}],
            }
            await client.chat_postMessage(channel="C0INCIDENTS", text=body["text"], blocks=[block])

        @app.action("go")
        async def go(ack: Any, body: Any) -> None:
            await ack()
            heard.put_nowait(body["user"]["id"])

        @app.event("reaction_added")
        async def reacted(event: Any) -> None:
            heard.put_nowait(event["reaction"])

        @app.event("message")
        async def said() -> None: ...

        ana = slack.person()
        async with served(app.web_app(path="/slack/events")) as url, watching(ana) as screen:
            _point(slack, url)
            assert (await ana.post("command", channel="C0GENERAL", command="/incident", text="P1"))["ok"]
            assert slack.ws.connected
            assert [m["text"] for m in await ana.messages("C0GENERAL")] == ["Declaring"]
            message = (await pushed(screen, "message"))["message"]
            at = {"type": "message", "channel": "C0INCIDENTS", "ts": message["ts"]}
            assert (await ana.click(at, "row", "go"))["ok"]
            assert await soon(heard) == "U0ANA"
            await ana.post("react", channel="C0INCIDENTS", ts=message["ts"], name="pushpin", add=True)
            assert await soon(heard) == "pushpin"


def _point(slack: Stage, url: str) -> None:
    assert slack.ws.http is not None
    slack.ws.http.url = url


async def test_a_failed_event_is_repeated_with_slacks_headers_and_a_valid_signature() -> None:
    """Attempts carry x-slack-retry-num 1..3 and the reason; every body is signed over its exact bytes."""
    odd = Odd()
    async with (
        served(odd.app) as url,
        staged(events_url=url, seconds_per_minute=0.01, signing_secret="s3cret") as slack,
    ):
        await slack.person().post("message", channel="C0INCIDENTS", text="héllo")
        requests = [await soon(odd.got) for _ in range(4)]
        assert [request.headers.get("X-Slack-Retry-Num") for request in requests] == [None, "1", "2", "3"]
        assert {request.headers.get("X-Slack-Retry-Reason") for request in requests[1:]} == {"http_error"}
        assert len({json.loads(body)["event_id"] for body in odd.bodies}) == 1
        for request, body in zip(requests, odd.bodies, strict=True):
            stamp = request.headers["X-Slack-Request-Timestamp"]
            assert request.headers["X-Slack-Signature"] == signature("s3cret", stamp, body)


async def test_no_retry_ends_the_retries() -> None:
    """x-slack-no-retry: 1 on a failure is respected."""
    odd = Odd(headers={"x-slack-no-retry": "1"})
    async with served(odd.app) as url, staged(events_url=url, seconds_per_minute=0.001) as slack:
        for text in ("one", "two"):
            await slack.person().post("message", channel="C0INCIDENTS", text=text)
            await soon(odd.got)
        assert [json.loads(body)["event"]["text"] for body in odd.bodies] == ["one", "two"]


async def test_commands_are_forms_and_interactions_a_form_with_json() -> None:
    """The content types of the real Slack; a refusal is dispatch_failed and never repeated."""
    odd = Odd()
    async with served(odd.app) as url, staged(events_url=url) as slack:
        ana = slack.person()
        failed = await ana.post("command", channel="C0GENERAL", command="/raw", text="a b")
        assert failed["error"] == "dispatch_failed"
        await ana.post("shortcut", callback_id="declare_anywhere")
        command, shortcut = (parse_qs(body.decode()) for body in odd.bodies)
        assert (command["command"], command["text"], command["user_id"]) == (["/raw"], ["a b"], ["U0ANA"])
        assert json.loads(shortcut["payload"][0])["callback_id"] == "declare_anywhere"


async def test_an_unreachable_url_is_dispatch_failed_at_once() -> None:
    """Nobody listens: the person is told without waiting."""
    async with staged(manifest(socket_mode=False), events_url="http://127.0.0.1:1/slack/events") as slack:
        async with asyncio.timeout(PATIENCE):
            failed = await slack.person().post("command", channel="C0GENERAL", command="/raw", text="")
        assert failed["error"] == "dispatch_failed"
        assert not slack.ws.connected
