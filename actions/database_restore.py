"""Scenario 1, runbook 1.3: the backups, and restoring one beside the old database before the two are swapped."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import BaseModel, Field

from actions.databases import DATABASE, MovesWrites, find, in_use, servers
from actions.rollouts import cluster_of, health_is_green, wait_for_rollout
from bot.action import (
    Change,
    Finding,
    Findings,
    NotVerified,
    Observation,
    Offer,
    Plan,
    Progress,
    Risk,
    Step,
    Tools,
    not_yet,
    nothing,
)  # fmt: skip
from bot.clock import spoken
from bot.errors import NeighbourError, NotFound, NotNow, Refused
from bot.estate import Estate
from bot.estate_places import Backup as Place
from bot.estate_places import Database
from bot.incident import Scenario
from bot.tools import Backup, Workload

COUNTED_WITHIN = 5.0
"""Seconds for counting what is in the database that is to be replaced."""


def place(estate: Estate, database: Database) -> Place:
    """Where the backups of a database are. Raises NotFound."""
    found = next((b for b in estate.backups if b.name == database.backup), None)
    if found is None or not found.bucket:
        raise NotFound(f"The estate file names no bucket with backups of `{database.name}`.")
    return found


async def backups(tools: Tools, database: Database) -> Sequence[Backup]:
    """Newest first. Raises NotFound when there are none."""
    where = place(tools.estate, database)
    found = await tools.backups.list(str(where.bucket), where.prefix, where.checksum)
    if not found:
        raise NotFound(f"{where.where} holds no backup.")
    return found


def rpo_of(estate: Estate) -> timedelta | None:
    """The strictest RPO of the data that is in databases."""
    return min((d.rpo for d in estate.data if "WAL" in d.backup), default=None)


def size(count: int) -> str:
    """Bytes as people say them: `12 MB`."""
    value, unit = float(count), "bytes"
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "bytes" or value >= 10 else f"{value:.1f} {unit}"


class Backups(Observation):
    """The backups of a database: when, how large, whether they can be proven."""

    name: ClassVar[str] = "database.backups"
    scenario: ClassVar[Scenario] = Scenario.DATABASE
    usual: ClassVar[timedelta] = timedelta(seconds=5)
    service: ClassVar[str] = "database"

    database: str = DATABASE

    async def look(self, tools: Tools) -> Findings:
        database = find(tools.estate, self.database)
        found = await backups(tools, database)
        now, rpo = tools.clock(), rpo_of(tools.estate)
        lines = [
            Finding(
                f"{b.key}: {b.at:%Y-%m-%d %H:%M} UTC ({spoken(now - b.at)} old{_against(now - b.at, rpo)}), {size(b.size)}, "
                + ("checksum present" if b.checksum else "NO CHECKSUM: cannot be restored"),
                [Offer("Plan a restore", "database.restore", {"database": database.name, "backup": b.key})]
                if b.checksum
                else (),
            )
            for b in found[:12]
        ]
        return Findings(f"{len(found)} backups of {database.title} in {place(tools.estate, database).where}", lines)


def _against(age: timedelta, rpo: timedelta | None) -> str:
    return "" if rpo is None else f", {'within' if age <= rpo else 'older than'} the RPO of {spoken(rpo)}"


class RestoreFacts(BaseModel):
    """Which bytes are restored into the place of which database, on which server, and who writes to it."""

    database: str
    server: str
    backup: str
    size: int
    checksum: str
    etag: str
    deployment: str


class Restore(MovesWrites[RestoreFacts]):
    """Restore a backup beside the database, prove it, and swap the two."""

    name: ClassVar[str] = "database.restore"
    risk: ClassVar[Risk] = Risk.CRITICAL
    usual: ClassVar[timedelta] = timedelta(minutes=15)
    facts: ClassVar[type[BaseModel]] = RestoreFacts

    backup: str = Field(default="", description="key of the backup; the newest one with a checksum when left out")
    share: int = Field(
        default=50,
        ge=0,
        le=100,
        description="percent of the rows that are there now which the backup must have at least",
    )

    @classmethod
    async def choices(cls, field_name: str, tools: Tools) -> Sequence[tuple[str, str]]:
        if field_name != "backup":
            return ()
        found = await backups(tools, find(tools.estate, ""))
        return [
            (b.key, f"{b.at:%m-%d %H:%M} UTC, {size(b.size)}, {b.key.rpartition('/')[2]}") for b in found if b.checksum
        ]

    async def plan(self, tools: Tools) -> Plan[RestoreFacts]:
        database = find(tools.estate, self.database)
        found = await backups(tools, database)
        chosen = next((b for b in found if (b.key == self.backup if self.backup else b.checksum)), None)
        if chosen is None:
            asked = f"There is no backup `{self.backup}`" if self.backup else "No backup has a checksum"
            raise NotFound(f"{asked} in {place(tools.estate, database).where}; `/recover database.backups` lists them.")
        if not chosen.checksum:
            raise NotNow(f"{chosen.key} has no checksum, so nobody can tell whether it is whole. Choose another.")
        server = await in_use(tools, database)
        rows = await _old_rows(tools, servers(database)[server], database)
        workload = await _writers(tools, database)
        facts = RestoreFacts(
            database=database.name, server=server, backup=chosen.key, size=chosen.size, checksum=chosen.checksum,
            etag=chosen.etag, deployment=workload.name,
        )  # fmt: skip
        age = tools.clock() - chosen.at
        return Plan(
            facts,
            (
                Change(
                    f"{database.title} on {server}",
                    f"as it is now ({_counts(rows)})",
                    f"as it was at {chosen.at:%Y-%m-%d %H:%M:%S} UTC",
                ),
            ),
            notes=(
                f"{chosen.key}: {size(chosen.size)}, {spoken(age)} old",
                f"{workload.name} has {workload.replicas} replicas; they stop for the switch only",
                "the old database is kept beside the new one, as evidence and for undo",
            ),
            loss=age,
            loss_says="everything that was written since the backup",
            data=[d.name for d in tools.estate.data if "WAL" in d.backup],
            undo_says="the old database comes back; the restored one stays beside it, with what was written to it meanwhile",
        )

    def steps(self, facts: RestoreFacts, tools: Tools) -> Sequence[Step]:
        work = _Work(facts, find(tools.estate, facts.database), tools, self.share)
        by_hand = "Production is as it was: the old database was not touched."
        return (
            Step("Make an empty database beside the old one", work.create, not_yet, work.clear, by_hand=by_hand),
            Step(
                f"Load {facts.backup.rpartition('/')[2]}",
                work.load,
                work.loaded,
                nothing,
                by_hand=by_hand,
                tidy=work.tidy,
            ),
            Step("Check what was restored", work.check, not_yet, nothing, by_hand=by_hand),
            Step(f"Stop {facts.deployment}", work.stop, not_yet, work.start, by_hand="Undo starts it again."),
            Step(
                "Swap the two databases",
                work.swap,
                work.swapped,
                work.swap_back,
                by_hand="Undo brings the old one back.",
            ),
            Step(
                f"Start {facts.deployment}", work.start_again, not_yet, work.stop_again, by_hand="Scale it up by hand."
            ),
        )

    async def verify(self, facts: RestoreFacts, tools: Tools) -> str:
        database = find(tools.estate, facts.database)
        url = servers(database)[facts.server]
        rows = await _rows(tools, url, database)
        wrong = too_few(rows, {}, database, 0)
        if wrong:
            raise NotVerified(wrong)
        await tools.databases.write_and_read(url, tools.run)
        return f"{_counts(rows)}; a write was read back; {await health_is_green(tools)}"


class _Work:
    """The steps of one restore. Names carry the run, so that whatever is found later can be told apart."""

    def __init__(self, facts: RestoreFacts, database: Database, tools: Tools, share: int) -> None:
        self._facts, self._database, self._tools, self._share = facts, database, tools, share
        self._url = servers(database)[facts.server]
        suffix = tools.run.lower().replace("-", "_")
        self._new, self._kept = f"{database.name}_{suffix}", f"{database.name}_before_{suffix}"
        self._remember = f"recovery-bot/replicas-{tools.run.lower()}"

    async def create(self, _progress: Progress) -> str:
        await self._tools.restorer.create(self._url, self._new, self._tools.run)
        return self._new

    async def clear(self, _progress: Progress) -> None:
        """A restored database that may have been in use is kept; a half-loaded one is of no use to anybody."""
        if not await self.loaded():
            await self._tools.restorer.drop(self._url, self._new, self._tools.run)

    async def tidy(self) -> str:
        """After a load that failed: what several sessions have loaded of it is committed, and fills the disk."""
        try:
            if await self.loaded():
                return f"{self._new} was loaded completely all the same, and is kept."
            await self._tools.restorer.drop(self._url, self._new, self._tools.run)
        except NeighbourError as error:
            why = str(error).rstrip(".")
            return f'The half-loaded {self._new} is still there ({why}). Look, and then: DROP DATABASE "{self._new}".'
        return f"The half-loaded {self._new} was removed."

    async def load(self, progress: Progress) -> str:
        facts, tools = self._facts, self._tools
        bucket = str(place(tools.estate, self._database).bucket)
        backup = Backup(facts.backup, facts.size, tools.clock(), facts.etag, facts.checksum)

        def told(taken: int) -> None:
            progress(f"{size(taken)} of {size(facts.size)}")

        await tools.restorer.create(self._url, self._new, tools.run)
        loaded = await tools.restorer.load(
            self._url, self._new, tools.run, tools.backups.stream(bucket, backup), facts.checksum, told
        )
        left_out = f"; left out: {'; '.join(loaded.left_out)}" if loaded.left_out else ""
        return f"{size(loaded.size)}, {size(loaded.unpacked)} unpacked, checksum holds{left_out}"

    async def loaded(self) -> bool:
        return await self._tools.restorer.loaded(self._url, self._new, self._tools.run)

    async def check(self, _progress: Progress) -> str:
        old = await _old_rows(self._tools, self._url, self._database)
        new = await _rows(self._tools, self._tools.restorer.at(self._url, self._new), self._database)
        wrong = too_few(new, old, self._database, self._share)
        if wrong:
            raise Refused(wrong)
        return f"{_counts(new)}; the old one has {_counts(old)}"

    async def stop(self, progress: Progress) -> str:
        server, facts = await in_use(self._tools, self._database), self._facts
        if server != facts.server:
            raise Refused(
                f"{facts.deployment} is sent to {server}, so swapping the databases of {facts.server} would change nothing"
                " for it. Nothing was stopped."
            )
        workload = await _writers(self._tools, self._database)
        await self._tools.cluster.scale(workload, 0, self._remember)
        return await self._rolled(progress)

    async def start(self, progress: Progress) -> None:
        workload = await _writers(self._tools, self._database)
        before = workload.annotations.get(self._remember)
        if before is not None:
            await self._tools.cluster.scale(workload, int(before), self._remember)
            await self._rolled(progress)

    async def swap(self, _progress: Progress) -> str:
        await self._tools.restorer.swap(self._url, self._new, self._kept, self._tools.run)
        return f"the old one is {self._kept} now"

    async def swapped(self) -> bool | None:
        return await self._tools.restorer.swapped(self._url, self._new, self._kept, self._tools.run)

    async def swap_back(self, _progress: Progress) -> None:
        await self._tools.restorer.swap_back(self._url, self._new, self._kept, self._tools.run)

    async def start_again(self, progress: Progress) -> str:
        await self.start(progress)
        return f"{(await _writers(self._tools, self._database)).replicas} replicas"

    async def stop_again(self, progress: Progress) -> None:
        """Make way for the old one; nobody is stopped for a swap that is not possible."""
        swapped = await self.swapped()
        # It was swapped once. Who has swapped back has the restored one beside it; else another has taken the place.
        if swapped is None or not (swapped or await self.loaded()):
            raise Refused(
                f"{self._database.name} and {self._kept} are not as this run left them (another restore, or somebody took"
                f" one away), so they cannot be swapped back. Nothing was stopped: {self._facts.deployment} goes on."
            )
        if swapped:
            await self.stop(progress)

    async def _rolled(self, progress: Progress) -> str:
        within = cluster_of(self._tools.estate).rollout_within
        return await wait_for_rollout(self._tools, "deployment", self._facts.deployment, within, progress)


async def _writers(tools: Tools, database: Database) -> Workload:
    cluster = tools.estate.cluster
    if cluster is None:
        raise NotFound("The estate file has no `cluster`, so I cannot stop the application for the switch.")
    workload = await tools.cluster.workload("deployment", cluster.namespace, database.application.deployment)
    if workload.autoscaler:
        raise NotNow(
            f"{workload.autoscaler} sets the replicas of {workload.name}, so it would start it again during the switch."
            " Take it away for the restore."
        )
    return workload


async def _rows(tools: Tools, url: str, database: Database) -> Mapping[str, int | None]:
    return await tools.databases.rows(url, [s.table for s in database.sanity])


async def _old_rows(tools: Tools, url: str, database: Database) -> Mapping[str, int | None]:
    """What is there now, as far as it can be read soon: a database in need of a restore may be stuck. Empty = not known."""
    try:
        async with asyncio.timeout(COUNTED_WITHIN):
            return await _rows(tools, url, database)
    except (NeighbourError, TimeoutError):
        return {}


def _counts(rows: Mapping[str, int | None]) -> str:
    return (
        ", ".join(f"{t}: {'missing' if n is None else f'{n:,} rows'}" for t, n in rows.items())
        or "its rows could not be counted"
    )


def too_few(new: Mapping[str, int | None], old: Mapping[str, int | None], database: Database, share: int) -> str:
    """What is wrong with restored row counts, or empty: a table that is missing, or has fewer rows than it must."""
    for sanity in database.sanity:
        count, before = new.get(sanity.table), old.get(sanity.table) or 0
        if count is None:
            return f"table {sanity.table} is missing in what was restored"
        if count < sanity.at_least:
            return f"table {sanity.table} has {count:,} rows; the estate file asks for {sanity.at_least:,} at least"
        if count * 100 < before * share:
            return f"table {sanity.table} has {count:,} rows, less than {share} % of the {before:,} that are there now"
    return ""
