"""What the actions of caches share: finding them in the estate, and how the application sees them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from actions.consumers import told
from actions.rollouts import BETWEEN_LOOKS, GREEN_WITHIN
from bot.action import NotVerified, Tools
from bot.errors import NeighbourError, NotFound
from bot.estate import Estate
from bot.estate_places import Cache, Consumer
from bot.tools import CacheState

_UNITS = {"": 1, "b": 1, "k": 10**3, "kb": 2**10, "m": 10**6, "mb": 2**20, "g": 10**9, "gb": 2**30}
_SIZE = re.compile(r"^(\d+)\s*([kmg]?b?)$", re.IGNORECASE)


def find(estate: Estate, name: str) -> Cache:
    """The cache of that name, or the first one. Raises NotFound."""
    if not estate.caches:
        raise NotFound("The estate file has no `caches`, so there is nothing that this could work on.")
    found = next((c for c in estate.caches if c.name == name.lower()), None) if name else estate.caches[0]
    if found is None:
        known = ", ".join(f"`{c.name}`" for c in estate.caches)
        raise NotFound(f"There is no cache `{name}` in the estate file. It has {known}.")
    return found


def servers(cache: Cache) -> Mapping[str, str]:
    """Every server's connection string by its name in the estate file; the cache's own comes first and has its name."""
    return {
        cache.name: cache.url.get_secret_value(),
        **{replica.name: replica.url.get_secret_value() for replica in cache.replicas},
    }


async def look_at(tools: Tools, url: str) -> CacheState | str:
    """A server as it is now; a sentence when it does not answer, which is an answer too."""
    try:
        return await tools.caches.state(url)
    except NeighbourError as error:
        return str(error)


async def in_use(tools: Tools, cache: Cache) -> str:
    """The name of the server that the application is sent to; the cache's own where the estate file does not say how."""
    if not (cache.replicas and cache.application and tools.estate.cluster):
        return cache.name
    value = await told(tools, cache.application)
    where = tools.caches.place(value) if value else ""
    return next((n for n, url in servers(cache).items() if tools.caches.place(url) == where), cache.name)


def consumer_of(cache: Cache) -> Consumer:
    """Where the application reads its address from. Raises NotFound."""
    if cache.application is None:
        raise NotFound("The estate file does not say where the application reads this cache's address from.")
    return cache.application


async def seen_by_application(tools: Tools, cache: Cache, within: float = GREEN_WITHIN) -> str:
    """How the application sees the cache, once it sees it well. Raises NotVerified when it does not `within` seconds."""
    if tools.estate.application is None:
        return "the estate file has no application that could be asked"
    said = "the application has not answered yet"
    try:
        async with asyncio.timeout(within):
            while True:
                well, said = await application_says(tools, cache)
                if well:
                    return said
                await asyncio.sleep(BETWEEN_LOOKS)
    except TimeoutError:
        raise NotVerified(said) from None


async def application_says(tools: Tools, cache: Cache) -> tuple[bool, str]:
    """(whether the application sees the cache well, in words). Its health has a check of that name, or is green as a whole."""
    application = tools.estate.application
    if application is None:
        return False, "the estate file has no application that could be asked"
    try:
        answer = await tools.site.ask("GET", application.url.rstrip("/") + application.health)
    except NeighbourError as error:
        return False, f"the application cannot be asked: {error}"
    state = check_of(answer.fields, (cache.name, "redis", "cache"))
    if state:
        well = state in ("up", "ok", "healthy", "ready", "pass", "true")
        return well, f"the application sees it {state}"
    return answer.status == 200, f"the application's health answers {answer.status}"


def check_of(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """What a health answer says of one of its checks, empty when it has none of that name."""
    checks = fields.get("checks")
    for name in names:
        check = checks.get(name) if isinstance(checks, Mapping) else None
        if isinstance(check, Mapping):
            check = check.get("status", check.get("ok"))
        if check is not None:
            return str(check).lower()
    return ""


def bytes_of(text: str) -> int:
    """A size as Redis writes it: `4gb` is 2^30 times four, `4g` is 10^9 times four. Raises ValueError."""
    match = _SIZE.match(text.strip())
    if match is None or match[2].lower() not in _UNITS:
        raise ValueError(f"`{text}` is no size such as 512mb or 4gb")
    return int(match[1]) * _UNITS[match[2].lower()]


def size(count: int) -> str:
    """Bytes as Redis counts them, in powers of two: `1.5 GiB`."""
    value, unit = float(count), "bytes"
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.3g} {unit}"


def rate(hits: int, misses: int) -> str:
    """A hit rate in words."""
    asked = hits + misses
    return f"{100 * hits / asked:.1f} % of {asked:,} look-ups" if asked else "no look-up"
