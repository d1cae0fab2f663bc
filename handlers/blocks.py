"""Block Kit in small words. Everything typed by people goes through `esc`; every text is cut to what Slack takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

Block = dict[str, Any]

SECTION_MAX = 3000
MESSAGE_MAX = 10_000
"""Characters of all blocks of a message together: Slack says no somewhere above 11,000."""
VALUE_MAX, OPTIONS_MAX = 75, 100
"""Characters of an option's value, and options of a select."""


def esc(text: object) -> str:
    """Text that mentions nobody and formats nothing by accident: Slack's three characters, escaped."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_TOKEN = re.compile(r"<(?:([@#!])([^<>|\s]+)|((?:https?|mailto|tel):[^<>|]+))(?:\|([^<>]*))?>")


def as_typed(text: str) -> str:
    """What a person typed, from the way Slack spells it: mentions by name, addresses bare, the three characters as they were."""

    def word(token: re.Match[str]) -> str:
        mark, target, address, label = token.groups()
        if address:
            return str(address)
        sign = "#" if mark == "#" else "@"
        return sign + (label or target).removeprefix(sign)

    return _TOKEN.sub(word, text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def cut(text: str, most: int) -> str:
    """Plain text of at most `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def clip(text: str, most: int) -> str:
    """Markup of at most `most` characters, never cut inside an escaped character or a mention: escape first, then clip."""
    if len(text) <= most:
        return text
    kept = text[: most - 1]
    for opening, closing in (("&", ";"), ("<", ">")):
        start = kept.rfind(opening)
        if start > kept.rfind(closing):
            kept = kept[:start]
    return kept + "…"


_USER_ID = re.compile(r"[UW][A-Z0-9]+")


def person(user: str, name: str = "") -> str:
    """A person by Slack id, so that Slack shows (and never pings twice) their name; else by name."""
    return f"<@{user}>" if _USER_ID.fullmatch(user) else esc(name or user)


def instant(at: datetime, form: str = "{time_secs}") -> str:
    """An instant in the reader's own time zone, in UTC where the client is too old."""
    return f"<!date^{int(at.timestamp())}^{form}|{at:%H:%M:%S} UTC>"


def _markup(text: str, most: int) -> Block:
    """`verbatim`: what merely looks like a channel or a mention stays text."""
    return {"type": "mrkdwn", "text": clip(text, most) or " ", "verbatim": True}


def _plain(text: str, most: int) -> Block:
    return {"type": "plain_text", "text": cut(text, most)}


def header(text: str) -> Block:
    return {"type": "header", "text": {**_plain(text, 150), "emoji": True}}


def section(text: str, accessory: Block | None = None) -> Block:
    block: Block = {"type": "section", "text": _markup(text, SECTION_MAX)}
    if accessory is not None:
        block["accessory"] = accessory
    return block


def sections(text: str) -> list[Block]:
    """A text of any length: as many sections as it needs, parted where a line ends."""
    parts: list[str] = []
    for line in text.split("\n"):
        if parts and len(parts[-1]) + 1 + len(line) <= SECTION_MAX:
            parts[-1] += f"\n{line}"
        else:
            parts.append(line)
    return [section(part) for part in parts]


def fields(texts: Sequence[str]) -> Block:
    return {"type": "section", "fields": [_markup(t, 2000) for t in texts[:10]]}


def context(*texts: str) -> Block:
    return {"type": "context", "elements": [_markup(t, SECTION_MAX) for t in texts[:10]]}


def divider() -> Block:
    return {"type": "divider"}


def actions(block_id: str, *elements: Block) -> Block:
    return {"type": "actions", "block_id": block_id, "elements": list(elements[:25])}


def button(
    text: str,
    action_id: str,
    value: str = "",
    style: str = "",
    confirm: tuple[str, str, str] | None = None,
    url: str = "",
) -> Block:
    """`confirm` is (title, text, the word on the confirming button)."""
    made: Block = {
        "type": "button",
        "text": {**_plain(text, 75), "emoji": True},
        "action_id": action_id,
    }
    if value:
        made["value"] = value
    if style:
        made["style"] = style
    if url:
        made["url"] = url
    if confirm is not None:
        title, body, yes = confirm
        made["confirm"] = {
            "title": _plain(title, 100),
            "text": _markup(body, 300),
            "confirm": _plain(yes, 30),
            "deny": _plain("Not now", 30),
        }
    return made


def option(text: str, value: str, description: str = "") -> Block:
    """`value` has at most VALUE_MAX characters: cut, it would be another one."""
    made: Block = {"text": {**_plain(text, 75), "emoji": True}, "value": value}
    if description:
        made["description"] = _plain(description, 75)
    return made


def overflow(action_id: str, options: Iterable[Block]) -> Block:
    return {"type": "overflow", "action_id": action_id, "options": list(options)[:5]}


def bar(used: int, cells: int) -> str:
    """A budget as a bar that can be read without colour: `▓▓▓░░░░░░░`."""
    return "▓" * used + "░" * (cells - used)


def lines(items: Iterable[str], most: int = SECTION_MAX) -> str:
    """Lines joined until they are `most` characters; says how many were left out."""
    kept: list[str] = []
    size, all_items = 0, list(items)
    for number, item in enumerate(all_items):
        if size + len(item) + 1 > most - 40:
            kept.append(f"_… and {len(all_items) - number} more_")
            break
        kept.append(item)
        size += len(item) + 1
    return "\n".join(kept)


def newest(items: Iterable[str], most: int = 2900) -> str:
    """The last lines, oldest first, as many as `most` characters hold."""
    kept: list[str] = []
    size = 0
    for item in reversed(list(items)):
        size += len(item) + 1
        if size > most:
            break
        kept.insert(0, item)
    return "\n".join(kept)


def practice_mark(practice: object) -> list[Block]:
    """Every card of a practice says so."""
    return [context(":test_tube: *PRACTICE*")] if practice else []


def modal(
    callback_id: str, title: str, blocks: Sequence[Block], submit: str = "", data: str = "", close: str = "Cancel"
) -> Block:
    view: Block = {
        "type": "modal", "callback_id": callback_id, "title": _plain(title, 24),
        "blocks": list(blocks), "close": _plain(close, 24), "private_metadata": data,
    }  # fmt: skip
    if submit:
        view["submit"] = _plain(submit, 24)
    return view


def text_input(name: str, label: str, *, multiline: bool = False, optional: bool = False, most: int = 3000, value: str = "",
               hint: str = "", placeholder: str = "") -> Block:  # fmt: skip
    element: Block = {"type": "plain_text_input", "action_id": name, "multiline": multiline, "max_length": most}
    if value:
        element["initial_value"] = value[:most]
    if placeholder:
        element["placeholder"] = _plain(placeholder, 150)
    return _input(name, label, element, optional=optional, hint=hint)


def select(name: str, label: str, options: Sequence[Block], *, initial: str = "", optional: bool = False, many: bool = False,
           hint: str = "") -> Block:  # fmt: skip
    element: Block = {
        "type": "multi_static_select" if many else "static_select",
        "action_id": name,
        "options": list(options[:OPTIONS_MAX]),
    }
    chosen = [o for o in options if o["value"] == initial]
    if chosen:
        element["initial_options" if many else "initial_option"] = chosen if many else chosen[0]
    return _input(name, label, element, optional=optional, hint=hint)


def checkbox(name: str, label: str, choice: Block) -> Block:
    return _input(name, label, {"type": "checkboxes", "action_id": name, "options": [choice]}, optional=True)


def person_select(name: str, label: str, initial: str = "") -> Block:
    element: Block = {"type": "users_select", "action_id": name}
    if initial:
        element["initial_user"] = initial
    return _input(name, label, element)


def _input(name: str, label: str, element: Block, *, optional: bool = False, hint: str = "") -> Block:
    made: Block = {
        "type": "input", "block_id": name, "label": _plain(label, 2000), "element": element,
        "optional": optional,
    }  # fmt: skip
    if hint:
        made["hint"] = _plain(hint, 2000)
    return made


def typed(view: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a submitted view by input name: str, list[str], or absent when left empty."""
    found: dict[str, Any] = {}
    for block in view.get("state", {}).get("values", {}).values():
        for name, state in block.items():
            value = _value(state)
            if value not in (None, "", []):
                found[name] = value
    return found


def _value(state: Mapping[str, Any]) -> Any:
    if "selected_options" in state:
        return [o["value"] for o in state["selected_options"] or []]
    if state.get("selected_option"):
        return state["selected_option"]["value"]
    return state.get("value") or state.get("selected_user") or state.get("selected_date_time")


def fit(blocks: list[Block]) -> list[Block]:
    """At most 50 blocks and MESSAGE_MAX characters: what does not fit is cut from the end, and says so."""
    size = 0
    for number, block in enumerate(blocks):
        size += _size(block)
        if size > MESSAGE_MAX or (number == 49 and len(blocks) > 50):
            return [*blocks[:number], context("_The rest did not fit; `/incident timeline` has it all._")]
    return blocks


def _size(value: object) -> int:
    """Characters of every text in a block."""
    if isinstance(value, dict):
        return sum(len(v) if k == "text" and isinstance(v, str) else _size(v) for k, v in value.items())
    return sum(map(_size, value)) if isinstance(value, list) else 0
