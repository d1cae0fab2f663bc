"""conversations.*: who is in a channel."""

from .. import rooms, shapes
from ..errors import SlackError
from ..method import method
from ..model import Channel, Json
from ..workspace import Workspace
from .conversations import changeable, manages, no_direct

INVITE_AT_ONCE = 100


def join(ws: Workspace, args: Json) -> Json:
    channel = ws.visible(args["channel"])
    if channel.kind != "channel":
        raise SlackError("method_not_supported_for_channel_type")
    if channel.archived:
        raise SlackError("is_archived")
    if ws.bot_user in channel.members:
        return {
            "channel": shapes.channel(ws, channel),
            "warning": "already_in_channel",
            "response_metadata": {"warnings": ["already_in_channel"]},
        }
    rooms.join(ws, channel, ws.bot_user)
    return {"channel": shapes.channel(ws, channel)}


def leave(ws: Workspace, args: Json) -> Json:
    channel = ws.visible(args["channel"])
    no_direct(channel)
    manages(ws, channel)
    if channel.archived:
        raise SlackError("is_archived")
    if ws.bot_user not in channel.members:
        return {"not_in_channel": True}
    rooms.leave(ws, channel, ws.bot_user)
    return {}


def _mistake(ws: Workspace, channel: Channel, user: str) -> str:
    if user == ws.bot_user:
        return "cant_invite_self"
    if user not in ws.users or ws.users[user].deleted:
        return "user_not_found"
    return "already_in_channel" if user in channel.members else ""


def invite(ws: Workspace, args: Json) -> Json:
    """One bad id refuses all, unless `force`; the answer then lists who could not be invited."""
    channel = changeable(ws, args["channel"])
    manages(ws, channel, "write.invites")
    users = list(dict.fromkeys(args["users"]))
    if not users:
        raise SlackError("no_user")
    if len(users) > INVITE_AT_ONCE:
        raise SlackError("too_many_users")
    mistakes = {user: code for user in users if (code := _mistake(ws, channel, user))}
    errors = [{"user": user, "ok": False, "error": code} for user, code in mistakes.items()]
    good = [user for user in users if user not in mistakes]
    if mistakes and (not args.get("force") or not good):
        raise SlackError(next(iter(mistakes.values())), errors=errors)
    for user in good:
        rooms.join(ws, channel, user, ws.bot_user)
    answer: Json = {"channel": shapes.channel(ws, channel)}
    return answer | ({"errors": errors} if errors else {})


def kick(ws: Workspace, args: Json) -> Json:
    channel = changeable(ws, args["channel"])
    manages(ws, channel)
    user = args["user"]
    if user == ws.bot_user:
        raise SlackError("cant_kick_self")
    if channel.id == "C0GENERAL":
        raise SlackError("cant_kick_from_general")
    ws.user(user)
    if user not in channel.members:
        raise SlackError("not_in_channel")
    rooms.leave(ws, channel, user)
    return {}


def open_(ws: Workspace, args: Json) -> Json:
    """The direct message with one person (conversations with several are not part of the practice estate)."""
    if channel_id := args.get("channel"):
        channel = ws.visible(channel_id)
        if not channel.is_im:
            raise SlackError("method_not_supported_for_channel_type")
        return {"channel": shapes.channel(ws, channel), "no_op": True, "already_open": True}
    users = args.get("users") or []
    if len(users) != 1:
        raise SlackError("not_enough_users" if not users else "method_not_supported_for_channel_type")
    user = ws.user(users[0])
    if user.id == ws.bot_user:
        raise SlackError("cannot_dm_bot")
    known = frozenset((ws.bot_user, user.id)) in ws.directs
    channel = ws.direct(ws.bot_user, user.id)
    shape = shapes.channel(ws, channel) if args.get("return_im") else {"id": channel.id}
    return {"channel": shape} | ({"no_op": True, "already_open": True} if known else {})


METHODS = (
    method("conversations.join", join, "channel!", "channels:join", 3),
    method("conversations.leave", leave, "channel!", "channels:manage groups:write", 3),
    method(
        "conversations.invite",
        invite,
        "channel! users!:list force:bool",
        "channels:manage channels:write.invites groups:write groups:write.invites",
        3,
    ),
    method("conversations.kick", kick, "channel! user!", "channels:manage groups:write", 3),
    method("conversations.open", open_, "channel users:list return_im:bool prevent_creation:bool", "im:write", 3),
)
