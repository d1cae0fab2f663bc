"""People and channels: the boot, joining, leaving, making, inviting."""

from .. import events, pushes, rooms, shapes
from ..errors import PersonError
from ..model import Json
from ..workspace import Workspace
from . import request as ask


def boot(ws: Workspace, given: Json) -> Json:
    """All that a page needs to start."""
    me = ask.person(ws, given)
    seen = [c for c in ws.channels.values() if c.kind == "channel" or me.id in c.members]
    return {
        "team": {"id": ws.team_id, "name": ws.team_name},
        "me": pushes.user(me),
        "users": [pushes.user(user) for user in ws.users.values()],
        "usergroups": [shapes.usergroup(ws, group, users=True) for group in ws.usergroups.values()],
        "channels": [pushes.channel(channel, me.id) for channel in seen],
        "commands": [
            {"command": c.command, "description": c.description, "usage_hint": c.usage_hint}
            for c in ws.app.commands.values()
        ],
        "shortcuts": [
            {"type": s.type, "name": s.name, "callback_id": s.callback_id, "description": s.description}
            for s in ws.app.shortcuts.values()
        ],
        "app": {
            "id": ws.app_id,
            "name": ws.app.name,
            "bot_user_id": ws.bot_user,
            "bot_id": ws.bot_id,
            "home_enabled": ws.app.home_enabled,
            "connected": ws.connected,
        },
        "practice": {"seconds_per_minute": ws.seconds_per_minute},
    }


def join(ws: Workspace, given: Json) -> Json:
    me = ask.person(ws, given)
    channel = ask.place(ws, given, me)
    if channel.archived:
        raise PersonError("This channel is archived.")
    if me.id not in channel.members:
        rooms.join(ws, channel, me.id)
    return pushes.channel(channel, me.id)


def leave(ws: Workspace, given: Json) -> Json:
    me = ask.person(ws, given)
    channel = ask.inside(ws, given, me)
    if channel.is_im:
        raise PersonError("A direct message cannot be left.")
    rooms.leave(ws, channel, me.id)
    return {"ok": True}


def invite(ws: Workspace, given: Json) -> Json:
    """Invite people, or the app's bot."""
    me = ask.person(ws, given)
    channel = ask.inside(ws, given, me)
    users = given.get("users")
    if channel.is_im or not isinstance(users, list) or not set(users) <= set(ws.users):
        raise PersonError("There is no such person, or nobody can be invited here.")
    for user in users:
        if user not in channel.members:
            rooms.join(ws, channel, user, me.id)
    return pushes.channel(channel, me.id)


def create(ws: Workspace, given: Json) -> Json:
    me = ask.person(ws, given)
    channel = rooms.create(ws, ask.text(given, "name"), me.id, private=bool(given.get("is_private")))
    return pushes.channel(channel, me.id)


def direct(ws: Workspace, given: Json) -> Json:
    """The direct message with another person or with the app."""
    me = ask.person(ws, given)
    other = ask.text(given, "other")
    if other not in ws.users:
        raise PersonError("There is no such person.")
    channel = ws.direct(me.id, other)
    pushes.channel_pushed(ws, channel)
    return pushes.channel(channel, me.id)


def archive(ws: Workspace, given: Json) -> Json:
    me = ask.person(ws, given)
    channel = ask.inside(ws, given, me)
    if channel.is_im or channel.id == "C0GENERAL":
        raise PersonError("This channel cannot be archived.")
    rooms.archive(ws, channel, me.id)
    return {"ok": True}


def unarchive(ws: Workspace, given: Json) -> Json:
    me = ask.person(ws, given)
    channel = ask.place(ws, given, me)
    if channel.archived:
        rooms.unarchive(ws, channel, me.id)
    return pushes.channel(channel, me.id)


def home(ws: Workspace, given: Json) -> Json:
    """Open the app's Home or Messages tab."""
    me = ask.person(ws, given)
    tab = given.get("tab") or "home"
    view = ws.homes.get(me.id)
    channel = ws.direct(ws.bot_user, me.id)
    event: Json = {
        "type": "app_home_opened",
        "user": me.id,
        "channel": channel.id,
        "tab": tab,
        "event_ts": ws.stamp(),
    }
    if view and tab == "home":
        event["view"] = shapes.view(ws, view)
    events.emit(ws, event)
    return {"view": shapes.view(ws, view) if view else None}
