"""Changing what is said: one place for the Web API, response URLs and the page."""

from bisect import bisect_left
from typing import Any

from . import events, pushes, shapes, text
from .errors import SlackError
from .model import Channel, Json, Message
from .workspace import Workspace

EPHEMERALS_KEPT = 100
"""How many messages only they can see a person keeps per channel."""


def post(ws: Workspace, channel: Channel, said: str, *, broadcast: bool = False, **fields: Any) -> Message:
    """Add a message (fields as in `Message`), show it and tell the app. Raises thread_not_found."""
    parent = thread_parent(channel, fields.get("thread_ts"))
    m = Message(ws.stamp(), channel.id, said, **fields)
    if m.bot_id and m.user is None:
        m.user = ws.bot_user
    if parent and broadcast:
        m.subtype = "thread_broadcast"
    channel.messages[m.ts] = m
    if parent is None or broadcast:
        channel.timeline.append(m.ts)
        if m.user:
            channel.last_read[m.user] = m.ts
    for person in text.mentioned(ws, m, channel.members):
        channel.mentioned[person] = m.ts
    pushes.message_pushed(ws, "message", m)
    if parent:
        _reply(ws, parent, m)
    if parent is None or broadcast:
        pushes.channel_pushed(ws, channel)
    _announce(ws, channel, m)
    return m


def thread_parent(channel: Channel, thread_ts: str | None) -> Message | None:
    """The message that a thread hangs on; a reply's ts leads to its parent."""
    if not thread_ts:
        return None
    if (found := channel.messages.get(thread_ts)) is None:
        raise SlackError("thread_not_found")
    if found.thread_ts and found.thread_ts != found.ts:
        return channel.messages.get(found.thread_ts)
    return found


def _reply(ws: Workspace, parent: Message, m: Message) -> None:
    m.thread_ts = parent.thread_ts = parent.ts
    parent.replies.append(m.ts)
    if m.user and m.user not in parent.reply_users:
        parent.reply_users.append(m.user)
    pushes.message_pushed(ws, "message_changed", parent)


def _announce(ws: Workspace, channel: Channel, m: Message) -> None:
    event = shapes.message(ws, m) | {"channel": channel.id, "event_ts": m.ts}
    if m.user and m.thread_ts and m.thread_ts != m.ts:
        event["parent_user_id"] = channel.messages[m.thread_ts].user
    events.emit(ws, event, channel)
    if f"<@{ws.bot_user}>" in m.text and m.user != ws.bot_user and not channel.is_im:
        events.emit(ws, event | {"type": "app_mention"}, channel)


def notice(ws: Workspace, channel: Channel, subtype: str, said: str, user: str, **extra: Any) -> Message:
    """A line that Slack itself writes: joined, left, set the topic, ..."""
    return post(ws, channel, said, user=user, subtype=subtype, extra=extra)


def edit(ws: Workspace, m: Message, by: str, **changes: Any) -> None:
    """Set these fields of a message (text, blocks, attachments, metadata, files)."""
    channel = ws.channels[m.channel]
    before = shapes.message(ws, m)
    for name, value in changes.items():
        setattr(m, name, value)
    m.edited = (by, ws.stamp())
    pushes.message_pushed(ws, "message_changed", m)
    _changed(ws, channel, m, before)


def _changed(ws: Workspace, channel: Channel, m: Message, before: Json) -> None:
    stamp = ws.stamp()
    event = {
        "type": "message",
        "subtype": "message_changed",
        "hidden": True,
        "channel": channel.id,
        "ts": stamp,
        "event_ts": stamp,
        "message": shapes.message(ws, m),
        "previous_message": before,
    }
    events.emit(ws, event, channel)


def delete(ws: Workspace, m: Message) -> None:
    """Remove a message. The parent of a thread leaves a tombstone behind."""
    channel = ws.channels[m.channel]
    before = shapes.message(ws, m)
    channel.pins.pop(m.ts, None)
    if m.replies:
        m.subtype, m.text, m.blocks, m.attachments, m.files = "tombstone", "This message was deleted.", [], [], []
        m.metadata, m.user, m.bot_id, m.reactions = None, "USLACKBOT", None, {}
        pushes.message_pushed(ws, "message_changed", m)
        _changed(ws, channel, m, before)
        return
    del channel.messages[m.ts]
    _drop(channel.timeline, m.ts)
    parent = channel.messages.get(m.thread_ts) if m.thread_ts else None
    pushes.message_gone(ws, m)
    if parent:
        _drop(parent.replies, m.ts)
        pushes.message_pushed(ws, "message_changed", parent)
    stamp = ws.stamp()
    event = {
        "type": "message",
        "subtype": "message_deleted",
        "hidden": True,
        "channel": channel.id,
        "ts": stamp,
        "event_ts": stamp,
        "deleted_ts": m.ts,
        "previous_message": before,
    }
    events.emit(ws, event, channel)


def _drop(stamps: list[str], ts: str) -> None:
    at = bisect_left(stamps, ts)
    if at < len(stamps) and stamps[at] == ts:
        del stamps[at]


def whisper(ws: Workspace, channel: Channel, person: str, said: str, **fields: Any) -> Message:
    """Show a message to one person only. It is in no history and no event."""
    m = Message(ws.stamp(), channel.id, said, user=ws.bot_user, bot_id=ws.bot_id, ephemeral_to=person, **fields)
    mine = channel.ephemerals.setdefault(person, {})
    mine[m.ts] = m
    while len(mine) > EPHEMERALS_KEPT:
        del mine[next(iter(mine))]
    pushes.message_pushed(ws, "ephemeral", m)
    return m


def rewhisper(ws: Workspace, m: Message, said: str, blocks: list[Json], attachments: list[Json]) -> None:
    """Change an ephemeral message in place."""
    m.text, m.blocks, m.attachments = said, blocks, attachments
    pushes.message_pushed(ws, "ephemeral", m)


def unwhisper(ws: Workspace, m: Message) -> None:
    """Remove an ephemeral message."""
    if m.ephemeral_to:
        ws.channels[m.channel].ephemerals.get(m.ephemeral_to, {}).pop(m.ts, None)
        pushes.message_gone(ws, m)
