"""The three kinds of PATCH that change what is there: JSON patch, merge patch, strategic merge patch. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from sandbox.cluster.errors import ApiError, bad_request, unprocessable

# Lists that a strategic merge patch merges by a key of their items. `ports` has two kinds; see `merge_key`.
_KEYS: Mapping[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "imagePullSecrets": "name",
    "conditions": "type",
    "ownerReferences": "uid",
    "hostAliases": "ip",
    "addresses": "type",
}
# Lists of plain values that are merged as sets.
_SETS = frozenset({"finalizers"})


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902. Raises ApiError: 400 for no patch, 422 for one that does not fit."""
    if not isinstance(operations, list):
        raise bad_request("the body is not a JSON patch")
    result = deepcopy(target)
    for operation in operations:
        if not isinstance(operation, dict) or "op" not in operation or "path" not in operation:
            raise bad_request("the body is not a JSON patch")
        result = _operate(result, operation)
    return result


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: null deletes, lists are replaced."""
    if not isinstance(patch, dict):
        return deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_merge(target: Any, patch: Any) -> Any:
    """Like a merge patch, but lists of things with a name are merged by it; `$patch` deletes or replaces.

    New items stand before the old ones, as in the real one. Raises ApiError 500 when an item lacks its key.
    """
    if not isinstance(patch, dict):
        return deepcopy(patch)
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: deepcopy(value) for key, value in patch.items() if key != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key.startswith(("$setElementOrder/", "$retainKeys", "$patch")):
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [one for one in result.get(name) or [] if one not in value]
        elif value is None:
            result.pop(key, None)
        elif isinstance(value, list):
            result[key] = _merged_list(key, result.get(key), value)
        elif isinstance(value, dict) and value.get("$patch") == "delete":
            result.pop(key, None)
        else:
            result[key] = strategic_merge(result.get(key), value)
    return result


def _merged_list(name: str, old: Any, new: list[Any]) -> list[Any]:
    old = old if isinstance(old, list) else []
    if name in _SETS:
        return [*old, *(one for one in new if one not in old)]
    key = merge_key(name, old, new)
    if key is None:
        return deepcopy(new)
    if any(isinstance(one, dict) and one.get("$patch") == "replace" for one in new):
        return [deepcopy(one) for one in new if one.get("$patch") != "replace"]
    merged, added = list(old), []
    for item in new:
        if not isinstance(item, dict) or key not in item:
            message = f"map: {item} does not contain declared merge key: {key}"
            raise ApiError(500, "InternalError", message)
        at = next((at for at, one in enumerate(merged) if one.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            merged = [one for one in merged if one.get(key) != item[key]]
        elif at is None:
            added.append(strategic_merge({}, item))
        else:
            merged[at] = strategic_merge(merged[at], item)
    return added + merged


def merge_key(name: str, old: Sequence[Any], new: Sequence[Any]) -> str | None:
    """What names the items of a list of that name; None when such a list is replaced as a whole."""
    if name == "ports":
        items = [one for one in (*new, *old) if isinstance(one, dict)]
        return "containerPort" if any("containerPort" in one for one in items) else "port"
    return _KEYS.get(name)


def _operate(document: Any, operation: Mapping[str, Any]) -> Any:
    kind, path = operation["op"], _pointer(operation["path"])
    match kind:
        case "add" | "replace":
            if "value" not in operation:
                raise unprocessable()
            return _put(document, path, deepcopy(operation["value"]), insert=kind == "add")
        case "remove":
            return _take(document, path)[0]
        case "test":
            if _at(document, path, missing=None) != operation.get("value"):
                raise unprocessable(f"testing path {operation['path']} failed")
            return document
        case "move":
            document, value = _take(document, _pointer(operation.get("from", "")))
            return _put(document, path, value, insert=True)
        case "copy":
            value = _at(document, _pointer(operation.get("from", "")))
            return _put(document, path, deepcopy(value), insert=True)
    raise bad_request(f"Unexpected kind: {kind}")


def _pointer(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise unprocessable()
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


_NEEDED = object()


def _at(document: Any, path: Sequence[str], missing: Any = _NEEDED) -> Any:
    for part in path:
        try:
            document = document[int(part)] if isinstance(document, list) else document[part]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            if missing is _NEEDED:
                raise unprocessable() from error
            return missing
    return document


def _put(document: Any, path: Sequence[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        at = len(parent) if last == "-" and insert else _index(last, len(parent) + insert)
        if insert:
            parent.insert(at, value)
        else:
            parent[at] = value
    elif isinstance(parent, dict) and (insert or last in parent):
        parent[last] = value
    else:
        raise unprocessable()
    return document


def _take(document: Any, path: Sequence[str]) -> tuple[Any, Any]:
    if not path:
        raise unprocessable()
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        return document, parent.pop(_index(last, len(parent)))
    if isinstance(parent, dict) and last in parent:
        return document, parent.pop(last)
    raise unprocessable()


def _index(text: str, length: int) -> int:
    if not text.isdigit() or int(text) >= length:
        raise unprocessable()
    return int(text)
