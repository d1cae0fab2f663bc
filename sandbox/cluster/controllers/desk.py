"""What every controller works with: the store, the time, and somewhere to say what happened."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass

from sandbox.cluster.kinds import EVENTS, PODS, Kind, Object
from sandbox.cluster.moments import seconds, stamp
from sandbox.cluster.objects import REQUIRED, defaults
from sandbox.cluster.podstate import condition, is_ready
from sandbox.cluster.store import Store

MOST_EVENTS = 300


@dataclass
class Desk:
    """`again`: the earliest instant at which somebody must look again though nothing has changed."""

    store: Store
    clock: Callable[[], float]
    again: float | None = None

    @property
    def now(self) -> str:
        """This second, as Kubernetes writes it."""
        return stamp(self.clock())

    def look_again(self, at: float) -> None:
        """Ask for a look at an instant."""
        self.again = at if self.again is None else min(self.again, at)

    def status(self, kind: Kind, thing: Object, status: Object) -> None:
        """Write a status; most zeros are left out, as Go does."""
        kept = {key: value for key, value in status.items() if key in REQUIRED or value not in (0, None, [])}

        def change(changed: Object) -> None:
            changed["status"] = kept

        meta = thing["metadata"]
        self.store.edit(kind, meta.get("namespace", ""), meta["name"], change)

    def record(self, kind: Kind, about: Object, reason: str, message: str, *, warning: bool = False) -> None:
        """An event; the same one again is counted."""
        meta = about["metadata"]
        namespace = meta.get("namespace", "default")
        now = self.now
        for event in self.store.list(EVENTS, namespace):
            same = (event["involvedObject"]["uid"], event["reason"], event["message"])
            if same == (meta["uid"], reason, message):

                def again(changed: Object) -> None:
                    changed["count"] += 1
                    changed["lastTimestamp"] = now

                self.store.edit(EVENTS, namespace, event["metadata"]["name"], again)
                return
        reference = {"kind": kind.name, "apiVersion": kind.api_version, "name": meta["name"], "uid": meta["uid"]}
        self.store.create(
            EVENTS,
            {
                "metadata": {"name": f"{meta['name']}.{secrets.token_hex(8)}", "namespace": namespace},
                "involvedObject": reference | {"namespace": namespace},
                "reason": reason,
                "message": message,
                "type": "Warning" if warning else "Normal",
                "source": {"component": "practice"},
                "reportingComponent": "practice",
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
            },
        )
        events = self.store.list(EVENTS)
        if len(events) > MOST_EVENTS:
            oldest = min(events, key=lambda event: event["lastTimestamp"])["metadata"]
            self.store.remove(EVENTS, oldest["namespace"], oldest["name"])

    def make_pod(self, owner_kind: Kind, owner: Object, name: str, labels: Mapping[str, str], **spec: str) -> None:
        """A pod from its owner's template."""
        template, meta = deepcopy(owner["spec"]["template"]), owner["metadata"]
        about = template.get("metadata") or {}
        pod: Object = {
            "metadata": {
                "name": name,
                "namespace": meta["namespace"],
                "labels": (about.get("labels") or {}) | dict(labels),
                "annotations": about.get("annotations") or {},
                "ownerReferences": [reference_to(owner_kind, owner)],
            },
            "spec": template["spec"] | spec,
        }
        defaults(PODS, pod)
        self.store.create(PODS, pod)
        self.record(owner_kind, owner, "SuccessfulCreate", f"Created pod: {name}")

    def available(self, pod: Object, min_ready: int) -> bool:
        """Ready, and for long enough."""
        if not is_ready(pod):
            return False
        ready = condition(pod, "Ready")
        if not min_ready or ready is None:
            return True
        at = seconds(ready["lastTransitionTime"]) + min_ready
        if self.clock() < at:
            self.look_again(at)
        return self.clock() >= at


def reference_to(kind: Kind, owner: Object) -> Object:
    """As it stands in what the owner makes."""
    meta = owner["metadata"]
    who = {"apiVersion": kind.api_version, "kind": kind.name, "name": meta["name"], "uid": meta["uid"]}
    return who | {"controller": True, "blockOwnerDeletion": True}


def template_hash(template: Object) -> str:
    """A short name for a pod template."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def share(value: int | str, whole: int, *, up: bool) -> int:
    """What a number or a percentage of `whole` comes to."""
    if isinstance(value, int):
        return value
    exact = int(value.rstrip("%")) * whole
    return -(-exact // 100) if up else exact // 100
