"""HTTP to the application and to other people's pages."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import aiohttp

from bot.errors import Unavailable
from bot.failures import why
from bot.tools import Answer
from bot.tools.site import HTTP_WITHIN

_MOST = 64 << 10  # bytes of a body that are looked at


class HttpSite:
    """A Site on a session that somebody else closes."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(
        self,
        method: str,
        url: str,
        *,
        token: str = "",
        body: Mapping[str, Any] | None = None,
        within: timedelta = HTTP_WITHIN,
    ) -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        began = time.monotonic()
        try:
            async with self._session.request(
                method, url, headers=headers, json=body, allow_redirects=not token,
                timeout=aiohttp.ClientTimeout(total=within.total_seconds()),
            ) as response:  # fmt: skip
                text = (await beginning(response)).decode(response.charset or "utf-8", errors="replace")
                status, later = response.status, response.headers.get("Retry-After", "")
        except TimeoutError as error:
            raise Unavailable(f"{_host(url)} did not answer within {within.total_seconds():g} s") from error
        except (aiohttp.ClientError, OSError, ValueError, LookupError) as error:
            raise Unavailable(f"{_host(url)} does not answer ({why(error)})") from error
        latency = timedelta(seconds=time.monotonic() - began)
        # It may be a date, too: then the usual pauses do.
        return Answer(status, _fields(text), text, latency, float(later) if later.isdecimal() else None)


async def beginning(response: aiohttp.ClientResponse) -> bytes:
    """The first 64 KiB of a body, in however many pieces it comes."""
    read = b""
    async for piece in response.content.iter_any():
        read += piece
        if len(read) >= _MOST:
            break
    return read[:_MOST]


def _fields(text: str) -> Mapping[str, Any]:
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2] or url
