"""What the parts of an estate say about each other: unique names, references, the order of the ladder.

The checks run on the plain tree, before its types are known to hold, so that one reading reports everything.
"""

import difflib
from collections.abc import Iterator
from typing import Any

from bot.estate_types import parse_duration
from bot.estate_yaml import Path

_UNIQUE = (
    "services.*.name",
    "data.*.name",
    "ladder.*.level",
    "contacts.*.name",
    "vendors.*.name",
    "probes.*.name",
    "links.*.title",
    "databases.*.name",
    "backups.*.name",
    "caches.*.name",
    "cluster.deployments.*.name",
    "cluster.statefulsets.*.name",
    "dns.records.*.name",
    "llm.providers.*.name",
    "security.notices.*.name",
    "status_pages.*.name",
    "drills.tests.*.name",
)
_REFERENCES = (
    ("probes.*.service", "services.*.name", "service"),
    ("databases.*.service", "services.*.name", "service"),
    ("caches.*.service", "services.*.name", "service"),
    ("cluster.deployments.*.service", "services.*.name", "service"),
    ("cluster.statefulsets.*.service", "services.*.name", "service"),
    ("drills.tests.*.service", "services.*.name", "service"),
    ("ladder.*.contacts.*", "contacts.*.name", "contact"),
    ("databases.*.support", "vendors.*.name", "vendor"),
    ("databases.*.backup", "backups.*.name", "backup"),
    ("databases.*.application.deployment", "cluster.deployments.*.name", "deployment of the cluster"),
    ("caches.*.application.deployment", "cluster.deployments.*.name", "deployment of the cluster"),
    ("caches.*.statefulset", "cluster.statefulsets.*.name", "stateful set of the cluster"),
    ("infrastructure.restore", "databases.*.name", "database"),
    ("security.restarts.*", "cluster.deployments.*.name", "deployment of the cluster"),
    ("security.audit.deployment", "cluster.deployments.*.name", "deployment of the cluster"),
)


def check(tree: Any) -> Iterator[tuple[Path, str]]:
    """Every contradiction in the tree, as (where, sentence)."""
    for pattern in _UNIQUE:
        yield from _unique(tree, pattern)
    for pattern, target, what in _REFERENCES:
        known = [value for _, value in _find(tree, target)]
        for path, value in _find(tree, pattern):
            if value not in known:
                yield path, f"there is no {what} `{value}`; expected {_choices(value, known)}"
    yield from _ladder(tree)


def _unique(tree: Any, pattern: str) -> Iterator[tuple[Path, str]]:
    seen = set()
    for path, value in _find(tree, pattern):
        if value in seen:
            yield path, f"`{value}` is taken; expected another {path[-1]}, each only once"
        seen.add(value)


def _ladder(tree: Any) -> Iterator[tuple[Path, str]]:
    yield from _rising([(path, _seconds(value), value) for path, value in _find(tree, "ladder.*.after")], 0)
    yield from _rising([(path, _number(value), value) for path, value in _find(tree, "ladder.*.level")], 1)


def _rising(rungs: list[tuple[Path, float | None, Any]], first: float) -> Iterator[tuple[Path, str]]:
    before: float | None = None
    for path, now, value in rungs:
        if now is None:
            return  # its own type reports it
        if before is None and now != first:
            yield path, f"the first rung has `{path[-1]}: {value}`; expected {first:g}"
        if before is not None and now <= before:
            yield path, f"`{path[-1]}: {value}` does not come after the rung before it; expected rungs in rising order"
        before = now


def _seconds(value: Any) -> float | None:
    try:
        return parse_duration(value).total_seconds()
    except ValueError:
        return None


def _number(value: Any) -> float | None:
    try:
        return int(value)
    except ValueError:
        return None


def _choices(value: Any, known: list[Any]) -> str:
    near = difflib.get_close_matches(str(value), [str(name) for name in known], n=1)
    return f"`{near[0]}`?" if near else "one of " + (", ".join(f"`{name}`" for name in known) or "none: none is given")


def _find(tree: Any, pattern: str) -> Iterator[tuple[Path, Any]]:
    """The values at a dotted pattern in which `*` is every item of a list (or of a text with commas)."""
    yield from _walk(tree, tuple(pattern.split(".")), ())


def _walk(value: Any, steps: tuple[str, ...], path: Path) -> Iterator[tuple[Path, Any]]:
    if not steps:
        if isinstance(value, str | int) and value != "":
            yield path, value
    elif steps[0] == "*":
        items = [item.strip() for item in value.split(",")] if isinstance(value, str) else value
        for index, item in enumerate(items if isinstance(items, list) else []):
            yield from _walk(item, steps[1:], (*path, index))
    elif isinstance(value, dict) and steps[0] in value:
        yield from _walk(value[steps[0]], steps[1:], (*path, steps[0]))
