"""conversations.canvases.create and canvases.*"""

import re

from ..errors import SlackError, refused
from ..method import method
from ..model import Json
from ..workspace import Workspace

MARKDOWN_BYTES = 1 << 20
_OPERATIONS = ("insert_at_start", "insert_at_end", "insert_before", "insert_after", "replace", "delete", "rename")
_NEEDS_SECTION = ("insert_before", "insert_after", "delete")


def _markdown(content: object) -> str:
    if content is None:
        return ""
    if (
        not isinstance(content, dict)
        or content.get("type") != "markdown"
        or not isinstance(content.get("markdown"), str)
    ):
        raise refused("invalid_arguments", ["must be a markdown document [json-pointer:/document_content]"])
    markdown: str = content["markdown"]
    if len(markdown.encode()) > MARKDOWN_BYTES:
        raise SlackError("canvas_too_large")
    return markdown


def _sections(ws: Workspace, markdown: str) -> list[Json]:
    return [{"id": ws.new_id("temp:C:"), "text": part} for part in re.split(r"\n\s*\n", markdown) if part.strip()]


def create(ws: Workspace, args: Json) -> Json:
    """One canvas a channel."""
    channel = ws.joined(args["channel_id"])
    if channel.canvas:
        raise SlackError("channel_canvas_already_exists")
    canvas = {"title": args.get("title", ""), "sections": _sections(ws, _markdown(args.get("document_content")))}
    channel.canvas = ws.new_id("F")
    ws.canvases[channel.canvas] = canvas | {"channel": channel.id}
    return {"canvas_id": channel.canvas}


def _canvas(ws: Workspace, args: Json) -> Json:
    canvas: Json | None = ws.canvases.get(args["canvas_id"])
    if canvas is None:
        raise SlackError("canvas_not_found")
    ws.joined(canvas["channel"])
    return canvas


def edit(ws: Workspace, args: Json) -> Json:
    """Exactly one change a call."""
    canvas = _canvas(ws, args)
    changes = args["changes"]
    if not isinstance(changes, list) or len(changes) != 1 or not isinstance(changes[0], dict):
        raise refused("invalid_arguments", ["must be an array of exactly 1 change [json-pointer:/changes]"])
    _apply(ws, canvas, changes[0])
    return {}


def _apply(ws: Workspace, canvas: Json, change: Json) -> None:
    operation, section_id = change.get("operation"), change.get("section_id")
    if operation not in _OPERATIONS or (operation in _NEEDS_SECTION and not section_id):
        raise refused("invalid_arguments", ["unsupported operation or no section_id [json-pointer:/changes/0]"])
    if operation == "rename":
        canvas["title"] = _markdown(change.get("title_content"))
        return
    sections: list[Json] = canvas["sections"]
    at = next((n for n, section in enumerate(sections) if section["id"] == section_id), None)
    if section_id and at is None:
        raise SlackError("section_not_found")
    new = _sections(ws, _markdown(change.get("document_content")))
    start, end = {
        "insert_at_start": (0, 0),
        "insert_at_end": (len(sections), len(sections)),
        "insert_before": (at or 0, at or 0),
        "insert_after": ((at or 0) + 1, (at or 0) + 1),
        "delete": (at or 0, (at or 0) + 1),
        "replace": (0, len(sections)) if at is None else (at, at + 1),
    }[operation]
    sections[start:end] = [] if operation == "delete" else new


def lookup(ws: Workspace, args: Json) -> Json:
    canvas = _canvas(ws, args)
    criteria = args["criteria"] if isinstance(args["criteria"], dict) else {}
    wanted = str(criteria.get("contains_text", ""))
    return {"sections": [{"id": section["id"]} for section in canvas["sections"] if wanted in section["text"]]}


METHODS = (
    method("conversations.canvases.create", create, "channel_id! title document_content:json", "canvases:write", 2),
    method("canvases.edit", edit, "canvas_id! changes!:json", "canvases:write", 3),
    method("canvases.sections.lookup", lookup, "canvas_id! criteria!:json", "canvases:read", 3),
)
