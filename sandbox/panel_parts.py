"""What is on the panel that breaks things: parts, their buttons, and the platforms among them."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from sandbox import pagerduty, slack
from sandbox.command import Command
from sandbox.doors import Door

SLOW_SLACK, SLOW_PAGERDUTY = 1.5, 4.0
RETRY_AFTER = 5

# A part's state, and the detail in words.
Seen = tuple[str, str]


@dataclass(frozen=True)
class Action:
    """A button. `leads_to`: the state it brings about; it is not offered in that state. `do` may raise CannotDo.

    `only_in`: the states it is offered in; none given are all others.
    """

    name: str
    title: str
    leads_to: str
    do: Callable[[], Awaitable[object]]
    only_in: Collection[str] = ()

    def offered_in(self, state: str) -> bool:
        """Whether it makes sense in that state of its part."""
        return state != self.leads_to and (not self.only_in or state in self.only_in)


@dataclass(frozen=True)
class Part:
    """One thing on the panel; `look` gives its state and, in words, the detail."""

    name: str
    title: str
    look: Callable[[], Awaitable[Seen]]
    actions: Sequence[Action]


class Pager(Protocol):
    """What is looked at and changed of PagerDuty."""

    pagerduty: pagerduty.PagerDuty
    pagerduty_door: Door
    pagerduty_url: str


def pager(estate: Pager) -> Part:
    """PagerDuty: down, refusing or slow."""
    faults = estate.pagerduty.faults

    async def up() -> None:
        faults.clear()
        await estate.pagerduty_door.start()

    async def down() -> None:
        await up()
        faults.down = True
        await estate.pagerduty_door.shut()

    async def refuse() -> None:
        await up()
        faults.fail["writes"] = pagerduty.FaultSpec("refuse")

    async def slow() -> None:
        await up()
        faults.latency = SLOW_PAGERDUTY

    async def look() -> Seen:
        if not estate.pagerduty_door.open or faults.down:
            return "down", "connections are refused"
        if faults.fail:
            return "refusing", "every write is refused"
        return ("slow", f"{faults.latency:g} s more per call") if faults.latency else ("up", estate.pagerduty_url)

    actions = (
        Action("down", "PagerDuty down", "down", down),
        Action("refuse", "Refuse writes", "refusing", refuse),
        Action("slow", "Slow", "slow", slow),
        Action("up", "Normal", "up", up),
    )
    return Part("pagerduty", "PagerDuty", look, actions)


def chat(workspace: slack.Workspace) -> Part:
    """Slack: slow, limiting, down or silent."""
    faults = workspace.faults

    async def normal() -> None:
        faults.clear()

    async def slow() -> None:
        faults.clear()
        faults.latency = SLOW_SLACK

    async def limited() -> None:
        faults.clear()
        faults.fail["*"] = slack.FaultSpec("ratelimited", retry_after=RETRY_AFTER)

    async def down() -> None:
        faults.clear()
        faults.down = True

    async def silent() -> None:
        faults.clear()
        faults.socket_silent = True

    async def look() -> Seen:
        if faults.down:
            return "down", "every call and every socket is refused"
        if faults.socket_silent:
            return "silent", "the socket is open and says nothing"
        if faults.fail:
            return "rate limited", f"every call is told to wait {RETRY_AFTER} s"
        return ("slow", f"{faults.latency:g} s more per call") if faults.latency else ("up", "normal")

    actions = (
        Action("slow", "Slow", "slow", slow),
        Action("ratelimit", "Rate limit", "rate limited", limited),
        Action("down", "Slack down", "down", down),
        Action("silent", "Silent socket", "silent", silent),
        Action("normal", "Normal", "up", normal),
    )
    return Part("slack", "Slack", look, actions)


def robot(bot: Command) -> Part:
    """The bot: killed, stopped, started."""

    async def look() -> Seen:
        if bot.pid is not None:
            return ("up", f"process {bot.pid}")
        how = "" if bot.returncode is None else f"ended with status {bot.returncode}"
        return "down", how or "not started"

    actions = (
        Action("kill", "kill -9", "down", bot.kill),
        Action("stop", "Stop the bot", "down", bot.stop),
        Action("start", "Start the bot", "up", bot.start),
    )
    return Part("bot", "Recovery Bot", look, actions)
