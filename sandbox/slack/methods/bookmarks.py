"""bookmarks.*"""

from .. import pushes
from ..errors import SlackError
from ..method import method
from ..model import Bookmark, Channel, Json
from ..workspace import Workspace

MAX_BOOKMARKS = 100
TITLE, LINK = 256, 2048


def _shape(ws: Workspace, channel: Channel, b: Bookmark) -> Json:
    return {
        "id": b.id,
        "channel_id": channel.id,
        "title": b.title,
        "link": b.link,
        "emoji": b.emoji,
        "icon_url": None,
        "type": "link",
        "entity_id": None,
        "date_created": b.created,
        "date_updated": b.updated,
        "rank": "m",
        "last_updated_by_user_id": ws.bot_user,
        "last_updated_by_team_id": ws.team_id,
        "shortcut_id": None,
        "app_id": ws.app_id,
    }


def _check(title: str, link: str) -> None:
    if not title or len(title) > TITLE:
        raise SlackError("invalid_bookmark_title")
    if not link.startswith(("http://", "https://")) or len(link) > LINK:
        raise SlackError("invalid_link")


def _channel(ws: Workspace, args: Json) -> Channel:
    channel = ws.joined(args["channel_id"])
    if channel.archived:
        raise SlackError("is_archived")
    return channel


def add(ws: Workspace, args: Json) -> Json:
    channel = _channel(ws, args)
    if args["type"] != "link":
        raise SlackError("invalid_bookmark_type")
    _check(args["title"], args.get("link", ""))
    if len(channel.bookmarks) >= MAX_BOOKMARKS:
        raise SlackError("too_many_bookmarks")
    now = int(ws.clock())
    b = Bookmark(ws.new_id("Bk"), args["title"], args["link"], args.get("emoji", ""), now, 0)
    channel.bookmarks[b.id] = b
    pushes.channel_pushed(ws, channel)
    return {"bookmark": _shape(ws, channel, b)}


def _find(channel: Channel, args: Json) -> Bookmark:
    if found := channel.bookmarks.get(args["bookmark_id"]):
        return found
    raise SlackError("not_found")


def edit(ws: Workspace, args: Json) -> Json:
    channel = _channel(ws, args)
    b = _find(channel, args)
    title, link = args.get("title", b.title), args.get("link", b.link)
    _check(title, link)
    b.title, b.link, b.emoji, b.updated = title, link, args.get("emoji", b.emoji), int(ws.clock())
    pushes.channel_pushed(ws, channel)
    return {"bookmark": _shape(ws, channel, b)}


def remove(ws: Workspace, args: Json) -> Json:
    channel = _channel(ws, args)
    del channel.bookmarks[_find(channel, args).id]
    pushes.channel_pushed(ws, channel)
    return {}


def list_(ws: Workspace, args: Json) -> Json:
    channel = ws.joined(args["channel_id"])
    return {"bookmarks": [_shape(ws, channel, b) for b in channel.bookmarks.values()]}


METHODS = (
    method("bookmarks.add", add, "channel_id! title! type! link emoji entity_id parent_id", "bookmarks:write", 2),
    method("bookmarks.edit", edit, "channel_id! bookmark_id! title link emoji", "bookmarks:write", 2),
    method("bookmarks.remove", remove, "channel_id! bookmark_id! quip_section_id", "bookmarks:write", 2),
    method("bookmarks.list", list_, "channel_id!", "bookmarks:read", 3),
)
