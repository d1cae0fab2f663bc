"""chat.scheduleMessage and its company."""

import asyncio
import itertools

from .. import posting
from ..errors import SlackError
from ..method import method
from ..model import Json
from ..workspace import Workspace
from .chat import content, destination, metadata

DAYS_AHEAD = 120
WINDOW, PER_WINDOW = 300, 30
"""At most so many messages per channel in the same five minutes."""


def schedule(ws: Workspace, args: Json) -> Json:
    """Post later. With metadata it is accepted and never posted, as Slack documents of itself."""
    channel = destination(ws, args["channel"])
    parts = content(ws, args)
    at, now = args["post_at"], ws.clock()
    if at <= now:
        raise SlackError("time_in_past")
    if at > now + DAYS_AHEAD * 86_400:
        raise SlackError("time_too_far")
    same = [
        s for s in ws.scheduled.values() if s["channel_id"] == channel.id and s["post_at"] // WINDOW == at // WINDOW
    ]
    if len(same) >= PER_WINDOW:
        raise SlackError("restricted_too_many")
    carried, id_ = metadata(args), ws.new_id("Q")
    ws.scheduled[id_] = {"id": id_, "channel_id": channel.id, "post_at": at, "date_created": int(now)}
    ws.scheduled[id_]["text"] = parts["said"]
    if carried is None:
        ws.tasks.spawn(_later(ws, id_, parts, args.get("thread_ts")))
    message = {"text": parts["said"], "bot_id": ws.bot_id, "type": "delayed_message", "subtype": "bot_message"}
    return {"channel": channel.id, "scheduled_message_id": id_, "post_at": at, "message": message}


async def _later(ws: Workspace, id_: str, parts: Json, thread_ts: str | None) -> None:
    await asyncio.sleep(ws.scheduled[id_]["post_at"] - ws.clock())
    entry = ws.scheduled.pop(id_, None)
    if entry is None:
        return
    channel = ws.channels[entry["channel_id"]]
    if not channel.archived and (thread_ts is None or thread_ts in channel.messages):
        posting.post(ws, channel, user=ws.bot_user, bot_id=ws.bot_id, thread_ts=thread_ts, **parts)


def delete_scheduled(ws: Workspace, args: Json) -> Json:
    entry = ws.scheduled.get(args["scheduled_message_id"])
    if entry is None or entry["channel_id"] != args["channel"]:
        raise SlackError("invalid_scheduled_message_id")
    del ws.scheduled[entry["id"]]
    return {}


def list_scheduled(ws: Workspace, args: Json) -> Json:
    waiting = [s for s in ws.scheduled.values() if args.get("channel") in (None, s["channel_id"])]
    waiting.sort(key=lambda entry: int(entry["post_at"]))
    chosen = list(itertools.islice(waiting, args.get("limit") or 100))
    return {"scheduled_messages": chosen, "response_metadata": {"next_cursor": ""}}


METHODS = (
    method(
        "chat.scheduleMessage",
        schedule,
        "channel! post_at!:int text blocks:json attachments:json markdown_text metadata:json thread_ts "
        "reply_broadcast:bool unfurl_links:bool unfurl_media:bool link_names:bool parse",
        "chat:write",
        3,
    ),
    method("chat.deleteScheduledMessage", delete_scheduled, "channel! scheduled_message_id!", "chat:write", 3),
    method("chat.scheduledMessages.list", list_scheduled, "channel limit:int cursor latest oldest", "", 3),
)
