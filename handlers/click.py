"""A click, a command, a submitted window or an event, as one value: read from the row it was stored in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.chat import ReplyTo
from bot.incident import Person

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Click:
    """What somebody did. `key` is the intake's; `name` the command, action id, callback id or event type."""

    key: str
    kind: str
    name: str
    who: Person
    channel: str = ""
    text: str = ""
    trigger: str = ""
    url: str = ""
    value: str = ""
    view: Mapping[str, Any] = field(default_factory=dict)
    event: Mapping[str, Any] = field(default_factory=dict)

    @property
    def back(self) -> ReplyTo:
        return ReplyTo(self.who.id, self.channel, self.url)

    @property
    def data(self) -> dict[str, Any]:
        """What a window of ours carries along (`private_metadata`)."""
        text = self.view.get("private_metadata") or "{}"
        return dict(json.loads(text))


def key_of(kind: str, body: Body) -> str:
    """What makes a delivery the same one when Slack delivers it again."""
    if kind == "command":
        return f"command/{body['trigger_id']}"
    if kind == "event":
        return f"event/{body['event_id']}"
    if kind == "view":
        # A second click on Submit is the same declaration.
        return f"view/{body['view']['id']}/{body['view'].get('hash', '')}"
    if kind == "action":
        action = body["actions"][0]
        return f"action/{action.get('action_ts') or body['trigger_id']}/{body['user']['id']}/{action['action_id']}"
    return f"{kind}/{body['trigger_id']}"


def click_of(key: str, kind: str, body: Body) -> Click:
    """The stored body of a delivery as a Click. Source: Slack's interaction payloads."""
    if kind == "command":
        who = Person(body["user_id"], body.get("user_name") or body["user_id"])
        return Click(key, kind, body["command"], who, body["channel_id"], (body.get("text") or "").strip(),
                     body["trigger_id"], body.get("response_url") or "")  # fmt: skip
    if kind == "event":
        event = body["event"]
        user = event.get("user") or ""
        return Click(key, kind, event["type"], Person(user, user), event.get("channel") or "", event=event)
    user = body["user"]
    who = Person(user["id"], user.get("name") or user.get("username") or user["id"])
    channel = (body.get("channel") or {}).get("id") or (body.get("container") or {}).get("channel_id") or ""
    trigger, url = body.get("trigger_id") or "", body.get("response_url") or ""
    if kind == "view":
        return Click(key, kind, body["view"]["callback_id"], who, trigger=trigger, view=body["view"])
    if kind == "action":
        action = body["actions"][0]
        value = action.get("value") or (action.get("selected_option") or {}).get("value") or ""
        return Click(key, kind, action["action_id"], who, channel, "", trigger, url, value, body.get("view") or {})
    message = body.get("message") or {}
    return Click(
        key, kind, body["callback_id"], who, channel, message.get("text") or "", trigger, url, message.get("ts") or ""
    )
