"""What the actions of the LLM service share: what the application, the status pages and the providers themselves say."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bot.action import Tools
from bot.errors import NeighbourError, NotFound, Refused, Unavailable
from bot.estate import Estate
from bot.estate_places import Application, Llm, Provider
from bot.tools import Answer


def llm_of(estate: Estate) -> tuple[Application, Llm]:
    """The application, and how its LLM service is reached. Raises NotFound."""
    if estate.application is None or estate.llm is None or not estate.llm.providers:
        raise NotFound("The estate file has no `application` with `llm` and its `providers`: nobody could be asked.")
    return estate.application, estate.llm


def address(application: Application, path: str) -> str:
    """A path of the application's."""
    return f"{application.url.rstrip('/')}/{path.lstrip('/')}"


async def asked(tools: Tools, path: str) -> Answer:
    """What the application says at a path that everybody may read. Raises Unavailable."""
    application, _ = llm_of(tools.estate)
    token = application.token.get_secret_value() if application.token else ""
    return await tools.site.ask("GET", address(application, path), token=token)


async def breaker(tools: Tools) -> str:
    """`closed`, `open` or `half-open`. Raises Unavailable when nobody answers now, Refused when the answer does not say."""
    _, llm = llm_of(tools.estate)
    answer = await asked(tools, llm.health)
    state = breaker_of(answer.fields)
    if not state and not answer.ok:
        raise no(answer, f"{llm.health} of the application")
    if not state:
        raise Refused(f"{llm.health} of the application does not say how its circuit breaker is")
    return state


def breaker_of(fields: Mapping[str, Any]) -> str:
    """The breaker's state in a health or stats answer: a text, or an object with a `state`. Empty when it is not there."""
    for name in ("circuit_breaker", "circuitBreaker", "breaker", "circuit_breaker_state", "circuitBreakerState"):
        value = fields.get(name)
        state = value.get("state") if isinstance(value, Mapping) else value
        if isinstance(state, str) and state:
            return state.lower().replace("_", "-")
    return ""


def succeeded_of(fields: Mapping[str, Any], provider: Provider) -> int | None:
    """How many calls to a provider have gone well since the application started, as its stats count them."""
    listed = fields.get("providers")
    one = listed.get(provider.name) if isinstance(listed, Mapping) else None
    if not isinstance(one, Mapping):
        return None
    for name in ("successes", "succeeded", "success"):
        if isinstance(one.get(name), int):
            return int(one[name])
    calls, errors = one.get("calls", one.get("requests")), one.get("errors", one.get("failures"))
    return calls - errors if isinstance(calls, int) and isinstance(errors, int) else None


def provider_of(answer: Mapping[str, Any], llm: Llm) -> Provider | None:
    """Which provider of the estate an answer says that it is from."""
    said = str(answer.get("provider", "")).lower()
    return next((p for p in llm.providers if said and said in (p.name, p.title.lower())), None)


@dataclass(frozen=True)
class Light:
    """What was seen of one thing, in words. Unknown is never green."""

    state: Literal["green", "red", "unknown"]
    text: str


async def page_light(tools: Tools, provider: Provider) -> Light:
    """What a provider says of itself on its status page (Statuspage v2)."""
    name = f"{provider.title}'s status page"
    try:
        answer = await tools.site.ask("GET", provider.status)
    except NeighbourError as error:
        return Light("unknown", f"{name}: {error}")
    status = answer.fields.get("status")
    indicator = status.get("indicator") if isinstance(status, Mapping) else None
    if not answer.ok or not isinstance(indicator, str):
        return Light("unknown", f"{name}: cannot be read (HTTP {answer.status})")
    said = str(status.get("description") or indicator) if isinstance(status, Mapping) else indicator
    return Light("green" if indicator == "none" else "red", f"{name}: {said} ({indicator})")


async def direct_light(tools: Tools, provider: Provider) -> Light:
    """What a provider's API answers to us, past the application and its breaker."""
    name = f"{provider.title} itself"
    if provider.probe is None:
        return Light("unknown", f"{name}: not asked, the estate file has no `probe` for it")
    key = provider.key.get_secret_value() if provider.key else ""
    try:
        answer = await tools.site.ask("GET", provider.probe, token=key)
    except NeighbourError as error:
        return Light("red", f"{name}: {error}")
    took = f"HTTP {answer.status} after {answer.latency.total_seconds() * 1000:.0f} ms"
    if answer.status >= 500 or answer.status == 429:
        return Light("red", f"{name}: {took}")
    if answer.ok or (not key and answer.status in (401, 403)):
        return Light("green", f"{name}: {took}{'' if answer.ok else ', asked without a key'}")
    return Light("unknown", f"{name}: {took}, which says nothing about it")


async def lights(tools: Tools, providers: Sequence[Provider]) -> list[Light]:
    """Page and probe of each provider, in their order, all asked at once."""
    looks = (look for p in providers for look in (page_light(tools, p), direct_light(tools, p)))
    return list(await asyncio.gather(*looks))


def no(answer: Answer, what: str) -> NeighbourError:
    """What an answer that is not OK means: later, or no."""
    said = answer.fields.get("error") or answer.fields.get("message") or ""
    text = f"{what}: HTTP {answer.status}{f' ({str(said)[:200]})' if said else ''}"
    if answer.status >= 500 or answer.status == 429:
        return Unavailable(text, answer.retry_after)
    if answer.status in (401, 403):
        return Refused(f"{text}: the application does not take our token")
    return Refused(text)
