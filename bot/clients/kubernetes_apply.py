"""Server-side apply of objects of any kind: where a kind lives is asked of the cluster, once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

from bot.clients.kubernetes_api import Connection
from bot.errors import NotFound, Refused
from bot.tools.manifests import Applied

_JSON = {"Accept": "application/json"}
_WROTE = ("resourceVersion", "generation", "managedFields")
"""What every write changes in an object's metadata."""


class KubernetesManifests:
    """`Manifests` on a connection that somebody else closes.

    Needs: get, create and patch of the kinds that are applied, delete of those that are deleted.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._places: dict[tuple[str, str], tuple[str, bool]] = {}

    async def apply(
        self, thing: Mapping[str, Any], *, manager: str, dry_run: bool = False, namespace: str = "", force: bool = False
    ) -> Applied:
        """What it was before is read first: the answer of an apply does not say what it has changed."""
        path, where, name = await self._path(thing, namespace)
        before = await self._get(path)
        query = [("fieldManager", manager), ("fieldValidation", "Strict"), ("force", str(force).lower())]
        if dry_run:
            query.append(("dryRun", "All"))
        metadata = {k: v for k, v in dict(thing.get("metadata") or {}).items() if k != "managedFields"}
        body = {**thing, "metadata": {**metadata, **({"namespace": where} if where else {})}}
        after = await self._call("PATCH", path, query, body, {"Content-Type": "application/apply-patch+yaml"})
        what: Literal["created", "configured", "unchanged"] = "created"
        if before is not None:
            what = "unchanged" if _settled(before) == _settled(after) else "configured"
        return Applied(str(thing["kind"]), where, name, str(after.get("metadata", {}).get("uid", "")), what)

    async def find(self, thing: Mapping[str, Any], *, namespace: str = "") -> Mapping[str, Any] | None:
        path, _, _ = await self._path(thing, namespace)
        return await self._get(path)

    async def delete(self, thing: Mapping[str, Any], *, uid: str, namespace: str = "") -> bool:
        path, _, _ = await self._path(thing, namespace)
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        try:
            await self._call("DELETE", path, [], body, {"Content-Type": "application/json"})
        except NotFound:
            return False
        except Refused as refused:
            if refused.code != "Conflict":
                raise
            return False
        return True

    async def _get(self, path: str) -> Mapping[str, Any] | None:
        try:
            return await self._call("GET", path, [], None, {})
        except NotFound:
            return None

    async def _path(self, thing: Mapping[str, Any], namespace: str) -> tuple[str, str, str]:
        """(path of the object, its namespace or nothing, its name)."""
        metadata = thing.get("metadata")
        name = str(metadata.get("name") or "") if isinstance(metadata, Mapping) else ""
        version, kind = str(thing.get("apiVersion") or ""), str(thing.get("kind") or "")
        if not name or not version or not kind:
            raise Refused("an object without apiVersion, kind or metadata.name cannot be applied", "Invalid")
        plural, namespaced = await self._place(version, kind)
        where = (str((metadata or {}).get("namespace") or "") or namespace) if namespaced else ""
        if namespaced and not where:
            raise Refused(f"{kind} {name} names no namespace", "Invalid")
        inside = f"/namespaces/{quote(where, safe='')}" if where else ""
        return f"{_base(version)}{inside}/{plural}/{quote(name, safe='')}", where, name

    async def _place(self, version: str, kind: str) -> tuple[str, bool]:
        """(plural, namespaced) of a kind. What is not known is asked again each time: a CRD may just have come."""
        if (version, kind) not in self._places:
            unknown = Refused(f"The cluster knows no {kind} of {version}.", "Unknown")
            try:
                listed = await self._call("GET", _base(version), [], None, {})
            except NotFound:
                raise unknown from None
            for resource in listed.get("resources") or []:
                if "/" not in resource["name"]:
                    self._places[version, resource["kind"]] = (resource["name"], bool(resource["namespaced"]))
            if (version, kind) not in self._places:
                raise unknown
        return self._places[version, kind]

    async def _call(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]],
        body: Mapping[str, Any] | None,
        headers: dict[str, str],
    ) -> dict[str, Any]:
        return await self._connection.call(
            lambda _library, client: client.call_api(
                path, method, query_params=query, header_params={**_JSON, **headers}, body=body,
                auth_settings=["BearerToken"], _preload_content=False, _return_http_data_only=True,
            ),
            hide=_texts(body),
        )  # fmt: skip


def _texts(body: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The values of a Secret, which an error must not repeat."""
    if body is None or body.get("kind") != "Secret":
        return ()
    return tuple(str(v) for part in ("data", "stringData") for v in (body.get(part) or {}).values() if v)


def _base(version: str) -> str:
    safe = quote(version, safe="/")
    return f"/apis/{safe}" if "/" in version else f"/api/{safe}"


def _settled(thing: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object without its status and what any write changes."""
    metadata = {k: v for k, v in dict(thing.get("metadata") or {}).items() if k not in _WROTE}
    return {**{k: v for k, v in thing.items() if k != "status"}, "metadata": metadata}
