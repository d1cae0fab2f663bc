"""Server-side apply: a manager says which fields it wants, owns them from then on, and hears of whoever owns them already.

A field is a path such as `("f:spec", "f:containers", 'k:{"name":"web"}', "f:image")`, as `metadata.managedFields` spells it.
Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from sandbox.cluster.errors import ApiError
from sandbox.cluster.kinds import Kind, Object
from sandbox.cluster.patches import merge_key

APPLY = "application/apply-patch+yaml"
Path = tuple[str, ...]
Owners = dict[tuple[str, str], frozenset[Path]]
"""Fields by (manager, "Apply" or "Update")."""

# Who an object is, and what the server writes by itself, belongs to no manager.
_NOBODYS = frozenset(
    {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"}
)


def fields(thing: Object) -> frozenset[Path]:
    """Every field that an object sets; a list whose items have no name is one field."""
    said = {key: value for key, value in thing.items() if key not in ("apiVersion", "kind", "status")}
    said["metadata"] = {key: value for key, value in (thing.get("metadata") or {}).items() if key not in _NOBODYS}
    return frozenset(path for path in _leaves(said, ()) if path != ("f:metadata",))


def owners_of(thing: Object) -> Owners:
    """Who owns what."""
    found: Owners = {}
    for one in thing["metadata"].get("managedFields") or []:
        found[(one["manager"], one["operation"])] = frozenset(_unfold(one["fieldsV1"], ()))
    return found


def with_owners(thing: Object, owners: Owners, now: str) -> None:
    """Write down who owns what; entries that are as they were keep their time."""
    before = {(one["manager"], one["operation"]): one for one in thing["metadata"].get("managedFields") or []}
    entries = []
    for (manager, operation), paths in sorted(owners.items()):
        if not paths:
            continue
        folded = _fold(paths)
        old = before.get((manager, operation))
        entry = {"manager": manager, "operation": operation, "apiVersion": thing["apiVersion"], "time": now}
        entry |= {"fieldsType": "FieldsV1", "fieldsV1": folded}
        entries.append(old if old is not None and old["fieldsV1"] == folded else entry)
    if entries:
        thing["metadata"]["managedFields"] = entries
    else:
        thing["metadata"].pop("managedFields", None)


def updated(old: Object | None, new: Object, manager: str, now: str) -> None:
    """After another kind of write: what it changed is its manager's now, and nobody else's."""
    owners = owners_of(old) if old is not None else {}
    there = fields(new)
    changed = {path for path in there if old is None or value_at(old, path) != value_at(new, path)}
    mine = (manager, "Update")
    owners = {who: (paths - changed) & there for who, paths in owners.items()}
    owners[mine] = owners.get(mine, frozenset()) | changed
    if old is not None and "managedFields" in old["metadata"]:
        new["metadata"]["managedFields"] = old["metadata"]["managedFields"]
    with_owners(new, owners, now)


def applied(kind: Kind, live: Object, wanted: Object, manager: str, now: str, *, force: bool) -> Object:
    """The object with the manager's fields as it wants them, and without those it wanted before and does not any more.

    Raises ApiError 409 that names the fields which others own and have set to something else, unless it is forced.
    """
    owners, mine = owners_of(live), (manager, "Apply")
    asked = fields(wanted)
    # One's own changes by other means are no conflict with oneself.
    conflicts = [
        (who, path)
        for who, paths in sorted(owners.items())
        if who[0] != manager
        for path in sorted(paths & asked)
        if value_at(live, path) != value_at(wanted, path)
    ]
    if conflicts and not force:
        raise _conflict(kind, live["metadata"]["name"], conflicts)
    lost = {path for _, path in conflicts}
    owners = {who: paths - lost for who, paths in owners.items()}
    given_up = owners.get(mine, frozenset()) - asked
    owners[mine] = asked
    kept = frozenset[Path]().union(*owners.values())
    thing: Object = _merged(live, {key: value for key, value in wanted.items() if key != "status"})
    # The deepest first, so that what became empty goes with what was in it.
    for path in sorted(given_up - kept, key=len, reverse=True):
        _drop(thing, path)
    with_owners(thing, owners, now)
    return thing


def value_at(thing: Any, path: Path) -> Any:
    """The value of a field; None where there is none."""
    for part in path:
        if part.startswith("f:"):
            thing = thing.get(part[2:]) if isinstance(thing, Mapping) else None
        else:
            thing = _item(thing, part) if isinstance(thing, list) else None
    return thing


def _leaves(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, f"f:{key}"))
    elif isinstance(value, list) and value and (key := _key(path, value)) is not None:
        for item in value:
            yield from _leaves(item, (*path, f"k:{json.dumps({key: item[key]}, separators=(',', ':'))}"))
    elif path:
        yield path


def _key(path: Path, items: Sequence[Any]) -> str | None:
    """What names the items of this list; None when it is replaced as a whole."""
    key = merge_key(path[-1][2:], items, ())
    return key if key and all(isinstance(item, Mapping) and key in item for item in items) else None


def _item(items: Any, part: str) -> Any:
    ((key, value),) = json.loads(part[2:]).items()
    return next((item for item in items if isinstance(item, Mapping) and item.get(key) == value), None)


def _fold(paths: frozenset[Path]) -> Object:
    tree: Object = {}
    for path in sorted(paths):
        at = tree
        for part in path:
            at = at.setdefault(part, {})
    return tree


def _unfold(tree: Object, path: Path) -> Iterator[Path]:
    if not tree:
        yield path
    for part, inner in tree.items():
        yield from _unfold(inner, (*path, part))


def _merged(old: Any, new: Any, name: str = "") -> Any:
    if isinstance(new, Mapping):
        result = dict(old) if isinstance(old, Mapping) else {}
        for key, value in new.items():
            result[key] = _merged(result.get(key), value, key)
        return result
    if new == [] and isinstance(old, list) and merge_key(name, old, ()) is not None:
        return old
    if isinstance(new, list) and new and (key := _key((f"f:{name}",), new)) is not None and isinstance(old, list):
        items = list(old)
        for item in new:
            at = next((n for n, one in enumerate(items) if one.get(key) == item[key]), None)
            if at is None:
                items.append(deepcopy(item))
            else:
                items[at] = _merged(items[at], item)
        return items
    return deepcopy(new)


def _drop(thing: Any, path: Path) -> None:
    """Take a field out, and whatever holds nothing any more because of it; an item keeps its name to the last."""
    part, rest = path[0], path[1:]
    if part.startswith("f:"):
        key = part[2:]
        if not isinstance(thing, dict) or key not in thing:
            return
        if not rest:
            del thing[key]
            return
        # Copies, because what is inside may lie in the store.
        thing[key] = deepcopy(thing[key])
        _drop(thing[key], rest)
        if thing[key] in ({}, []):
            del thing[key]
        return
    item = _item(thing, part)
    if item is None:
        return
    named = json.loads(part[2:])
    if rest and rest[-1][2:] not in named:
        _drop(item, rest)
    if item == named or not item:
        thing.remove(item)


def _conflict(kind: Kind, name: str, conflicts: Sequence[tuple[tuple[str, str], Path]]) -> ApiError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{who}" using {kind.api_version}',
            "field": dotted(path),
        }
        for (who, _), path in conflicts
    ]
    told = "; ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
    many = f"{len(causes)} conflict" + ("s" if len(causes) > 1 else "")
    return ApiError(409, "Conflict", f"Apply failed with {many}: {told}", details={"name": name}, causes=causes)


def dotted(path: Path) -> str:
    """As messages spell a field: `.spec.containers[name="web"].image`."""
    text = ""
    for part in path:
        if part.startswith("f:"):
            text += f".{part[2:]}"
        else:
            text += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(part[2:]).items()) + "]"
    return text
