"""People act on the app: commands, clicks, modals, shortcuts."""

from collections.abc import Mapping
from typing import Any

from .. import interactions, shapes
from ..errors import PersonError
from ..model import Json, Message, User
from ..workspace import Workspace
from . import request as ask
from . import talk


async def message(ws: Workspace, given: Json) -> Json:
    """A message, or (outside threads) a registered slash command."""
    me = ask.person(ws, given)
    channel = ask.inside(ws, given, me)
    said = ask.text(given, "text")
    if said.startswith("/") and not given.get("thread_ts"):
        name, _, rest = said.partition(" ")
        if name in ws.app.commands:
            return await interactions.command(ws, me, channel, name, rest.strip())
        if name[1:].replace("-", "").isalnum():
            raise PersonError(f"{name} is not a valid command.")
    return talk.say(ws, me, channel, given)


async def command(ws: Workspace, given: Json) -> Json:
    me = ask.person(ws, given)
    channel = ask.inside(ws, given, me)
    return await interactions.command(ws, me, channel, ask.text(given, "command"), str(given.get("text") or ""))


def _message(ws: Workspace, given: Mapping[str, Any], me: User) -> Message:
    return ask.message(ask.place(ws, given, me), given, me)


async def action(ws: Workspace, given: Json) -> Json:
    me = ask.person(ws, given)
    container = given.get("container")
    if not isinstance(container, dict):
        raise PersonError("`container` is missing.")
    if container.get("type") == "view":
        return await interactions.view_action(ws, me, ask.view(ws, container, me), given)
    return await interactions.message_action(ws, me, _message(ws, container, me), given)


async def options(ws: Workspace, given: Json) -> Json:
    me = ask.person(ws, given)
    if given.get("view_id"):
        return await interactions.options(ws, me, given, ask.view(ws, given, me), None)
    return await interactions.options(ws, me, given, None, _message(ws, given, me))


async def submit(ws: Workspace, given: Json) -> Json:
    me = ask.person(ws, given)
    values = given.get("values") or {}
    if not isinstance(values, dict):
        raise PersonError("`values` is not an object.")
    return await interactions.submit(ws, me, ask.view(ws, given, me), values)


async def close(ws: Workspace, given: Json) -> Json:
    me = ask.person(ws, given)
    return await interactions.close(ws, me, ask.view(ws, given, me), clear=bool(given.get("clear")))


async def shortcut(ws: Workspace, given: Json) -> Json:
    me = ask.person(ws, given)
    channel = ask.place(ws, given, me) if given.get("channel") else None
    on = ask.message(channel, given, me) if channel and given.get("ts") else None
    return await interactions.shortcut(ws, me, ask.text(given, "callback_id"), channel, on)


def views(ws: Workspace, given: Json) -> Json:
    """The person's open modals, bottom first."""
    me = ask.person(ws, given)
    return {"views": [shapes.view(ws, ws.views[id_]) for id_ in ws.stacks.get(me.id, ())]}
