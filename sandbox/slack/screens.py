"""Modals and Home tabs: what is open on whose screen."""

import json
import secrets
from typing import Any

from . import pushes
from .blocks import check_view
from .errors import SlackError
from .model import Json, View, elements_of
from .text import fill_ids
from .workspace import Workspace

STACK = 3
VIEW_BYTES = 250_000
_INITIAL = {
    "initial_value": "value",
    "initial_option": "selected_option",
    "initial_options": "selected_options",
    "initial_user": "selected_user",
    "initial_users": "selected_users",
    "initial_channel": "selected_channel",
    "initial_channels": "selected_channels",
    "initial_conversation": "selected_conversation",
    "initial_conversations": "selected_conversations",
    "initial_date": "selected_date",
    "initial_time": "selected_time",
    "initial_date_time": "selected_date_time",
}
STATE_FIELD = {
    "plain_text_input": "value",
    "email_text_input": "value",
    "url_text_input": "value",
    "number_input": "value",
    "rich_text_input": "rich_text_value",
    "static_select": "selected_option",
    "external_select": "selected_option",
    "users_select": "selected_user",
    "channels_select": "selected_channel",
    "conversations_select": "selected_conversation",
    "multi_static_select": "selected_options",
    "multi_external_select": "selected_options",
    "multi_users_select": "selected_users",
    "multi_channels_select": "selected_channels",
    "multi_conversations_select": "selected_conversations",
    "checkboxes": "selected_options",
    "radio_buttons": "selected_option",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "file_input": "files",
}
"""Element type -> the field of its state. Elements not listed (buttons, overflow) keep no state."""


def body(ws: Workspace, value: object, kind: str) -> Json:
    """A view as the app sent it, checked, ids filled in. Raises invalid_arguments or view_too_large."""
    check_view(value, kind)
    if len(json.dumps(value)) > VIEW_BYTES:
        raise SlackError("view_too_large")
    assert isinstance(value, dict)  # noqa: S101 -- check_view has seen to it
    return value | {"blocks": fill_ids(ws, value["blocks"])}


def initial_state(blocks: list[Json], kept: dict[str, Json] | None = None) -> dict[str, Json]:
    """The state of fresh inputs; what a person chose in the same block and action before is kept."""
    values: dict[str, Json] = {}
    for block in blocks:
        for element in elements_of(block):
            name = STATE_FIELD.get(element["type"])
            if name is None:
                continue
            state: Json = {"type": element["type"], name: [] if name.endswith("options") else None}
            state |= {_INITIAL[key]: value for key, value in element.items() if key in _INITIAL}
            old = (kept or {}).get(block["block_id"], {}).get(element["action_id"])
            if old and old["type"] == element["type"]:
                state = old
            values.setdefault(block["block_id"], {})[element["action_id"]] = state
    return values


def _new(ws: Workspace, user: str, content: Json, **links: Any) -> View:
    external = content.get("external_id")
    if external and external in ws.external_views:
        raise SlackError("duplicate_external_id")
    id_ = ws.new_id("V")
    view = View(id_, user, content, _hash(ws), links.pop("root", None) or id_, **links)
    view.values = initial_state(content["blocks"])
    ws.views[id_] = view
    if external:
        ws.external_views[external] = id_
    return view


def _hash(ws: Workspace) -> str:
    return f"{int(ws.clock())}.{secrets.token_hex(4)}"


def open_modal(ws: Workspace, user: str, content: Json) -> View:
    """Open a modal on a person's screen, in place of what was open there."""
    view = _new(ws, user, content)
    for old in ws.stacks.get(user, []):
        forget(ws, old)
    ws.stacks[user] = [view.id]
    pushes.view_pushed(ws, "view_open", view)
    return view


def push_modal(ws: Workspace, user: str, content: Json) -> View:
    """Put a modal on top of the open one. Raises not_found or push_limit_reached."""
    stack = ws.stacks.get(user, [])
    if not stack:
        raise SlackError("not_found")
    if len(stack) >= STACK:
        raise SlackError("push_limit_reached")
    view = _new(ws, user, content, root=stack[0], previous=stack[-1])
    stack.append(view.id)
    pushes.view_pushed(ws, "view_push", view)
    return view


def change(ws: Workspace, view: View, content: Json, expected_hash: str | None = None) -> View:
    """Replace an open view's content. Raises hash_conflict or duplicate_external_id."""
    if expected_hash and expected_hash != view.hash:
        raise SlackError("hash_conflict")
    if content["type"] != view.type:
        raise SlackError("invalid_arguments")
    old, new = view.body.get("external_id"), content.get("external_id")
    if new and new != old and new in ws.external_views:
        raise SlackError("duplicate_external_id")
    if old:
        ws.external_views.pop(old, None)
    if new:
        ws.external_views[new] = view.id
    view.values = initial_state(content["blocks"], view.values)
    view.body, view.hash = content, _hash(ws)
    pushes.view_pushed(ws, "view_update" if view.type == "modal" else "home", view)
    return view


def publish(ws: Workspace, user: str, content: Json, expected_hash: str | None = None) -> View:
    """Set a person's Home tab."""
    if home := ws.homes.get(user):
        return change(ws, home, content, expected_hash)
    view = ws.homes[user] = _new(ws, user, content)
    pushes.view_pushed(ws, "home", view)
    return view


def close_modal(ws: Workspace, view: View, *, clear: bool) -> None:
    """Close this view and what lies on it, or (`clear`) the whole stack."""
    stack = ws.stacks.get(view.user, [])
    if view.id not in stack:
        return
    keep = 0 if clear else stack.index(view.id)
    for id_ in stack[keep:]:
        forget(ws, id_)
    del stack[keep:]
    pushes.view_pushed(ws, "view_close", view)


def forget(ws: Workspace, view_id: str) -> None:
    view = ws.views.pop(view_id, None)
    if view and (external := view.body.get("external_id")):
        ws.external_views.pop(external, None)
