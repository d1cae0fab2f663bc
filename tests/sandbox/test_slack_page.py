"""What the page asks and is told."""

import asyncio
from typing import Any

from tests.sandbox.slack_stage import connected, pushed, soon, staged, watching


async def test_the_boot_describes_team_people_channels_and_app() -> None:
    """Everything a page needs to start, in one answer."""
    async with staged(seconds_per_minute=6.0) as slack:
        boot = await slack.person().get("boot")
        assert boot["team"] == {"id": "T0VALUE", "name": "ValueCanvas"}
        assert boot["me"]["initials"] == "AO"
        assert {u["id"] for u in boot["users"]} == {
            "U0ANA", "U0BEN", "U0CHLOE", "U0DEV", "U0EVA", "U0FRANK", "U0GRACE", "U0BOT",
        }  # fmt: skip
        assert {c["name"] for c in boot["channels"]} == {"general", "incidents", "status", "engineering"}
        assert [c["command"] for c in boot["commands"]] == ["/incident", "/raw"]
        assert boot["app"]["home_enabled"]
        assert not boot["app"]["connected"]
        assert boot["practice"] == {"seconds_per_minute": 6.0}


async def test_unread_counts_grow_with_messages_and_end_with_reading() -> None:
    """A message counts for everybody but its author; a mention is marked; reading ends both."""
    async with staged() as slack:
        ana, ben = slack.person("U0ANA"), slack.person("U0BEN")

        async def general(who: Any) -> tuple[int, bool]:
            (found,) = [c for c in (await who.get("boot"))["channels"] if c["id"] == "C0GENERAL"]
            return found["unread"], found["has_mention"]

        await ana.post("message", channel="C0GENERAL", text="hello")
        assert (await general(ana), await general(ben)) == ((0, False), (1, False))
        last = await ana.post("message", channel="C0GENERAL", text="@ben and @approvers")
        assert await general(ben) == (2, True)
        assert await general(slack.person("U0DEV")) == (2, True)
        assert await general(slack.person("U0GRACE")) == (2, False)
        await ben.post("read", channel="C0GENERAL", ts=last["ts"])
        assert await general(ben) == (0, False)


async def test_typed_text_is_escaped_and_its_names_become_tokens() -> None:
    """What people type can hold no markup of Slack's own but what they meant."""
    async with staged() as slack:
        ana = slack.person()
        await ana.post("message", channel="C0GENERAL", text="<b> & @ben #incidents https://x.example/?a=1&b=2 @nobody")
        (message,) = await ana.messages("C0GENERAL")
        assert message["text"] == (
            "&lt;b&gt; &amp; <@U0BEN> <#C0INCIDENTS|incidents> <https://x.example/?a=1&amp;b=2> @nobody"
        )


async def test_edits_deletions_and_threads_are_pushed() -> None:
    """Everybody's page follows: message, message_changed (the parent of a reply too), message_deleted."""
    async with staged() as slack:
        ana, ben = slack.person("U0ANA"), slack.person("U0BEN")
        async with watching(ben) as screen:
            ts = (await ana.post("message", channel="C0GENERAL", text="one"))["ts"]
            assert (await pushed(screen, "message"))["message"]["text"] == "one"
            reply = (await ana.post("message", channel="C0GENERAL", text="reply", thread_ts=ts))["ts"]
            assert (await pushed(screen, "message"))["message"]["thread_ts"] == ts
            assert (await pushed(screen, "message_changed"))["message"]["reply_count"] == 1
            await ana.post("edit", channel="C0GENERAL", ts=ts, text="two")
            assert (await pushed(screen, "message_changed"))["message"]["edited"]
            await ana.post("delete", channel="C0GENERAL", ts=reply)
            assert (await pushed(screen, "message_deleted"))["ts"] == reply
        assert await ben.post("edit", channel="C0GENERAL", ts=ts, text="x") == {"error": "That is not your message."}


async def test_the_app_hears_edits_deletions_joins_and_topics_as_subtypes() -> None:
    """message_changed and message_deleted carry the message before; Slack's own lines have their subtype."""
    async with staged() as slack:
        app, ana = slack.bolt(), slack.person()
        heard: asyncio.Queue[Any] = asyncio.Queue()

        @app.event("message")
        async def said(event: Any) -> None:
            heard.put_nowait(event)

        @app.event("member_left_channel")
        @app.event("member_joined_channel")
        async def moved(event: Any) -> None:
            heard.put_nowait(event)

        async with connected(slack, app):
            ts = (await ana.post("message", channel="C0INCIDENTS", text="one"))["ts"]
            await soon(heard)
            await ana.post("edit", channel="C0INCIDENTS", ts=ts, text="two")
            changed = await soon(heard)
            assert (changed["subtype"], changed["message"]["text"], changed["previous_message"]["text"]) == (
                "message_changed", "two", "one",
            )  # fmt: skip
            await ana.post("delete", channel="C0INCIDENTS", ts=ts)
            deleted = await soon(heard)
            assert (deleted["subtype"], deleted["deleted_ts"]) == ("message_deleted", ts)
            await ana.post("leave", channel="C0INCIDENTS")
            await ana.post("join", channel="C0INCIDENTS")
            kinds = [await soon(heard) for _ in range(4)]
        assert {(event["type"], event.get("subtype")) for event in kinds} == {
            ("message", "channel_leave"),
            ("member_left_channel", None),
            ("message", "channel_join"),
            ("member_joined_channel", None),
        }


async def test_the_apps_own_messages_come_back_to_it_with_its_own_ids() -> None:
    """The wire carries them; bolt filters them by bot_id and user."""
    async with staged() as slack:
        opened = await slack.web().apps_connections_open(app_token=slack.ws.app_token)
        async with slack.session.ws_connect(opened["url"]) as wire:
            assert (await wire.receive_json())["type"] == "hello"
            await slack.web().chat_postMessage(channel="C0INCIDENTS", text="mine")
            envelope = await wire.receive_json()
            await wire.send_json({"envelope_id": envelope["envelope_id"]})
        assert (envelope["type"], envelope["retry_attempt"], envelope["accepts_response_payload"]) == (
            "events_api", 0, False,
        )  # fmt: skip
        event = envelope["payload"]["event"]
        assert (event["type"], event["user"], event["bot_id"]) == ("message", "U0BOT", "B0BOT")


async def test_selecting_in_a_message_keeps_the_state_for_that_person() -> None:
    """state.values holds what this person has chosen in this message so far."""
    async with staged() as slack:
        app, ana = slack.bolt(), slack.person()
        heard: asyncio.Queue[Any] = asyncio.Queue()

        @app.action("level")
        @app.action("save")
        async def chosen(ack: Any, body: Any) -> None:
            await ack()
            heard.put_nowait(body["state"]["values"])

        option = {"text": {"type": "plain_text", "text": "P1"}, "value": "P1"}
        select = {"type": "static_select", "action_id": "level", "options": [option]}
        save = {"type": "button", "action_id": "save", "text": {"type": "plain_text", "text": "Save"}}
        block = {"type": "actions", "block_id": "row", "elements": [select, save]}
        ts = (await slack.web().chat_postMessage(channel="C0INCIDENTS", text="x", blocks=[block]))["ts"]
        at = {"type": "message", "channel": "C0INCIDENTS", "ts": ts}
        async with connected(slack, app):
            await ana.click(at, "row", "level", selected_option=option)
            await ana.click(at, "row", "save")
            for _ in range(2):
                assert (await soon(heard))["row"]["level"]["selected_option"] == option
            await slack.person("U0BEN").click(at, "row", "save")
            assert (await soon(heard))["row"]["level"]["selected_option"] is None
            gone = await ana.click(at, "row", "other")
        assert gone == {"error": "That control is no longer there."}


async def test_a_page_is_told_when_the_app_comes_and_goes() -> None:
    """`connected` follows the sockets."""
    async with staged() as slack, watching(slack.person()) as screen:
        async with connected(slack, slack.bolt()):
            assert (await pushed(screen, "app"))["connected"] is True
        assert (await pushed(screen, "app"))["connected"] is False


async def test_an_unknown_command_or_a_command_in_a_thread_never_reaches_the_app() -> None:
    """Slack answers an unknown command itself; in a thread the line is an ordinary message."""
    async with staged() as slack:
        ana = slack.person()
        unknown = await ana.post("message", channel="C0GENERAL", text="/incidnet declare")
        assert unknown == {"error": "/incidnet is not a valid command."}
        ts = (await ana.post("message", channel="C0GENERAL", text="one"))["ts"]
        await ana.post("message", channel="C0GENERAL", text="/incident ack", thread_ts=ts)
        thread = await ana.messages("C0GENERAL", thread_ts=ts)
        assert [m["text"] for m in thread] == ["one", "/incident ack"]
