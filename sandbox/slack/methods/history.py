"""conversations.history and conversations.replies."""

from .. import paging, shapes
from ..errors import SlackError
from ..method import method
from ..model import Channel, Json
from ..workspace import Workspace

_SCOPES = {"channel": "channels:history", "group": "groups:history", "im": "im:history"}


def _readable(ws: Workspace, channel_id: str) -> Channel:
    channel = ws.visible(channel_id)
    ws.needs(_SCOPES[channel.kind])
    return ws.joined(channel_id)


def history(ws: Workspace, args: Json) -> Json:
    """Newest first; a cursor goes further into the past."""
    channel = _readable(ws, args["channel"])
    size = paging.limit(args, 100, 999)
    low, high = paging.window(channel.timeline, args)
    if cursor := args.get("cursor"):
        high = min(high, paging.window(channel.timeline, {"latest": paging.decode(cursor), "inclusive": True})[1])
    start = max(low, high - size)
    chosen = channel.timeline[start:high][::-1]
    more = start > low
    with_metadata = args.get("include_all_metadata", False)
    return {
        "messages": [shapes.message(ws, channel.messages[ts], metadata=with_metadata) for ts in chosen],
        "has_more": more,
        "pin_count": len(channel.pins),
        "response_metadata": {"next_cursor": paging.encode(channel.timeline[start - 1]) if more else ""},
    }


def replies(ws: Workspace, args: Json) -> Json:
    """The parent first, then its replies, oldest first."""
    channel = _readable(ws, args["channel"])
    found = channel.messages.get(args["ts"])
    parent = channel.messages.get(found.thread_ts) if found and found.thread_ts else found
    if parent is None:
        raise SlackError("thread_not_found")
    size = paging.limit(args, 1000, 1000)
    low, high = paging.window(parent.replies, args)
    if cursor := args.get("cursor"):
        low = max(low, paging.window(parent.replies, {"oldest": paging.decode(cursor), "inclusive": True})[0])
    chosen = parent.replies[low : min(high, low + size)]
    more = low + size < high
    with_metadata = args.get("include_all_metadata", False)
    shown = [parent, *(channel.messages[ts] for ts in chosen)]
    return {
        "messages": [shapes.message(ws, m, metadata=with_metadata) for m in shown],
        "has_more": more,
        "response_metadata": {"next_cursor": paging.encode(parent.replies[low + size]) if more else ""},
    }


_WINDOW = "oldest latest inclusive:bool limit:int cursor include_all_metadata:bool"
METHODS = (
    method("conversations.history", history, "channel! " + _WINDOW, "channels:history groups:history im:history", 3),
    method(
        "conversations.replies", replies, "channel! ts! " + _WINDOW, "channels:history groups:history im:history", 3
    ),
)
