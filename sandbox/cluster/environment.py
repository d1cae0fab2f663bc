"""The environment of a container, with what comes out of secrets and config maps put in."""

from __future__ import annotations

import base64

from sandbox.cluster.kinds import CONFIG_MAPS, SECRETS, Object
from sandbox.cluster.store import Store


class Unresolved(Exception):
    """A secret, a config map or a key of one that is not there; the message names it."""


def environment_of(store: Store, namespace: str, spec: Object) -> dict[str, str]:
    """The variables of the first container of a pod's spec. Raises Unresolved."""
    container = spec["containers"][0]
    found: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        for field in ("secretRef", "configMapRef"):
            if ref := source.get(field):
                values = _values(store, namespace, field, ref)
                found |= {f"{source.get('prefix', '')}{key}": value for key, value in values.items()}
    for entry in container.get("env") or []:
        source = entry.get("valueFrom")
        if not source:
            found[entry["name"]] = entry.get("value", "")
            continue
        for field in ("secretKeyRef", "configMapKeyRef"):
            if ref := source.get(field):
                values = _values(store, namespace, field, ref)
                if ref["key"] in values:
                    found[entry["name"]] = values[ref["key"]]
                elif not ref.get("optional"):
                    raise Unresolved(f"couldn't find key {ref['key']} in {namespace}/{ref['name']}")
    return found


def _values(store: Store, namespace: str, field: str, ref: Object) -> dict[str, str]:
    secret = field.startswith("secret")
    thing = store.find(SECRETS if secret else CONFIG_MAPS, namespace, ref["name"])
    if thing is None:
        if ref.get("optional"):
            return {}
        raise Unresolved(f'{"secret" if secret else "configmap"} "{ref["name"]}" not found')
    data = thing.get("data") or {}
    return {key: base64.b64decode(text).decode() for key, text in data.items()} if secret else dict(data)
