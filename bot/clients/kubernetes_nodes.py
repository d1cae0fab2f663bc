"""The nodes of a Kubernetes cluster, and the cluster as a whole.

Needs, beside what `Kubernetes` needs: get, list, patch and delete of nodes; list of pods, events, daemonsets and
poddisruptionbudgets in all namespaces; create of pods/eviction; get of the leases in kube-system; list of
nodes of metrics.k8s.io; GET /readyz.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.clients import kubernetes_shapes as shapes
from bot.clients.kubernetes import MANAGER
from bot.clients.kubernetes_api import Connection
from bot.clients.kubernetes_drain import amount, residents
from bot.clients.kubernetes_shapes import Json, dig
from bot.errors import NeighbourError, NotFound, Refused
from bot.tools import Amount, ControlPlane, Event, Node, Resident

LEADERS = ("kube-scheduler", "kube-controller-manager")
_CHECK = re.compile(r"^\[([+-])\](\S+)", re.MULTILINE)
_ROLES = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_RAW = {"_preload_content": False}
_WRITE = {"field_manager": MANAGER, "field_validation": "Strict", **_RAW}
_ENDING = 403
_SEVERAL = "more than one PodDisruptionBudget"


class _NotNow(Exception):
    """Why a pod may not be evicted now."""


class KubernetesNodes:
    """A Nodes on a connection that somebody else closes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def nodes(self) -> Sequence[Node]:
        found = await self._connection.every(lambda k, c: k.CoreV1Api(c).list_node)
        return sorted(map(node, found), key=lambda one: one.name)

    async def cordon(self, node: str, uid: str, *, on: bool) -> None:
        # Null takes the field away, as kubectl uncordon does.
        body = {"metadata": {"uid": uid}, "spec": {"unschedulable": True if on else None}}
        try:
            await self._connection.call(lambda k, c: k.CoreV1Api(c).patch_node(node, body, **_WRITE))
        except Refused as refused:
            if refused.code == "Conflict":
                raise Refused(f"The node {node} is another one than was looked at.", "Changed") from refused
            raise

    async def residents(self, node: str = "") -> Sequence[Resident]:
        every = self._connection.every
        options = {"field_selector": f"spec.nodeName={node}"} if node else {}
        pods, sets, budgets = await asyncio.gather(
            every(lambda k, c: k.CoreV1Api(c).list_pod_for_all_namespaces, **options),
            every(lambda k, c: k.AppsV1Api(c).list_daemon_set_for_all_namespaces),
            every(lambda k, c: k.PolicyV1Api(c).list_pod_disruption_budget_for_all_namespaces),
        )
        return residents(pods, {shapes.uid_of(one) for one in sets}, budgets)

    async def evict(self, pod: Resident) -> str:
        metadata = {"name": pod.name, "namespace": pod.namespace}
        options = {"preconditions": {"uid": pod.uid}}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options}

        async def ask(library: Any, client: Any) -> Any:
            core = library.CoreV1Api(client)
            try:
                return await core.create_namespaced_pod_eviction(pod.name, pod.namespace, body, **_RAW)
            except library.ApiException as error:
                if why := _blocked(error.status, error.body):
                    raise _NotNow(why) from None
                if error.status >= 500 and _SEVERAL in str(error.body):
                    raise Refused(f"{pod.name} falls under more than one disruption budget.", "Budgets") from None
                raise

        try:
            await self._connection.call(ask)
        except _NotNow as not_now:
            return str(not_now)
        except NotFound:
            return ""
        except Refused as refused:
            if refused.code != "Conflict":
                raise
        return ""

    async def delete(self, node: str, uid: str) -> None:
        body = {"preconditions": {"uid": uid}}
        await self._gone(lambda k, c: k.CoreV1Api(c).delete_node(node, body=body, **_RAW))

    async def _gone(self, ask: Any) -> None:
        """Delete what is bound to a UID: gone or replaced is done already."""
        try:
            await self._connection.call(ask)
        except NotFound:
            return
        except Refused as refused:
            if refused.code != "Conflict":
                raise

    async def events(self, most: int) -> Sequence[Event]:
        found = await self._connection.every(lambda k, c: k.CoreV1Api(c).list_event_for_all_namespaces)
        return sorted(map(event, found), key=lambda one: one.at, reverse=True)[:most]

    async def control_plane(self) -> ControlPlane:
        try:
            said = await self._connection.page("/readyz", verbose="")
        except Refused:
            said = ""
        checks = {name: sign == "+" for sign, name in _CHECK.findall(said)}
        return ControlPlane(checks, {name: await self._renewed(name) for name in LEADERS})

    async def _renewed(self, leader: str) -> datetime | None:
        try:
            lease = await self._connection.call(
                lambda k, c: k.CoordinationV1Api(c).read_namespaced_lease(leader, "kube-system", **_RAW)
            )
        except (NotFound, NeighbourError):  # hidden by a cloud that manages it, or not there: unknown, and no more
            return None
        at = dig(lease, "spec", "renewTime")
        return datetime.fromisoformat(at) if at else None

    async def usage(self) -> Mapping[str, Amount]:
        said = await self._connection.call(
            lambda k, c: k.CustomObjectsApi(c).list_cluster_custom_object("metrics.k8s.io", "v1beta1", "nodes", **_RAW)
        )
        return {shapes.name_of(one): amount(one.get("usage")) for one in said.get("items") or []}


def node(thing: Json) -> Node:
    """One node, as the bot sees it."""
    conditions = {one["type"]: one for one in dig(thing, "status", "conditions") or []}
    ready = conditions.get("Ready") or {}
    well = ready.get("status") == "True"
    addresses = dig(thing, "status", "addresses") or []
    return Node(
        name=shapes.name_of(thing),
        uid=shapes.uid_of(thing),
        ready=well,
        why="" if well else str(ready.get("message") or ready.get("reason") or "it has not said anything yet"),
        pressures=sorted(k for k, one in conditions.items() if k.endswith("Pressure") and one["status"] == "True"),
        cordoned=bool(dig(thing, "spec", "unschedulable")),
        control_plane=any(role in shapes.labels(thing) for role in _ROLES),
        provider=str(dig(thing, "spec", "providerID") or ""),
        address=next((str(one["address"]) for one in addresses if one["type"] == "InternalIP"), ""),
        created_at=datetime.fromisoformat(str(dig(thing, "metadata", "creationTimestamp"))),
        room=amount(dig(thing, "status", "allocatable")),
    )


def event(thing: Json) -> Event:
    """One event. Those of the newer kind have no last instant of their own."""
    about = thing.get("involvedObject") or {}
    at = (
        dig(thing, "series", "lastObservedTime")
        or thing.get("lastTimestamp")
        or thing.get("eventTime")
        or thing.get("firstTimestamp")
        or dig(thing, "metadata", "creationTimestamp")
    )
    return Event(
        at=datetime.fromisoformat(str(at)),
        warning=thing.get("type") == "Warning",
        reason=str(thing.get("reason") or ""),
        namespace=str(about.get("namespace") or ""),
        about=f"{str(about.get('kind') or 'object').lower()}/{about.get('name') or '?'}",
        message=" ".join(str(thing.get("message") or "").split()),
        count=int(dig(thing, "series", "count") or thing.get("count") or 1),
    )


def _blocked(status: int, body: Any) -> str:
    """Why an eviction has to wait, in the API server's words; empty when something else is wrong."""
    try:
        said = json.loads(body)
        causes = {
            one.get("reason"): str(one.get("message") or "") for one in (said.get("details") or {}).get("causes") or []
        }
    except (ValueError, TypeError, AttributeError):
        return ""
    if status == 429 and "DisruptionBudget" in causes:
        return causes["DisruptionBudget"].rstrip(".") or "its disruption budget does not allow it"
    if status == _ENDING and "NamespaceTerminating" in causes:
        return "its namespace is being deleted"
    return ""
