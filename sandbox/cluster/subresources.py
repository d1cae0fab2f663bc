"""/scale and /eviction."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

from sandbox.cluster.calls import Call
from sandbox.cluster.deletion import delete
from sandbox.cluster.errors import ApiError, bad_request
from sandbox.cluster.kinds import BUDGETS, PODS, Object
from sandbox.cluster.objects import Objects
from sandbox.cluster.patches import json_patch, merge_patch, strategic_merge
from sandbox.cluster.podstate import is_ready
from sandbox.cluster.selectors import selected
from sandbox.cluster.store import Store


class Subresources:
    """Errors are ApiError."""

    def __init__(self, store: Store, objects: Objects, clock: Callable[[], float]) -> None:
        self._store, self._objects, self._clock = store, objects, clock

    def scale(self, call: Call) -> Object:
        """GET, PUT and PATCH of `autoscaling/v1` Scale; zero replicas are left out, as the real one does."""
        thing = self._store.get(call.kind, call.namespace, call.name)
        if call.verb == "get":
            return scale_of(thing)
        have = scale_of(thing)
        if call.verb == "update":
            wanted = call.body
        elif call.content_type == "application/json-patch+json":
            wanted = json_patch(have, call.body)
        elif call.content_type == "application/strategic-merge-patch+json":
            wanted = strategic_merge(have, call.body)
        else:
            wanted = merge_patch(have, call.body)
        if not isinstance(wanted, dict):
            raise bad_request("a Scale is needed")
        changed = deepcopy(thing)
        changed["spec"]["replicas"] = (wanted.get("spec") or {}).get("replicas", 0)
        if version := (wanted.get("metadata") or {}).get("resourceVersion"):
            changed["metadata"]["resourceVersion"] = version
        put = replace(call, verb="update", sub="", raw=json.dumps(changed).encode())
        return scale_of(self._objects.update(put))

    def evict(self, call: Call) -> Object:
        """Delete a pod if its disruption budget allows it; 429 if not, 500 if there is more than one budget."""
        pod = self._store.get(PODS, call.namespace, call.name)
        body = call.body if isinstance(call.body, dict) else {}
        options = body.get("deleteOptions") or {}
        self._objects.refuse_unmet(PODS, pod, options.get("preconditions") or {})
        budgets = [
            budget
            for budget in self._store.list(BUDGETS, call.namespace)
            if selected(budget["spec"].get("selector"), pod["metadata"].get("labels") or {})
        ]
        if len(budgets) > 1:
            why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            raise ApiError(500, "InternalError", why)
        over = pod.get("status", {}).get("phase") in ("Succeeded", "Failed", "Pending")
        if budgets and not over and not pod["metadata"].get("deletionTimestamp"):
            self._take_from(budgets[0], pod, dry=call.dry)
        if not call.dry:
            delete(self._store, PODS, pod, self._clock(), options.get("gracePeriodSeconds"))
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    def _take_from(self, budget: Object, pod: Object, *, dry: bool) -> None:
        name, status = budget["metadata"]["name"], budget.get("status") or {}
        allowed = status.get("disruptionsAllowed", 0)
        healthy, wanted = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        if not is_ready(pod) and healthy >= wanted:
            return
        if allowed <= 0:
            why = f"The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
            raise ApiError(
                429,
                "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.",
                causes=[{"reason": "DisruptionBudget", "message": why}],
            )

        def less(changed: Object) -> None:
            changed["status"]["disruptionsAllowed"] = allowed - 1

        if not dry:
            self._store.edit(BUDGETS, budget["metadata"]["namespace"], name, less)


def scale_of(thing: Object) -> Object:
    """The Scale of a workload."""
    meta, spec, status = thing["metadata"], thing["spec"], thing.get("status") or {}
    labels = (spec.get("selector") or {}).get("matchLabels") or {}
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in kept if key in meta},
        "spec": {"replicas": spec["replicas"]} if spec.get("replicas") else {},
        "status": {
            "replicas": status.get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        },
    }
