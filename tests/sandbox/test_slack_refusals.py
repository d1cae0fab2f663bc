"""What the local Slack refuses, and with which error: one line per rule."""

from collections.abc import Callable
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.sandbox.slack_stage import SCOPES, Stage, error_of, manifest, staged

Call = Callable[[AsyncWebClient], Any]
ROOM = "C0INCIDENTS"


def plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def button(number: int = 0, **more: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": f"b{number}", "text": plain("Go"), **more}


def modal(*blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "modal", "title": plain("Title"), "blocks": list(blocks), **more}


INPUT = {"type": "input", "label": plain("Name"), "element": {"type": "plain_text_input", "action_id": "a"}}

NAMES = [
    ("", "invalid_name_required"),
    ("x" * 81, "invalid_name_maxlength"),
    ("Upper", "invalid_name_specials"),
    ("with space", "invalid_name_specials"),
    ("dot.dot", "invalid_name_specials"),
    ("---", "invalid_name_punctuation"),
    ("incidents", "name_taken"),
    ("x" * 80, ""),
]


@pytest.mark.parametrize(("name", "expected"), NAMES)
async def test_channel_names_follow_slacks_rules(name: str, expected: str) -> None:
    """Lower case letters, digits, - and _, 1..80, never a name that is taken."""
    async with staged() as slack:
        assert await error_of(slack.web().conversations_create(name=name)) == expected


async def test_an_archived_channel_keeps_its_name_and_loses_the_bot() -> None:
    """After archiving: name_taken, no reading, no posting, no way back for a bot."""
    async with staged() as slack:
        client = slack.web()
        room = (await client.conversations_create(name="inc-1"))["channel"]["id"]
        posted = await client.chat_postMessage(channel=room, text="before")
        assert await error_of(client.conversations_archive(channel=room)) == ""
        for expected, call in (
            ("name_taken", client.conversations_create(name="inc-1")),
            ("already_archived", client.conversations_archive(channel=room)),
            ("not_in_channel", client.conversations_history(channel=room)),
            ("not_in_channel", client.pins_list(channel=room)),
            ("not_in_channel", client.conversations_unarchive(channel=room)),
            ("is_archived", client.chat_postMessage(channel=room, text="after")),
            ("is_inactive", client.chat_update(channel=room, ts=posted["ts"], text="after")),
            ("is_archived", client.conversations_invite(channel=room, users="U0ANA")),
            ("is_archived", client.conversations_setTopic(channel=room, topic="t")),
            ("is_archived", client.conversations_join(channel=room)),
        ):
            assert await error_of(call) == expected
        listed = await client.conversations_list(exclude_archived=True)
        assert room not in [channel["id"] for channel in listed["channels"]]


CALLS: list[tuple[str, Call]] = [
    ("channel_not_found", lambda c: c.chat_postMessage(channel="C0NOWHERE", text="x")),
    ("not_in_channel", lambda c: c.chat_postMessage(channel="C0GENERAL", text="x")),
    ("no_text", lambda c: c.api_call("chat.postMessage", json={"channel": ROOM})),
    ("thread_not_found", lambda c: c.chat_postMessage(channel=ROOM, text="x", thread_ts="1.000001")),
    ("invalid_metadata_schema", lambda c: c.chat_postMessage(channel=ROOM, text="x", metadata={"event_type": "e"})),
    ("markdown_text_conflict", lambda c: c.chat_postMessage(channel=ROOM, text="x", markdown_text="y")),
    ("missing_scope", lambda c: c.chat_postMessage(channel=ROOM, text="x", username="Somebody")),
    ("message_not_found", lambda c: c.chat_update(channel=ROOM, ts="1.000001", text="x")),
    ("message_not_found", lambda c: c.chat_delete(channel=ROOM, ts="1.000001")),
    ("message_not_found", lambda c: c.chat_getPermalink(channel=ROOM, message_ts="1.000001")),
    ("user_not_in_channel", lambda c: c.chat_postEphemeral(channel=ROOM, user="U0NOBODY", text="x")),
    ("too_long", lambda c: c.conversations_setTopic(channel=ROOM, topic="x" * 251)),
    ("too_long", lambda c: c.conversations_setPurpose(channel=ROOM, purpose="x" * 251)),
    ("cant_invite_self", lambda c: c.conversations_invite(channel=ROOM, users="U0BOT")),
    ("user_not_found", lambda c: c.conversations_invite(channel=ROOM, users="U0NOBODY")),
    ("already_in_channel", lambda c: c.conversations_invite(channel=ROOM, users="U0ANA")),
    ("too_many_users", lambda c: c.conversations_invite(channel=ROOM, users=[f"U{n}" for n in range(101)])),
    ("not_in_channel", lambda c: c.conversations_invite(channel="C0GENERAL", users="U0ANA")),
    ("not_in_channel", lambda c: c.conversations_history(channel="C0GENERAL")),
    ("invalid_cursor", lambda c: c.conversations_history(channel=ROOM, cursor="!")),
    ("invalid_limit", lambda c: c.conversations_history(channel=ROOM, limit=1000)),
    ("thread_not_found", lambda c: c.conversations_replies(channel=ROOM, ts="1.000001")),
    ("invalid_types", lambda c: c.conversations_list(types="everything")),
    ("user_not_found", lambda c: c.users_info(user="U0NOBODY")),
    ("users_not_found", lambda c: c.users_lookupByEmail(email="nobody@valuecanvas.example")),
    ("no_such_subteam", lambda c: c.usergroups_users_list(usergroup="S0NONE")),
    ("message_not_found", lambda c: c.pins_add(channel=ROOM, timestamp="1.000001")),
    ("message_not_found", lambda c: c.reactions_add(channel=ROOM, name="eyes", timestamp="1.000001")),
    ("invalid_link", lambda c: c.bookmarks_add(channel_id=ROOM, title="t", type="link", link="ftp://x")),
    (
        "invalid_bookmark_title",
        lambda c: c.bookmarks_add(channel_id=ROOM, title="t" * 257, type="link", link="http://x"),
    ),
    ("invalid_trigger_id", lambda c: c.views_open(trigger_id="1.2.3", view=modal())),
    ("not_found", lambda c: c.views_update(view_id="V0NONE", view=modal())),
    ("file_not_found", lambda c: c.files_completeUploadExternal(files=[{"id": "F0NONE", "title": "t"}])),
    ("invalid_arguments", lambda c: c.files_getUploadURLExternal(filename="a.txt", length=0)),
    ("unknown_method", lambda c: c.api_call("chat.shout")),
    ("invalid_arguments", lambda c: c.api_call("chat.postMessage", json={"channel": ROOM, "txt": "x"})),
    ("invalid_arguments", lambda c: c.api_call("conversations.info", params={})),
    ("invalid_arguments", lambda c: c.api_call("conversations.history", params={"channel": ROOM, "limit": "ten"})),
    ("invalid_blocks_format", lambda c: c.api_call("chat.postMessage", params={"channel": ROOM, "blocks": "[{"})),
    ("invalid_blocks_format", lambda c: c.api_call("chat.postMessage", json={"channel": ROOM, "blocks": {"a": 1}})),
]


@pytest.mark.parametrize(("expected", "call"), CALLS)
async def test_wrong_calls_get_slacks_own_errors(expected: str, call: Call) -> None:
    """Every mistake is refused with the code that Slack gives it, at HTTP 200."""
    async with staged() as slack:
        assert await error_of(call(slack.web())) == expected


BLOCKS: list[tuple[str, list[Any]]] = [
    ("no more than 50 items allowed [json-pointer:/blocks]", [{"type": "divider"}] * 51),
    ("must be less than 3001 characters [json-pointer:/blocks/0/text/text]", [section("x" * 3001)]),
    ("must be more than 0 characters [json-pointer:/blocks/0/text/text]", [section("")]),
    (
        "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
        [{"type": "header", "text": plain("x" * 151)}],
    ),
    (
        "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]",
        [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
    ),
    ("unsupported type: banner [json-pointer:/blocks/0/type]", [{"type": "banner"}]),
    ("missing required field: type [json-pointer:/blocks/0]", [{"text": plain("x")}]),
    ("missing required field: text or fields [json-pointer:/blocks/0]", [{"type": "section"}]),
    ("invalid additional property: colour [json-pointer:/blocks/0]", [{"type": "divider", "colour": "red"}]),
    (
        "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
        [{"type": "section", "fields": [plain("x")] * 11}],
    ),
    (
        "no more than 25 items allowed [json-pointer:/blocks/1/elements]",
        [{"type": "divider"}, {"type": "actions", "elements": [button(n) for n in range(26)]}],
    ),
    (
        "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
        [{"type": "context", "elements": [plain("x")] * 11}],
    ),
    (
        "action_id must be unique in its block [json-pointer:/blocks/0/elements]",
        [{"type": "actions", "elements": [button(), button()]}],
    ),
    (
        "block_id already exists: a [json-pointer:/blocks/1/block_id]",
        [{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}],
    ),
    (
        "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
        [{"type": "actions", "elements": [{"type": "button", "text": plain("x" * 76)}]}],
    ),
    (
        "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]",
        [{"type": "actions", "elements": [button(value="x" * 2001)]}],
    ),
    (
        "must be one of primary, danger [json-pointer:/blocks/0/elements/0/style]",
        [{"type": "actions", "elements": [button(style="green")]}],
    ),
    (
        "invalid additional property: disabled [json-pointer:/blocks/0/elements/0]",
        [{"type": "actions", "elements": [button(disabled=True)]}],
    ),
    (
        "must be less than 31 characters [json-pointer:/blocks/0/elements/0/confirm/confirm/text]",
        [
            {
                "type": "actions",
                "elements": [
                    button(
                        confirm={
                            "title": plain("t"),
                            "text": plain("t"),
                            "confirm": plain("x" * 31),
                            "deny": plain("n"),
                        }
                    )
                ],
            }
        ],
    ),
    (
        "no more than 5 items allowed [json-pointer:/blocks/0/elements/0/options]",
        [
            {
                "type": "actions",
                "elements": [
                    {"type": "overflow", "options": [{"text": plain("x"), "value": str(n)} for n in range(6)]},
                ],
            }
        ],
    ),
    (
        "no more than 100 items allowed [json-pointer:/blocks/0/accessory/options]",
        [
            section("x")
            | {
                "accessory": {
                    "type": "static_select",
                    "options": [{"text": plain("x"), "value": str(n)} for n in range(101)],
                }
            }
        ],
    ),
    (
        "initial option must match one of the options [json-pointer:/blocks/0/accessory]",
        [
            section("x")
            | {
                "accessory": {
                    "type": "static_select",
                    "options": [{"text": plain("x"), "value": "a"}],
                    "initial_option": {"text": plain("y"), "value": "b"},
                }
            }
        ],
    ),
    ("only one table is allowed [json-pointer:/blocks]", [{"type": "table", "rows": [[{}]]}] * 2),
    (
        "must have exactly one of image_url, slack_file [json-pointer:/blocks/0]",
        [{"type": "image", "alt_text": "x"}],
    ),
]


@pytest.mark.parametrize(("line", "blocks"), BLOCKS)
async def test_each_block_limit_is_named_with_its_json_pointer(line: str, blocks: list[Any]) -> None:
    """invalid_blocks says what is wrong and where, twice: in errors and in response_metadata.messages."""
    async with staged() as slack:
        with pytest.raises(SlackApiError) as refusal:
            await slack.web().chat_postMessage(channel=ROOM, text="x", blocks=blocks)
        answer = refusal.value.response
        assert answer["error"] == "invalid_blocks"
        assert line in answer["errors"]
        assert f"[ERROR] {line}" in answer["response_metadata"]["messages"]


async def test_too_much_block_text_in_one_message_is_refused() -> None:
    """The cap on all block text of a message is near 13,000 characters."""
    async with staged() as slack:
        client = slack.web()
        fits, too_much = [section("x" * 2_600)] * 5, [section("x" * 2_601)] * 5
        assert await error_of(client.chat_postMessage(channel=ROOM, text="x", blocks=fits)) == ""
        assert await error_of(client.chat_postMessage(channel=ROOM, text="x", blocks=too_much)) == "msg_blocks_too_long"


VIEWS: list[tuple[str, dict[str, Any]]] = [
    ("must be less than 25 characters [json-pointer:/view/title/text]", modal() | {"title": plain("x" * 25)}),
    ("must define `submit` to use an `input` block in modals [json-pointer:/view/submit]", modal(INPUT)),
    ("no more than 100 items allowed [json-pointer:/view/blocks]", modal(*[{"type": "divider"}] * 101)),
    ("must be less than 3001 characters [json-pointer:/view/private_metadata]", modal(private_metadata="x" * 3001)),
    ("must be less than 256 characters [json-pointer:/view/callback_id]", modal(callback_id="x" * 256)),
    ("unsupported type: markdown [json-pointer:/view/blocks/0/type]", modal({"type": "markdown", "text": "x"})),
    ("missing required field: title [json-pointer:/view]", {"type": "modal", "blocks": []}),
    ("must be of type modal [json-pointer:/view/type]", {"type": "home", "blocks": []}),
]


@pytest.mark.parametrize(("line", "view"), VIEWS)
async def test_each_view_limit_is_named_with_its_json_pointer(line: str, view: dict[str, Any]) -> None:
    """views.open answers invalid_arguments with every mistake, and the trigger is not used up by it."""
    async with staged() as slack:
        client, trigger = slack.web(), slack.ws.tickets.trigger("U0ANA")
        with pytest.raises(SlackApiError) as refusal:
            await client.views_open(trigger_id=trigger, view=view)
        assert refusal.value.response["error"] == "invalid_arguments"
        assert f"[ERROR] {line}" in refusal.value.response["response_metadata"]["messages"]
        assert await error_of(client.views_open(trigger_id=trigger, view=modal())) == ""


async def _raw(slack: Stage, method: str, **headers: str) -> Any:
    async with slack.session.post(f"{slack.url}/api/{method}", headers=headers) as answer:
        assert answer.status == 200
        return await answer.json()


async def test_tokens_are_checked_by_kind_and_only_in_the_header() -> None:
    """No token, a wrong one, or one of the other kind: three different refusals, at HTTP 200."""
    async with staged() as slack:
        assert (await _raw(slack, "auth.test"))["error"] == "not_authed"
        assert (await _raw(slack, "auth.test", Authorization="Bearer xoxb-1"))["error"] == "invalid_auth"
        app, bot = f"Bearer {slack.ws.app_token}", f"Bearer {slack.ws.bot_token}"
        assert (await _raw(slack, "auth.test", Authorization=app))["error"] == "not_allowed_token_type"
        assert (await _raw(slack, "apps.connections.open", Authorization=bot))["error"] == "not_allowed_token_type"


NEEDS: list[tuple[str, Call]] = [
    ("chat:write", lambda c: c.chat_postMessage(channel=ROOM, text="x")),
    ("channels:manage,groups:write", lambda c: c.conversations_create(name="x")),
    ("groups:write", lambda c: c.conversations_create(name="x", is_private=True)),
    ("channels:join", lambda c: c.conversations_join(channel=ROOM)),
    ("channels:read", lambda c: c.conversations_info(channel=ROOM)),
    ("channels:history", lambda c: c.conversations_history(channel=ROOM)),
    ("users:read", lambda c: c.users_info(user="U0ANA")),
    ("users:read.email", lambda c: c.users_lookupByEmail(email="ana@valuecanvas.example")),
    ("usergroups:read", lambda c: c.usergroups_list()),
    ("pins:write", lambda c: c.pins_add(channel=ROOM, timestamp="1.000001")),
    ("bookmarks:write", lambda c: c.bookmarks_add(channel_id=ROOM, title="t", type="link", link="http://x")),
    ("reactions:write", lambda c: c.reactions_add(channel=ROOM, name="x", timestamp="1.000001")),
    ("files:write", lambda c: c.files_getUploadURLExternal(filename="a", length=1)),
    ("im:write", lambda c: c.conversations_open(users="U0ANA")),
]


@pytest.mark.parametrize(("needed", "call"), NEEDS)
async def test_each_method_needs_its_scope(needed: str, call: Call) -> None:
    """Without the scope: missing_scope, naming what is needed and what was provided."""
    first = needed.split(",")
    scopes = " ".join(scope for scope in SCOPES.split() if scope not in first)
    async with staged(manifest(scopes=scopes)) as slack:
        with pytest.raises(SlackApiError) as refusal:
            await call(slack.web())
        assert refusal.value.response["error"] == "missing_scope"
        assert first[0] in refusal.value.response["needed"].split(",")
        assert set(refusal.value.response["provided"].split(",")) == set(scopes.split())


async def test_answers_name_the_scopes_of_the_token() -> None:
    """x-oauth-scopes is on every answer; bolt reads it from auth.test."""
    async with staged() as slack:
        answer = await slack.web().auth_test()
        assert set(answer.headers["x-oauth-scopes"].split(",")) == set(SCOPES.split())
        assert (answer["user_id"], answer["bot_id"], answer["team_id"]) == ("U0BOT", "B0BOT", "T0VALUE")
