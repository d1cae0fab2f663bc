"""manifest.yml asks for exactly what the product registers and calls: nothing missing, nothing to spare."""

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

import handlers
from bot.access import Access
from bot.clock import wall_clock
from bot.desk import Desk
from bot.store import Store
from handlers.declare import Declaring
from handlers.intake import Intake
from handlers.notice import Notice
from handlers.recover import OVERRIDE, REJECT, START, Recovering
from handlers.slack import SlackChat, Windows
from handlers.story import Story
from handlers.verbs import VERBS
from tests.unit.given import estate, rules

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT.parent / "shared" / "contracts" / "slack-manifest.schema.json"

SCOPES: Mapping[str, frozenset[str]] = {
    method: frozenset(scopes.split())
    for method, scopes in {
        "auth_test": "",
        "bookmarks_add": "bookmarks:write",
        "bookmarks_list": "bookmarks:read",
        "chat_postEphemeral": "chat:write",
        "chat_postMessage": "chat:write",
        "chat_update": "chat:write",
        "conversations_archive": "channels:manage groups:write",
        "conversations_create": "channels:manage groups:write",
        "conversations_history": "channels:history groups:history im:history",
        "conversations_invite": "channels:manage groups:write",
        "conversations_join": "channels:join",
        "conversations_list": "channels:read groups:read",
        "conversations_open": "im:write",
        "conversations_replies": "channels:history groups:history im:history",
        "conversations_setPurpose": "channels:manage groups:write",
        "conversations_setTopic": "channels:manage groups:write",
        "files_completeUploadExternal": "files:write",
        "files_getUploadURLExternal": "files:write",
        "pins_add": "pins:write",
        "usergroups_users_list": "usergroups:read",
        "users_info": "users:read",
        "users_lookupByEmail": "users:read.email",
        "views_open": "",
        "views_publish": "",
        "views_update": "",
    }.items()
}
"""What Slack's reference wants of a bot token for each Web API method, in public, private and direct conversations."""

EVENT_SCOPES = {
    "app_home_opened": "",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "reaction_added": "reactions:read",
}


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "manifest.yml").read_text(encoding="utf-8")))


@pytest.fixture
async def ways() -> set[tuple[str, str]]:
    """(kind, name) of everything that handlers register, joined as the command line joins them."""
    client = AsyncWebClient(token="xoxb-test")
    store = Store("host=nowhere", wall_clock)
    chat, windows = SlackChat(client, None, str), Windows(client)  # type: ignore[arg-type]  # nothing is called here
    desk = Desk(store, Access(chat, estate()), estate(), rules(), wall_clock)
    intake = Intake(store, chat, wall_clock, "")
    app = AsyncApp(client=client, signing_secret="secret")
    absent: Any = None
    handlers.register(
        app, intake, Declaring(desk, windows), Story(desk, chat, windows), Notice(desk, chat, windows),
        Recovering(desk, absent, windows, absent),
    )  # fmt: skip
    return set(intake.ways)


def trees() -> Iterator[ast.AST]:
    """Every node of handlers/."""
    for file in sorted((ROOT / "handlers").glob("*.py")):
        yield from ast.walk(ast.parse(file.read_text(encoding="utf-8")))


def methods_called() -> set[str]:
    """Web API methods as the SDK names them: what is called on a client, wherever it is kept."""
    clients = {"self._slack", "self._client", "client"}
    return {
        node.func.attr
        for node in trees()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) in clients
        if hasattr(AsyncWebClient, node.func.attr)
    }


def test_it_is_a_manifest(manifest: dict[str, Any]) -> None:
    """Slack's own schema takes it."""
    if not SCHEMA.exists():
        pytest.skip(f"{SCHEMA.name} is not beside this checkout; Slack's schema cannot be asked")
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(manifest)


def test_commands_shortcuts_and_events_are_those_registered(
    manifest: dict[str, Any], ways: set[tuple[str, str]]
) -> None:
    """What Slack would deliver has somebody who takes it, and the other way round."""

    def registered(kind: str) -> set[str]:
        return {name for way, name in ways if way == kind}

    features = manifest["features"]
    assert {c["command"] for c in features["slash_commands"]} == registered("command")
    assert {s["callback_id"] for s in features["shortcuts"]} == registered("shortcut")
    events = manifest["settings"]["event_subscriptions"]["bot_events"]
    assert {event.partition(".")[0] for event in events} == registered("event")
    assert features["app_home"]["home_tab_enabled"] is ("app_home_opened" in events)
    assert manifest["settings"]["interactivity"]["is_enabled"]


def test_every_scope_is_needed_and_none_is_missing(manifest: dict[str, Any]) -> None:
    """The scopes are those of the methods called and the events taken, and `commands` for commands and shortcuts."""
    called = methods_called()
    assert called <= set(SCOPES), f"say in SCOPES what {sorted(called - set(SCOPES))} needs"
    assert set(SCOPES) <= called, f"{sorted(set(SCOPES) - called)} are not called any more"
    events = manifest["settings"]["event_subscriptions"]["bot_events"]
    needed = {"commands"}.union(*(SCOPES[method] for method in called), (EVENT_SCOPES[event] for event in events)) - {
        ""
    }
    scopes = manifest["oauth_config"]["scopes"]["bot"]
    assert set(scopes) == needed
    assert scopes == sorted(set(scopes))


BUTTONS = {"button": 1, "overflow": 0, "_start": 2}
"""Which argument of what draws a button is its action id."""


def test_every_button_has_a_way_in(ways: set[tuple[str, str]]) -> None:
    """Each action id that is drawn is registered, and each one that is registered is drawn somewhere."""
    drawn: set[str] = set()
    for node in trees():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BUTTONS:
            argument = node.args[BUTTONS[node.func.id]]
            if isinstance(argument, ast.Constant):
                drawn.add(str(argument.value))
            elif isinstance(argument, ast.JoinedStr):  # the buttons of one block, by their place
                drawn |= {f"{ast.literal_eval(argument.values[0])}{place}" for place in range(handlers.OFFERS)}
    registered = {name for kind, name in ways if kind == "action"}
    assert drawn <= registered
    assert registered - drawn <= {f"incident_{name}" for name in VERBS}


def test_every_window_comes_back(ways: set[tuple[str, str]]) -> None:
    """Each verb with a window, and the declaration, has somebody who takes what was submitted."""
    windows = {f"incident_{verb.name}" for verb in VERBS.values() if verb.window is not None}
    assert {name for kind, name in ways if kind == "view"} == windows | {"incident_declare", START, REJECT, OVERRIDE}
