"""What names resolve to, resolver by resolver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Resolved:
    """What one resolver answers. `values` are sorted; none = the name has no such record. `ttl`: seconds it may be kept."""

    values: tuple[str, ...]
    ttl: int


class Names(Protocol):
    """DNS resolvers, each asked directly as `host:port`."""

    def own(self) -> Sequence[str]:
        """The resolvers of this machine."""

    async def ask(self, resolver: str, name: str, type_: str) -> Resolved:
        """One question. Raises Unavailable when the resolver does not answer, or could not find out."""
