"""Scenario 5, runbook 5.1: how much is down, seen from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from actions.outage import DrSite, against, ask, dns_of, dr_site, probe_of, resolvers_of, rpo_of
from bot.action import Finding, Findings, Observation, Offer, Tools
from bot.clock import spoken
from bot.errors import NeighbourError, NotFound
from bot.incident import Scenario

OPERATING = ("operating normally", "no recent issues", "all systems operational")


class Assess(Observation):
    """How much is down: AWS, DNS from every resolver, the sites from outside, every region."""

    name: ClassVar[str] = "outage.assess"
    scenario: ClassVar[Scenario] = Scenario.OUTAGE
    usual: ClassVar[timedelta] = timedelta(minutes=1)
    service: ClassVar[str] = "api"

    async def look(self, tools: Tools) -> Findings:
        pages, names, sites, site = await asyncio.gather(_pages(tools), _names(tools), _sites(tools), _dr(tools))
        down = [text for ok, text in sites if not ok]
        headline = f"{len(down)} of {len(sites)} addresses do not answer well from outside" if sites else "no addresses"
        if sites and not down:
            headline = f"all {len(sites)} addresses answer well from outside"
        lines = [*(Finding(text) for text in pages), *(Finding(text) for text in names)]
        lines += [Finding(f"{'ok' if ok else 'BAD'}: {text}") for ok, text in sites]
        return Findings(headline, [*lines, *_offers(tools, site, bool(down))])


async def _pages(tools: Tools) -> list[str]:
    """AWS's own page: a page for people says little that a program may rely on, so it is only green by its own words."""

    async def one(title: str, url: str) -> str:
        try:
            answer = await tools.site.ask("GET", url)
        except NeighbourError as error:
            return f"{title} health page: unknown, {error}"
        if not answer.ok:
            return f"{title} health page: unknown, HTTP {answer.status}"
        said = next((word for word in OPERATING if word in answer.text.lower()), "")
        return f"{title} health page: {said or 'answers, but does not say that all is well; read ' + url}"

    pages = [p for p in tools.estate.status_pages if p.kind == "page"]
    return list(await asyncio.gather(*(one(p.title, p.url) for p in pages)))


async def _names(tools: Tools) -> list[str]:
    try:
        dns = dns_of(tools.estate)
        resolvers = resolvers_of(dns, tools)
    except NotFound as error:
        return [f"DNS: unknown, {error}"]
    types = {r.name: r.type for r in dns.records}
    dr = {value for r in dns.records for value in r.failover}

    async def one(name: str) -> str:
        seen = await asyncio.gather(*(ask(tools, r, name, types.get(name, "A")) for r in resolvers))
        said: dict[str, list[str]] = {}
        for resolver, answer in zip(resolvers, seen, strict=True):
            text = f"unknown ({answer})" if isinstance(answer, str) else ", ".join(answer.values) or "no address"
            where = " (the DR site)" if not isinstance(answer, str) and set(answer.values) & dr else ""
            said.setdefault(text + where, []).append(resolver)
        split = " RESOLVERS DIFFER" if len(said) > 1 else ""
        return f"DNS {name}:{split} " + "; ".join(f"{text} by {', '.join(by)}" for text, by in said.items())

    return list(await asyncio.gather(*(one(name) for name in dns.watch)))


async def _sites(tools: Tools) -> Sequence[tuple[bool, str]]:
    """(whether it is well, what was seen) of each address of the estate: site, API, every region."""
    estate, app = tools.estate, tools.estate.application
    wanted = [(app.url.rstrip("/") + app.health, "API")] if app else []
    wanted += [(app.site, "Site")] if app and app.site else []
    wanted += [(r.url.rstrip("/") + r.health, f"Region {r.title}") for r in estate.regions]

    async def one(number: int, url: str, title: str) -> tuple[bool, str]:
        look = await tools.prober.http(probe_of(f"outside-{number}", title, url))
        return look.state == "ok", f"{title} {url}: {look.detail}"

    return await asyncio.gather(*(one(n, url, title) for n, (url, title) in enumerate(wanted)))


async def _dr(tools: Tools) -> DrSite | str:
    try:
        return await dr_site(tools, dns_of(tools.estate))
    except NotFound as error:
        return str(error)


def _offers(tools: Tools, site: DrSite | str, down: bool) -> list[Finding]:
    if isinstance(site, str):
        return [Finding(f"DR site: unknown, {site}")]
    rpo, _ = rpo_of(tools.estate)
    wrong = against(site, rpo)
    age = f"its data is {spoken(site.age)} old, {site.age_says}" if site.age is not None else site.age_says
    text = f"DR site: {'healthy' if site.healthy else 'NOT HEALTHY'} ({site.detail}); {age}"
    offers = [Offer("dns.failover", "dns.failover")] if down else []
    said = [Finding(text, offers)] if not wrong else [Finding(f"{text}. {' '.join(wrong)}", offers)]
    rebuild = (
        [Offer("infrastructure.rebuild", "infrastructure.rebuild")] if down and tools.estate.infrastructure else []
    )
    return [*said, Finding("When nothing of it can be used: rebuild from code", rebuild)] if rebuild else said
