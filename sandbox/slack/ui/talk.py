"""People talk: messages, edits, reactions, pins, files."""

from aiohttp import web

from .. import posting, pushes, sharing
from ..errors import PersonError
from ..methods.pins import pin
from ..methods.reactions import react
from ..model import Channel, Json, Message, User
from ..text import typed
from ..uploads import MAX_BYTES
from ..workspace import Workspace
from . import request as ask


def messages(ws: Workspace, given: Json) -> Json:
    """A channel's messages oldest first, with this person's own ephemeral ones; or one thread, parent first."""
    me = ask.person(ws, given)
    channel = ask.place(ws, given, me)
    mine = channel.ephemerals.get(me.id, {}).values()
    if thread_ts := given.get("thread_ts"):
        parent = channel.messages.get(thread_ts)
        if parent is None:
            raise PersonError("That thread is gone.")
        shown = [channel.messages[ts] for ts in (thread_ts, *parent.replies)]
        shown += [m for m in mine if m.thread_ts == thread_ts]
    else:
        shown = [channel.messages[ts] for ts in channel.timeline] + [m for m in mine if not m.thread_ts]
    shown.sort(key=lambda m: m.ts)
    return {"messages": [pushes.message(ws, m) for m in shown]}


def say(ws: Workspace, me: User, channel: Channel, given: Json) -> Json:
    """A person's message."""
    if channel.is_im and channel.other(me.id) == ws.bot_user and not ws.app.messages_enabled:
        raise PersonError("Sending messages to this app has been turned off.")
    said = typed(ws, ask.text(given, "text"))
    thread_ts = given.get("thread_ts") or None
    if thread_ts and thread_ts not in channel.messages:
        raise PersonError("That thread is gone.")
    m = posting.post(
        ws, channel, said, user=me.id, thread_ts=thread_ts, broadcast=bool(thread_ts and given.get("broadcast"))
    )
    return {"ok": True, "ts": m.ts, "message": pushes.message(ws, m)}


def _own(ws: Workspace, given: Json) -> Message:
    me = ask.person(ws, given)
    m = ask.message(ask.inside(ws, given, me), given, me)
    if m.user != me.id or m.bot_id or m.ephemeral_to:
        raise PersonError("That is not your message.")
    return m


def edit(ws: Workspace, given: Json) -> Json:
    m = _own(ws, given)
    posting.edit(ws, m, str(m.user), text=typed(ws, ask.text(given, "text")))
    return {"ok": True}


def delete(ws: Workspace, given: Json) -> Json:
    """One's own message; an ephemeral one is dismissed."""
    me = ask.person(ws, given)
    m = ask.message(ask.place(ws, given, me), given, me)
    if m.ephemeral_to == me.id:
        posting.unwhisper(ws, m)
    else:
        posting.delete(ws, _own(ws, given))
    return {"ok": True}


def reaction(ws: Workspace, given: Json) -> Json:
    me = ask.person(ws, given)
    channel = ask.inside(ws, given, me)
    m = ask.message(channel, given, me)
    react(ws, channel, m, me.id, ask.text(given, "name").strip(":"), add=bool(given.get("add", True)))
    return {"ok": True}


def pinning(ws: Workspace, given: Json) -> Json:
    me = ask.person(ws, given)
    channel = ask.inside(ws, given, me)
    pin(ws, channel, ask.message(channel, given, me), me.id, add=bool(given.get("add", True)))
    return {"ok": True}


def read(ws: Workspace, given: Json) -> Json:
    """Read a channel up to `ts` (default: all of it)."""
    me = ask.person(ws, given)
    channel = ask.place(ws, given, me)
    channel.last_read[me.id] = str(given.get("ts") or (channel.timeline[-1] if channel.timeline else ""))
    ws.hub.push({"type": "channel", "channel": pushes.channel(channel, me.id)}, [me.id])
    return {"ok": True}


async def upload(ws: Workspace, request: web.Request) -> Json:
    """A person's file: a form with user, channel, file and perhaps text and thread_ts."""
    form = await request.clone(client_max_size=MAX_BYTES).post()
    given = {key: value for key, value in form.items() if isinstance(value, str)}
    me = ask.person(ws, given)
    channel = ask.inside(ws, given, me)
    sent = form.get("file")
    if not isinstance(sent, web.FileField):
        raise PersonError("`file` is missing.")
    with sent.file as opened:
        content = opened.read()
    file = sharing.new_file(ws, sent.filename, len(content), me.id)
    file.content, file.completed, file.title = content, True, sent.filename
    m = sharing.share(ws, [file], channel, me.id, typed(ws, given.get("text", "")), given.get("thread_ts") or None)
    return {"ok": True, "ts": m.ts}
