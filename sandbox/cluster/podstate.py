"""What a pod's status says. Pure."""

from __future__ import annotations

from sandbox.cluster.kinds import Object


def condition(thing: Object, kind: str) -> Object | None:
    """The condition of that type."""
    conditions = (thing.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == kind), None)


def is_true(thing: Object, kind: str) -> bool:
    """Whether that condition holds."""
    found = condition(thing, kind)
    return found is not None and found["status"] == "True"


def is_ready(pod: Object) -> bool:
    """Ready to serve."""
    return is_true(pod, "Ready")


def is_active(pod: Object) -> bool:
    """Neither going nor ended: what a controller counts."""
    over = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not over and not pod["metadata"].get("deletionTimestamp")


def with_condition(thing: Object, new: Object, now: str) -> None:
    """Set a condition; its transition time changes only with its status."""
    status = thing.setdefault("status", {})
    old = condition(thing, new["type"])
    same = old is not None and old["status"] == new["status"]
    since = old["lastTransitionTime"] if old is not None and same else now
    others = [one for one in status.get("conditions") or [] if one["type"] != new["type"]]
    status["conditions"] = sorted([*others, new | {"lastTransitionTime": since}], key=lambda one: str(one["type"]))
