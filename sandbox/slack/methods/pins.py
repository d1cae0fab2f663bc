"""pins.*"""

from .. import events, pushes, shapes
from ..errors import SlackError
from ..method import method
from ..model import Channel, Json, Message
from ..workspace import Workspace

MAX_PINS = 100


def pin(ws: Workspace, channel: Channel, m: Message, by: str, *, add: bool) -> None:
    """Pin or unpin for anybody. Raises already_pinned, no_pin, too_many_pins or not_pinnable."""
    if add:
        if m.ts in channel.pins:
            raise SlackError("already_pinned")
        if m.subtype in ("channel_join", "channel_leave", "tombstone"):
            raise SlackError("not_pinnable")
        if len(channel.pins) >= MAX_PINS:
            raise SlackError("too_many_pins")
        channel.pins[m.ts] = (by, int(ws.clock()))
    elif channel.pins.pop(m.ts, None) is None:
        raise SlackError("no_pin")
    frame = {"type": "pin", "channel": channel.id, "ts": m.ts, "pinned": add}
    ws.hub.push(frame, pushes.audience(ws, channel))
    event = {
        "type": "pin_added" if add else "pin_removed",
        "user": by,
        "channel_id": channel.id,
        "item": {"type": "message", "channel": channel.id, "message": shapes.message(ws, m)},
        "event_ts": ws.stamp(),
    }
    events.emit(ws, event, channel)


def _change(ws: Workspace, args: Json, *, add: bool) -> Json:
    channel = ws.joined(args["channel"])
    if channel.archived:
        raise SlackError("is_archived")
    if not args.get("timestamp"):
        raise SlackError("no_item_specified")
    pin(ws, channel, ws.message(channel, args["timestamp"]), ws.bot_user, add=add)
    return {}


def add(ws: Workspace, args: Json) -> Json:
    return _change(ws, args, add=True)


def remove(ws: Workspace, args: Json) -> Json:
    return _change(ws, args, add=False)


def list_(ws: Workspace, args: Json) -> Json:
    channel = ws.joined(args["channel"])
    items = [
        {
            "type": "message",
            "channel": channel.id,
            "message": shapes.message(ws, channel.messages[ts]) | {"pinned_to": [channel.id]},
            "created": at,
            "created_by": by,
        }
        for ts, (by, at) in reversed(channel.pins.items())
    ]
    return {"items": items}


METHODS = (
    method("pins.add", add, "channel! timestamp", "pins:write", 2),
    method("pins.remove", remove, "channel! timestamp", "pins:write", 2),
    method("pins.list", list_, "channel!", "pins:read", 2),
)
