"""Every object of the cluster with its version, and the history that watches are served from."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

from sandbox.cluster.errors import exists, expired, not_found
from sandbox.cluster.kinds import DEPLOYMENTS, KINDS, PODS, POLICIES, Kind, Object
from sandbox.cluster.moments import stamp

HISTORY = 2_000


@dataclass(frozen=True)
class Change:
    """One step of history: what it was (None: new) and what it is; of a deletion, what it last was."""

    version: int
    kind: Kind
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    now: Object
    before: Object | None


class Store:
    """Objects are handed out as they lie there: whoever wants to change one uses `edit`, or copies it first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._objects: dict[Kind, dict[tuple[str, str], Object]] = {kind: {} for kind in KINDS}
        self._history: deque[Change] = deque(maxlen=HISTORY)
        self._listeners: set[asyncio.Event] = set()
        self.version = 1_000
        self._floor = self.version

    def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object, or None."""
        return self._objects[kind].get((namespace, name))

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """The object. Raises ApiError 404."""
        thing = self.find(kind, namespace, name)
        if thing is None:
            raise not_found(kind, name)
        return thing

    def list(self, kind: Kind, namespace: str = "") -> list[Object]:
        """By namespace and name; an empty namespace is all of them."""
        things = self._objects[kind]
        return [things[key] for key in sorted(things) if not namespace or key[0] == namespace]

    def create(self, kind: Kind, thing: Object, *, dry: bool = False) -> Object:
        """Keep a new object, which is copied and completed. Raises ApiError 409."""
        thing = deepcopy(thing)
        meta = thing["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        if key in self._objects[kind]:
            raise exists(kind, meta["name"])
        meta["uid"] = str(uuid.uuid4())
        meta["creationTimestamp"] = stamp(self._clock())
        if _counted(kind):
            meta["generation"] = 1
        thing["apiVersion"], thing["kind"] = kind.api_version, kind.name
        if not dry:
            self._keep(kind, key, thing, None)
        return thing

    def replace(self, kind: Kind, thing: Object, *, dry: bool = False) -> Object:
        """Keep a new state of an object that is there; without a difference nothing happens. Raises ApiError 404."""
        meta = thing["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        old = self.get(kind, *key)
        meta["resourceVersion"] = old["metadata"]["resourceVersion"]
        if thing == old:
            return old
        if _counted(kind) and _wanted(thing) != _wanted(old):
            meta["generation"] = old["metadata"].get("generation", 0) + 1
        if not dry:
            self._keep(kind, key, thing, old)
            self._let_go(kind, thing)
        return thing

    def edit(self, kind: Kind, namespace: str, name: str, change: Callable[[Object], None]) -> Object | None:
        """Change a copy and keep it; None when there is no such object (any more)."""
        old = self.find(kind, namespace, name)
        if old is None:
            return None
        thing = deepcopy(old)
        change(thing)
        return self.replace(kind, thing)

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        """Take it out at once, whatever holds it."""
        old = self._objects[kind].pop((namespace, name), None)
        if old is not None:
            self.version += 1
            last = old | {"metadata": old["metadata"] | {"resourceVersion": str(self.version)}}
            self._remember(Change(self.version, kind, "DELETED", last, old))

    def changes(self, kind: Kind, since: int) -> Iterator[Change]:
        """Everything that happened to this kind after a version. Raises ApiError 410 when that is too long ago."""
        if since < self._floor:
            raise expired(f"too old resource version: {since} ({self._floor})")
        return iter([change for change in self._history if change.version > since and change.kind == kind])

    def compact(self) -> None:
        """Forget the history: whoever watches from before now is told 410."""
        self._history.clear()
        self._floor = self.version

    @property
    def floor(self) -> int:
        """The oldest version that a watch may go on from."""
        return self._floor

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """An event that is set at every change; whoever listens clears it."""
        event = asyncio.Event()
        self._listeners.add(event)
        try:
            yield event
        finally:
            self._listeners.discard(event)

    def wake(self) -> None:
        """Let everybody who listens look again."""
        for event in self._listeners:
            event.set()

    def _keep(self, kind: Kind, key: tuple[str, str], thing: Object, before: Object | None) -> None:
        self.version += 1
        thing["metadata"]["resourceVersion"] = str(self.version)
        self._objects[kind][key] = thing
        self._remember(Change(self.version, kind, "MODIFIED" if before else "ADDED", thing, before))

    def _let_go(self, kind: Kind, thing: Object) -> None:
        """What was to be deleted goes once nothing holds it any more; a pod also waits for its node."""
        meta = thing["metadata"]
        held = meta.get("finalizers") or (kind == PODS and meta.get("deletionGracePeriodSeconds"))
        if meta.get("deletionTimestamp") and not held:
            self.remove(kind, meta.get("namespace", ""), meta["name"])

    def _remember(self, change: Change) -> None:
        if len(self._history) == self._history.maxlen:
            self._floor = self._history[0].version
        self._history.append(change)
        self.wake()


def _counted(kind: Kind) -> bool:
    return kind.group in (DEPLOYMENTS.group, POLICIES.group, "policy") or kind == PODS


def _wanted(thing: Object) -> Object:
    return {key: value for key, value in thing.items() if key not in ("metadata", "status")}
