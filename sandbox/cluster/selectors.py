"""Label and field selectors. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sandbox.cluster.errors import bad_request
from sandbox.cluster.kinds import EVENTS, NODES, PODS, SECRETS, Kind, Object

Matches = Callable[[Object], bool]

_SET = re.compile(r"^\s*(?P<key>[^\s,()!=]+)\s+(?P<how>in|notin)\s+\((?P<values>[^)]*)\)\s*$")
_EQUAL = re.compile(r"^\s*(?P<key>[^\s,()!=]+)\s*(?P<how>==?|!=)\s*(?P<value>[^\s,()!=]*)\s*$")
_EXISTS = re.compile(r"^\s*(?P<how>!?)\s*(?P<key>[^\s,()!=]+)\s*$")

_FIELDS: Mapping[Kind, tuple[str, ...]] = {
    PODS: (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
    ),
    NODES: ("spec.unschedulable",),
    SECRETS: ("type",),
    EVENTS: (
        "involvedObject.kind",
        "involvedObject.name",
        "involvedObject.namespace",
        "involvedObject.uid",
        "reason",
        "type",
        "source",
        "reportingComponent",
    ),
}


def matcher(kind: Kind, labels: str, fields: str) -> Matches:
    """Whether an object is meant by both selectors. Raises ApiError 400 for one that cannot be read."""
    by_label = [_label(term) for term in _terms(labels)]
    by_field = [_field(kind, term) for term in _terms(fields)]
    return lambda thing: all(by(thing) for by in (*by_label, *by_field))


def selected(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """Whether an object's `spec.selector` (matchLabels, matchExpressions) means these labels; an empty one means all."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(one, labels) for one in selector.get("matchExpressions") or [])


def _expression(one: Object, labels: Mapping[str, str]) -> bool:
    key, values = one["key"], one.get("values") or []
    match one["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def _terms(selector: str) -> list[str]:
    """Split at commas that stand outside of parentheses."""
    return [term for term in re.split(r",(?![^(]*\))", selector) if term.strip()]


def _label(term: str) -> Matches:
    if found := _SET.match(term):
        key, how = found["key"], found["how"]
        values = {value.strip() for value in found["values"].split(",")}
        return lambda thing: (_labels(thing).get(key) in values) == (how == "in")
    if found := _EQUAL.match(term):
        key, how, value = found["key"], found["how"], found["value"]
        return lambda thing: (_labels(thing).get(key) == value) == (how != "!=")
    if found := _EXISTS.match(term):
        key, how = found["key"], found["how"]
        return lambda thing: (key in _labels(thing)) == (how != "!")
    raise bad_request(f"unable to parse requirement: {term}")


def _field(kind: Kind, term: str) -> Matches:
    found = _EQUAL.match(term)
    if found is None:
        raise bad_request(f"invalid selector: {term!r}; can't understand {term!r}")
    path, how, value = found["key"], found["how"], found["value"]
    if path not in ("metadata.name", "metadata.namespace", *_FIELDS.get(kind, ())):
        raise bad_request(f"field label not supported: {path}")
    return lambda thing: (_text(thing, path) == value) == (how != "!=")


def _labels(thing: Object) -> Mapping[str, str]:
    return thing["metadata"].get("labels") or {}


def _text(thing: Object, path: str) -> str:
    if path == "source":
        path = "source.component"
    value: object = thing
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "false" if path == "spec.unschedulable" else ""
    return str(value)
