"""Objects of a Kubernetes cluster as manifests describe them, of any kind that the cluster knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol


@dataclass(frozen=True)
class Applied:
    """What an apply made of one object, or would make of it. `namespace` is empty for what has none."""

    kind: str
    namespace: str
    name: str
    uid: str
    what: Literal["created", "configured", "unchanged"]

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {where}{self.name}: {self.what}"


class Manifests(Protocol):
    """Any object of the cluster, as `{"apiVersion": …, "kind": …, "metadata": {"name": …}, …}`. Raises Unavailable when it
    cannot be reached, Refused when it says no (`code` Unknown: it knows no such kind; Conflict: another manager owns a
    field that is set otherwise), NotFound for a namespace that is not there."""

    async def apply(
        self, thing: Mapping[str, Any], *, manager: str, dry_run: bool = False, namespace: str = "", force: bool = False
    ) -> Applied:
        """Server-side apply: the same object twice is no change. `namespace` for an object that names none. `dry_run`: the
        server checks and answers as if, and keeps nothing. `force`: take over fields that another manager owns."""

    async def find(self, thing: Mapping[str, Any], *, namespace: str = "") -> Mapping[str, Any] | None:
        """The object as it is now; None when it is not there. Only kind and name of `thing` are read."""

    async def delete(self, thing: Mapping[str, Any], *, uid: str, namespace: str = "") -> bool:
        """Delete exactly the object of that uid; False when it is gone, or another one has its name."""
