"""One call to the API server, as its method, path, query and body say it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from sandbox.cluster.errors import ApiError, bad_request
from sandbox.cluster.kinds import KINDS, NAMESPACES, NODES, Kind

_PATH = re.compile(r"^/(?:api|apis/(?P<group>[^/]+))/(?P<version>v\d[a-z0-9]*)/(?P<rest>.+)$")
_WRITES = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class Call:
    """`verb` as roles name it (get, list, watch, create, update, patch, delete); empty strings for what is not given."""

    verb: str
    kind: Kind
    namespace: str
    name: str
    sub: str
    query: Mapping[str, str]
    content_type: str
    raw: bytes

    @property
    def resource(self) -> str:
        """As roles and faults name it: "pods", "pods/eviction"."""
        return f"{self.kind.plural}/{self.sub}" if self.sub else self.kind.plural

    @property
    def dry(self) -> bool:
        """Whether nothing is to be kept."""
        return self.query.get("dryRun") == "All"

    @property
    def body(self) -> Any:
        """The JSON that was sent, or the YAML of an apply; None without a body. Raises ApiError 400."""
        if not self.raw.strip():
            return None
        try:
            return json.loads(self.raw)
        except ValueError as error:
            if self.content_type.endswith("+yaml"):
                return self._yaml()
            raise bad_request(f"the body is not JSON: {error}") from error

    def _yaml(self) -> Any:
        try:
            return yaml.safe_load(self.raw)
        except yaml.YAMLError as error:
            raise bad_request(f"error decoding YAML: {error}") from error

    def number(self, name: str) -> int | None:
        """A query parameter as a number. Raises ApiError 400."""
        text = self.query.get(name)
        if not text:
            return None
        try:
            return int(text)
        except ValueError as error:
            raise bad_request(f"{name}: {text!r} is not a number") from error

    def flag(self, name: str) -> bool:
        """A query parameter as yes or no."""
        return self.query.get(name, "").lower() in ("true", "1")


def read_call(method: str, path: str, query: Mapping[str, str], content_type: str, raw: bytes) -> Call:
    """Raises ApiError 404 for a path that leads nowhere, 405 for a method that makes no sense."""
    found = _PATH.match(path)
    if found is None:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    namespace, parts = "", found["rest"].rstrip("/").split("/")
    if parts[0] == NAMESPACES.plural and len(parts) > 2 and parts[2] not in ("status", "finalize"):
        namespace, parts = parts[1], parts[2:]
    group, version = found["group"] or "", found["version"]
    kind = next((k for k in KINDS if (k.group, k.version, k.plural) == (group, version, parts[0])), None)
    if kind is None or len(parts) > 3:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    name, sub = [*parts, "", ""][1:3]
    verb = _verb(method, name, query)
    if kind.namespaced and not namespace and (name or verb == "create"):
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    return Call(verb, kind, namespace if kind not in (NAMESPACES, NODES) else "", name, sub, query, content_type, raw)


def _verb(method: str, name: str, query: Mapping[str, str]) -> str:
    if method == "GET":
        if not name:
            return "watch" if query.get("watch", "").lower() in ("true", "1") else "list"
        return "get"
    verb = _WRITES.get(method)
    if verb is None or (verb in ("update", "patch") and not name):
        raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    return verb
