"""Socket Mode, driven by the real bolt app."""

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.sandbox.slack_stage import connected, manifest, pushed, soon, staged, until, watching

BUTTON = {
    "type": "actions",
    "block_id": "row",
    "elements": [
        {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}, "value": "INC-1"},
    ],
}
MODAL = {
    "type": "modal",
    "callback_id": "declare",
    "title": {"type": "plain_text", "text": "Declare"},
    "submit": {"type": "plain_text", "text": "Declare"},
    "private_metadata": "C0GENERAL",
    "blocks": [
        {
            "type": "input",
            "block_id": "title",
            "label": {"type": "plain_text", "text": "Title"},
            "element": {"type": "plain_text_input", "action_id": "value", "max_length": 50},
        }
    ],
}


async def test_a_slash_command_opens_a_modal_whose_errors_and_submit_reach_the_person() -> None:
    """Command, views.open, an error under a field, a corrected submit: the whole of a declaration."""
    async with staged() as slack:
        app = slack.bolt()

        @app.command("/incident")
        async def incident(ack: Any, body: Any, client: Any) -> None:
            await ack()
            await client.views_open(trigger_id=body["trigger_id"], view=MODAL)

        @app.view("declare")
        async def declare(ack: Any, view: Any, client: Any) -> None:
            title = view["state"]["values"]["title"]["value"]["value"]
            if title == "no":
                await ack(response_action="errors", errors={"title": "Say more."})
                return
            await ack()
            await client.chat_postMessage(channel="C0INCIDENTS", text=title)

        ana = slack.person()
        async with connected(slack, app), watching(ana) as screen:
            done = await ana.post("command", channel="C0GENERAL", command="/incident", text="declare")
            assert done["ok"]
            assert 0 <= done["acked_ms"] < 3_000
            view = (await pushed(screen, "view_open"))["view"]

            empty = await ana.post("view/submit", view_id=view["id"], values={})
            assert empty["errors"] == {"title": "Please complete this required field."}
            values = {"title": {"value": {"type": "plain_text_input", "value": "no"}}}
            refused = await ana.post("view/submit", view_id=view["id"], values=values)
            assert refused["errors"] == {"title": "Say more."}
            assert [v["id"] for v in await ana.views()] == [view["id"]]
            values["title"]["value"]["value"] = "Checkout is down"
            accepted = await ana.post("view/submit", view_id=view["id"], values=values)
            assert accepted["ok"]
            assert await ana.views() == []
            said = await pushed(screen, "message")
            assert (said["message"]["text"], said["channel"]) == ("Checkout is down", "C0INCIDENTS")


async def test_a_click_carries_its_message_and_can_be_answered_five_times() -> None:
    """A button's payload is whole; its response_url works five times, to the person alone by default."""
    async with staged() as slack:
        app = slack.bolt()
        statuses: asyncio.Queue[int] = asyncio.Queue()
        bodies: asyncio.Queue[Any] = asyncio.Queue()

        @app.action("go")
        async def go(ack: Any, body: Any, respond: Any) -> None:
            await ack()
            bodies.put_nowait(body)
            for number in range(6):
                statuses.put_nowait((await respond(f"answer {number}")).status_code)

        ana, ben = slack.person("U0ANA"), slack.person("U0BEN")
        posted = await slack.web().chat_postMessage(channel="C0INCIDENTS", text="Board", blocks=[BUTTON])
        async with connected(slack, app):
            at = {"type": "message", "channel": "C0INCIDENTS", "ts": posted["ts"]}
            assert (await ana.click(at, "row", "go"))["ok"]
            body = await soon(bodies)
            assert body["container"] == {
                "type": "message",
                "message_ts": posted["ts"],
                "channel_id": "C0INCIDENTS",
                "is_ephemeral": False,
            }
            assert body["actions"][0]["value"] == "INC-1"
            assert body["user"]["id"] == "U0ANA"
            assert body["message"]["text"] == "Board"
            assert [await soon(statuses) for _ in range(6)] == [200] * 5 + [404]
        mine = [m for m in await ana.messages("C0INCIDENTS") if m["ephemeral"]]
        assert [m["text"] for m in mine] == [f"answer {n}" for n in range(5)]
        assert not [m for m in await ben.messages("C0INCIDENTS") if m["ephemeral"]]


async def test_response_urls_replace_and_delete_the_original() -> None:
    """replace_original edits the clicked message, delete_original removes it, ephemeral ones included."""
    async with staged() as slack:
        app = slack.bolt()

        @app.action("go")
        async def go(ack: Any, respond: Any, body: Any) -> None:
            await ack()
            if body["container"]["is_ephemeral"]:
                await respond(delete_original=True)
            else:
                await respond("Done", replace_original=True)

        client, ana = slack.web(), slack.person()
        async with connected(slack, app), watching(ana) as screen:
            posted = await client.chat_postMessage(channel="C0INCIDENTS", text="Board", blocks=[BUTTON])
            await ana.click({"type": "message", "channel": "C0INCIDENTS", "ts": posted["ts"]}, "row", "go")
            changed = await pushed(screen, "message_changed")
            assert (changed["message"]["text"], changed["message"]["blocks"]) == ("Done", [])

            whispered = await client.chat_postEphemeral(
                channel="C0INCIDENTS", user="U0ANA", text="Only you", blocks=[BUTTON]
            )
            at = {"type": "ephemeral", "channel": "C0INCIDENTS", "ts": whispered["message_ts"]}
            await ana.click(at, "row", "go")
            assert (await pushed(screen, "ephemeral_deleted"))["ts"] == whispered["message_ts"]


async def test_a_command_acknowledged_with_text_is_shown_to_the_person_alone() -> None:
    """The ack's message is ephemeral unless it says in_channel; mentions arrive escaped when the manifest asks."""
    async with staged() as slack:
        app = slack.bolt()
        texts: asyncio.Queue[str] = asyncio.Queue()

        @app.command("/incident")
        async def incident(ack: Any, command: Any) -> None:
            texts.put_nowait(command["text"])
            await ack(text="Hello", response_type="in_channel" if "loud" in command["text"] else "ephemeral")

        ana = slack.person()
        async with connected(slack, app):
            await ana.post("message", channel="C0GENERAL", text="/incident quiet @ben <b> #incidents")
            await ana.post("command", channel="C0GENERAL", command="/incident", text="loud")
        assert await soon(texts) == "quiet <@U0BEN> &lt;b&gt; <#C0INCIDENTS|incidents>"
        assert [(m["text"], m["ephemeral"]) for m in await ana.messages("C0GENERAL")] == [
            ("Hello", True),
            ("Hello", False),
        ]


async def test_nobody_there_is_dispatch_failed_and_silence_is_operation_timeout() -> None:
    """A click is tried once: without a socket it fails at once, without an ack after the deadline; both are told."""
    async with staged() as slack:
        ana = slack.person()
        slack.ws.sockets.ack_timeout = 0.2
        async with watching(ana) as screen:
            failed = await ana.post("command", channel="C0GENERAL", command="/raw", text="")
            assert (failed["ok"], failed["error"]) == (False, "dispatch_failed")
            assert "dispatch_failed" in (await pushed(screen, "toast"))["text"]
            app = slack.bolt()
            calls = []

            @app.command("/raw")
            async def raw() -> None:
                calls.append(1)

            async with connected(slack, app):
                late = await ana.post("command", channel="C0GENERAL", command="/raw", text="")
                assert (late["ok"], late["error"]) == (False, "operation_timeout")
                assert "operation_timeout" in (await pushed(screen, "toast"))["text"]
                await until(lambda: calls)
        assert calls == [1]


async def test_an_unacknowledged_event_comes_again_three_times_with_the_same_id() -> None:
    """Retries carry the same event_id and count 1..3; then Slack gives up."""
    async with staged(seconds_per_minute=0.01) as slack:
        slack.ws.sockets.ack_timeout = 0.05
        app = slack.bolt()
        seen: asyncio.Queue[Any] = asyncio.Queue()

        @app.middleware
        async def refuse(body: Any, request: Any, next: Any) -> None:  # noqa: A002 -- bolt's names
            seen.put_nowait((body["event_id"], request.headers["x-slack-retry-num"][0]))
            raise RuntimeError("not stored")

        async with connected(slack, app):
            await slack.person().post("message", channel="C0INCIDENTS", text="hello")
            got = [await soon(seen) for _ in range(4)]
        assert len({event_id for event_id, _ in got}) == 1
        assert [number for _, number in got] == ["0", "1", "2", "3"]


async def test_each_envelope_goes_to_one_connection() -> None:
    """Two sockets share the work; nothing is handled twice."""
    async with staged() as slack:
        app = slack.bolt()
        heard: asyncio.Queue[str] = asyncio.Queue()

        @app.event("message")
        async def said(event: Any) -> None:
            heard.put_nowait(event["text"])

        async with connected(slack, app, sockets=2):
            for number in range(20):
                await slack.person().post("message", channel="C0INCIDENTS", text=f"m{number}")
            got = [await soon(heard) for _ in range(20)]
        assert sorted(got) == sorted(f"m{n}" for n in range(20))
        assert heard.empty()


@pytest.mark.parametrize("reason", ["warning", "refresh_requested", "link_disabled"])
async def test_a_refreshed_connection_is_followed_by_a_new_one(reason: str) -> None:
    """Whatever the reason of the disconnect frame, the SDK asks for a new URL and events go on."""
    async with staged(seconds_per_minute=0.1) as slack:
        app = slack.bolt()
        heard: asyncio.Queue[str] = asyncio.Queue()

        @app.event("message")
        async def said(event: Any) -> None:
            heard.put_nowait(event["text"])

        async with connected(slack, app):
            (old,) = slack.ws.sockets.connections
            await slack.ws.sockets.disconnect(reason)
            await until(lambda: slack.ws.sockets.connections not in ([], [old]))
            await slack.person().post("message", channel="C0INCIDENTS", text="still here")
            assert await soon(heard) == "still here"


async def test_the_eleventh_connection_is_refused_and_ghosts_count() -> None:
    """Ten connections an app, ghosts among them; one more is told too_many_websockets."""
    async with staged() as slack:
        slack.ws.faults.ghost = 9
        opened = await slack.web(slack.ws.app_token).apps_connections_open(app_token=slack.ws.app_token)
        async with slack.session.ws_connect(opened["url"]) as first:
            assert (await first.receive_json())["num_connections"] == 10
            opened = await slack.web().apps_connections_open(app_token=slack.ws.app_token)
            async with slack.session.ws_connect(opened["url"]) as second:
                assert (await second.receive_json())["reason"] == "too_many_websockets"


async def test_a_connection_ends_when_its_lifetime_is_over() -> None:
    """It is told refresh_requested, and cut ten scaled seconds later."""
    async with staged(seconds_per_minute=0.1) as slack:
        slack.ws.sockets.lifetime = 0.05
        opened = await slack.web().apps_connections_open(app_token=slack.ws.app_token)
        async with slack.session.ws_connect(opened["url"]) as wire:
            assert (await wire.receive_json())["type"] == "hello"
            assert (await wire.receive_json())["reason"] == "refresh_requested"
            assert (await wire.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_a_ticket_is_good_once() -> None:
    """The URL of apps.connections.open cannot be used again."""
    async with staged() as slack:
        opened = await slack.web().apps_connections_open(app_token=slack.ws.app_token)
        async with slack.session.ws_connect(opened["url"]) as wire:
            assert (await wire.receive_json())["type"] == "hello"
        async with slack.session.get(opened["url"].replace("ws", "http", 1)) as again:
            assert again.status == 403


async def test_a_silent_socket_neither_delivers_nor_answers_pings() -> None:
    """With socket_silent the SDK finds the connection stale and builds a new one; normal again, events flow."""
    async with staged() as slack:
        app = slack.bolt()
        heard: asyncio.Queue[str] = asyncio.Queue()

        @app.event("message")
        async def said(event: Any) -> None:
            heard.put_nowait(event["text"])

        async with connected(slack, app):
            (old,) = slack.ws.sockets.connections
            slack.ws.faults.socket_silent = True
            await until(lambda: old not in slack.ws.sockets.connections)
            slack.ws.faults.socket_silent = False
            await until(lambda: slack.ws.sockets.connections)
            await slack.person().post("message", channel="C0INCIDENTS", text="awake")
            assert await soon(heard) == "awake"


async def test_only_subscribed_events_of_channels_with_the_bot_arrive() -> None:
    """No membership, no scope or no subscription: no event. A mention is two events."""
    async with staged(manifest(events="message.channels app_mention reaction_added")) as slack:
        app = slack.bolt()
        heard: asyncio.Queue[Any] = asyncio.Queue()

        @app.event("message")
        @app.event("app_mention")
        @app.event("reaction_added")
        async def any_of_them(event: Any) -> None:
            heard.put_nowait((event["type"], event.get("text", event.get("reaction"))))

        ana = slack.person()
        async with connected(slack, app):
            await ana.post("message", channel="C0GENERAL", text="the bot is not here")
            said = await ana.post("message", channel="C0INCIDENTS", text="@recovery-bot help")
            await ana.post("pin", channel="C0INCIDENTS", ts=said["ts"], add=True)
            await ana.post("react", channel="C0INCIDENTS", ts=said["ts"], name="pushpin", add=True)
            got = [await soon(heard) for _ in range(3)]
        assert sorted(got) == [
            ("app_mention", "<@U0BOT> help"),
            ("message", "<@U0BOT> help"),
            ("reaction_added", "pushpin"),
        ]
        assert heard.empty()
