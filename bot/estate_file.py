"""From the estate file to its typed model; every error says file, line, what is wrong and what was expected."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bot.errors import ConfigError
from bot.estate_checks import check
from bot.estate_yaml import Document, Path, Problem, parse

Model = TypeVar("Model", bound=BaseModel)
_VARIABLE = r"\$\{"


class EstateError(ConfigError):
    """The estate file cannot be used. `problems` holds them all, in the order of the file."""

    def __init__(self, path: FilePath, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems), key=lambda problem: (problem.line, _sentence(problem)))
        lines = [f"{path}:{problem.line}: {_sentence(problem)}" for problem in self.problems]
        super().__init__("\n".join(lines))


def read(path: FilePath, environ: Mapping[str, str], model: type[Model]) -> Model:
    """The file as `model`; EstateError with all problems at once when it does not fit."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise EstateError(path, [Problem(1, (), f"the file cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise EstateError(path, [Problem(1, (), "the file is not UTF-8 text")]) from None
    document = parse(text, environ)
    if document.tree is None:
        raise EstateError(path, document.problems)
    result, invalid = _validated(document, model)
    problems = [*document.problems, *invalid]
    problems += [Problem(document.line(where), where, message) for where, message in check(document.tree)]
    if result is None or problems:
        raise EstateError(path, _first_causes(problems))
    return result


def _validated(document: Document, model: type[Model]) -> tuple[Model | None, list[Problem]]:
    try:
        return model.model_validate(document.tree), []
    except ValidationError as error:
        schema = editor_schema(model)
        details = error.errors(include_url=False, include_input=False)
        return None, [_explain(detail, document, schema) for detail in details]


def _first_causes(problems: list[Problem]) -> list[Problem]:
    """Without what only follows: a variable that is not set also makes its value invalid."""
    kept: list[Problem] = []
    for problem in problems:
        depth = len(problem.path)
        if not any(earlier.path[:depth] == problem.path for earlier in kept):
            kept.append(problem)
    return kept


def _explain(detail: ErrorDetails, document: Document, schema: dict[str, Any]) -> Problem:
    path = _real_path(detail["loc"], document, detail["type"])
    inside = detail["type"] in {"extra_forbidden", "union_tag_invalid"}
    here = _schema_at(path[:-1] if inside else path, document.tree, schema)
    said, expected = _words(detail, path, here)
    written = document.written.get(path)
    if written is not None and detail["type"] not in {"extra_forbidden", "missing"}:
        said = f"`{written}`: {said}"
    return Problem(document.line(path), path, f"{said}; expected {expected}" if expected else said)


def _words(detail: ErrorDetails, path: Path, here: dict[str, Any]) -> tuple[str, str]:
    """What is wrong, and what was expected."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return f"`{path[-1]}` is missing", str(here.get("description", ""))
    if kind == "extra_forbidden":
        keys = list(here.get("properties", {}))
        near = difflib.get_close_matches(str(path[-1]), keys, n=1)
        return f"the key `{path[-1]}` is not known", f"`{near[0]}`?" if near else "one of " + ", ".join(keys)
    if kind == "value_error":
        said, _, expected = str(context["error"]).partition("; ")
        return said, expected or str(here.get("description", ""))
    if kind in {"literal_error", "union_tag_invalid"}:
        return "this is not a choice", str(context.get("expected") or context.get("expected_tags"))
    if kind == "union_tag_not_found":
        return "`kind` is missing", "http, postgres or redis"
    if kind == "string_too_short":
        return "this is empty", str(here.get("description", "a text"))
    if kind == "string_pattern_mismatch":
        return "this does not fit", str(here.get("description") or f"a text like {context['pattern']}")
    if kind == "too_short":
        return "the list is empty", "at least one entry"
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return "this does not fit", "keys with their values"
    message = detail["msg"].removeprefix("Input should be ")
    return "this does not fit", str(here.get("description") or message)


def _real_path(location: tuple[str | int, ...], document: Document, kind: str) -> Path:
    """The error's place without the union tags that pydantic puts between the keys."""
    path: Path = ()
    for index, step in enumerate(location):
        last = index == len(location) - 1
        if (*path, step) in document.lines or (last and kind == "missing"):
            path = (*path, step)
    if kind == "union_tag_invalid":
        path = (*path, "kind")
    return path


def _schema_at(path: Path, tree: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """The piece of the JSON schema that describes the path; {} when there is none."""
    here, value = schema, tree
    for step in path:
        here = _variant(_resolve(here, schema), value, schema)
        here = here.get("items", {}) if isinstance(step, int) else here.get("properties", {}).get(step, {})
        value = _item(value, step)
    described = {key: here[key] for key in ("description",) if key in here}
    return {**_variant(_resolve(here, schema), value, schema), **described}


def _item(value: Any, step: str | int) -> Any:
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return value.get(step) if isinstance(value, dict) else None


def _resolve(here: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = here.get("$ref", "").rpartition("/")[2]
    return schema["$defs"][name] if name else here


def _variant(here: dict[str, Any], value: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """Of alternatives, the one the value's `kind` chooses, else the first with content."""
    tags = here.get("discriminator", {}).get("mapping", {})
    if tags:
        chosen = tags.get(value.get("kind") if isinstance(value, dict) else None)
        return _resolve({"$ref": chosen}, schema) if chosen else {}
    for option in here.get("anyOf", []):
        resolved = _resolve(option, schema)
        if "properties" in resolved or "items" in resolved:
            return {**resolved, **{key: here[key] for key in ("description",) if key in here}}
    return here


def _sentence(problem: Problem) -> str:
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem.path).lstrip(".")
    return f"{place}: {problem.message}" if place else problem.message


def editor_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The model's JSON schema, with a text that holds `${` accepted wherever a value is."""
    schema = model.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_with_variables(schema)}


def _each(named: dict[str, Any]) -> dict[str, Any]:
    return {name: _with_variables(part) for name, part in named.items()}


def _with_variables(part: Any) -> Any:
    if isinstance(part, list):
        return [_with_variables(item) for item in part]
    if not isinstance(part, dict):
        return part
    named = {"properties", "$defs"}
    part = {key: _each(value) if key in named else _with_variables(value) for key, value in part.items()}
    part.pop("title", None)  # pydantic's, the key in capitals: says nothing
    if isinstance(part.get("pattern"), str):
        part["pattern"] = f"(?:{part['pattern']})|{_VARIABLE}"
    is_choice = isinstance(part.get("enum"), list) and "properties" not in part
    if is_choice or part.get("type") in {"integer", "number", "boolean"}:
        outer = {key: part.pop(key) for key in ("default", "description") if key in part}
        return {**outer, "anyOf": [part, {"type": "string", "pattern": _VARIABLE}]}
    return part
