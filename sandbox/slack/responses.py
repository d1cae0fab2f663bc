"""Answering a person: response URLs, and what a command's acknowledgement carries."""

import json

from aiohttp import web

from . import posting
from .blocks import check_attachments, check_blocks
from .errors import SlackError
from .model import Channel, Json, Message
from .text import fill_ids
from .tickets import ResponseUrl
from .workspace import Workspace

FIELDS = frozenset(
    {"text", "blocks", "attachments", "response_type", "replace_original", "delete_original", "thread_ts", "metadata"}
    | {"unfurl_links", "unfurl_media", "mrkdwn", "username"}
)
GONE = ("invalid_url", "expired_url", "used_url")


async def serve(ws: Workspace, request: web.Request) -> web.Response:
    """POST /response/<id>: 200, 404 when the URL is unknown, used up or expired, else 400."""
    try:
        payload = _read(await request.text(), request.content_type)
        respond(ws, ws.tickets.respond(request.match_info["id"]), payload)
    except SlackError as error:
        return web.json_response(error.body(), status=404 if error.code in GONE else 400)
    return web.json_response({"ok": True})


def _read(text: str, content_type: str) -> Json:
    if content_type != "application/json":
        raise SlackError("invalid_payload")
    try:
        payload = json.loads(text)
    except ValueError:
        raise SlackError("invalid_payload") from None
    if not isinstance(payload, dict) or not FIELDS.issuperset(payload):
        raise SlackError("invalid_payload")
    return payload


def respond(ws: Workspace, url: ResponseUrl, payload: Json) -> None:
    """Do what an answer asks for. Raises no_text, invalid_blocks, message_not_found, ..."""
    channel = ws.channel(url.channel)
    original = _original(channel, url)
    if payload.get("delete_original"):
        if original is None:
            raise SlackError("message_not_found")
        posting.unwhisper(ws, original) if original.ephemeral_to else posting.delete(ws, original)
        return
    said, blocks, attachments = _content(ws, payload)
    if payload.get("replace_original") and original:
        if original.ephemeral_to:
            posting.rewhisper(ws, original, said, blocks, attachments)
        else:
            posting.edit(ws, original, ws.bot_user, text=said, blocks=blocks, attachments=attachments)
        return
    say(ws, channel, url.user, payload)


def say(ws: Workspace, channel: Channel, person: str, payload: Json) -> Message:
    """A new message: to this person only unless `response_type` is in_channel."""
    said, blocks, attachments = _content(ws, payload)
    thread_ts = payload.get("thread_ts")
    if payload.get("response_type", "ephemeral") == "in_channel":
        return posting.post(
            ws,
            channel,
            said,
            user=ws.bot_user,
            bot_id=ws.bot_id,
            blocks=blocks,
            attachments=attachments,
            thread_ts=thread_ts,
            metadata=payload.get("metadata"),
        )
    return posting.whisper(ws, channel, person, said, blocks=blocks, attachments=attachments, thread_ts=thread_ts)


def _content(ws: Workspace, payload: Json) -> tuple[str, list[Json], list[Json]]:
    said, blocks, attachments = payload.get("text") or "", payload.get("blocks") or [], payload.get("attachments") or []
    check_blocks(blocks)
    check_attachments(attachments)
    if not said and not blocks and not attachments:
        raise SlackError("no_text")
    filled = [part | {"blocks": fill_ids(ws, part.get("blocks", []))} for part in attachments]
    return str(said), fill_ids(ws, blocks), filled


def _original(channel: Channel, url: ResponseUrl) -> Message | None:
    if url.original is None:
        return None
    return channel.ephemerals.get(url.user, {}).get(url.original) or channel.messages.get(url.original)
