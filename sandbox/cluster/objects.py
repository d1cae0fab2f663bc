"""Create, read, change and delete: what the API server does with a call that asks for one object or a list."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from sandbox.cluster import apply, patches
from sandbox.cluster.calls import Call
from sandbox.cluster.checks import check, refuse_other, unknown_fields
from sandbox.cluster.deletion import delete, orphan
from sandbox.cluster.errors import ApiError, bad_request, conflict, expired
from sandbox.cluster.kinds import (
    DAEMON_SETS,
    DEPLOYMENTS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    SECRETS,
    STATEFUL_SETS,
    Kind,
    Object,
)
from sandbox.cluster.moments import stamp
from sandbox.cluster.selectors import matcher
from sandbox.cluster.store import Store

# What a client cannot set: the server's own.
_KEPT = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")

_PATCHES: dict[str, Callable[[Any, Any], Any]] = {
    "application/json-patch+json": patches.json_patch,
    "application/merge-patch+json": patches.merge_patch,
    "application/strategic-merge-patch+json": patches.strategic_merge,
}


class Objects:
    """The plain calls. Each answers with the object, list or Status that becomes the body; errors are ApiError."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock

    def get(self, call: Call) -> Object:
        """One object."""
        return self._store.get(call.kind, call.namespace, call.name)

    def list(self, call: Call) -> Object:
        """Those that both selectors mean, `limit` at a time."""
        meant = matcher(call.kind, call.query.get("labelSelector", ""), call.query.get("fieldSelector", ""))
        things = [thing for thing in self._store.list(call.kind, call.namespace) if meant(thing)]
        meta: Object = {"resourceVersion": str(self._store.version)}
        if token := call.query.get("continue"):
            version, after = self._read_token(token)
            meta["resourceVersion"] = str(version)
            things = [thing for thing in things if _place(thing) > after]
        limit = call.number("limit")
        if limit and len(things) > limit:
            meta["remainingItemCount"] = len(things) - limit
            things = things[:limit]
            text = json.dumps([int(meta["resourceVersion"]), _place(things[-1])])
            meta["continue"] = base64.urlsafe_b64encode(text.encode()).decode()
        return {
            "kind": f"{call.kind.name}List",
            "apiVersion": call.kind.api_version,
            "metadata": meta,
            # As the real one: items of a list do not say what they are.
            "items": [{key: value for key, value in thing.items() if key not in _TYPE} for thing in things],
        }

    def create(self, call: Call) -> Object:
        """Keep a new object."""
        thing = call.body
        if not isinstance(thing, dict):
            raise bad_request("an object is needed")
        refuse_other(call.kind, thing)
        meta = thing.setdefault("metadata", {})
        if call.kind.namespaced:
            if meta.setdefault("namespace", call.namespace) != call.namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            self._store.get(NAMESPACES, "", call.namespace)
        if meta.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + secrets.token_hex(3)[:5]
        for field in _KEPT:
            meta.pop(field, None)
        return self._new(call, thing)

    def _new(self, call: Call, thing: Object) -> Object:
        self._refuse_bad(call, thing, None)
        said = deepcopy(thing)
        defaults(call.kind, thing)
        thing["apiVersion"] = call.kind.api_version
        if call.content_type == apply.APPLY:
            owners = {(call.query["fieldManager"], "Apply"): apply.fields(said)}
            apply.with_owners(thing, owners, stamp(self._clock()))
        else:
            apply.updated(None, thing, _manager(call), stamp(self._clock()))
        return self._store.create(call.kind, thing, dry=call.dry)

    def update(self, call: Call) -> Object:
        """PUT: replace it, or its status alone."""
        thing = call.body
        if not isinstance(thing, dict):
            raise bad_request("an object is needed")
        refuse_other(call.kind, thing)
        old = self._store.get(call.kind, call.namespace, call.name)
        meta = thing.setdefault("metadata", {})
        meta.setdefault("name", call.name)
        if call.kind.namespaced:
            meta.setdefault("namespace", call.namespace)
        return self._write(call, old, thing)

    def apply(self, call: Call) -> Object:
        """Server-side apply: make it, or set the fields that are wanted. Raises ApiError 409 for what others own."""
        wanted = call.body
        if not isinstance(wanted, dict) or not wanted.get("apiVersion") or not wanted.get("kind"):
            raise bad_request("apply: apiVersion and kind must be set")
        refuse_other(call.kind, wanted)
        if not call.query.get("fieldManager"):
            raise ApiError(422, "Invalid", "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value")
        meta = wanted.setdefault("metadata", {})
        if meta.get("managedFields") is not None:
            raise bad_request("metadata.managedFields must be nil")
        if meta.setdefault("name", call.name) != call.name:
            raise bad_request("the name of the object does not match the name on the URL")
        if call.kind.namespaced and meta.setdefault("namespace", call.namespace) != call.namespace:
            raise bad_request("the namespace of the object does not match the namespace on the request")
        old = self._store.find(call.kind, call.namespace, call.name)
        if old is None:
            if call.kind.namespaced:
                self._store.get(NAMESPACES, "", call.namespace)
            if meta.get("resourceVersion") or meta.get("uid"):
                raise conflict(call.kind, call.name)
            return self._new(call, wanted)
        now, force = stamp(self._clock()), call.flag("force")
        thing = apply.applied(
            call.kind, old, _completed(call.kind, wanted), call.query["fieldManager"], now, force=force
        )
        return self._write(call, old, thing)

    def patch(self, call: Call) -> Object:
        """PATCH by its content type."""
        if call.content_type == apply.APPLY:
            return self.apply(call)
        if call.flag("force"):
            raise ApiError(
                422, "Invalid", "PatchOptions.meta.k8s.io is invalid: force: may not be specified for non-apply patch"
            )
        change = _PATCHES.get(call.content_type)
        if change is None:
            known = ", ".join((*_PATCHES, apply.APPLY))
            why = f"the body of the request was in an unknown format - accepted media types include: {known}"
            raise ApiError(415, "UnsupportedMediaType", why)
        old = self._store.get(call.kind, call.namespace, call.name)
        thing = change(deepcopy(old), call.body)
        if not isinstance(thing, dict) or not isinstance(thing.get("metadata"), dict):
            raise bad_request("the patch leaves no object")
        return self._write(call, old, thing)

    def delete(self, call: Call) -> Object:
        """Delete; the answer is the object while it takes its time, else a Status."""
        thing = self._store.get(call.kind, call.namespace, call.name)
        options = call.body if isinstance(call.body, dict) else {}
        # As the real one: with a body, what the query says does not count.
        grace = options.get("gracePeriodSeconds") if options else call.number("gracePeriodSeconds")
        policy = options.get("propagationPolicy") if options else call.query.get("propagationPolicy")
        self.refuse_unmet(call.kind, thing, options.get("preconditions") or {})
        if not call.dry:
            if policy == "Orphan":
                orphan(self._store, thing)
            delete(self._store, call.kind, thing, self._clock(), grace)
        left = self._store.find(call.kind, call.namespace, call.name)
        if left is not None and not call.dry:
            return left
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {"name": call.name, "kind": call.kind.plural, "uid": thing["metadata"]["uid"]},
        }

    def delete_all(self, call: Call) -> Object:
        """Delete everything that the selectors mean."""
        meant = self.list(call)
        if not call.dry:
            for item in meant["items"]:
                delete(self._store, call.kind, item, self._clock(), call.number("gracePeriodSeconds"))
        return meant

    def refuse_unmet(self, kind: Kind, thing: Object, wanted: Object) -> None:
        """409 when it is another object, or in another state, than the caller meant."""
        for key in ("uid", "resourceVersion"):
            have = thing["metadata"][key]
            if wanted.get(key) not in (None, have):
                why = f"the {key} in the precondition ({wanted[key]}) does not match the {key} in record ({have})"
                raise conflict(kind, thing["metadata"]["name"], why)

    def _write(self, call: Call, old: Object, thing: Object) -> Object:
        meta, was = thing["metadata"], old["metadata"]
        name = was["name"]
        for key in ("name", "namespace"):
            if meta.get(key) != was.get(key):
                raise bad_request(f"the {key} of the object does not match the {key} on the URL")
        if meta.get("resourceVersion") not in (None, "", was["resourceVersion"]):
            raise conflict(call.kind, name)
        if meta.get("uid") not in (None, "", was["uid"]):
            raise conflict(call.kind, name, f"Precondition failed: UID in precondition: {meta['uid']}")
        for field in _KEPT:
            meta.pop(field, None)
            if field in was:
                meta[field] = was[field]
        if call.sub == "status":
            thing = deepcopy(old) | {"status": thing.get("status") or {}}
        elif call.kind.status:
            thing.pop("status", None)
            if "status" in old:
                thing["status"] = old["status"]
        self._refuse_bad(call, thing, old)
        thing |= {"apiVersion": call.kind.api_version, "kind": call.kind.name}
        if call.content_type != apply.APPLY and call.sub != "status":
            apply.updated(old, thing, _manager(call), stamp(self._clock()))
        return self._store.replace(call.kind, thing, dry=call.dry)

    def _refuse_bad(self, call: Call, thing: Object, old: Object | None) -> None:
        if call.query.get("fieldValidation") == "Strict":
            unknown_fields(call.kind, thing)
        check(call.kind, thing, old)

    def _read_token(self, token: str) -> tuple[int, tuple[str, str]]:
        try:
            version, (namespace, name) = json.loads(base64.urlsafe_b64decode(token))
        except (ValueError, TypeError) as error:
            raise bad_request("continue key is not valid") from error
        if version < self._store.floor:
            raise expired("The provided continue parameter is too old to display a consistent list result.")
        return version, (namespace, name)


def _manager(call: Call) -> str:
    return call.query.get("fieldManager") or "unknown"


def _completed(kind: Kind, wanted: Object) -> Object:
    """A secret's `stringData` is stored, and owned, as `data`."""
    if kind == SECRETS:
        check(kind, wanted, None)
    return wanted


_TYPE = ("kind", "apiVersion")


def defaults(kind: Kind, thing: Object) -> None:
    """What the real server fills in, as far as somebody here looks at it; the status is that of a new object."""
    spec = thing.get("spec") or {}
    if kind.status and kind != NODES:
        thing.pop("status", None)
    if kind in _STATUS:
        thing["status"] = dict(_STATUS[kind])
    if kind == DEPLOYMENTS:
        rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
        strategy = spec.setdefault("strategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            strategy["rollingUpdate"] = rolling | (strategy.get("rollingUpdate") or {})
        spec.setdefault("progressDeadlineSeconds", 600)
        spec.setdefault("revisionHistoryLimit", 10)
    elif kind == STATEFUL_SETS:
        spec.setdefault("updateStrategy", {}).setdefault("type", "RollingUpdate")
    elif kind == PODS:
        spec.setdefault("terminationGracePeriodSeconds", 30)
        spec.setdefault("restartPolicy", "Always")


# Numbers that stand there also when they are zero.
_DAEMONS = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")
REQUIRED = frozenset({"replicas", "desiredReplicas", *_DAEMONS})
_STATUS: Mapping[Kind, Mapping[str, Any]] = {
    DEPLOYMENTS: {},
    REPLICA_SETS: {"replicas": 0},
    STATEFUL_SETS: {"replicas": 0},
    DAEMON_SETS: dict.fromkeys(_DAEMONS, 0),
    PODS: {"phase": "Pending"},
    NAMESPACES: {"phase": "Active"},
}


def _place(thing: Object) -> tuple[str, str]:
    return thing["metadata"].get("namespace", ""), thing["metadata"]["name"]
