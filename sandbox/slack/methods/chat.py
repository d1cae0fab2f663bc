"""chat.*: saying things, and taking them back."""

import json

from .. import posting, shapes
from ..blocks import check_attachments, check_blocks
from ..errors import SlackError, refused
from ..method import SPECIAL, method
from ..model import Channel, Json, Message
from ..text import fill_ids
from ..workspace import Workspace

TEXT_KEPT = 40_000
UPDATE_TEXT = 4_000
MARKDOWN_TEXT = 12_000
METADATA_BYTES = 16_000
"""Slack publishes no number; this one is ours."""


def content(ws: Workspace, args: Json) -> Json:
    """text, blocks and attachments of a message, checked. Raises no_text, invalid_blocks, msg_blocks_too_long, ..."""
    blocks, attachments = args.get("blocks") or [], args.get("attachments") or []
    if (markdown := args.get("markdown_text")) is not None:
        if blocks or args.get("text"):
            raise SlackError("markdown_text_conflict")
        if len(markdown) > MARKDOWN_TEXT:
            raise SlackError("msg_too_long")
        return {"said": markdown, "blocks": [], "attachments": []}
    check_blocks(blocks)
    check_attachments(attachments)
    said = args.get("text") or ""
    if not said and not blocks and not attachments:
        raise SlackError("no_text")
    filled = [part | {"blocks": fill_ids(ws, part.get("blocks", []))} for part in attachments]
    return {"said": said[:TEXT_KEPT], "blocks": fill_ids(ws, blocks), "attachments": filled}


def metadata(args: Json) -> Json | None:
    """Raises invalid_metadata_format, invalid_metadata_schema or metadata_too_large."""
    value = args.get("metadata")
    if value is None or value == {}:
        return None
    if not isinstance(value, dict):
        raise SlackError("invalid_metadata_format")
    if not isinstance(value.get("event_type"), str) or not isinstance(value.get("event_payload"), dict):
        raise refused("invalid_metadata_schema", ["event_type and event_payload are required [json-pointer:/metadata]"])
    if len(json.dumps(value)) > METADATA_BYTES:
        raise SlackError("metadata_too_large")
    return value


def destination(ws: Workspace, where: str) -> Channel:
    """Where the bot may post: by channel id, or by a person's id for the direct message with the app."""
    if where in ws.users:
        return ws.direct(ws.bot_user, where)
    channel = ws.visible(where)
    if channel.archived:
        raise SlackError("is_archived")
    if ws.bot_user not in channel.members and "chat:write.public" not in ws.app.scopes:
        raise SlackError("not_in_channel")
    return channel


def _author(ws: Workspace, args: Json) -> Json:
    if args.get("username") or args.get("icon_emoji") or args.get("icon_url"):
        ws.needs("chat:write.customize")
    author: Json = {"user": ws.bot_user, "bot_id": ws.bot_id}
    if username := args.get("username"):
        author |= {"username": username, "subtype": "bot_message"}
    return author


def post_message(ws: Workspace, args: Json) -> Json:
    channel = destination(ws, args["channel"])
    parts = content(ws, args)
    m = posting.post(
        ws,
        channel,
        thread_ts=args.get("thread_ts"),
        broadcast=args.get("reply_broadcast", False),
        metadata=metadata(args),
        **_author(ws, args),
        **parts,
    )
    return {"channel": channel.id, "ts": m.ts, "message": shapes.message(ws, m, metadata=True)}


def post_ephemeral(ws: Workspace, args: Json) -> Json:
    channel = destination(ws, args["channel"])
    if args["user"] not in channel.members:
        raise SlackError("user_not_in_channel")
    m = posting.whisper(
        ws, channel, args["user"], thread_ts=args.get("thread_ts"), username=args.get("username"), **content(ws, args)
    )
    return {"message_ts": m.ts}


def _own(ws: Workspace, args: Json, otherwise: str) -> tuple[Channel, Message]:
    channel = ws.visible(args["channel"])
    m = ws.message(channel, args["ts"])
    if m.bot_id != ws.bot_id:
        raise SlackError(otherwise)
    return channel, m


def update(ws: Workspace, args: Json) -> Json:
    """Text without blocks drops the old blocks; neither keeps both; `blocks=[]` clears them."""
    channel, m = _own(ws, args, "cant_update_message")
    if channel.archived:
        raise SlackError("is_inactive")
    said = args.get("text")
    if len(said or "") > UPDATE_TEXT:
        raise SlackError("msg_too_long")
    changes: Json = {}
    if any(args.get(name) is not None for name in ("text", "markdown_text", "blocks", "attachments")):
        texted = said is not None or "markdown_text" in args
        parts = content(ws, args if texted else {**args, "text": m.text or " "})
        changes = {"text": parts["said"] if texted else m.text}
        changes |= {name: parts[name] for name in ("blocks", "attachments") if name in args or texted}
    if "metadata" in args:
        changes["metadata"] = metadata(args)
    posting.edit(ws, m, ws.bot_user, **changes)
    shown = shapes.message(ws, m, metadata=True)
    return {"channel": channel.id, "ts": m.ts, "text": m.text, "message": shown}


def delete(ws: Workspace, args: Json) -> Json:
    channel, m = _own(ws, args, "cant_delete_message")
    posting.delete(ws, m)
    return {"channel": channel.id, "ts": m.ts}


def get_permalink(ws: Workspace, args: Json) -> Json:
    channel = ws.visible(args["channel"])
    m = ws.message(channel, args["message_ts"])
    return {"channel": channel.id, "permalink": shapes.permalink(ws, channel, m)}


_CONTENT = "text blocks:json attachments:json markdown_text"
_POST = "channel! thread_ts metadata:json unfurl_links:bool unfurl_media:bool username icon_emoji icon_url " + _CONTENT

METHODS = (
    method(
        "chat.postMessage",
        post_message,
        _POST + " reply_broadcast:bool mrkdwn:bool parse link_names:bool",
        "chat:write",
        SPECIAL,
    ),
    method(
        "chat.postEphemeral",
        post_ephemeral,
        "channel! user! thread_ts username icon_emoji icon_url parse link_names:bool " + _CONTENT,
        "chat:write",
        4,
    ),
    method(
        "chat.update",
        update,
        "channel! ts! metadata:json link_names:bool parse reply_broadcast:bool "
        "unfurl_links:bool unfurl_media:bool file_ids:list " + _CONTENT,
        "chat:write",
        3,
    ),
    method("chat.delete", delete, "channel! ts!", "chat:write", 3),
    method("chat.getPermalink", get_permalink, "channel! message_ts!", "", SPECIAL),
)
