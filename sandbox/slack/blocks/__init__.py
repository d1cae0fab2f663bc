"""Block Kit as strict as Slack's own: what is wrong, and where, by JSON pointer."""

from typing import Any

from ..errors import SlackError, refused
from .layout import HOME, MESSAGE, MODAL

MESSAGE_TEXT = 13_000
"""All block text of one message. Slack publishes no number; it was seen to refuse from about here."""
MARKDOWN_TEXT = 12_000
ATTACHMENTS = 100


def check_blocks(blocks: object, pointer: str = "/blocks") -> None:
    """Check a message's blocks. Raises invalid_blocks_format, invalid_blocks or msg_blocks_too_long."""
    if not isinstance(blocks, list):
        raise refused("invalid_blocks_format", [f"must be an array [json-pointer:{pointer}]"])
    found: list[str] = []
    MESSAGE(blocks, pointer, found)
    if found:
        raise refused("invalid_blocks", found)
    markdown = sum(len(block["text"]) for block in blocks if block["type"] == "markdown")
    if markdown > MARKDOWN_TEXT or _length(blocks) > MESSAGE_TEXT:
        raise SlackError("msg_blocks_too_long")


def check_attachments(attachments: object) -> None:
    """Check legacy attachments and the blocks in them. Raises invalid_attachments, too_many_attachments, ..."""
    if not isinstance(attachments, list) or not all(isinstance(part, dict) for part in attachments):
        raise SlackError("invalid_attachments")
    if len(attachments) > ATTACHMENTS:
        raise SlackError("too_many_attachments")
    for index, part in enumerate(attachments):
        check_blocks(part.get("blocks") or [], f"/attachments/{index}/blocks")


def check_view(view: object, kind: str) -> None:
    """Check a view that must be of this kind (modal, home). Raises invalid_arguments with every mistake."""
    if not isinstance(view, dict):
        raise refused("invalid_arguments", ["must be an object [json-pointer:/view]"])
    if view.get("type") != kind:
        raise refused("invalid_arguments", [f"must be of type {kind} [json-pointer:/view/type]"])
    found: list[str] = []
    (MODAL if kind == "modal" else HOME)(view, "/view", found)
    if found:
        raise refused("invalid_arguments", found)


def _length(value: Any) -> int:
    """Characters of text anywhere inside."""
    if isinstance(value, dict):
        own = len(value["text"]) if isinstance(value.get("text"), str) else 0
        return own + sum(_length(inner) for inner in value.values() if isinstance(inner, dict | list))
    if isinstance(value, list):
        return sum(map(_length, value))
    return 0
