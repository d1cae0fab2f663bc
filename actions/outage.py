"""What looking at a complete outage and failing over by DNS share: the DR site, resolvers, ages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from actions.databases import look_at, servers
from bot.action import Tools
from bot.clock import spoken
from bot.errors import NeighbourError, NotFound
from bot.estate import Estate, HttpProbe
from bot.estate_places import Dns
from bot.tools import Resolved, ServerState


@dataclass(frozen=True)
class DrSite:
    """The disaster recovery site as it is now. `age`: how old its data is, None when nobody can tell."""

    healthy: bool
    detail: str
    age: timedelta | None
    age_says: str


def dns_of(estate: Estate) -> Dns:
    """Raises NotFound with what the estate file lacks."""
    if estate.dns is None:
        raise NotFound("The estate file has no `dns`, so I do not know which records to change.")
    return estate.dns


def resolvers_of(dns: Dns, tools: Tools) -> Sequence[str]:
    """The estate's resolvers, or this machine's own. Raises NotFound for none at all."""
    found = dns.resolvers or tuple(tools.names.own())
    if not found:
        raise NotFound("There is no resolver to ask: name some in `dns.resolvers` of the estate file.")
    return found


async def ask(tools: Tools, resolver: str, name: str, type_: str) -> Resolved | str:
    """What one resolver answers; a sentence when it does not."""
    try:
        return await tools.names.ask(resolver, name, type_)
    except NeighbourError as error:
        return str(error)


async def dr_site(tools: Tools, dns: Dns) -> DrSite:
    """Health from the site's own health endpoint; the age of its data from `data_age_seconds` there, else from the freshest
    standby of the estate, which is what such a site serves from. Raises NotFound without a site."""
    if dns.site is None:
        raise NotFound("The estate file has no `dns.site`, so nobody can tell whether the DR site is healthy.")
    path = tools.estate.application.health if tools.estate.application else "/health/ready"
    healthy, fields = False, {}
    try:
        answer = await tools.site.ask("GET", dns.site.rstrip("/") + path)
    except NeighbourError as error:
        detail = str(error)
    else:
        healthy, detail, fields = answer.status == 200, f"HTTP {answer.status}", dict(answer.fields)
    age = _age_of(fields)
    if age is not None:
        return DrSite(healthy, detail, age, "as the DR site's health says")
    age, says = await _replayed(tools)
    return DrSite(healthy, detail, age, says)


def _age_of(fields: Mapping[str, object]) -> timedelta | None:
    said = fields.get("data_age_seconds")
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said < 1e9:
        return None
    return timedelta(seconds=said)


async def _replayed(tools: Tools) -> tuple[timedelta | None, str]:
    ages = []
    for database in tools.estate.databases[:1]:
        for name, url in servers(database).items():
            state = await look_at(tools, url) if name != database.primary.name else ""
            if isinstance(state, ServerState) and state.recovering and state.replayed_at is not None:
                ages.append((max(tools.clock() - state.replayed_at, timedelta(0)), f"last replayed by {name}"))
    return min(ages, default=(None, "neither its health nor a standby says how old it is"))


def rpo_of(estate: Estate) -> tuple[timedelta | None, list[str]]:
    """The strictest RPO of what is copied all the time, and the data sets that have it."""
    data = [d for d in estate.data if "WAL" in d.backup]
    return min((d.rpo for d in data), default=None), [d.name for d in data]


def against(site: DrSite, rpo: timedelta | None) -> list[str]:
    """Why nobody should be sent to the DR site, a sentence each; empty when nothing speaks against it."""
    said = []
    if not site.healthy:
        said.append(f"The DR site is not healthy ({site.detail}).")
    if site.age is None:
        said.append(f"Nobody can tell how old the data of the DR site is: {site.age_says}.")
    elif rpo is not None and site.age > rpo:
        said.append(f"The data of the DR site is {spoken(site.age)} old, older than the RPO of {spoken(rpo)}.")
    return said


def probe_of(name: str, title: str, url: str) -> HttpProbe:
    """A look from outside at an address."""
    return HttpProbe(kind="http", name=name, title=title, service="api", scenario="outage", url=url)
