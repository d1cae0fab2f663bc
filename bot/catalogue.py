"""Every procedure by name, and its parameters as people type them: `max_lag=5s mode=switchover`."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import EnumType
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from bot.action import Action, Findings, Observation, Offer, Procedure, spell
from bot.errors import BadInput, NotFound
from bot.incident import Scenario


@dataclass(frozen=True)
class Parameter:
    """One field of a procedure. `options` are the only values it takes; empty = anything of `kind`."""

    name: str
    kind: str
    help: str
    default: str
    required: bool
    options: tuple[str, ...] = ()


class Catalogue:
    """Not listed, not runnable."""

    def __init__(self, listed: Iterable[type[Procedure]]) -> None:
        self._listed = {procedure.name: procedure for procedure in listed}

    def __iter__(self) -> Any:
        return iter(self._listed.values())

    def find(self, name: str) -> type[Procedure]:
        """Raises NotFound, with the name that was probably meant."""
        found = self._listed.get(name.lower())
        if found is None:
            close = difflib.get_close_matches(name.lower(), self._listed, 1)
            meant = f" Did you mean `{close[0]}`?" if close else ""
            raise NotFound(f"There is no action `{name}`.{meant} `/recover help` lists them.")
        return found

    def ordered(self, scenario: Scenario | None) -> Sequence[type[Procedure]]:
        """Those of the scenario first, in the order of the catalogue."""
        return sorted(self._listed.values(), key=lambda p: p.scenario is not scenario)

    def offers(self, scenario: Scenario | None) -> list[Offer]:
        """The likely procedures as buttons: those of the scenario that need nothing to be filled in."""
        return [
            Offer(p.name, p.name, risk=p.risk)
            for p in self._listed.values()
            if p.scenario is scenario and not any(q.required for q in parameters(p))
        ]

    def rated(self, seen: Findings) -> Findings:
        """Findings whose offers tell their risk."""
        return replace(
            seen,
            lines=[
                replace(line, offers=[replace(offer, risk=self.find(offer.name).risk) for offer in line.offers])
                for line in seen.lines
            ],
        )

    def make(self, name: str, words: Mapping[str, str]) -> Procedure:
        """A procedure with its parameters. Raises NotFound or BadInput, naming the parameter."""
        kind = self.find(name)
        known = {p.name: p for p in parameters(kind)}
        for word in words:
            if word not in known:
                has = ", ".join(f"`{n}=`" for n in known) or "no parameters"
                raise BadInput(f"`{kind.name}` does not know `{word}`; it has {has}.", word)
        read = {word: _read(known[word], value) for word, value in words.items() if value.strip()}
        try:
            return kind.model_validate(read)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            word = str(first["loc"][0]) if first["loc"] else ""
            raise BadInput(_wrong(kind, known.get(word), word, first), word) from error

    def action(self, name: str, values: Mapping[str, Any]) -> Action[Any]:
        """An action as its run keeps it (`model_dump(mode="json")`). Raises NotFound."""
        made = self.find(name).model_validate(values)
        if not isinstance(made, Action):
            raise NotFound(f"`{name}` is no action.")
        return made

    def observation(self, name: str, values: Mapping[str, Any]) -> Observation:
        made = self.find(name).model_validate(values)
        if not isinstance(made, Observation):
            raise NotFound(f"`{name}` is no observation.")
        return made


def parameters(kind: type[Procedure]) -> list[Parameter]:
    """The fields of a procedure, in their order."""
    return [_parameter(name, info) for name, info in kind.model_fields.items()]


def _parameter(name: str, info: FieldInfo) -> Parameter:
    required = info.is_required()
    default = "" if info.default in (PydanticUndefined, None) else spell(info.default)
    options: tuple[str, ...] = ()
    if get_origin(info.annotation) is Literal:
        options = tuple(map(str, get_args(info.annotation)))
    elif isinstance(info.annotation, EnumType):
        options = tuple(str(member.value) for member in info.annotation)
    elif info.annotation is bool:
        options = ("yes", "no")
    return Parameter(name, _kind(info.annotation), info.description or "", default, required, options)


def _kind(annotation: Any) -> str:
    if annotation is timedelta:
        return "a duration such as 5s, 10m or 1h"
    return "a whole number" if annotation is int else "text"


_SPAN = re.compile(r"^(\d+(?:\.\d+)?)\s*(s|m|h|d)$", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _read(parameter: Parameter, value: str) -> Any:
    value = value.strip()
    if parameter.kind.startswith("a duration"):
        match = _SPAN.match(value)
        if match is None:
            raise BadInput(f"`{parameter.name}={value}` is not {parameter.kind}.", parameter.name)
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2].lower()])
    if parameter.options:
        if value.lower() not in parameter.options:
            choices = ", ".join(f"`{option}`" for option in parameter.options)
            raise BadInput(f"`{parameter.name}={value}` is none of {choices}.", parameter.name)
        return {"yes": True, "no": False}.get(value.lower(), value.lower())
    return value


def _wrong(kind: type[Procedure], parameter: Parameter | None, word: str, error: Any) -> str:
    if error["type"] == "missing":
        says = f" ({parameter.help})" if parameter and parameter.help else ""
        return f"`{kind.name}` needs `{word}=`{says}. `/recover help {kind.name}` explains it."
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"`{word}=` is wrong: {message}. `/recover help {kind.name}` explains it."


def split(text: str) -> dict[str, str]:
    """`a=1 b="two words"` as a mapping. Raises BadInput for anything else."""
    try:
        parts = shlex.split(text.replace("“", '"').replace("”", '"'))
    except ValueError:
        raise BadInput("A quotation mark is not closed.") from None
    found: dict[str, str] = {}
    for part in parts:
        word, equals, value = part.partition("=")
        if not equals or not word.isidentifier():
            raise BadInput(f"`{part}` is no `key=value`.")
        if word in found:
            raise BadInput(f"`{word}=` is given twice.", word)
        found[word.lower()] = value
    return found


def spelled(words: Mapping[str, str]) -> str:
    """`key=value` words as they can be typed again."""
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in words.items())
