"""Scenario 2, runbook 2.1 and 2.2: how the LLM service is, and whether its fallback really answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from actions.llm import address, asked, breaker_of, lights, llm_of, no, provider_of
from bot.action import Finding, Findings, Observation, Offer, Tools
from bot.errors import NeighbourError, NotFound
from bot.estate_places import Llm
from bot.incident import Scenario
from bot.redact import redact
from bot.tools import Answer, LogLine

LOGS_SINCE = timedelta(minutes=15)
LOGS_READ, LOGS_SHOWN = 1000, 8
ANSWERED_WITHIN = timedelta(seconds=15)


class Status(Observation):
    """Circuit breaker, provider status pages, the application's own figures and its last lines about the LLM."""

    name: ClassVar[str] = "llm.status"
    scenario: ClassVar[Scenario] = Scenario.LLM
    usual: ClassVar[timedelta] = timedelta(seconds=5)
    service: ClassVar[str] = "llm"

    async def look(self, tools: Tools) -> Findings:
        _, llm = llm_of(tools.estate)
        health, stats, seen, logged = await asyncio.gather(
            _said(tools, llm.health), _said(tools, llm.stats), lights(tools, llm.providers), _logged(tools, llm)
        )
        state = breaker_of(health.fields) if isinstance(health, Answer) else ""
        green = [light.state == "green" for light in seen[:2]]
        first = llm.providers[0].title
        headline = (
            f"Circuit breaker {state or 'unknown'}; {first} {'looks well' if all(green) else 'does not look well'}"
        )
        lines = [
            *_health(health),
            *_stats(stats),
            *(f"{light.state}: {light.text}" for light in seen),
            *logged,
        ]
        return Findings(headline, [*map(Finding, lines), Finding("What can be done:", _offers(state, tools))])


def _offers(state: str, tools: Tools) -> Sequence[Offer]:
    reset = [Offer("Plan a reset of the breaker", "llm.reset-breaker")] if state not in ("closed", "") else []
    more = [Offer("Plan a larger cache", "cache.raise")] if tools.estate.caches else []
    return (Offer("Ask the LLM something", "llm.verify-fallback"), *reset, *more)


async def _said(tools: Tools, path: str) -> Answer | str:
    try:
        return await asked(tools, path)
    except NeighbourError as error:
        return f"{path}: {error}"


def _health(health: Answer | str) -> list[str]:
    if isinstance(health, str):
        return [f"unknown: {health}"]
    fields = health.fields
    state, detail = breaker_of(fields), fields.get("circuit_breaker")
    if not state:
        return [f"unknown: the application (HTTP {health.status}) does not say how its circuit breaker is"]
    text = f"circuit breaker: {state}"
    if isinstance(detail, Mapping):
        failures, threshold, rest = (detail.get(k) for k in ("failures", "threshold", "retry_in_seconds"))
        text += f", {failures} failures in a row" if failures is not None else ""
        text += f" (opens at {threshold})" if threshold is not None else ""
        text += f", tries again in {rest} s" if rest is not None else ""
    serving = fields.get("active_provider")
    says = f"the application says: {fields.get('status', '?')} (HTTP {health.status})"
    return [text, f"{says}, served by {serving}" if serving else says]


def _stats(stats: Answer | str) -> list[str]:
    if isinstance(stats, str):
        return [f"unknown: {stats}"]
    if not stats.ok:
        return [f"unknown: the application's figures: HTTP {stats.status}"]
    plain = {k: v for k, v in stats.fields.items() if isinstance(v, int | float | str)}
    lines = [f"since its start: {_counts(plain)}"] if plain else []
    providers = stats.fields.get("providers")
    if isinstance(providers, Mapping):
        lines += [f"calls to {name}: {_counts(one)}" for name, one in providers.items() if isinstance(one, Mapping)]
    return lines


def _counts(figures: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{value:,} {name}" if isinstance(value, int) else f"{name} {value}" for name, value in figures.items()
    )


async def _logged(tools: Tools, llm: Llm) -> list[str]:
    """The last lines of the application's pods that are about the LLM."""
    cluster = tools.estate.cluster
    workload = next((d for d in cluster.deployments if d.service == "api"), None) if cluster else None
    if cluster is None or workload is None:
        return ["unknown: logs: the estate file names no deployment of the service `api`"]
    try:
        found = await tools.cluster.logs(cluster.namespace, workload.selector, since=LOGS_SINCE, most=LOGS_READ)
    except (NeighbourError, NotFound) as error:
        return [f"unknown: logs: {error}"]
    lines = [line for line in found if about_llm(line, llm)][-LOGS_SHOWN:]
    minutes = LOGS_SINCE.total_seconds() / 60
    # Before they are cut: half a secret is recognised by nobody.
    shown = [f"{line.pod}: {redact(line.text, tools.estate.secrets())[:300]}" for line in lines]
    return shown or [f"logs: nothing about the LLM in {minutes:g} min"]


def about_llm(line: LogLine, llm: Llm) -> bool:
    """Whether a line names the LLM, or one of its providers."""
    text = line.text.lower()
    return any(word.lower() in text for p in llm.providers for word in ("llm", p.name, p.title, llm.success_log))


class VerifyFallback(Observation):
    """Ask the LLM something real: which provider answers, how fast, and what that costs."""

    name: ClassVar[str] = "llm.verify-fallback"
    scenario: ClassVar[Scenario] = Scenario.LLM
    usual: ClassVar[timedelta] = timedelta(seconds=10)
    service: ClassVar[str] = "llm"

    async def look(self, tools: Tools) -> Findings:
        _, llm = llm_of(tools.estate)
        answer = await ask_something(tools, "the fallback")
        took = f"{answer.latency.total_seconds() * 1000:.0f} ms"
        if not answer.ok:
            return Findings(
                "NO PROVIDER ANSWERS" if answer.status == 503 else f"The request failed: HTTP {answer.status}",
                [
                    Finding(str(no(answer, f"after {took}"))),
                    Finding("What can be done:", (Offer("LLM status", "llm.status"),)),
                ],
            )
        provider = provider_of(answer.fields, llm)
        said = str(answer.fields.get("provider", "nobody"))[:80]
        name = provider.title if provider else said
        lines = [f"answered by {name} after {took}, model {str(answer.fields.get('model', '?'))[:80]}"]
        usage = answer.fields.get("usage")
        if isinstance(usage, Mapping):
            lines.append(f"used: {_counts(usage)}")
        headline, note = _judged(llm, name, provider == llm.providers[0], known=provider is not None)
        return Findings(
            headline, [*map(Finding, (*lines, note)), Finding("More:", (Offer("LLM status", "llm.status"),))]
        )


def _judged(llm: Llm, name: str, first: bool, *, known: bool) -> tuple[str, str]:
    """The headline, and what it costs."""
    if first:
        return f"{name} answers: the fallback is not in use", "cost: as usual"
    if not known:
        return (
            f"answered by {name}",
            "unknown: the answer names no provider of the estate file, so this proves no fallback",
        )
    costs = (
        f"cost: {name} is dearer than {llm.providers[0].title}, and answers a little differently, as long as this lasts"
    )
    return f"The fallback works: {name} answers", costs


async def ask_something(tools: Tools, about: str) -> Answer:
    """A real request, with a prompt that no cache can know. Raises Unavailable."""
    application, llm = llm_of(tools.estate)
    return await tools.site.ask(
        "POST",
        address(application, llm.chat),
        token=application.token.get_secret_value() if application.token else "",
        body={"prompt": f"Test of {about} by Recovery Bot at {tools.clock().isoformat()}", "model": llm.model},
        within=ANSWERED_WITHIN,
    )
