"""How objects go: at once, after a grace, or when their finalizers are off; and what is theirs goes with them."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.cluster.kinds import KINDS, NAMESPACES, PODS, Kind, Object
from sandbox.cluster.moments import stamp
from sandbox.cluster.store import Store

GRACE = 30


def delete(store: Store, kind: Kind, thing: Object, now: float, grace: int | None = None) -> None:
    """Ask for an object's end. `grace`, in seconds, is for pods; None is what the pod says itself."""
    meta = thing["metadata"]
    namespace, name = meta.get("namespace", ""), meta["name"]
    seconds = 0
    if kind == PODS:
        seconds = thing["spec"].get("terminationGracePeriodSeconds", GRACE) if grace is None else grace
        if not thing["spec"].get("nodeName") or _over(thing):
            seconds = 0
    if not seconds and not meta.get("finalizers"):
        store.remove(kind, namespace, name)
        return

    def going(changed: Object) -> None:
        # The instant may only come nearer, as with the real one.
        left = changed["metadata"].get("deletionGracePeriodSeconds")
        if left is None or seconds < left:
            changed["metadata"]["deletionTimestamp"] = stamp(now + seconds)
            changed["metadata"]["deletionGracePeriodSeconds"] = seconds

    store.edit(kind, namespace, name, going)


def owner_of(thing: Object) -> Object | None:
    """The reference to the controller that made it."""
    refs = thing["metadata"].get("ownerReferences") or []
    return next((ref for ref in refs if ref.get("controller")), None)


def owned(things: list[Object], owner: Object) -> list[Object]:
    """Those that the owner made and keeps."""
    uid = owner["metadata"]["uid"]
    return [thing for thing in things if (ref := owner_of(thing)) is not None and ref["uid"] == uid]


def collect_garbage(store: Store, clock: Callable[[], float]) -> None:
    """Delete what belongs to an owner, or lies in a namespace, that is gone."""
    alive = {thing["metadata"]["uid"] for kind in KINDS for thing in store.list(kind)}
    spaces = {thing["metadata"]["name"] for thing in store.list(NAMESPACES)}
    for kind in KINDS:
        for thing in store.list(kind):
            meta = thing["metadata"]
            if meta.get("deletionTimestamp"):
                continue
            refs = meta.get("ownerReferences") or []
            orphan = refs and not any(ref["uid"] in alive for ref in refs)
            if orphan or (kind.namespaced and meta["namespace"] not in spaces):
                delete(store, kind, thing, clock())


def orphan(store: Store, owner: Object) -> None:
    """Let everything that the owner made live on without it."""
    uid = owner["metadata"]["uid"]
    for kind in KINDS:
        for thing in store.list(kind):
            refs = thing["metadata"].get("ownerReferences") or []
            if any(ref["uid"] == uid for ref in refs):
                left = [ref for ref in refs if ref["uid"] != uid]
                meta = thing["metadata"]

                def without(changed: Object, left: list[Object] = left) -> None:
                    changed["metadata"]["ownerReferences"] = left

                store.edit(kind, meta.get("namespace", ""), meta["name"], without)


def _over(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
