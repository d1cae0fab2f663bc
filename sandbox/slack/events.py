"""What the app hears: only what it subscribed to, holds the scope for, and where its bot is a member."""

import secrets

from .model import Channel, Json
from .workspace import Workspace

SCOPES: dict[str, tuple[str, ...]] = {
    "app_mention": ("app_mentions:read",),
    "message.channels": ("channels:history",),
    "message.groups": ("groups:history",),
    "message.im": ("im:history",),
    "reaction_added": ("reactions:read",),
    "reaction_removed": ("reactions:read",),
    "pin_added": ("pins:read",),
    "pin_removed": ("pins:read",),
    "file_shared": ("files:read",),
    "member_joined_channel": ("channels:read", "groups:read"),
    "member_left_channel": ("channels:read", "groups:read"),
    "channel_created": ("channels:read",),
    "channel_rename": ("channels:read",),
    "channel_archive": ("channels:read",),
    "channel_unarchive": ("channels:read",),
    "channel_left": ("channels:read",),
    "group_rename": ("groups:read",),
    "group_archive": ("groups:read",),
    "group_left": ("groups:read",),
    "app_home_opened": (),
}
"""Subscription -> scopes of which one is needed."""

_FAMILY = {"channel": "message.channels", "group": "message.groups", "im": "message.im"}


def emit(ws: Workspace, event: Json, channel: Channel | None = None) -> None:
    """Deliver `event` to the app if it is entitled to it; `channel` is where it happened, None = nowhere."""
    name = event["type"]
    if name == "message" and channel:
        name = _FAMILY[channel.kind]
        event = event | {"channel_type": channel.kind}
    if name not in ws.app.events:
        return
    if (scopes := SCOPES.get(name, ())) and ws.app.scopes.isdisjoint(scopes):
        return
    if channel and ws.bot_user not in channel.members:
        return
    ws.delivery.event(outer(ws, event))


def outer(ws: Workspace, event: Json) -> Json:
    """The envelope that every event travels in; its event_id stays the same over redeliveries."""
    event_id = ws.new_id("Ev")
    return {
        "token": "local",
        "team_id": ws.team_id,
        "api_app_id": ws.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": int(ws.clock()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": ws.team_id,
                "user_id": ws.bot_user,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
        "event_context": f"4-{secrets.token_urlsafe(24)}",
    }
