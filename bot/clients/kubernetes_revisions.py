"""The revisions of a deployment: the pod templates that its replica sets keep, and how they differ. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from bot.clients import kubernetes_shapes as shapes
from bot.clients.kubernetes_shapes import Json
from bot.tools import Difference, Revision

NOT_SET = "not set"
_HERE = ("there", "not there")
_NOW, _THEN = "as it is now", "as it was then"


def revisions_of(deployment: Json, sets: Sequence[Json]) -> list[Revision]:
    """Newest first; `sets` are all replica sets that its selector means, also of others."""
    own = [one for one in sets if shapes.controller(one)[1] == shapes.uid_of(deployment)]
    now = template_of(deployment)
    found = [
        Revision(
            number=number_of(one),
            name=shapes.name_of(one),
            uid=shapes.uid_of(one),
            made_at=shapes.instant(one, "metadata", "creationTimestamp"),
            current=template_of(one) == now,
            differences=tuple(differences(now, template_of(one))),
        )
        for one in own
    ]
    return sorted(found, key=lambda one: one.number, reverse=True)


def number_of(replica_set: Json) -> int:
    """Its revision, zero when nobody wrote one on it."""
    text = shapes.notes_of(replica_set).get(shapes.REVISION, "")
    return int(text) if text.isdecimal() else 0


def template_of(thing: Json) -> dict[str, Any]:
    """The pod template of a deployment, or that which a replica set keeps of it: without the mark of the replica set."""
    template = dict(shapes.dig(thing, "spec", "template") or {})
    meta = dict(template.get("metadata") or {})
    if "labels" in meta:
        meta["labels"] = {key: value for key, value in (meta["labels"] or {}).items() if key != shapes.HASH}
    return {**template, "metadata": meta}


def differences(now: Json, then: Json) -> Iterator[Difference]:
    """What becomes another on the way from one template to the other. Of variables it is only said that they change."""
    have, had = _containers(now), _containers(then)
    for name in dict.fromkeys([*have, *had]):
        if name not in have or name not in had:
            yield Difference("other", f"container {name}", *(_HERE if name in have else _HERE[::-1]))
        else:
            yield from _of_container(name, have[name], had[name])
    for part in ("annotations", "labels"):
        old, new = (shapes.dig(one, "metadata", part) or {} for one in (now, then))
        for key in _other(old, new):
            yield Difference("mark" if part == "annotations" else "other", f"{part[:-1]} {key}", *_set(old, new, key))
    old, new = now.get("spec") or {}, then.get("spec") or {}
    for key in _other(old, new):
        if key not in ("containers", "initContainers"):
            yield Difference("other", key, *_set(old, new, key))


def _of_container(name: str, now: Json, then: Json) -> Iterator[Difference]:
    if now.get("image") != then.get("image"):
        yield Difference("image", f"image of {name}", str(now.get("image")), str(then.get("image")))
    have, had = ({one["name"]: one for one in container.get("env") or []} for container in (now, then))
    for key in _other(have, had):
        yield Difference("variable", f"{key} of {name}", *_set(have, had, key))
    for key in _other(now, then):
        if key == "resources":
            yield Difference("other", f"{key} of {name}", _plain(now.get(key)), _plain(then.get(key)))
        elif key not in ("image", "env"):
            yield Difference("other", f"{key} of {name}", *_set(now, then, key))


def _containers(template: Json) -> dict[str, Json]:
    spec = template.get("spec") or {}
    return {one["name"]: one for part in ("initContainers", "containers") for one in spec.get(part) or []}


def _other(old: Json, new: Json) -> list[str]:
    """The keys whose values differ."""
    return [key for key in dict.fromkeys([*old, *new]) if (old.get(key) or None) != (new.get(key) or None)]


def _set(old: Json, new: Json, key: str) -> tuple[str, str]:
    """Before and after, without the values."""
    return (_NOW if key in old else NOT_SET), (_THEN if key in new else NOT_SET)


def _plain(value: Any) -> str:
    return json.dumps(value, separators=(", ", ": ")).replace('"', "") if value else NOT_SET
