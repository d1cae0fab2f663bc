"""The shapes of Block Kit blocks and views."""

from collections.abc import Mapping
from typing import Any

from .elements import ACCESSORY, ID, IN_ACTIONS, IN_CONTEXT, IN_CONTEXT_ACTIONS, IN_INPUT
from .schema import Check, anything, array, boolean, both, complain, exactly_one, string, text, thing, typed, url

MESSAGE_BLOCKS, VIEW_BLOCKS = 50, 100


def _block(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    return thing({"type": anything, **required}, {"block_id": ID, **(optional or {})})


def _some_text(value: Any, pointer: str, found: list[str]) -> None:
    if not value.get("text") and not value.get("fields"):
        complain(found, "missing required field: text or fields", pointer)


_SECTION = both(
    _block(
        {},
        {"text": text(3000), "fields": array(text(2000), 10), "accessory": ACCESSORY, "expand": boolean},
    ),
    _some_text,
)
_IMAGE = both(
    _block({"alt_text": string(2000)}, {"image_url": url(), "slack_file": anything, "title": text(2000, plain=True)}),
    exactly_one("image_url", "slack_file"),
)
_COMMON: dict[str, Check] = {
    "section": _SECTION,
    "header": _block({"text": text(150, plain=True)}, {"level": anything}),
    "divider": _block({}),
    "image": _IMAGE,
    "actions": _block({"elements": array(IN_ACTIONS, 25)}),
    "context": _block({"elements": array(IN_CONTEXT, 10)}),
    "input": _block(
        {"label": text(2000, plain=True), "element": IN_INPUT},
        {"hint": text(2000, plain=True), "optional": boolean, "dispatch_action": boolean},
    ),
    "rich_text": _block(
        {
            "elements": array(
                typed(
                    {
                        kind: thing({"type": anything, "elements": array(anything, 1000, 0)}, extra)
                        for kind, extra in {
                            "rich_text_section": {},
                            "rich_text_list": {
                                "style": anything,
                                "indent": anything,
                                "border": anything,
                                "offset": anything,
                            },
                            "rich_text_preformatted": {"border": anything, "language": anything},
                            "rich_text_quote": {"border": anything},
                        }.items()
                    }
                ),
                1000,
                0,
            )
        }
    ),
    "video": _block(
        {"title": text(200, plain=True), "video_url": url(), "thumbnail_url": url(), "alt_text": string(2000)},
        {
            "title_url": url(),
            "description": text(200, plain=True),
            "author_name": string(50),
            "provider_name": anything,
            "provider_icon_url": url(),
        },
    ),
}
_CELLS = array(anything, 20)
_MESSAGE: dict[str, Check] = {
    **_COMMON,
    "markdown": _block({"text": string(12_000)}),
    "table": _block({"rows": array(_CELLS, 100)}, {"column_settings": array(anything, 20)}),
    "file": _block({"external_id": string(255), "source": anything}),
    "context_actions": _block({"elements": array(IN_CONTEXT_ACTIONS, 5)}),
}


def _ids(value: Any, pointer: str, found: list[str]) -> None:
    """Block ids are unique in their message or view, action ids in their block."""
    blocks = [block for block in value if isinstance(block, dict)] if isinstance(value, list) else []
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        if (block_id := block.get("block_id")) is not None:
            if block_id in seen:
                complain(found, f"block_id already exists: {block_id}", f"{pointer}/{index}/block_id")
            seen.add(str(block_id))
        elements = block.get("elements") if block.get("type") == "actions" else None
        actions = [e.get("action_id") for e in elements if isinstance(e, dict)] if isinstance(elements, list) else []
        given = [action for action in actions if action is not None]
        if len(set(map(str, given))) != len(given):
            complain(found, "action_id must be unique in its block", f"{pointer}/{index}/elements")


def _tables(value: Any, pointer: str, found: list[str]) -> None:
    blocks = value if isinstance(value, list) else []
    if sum(isinstance(block, dict) and block.get("type") == "table" for block in blocks) > 1:
        complain(found, "only one table is allowed", pointer)


MESSAGE = both(array(typed(_MESSAGE), MESSAGE_BLOCKS, 0), _ids, _tables)
_VIEW_BLOCKS = both(array(typed(_COMMON), VIEW_BLOCKS, 0), _ids)
_VIEW: dict[str, Check] = {
    "blocks": _VIEW_BLOCKS,
    "type": anything,
}
_VIEW_OPTIONAL: dict[str, Check] = {
    "callback_id": string(255, 0),
    "private_metadata": string(3000, 0),
    "external_id": string(255, 0),
}


def _submit(value: Any, pointer: str, found: list[str]) -> None:
    blocks = value.get("blocks") if isinstance(value, dict) else None
    inputs = [b for b in blocks if isinstance(b, dict) and b.get("type") == "input"] if isinstance(blocks, list) else []
    if inputs and not value.get("submit"):
        complain(found, "must define `submit` to use an `input` block in modals", f"{pointer}/submit")


MODAL = both(
    thing(
        {**_VIEW, "title": text(24, plain=True)},
        {
            **_VIEW_OPTIONAL,
            "submit": text(24, plain=True),
            "close": text(24, plain=True),
            "clear_on_close": boolean,
            "notify_on_close": boolean,
            "submit_disabled": boolean,
        },
    ),
    _submit,
)
HOME = thing(_VIEW, _VIEW_OPTIONAL)
