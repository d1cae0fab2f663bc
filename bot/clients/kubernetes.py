"""A Kubernetes cluster, as bot/tools/ asks for it. Every write names us, is checked strictly and never lost to a race."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from bot.clients import kubernetes_shapes as shapes
from bot.clients.kubernetes_api import Connection
from bot.clients.kubernetes_logs import recent
from bot.clients.kubernetes_revisions import revisions_of, template_of
from bot.clients.kubernetes_shapes import Json
from bot.errors import NotFound, Refused
from bot.tools import LogLine, Pod, Revision, Rollout, Service, Workload, WorkloadKind

MANAGER = "recovery-bot"
TRIES = 5
"""How often a write is tried that somebody else's write (a status, mostly) came before."""

Body = dict[str, Any] | list[dict[str, Any]]
"""A strategic merge patch, or the operations of a JSON patch."""

_RAW = {"_preload_content": False}
_WRITE = {"field_manager": MANAGER, "field_validation": "Strict", **_RAW}
_NAMES = {"deployment": "deployment", "statefulset": "stateful_set"}
_TITLES = {"deployment": "deployment", "statefulset": "stateful set"}


class Kubernetes:
    """A `Cluster`. It connects at its first call; a cluster that is away is Unavailable, call by call.

    Needs: get and list of pods, services, endpointslices, replicasets, deployments, statefulsets, horizontalpodautoscalers;
    get of pods/log; list of events; delete of pods; list of pods everywhere, where all namespaces are asked for;
    patch of deployments and statefulsets; get and patch of the secrets it is to work on.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, *, deadline: float = 10.0, page: int = 500) -> None:
        self._connection = Connection(environ, deadline=deadline, page=page)

    @property
    def connection(self) -> Connection:
        """The way into the cluster, for other clients of it."""
        return self._connection

    def known(self) -> bool:
        """Whether a cluster is configured."""
        return self._connection.known()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._connection.aclose()

    async def pods(self, namespace: str, selector: str = "") -> Sequence[Pod]:
        """By namespace and name."""
        found = [shapes.pod(thing) for thing in await self._pods(namespace, selector)]
        return sorted(found, key=lambda pod: (pod.namespace, pod.name))

    async def pod(self, namespace: str, name: str) -> Pod:
        """Raises NotFound."""
        return shapes.pod(
            await self._connection.call(lambda k, c: k.CoreV1Api(c).read_namespaced_pod(name, namespace, **_RAW))
        )

    async def last_warning(self, pod: Pod) -> str:
        """By the instant at which it was seen last."""
        about = f"involvedObject.uid={pod.uid},type=Warning"
        events = await self._connection.every(
            lambda k, c: k.CoreV1Api(c).list_namespaced_event, pod.namespace, field_selector=about
        )
        return max(((shapes.seen_at(one), str(one.get("message") or "")) for one in events), default=("", ""))[1]

    async def wanted_by(self, owner_kind: str, namespace: str, owner: str, uid: str) -> int | None:
        """Another one of the same name does not count."""
        reads = {"ReplicaSet": "read_namespaced_replica_set", "StatefulSet": "read_namespaced_stateful_set"}
        read = reads.get(owner_kind)
        if read is None:
            return None
        try:
            found = await self._connection.call(lambda k, c: getattr(k.AppsV1Api(c), read)(owner, namespace, **_RAW))
        except NotFound:
            return None
        return shapes.replicas(found) if shapes.uid_of(found) == uid else None

    async def services(self, namespace: str) -> Sequence[Service]:
        """By name."""
        found = await self._all(lambda k, c: k.CoreV1Api(c).list_namespaced_service, namespace)
        slices = await self._all(lambda k, c: k.DiscoveryV1Api(c).list_namespaced_endpoint_slice, namespace)
        return shapes.services(found, slices)

    async def workload(self, kind: WorkloadKind, namespace: str, name: str) -> Workload:
        """Also asks which autoscaler owns it: who may not know that gets Refused, not "none"."""
        thing = await self._read(kind, namespace, name)
        return shapes.workload(kind, thing, await self._scalers(namespace))

    async def deployments(self, namespace: str) -> Sequence[Workload]:
        """By name."""
        found = await self._all(lambda k, c: k.AppsV1Api(c).list_namespaced_deployment, namespace)
        scalers = await self._scalers(namespace) if found else []
        return [shapes.workload("deployment", thing, scalers) for thing in found]

    async def _scalers(self, namespace: str) -> list[Json]:
        return await self._all(lambda k, c: k.AutoscalingV2Api(c).list_namespaced_horizontal_pod_autoscaler, namespace)

    async def set_env(self, deployment: Workload, variable: str, value: str) -> int:
        """Set one variable; nothing happens when it has that value already."""
        kind, namespace, name = deployment.kind, deployment.namespace, deployment.name

        def change(thing: Json) -> dict[str, Any] | None:
            _refuse_another(deployment, thing)
            container, old = shapes.variable_of(thing, variable)
            entry: dict[str, Any] = {"name": variable, "value": value}
            if old is not None and old.get("valueFrom"):
                entry["valueFrom"] = None
            elif old is not None and (old.get("value") or "") == value:
                return None
            return {"spec": {"template": {"spec": {"containers": [{"name": container, "env": [entry]}]}}}}

        return await self._change(kind, namespace, name, change, hide=(value,))

    async def unset_env(self, deployment: Workload, variable: str) -> int:
        """Nothing happens when no container has it."""

        def change(thing: Json) -> dict[str, Any] | None:
            _refuse_another(deployment, thing)
            container, old = shapes.variable_of(thing, variable)
            if old is None:
                return None
            gone = {"name": variable, "$patch": "delete"}
            return {"spec": {"template": {"spec": {"containers": [{"name": container, "env": [gone]}]}}}}

        return await self._change(deployment.kind, deployment.namespace, deployment.name, change)

    async def secret_value(self, namespace: str, name: str, key: str) -> str | None:
        """None without that key. Raises NotFound without that secret, Refused for bytes that are no text."""
        secret = await self._connection.call(
            lambda k, c: k.CoreV1Api(c).read_namespaced_secret(name, namespace, **_RAW)
        )
        text = (secret.get("data") or {}).get(key)
        if text is None:
            return None
        try:
            return base64.b64decode(text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Refused(f"{key} of the secret {name} is not text.", "Unreadable") from error

    async def set_secret(self, namespace: str, name: str, key: str, value: str) -> None:
        """Set one key; the others stay. Pods that have it in their environment need a restart to see it."""
        body = {"stringData": {key: value}}
        await self._connection.call(
            lambda k, c: k.CoreV1Api(c).patch_namespaced_secret(name, namespace, body, **_WRITE),
            hide=(value,),
        )

    async def restart(self, kind: WorkloadKind, namespace: str, name: str, mark: str) -> int:
        """The mark becomes the value of kubectl's own annotation for this."""

        def change(thing: Json) -> dict[str, Any] | None:
            if shapes.is_paused(thing):
                raise Refused(f"The deployment {name} is paused: it would not restart until it is resumed.", "Paused")
            if shapes.is_on_delete(thing):
                raise Refused(f"The stateful set {name} only replaces pods that somebody deletes.", "OnDelete")
            if shapes.restarted_at(thing) == mark:
                return None
            return {"spec": {"template": {"metadata": {"annotations": {shapes.RESTARTED: mark}}}}}

        return await self._change(kind, namespace, name, change)

    async def rollout(self, kind: WorkloadKind, namespace: str, name: str, generation: int) -> Rollout:
        """One look: the workload, and its pods."""
        thing = await self._read(kind, namespace, name)
        if shapes.generation(thing) != generation:
            raise Refused(f"Somebody changed the {_TITLES[kind]} {name} meanwhile.", "Changed")
        selector = shapes.selector(thing)
        pods = [one for one in await self._pods(namespace, selector) if not shapes.is_over(one)]
        if kind == "statefulset":
            return shapes.set_rollout(thing, pods)
        return shapes.deployment_rollout(thing, pods, await self._sets(namespace, selector))

    async def revisions(self, deployment: Workload) -> Sequence[Revision]:
        """Of its own replica sets alone."""
        thing = await self._read(deployment.kind, deployment.namespace, deployment.name)
        _refuse_another(deployment, thing)
        return revisions_of(thing, await self._sets(deployment.namespace, deployment.selector))

    async def roll_back(self, deployment: Workload, replica_set: str) -> int:
        """As `kubectl rollout undo` does it: the template of the replica set, whole, instead of the present one."""
        sets = await self._sets(deployment.namespace, deployment.selector)
        kept = next((one for one in sets if shapes.uid_of(one) == replica_set), None)
        if kept is None or shapes.controller(kept)[1] != deployment.uid:
            raise Refused(f"That revision of {deployment.name} is not kept any more.", "Gone")

        def change(thing: Json) -> list[dict[str, Any]] | None:
            _refuse_another(deployment, thing)
            if template_of(thing) == template_of(kept):
                return None
            if shapes.is_paused(thing):
                raise Refused(f"The deployment {deployment.name} is paused: it goes back when it is resumed.", "Paused")
            return [{"op": "replace", "path": "/spec/template", "value": template_of(kept)}]

        return await self._change(deployment.kind, deployment.namespace, deployment.name, change)

    async def scale(self, deployment: Workload, replicas: int, remember: str) -> int:
        """Nothing happens when there are that many already."""

        def change(thing: Json) -> dict[str, Any] | None:
            _refuse_another(deployment, thing)
            have = shapes.replicas(thing)
            if have == replicas:
                return None
            if shapes.generation(thing) != deployment.generation:
                raise Refused(f"Somebody changed the deployment {deployment.name} since it was looked at.", "Changed")
            known = remember in shapes.notes_of(thing)
            note = {} if have == 0 and known else {"metadata": {"annotations": {remember: str(have)}}}
            return {**note, "spec": {"replicas": replicas}}

        return await self._change(deployment.kind, deployment.namespace, deployment.name, change)

    async def replace_pod(self, namespace: str, name: str, uid: str) -> None:
        """With the grace that it asks for itself."""
        await self._delete_pod(namespace, name, {"preconditions": {"uid": uid}})

    async def force_delete(self, namespace: str, name: str, uid: str) -> None:
        """As `kubectl delete pod --force --grace-period=0`, and bound to the identity."""
        await self._delete_pod(namespace, name, {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}})

    async def _delete_pod(self, namespace: str, name: str, body: Json) -> None:
        # With a body the query's parameters count for nothing.
        try:
            await self._connection.call(
                lambda k, c: k.CoreV1Api(c).delete_namespaced_pod(name, namespace, body=body, **_RAW)
            )
        except NotFound:
            return
        except Refused as refused:
            if refused.code != "Conflict":
                raise

    async def logs(
        self, namespace: str, selector: str, *, since: timedelta, contains: Sequence[str] = (), most: int = 200
    ) -> Sequence[LogLine]:
        """Streamed: no more is held than `most` lines, however much the pods have written."""
        return await recent(self._connection, await self._pods(namespace, selector), since, contains, most)

    async def _read(self, kind: WorkloadKind, namespace: str, name: str) -> Json:
        read = f"read_namespaced_{_NAMES[kind]}"
        return await self._connection.call(lambda k, c: getattr(k.AppsV1Api(c), read)(name, namespace, **_RAW))

    async def _pods(self, namespace: str, selector: str) -> list[Json]:
        if namespace:
            return await self._all(lambda k, c: k.CoreV1Api(c).list_namespaced_pod, namespace, selector)
        return await self._all(lambda k, c: k.CoreV1Api(c).list_pod_for_all_namespaces, "", selector)

    async def _sets(self, namespace: str, selector: str) -> list[Json]:
        return await self._all(lambda k, c: k.AppsV1Api(c).list_namespaced_replica_set, namespace, selector)

    async def _all(self, listing: Callable[[Any, Any], Any], namespace: str, selector: str = "") -> list[Json]:
        """Every page of a list, by name."""
        where, options = (namespace,) if namespace else (), {"label_selector": selector} if selector else {}
        return sorted(await self._connection.every(listing, *where, **options), key=shapes.name_of)

    async def _change(
        self,
        kind: WorkloadKind,
        namespace: str,
        name: str,
        change: Callable[[Json], Body | None],
        *,
        hide: tuple[str, ...] = (),
    ) -> int:
        """Read, decide, and patch exactly what was read; again when somebody was faster. The generation afterwards."""
        for _ in range(TRIES):
            thing = await self._read(kind, namespace, name)
            body = change(thing)
            if body is None:
                return shapes.generation(thing)
            try:
                patched = await self._connection.call(_patch(kind, namespace, name, _bound(body, thing)), hide=hide)
            except Refused as refused:
                if refused.code != "Conflict":
                    raise
                continue
            return shapes.generation(patched)
        raise Refused(f"The {_TITLES[kind]} {name} changes too fast to be changed by us.", "Conflict")


def _refuse_another(seen: Workload, thing: Json) -> None:
    if shapes.uid_of(thing) != seen.uid:
        raise Refused(f"The {_TITLES[seen.kind]} {seen.name} is another one than was looked at.", "Changed")


def _bound(body: Body, thing: Json) -> Body:
    """A patch that only fits what was read: anything else is a conflict."""
    meta = {"uid": shapes.uid_of(thing), "resourceVersion": shapes.dig(thing, "metadata", "resourceVersion")}
    if isinstance(body, list):
        return [*({"op": "replace", "path": f"/metadata/{key}", "value": value} for key, value in meta.items()), *body]
    return {**body, "metadata": {**body.get("metadata", {}), **meta}}


def _patch(kind: WorkloadKind, namespace: str, name: str, body: Body) -> Callable[[Any, Any], Awaitable[Any]]:
    patch = f"patch_namespaced_{_NAMES[kind]}"
    return lambda library, client: getattr(library.AppsV1Api(client), patch)(name, namespace, body, **_WRITE)
