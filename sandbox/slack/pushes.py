"""What the page shows of things, and telling the pages that they changed."""

from bisect import bisect_right

from . import shapes
from .model import Channel, Json, Message, User, View
from .workspace import Workspace

PREVIEW_BYTES = 2_000


def user(u: User) -> Json:
    return {
        "id": u.id,
        "name": u.name,
        "real_name": u.real_name,
        "email": u.email,
        "title": u.title,
        "is_bot": u.is_bot,
        "initials": u.initials,
        "color": f"#{u.color}",
    }


def channel(c: Channel, me: str) -> Json:
    """A channel as one person sees it; `unread` counts what came after their last reading."""
    read = c.last_read.get(me, "")
    unread = len(c.timeline) - bisect_right(c.timeline, read) if me in c.members else 0
    return {
        "id": c.id,
        "name": c.name,
        "is_private": c.is_private,
        "is_im": c.is_im,
        "is_archived": c.archived,
        "is_member": me in c.members,
        "topic": c.topic.value,
        "purpose": c.purpose.value,
        "user": c.other(me) if c.is_im else None,
        "unread": unread,
        "has_mention": bool(unread) and (c.is_im or c.mentioned.get(me, "") > read),
        "last_ts": c.timeline[-1] if c.timeline else "",
        "last_read": read,
        "members": list(c.members),
        "bookmarks": [{"id": b.id, "title": b.title, "link": b.link, "emoji": b.emoji} for b in c.bookmarks.values()],
        "pins": list(c.pins),
    }


def message(ws: Workspace, m: Message) -> Json:
    c = ws.channels[m.channel]
    shape: Json = {
        "ts": m.ts,
        "channel": m.channel,
        "user": m.user,
        "bot_id": m.bot_id,
        "username": m.username or (ws.app.name if m.bot_id else None),
        "text": m.text,
        "blocks": m.blocks,
        "attachments": m.attachments,
        "thread_ts": m.thread_ts,
        "reply_count": len(m.replies),
        "reply_users": m.reply_users,
        "latest_reply": m.replies[-1] if m.replies else None,
        "reactions": [{"name": name, "users": users} for name, users in m.reactions.items()],
        "files": [_file(ws, id_) for id_ in m.files if id_ in ws.files],
        "pinned": m.ts in c.pins,
        "ephemeral": m.ephemeral_to is not None,
    }
    if m.edited:
        shape["edited"] = {"ts": m.edited[1]}
    if m.subtype:
        shape["subtype"] = m.subtype
    if m.metadata:
        shape["metadata"] = m.metadata
    return shape


def _file(ws: Workspace, file_id: str) -> Json:
    f = ws.files[file_id]
    preview = ""
    if f.content and (f.mimetype.startswith("text/") or f.mimetype.endswith(("json", "yaml", "xml"))):
        preview = f.content[:PREVIEW_BYTES].decode(errors="replace")
    return {
        "id": f.id,
        "name": f.name,
        "title": f.title or f.name,
        "url": shapes.file_url(ws, f),
        "mimetype": f.mimetype,
        "size": f.size,
        "preview": preview,
    }


def audience(ws: Workspace, c: Channel) -> list[str]:
    """The people with an open page who may see this channel."""
    people = ws.hub.listening()
    return people if c.kind == "channel" else [person for person in people if person in c.members]


def message_pushed(ws: Workspace, kind: str, m: Message) -> None:
    """`kind`: message, message_changed or ephemeral."""
    c = ws.channels[m.channel]
    to = [m.ephemeral_to] if m.ephemeral_to else audience(ws, c)
    if to:
        ws.hub.push({"type": kind, "channel": c.id, "message": message(ws, m)}, to)


def message_gone(ws: Workspace, m: Message) -> None:
    kind = "ephemeral_deleted" if m.ephemeral_to else "message_deleted"
    to = [m.ephemeral_to] if m.ephemeral_to else audience(ws, ws.channels[m.channel])
    ws.hub.push({"type": kind, "channel": m.channel, "ts": m.ts, "thread_ts": m.thread_ts}, to)


def channel_pushed(ws: Workspace, c: Channel, *, also: tuple[str, ...] = ()) -> None:
    """Each page gets the channel as its own person sees it; `also` are people who have just lost it."""
    for person in {*audience(ws, c), *also}:
        ws.hub.push({"type": "channel", "channel": channel(c, person)}, [person])


def view_pushed(ws: Workspace, kind: str, v: View) -> None:
    """`kind`: view_open, view_update, view_push, view_close or home."""
    ws.hub.push({"type": kind, "view": shapes.view(ws, v), "stack": list(ws.stacks.get(v.user, ()))}, [v.user])


def toast(ws: Workspace, person: str, text: str) -> None:
    ws.hub.push({"type": "toast", "text": text}, [person])
