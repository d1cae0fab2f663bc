"""reactions.*"""

import re

from .. import events, pushes, shapes
from ..errors import SlackError
from ..method import method
from ..model import Channel, Json, Message
from ..workspace import Workspace

MAX_KINDS = 50


def react(ws: Workspace, channel: Channel, m: Message, by: str, name: str, *, add: bool) -> None:
    """Add or take back anybody's reaction. Raises invalid_name, already_reacted, too_many_reactions or no_reaction."""
    if not re.fullmatch(r"[a-z0-9_+'-]+(::skin-tone-[2-6])?", name):
        raise SlackError("invalid_name")
    people = m.reactions.get(name, [])
    if add:
        if by in people:
            raise SlackError("already_reacted")
        if name not in m.reactions and len(m.reactions) >= MAX_KINDS:
            raise SlackError("too_many_emoji")
        m.reactions.setdefault(name, []).append(by)
    else:
        if by not in people:
            raise SlackError("no_reaction")
        people.remove(by)
        if not people:
            del m.reactions[name]
    shown = [{"name": n, "users": u} for n, u in m.reactions.items()]
    ws.hub.push(
        {"type": "reaction", "channel": channel.id, "ts": m.ts, "reactions": shown}, pushes.audience(ws, channel)
    )
    event = {
        "type": "reaction_added" if add else "reaction_removed",
        "user": by,
        "reaction": name,
        "item": {"type": "message", "channel": channel.id, "ts": m.ts},
        "event_ts": ws.stamp(),
    }
    events.emit(ws, event | ({"item_user": m.user} if m.user else {}), channel)


def _change(ws: Workspace, args: Json, *, add: bool) -> Json:
    channel = ws.joined(args["channel"])
    if channel.archived:
        raise SlackError("is_archived")
    if not args.get("timestamp"):
        raise SlackError("no_item_specified")
    react(ws, channel, ws.message(channel, args["timestamp"]), ws.bot_user, args["name"].strip(":"), add=add)
    return {}


def add(ws: Workspace, args: Json) -> Json:
    return _change(ws, args, add=True)


def remove(ws: Workspace, args: Json) -> Json:
    return _change(ws, args, add=False)


def get(ws: Workspace, args: Json) -> Json:
    channel = ws.joined(args["channel"])
    m = ws.message(channel, args["timestamp"])
    return {"type": "message", "channel": channel.id, "message": shapes.message(ws, m)}


METHODS = (
    method("reactions.add", add, "channel! name! timestamp", "reactions:write", 3),
    method("reactions.remove", remove, "channel! name! timestamp", "reactions:write", 2),
    method("reactions.get", get, "channel! timestamp! full:bool", "reactions:read", 3),
)
