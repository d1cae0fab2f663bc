"""The shapes of Block Kit elements: buttons, selects, pickers and inputs."""

from collections.abc import Mapping
from typing import Any

from .schema import (
    Check,
    anything,
    array,
    boolean,
    both,
    complain,
    exactly_one,
    integer,
    one_of,
    string,
    text,
    thing,
    typed,
    url,
)

ID = string(255)
IDS = array(string(255), 100, 0)
OPTIONS, GROUPS, FEW, OVERFLOW = 100, 100, 10, 5

CONFIRM = thing(
    {"title": text(100, plain=True), "text": text(300), "confirm": text(30, plain=True), "deny": text(30, plain=True)},
    {"style": one_of("primary", "danger"), "type": anything},
)


def _option(*, plain: bool, link: bool = False) -> Check:
    optional: dict[str, Check] = {"value": string(150), "description": text(75, plain=plain)}
    if link:
        optional["url"] = url()
    return thing({"text": text(75, plain=plain)}, optional)


OPTION = _option(plain=True)
GROUP = thing({"label": text(75, plain=True), "options": array(OPTION, OPTIONS)}, {})


def _initial_among_options(value: Any, pointer: str, found: list[str]) -> None:
    """What is chosen at first must be one of the choices."""
    options = _dicts(value.get("options"))
    for group in _dicts(value.get("option_groups")):
        options += _dicts(group.get("options"))
    values = [option.get("value") for option in options]
    first = [value["initial_option"]] if value.get("initial_option") else value.get("initial_options")
    for chosen in first if isinstance(first, list) else ():
        if not isinstance(chosen, dict) or chosen.get("value") not in values:
            complain(found, "initial option must match one of the options", pointer)
    if len(set(map(str, values))) != len(values):
        complain(found, "option values must be unique", f"{pointer}/options")


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _element(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    common = {"action_id": ID, "confirm": CONFIRM, "focus_on_load": boolean}
    return thing({"type": anything, **required}, {**common, **optional})


def _select(own: Mapping[str, Check], required: Mapping[str, Check] | None = None) -> Check:
    return _element(required or {}, {"placeholder": text(150, plain=True), **own})


_CHOICES = {
    "options": array(OPTION, OPTIONS),
    "option_groups": array(GROUP, GROUPS),
}
_STATIC = both(
    _select({**_CHOICES, "initial_option": OPTION}), exactly_one("options", "option_groups"), _initial_among_options
)
_MULTI = {"max_selected_items": integer(1, OPTIONS)}
_MULTI_STATIC = both(
    _select({**_CHOICES, **_MULTI, "initial_options": array(OPTION, OPTIONS)}),
    exactly_one("options", "option_groups"),
    _initial_among_options,
)
_FILTER = thing(
    {},
    {
        "include": array(one_of("im", "mpim", "private", "public"), 4),
        "exclude_external_shared_channels": boolean,
        "exclude_bot_users": boolean,
    },
)
_RESPONSE = {"response_url_enabled": boolean}
_CONVERSATION = {"default_to_current_conversation": boolean, "filter": _FILTER}
_DISPATCH = thing({}, {"trigger_actions_on": array(one_of("on_enter_pressed", "on_character_entered"), 2)})
_TYPED = {"placeholder": text(150, plain=True), "dispatch_action_config": _DISPATCH}

BUTTON = _element(
    {"text": text(75, plain=True)},
    {
        "url": url(),
        "value": string(2000),
        "style": one_of("primary", "danger"),
        "accessibility_label": string(75),
    },
)
OVERFLOW_MENU = _element({"options": array(_option(plain=True, link=True), OVERFLOW)}, {})
DATE = _select({"initial_date": string(10, 10)})
TIME = _select({"initial_time": string(5, 5), "timezone": string(100)})
DATE_TIME = _element({}, {"initial_date_time": integer(10**9, 10**10 - 1)})
_TICKS = {"options": array(_option(plain=False), FEW)}
CHECKBOXES = both(_element(_TICKS, {"initial_options": array(_option(plain=False), FEW)}), _initial_among_options)
RADIO = both(_element(_TICKS, {"initial_option": _option(plain=False)}), _initial_among_options)
TEXT_INPUT = _element(
    {},
    {
        **_TYPED,
        "initial_value": string(3000, 0),
        "multiline": boolean,
        "min_length": integer(0, 3000),
        "max_length": integer(1, 3000),
    },
)
NUMBER_INPUT = _element(
    {"is_decimal_allowed": boolean},
    {**_TYPED, "initial_value": string(100), "min_value": string(100), "max_value": string(100)},
)
LINE_INPUT = _element({}, {**_TYPED, "initial_value": string(3000)})
FILE_INPUT = _element({}, {"filetypes": array(string(20), 100), "max_files": integer(1, 10)})
RICH_INPUT = _element({}, {**_TYPED, "initial_value": anything})
IMAGE = both(
    thing({"type": anything, "alt_text": string(2000)}, {"image_url": url(), "slack_file": anything}),
    exactly_one("image_url", "slack_file"),
)

SELECTS: dict[str, Check] = {
    "static_select": _STATIC,
    "external_select": _select({"initial_option": OPTION, "min_query_length": integer(0, 100)}),
    "users_select": _select({"initial_user": ID}),
    "channels_select": _select({"initial_channel": ID, **_RESPONSE}),
    "conversations_select": _select({"initial_conversation": ID, **_CONVERSATION, **_RESPONSE}),
    "multi_static_select": _MULTI_STATIC,
    "multi_external_select": _select(
        {"initial_options": array(OPTION, OPTIONS), "min_query_length": integer(0, 100), **_MULTI}
    ),
    "multi_users_select": _select({"initial_users": IDS, **_MULTI}),
    "multi_channels_select": _select({"initial_channels": IDS, **_MULTI}),
    "multi_conversations_select": _select({"initial_conversations": IDS, **_CONVERSATION, **_MULTI}),
}
PICKERS: dict[str, Check] = {
    "datepicker": DATE,
    "timepicker": TIME,
    "datetimepicker": DATE_TIME,
    "checkboxes": CHECKBOXES,
    "radio_buttons": RADIO,
}
INTERACTIVE: dict[str, Check] = {"button": BUTTON, "overflow": OVERFLOW_MENU, **SELECTS, **PICKERS}
IN_ACTIONS = typed({**INTERACTIVE, "rich_text_input": RICH_INPUT})
ACCESSORY = typed({**INTERACTIVE, "image": IMAGE})
IN_INPUT = typed(
    {
        **SELECTS,
        **PICKERS,
        "plain_text_input": TEXT_INPUT,
        "number_input": NUMBER_INPUT,
        "email_text_input": LINE_INPUT,
        "url_text_input": LINE_INPUT,
        "file_input": FILE_INPUT,
        "rich_text_input": RICH_INPUT,
    }
)
IN_CONTEXT = typed(
    {
        "image": IMAGE,
        "plain_text": text(3000, plain=True),
        "mrkdwn": text(3000),
    }
)
IN_CONTEXT_ACTIONS = typed(
    {
        "icon_button": _element({"icon": string(50), "text": text(75, plain=True)}, {"value": string(2000)}),
        "feedback_buttons": _element({"positive_button": anything, "negative_button": anything}, {}),
    }
)
