"""conversations.*: channels themselves."""

from .. import paging, rooms, shapes
from ..errors import SlackError
from ..method import method
from ..model import Channel, Json
from ..workspace import Workspace

_TYPES = {"public_channel": "channel", "private_channel": "group", "im": "im", "mpim": "mpim"}
_READ = {"channel": "channels:read", "group": "groups:read", "im": "im:read", "mpim": "mpim:read"}


def manages(ws: Workspace, channel: Channel, also: str = "") -> None:
    """Changing a channel needs channels:manage or groups:write by its kind; `also` = a narrower scope's suffix."""
    public, private = ["channels:manage"], ["groups:write"]
    if also:
        public.append(f"channels:{also}")
        private.append(f"groups:{also}")
    ws.needs(*(private if channel.is_private else public))


def no_direct(channel: Channel) -> None:
    """Direct messages cannot be joined, renamed, archived, ..."""
    if channel.is_im:
        raise SlackError("method_not_supported_for_channel_type")


def changeable(ws: Workspace, channel_id: str) -> Channel:
    """An open channel with the bot inside."""
    channel = ws.visible(channel_id)
    no_direct(channel)
    if channel.archived:
        raise SlackError("is_archived")
    return ws.joined(channel_id)


def create(ws: Workspace, args: Json) -> Json:
    private = args.get("is_private", False)
    ws.needs("groups:write" if private else "channels:manage")
    if not args.get("name"):
        raise SlackError("invalid_name_required")
    return {"channel": shapes.channel(ws, rooms.create(ws, args["name"], ws.bot_user, private=private))}


def info(ws: Workspace, args: Json) -> Json:
    channel = ws.visible(args["channel"])
    ws.needs(_READ[channel.kind])
    shape = shapes.channel(ws, channel)
    if args.get("include_num_members"):
        shape["num_members"] = len(channel.members)
    return {"channel": shape}


def list_(ws: Workspace, args: Json) -> Json:
    """Archived channels are in it unless excluded; private ones only with the bot inside."""
    kinds = set()
    for name in args.get("types") or ["public_channel"]:
        if name not in _TYPES:
            raise SlackError("invalid_types")
        kinds.add(_TYPES[name])
        ws.needs(_READ[_TYPES[name]])
    ids = [
        channel.id
        for channel in ws.channels.values()
        if channel.kind in kinds
        and (channel.kind == "channel" or ws.bot_user in channel.members)
        and not (channel.archived and args.get("exclude_archived"))
    ]
    ids, more = paging.page(ids, args, 100)
    channels = [shapes.channel(ws, c) | {"num_members": len(c.members)} for c in map(ws.channels.__getitem__, ids)]
    return {"channels": channels, "response_metadata": more}


def members(ws: Workspace, args: Json) -> Json:
    channel = ws.visible(args["channel"])
    ws.needs(_READ[channel.kind])
    ids, more = paging.page(list(channel.members), args, 100)
    return {"members": ids, "response_metadata": more}


def archive(ws: Workspace, args: Json) -> Json:
    channel = ws.visible(args["channel"])
    no_direct(channel)
    manages(ws, channel)
    if channel.archived:
        raise SlackError("already_archived")
    if channel.id == "C0GENERAL":
        raise SlackError("cant_archive_general")
    rooms.archive(ws, ws.joined(channel.id), ws.bot_user)
    return {}


def unarchive(ws: Workspace, args: Json) -> Json:
    """A bot is no member of an archived channel, and only members may open one: Slack refuses bots."""
    channel = ws.visible(args["channel"])
    manages(ws, channel)
    raise SlackError("not_in_channel" if channel.archived else "not_archived")


def rename(ws: Workspace, args: Json) -> Json:
    channel = changeable(ws, args["channel"])
    manages(ws, channel)
    if channel.creator != ws.bot_user:
        raise SlackError("not_authorized")
    rooms.rename(ws, channel, args["name"], ws.bot_user)
    return {"channel": shapes.channel(ws, channel)}


def set_topic(ws: Workspace, args: Json) -> Json:
    channel = changeable(ws, args["channel"])
    manages(ws, channel, "write.topic")
    rooms.describe(ws, channel, "topic", args.get("topic", ""), ws.bot_user)
    return {"channel": shapes.channel(ws, channel), "topic": channel.topic.value}


def set_purpose(ws: Workspace, args: Json) -> Json:
    channel = changeable(ws, args["channel"])
    manages(ws, channel, "write.topic")
    rooms.describe(ws, channel, "purpose", args.get("purpose", ""), ws.bot_user)
    return {"channel": shapes.channel(ws, channel), "purpose": channel.purpose.value}


METHODS = (
    method("conversations.create", create, "name is_private:bool", "channels:manage groups:write", 2),
    method(
        "conversations.info",
        info,
        "channel! include_locale:bool include_num_members:bool",
        "channels:read groups:read im:read",
        3,
    ),
    method(
        "conversations.list",
        list_,
        "types:list limit:int cursor exclude_archived:bool",
        "channels:read groups:read im:read",
        2,
    ),
    method("conversations.members", members, "channel! limit:int cursor", "channels:read groups:read im:read", 4),
    method("conversations.archive", archive, "channel!", "channels:manage groups:write", 2),
    method("conversations.unarchive", unarchive, "channel!", "channels:manage groups:write", 2),
    method("conversations.rename", rename, "channel! name!", "channels:manage groups:write", 2),
    method(
        "conversations.setTopic",
        set_topic,
        "channel! topic",
        "channels:manage channels:write.topic groups:write groups:write.topic",
        2,
    ),
    method(
        "conversations.setPurpose",
        set_purpose,
        "channel! purpose",
        "channels:manage channels:write.topic groups:write groups:write.topic",
        2,
    ),
)
