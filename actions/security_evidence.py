"""Scenario 6, runbook 6.2: collect what could be evidence into one archive, before it is gone."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import IO, ClassVar

from pydantic import Field

from actions.database_restore import size
from actions.databases import servers
from actions.security import section
from bot.action import Finding, Findings, Observation, OfIncident, Tools
from bot.archive import TarGz
from bot.errors import NotFound, NotNow, RecoveryError
from bot.incident import Scenario
from bot.tools import Take

CHUNK = 256 << 10
LONGEST = 1 << 30
"""Bytes of one file of the archive; a longer one is cut, and the manifest says so."""

Source = tuple[str, Callable[[Take], Awaitable[None]]]
"""A file's name in the archive, and what writes it."""


@dataclass
class Kept:
    """What came into the archive: (SHA-256, size, name), and what could not be had, with the reason."""

    files: list[tuple[str, int, str]] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)


class Collect(Observation):
    """Collect logs, sessions, object and access listings, events and the timeline into one archive of the evidence bucket."""

    name: ClassVar[str] = "evidence.collect"
    scenario: ClassVar[Scenario] = Scenario.SECURITY
    usual: ClassVar[timedelta] = timedelta(minutes=2)
    service: ClassVar[str] = "api"
    within: ClassVar[timedelta] = timedelta(minutes=15)

    since: timedelta = Field(
        default=timedelta(0), ge=timedelta(0), le=timedelta(days=90),
        description="how far back logs go, such as 24h; as `logs_since` of the estate file when left out",
    )  # fmt: skip

    async def look(self, tools: Tools) -> Findings:
        bucket, of = tools.estate.buckets.evidence, tools.incident
        if not bucket:
            raise NotFound("The estate file has no bucket for evidence: set `buckets.evidence` (EVIDENCE_BUCKET).")
        if of is None:
            raise NotNow("Evidence belongs to an incident: ask for it in the incident's room.")
        key = f"evidence/{of.id}/{of.id}-{of.asked_at.astimezone(UTC):%Y%m%dT%H%M%SZ}.tar.gz"
        if said := await tools.objects.text(bucket, f"{key}.sha256"):
            return Findings(f"stored before: s3://{bucket}/{key}, SHA-256 {said.split()[0]}", ())
        kept, archive = Kept(), TarGz()
        chunks = packed(sources(tools, of, self.since or section(tools.estate).logs_since), archive, kept, of, tools)
        protection = await tools.objects.put(bucket, key, chunks)
        line = f"{archive.sha256}  {key.rpartition('/')[2]}\n"
        await tools.objects.put(bucket, f"{key}.sha256", _once(line.encode()))
        return Findings(
            f"stored: s3://{bucket}/{key}, {size(archive.size)}, SHA-256 {archive.sha256}",
            [
                Finding(
                    f"protection: {protection or 'NONE: the bucket has no object lock, so it can be changed or deleted'}"
                ),
                *(Finding(f"{name}: {size(length)}") for _, length, name in kept.files),
                *(Finding(f"NOT COLLECTED {name}: {why}") for name, why in kept.missing),
                *(Finding(f"CUT {name}: longer than {size(LONGEST)}") for name in kept.cut),
            ],
        )


async def sources(tools: Tools, of: OfIncident, since: timedelta) -> AsyncIterator[Source]:
    """Everything that is collected, one after the other."""

    async def timeline(take: Take) -> None:
        take((await of.timeline()).encode())

    yield "timeline.json", timeline
    estate, cluster = tools.estate, tools.estate.cluster
    if cluster is not None:
        try:
            containers = await tools.records.containers(cluster.namespace, section(estate).selector)
        except RecoveryError as error:
            yield "logs", _failing(error)
            containers = ()
        for pod, container in containers:
            yield f"logs/{pod}/{container}.log", _log(tools, cluster.namespace, pod, container, since)
        namespace = cluster.namespace
        yield f"events/{namespace}.jsonl", lambda take: tools.records.events(namespace, take)
    for database in estate.databases:
        for name, url in servers(database).items():
            yield f"pg_stat_activity/{database.name}-{name}.jsonl", _activity(tools, url)
    for bucket in buckets(tools):
        yield f"s3/{bucket}-objects.jsonl", _listing(tools, bucket)
        yield f"s3/{bucket}-access.log", _access(tools, bucket, since)


def buckets(tools: Tools) -> list[str]:
    """The buckets of the estate that hold data: those of its backups."""
    return list(dict.fromkeys(b.bucket for b in tools.estate.backups if b.bucket))


async def packed(
    sources_: AsyncIterator[Source], archive: TarGz, kept: Kept, of: OfIncident, tools: Tools
) -> AsyncIterator[bytes]:
    """The archive piece by piece. Each file waits on the disk until its size and hash are known; the manifest is the last."""
    async for name, write in sources_:
        with tempfile.TemporaryFile() as file:
            spool = _Spool(file)
            try:
                await write(spool.take)
            except RecoveryError as error:
                kept.missing.append((name, str(error)))
            if not spool.size:
                continue
            if spool.cut:
                kept.cut.append(name)
            kept.files.append((spool.sha256, spool.size, name))
            for piece in _filed(archive, name, spool, tools.clock()):
                yield piece
    for name, text in _manifest(kept, of, tools.clock()):
        data = text.encode()
        yield archive.begin(name, len(data), tools.clock()) + archive.add(data) + archive.end()
    yield archive.close()


class _Spool:
    """A file on the disk that is hashed while it is written, and cut where it gets too long."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.size = 0
        self.cut = False
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def take(self, piece: bytes) -> None:
        room = LONGEST - self.size
        if len(piece) > room:
            piece, self.cut = piece[:room], True
        self.file.write(piece)
        self._digest.update(piece)
        self.size += len(piece)


def _filed(archive: TarGz, name: str, spool: _Spool, now: datetime) -> Iterator[bytes]:
    spool.file.seek(0)
    yield archive.begin(name, spool.size, now)
    while data := spool.file.read(CHUNK):
        yield archive.add(data)
    yield archive.end()


def _manifest(kept: Kept, of: OfIncident, now: datetime) -> Iterator[tuple[str, str]]:
    """`sha256sum -c MANIFEST.sha256` proves every file; the other says what it is, and what is missing."""
    yield "MANIFEST.sha256", "".join(f"{digest}  {name}\n" for digest, _, name in kept.files)
    said = {
        "incident": of.id,
        "collected_at": now.isoformat(),
        "files": [{"name": name, "size": length, "sha256": digest} for digest, length, name in kept.files],
        "not_collected": [{"name": name, "why": why} for name, why in kept.missing],
        "cut": kept.cut,
    }
    yield "MANIFEST.json", json.dumps(said, indent=2) + "\n"


def _failing(error: RecoveryError) -> Callable[[Take], Awaitable[None]]:
    async def write(_take: Take) -> None:
        raise error

    return write


def _log(tools: Tools, namespace: str, pod: str, container: str, since: timedelta) -> Callable[[Take], Awaitable[None]]:
    return lambda take: tools.records.log(namespace, pod, container, since, take)


def _activity(tools: Tools, url: str) -> Callable[[Take], Awaitable[None]]:
    return lambda take: tools.records.activity(url, take)


def _listing(tools: Tools, bucket: str) -> Callable[[Take], Awaitable[None]]:
    async def write(take: Take) -> None:
        async for one in tools.objects.listing(bucket):
            said = {"key": one.key, "size": one.size, "last_modified": one.at.isoformat(), "etag": one.etag}
            take(json.dumps(said).encode() + b"\n")

    return write


def _access(tools: Tools, bucket: str, since: timedelta) -> Callable[[Take], Awaitable[None]]:
    async def write(take: Take) -> None:
        place = await tools.objects.logged_in(bucket)
        if place is None:
            raise NotFound(f"Nobody logs who reads {bucket}: its server access logging is off.")
        async for line in tools.objects.access(*place, tools.clock() - since):
            take(line.encode() + b"\n")

    return write


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
