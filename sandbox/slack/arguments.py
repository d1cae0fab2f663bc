"""A method's arguments: gathered from query, form and JSON body, then checked against what the method takes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from .errors import SlackError, refused
from .model import Json

IGNORED = frozenset({"team_id"})
"""Sent by the SDK with every call made inside a listener."""
FORMAT_ERRORS = {
    "blocks": "invalid_blocks_format",
    "metadata": "invalid_metadata_format",
    "attachments": "invalid_attachments",
}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: `kind` is str, bool, int, float, json or list (comma-separated or an array)."""

    name: str
    kind: str
    required: bool


def takes(text: str) -> tuple[Argument, ...]:
    """Read a short list such as "channel! text blocks:json unfurl_links:bool"; `!` = required."""
    arguments = []
    for word in text.split():
        name, _, kind = word.partition(":")
        arguments.append(Argument(name.rstrip("!"), kind or "str", name.endswith("!")))
    return tuple(arguments)


async def gather(request: web.Request) -> Json:
    """All arguments of one request. Raises invalid_json, json_not_object or invalid_form_data."""
    args: Json = dict(request.query)
    if request.content_type == "application/json":
        body = await request.text()
        if body.strip():
            try:
                parsed = json.loads(body)
            except ValueError:
                raise SlackError("invalid_json") from None
            if not isinstance(parsed, dict):
                raise SlackError("json_not_object")
            args |= parsed
    elif request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        try:
            form = await request.post()
        except ValueError:
            raise SlackError("invalid_form_data") from None
        args |= {name: value for name, value in form.items() if isinstance(value, str)}
    return args


def check(takes: tuple[Argument, ...], given: Mapping[str, Any]) -> Json:
    """The arguments by name, converted. Raises invalid_arguments with one line per mistake, or a format error."""
    known = {argument.name for argument in takes}
    mistakes = [f"unknown argument: {name}" for name in given if name not in known and name not in IGNORED]
    args: Json = {}
    for argument in takes:
        value = given.get(argument.name)
        if value is None or (value == "" and argument.required):
            if argument.required:
                mistakes.append(f"missing required field: {argument.name}")
            continue
        try:
            args[argument.name] = CONVERTERS[argument.kind](value)
        except ValueError:
            if code := FORMAT_ERRORS.get(argument.name):
                raise refused(code, [f"must be valid JSON [json-pointer:/{argument.name}]"]) from None
            mistakes.append(f"must be a valid {argument.kind} [json-pointer:/{argument.name}]")
    if mistakes:
        raise refused("invalid_arguments", mistakes)
    return args


def _str(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError(value)


def _bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if str(value) in ("1", "0", "true", "false"):
        return str(value) in ("1", "true")
    raise ValueError(value)


def _int(value: object) -> int:
    if isinstance(value, bool | float):
        raise ValueError(value)  # noqa: TRY004 -- a wrong argument, whatever its Python type
    return int(str(value))


def _json(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value


def _list(value: object) -> list[str]:
    if isinstance(value, str) and value.startswith("["):
        value = json.loads(value)
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list):
        raise ValueError(value)  # noqa: TRY004 -- a wrong argument, whatever its Python type
    return [str(item).strip() for item in items if str(item).strip()]


CONVERTERS: dict[str, Callable[[object], object]] = {
    "str": _str,
    "bool": _bool,
    "int": _int,
    "json": _json,
    "list": _list,
}
