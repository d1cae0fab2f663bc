"""The application and other people's pages, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

HTTP_WITHIN = timedelta(seconds=10)


@dataclass(frozen=True)
class Answer:
    """What a server said. `fields` is the body where it is a JSON object, else empty; `text` its first 64 KiB.
    `retry_after`: the seconds after which it wants to be asked again, where it says so."""

    status: int
    fields: Mapping[str, Any]
    text: str
    latency: timedelta
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class Site(Protocol):
    """HTTP to whoever has an address in the estate file. Any status is an answer; raises Unavailable for none at all."""

    async def ask(
        self,
        method: str,
        url: str,
        *,
        token: str = "",
        body: Mapping[str, Any] | None = None,
        within: timedelta = HTTP_WITHIN,
    ) -> Answer:
        """One request, with a bearer token and a JSON body where given; redirects are not followed with a token."""
