"""Reading what the page asks: who acts, where, on what."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from ..errors import PersonError
from ..model import Channel, Json, Message, User, View
from ..workspace import Workspace


async def body(request: web.Request) -> Json:
    """The JSON object that was posted. Raises PersonError."""
    try:
        parsed = await request.json()
    except ValueError:
        raise PersonError("The request is not JSON.") from None
    if not isinstance(parsed, dict):
        raise PersonError("The request is not a JSON object.")
    return parsed


def text(given: Mapping[str, Any], name: str) -> str:
    """A string of at least one character. Raises PersonError."""
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise PersonError(f"`{name}` is missing.")
    return value


def person(ws: Workspace, given: Mapping[str, Any]) -> User:
    """Who acts: a person of the team, not the bot."""
    user = ws.users.get(str(given.get("user", "")))
    if user is None or user.is_bot:
        raise PersonError("There is no such person.")
    return user


def place(ws: Workspace, given: Mapping[str, Any], me: User) -> Channel:
    """A channel that this person may see."""
    channel = ws.channels.get(str(given.get("channel", "")))
    if channel is None or (channel.kind != "channel" and me.id not in channel.members):
        raise PersonError("There is no such channel.")
    return channel


def inside(ws: Workspace, given: Mapping[str, Any], me: User) -> Channel:
    """An open channel that this person is in."""
    channel = place(ws, given, me)
    if channel.archived:
        raise PersonError("This channel is archived.")
    if me.id not in channel.members:
        raise PersonError("You are not in this channel.")
    return channel


def message(channel: Channel, given: Mapping[str, Any], me: User) -> Message:
    """A message this person can see, their own ephemeral ones included."""
    ts = str(given.get("ts", ""))
    if found := channel.messages.get(ts) or channel.ephemerals.get(me.id, {}).get(ts):
        return found
    raise PersonError("That message is gone.")


def view(ws: Workspace, given: Mapping[str, Any], me: User) -> View:
    """A modal or Home tab on this person's screen."""
    found = ws.views.get(str(given.get("view_id", "")))
    if found is None or found.user != me.id:
        raise PersonError("That window is closed.")
    return found
