"""What a cluster and a database have written down, whole, for evidence: handed on in pieces as it comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

Take = Callable[[bytes], None]
"""Told the next piece."""


class Records(Protocol):
    """Raises Unavailable, Refused, NotFound, also half way through."""

    async def containers(self, namespace: str, selector: str) -> Sequence[tuple[str, str]]:
        """(pod, container) of everything that has written, or could have."""

    async def log(self, namespace: str, pod: str, container: str, since: timedelta, take: Take) -> None:
        """All that a container has written since then, each line with its instant."""

    async def events(self, namespace: str, take: Take) -> None:
        """The cluster's events of a namespace as JSON lines, oldest first."""

    async def activity(self, url: str, take: Take) -> None:
        """pg_stat_activity of a server as JSON lines. Queries are whole, with whatever stands in them."""
