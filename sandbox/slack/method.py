"""What a Web API method is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .arguments import Argument, takes
from .model import Json
from .workspace import Workspace

Run = Callable[[Workspace, Json], Json]
SPECIAL = 0
"""The tier of methods that Slack limits in their own way."""


@dataclass(frozen=True, slots=True)
class Method:
    """`scopes`: one of them is needed (more is asked by `run` where it depends on the channel). `tier`: 1..4."""

    name: str
    run: Run
    arguments: tuple[Argument, ...]
    scopes: tuple[str, ...]
    tier: int
    caller: Literal["bot", "app", "none"] = "bot"


def method(name: str, run: Run, arguments: str, scopes: str, tier: int) -> Method:
    """A method of the bot token; `arguments` as in `takes`, `scopes` separated by spaces."""
    return Method(name, run, takes(arguments), tuple(scopes.split()), tier)
