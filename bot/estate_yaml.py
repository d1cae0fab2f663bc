"""YAML with line numbers and `${NAME}` from the environment.

Values are put in after parsing, so whatever a variable holds, it stays one scalar and never becomes YAML.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]

_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>(?:(?!\$\{)[^}])*))?\}|\$\{")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `line` counts from 1; `path` is where in the tree."""

    line: int
    path: Path
    message: str


@dataclass
class Document:
    """A file as plain values (`tree`), with the line and the text as written of every path."""

    tree: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """The line of the path, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(text: str, environ: Mapping[str, str]) -> Document:
    """Parse one YAML document; what is wrong with it is in `problems`."""
    document = Document()
    try:
        loader = yaml.CSafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            document.problems.append(Problem(1, (), "the file is empty"))
        else:
            document.tree = _Reader(document, loader, environ).value(root, (), ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.problem, error.context) if part)
        last = text.count("\n") + 1  # the end of the file may be told of as the line after it
        document.problems.append(Problem(min(mark.line + 1, last) if mark else 1, (), f"this is not YAML: {said}"))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.problems.append(Problem(line, (), f"this is not YAML: {error.reason}"))
    return document


def variables(text: str) -> dict[str, str | None]:
    """The variables that a text asks for, each with its default, None where it must be set."""
    found: dict[str, str | None] = {}
    for match in _VARIABLE.finditer(text):
        if match["name"] and found.get(match["name"]) is None:
            found[match["name"]] = match["default"]
    return found


class _Reader:
    def __init__(self, document: Document, loader: yaml.CSafeLoader, environ: Mapping[str, str]) -> None:
        self._document = document
        self._loader = loader
        self._environ = environ

    def value(self, node: yaml.Node, path: Path, around: tuple[yaml.Node, ...]) -> Any:
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        if any(node is outer for outer in around):
            return self._wrong(path, "an alias that contains itself")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, (*around, node))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index), (*around, node)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path, around: tuple[yaml.Node, ...]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, item in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._document.problems.append(Problem(line, path, "a key must be a plain word"))
                continue
            here = (*path, str(key.value))
            if key.value in result:
                first = self._document.lines[here]
                message = f"`{key.value}` stands here a second time; it is already on line {first}"
                self._document.problems.append(Problem(line, here, message))
                continue
            self._document.lines[here] = line
            result[str(key.value)] = self.value(item, here, around)
        return result

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        written = str(node.value)
        self._document.written[path] = written
        if "${" in written:
            return _VARIABLE.sub(lambda match: self._variable(match, path), written)
        return self._loader.construct_object(node)

    def _variable(self, match: re.Match[str], path: Path) -> str:
        if match[0] == "$${":
            return "${"
        name, default = match["name"], match["default"]
        if name is None:
            self._wrong(path, "a `${` that is not ${NAME} or ${NAME:-default}; write $${ for the characters themselves")
            return ""
        value = self._environ.get(name)
        if default is not None:
            return value or str(default)
        if value is None:
            self._wrong(path, f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}")
            return ""
        return value

    def _wrong(self, path: Path, message: str) -> None:
        self._document.problems.append(Problem(self._document.line(path), path, message))
