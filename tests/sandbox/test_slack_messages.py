"""Messages over the Web API, with the SDK's own client."""

import asyncio
import io
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.sandbox.slack_stage import Clock, connected, error_of, pushed, soon, staged, watching

ROOM = "C0INCIDENTS"
BLOCKS = [{"type": "section", "text": {"type": "mrkdwn", "text": "*Board*"}}]
METADATA = {"event_type": "recovery_effect", "event_payload": {"id": "E-1"}}


async def _message(client: AsyncWebClient, ts: str, **more: Any) -> dict[str, Any]:
    found = await client.conversations_history(channel=ROOM, oldest=ts, latest=ts, inclusive=True, **more)
    (message,) = found["messages"]
    shown: dict[str, Any] = message
    return shown


async def test_metadata_is_read_back_only_when_asked_for() -> None:
    """An effect's id travels in the metadata; history shows it with include_all_metadata."""
    async with staged() as slack:
        client = slack.web()
        posted = await client.chat_postMessage(channel=ROOM, text="x", metadata=METADATA)
        assert "metadata" not in await _message(client, posted["ts"])
        assert (await _message(client, posted["ts"], include_all_metadata=True))["metadata"] == METADATA
        await client.chat_update(channel=ROOM, ts=posted["ts"], text="y")
        assert (await _message(client, posted["ts"], include_all_metadata=True))["metadata"] == METADATA
        await client.api_call("chat.update", json={"channel": ROOM, "ts": posted["ts"], "text": "y", "metadata": {}})
        assert "metadata" not in await _message(client, posted["ts"], include_all_metadata=True)


async def test_update_drops_blocks_with_text_alone_and_keeps_them_without() -> None:
    """Text without blocks deletes the old blocks; neither keeps both; an empty list clears."""
    async with staged() as slack:
        client = slack.web()

        async def posted() -> str:
            return str((await client.chat_postMessage(channel=ROOM, text="a", blocks=BLOCKS))["ts"])

        async def after(**change: Any) -> tuple[str, bool]:
            ts = await posted()
            await client.api_call("chat.update", json={"channel": ROOM, "ts": ts, **change})
            message = await _message(client, ts)
            return message["text"], bool(message.get("blocks"))

        assert await after(text="b") == ("b", False)
        assert await after(text="b", blocks=BLOCKS) == ("b", True)
        assert await after(metadata=METADATA) == ("a", True)
        assert await after(blocks=[]) == ("a", False)
        assert await error_of(client.chat_update(channel=ROOM, ts=await posted(), text="x" * 4_001)) == "msg_too_long"


async def test_only_ones_own_messages_can_be_changed() -> None:
    """Somebody else's message and an ephemeral one are out of reach."""
    async with staged() as slack:
        client = slack.web()
        said = (await slack.person().post("message", channel=ROOM, text="mine"))["ts"]
        assert await error_of(client.chat_update(channel=ROOM, ts=said, text="x")) == "cant_update_message"
        assert await error_of(client.chat_delete(channel=ROOM, ts=said)) == "cant_delete_message"
        hidden = (await client.chat_postEphemeral(channel=ROOM, user="U0ANA", text="psst"))["message_ts"]
        assert await error_of(client.chat_update(channel=ROOM, ts=hidden, text="x")) == "message_not_found"
        assert await error_of(client.chat_delete(channel=ROOM, ts=hidden)) == "message_not_found"
        history = await client.conversations_history(channel=ROOM)
        assert [m["text"] for m in history["messages"]] == ["mine"]


async def test_history_pages_backwards_without_loss_while_messages_arrive() -> None:
    """Newest first, a cursor to the past that new messages do not shift; both ends are excluded unless inclusive."""
    async with staged(clock=Clock()) as slack:
        client = slack.web()
        stamps = [(await client.chat_postMessage(channel=ROOM, text=str(n)))["ts"] for n in range(7)]
        first = await client.conversations_history(channel=ROOM, limit=3)
        await client.chat_postMessage(channel=ROOM, text="new")
        cursor = first["response_metadata"]["next_cursor"]
        second = await client.conversations_history(channel=ROOM, limit=3, cursor=cursor)
        third = await client.conversations_history(
            channel=ROOM, limit=3, cursor=second["response_metadata"]["next_cursor"]
        )
        texts = [[m["text"] for m in page["messages"]] for page in (first, second, third)]
        assert texts == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
        assert (third["has_more"], third["response_metadata"]["next_cursor"]) == (False, "")
        between = await client.conversations_history(channel=ROOM, oldest=stamps[1], latest=stamps[4])
        assert [m["text"] for m in between["messages"]] == ["3", "2"]
        around = await client.conversations_history(channel=ROOM, oldest=stamps[1], latest=stamps[4], inclusive=True)
        assert [m["text"] for m in around["messages"]] == ["4", "3", "2", "1"]


async def test_replies_hang_on_their_parent_and_page_forwards() -> None:
    """A thread is its parent, then its replies; they are not in the channel unless broadcast."""
    async with staged() as slack:
        client = slack.web()
        parent = (await client.chat_postMessage(channel=ROOM, text="parent"))["ts"]
        for n in range(4):
            await client.chat_postMessage(channel=ROOM, text=str(n), thread_ts=parent, reply_broadcast=n == 3)
        first = await client.conversations_replies(channel=ROOM, ts=parent, limit=2)
        assert [m["text"] for m in first["messages"]] == ["parent", "0", "1"]
        assert first["messages"][0]["reply_count"] == 4
        cursor = first["response_metadata"]["next_cursor"]
        rest = await client.conversations_replies(channel=ROOM, ts=parent, limit=2, cursor=cursor)
        assert [m["text"] for m in rest["messages"]] == ["parent", "2", "3"]
        assert not rest["has_more"]
        shown = (await client.conversations_history(channel=ROOM))["messages"]
        assert [(m["text"], m.get("subtype")) for m in shown] == [("3", "thread_broadcast"), ("parent", None)]


async def test_a_deleted_parent_leaves_a_tombstone_and_a_plain_message_nothing() -> None:
    """Replies survive their parent."""
    async with staged() as slack:
        client = slack.web()
        parent = (await client.chat_postMessage(channel=ROOM, text="parent"))["ts"]
        await client.chat_postMessage(channel=ROOM, text="reply", thread_ts=parent)
        plain = (await client.chat_postMessage(channel=ROOM, text="plain"))["ts"]
        await client.chat_delete(channel=ROOM, ts=parent)
        await client.chat_delete(channel=ROOM, ts=plain)
        assert [m.get("subtype") for m in (await client.conversations_history(channel=ROOM))["messages"]] == [
            "tombstone"
        ]
        assert len((await client.conversations_replies(channel=ROOM, ts=parent))["messages"]) == 2
        assert await error_of(client.chat_delete(channel=ROOM, ts=plain)) == "message_not_found"


async def test_long_text_is_cut_and_permalinks_name_thread_and_channel() -> None:
    """Above 40,000 characters text is truncated; a reply's link carries its thread."""
    async with staged() as slack:
        client = slack.web()
        parent = await client.chat_postMessage(channel=ROOM, text="x" * 40_001)
        assert len(parent["message"]["text"]) == 40_000
        reply = (await client.chat_postMessage(channel=ROOM, text="r", thread_ts=parent["ts"]))["ts"]
        link = (await client.chat_getPermalink(channel=ROOM, message_ts=reply))["permalink"]
        assert link.endswith(f"/archives/{ROOM}/p{reply.replace('.', '')}?thread_ts={parent['ts']}&cid={ROOM}")


async def test_invitations_with_force_take_the_good_and_name_the_bad() -> None:
    """Without force one bad id refuses all of them; with it the valid ones are in."""
    async with staged() as slack:
        client = slack.web()
        room = (await client.conversations_create(name="inc-2"))["channel"]["id"]
        users = ["U0ANA", "U0NOBODY", "U0BOT"]
        expected = [
            {"user": "U0NOBODY", "ok": False, "error": "user_not_found"},
            {"user": "U0BOT", "ok": False, "error": "cant_invite_self"},
        ]
        with pytest.raises(SlackApiError) as refusal:
            await client.conversations_invite(channel=room, users=users)
        assert refusal.value.response["errors"] == expected
        assert (await client.conversations_members(channel=room))["members"] == ["U0BOT"]
        answer = await client.conversations_invite(channel=room, users=users, force=True)
        assert answer["errors"] == expected
        assert (await client.conversations_members(channel=room))["members"] == ["U0BOT", "U0ANA"]


async def test_a_new_private_channel_is_hidden_from_those_outside() -> None:
    """Only members see a private channel, on the page and in lists; people without it cannot read it."""
    async with staged() as slack:
        client = slack.web()
        room = (await client.conversations_create(name="inc-3-secret", is_private=True))["channel"]
        assert room["is_private"]
        await client.conversations_invite(channel=room["id"], users="U0ANA")
        for user, sees in (("U0ANA", True), ("U0BEN", False)):
            boot = await slack.person(user).get("boot")
            assert (room["id"] in [c["id"] for c in boot["channels"]]) is sees
        refused = await slack.person("U0BEN").post("message", channel=room["id"], text="x")
        assert refused == {"error": "There is no such channel."}
        by_default = [c["id"] for c in (await client.conversations_list())["channels"]]
        private = [c["id"] for c in (await client.conversations_list(types="private_channel"))["channels"]]
        assert room["id"] not in by_default
        assert private == [room["id"]]


async def test_topics_pins_bookmarks_and_reactions_are_kept() -> None:
    """What decorates a channel can be set, listed and taken back, each only once."""
    async with staged() as slack:
        client = slack.web()
        ts = (await client.chat_postMessage(channel=ROOM, text="Board"))["ts"]
        await client.conversations_setTopic(channel=ROOM, topic="P1")
        assert (await client.conversations_info(channel=ROOM))["channel"]["topic"]["value"] == "P1"
        await client.pins_add(channel=ROOM, timestamp=ts)
        assert await error_of(client.pins_add(channel=ROOM, timestamp=ts)) == "already_pinned"
        assert [item["message"]["ts"] for item in (await client.pins_list(channel=ROOM))["items"]] == [ts]
        mark = await client.bookmarks_add(channel_id=ROOM, title="Runbook", type="link", link="https://runbook.example")
        await client.bookmarks_edit(channel_id=ROOM, bookmark_id=mark["bookmark"]["id"], title="The runbook")
        assert [b["title"] for b in (await client.bookmarks_list(channel_id=ROOM))["bookmarks"]] == ["The runbook"]
        await client.reactions_add(channel=ROOM, timestamp=ts, name="eyes")
        assert await error_of(client.reactions_add(channel=ROOM, timestamp=ts, name="eyes")) == "already_reacted"
        (shown,) = [m for m in await slack.person().messages(ROOM) if m["ts"] == ts]
        assert (shown["pinned"], shown["reactions"]) == (True, [{"name": "eyes", "users": ["U0BOT"]}])
        await client.reactions_remove(channel=ROOM, timestamp=ts, name="eyes")
        await client.pins_remove(channel=ROOM, timestamp=ts)
        assert await error_of(client.reactions_remove(channel=ROOM, timestamp=ts, name="eyes")) == "no_reaction"
        assert await error_of(client.pins_remove(channel=ROOM, timestamp=ts)) == "no_pin"


async def test_people_and_groups_are_found_by_id_and_address() -> None:
    """The team of the practice estate, its groups and its addresses."""
    async with staged() as slack:
        client = slack.web()
        found = await client.users_lookupByEmail(email="Ana@valuecanvas.example")
        assert (found["user"]["id"], found["user"]["real_name"]) == ("U0ANA", "Ana Ortiz")
        assert (await client.users_info(user="U0BOT"))["user"]["is_bot"]
        page = await client.users_list(limit=5)
        rest = await client.users_list(limit=5, cursor=page["response_metadata"]["next_cursor"])
        assert len(page["members"]) + len(rest["members"]) == 8
        assert (await client.usergroups_users_list(usergroup="S0APPROVE"))["users"] == ["U0CHLOE", "U0DEV", "U0EVA"]
        groups = await client.usergroups_list(include_users=True)
        assert {g["handle"] for g in groups["usergroups"]} == {"responders", "approvers"}


async def test_an_upload_takes_three_steps_and_becomes_a_message() -> None:
    """The SDK's files_upload_v2 shares a file; the app hears of it; the page shows its beginning."""
    async with staged() as slack:
        client, app = slack.web(), slack.bolt()
        heard: asyncio.Queue[Any] = asyncio.Queue()

        @app.event("message")
        async def other(event: Any) -> None:
            heard.put_nowait(event)

        @app.event("file_shared")
        async def shared(event: Any) -> None:
            heard.put_nowait(event)

        answer = await client.files_upload_v2(
            channel=ROOM, filename="report.md", title="Report", content="# INC-1", initial_comment="The report"
        )
        (shown,) = await slack.person().messages(ROOM)
        (file,) = shown["files"]
        assert (shown["text"], shown["subtype"], file["title"], file["preview"]) == (
            "The report",
            "file_share",
            "Report",
            "# INC-1",
        )
        async with slack.session.get(file["url"]) as content:
            assert await content.read() == b"# INC-1"
        info = await client.files_info(file=answer["files"][0]["id"])
        assert info["file"]["shares"]["public"][ROOM][0]["ts"] == shown["ts"]

        async with connected(slack, app):
            form = {"user": "U0ANA", "channel": ROOM, "file": io.BytesIO(b"a log")}
            async with slack.session.post(f"{slack.url}/ui/upload", data=form) as sent:
                assert sent.status == 200
            kinds = [await soon(heard) for _ in range(2)]
        assert {(event["type"], event.get("subtype")) for event in kinds} == {
            ("message", "file_share"),
            ("file_shared", None),
        }


async def test_a_message_to_a_person_opens_the_direct_message() -> None:
    """Posting to a user id lands in the app's direct message, which appears on the person's page."""
    async with staged() as slack:
        ana = slack.person()
        async with watching(ana) as screen:
            posted = await slack.web().chat_postMessage(channel="U0ANA", text="You are called")
            assert (await pushed(screen, "message"))["message"]["text"] == "You are called"
            channel = (await pushed(screen, "channel"))["channel"]
        assert (channel["id"], channel["is_im"], channel["user"], channel["unread"], channel["has_mention"]) == (
            posted["channel"],
            True,
            "U0BOT",
            1,
            True,
        )
        opened = await slack.web().conversations_open(users="U0ANA")
        assert opened["channel"]["id"] == posted["channel"]


async def test_a_channel_has_one_canvas_and_takes_one_change_at_a_time() -> None:
    """A second canvas is refused; an edit is exactly one change."""
    async with staged() as slack:
        client = slack.web()
        document = {"type": "markdown", "markdown": "# One\n\nTwo"}
        canvas = (await client.conversations_canvases_create(channel_id=ROOM, document_content=document))["canvas_id"]
        again = client.conversations_canvases_create(channel_id=ROOM, document_content=document)
        assert await error_of(again) == "channel_canvas_already_exists"
        info = await client.conversations_info(channel=ROOM)
        assert info["channel"]["properties"]["canvas"]["file_id"] == canvas
        change = {"operation": "insert_at_end", "document_content": {"type": "markdown", "markdown": "Three"}}
        assert await error_of(client.canvases_edit(canvas_id=canvas, changes=[change, change])) == "invalid_arguments"
        await client.canvases_edit(canvas_id=canvas, changes=[change])
        found = await client.canvases_sections_lookup(canvas_id=canvas, criteria={"contains_text": "Three"})
        assert len(found["sections"]) == 1


async def test_scheduled_messages_have_their_windows() -> None:
    """Not in the past, at most 120 days ahead, thirty per channel in five minutes; they can be withdrawn."""
    clock = Clock()
    async with staged(clock=clock) as slack:
        client = slack.web()
        now = int(clock.now)
        start = now - now % 300 + 600

        def at(when: int) -> Any:
            return client.chat_scheduleMessage(channel=ROOM, text="later", post_at=when)

        assert await error_of(at(now)) == "time_in_past"
        assert await error_of(at(now + 120 * 86_400 + 1)) == "time_too_far"
        ids = [(await at(start + n))["scheduled_message_id"] for n in range(30)]
        assert await error_of(at(start + 30)) == "restricted_too_many"
        assert await error_of(at(start + 300)) == ""
        await client.chat_deleteScheduledMessage(channel=ROOM, scheduled_message_id=ids[0])
        assert await error_of(at(start + 30)) == ""
        assert len((await client.chat_scheduledMessages_list())["scheduled_messages"]) == 31


async def test_a_scheduled_message_is_posted_when_its_time_comes() -> None:
    """It appears as the app's own message."""
    clock = Clock()
    async with staged(clock=clock) as slack, watching(slack.person()) as screen:
        clock.now += 0.9
        await slack.web().chat_scheduleMessage(channel=ROOM, text="later", post_at=int(clock.now) + 1)
        assert (await pushed(screen, "message"))["message"]["text"] == "later"
        assert (await slack.web().chat_scheduledMessages_list())["scheduled_messages"] == []


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # the SDK has no other way
async def test_an_upload_may_be_larger_than_an_ordinary_request() -> None:
    """Two megabytes go through."""
    async with staged() as slack:
        answer = await slack.web().files_upload_v2(channel=ROOM, filename="big.bin", content=b"x" * (2 << 20))
        assert answer["files"][0]["size"] == 2 << 20
