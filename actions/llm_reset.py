"""Scenario 2, runbook 2.3: reset the circuit breaker, and see whether it stays closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import BaseModel, Field

from actions.llm import address, asked, breaker, lights, llm_of, no, provider_of, succeeded_of
from actions.llm_looks import ask_something
from bot.action import Action, Change, NotVerified, Plan, Progress, Risk, Step, Tools, not_yet, nothing
from bot.errors import NeighbourError, NotFound, NotNow
from bot.estate import Estate
from bot.estate_places import Provider
from bot.incident import Scenario

BETWEEN_LOOKS = 0.5
ENOUGH = 3
"""Calls that went well, after which the watch ends: as many as usually open a breaker."""


class ResetFacts(BaseModel):
    """Whom the application calls again. A yes to a reset while the provider looks well is none to one while it does not."""

    provider: str
    looks_well: bool


class ResetBreaker(Action[ResetFacts]):
    """Close the LLM circuit breaker by hand, and watch whether calls succeed."""

    name: ClassVar[str] = "llm.reset-breaker"
    risk: ClassVar[Risk] = Risk.LOW
    scenario: ClassVar[Scenario] = Scenario.LLM
    usual: ClassVar[timedelta] = timedelta(minutes=1)
    service: ClassVar[str] = "llm"
    facts: ClassVar[type[BaseModel]] = ResetFacts

    watch: timedelta = Field(
        timedelta(seconds=30),
        description="how long successful calls are waited for",
        gt=timedelta(0),
        le=timedelta(minutes=10),
    )

    def target(self, estate: Estate) -> str:
        return f"circuit breaker of {llm_of(estate)[1].providers[0].title}"

    async def plan(self, tools: Tools) -> Plan[ResetFacts]:
        application, llm = llm_of(tools.estate)
        if application.admin_token is None:
            raise NotFound("The estate file has no `application.admin_token`, and a reset needs it.")
        provider = llm.providers[0]
        state, seen = await asyncio.gather(breaker(tools), lights(tools, (provider,)))
        if state == "closed":
            raise NotNow("The circuit breaker is closed already: there is nothing to reset.")
        wrong = [light.text for light in seen if light.state != "green"]
        warning = f"{provider.title} does not look recovered, so the breaker will probably open again: "
        if all(light.state != "red" for light in seen):
            warning = f"Nobody can tell whether {provider.title} has recovered: "
        return Plan(
            ResetFacts(provider=provider.name, looks_well=not wrong),
            (
                Change("circuit breaker", state, "closed"),
                Change("requests go to", "the fallback", provider.title),
            ),
            notes=[light.text for light in seen if light.state == "green"],
            undo_says="not needed: the breaker opens again by itself when calls fail",
            warnings=[f"{warning}{'; '.join(wrong)}"] if wrong else (),
        )

    def steps(self, facts: ResetFacts, tools: Tools) -> Sequence[Step]:
        provider = _provider(tools, facts)

        async def reset(_progress: Progress) -> str:
            application, llm = llm_of(tools.estate)
            token = application.admin_token.get_secret_value() if application.admin_token else ""
            answer = await tools.site.ask("POST", address(application, llm.reset), token=token)
            if not answer.ok:
                raise no(answer, f"{llm.reset} of the application")
            return f"the application has closed it (HTTP {answer.status})"

        async def closed() -> bool:
            return await breaker(tools) == "closed"

        async def watch(progress: Progress) -> str:
            return await _watched(tools, provider, self.watch, progress)

        path = llm_of(tools.estate)[1].reset
        return (
            Step("Reset the circuit breaker", reset, closed, None, "requests that were sent meanwhile are sent",
                 by_hand=f"POST {path} with the admin token does the same."),
            Step(f"Watch calls to {provider.title}", watch, not_yet, nothing),
        )  # fmt: skip

    async def verify(self, facts: ResetFacts, tools: Tools) -> str:
        provider = _provider(tools, facts)
        again = f"Is {provider.title} back? `/recover llm.status` shows it; plan another reset when it is"
        state = await breaker(tools)
        if state != "closed":
            raise NotVerified(f"the breaker has tripped again and is {state}. {again}")
        answer = await ask_something(tools, "the reset")
        if not answer.ok and answer.status < 500:
            raise no(answer, "a real request")  # which says nothing about the provider
        if not answer.ok:
            raise NotVerified(f"{no(answer, 'a real request')}. {again}")
        found = provider_of(answer.fields, llm_of(tools.estate)[1])
        if found != provider:
            said = found.title if found else str(answer.fields.get("provider", "nobody"))[:80]
            raise NotVerified(f"a real request was answered by {said}, not by {provider.title}. {again}")
        state = await breaker(tools)
        if state != "closed":
            raise NotVerified(f"the breaker has tripped again and is {state}. {again}")
        took = f"{answer.latency.total_seconds() * 1000:.0f} ms"
        return f"a real request was answered by {provider.title} in {took}, and the breaker stays closed"


def _provider(tools: Tools, facts: ResetFacts) -> Provider:
    found = next((p for p in llm_of(tools.estate)[1].providers if p.name == facts.provider), None)
    if found is None:
        raise NotFound(f"The estate file has no LLM provider `{facts.provider}` any more.")
    return found


async def _watched(tools: Tools, provider: Provider, within: timedelta, progress: Progress) -> str:
    """Until enough calls went well, the breaker trips or the time is over: what was seen. That it tripped is for `verify` to
    judge, so that the run ends as not verified and not as failed: every step did what it should."""
    began = tools.clock()
    before, seen, state = await _succeeded(tools, provider), None, "unknown"
    while tools.clock() - began < within:
        await asyncio.sleep(BETWEEN_LOOKS)
        state = await _state(tools)
        before = await _succeeded(tools, provider) if before is None else before
        counted = await _seen(tools, provider, before, began)
        seen = counted if seen is None else max(seen, counted or 0)
        if state not in ("closed", "unknown"):
            return f"tripped again after {_calls(seen)}: the breaker is {state}"
        if seen is not None and seen >= ENOUGH and state == "closed":
            return f"{seen} calls to {provider.title} succeeded"
        progress(f"{_calls(seen)} of {provider.title}'s, {ENOUGH} are enough; breaker {state}")
    spent = f"within {within.total_seconds():g} s"
    if seen is None:
        return f"unknown whether calls to {provider.title} succeeded: neither the logs nor the application told {spent}"
    return f"only {seen} calls to {provider.title} succeeded {spent}{'' if state == 'closed' else f'; breaker {state}'}"


def _calls(count: int | None) -> str:
    return f"{'an unknown number of' if count is None else count} successful calls"


async def _state(tools: Tools) -> str:
    try:
        return await breaker(tools)
    except NeighbourError:
        return "unknown"


async def _succeeded(tools: Tools, provider: Provider) -> int | None:
    try:
        answer = await asked(tools, llm_of(tools.estate)[1].stats)
    except NeighbourError:
        return None
    return succeeded_of(answer.fields, provider)


async def _seen(tools: Tools, provider: Provider, before: int | None, began: datetime) -> int | None:
    """Calls that went well since then: what all pods have written; where they write nothing of it, one pod's figures. None
    when nobody tells."""
    cluster, words = tools.estate.cluster, llm_of(tools.estate)[1].success_log
    workload = next((d for d in cluster.deployments if d.service == "api"), None) if cluster else None
    written: int | None = None
    if cluster is not None and workload is not None:
        with contextlib.suppress(NeighbourError, NotFound):
            lines = await tools.cluster.logs(
                cluster.namespace, workload.selector, since=tools.clock() - began, contains=(words,), most=ENOUGH
            )
            written = sum(words in line.text for line in lines)
    now = None if written else await _succeeded(tools, provider)
    return written if now is None or before is None else max(now - before, 0)
