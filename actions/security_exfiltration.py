"""Scenario 6, runbook 6.2: which objects were changed, and who read some."""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import Field

from actions.database_restore import size
from actions.security import section
from actions.security_evidence import buckets
from actions.security_network import networks, never
from bot.action import Finding, Findings, Observation, Offer, Tools
from bot.errors import NeighbourError, NotFound
from bot.incident import Scenario
from bot.tools import StoredObject

SHOWN = 8
"""Objects, and readers, of one bucket that are listed; the rest is counted."""
MOST_READERS = 10_000
"""Readers that are told apart; more are counted as one."""

_RECORD = re.compile(
    r'^\S+ (?P<bucket>\S+) \[(?P<at>[^\]]+)\] (?P<address>\S+) (?P<who>\S+) \S+ (?P<operation>\S+) (?P<key>\S+)'
    r' "(?:[^"\\]|\\.)*" (?P<status>\S+) \S+ (?P<size>\S+) '
)  # fmt: skip


@dataclass(frozen=True)
class Access:
    """One record of S3's access log; `size` in bytes that were sent."""

    at: datetime
    address: str
    who: str
    operation: str
    key: str
    status: int
    size: int


@dataclass
class _Reads:
    count: int = 0
    size: int = 0
    last: str = ""
    at: datetime | None = None


class Review(Observation):
    """Objects that were changed or read lately, by S3's listing and its access logs."""

    name: ClassVar[str] = "exfiltration.review"
    scenario: ClassVar[Scenario] = Scenario.SECURITY
    usual: ClassVar[timedelta] = timedelta(seconds=30)
    service: ClassVar[str] = "database"
    within: ClassVar[timedelta] = timedelta(minutes=5)

    since: timedelta = Field(
        default=timedelta(0), ge=timedelta(0), le=timedelta(days=90),
        description="how far back, such as 24h; as `logs_since` of the estate file when left out",
    )  # fmt: skip

    async def look(self, tools: Tools) -> Findings:
        found = buckets(tools)
        if not found:
            raise NotFound("The estate file names no bucket with backups, so there is nothing to look at.")
        after = tools.clock() - (self.since or section(tools.estate).logs_since)
        lines: list[Finding] = []
        changed, read = 0, 0
        for bucket in found:
            try:
                count, seen = await _changed(tools, bucket, after)
            except (NeighbourError, NotFound) as error:
                lines.append(Finding(f"{bucket}: unknown: {error}"))
                continue
            changed += count
            lines += seen
            reads, seen = await _read(tools, bucket, after)
            read += reads
            lines += seen
        headline = f"since {after:%Y-%m-%d %H:%M} UTC: {changed:,} objects changed, {read:,} reads that were logged"
        return Findings(headline, lines)


async def _changed(tools: Tools, bucket: str, after: datetime) -> tuple[int, list[Finding]]:
    newest: list[tuple[datetime, str, StoredObject]] = []
    count = total = 0
    async for one in tools.objects.listing(bucket):
        total += 1
        if one.at >= after:
            count += 1
            heapq.heappush(newest, (one.at, one.key, one))
            if len(newest) > SHOWN:
                heapq.heappop(newest)
    lines = [Finding(f"{bucket}: {count:,} of {total:,} objects changed")]
    lines += [
        Finding(f"{bucket}: {one.key}, {size(one.size)}, {at:%Y-%m-%d %H:%M:%S} UTC")
        for at, _, one in sorted(newest, reverse=True)
    ]
    return count, lines


async def _read(tools: Tools, bucket: str, after: datetime) -> tuple[int, list[Finding]]:
    """Reads by who and from where, those that took most first."""
    try:
        place = await tools.objects.logged_in(bucket)
        if place is None:
            return 0, [Finding(f"{bucket}: unknown who read it: its server access logging is off")]
        by: dict[tuple[str, str], _Reads] = {}
        count = 0
        async for line in tools.objects.access(*place, after):
            access = parsed(line)
            if access is None or access.operation != "REST.GET.OBJECT" or access.at < after or access.status >= 300:
                continue
            count += 1
            reader = (access.who, access.address)
            reads = by.setdefault(
                reader if reader in by or len(by) < MOST_READERS else ("others", "elsewhere"), _Reads()
            )
            reads.count, reads.size = reads.count + 1, reads.size + access.size
            reads.last, reads.at = access.key, access.at
    except (NeighbourError, NotFound) as error:
        return 0, [Finding(f"{bucket}: unknown who read it: {error}")]
    ordered = sorted(by.items(), key=lambda item: -item[1].size)
    lines = [_reader(bucket, who, address, reads) for (who, address), reads in ordered[:SHOWN]]
    if len(ordered) > SHOWN:
        lines.append(Finding(f"{bucket}: {len(ordered) - SHOWN} more readers"))
    return count, lines or [Finding(f"{bucket}: no read in its access logs, which S3 delivers hours later")]


def _reader(bucket: str, who: str, address: str, reads: _Reads) -> Finding:
    last = f", last {reads.last} at {reads.at:%Y-%m-%d %H:%M:%S} UTC" if reads.at else ""
    text = f"{bucket}: {reads.count:,} reads, {size(reads.size)}, by {who} from {address}{last}"
    return Finding(text, _block(address))


def _block(address: str) -> Sequence[Offer]:
    """To block who read, where that is possible at all."""
    try:
        possible = not any(never(network) for network in networks(address))
    except ValueError:
        return ()
    return (Offer(f"Block {address}", "network.block", {"addresses": address}),) if possible else ()


def parsed(line: str) -> Access | None:
    """One line of a server access log; None for what is none. Source: the S3 server access log format."""
    found = _RECORD.match(line)
    if found is None:
        return None
    try:
        at = datetime.strptime(found["at"], "%d/%b/%Y:%H:%M:%S %z")
    except ValueError:
        return None
    status = int(found["status"]) if found["status"].isdigit() else 0
    sent = int(found["size"]) if found["size"].isdigit() else 0
    return Access(at, found["address"], found["who"], found["operation"], found["key"], status, sent)
