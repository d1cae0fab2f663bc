"""Small checks that combine into the shape of a block. Each adds its complaints, in Slack's words, to a list.

A complaint reads `must be less than 151 characters [json-pointer:/blocks/0/text/text]`.
"""

from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any, str, list[str]], None]


def complain(found: list[str], message: str, pointer: str) -> None:
    found.append(f"{message} [json-pointer:{pointer}]")


def anything(_value: Any, _pointer: str, _found: list[str]) -> None:
    """Accept whatever is there."""


def boolean(value: Any, pointer: str, found: list[str]) -> None:
    if not isinstance(value, bool):
        complain(found, "must be a boolean", pointer)


def integer(low: int, high: int) -> Check:
    def check(value: Any, pointer: str, found: list[str]) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            complain(found, "must be an integer", pointer)
        elif not low <= value <= high:
            complain(found, f"must be between {low} and {high}", pointer)

    return check


def string(maximum: int, minimum: int = 1) -> Check:
    def check(value: Any, pointer: str, found: list[str]) -> None:
        if not isinstance(value, str):
            complain(found, "must be a string", pointer)
        elif len(value) < minimum:
            complain(found, f"must be more than {minimum - 1} characters", pointer)
        elif len(value) > maximum:
            complain(found, f"must be less than {maximum + 1} characters", pointer)

    return check


def url(maximum: int = 3000) -> Check:
    plain = string(maximum)

    def check(value: Any, pointer: str, found: list[str]) -> None:
        plain(value, pointer, found)
        if isinstance(value, str) and value and not value.startswith(("http://", "https://", "mailto:")):
            complain(found, "must be a valid URL", pointer)

    return check


def one_of(*values: str) -> Check:
    def check(value: Any, pointer: str, found: list[str]) -> None:
        if value not in values:
            complain(found, f"must be one of {', '.join(values)}", pointer)

    return check


def array(item: Check, maximum: int, minimum: int = 1) -> Check:
    def check(value: Any, pointer: str, found: list[str]) -> None:
        if not isinstance(value, list):
            complain(found, "must be an array", pointer)
            return
        if len(value) < minimum:
            complain(found, f"no less than {minimum} items allowed", pointer)
        if len(value) > maximum:
            complain(found, f"no more than {maximum} items allowed", pointer)
            return
        for index, element in enumerate(value):
            item(element, f"{pointer}/{index}", found)

    return check


def thing(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    """An object with exactly these fields."""
    fields = {**required, **optional}

    def check(value: Any, pointer: str, found: list[str]) -> None:
        if not isinstance(value, dict):
            complain(found, "must be an object", pointer)
            return
        for name in required:
            if value.get(name) is None:
                complain(found, f"missing required field: {name}", pointer)
        for name, inner in value.items():
            if name not in fields:
                complain(found, f"invalid additional property: {name}", pointer)
            elif inner is not None:
                fields[name](inner, f"{pointer}/{name}", found)

    return check


def typed(kinds: Mapping[str, Check]) -> Check:
    """An object whose shape follows from its `type`."""

    def check(value: Any, pointer: str, found: list[str]) -> None:
        if not isinstance(value, dict):
            complain(found, "must be an object", pointer)
        elif "type" not in value:
            complain(found, "missing required field: type", pointer)
        elif value["type"] not in kinds:
            complain(found, f"unsupported type: {value['type']}", f"{pointer}/type")
        else:
            kinds[value["type"]](value, pointer, found)

    return check


def both(*checks: Check) -> Check:
    def check(value: Any, pointer: str, found: list[str]) -> None:
        for each in checks:
            each(value, pointer, found)

    return check


def text(maximum: int = 3000, *, plain: bool = False) -> Check:
    """A text object of 1..maximum characters; `plain` = plain_text only."""
    words = string(maximum)
    kinds = {"plain_text": thing({"type": anything, "text": words}, {"emoji": boolean})}
    if not plain:
        kinds["mrkdwn"] = thing({"type": anything, "text": words}, {"verbatim": boolean})
    return typed(kinds)


def exactly_one(*names: str) -> Check:
    """One and only one of these fields."""

    def check(value: Any, pointer: str, found: list[str]) -> None:
        if isinstance(value, dict) and sum(value.get(name) is not None for name in names) != 1:
            complain(found, f"must have exactly one of {', '.join(names)}", pointer)

    return check
