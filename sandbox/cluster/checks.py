"""What the API server refuses to keep. Hand-picked: what a client of workloads, secrets and pods can get wrong."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from sandbox.cluster.errors import ApiError, bad_request, invalid
from sandbox.cluster.kinds import (
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    POLICIES,
    REPLICA_SETS,
    SECRETS,
    STATEFUL_SETS,
    Kind,
    Object,
)
from sandbox.cluster.selectors import selected

_NAME = re.compile(r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
WORKLOADS = (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS)

_SPEC: Mapping[Kind, frozenset[str]] = {
    DEPLOYMENTS: frozenset(
        {"replicas", "selector", "template", "strategy", "minReadySeconds", "revisionHistoryLimit", "paused"}
        | {"progressDeadlineSeconds"}
    ),
    STATEFUL_SETS: frozenset(
        {"replicas", "selector", "template", "serviceName", "updateStrategy", "podManagementPolicy", "minReadySeconds"}
        | {"revisionHistoryLimit", "volumeClaimTemplates", "persistentVolumeClaimRetentionPolicy", "ordinals"}
    ),
    DAEMON_SETS: frozenset({"selector", "template", "updateStrategy", "minReadySeconds", "revisionHistoryLimit"}),
}
_TEMPLATE = frozenset({"metadata", "spec"})
_CONTAINER = frozenset(
    {"name", "image", "command", "args", "workingDir", "ports", "envFrom", "env", "resources", "resizePolicy"}
    | {"restartPolicy", "volumeMounts", "volumeDevices", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"}
    | {"terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "securityContext"}
    | {"stdin", "stdinOnce", "tty"}
)


def check(kind: Kind, thing: Object, old: Object | None) -> None:
    """Raises ApiError for what cannot be kept; completes what may be left out (a secret's `stringData`)."""
    meta = thing.get("metadata")
    if not isinstance(meta, dict) or not isinstance(meta.get("name"), str):
        raise invalid(kind, "", "metadata.name", "Required value: name or generateName is required")
    if not _NAME.match(meta["name"]):
        raise invalid(kind, meta["name"], "metadata.name", f"Invalid value: {meta['name']!r}")
    for field in ("labels", "annotations"):
        if any(not isinstance(value, str) for value in (meta.get(field) or {}).values()):
            raise bad_request(
                f'{kind.name} in version "{kind.version}" cannot be handled: metadata.{field} must be strings'
            )
    if kind == SECRETS:
        _secret(thing, old)
    elif kind in WORKLOADS:
        _workload(kind, thing, old)
    elif kind == PODS:
        _pod(kind, meta["name"], "spec", thing.get("spec") or {})
    elif kind == POLICIES:
        _policy(meta["name"], thing.get("spec") or {})


def unknown_fields(kind: Kind, thing: Object) -> None:
    """For `fieldValidation=Strict`: ApiError 400 for a field of a workload that does not exist."""
    if kind not in _SPEC:
        return
    spec = thing.get("spec") or {}
    found = [f"spec.{key}" for key in spec if key not in _SPEC[kind]]
    template = spec.get("template") or {}
    found += [f"spec.template.{key}" for key in template if key not in _TEMPLATE]
    for at, container in enumerate((template.get("spec") or {}).get("containers") or []):
        found += [f"spec.template.spec.containers[{at}].{key}" for key in container if key not in _CONTAINER]
    if found:
        raise bad_request("strict decoding error: " + ", ".join(f'unknown field "{field}"' for field in found))


def _secret(thing: Object, old: Object | None) -> None:
    name = thing["metadata"]["name"]
    data = dict(thing.get("data") or {})
    for key, text in (thing.pop("stringData", None) or {}).items():
        if not isinstance(text, str):
            raise invalid(SECRETS, name, f"stringData.{key}", "Invalid value: must be a string")
        data[key] = base64.b64encode(text.encode()).decode()
    for key, text in data.items():
        try:
            base64.b64decode(text, validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise invalid(SECRETS, name, f"data.{key}", "illegal base64 data") from error
    if old is not None and old.get("immutable") and (old.get("data") or {}) != data:
        raise invalid(SECRETS, name, "data", "Forbidden: field is immutable when `immutable` is set")
    if data:
        thing["data"] = data
    thing.setdefault("type", "Opaque")


def _workload(kind: Kind, thing: Object, old: Object | None) -> None:
    name, spec = thing["metadata"]["name"], thing.get("spec") or {}
    if kind != DAEMON_SETS:
        replicas = spec.setdefault("replicas", 1)
        if not isinstance(replicas, int) or isinstance(replicas, bool):
            raise invalid(kind, name, "spec.replicas", "Invalid value: must be an integer")
        if replicas < 0:
            raise invalid(kind, name, "spec.replicas", f"Invalid value: {replicas}: must be greater than or equal to 0")
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    selector = spec.get("selector")
    if not selector:
        raise invalid(kind, name, "spec.selector", "Required value")
    if not selected(selector, labels):
        why = "Invalid value: `selector` does not match template `labels`"
        raise invalid(kind, name, "spec.template.metadata.labels", why)
    if old is not None and old["spec"]["selector"] != selector:
        raise invalid(kind, name, "spec.selector", "Invalid value: field is immutable")
    _pod(kind, name, "spec.template.spec", template.get("spec") or {})


def _pod(kind: Kind, name: str, path: str, spec: Object) -> None:
    containers = spec.get("containers")
    if not containers:
        raise invalid(kind, name, f"{path}.containers", "Required value")
    for field, why in _container_faults(containers):
        raise invalid(kind, name, f"{path}.{field}", why)


def _policy(name: str, spec: Object) -> None:
    if "podSelector" not in spec:
        raise invalid(POLICIES, name, "spec.podSelector", "Required value")
    for way, ends in (("ingress", "from"), ("egress", "to")):
        for at, rule in enumerate(spec.get(way) or []):
            for number, peer in enumerate(rule.get(ends) or []):
                if "ipBlock" in peer:
                    _block(name, f"spec.{way}[{at}].{ends}[{number}].ipBlock", peer["ipBlock"] or {})


def _block(name: str, field: str, block: Object) -> None:
    try:
        whole = ip_network(block.get("cidr") or "")
    except ValueError as error:
        raise invalid(POLICIES, name, f"{field}.cidr", f"Invalid value: {block.get('cidr')!r}: {error}") from error
    for at, text in enumerate(block.get("except") or []):
        try:
            inner = ip_network(text)
        except ValueError as error:
            raise invalid(POLICIES, name, f"{field}.except[{at}]", f"Invalid value: {text!r}: {error}") from error
        if inner.version != whole.version or not inner.subnet_of(whole) or inner == whole:  # type: ignore[arg-type]
            why = f"Invalid value: {text!r}: must be a strict subset of `cidr`"
            raise invalid(POLICIES, name, f"{field}.except[{at}]", why)


def _container_faults(containers: Any) -> Iterator[tuple[str, str]]:
    for at, container in enumerate(containers):
        where = f"containers[{at}]"
        for key in ("name", "image"):
            if not container.get(key):
                yield f"{where}.{key}", "Required value"
        for number, entry in enumerate(container.get("env") or []):
            field = f"{where}.env[{number}]"
            if not entry.get("name"):
                yield f"{field}.name", "Required value"
            if not isinstance(entry.get("value", ""), str):
                yield f"{field}.value", "Invalid value: must be a string"
            if entry.get("value") and entry.get("valueFrom"):
                yield f"{field}.valueFrom", "Invalid value: may not be specified when `value` is not empty"


def refuse_other(kind: Kind, thing: Object) -> None:
    """ApiError 400 when the body is of another kind than the path says."""
    given, version = thing.get("kind"), thing.get("apiVersion")
    if given not in (None, kind.name) or version not in (None, kind.api_version):
        raise ApiError(400, "BadRequest", f"{given} in version {version} cannot be handled as a {kind.name}")
