"""The app as its manifest describes it: what it may do, what it hears, what people can start."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Command:
    command: str
    description: str
    usage_hint: str
    should_escape: bool


@dataclass(frozen=True, slots=True)
class Shortcut:
    type: str
    name: str
    callback_id: str
    description: str


@dataclass(frozen=True, slots=True)
class App:
    """The installed app. `socket_mode` False means that everything goes to its request URL."""

    name: str
    bot_name: str
    scopes: frozenset[str]
    commands: Mapping[str, Command]
    shortcuts: Mapping[str, Shortcut]
    events: frozenset[str]
    socket_mode: bool
    interactivity: bool
    home_enabled: bool
    messages_enabled: bool
    request_url: str | None


def read(manifest: Mapping[str, Any]) -> App:
    """Read a Slack app manifest (already parsed). Raises KeyError when a required part is missing."""
    features = manifest.get("features", {})
    settings = manifest.get("settings", {})
    home = features.get("app_home", {})
    subscriptions = settings.get("event_subscriptions", {})
    commands = [
        Command(c["command"], c["description"], c.get("usage_hint", ""), bool(c.get("should_escape", False)))
        for c in features.get("slash_commands", ())
    ]
    shortcuts = [
        Shortcut(s["type"], s["name"], s["callback_id"], s["description"]) for s in features.get("shortcuts", ())
    ]
    name = manifest["display_information"]["name"]
    return App(
        name=name,
        bot_name=features.get("bot_user", {}).get("display_name", name),
        scopes=frozenset(manifest.get("oauth_config", {}).get("scopes", {}).get("bot", ())),
        commands={c.command: c for c in commands},
        shortcuts={s.callback_id: s for s in shortcuts},
        events=frozenset(subscriptions.get("bot_events", ())),
        socket_mode=bool(settings.get("socket_mode_enabled", False)),
        interactivity=bool(settings.get("interactivity", {}).get("is_enabled", False)),
        home_enabled=bool(home.get("home_tab_enabled", False)),
        messages_enabled=bool(home.get("messages_tab_enabled", False))
        and not home.get("messages_tab_read_only_enabled", False),
        request_url=subscriptions.get("request_url") or settings.get("interactivity", {}).get("request_url"),
    )
