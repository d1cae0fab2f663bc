"""What tests ask of anything drawn for Slack: it is taken, it mentions nobody it was not told to, it keeps its limits."""

import re
from collections.abc import Iterator
from typing import Any

from sandbox.slack.blocks import check_blocks, check_view

TEXT_MAX = 4000
ALLOWED = re.compile(
    r"<@U0(?:ANA|BEN)>|<#C0ROOM>|<!date\^\d+\^[^<>|^]*\|\d\d:\d\d:\d\d UTC>"
)  # people and rooms by the ids that the bot itself knows, and instants


def texts(value: Any) -> Iterator[dict[str, Any]]:
    """Every text object inside."""
    if isinstance(value, dict):
        if value.get("type") in ("mrkdwn", "plain_text"):
            yield value
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def mentions_nobody(drawn: tuple[str, list[dict[str, Any]]]) -> None:
    """Every `<` is a person, room or instant of the bot's own, and nothing else may be made a mention by Slack."""
    text, blocks = drawn
    marked = [t for t in texts(blocks) if t["type"] == "mrkdwn"]
    assert all(t["verbatim"] is True for t in marked)
    for written in (text, *(t["text"] for t in marked)):
        rest = ALLOWED.sub("", written)
        assert "<" not in rest
        assert ">" not in rest.replace("\n> ", "\n")  # a quotation is our own
        assert not re.search(r"&(?!amp;|lt;|gt;)", rest)


def taken_by_slack(drawn: tuple[str, list[dict[str, Any]]]) -> None:
    """The strict double takes it as a message."""
    text, blocks = drawn
    assert 0 < len(text) <= TEXT_MAX
    assert len(blocks) <= 50
    check_blocks(blocks)


def window_taken_by_slack(view: dict[str, Any]) -> None:
    """The strict double takes it as a modal."""
    check_view(view, "modal")
