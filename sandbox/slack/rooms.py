"""Changing who is where and what a channel is called: one place for the Web API and the page."""

import re
from typing import Literal

from . import events, posting, pushes
from .errors import SlackError
from .model import Channel, Note
from .workspace import Workspace

NAME_LENGTH = 80
NOTE_LENGTH = 250


def check_name(ws: Workspace, name: str) -> None:
    """Slack's rules for channel names; an archived channel keeps its name."""
    if not name.strip():
        raise SlackError("invalid_name_required")
    if len(name) > NAME_LENGTH:
        raise SlackError("invalid_name_maxlength")
    if not re.fullmatch(r"[\w-]+", name, re.ASCII) or name != name.lower():
        raise SlackError("invalid_name_specials")
    if not re.search(r"[a-z0-9]", name):
        raise SlackError("invalid_name_punctuation")
    if name in ws.names:
        raise SlackError("name_taken")


def create(ws: Workspace, name: str, by: str, *, private: bool) -> Channel:
    """A new channel with its creator inside. Raises invalid_name_* or name_taken."""
    check_name(ws, name)
    kind: Literal["channel", "group"] = "group" if private else "channel"
    channel = Channel(ws.new_id("C"), name, kind, int(ws.clock()), by, {by: None})
    ws.channels[channel.id] = channel
    ws.names[name] = channel.id
    posting.notice(ws, channel, "channel_join", f"<@{by}> has joined the channel", by)
    pushes.channel_pushed(ws, channel)
    if not private:
        stamp = ws.stamp()
        inner = {"id": channel.id, "name": name, "created": channel.created, "creator": by, "is_channel": True}
        events.emit(ws, {"type": "channel_created", "channel": inner, "event_ts": stamp})
    return channel


def join(ws: Workspace, channel: Channel, user: str, inviter: str | None = None) -> None:
    """Put a person (or the bot) into a channel."""
    channel.members[user] = None
    channel.last_read.setdefault(user, channel.timeline[-1] if channel.timeline else "")
    extra = {"inviter": inviter} if inviter else {}
    m = posting.notice(ws, channel, "channel_join", f"<@{user}> has joined the channel", user, **extra)
    pushes.channel_pushed(ws, channel)
    event = {
        "type": "member_joined_channel",
        "user": user,
        "channel": channel.id,
        "channel_type": _letter(channel),
        "team": ws.team_id,
        "event_ts": m.ts,
        **extra,
    }
    events.emit(ws, event, channel)


def leave(ws: Workspace, channel: Channel, user: str) -> None:
    """Take a person (or the bot) out of a channel."""
    posting.notice(ws, channel, "channel_leave", f"<@{user}> has left the channel", user)
    event = {
        "type": "member_left_channel",
        "user": user,
        "channel": channel.id,
        "channel_type": _letter(channel),
        "team": ws.team_id,
        "event_ts": ws.stamp(),
    }
    events.emit(ws, event, channel)
    del channel.members[user]
    if user == ws.bot_user:
        events.emit(ws, {"type": f"{channel.kind}_left", "channel": channel.id, "event_ts": ws.stamp()})
    pushes.channel_pushed(ws, channel, also=(user,))


def describe(ws: Workspace, channel: Channel, what: Literal["topic", "purpose"], value: str, by: str) -> None:
    """Set the topic or the purpose. Raises too_long."""
    if len(value) > NOTE_LENGTH:
        raise SlackError("too_long")
    setattr(channel, what, Note(value, by, int(ws.clock())))
    said = f"<@{by}> set the channel {what}: {value}"
    posting.notice(ws, channel, f"channel_{what}", said, by, **{what: value})
    pushes.channel_pushed(ws, channel)


def rename(ws: Workspace, channel: Channel, name: str, by: str) -> None:
    """Raises invalid_name_* or name_taken."""
    if name == channel.name:
        return
    check_name(ws, name)
    old = channel.name
    del ws.names[old]
    ws.names[name] = channel.id
    channel.name = name
    channel.previous_names.insert(0, old)
    said = f'<@{by}> has renamed the channel from "{old}" to "{name}"'
    posting.notice(ws, channel, "channel_name", said, by, old_name=old, name=name)
    pushes.channel_pushed(ws, channel)
    inner = {"id": channel.id, "name": name, "name_normalized": name, "created": channel.created}
    events.emit(ws, {"type": f"{channel.kind}_rename", "channel": inner, "event_ts": ws.stamp()}, channel)


def archive(ws: Workspace, channel: Channel, by: str) -> None:
    """Close a channel; it keeps its name and loses the bot."""
    posting.notice(ws, channel, "channel_archive", f"<@{by}> archived the channel", by)
    event = {"type": f"{channel.kind}_archive", "channel": channel.id, "user": by, "event_ts": ws.stamp()}
    events.emit(ws, event, channel)
    channel.archived = True
    channel.members.pop(ws.bot_user, None)
    pushes.channel_pushed(ws, channel)


def unarchive(ws: Workspace, channel: Channel, by: str) -> None:
    """Open a channel again (people can, bots cannot)."""
    channel.archived = False
    channel.members.setdefault(by, None)
    posting.notice(ws, channel, "channel_unarchive", f"<@{by}> un-archived the channel", by)
    if channel.kind == "channel":
        events.emit(ws, {"type": "channel_unarchive", "channel": channel.id, "user": by, "event_ts": ws.stamp()})
    pushes.channel_pushed(ws, channel)


def _letter(channel: Channel) -> str:
    return "G" if channel.is_private else "C"
