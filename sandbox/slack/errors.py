"""What the local Slack answers when it refuses.

SlackError    a Web API refusal: HTTP 200 with `{"ok": false, "error": code, ...}`
PersonError   a refusal on the page: HTTP 400 with `{"error": sentence}`
"""

from collections.abc import Iterable
from typing import Any


class SlackError(Exception):
    """A refusal with Slack's error code; `extra` joins the answer's body."""

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra

    def body(self) -> dict[str, Any]:
        return {"ok": False, "error": self.code, **self.extra}


class PersonError(Exception):
    """A sentence for the person at the page."""


def refused(code: str, messages: Iterable[str]) -> SlackError:
    """A refusal with one line per mistake, in the shape Slack uses for blocks, views and arguments."""
    lines = list(messages)
    return SlackError(code, errors=lines, response_metadata={"messages": [f"[ERROR] {line}" for line in lines]})
