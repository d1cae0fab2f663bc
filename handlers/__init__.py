"""Slack in and Slack out, by story. `register` lists every way in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from slack_bolt.async_app import AsyncApp

from bot.errors import BadInput
from handlers.click import Click
from handlers.declare import CALLBACK, Declaring
from handlers.intake import Intake
from handlers.notice import Notice
from handlers.recover import DECIDING, OVERRIDE, REJECT, START, Recovering
from handlers.story import PREFIX, Story
from handlers.verbs import VERBS

COMMANDS = ("/incident", "/recover")
EVENTS = ("app_home_opened", "message", "reaction_added")
SHORTCUTS = ("incident_declare",)
OFFERS = 5
"""Buttons of actions in one block: Slack takes an action id only once in a block."""
BUTTONS = ("ack", "escalate", "hold", "resume", "assess", "status", "severity", "note", "resolve", "reopen", "close")


def register(
    app: AsyncApp, intake: Intake, declaring: Declaring, story: Story, notice: Notice, recovering: Recovering
) -> None:
    """Every command, button, window, shortcut and event, and the story it belongs to."""
    ways = intake.ways
    # Bolt asks one listener after the other, and most of what comes in are messages: they are first.
    ways["event", "message"] = notice.message
    ways["event", "reaction_added"] = notice.reaction
    ways["event", "app_home_opened"] = notice.home

    ways["command", "/incident"] = _incident(declaring, story)

    ways["action", "incident_declare"] = declaring.open
    ways["action", "incident_declare_anyway"] = declaring.anyway
    ways["action", "incident_join"] = lambda click: declaring.join(click, int(click.value))
    ways["action", "incident_command"] = story.take_command
    ways["action", "incident_retry"] = story.retry
    ways["action", "incident_timeline"] = story.timeline_button
    ways["action", "incident_more"] = story.more
    ways["action", "incident_open_form"] = _open_form(declaring, story)
    ways["action", "incident_notice"] = story.draft
    ways["action", "incident_notified"] = story.notified
    for name in BUTTONS:
        ways["action", PREFIX + name] = _button(story, name)

    ways["view", CALLBACK] = declaring.submit
    for name, verb in VERBS.items():
        if verb.window is not None:
            ways["view", PREFIX + name] = _submit(story, name)

    ways["command", "/recover"] = recovering.command
    for place in range(OFFERS):
        ways["action", f"{START}_{place}"] = recovering.start
    for word in DECIDING:
        ways["action", f"recover_{word}"] = recovering.button
    ways["view", START] = recovering.submit
    ways["view", REJECT] = recovering.reasoned
    ways["view", OVERRIDE] = recovering.reasoned
    intake.checks[START] = recovering.wrong

    ways["shortcut", "incident_declare"] = declaring.open

    listen = {"command": app.command, "action": app.action, "view": app.view, "shortcut": app.shortcut}
    takes = {"command": intake.command, "action": intake.action, "view": intake.view, "shortcut": intake.shortcut}
    for kind, name in ways:
        if kind == "event":
            app.event(name, middleware=[intake.event])(_acknowledged)
        else:
            listen[kind](name)(takes[kind])


async def _acknowledged() -> None:
    """Nothing more: an event is stored before."""


def _incident(declaring: Declaring, story: Story) -> Callable[[Click], Awaitable[None]]:
    async def incident(click: Click) -> None:
        word, _, rest = click.text.partition(" ")
        name, rest = word.lower(), rest.strip()
        if name == "declare":
            await declaring.command(click, rest)
        elif name in ("", "help"):
            await story.help(click)
        elif name == "list":
            await story.list(click, rest)
        elif name == "join":
            await declaring.join(click, (await story.where(click, rest))[0])
        elif name == "timeline":
            await story.timeline_command(click, rest)
        elif name == "retry":
            await story.retry_command(click, rest)
        elif name == "status":
            await story.status(click, rest)
        elif name in VERBS:
            await story.command(click, VERBS[name], rest)
        else:
            raise BadInput(f"I do not know `/incident {word}`. `/incident help` lists what I know.")

    return incident


def _button(story: Story, name: str) -> Callable[[Click], Awaitable[None]]:
    return lambda click: story.button(click, VERBS[name])


def _submit(story: Story, name: str) -> Callable[[Click], Awaitable[None]]:
    return lambda click: story.submit(click, VERBS[name])


def _open_form(declaring: Declaring, story: Story) -> Callable[[Click], Awaitable[None]]:
    async def open_form(click: Click) -> None:
        """Try again, with a fresh trigger: `declare`, or `<verb>:<number>`."""
        name, _, number = click.value.partition(":")
        if name == "declare":
            await declaring.open(click)
        else:
            await story.open(click, VERBS[name], int(number))

    return open_form
