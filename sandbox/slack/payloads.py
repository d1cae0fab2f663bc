"""The bodies that tell the app what a person did."""

from typing import Any

from . import shapes
from .model import Channel, Json, Message, User, View
from .workspace import Workspace


def _base(ws: Workspace, kind: str, person: User) -> Json:
    return {
        "type": kind,
        "token": "local",
        "team": {"id": ws.team_id, "domain": ws.team_domain},
        "user": {"id": person.id, "username": person.name, "name": person.name, "team_id": ws.team_id},
        "api_app_id": ws.app_id,
        "enterprise": None,
        "is_enterprise_install": False,
    }


def _where(c: Channel) -> Json:
    return {"id": c.id, "name": "directmessage" if c.is_im else "privategroup" if c.is_private else c.name}


def response_url(ws: Workspace, person: User, c: Channel, original: str | None) -> str:
    return f"{ws.public_url}/response/{ws.tickets.response(person.id, c.id, original)}"


def command(ws: Workspace, person: User, c: Channel, name: str, text: str) -> Json:
    """A slash command: flat, every value a string."""
    return {
        "token": "local",
        "team_id": ws.team_id,
        "team_domain": ws.team_domain,
        "channel_id": c.id,
        "channel_name": _where(c)["name"],
        "user_id": person.id,
        "user_name": person.name,
        "command": name,
        "text": text,
        "api_app_id": ws.app_id,
        "is_enterprise_install": "false",
        "response_url": response_url(ws, person, c, None),
        "trigger_id": ws.tickets.trigger(person.id),
    }


def message_action(ws: Workspace, person: User, c: Channel, m: Message, action: Json) -> Json:
    """block_actions from a message, ephemeral or not."""
    ephemeral = m.ephemeral_to is not None
    return {
        **_base(ws, "block_actions", person),
        "container": {
            "type": "message",
            "message_ts": m.ts,
            "channel_id": c.id,
            "is_ephemeral": ephemeral,
            **({"thread_ts": m.thread_ts} if m.thread_ts else {}),
        },
        "trigger_id": ws.tickets.trigger(person.id),
        "channel": _where(c),
        **({} if ephemeral else {"message": shapes.message(ws, m, metadata=True)}),
        "state": {"values": m.states.get(person.id, {})},
        "response_url": response_url(ws, person, c, m.ts),
        "actions": [action],
    }


def view_action(ws: Workspace, person: User, v: View, action: Json) -> Json:
    """block_actions from a modal or a Home tab: no channel, no message, no response_url."""
    return {
        **_base(ws, "block_actions", person),
        "container": {"type": "view", "view_id": v.id},
        "trigger_id": ws.tickets.trigger(person.id, v.id),
        "view": shapes.view(ws, v),
        "actions": [action],
    }


def suggestion(
    ws: Workspace, person: User, value: str, block_id: str, action_id: str, v: View | None, m: Message | None
) -> Json:
    """block_suggestion: an external select asks for its options."""
    payload: Json = _base(ws, "block_suggestion", person)
    payload |= {"action_id": action_id, "block_id": block_id, "value": value}
    if v:
        payload |= {"container": {"type": "view", "view_id": v.id}, "view": shapes.view(ws, v)}
    if m:
        c = ws.channels[m.channel]
        place = {"type": "message", "message_ts": m.ts, "channel_id": c.id, "is_ephemeral": m.ephemeral_to is not None}
        payload |= {"container": place, "channel": _where(c), "message": shapes.message(ws, m)}
    return payload


def submission(ws: Workspace, person: User, v: View) -> Json:
    """view_submission; response_urls only for the selects that ask for one."""
    return {
        **_base(ws, "view_submission", person),
        "trigger_id": ws.tickets.trigger(person.id, v.id),
        "view": shapes.view(ws, v),
        "response_urls": _response_urls(ws, person, v),
    }


def _response_urls(ws: Workspace, person: User, v: View) -> list[Json]:
    urls = []
    for block in v.blocks:
        element = block.get("element", {})
        if not element.get("response_url_enabled"):
            continue
        state = v.values.get(block["block_id"], {}).get(element["action_id"], {})
        chosen = state.get("selected_conversation") or state.get("selected_channel")
        if chosen in ws.channels:
            url = response_url(ws, person, ws.channels[chosen], None)
            ids = {"block_id": block["block_id"], "action_id": element["action_id"]}
            urls.append({**ids, "channel_id": chosen, "response_url": url})
    return urls


def closed(ws: Workspace, person: User, v: View, *, cleared: bool) -> Json:
    """view_closed; the state of input blocks is not in it."""
    inputs = {block["block_id"] for block in v.blocks if block["type"] == "input"}
    shape: dict[str, Any] = shapes.view(ws, v)
    shape["state"] = {"values": {key: value for key, value in v.values.items() if key not in inputs}}
    return {**_base(ws, "view_closed", person), "view": shape, "is_cleared": cleared}


def shortcut(ws: Workspace, person: User, callback_id: str, c: Channel | None, m: Message | None) -> Json:
    """A global shortcut, or (with a message) a message shortcut."""
    payload = _base(ws, "message_action" if m else "shortcut", person)
    payload |= {"callback_id": callback_id, "trigger_id": ws.tickets.trigger(person.id), "action_ts": ws.stamp()}
    if m and c:
        payload |= {
            "message_ts": m.ts,
            "channel": _where(c),
            "message": shapes.message(ws, m),
            "response_url": response_url(ws, person, c, m.ts),
        }
    return payload
