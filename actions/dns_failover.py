"""Scenario 5, runbook 5.2: send everybody to the disaster recovery site by DNS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import BaseModel

from actions.databases import PROMOTION
from actions.outage import against, ask, dns_of, dr_site, resolvers_of, rpo_of
from bot.action import Action, Change, NotVerified, Plan, Progress, Risk, Step, Tools, not_yet, nothing
from bot.clock import spoken
from bot.errors import NotFound, NotNow, Refused
from bot.estate import Estate
from bot.estate_places import Record
from bot.incident import Scenario
from bot.tools import Edit, RecordSet

BETWEEN_LOOKS = 0.5
IN_SYNC_WITHIN = 180.0
"""Seconds; Route 53 says that it takes less than 60."""
GRACE = 60.0
"""Seconds beyond the old TTL after which a resolver that keeps the old answer is called stuck."""
ALIAS_TTL = 60


class DnsFacts(BaseModel):
    """Which record sets become which: each list holds ResourceRecordSets as JSON, exactly as Route 53 says them. `waits`:
    the old TTL in seconds, for which resolvers may keep what they have."""

    zone: str
    site: str
    old_records: list[str]
    new_records: list[str]
    waits: int


class Failover(Action[DnsFacts]):
    """Send everybody to the disaster recovery site by DNS."""

    name: ClassVar[str] = "dns.failover"
    risk: ClassVar[Risk] = Risk.CRITICAL
    scenario: ClassVar[Scenario] = Scenario.OUTAGE
    usual: ClassVar[timedelta] = timedelta(minutes=5)
    service: ClassVar[str] = "api"
    facts: ClassVar[type[BaseModel]] = DnsFacts

    def target(self, estate: Estate) -> str:
        return f"DNS zone {dns_of(estate).zone or 'of the estate'}"

    def locks(self, estate: Estate) -> Sequence[str]:
        return (self.target(estate), PROMOTION)

    async def plan(self, tools: Tools) -> Plan[DnsFacts]:
        dns = dns_of(tools.estate)
        if not dns.zone or not dns.records:
            raise NotFound("The estate file has no `dns.zone`, or no `dns.records` to change.")
        old, new, warnings, changes = [], [], [], []
        for record in dns.records:
            if not record.failover:
                raise NotFound(f"{record.name} has no `failover` address in the estate file (DR_SITE_IP).")
            there = await tools.zones.records(dns.zone, record.name)
            mine = [one for one in there if _in_the_way(record, str(one["Type"]))]
            old += mine
            new.append(_wanted(record))
            warnings += [
                f"{record.name} has an {one['Type']} record too, which stays as it is: whoever uses it stays at the old site"
                for one in there
                if str(one["Type"]) in ("AAAA", "A", "HTTPS") and one not in mine
            ]
            said = "; ".join(map(_said, mine)) or "nothing"
            changes.append(Change(f"{record.name} {record.type}", said, _said(_wanted(record))))
        if same(old, new):
            raise NotNow("These records lead to the DR site already; `/recover undo` of that run leads back.")
        site = await dr_site(tools, dns)
        rpo, data = rpo_of(tools.estate)
        facts = DnsFacts(
            zone=dns.zone, site=str(dns.site), old_records=_kept(old), new_records=_kept(new),
            waits=max((int(one.get("TTL", ALIAS_TTL)) for one in old), default=ALIAS_TTL),
        )  # fmt: skip
        age = "of unknown age" if site.age is None else f"{spoken(site.age)} old"
        return Plan(
            facts,
            changes,
            notes=(
                f"DR site {dns.site}: {'healthy' if site.healthy else 'not healthy'} ({site.detail})",
                f"its data is {age}, {site.age_says}",
                f"resolvers may answer with the old address for up to {facts.waits} s, the TTL until now",
                f"asked afterwards: {', '.join(resolvers_of(dns, tools))}",
            ),
            loss=site.age,
            loss_says="what was written after the DR site's last copy is not there",
            data=data,
            undo_says="the old record sets come back exactly as they were; what was written at the DR site stays there",
            warnings=warnings,
            only_override=" ".join(against(site, rpo)),
        )

    def steps(self, facts: DnsFacts, tools: Tools) -> Sequence[Step]:
        work = _Work(facts, tools)
        by_hand = "Undo brings the old records back; or change them by hand in Route 53."
        return (
            Step("Change the records in Route 53", work.change, work.changed, work.change_back, by_hand=by_hand),
            Step("Wait until Route 53 has it everywhere", work.sync, not_yet, nothing, by_hand=by_hand),
            Step("Wait until every resolver answers with the DR site", work.resolve, not_yet, nothing, by_hand=by_hand),
        )

    async def verify(self, facts: DnsFacts, tools: Tools) -> str:
        left = await _behind(facts, tools)
        if left:
            raise NotVerified("; ".join(left))
        site = await dr_site(tools, dns_of(tools.estate))
        if not site.healthy:
            raise NotVerified(f"DNS leads to the DR site, which is not healthy: {site.detail}")
        count = len(resolvers_of(dns_of(tools.estate), tools))
        return f"{count} of {count} resolvers answer with the DR site; it is healthy ({site.detail})"


class _Work:
    """The steps of one failover. `id` of the change lives as long as the process; without it the records speak."""

    def __init__(self, facts: DnsFacts, tools: Tools) -> None:
        self._facts, self._tools = facts, tools
        self._old, self._new = _read(facts.old_records), _read(facts.new_records)
        self._change = ""

    async def there(self) -> list[RecordSet]:
        """What stands now where our records stand, or stood."""
        found: list[RecordSet] = []
        for name in dict.fromkeys(str(one["Name"]) for one in self._new):
            new = next(one for one in self._new if one["Name"] == name)
            record = Record(name=name, type=new["Type"], failover=())
            here = await self._tools.zones.records(self._facts.zone, name)
            found += [one for one in here if _in_the_way(record, str(one["Type"]))]
        return found

    async def change(self, _progress: Progress) -> str:
        await self._become(self._old, self._new)
        return "; ".join(map(_said, self._new))

    async def changed(self) -> bool | None:
        there = await self.there()
        return True if same(there, self._new) else False if same(there, self._old) else None

    async def change_back(self, progress: Progress) -> None:
        await self._become(self._new, self._old)
        await self.sync(progress)

    async def _become(self, before: Sequence[RecordSet], after: Sequence[RecordSet]) -> None:
        there = await self.there()
        if same(there, after):
            return
        if not same(there, before):
            raise Refused(
                f"somebody else has changed the records meanwhile: {'; '.join(map(_said, there)) or 'nothing is there'}"
            )
        comment = f"{self._tools.run} dns.failover (Recovery Bot)"
        self._change = await self._tools.zones.change(self._facts.zone, edits(before, after), comment)

    async def sync(self, progress: Progress) -> str:
        if not self._change:
            return "the number of the change is not known any more; the records stand, and the resolvers prove the rest"
        try:
            async with asyncio.timeout(IN_SYNC_WITHIN):
                while not await self._tools.zones.in_sync(self._change):
                    progress(f"{self._change} is pending")
                    await asyncio.sleep(BETWEEN_LOOKS)
        except TimeoutError:
            raise Refused(f"{self._change} was not INSYNC within {IN_SYNC_WITHIN:g} s") from None
        return f"{self._change} is INSYNC"

    async def resolve(self, progress: Progress) -> str:
        within = self._facts.waits + GRACE
        left: list[str] = ["not asked yet"]
        try:
            async with asyncio.timeout(within):
                while left := await _behind(self._facts, self._tools):
                    progress(f"expected within {self._facts.waits} s: {'; '.join(left)}")
                    await asyncio.sleep(BETWEEN_LOOKS)
        except TimeoutError:
            raise Refused(f"not every resolver came along within {within:g} s: {'; '.join(left)}") from None
        return "every resolver answers with the DR site"


async def _behind(facts: DnsFacts, tools: Tools) -> list[str]:
    """Who does not answer with the new records yet, a phrase each."""
    asked = [(r, one) for r in resolvers_of(dns_of(tools.estate), tools) for one in _read(facts.new_records)]
    seen = await asyncio.gather(*(ask(tools, r, str(one["Name"]), str(one["Type"])) for r, one in asked))
    left = []
    for (resolver, one), answer in zip(asked, seen, strict=True):
        wanted = sorted(str(v["Value"]).rstrip(".") for v in one["ResourceRecords"])
        if isinstance(answer, str):
            left.append(answer)
        elif list(answer.values) != wanted:
            said = ", ".join(answer.values) or "no address"
            left.append(f"{resolver} says {said} for {one['Name']} ({answer.ttl} s more)")
    return left


def edits(before: Sequence[RecordSet], after: Sequence[RecordSet]) -> list[Edit]:
    """One batch that turns `before` into `after`. A simple set is upserted; what has a routing policy, or another type,
    has to go first, in the same batch."""
    key = _key
    simple = {key(one) for one in before} == {key(one) for one in after} or not before
    if simple and not any("SetIdentifier" in one for one in (*before, *after)):
        return [Edit("UPSERT", one) for one in after]
    return [*(Edit("DELETE", one) for one in before), *(Edit("CREATE", one) for one in after)]


def _key(record: RecordSet) -> tuple[str, str]:
    return str(record["Name"]).rstrip("."), str(record["Type"])


def _in_the_way(record: Record, there: str) -> bool:
    """Whether a record set of type `there` cannot stand beside the new one: its own type, or a CNAME and anything."""
    return there == record.type or there == "CNAME" or (record.type == "CNAME" and there in ("A", "AAAA"))


def _wanted(record: Record) -> RecordSet:
    return {
        "Name": f"{record.name.rstrip('.')}.",
        "Type": record.type,
        "TTL": record.ttl,
        "ResourceRecords": [{"Value": value} for value in record.failover],
    }


def _canonical(record: RecordSet) -> str:
    plain: dict[str, Any] = {k: v for k, v in record.items() if v not in (None, [], "")}
    if "ResourceRecords" in plain:
        plain["ResourceRecords"] = sorted(plain["ResourceRecords"], key=lambda one: str(one["Value"]))
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def _kept(records: Sequence[RecordSet]) -> list[str]:
    return sorted(map(_canonical, records))


def _read(kept: Sequence[str]) -> list[Mapping[str, Any]]:
    return [json.loads(one) for one in kept]


def same(some: Sequence[RecordSet], others: Sequence[RecordSet]) -> bool:
    """Whether they are the same record sets, in any order."""
    return _kept(some) == _kept(others)


def _said(record: RecordSet) -> str:
    """A record set in a few words."""
    alias = record.get("AliasTarget")
    values = [str(v["Value"]) for v in record.get("ResourceRecords") or []]
    leads = f"alias of {alias['DNSName']}" if alias else ", ".join(values)
    which = f" ({record['SetIdentifier']})" if record.get("SetIdentifier") else ""
    ttl = f", TTL {record['TTL']} s" if "TTL" in record else ""
    return f"{record['Type']} {leads}{which}{ttl}"
