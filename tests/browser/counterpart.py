"""A small app as teams write them: commands, buttons, a modal with its own errors, options, a Home tab."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any

from slack_bolt.async_app import AsyncApp

from tests.sandbox.slack_stage import manifest

USAGE = "[declare | status | hold <minutes> <reason> | slow | help]"

Json = dict[str, Any]


@dataclass
class Heard:
    """What the app has heard, by kind; the tests wait on these queues."""

    app: AsyncApp
    commands: "asyncio.Queue[Json]" = field(default_factory=asyncio.Queue)
    actions: "asyncio.Queue[Json]" = field(default_factory=asyncio.Queue)
    submissions: "asyncio.Queue[Json]" = field(default_factory=asyncio.Queue)
    messages: "asyncio.Queue[Json]" = field(default_factory=asyncio.Queue)
    shortcuts: "asyncio.Queue[Json]" = field(default_factory=asyncio.Queue)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    """Clicks on `slow` are acknowledged when this is set."""


def described() -> Json:
    """The app's manifest."""
    said = manifest()
    said["features"]["slash_commands"][0] |= {"usage_hint": USAGE, "description": "Declare and run an incident"}
    return said


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def option(text: str, value: str | None = None) -> Json:
    return {"text": plain(text), "value": value or text.lower()}


def button(action_id: str, text: str, **more: Any) -> Json:
    return {"type": "button", "action_id": action_id, "text": plain(text), "value": action_id, **more}


def field_of(block_id: str, label: str, element: Json, **more: Any) -> Json:
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label),
        "element": {"action_id": block_id, **element},
        **more,
    }


def declaration() -> Json:
    """The modal: one of each common field."""
    severities = [option(f"P{n}", f"p{n}") for n in range(4)]
    services = [option(name) for name in ("Database", "API", "Redis")]
    return {
        "type": "modal",
        "callback_id": "declare",
        "title": plain("Declare an incident"),
        "submit": plain("Declare"),
        "close": plain("Cancel"),
        "blocks": [
            field_of("title", "Title", {"type": "plain_text_input"}),
            field_of("severity", "Severity", {"type": "static_select", "options": severities}),
            field_of("services", "Services", {"type": "multi_static_select", "options": services}, optional=True),
            field_of("who", "Commander", {"type": "users_select"}, optional=True),
            field_of("site", "Site", {"type": "external_select", "min_query_length": 2}, optional=True),
            field_of("since", "Since", {"type": "datepicker"}, optional=True),
            field_of("private", "Room", {"type": "checkboxes", "options": [option("Private room")]}, optional=True),
            field_of("scale", "Scale", {"type": "radio_buttons", "options": [option("Some"), option("All")]}),
            {"type": "actions", "block_id": "more", "elements": [button("help", "What do these mean?")]},
        ],
    }


def listen(app: AsyncApp) -> Heard:
    """Register the app's listeners; what they hear is in the result."""
    heard = Heard(app)
    _commands(app, heard)
    _modal(app, heard)
    _clicks(app, heard)
    _events(app, heard)
    return heard


def _commands(app: AsyncApp, heard: Heard) -> None:
    @app.command("/incident")
    async def incident(ack: Any, body: Json, client: Any) -> None:
        word = body["text"].partition(" ")[0]
        if word == "slow":
            return
        await ack("*Help*: ask `declare`" if word == "help" else "")
        if word == "declare":
            await client.views_open(trigger_id=body["trigger_id"], view=declaration())
        heard.commands.put_nowait(body)

    @app.command("/raw")
    async def raw(ack: Any, body: Json) -> None:
        await ack()
        heard.commands.put_nowait(body)


def _modal(app: AsyncApp, heard: Heard) -> None:
    @app.view("declare")
    async def declare(ack: Any, view: Json) -> None:
        if view["state"]["values"]["title"]["title"]["value"] == "x":
            await ack(response_action="errors", errors={"title": "Say what is broken."})
            return
        await ack()
        heard.submissions.put_nowait(view)

    @app.action("help")
    async def explain(ack: Any, body: Json, client: Any) -> None:
        await ack()
        text = {"type": "section", "text": {"type": "mrkdwn", "text": "*P0* is everything."}}
        view = {"type": "modal", "title": plain("Severities"), "blocks": [text]}
        await client.views_push(trigger_id=body["trigger_id"], view=view)

    @app.options("site")
    async def sites(ack: Any, payload: Json) -> None:
        await ack(
            options=[option(name) for name in ("Frankfurt", "Dublin") if payload["value"].lower() in name.lower()]
        )


def _clicks(app: AsyncApp, heard: Heard) -> None:
    @app.action("slow")
    async def slow(ack: Any) -> None:
        await heard.release.wait()
        await ack()

    @app.action("whisper")
    async def whisper(ack: Any, body: Json, client: Any) -> None:
        await ack()
        channel, user = body["channel"]["id"], body["user"]["id"]
        await client.chat_postEphemeral(channel=channel, user=user, text="For your eyes only")

    @app.action(re.compile("."))
    async def other(ack: Any, body: Json) -> None:
        await ack()
        heard.actions.put_nowait(body)

    for kind in ("keep", "declare_anywhere"):

        @app.shortcut(kind)
        async def shortcut(ack: Any, body: Json) -> None:
            await ack()
            heard.shortcuts.put_nowait(body)


def _events(app: AsyncApp, heard: Heard) -> None:
    @app.event("app_home_opened")
    async def home(event: Json, client: Any) -> None:
        if event["tab"] != "home":
            return
        blocks = [
            {"type": "header", "text": plain("Nothing is on fire")},
            {"type": "actions", "block_id": "home", "elements": [button("calm", "Good")]},
        ]
        await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": blocks})

    @app.event("message")
    async def message(event: Json) -> None:
        heard.messages.put_nowait(event)

    @app.event("app_mention")
    async def mention(event: Json, say: Any) -> None:
        await say(text="You called?", thread_ts=event["ts"])

    for name in ("member_joined_channel", "member_left_channel", "pin_added", "reaction_added", "file_shared"):

        @app.event(name)
        async def ignored() -> None:
            """Subscribed, of no interest here."""

    for name in ("channel_archive", "channel_created", "channel_rename"):

        @app.event(name)
        async def ignored_too() -> None:
            """Subscribed, of no interest here."""
