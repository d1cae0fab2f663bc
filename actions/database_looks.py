"""Scenario 1, looking: the servers, and who blocks whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from actions.databases import DATABASE, find, in_use, look_at, servers
from bot.action import Finding, Findings, Observation, Offer, Tools
from bot.clock import spoken
from bot.errors import NeighbourError, Silent
from bot.incident import Scenario
from bot.tools import Backend, ServerState


class Assess(Observation):
    """Version, recovery, replication lag, connections and oldest transaction of every database server."""

    name: ClassVar[str] = "database.assess"
    scenario: ClassVar[Scenario] = Scenario.DATABASE
    usual: ClassVar[timedelta] = timedelta(seconds=5)
    service: ClassVar[str] = "database"

    database: str = DATABASE

    async def look(self, tools: Tools) -> Findings:
        database = find(tools.estate, self.database)
        seen = {name: await look_at(tools, url) for name, url in servers(database).items()}
        lines = [Finding(line) for name, state in seen.items() for line in _describe(name, state)]
        writable = [n for n, s in seen.items() if isinstance(s, ServerState) and not s.recovering and not s.read_only]
        known = all(isinstance(s, ServerState | Silent) for s in seen.values())
        asked = "" if known else "that can be asked "
        headline = f"{database.title}: " + (
            f"{writable[0]} takes writes" if len(writable) == 1 else f"no server {asked}takes writes"
        )
        if len(writable) > 1:
            headline = f"{database.title}: TWO PRIMARIES take writes: {', '.join(writable)}"
        return Findings(headline, [*lines, *_offers(database.name, len(writable))])


def _offers(database: str, writable: int) -> list[Finding]:
    mode = "failover" if writable == 0 else "switchover"
    words = {"database": database, "mode": mode}
    return [Finding(
        "What can be done:",
        (Offer("Plan a " + mode, "database.failover", words), Offer("Who blocks whom", "database.blockers", {"database": database})),
    )]  # fmt: skip


def _describe(name: str, state: ServerState | NeighbourError) -> Sequence[str]:
    if isinstance(state, NeighbourError):
        return (f"{name}: {'no answer' if isinstance(state, Silent) else 'cannot be asked'}: {state}",)
    role = (
        "standby, in recovery"
        if state.recovering
        else "primary, read-only"
        if state.read_only
        else "primary, takes writes"
    )
    oldest = spoken(state.oldest_transaction) if state.oldest_transaction else "none"
    used = f"{state.connections} of {state.max_connections} connections; oldest transaction {oldest}"
    lines = [f"{name}: {state.version}; {role}; {used}"]
    if state.recovering and state.replayed_at is not None:
        lines.append(f"{name}: last transaction replayed at {state.replayed_at:%H:%M:%S} UTC")
    for standby in state.standbys:
        lag = "unknown" if standby.lag_bytes is None else f"{standby.lag_bytes:,} bytes"
        behind = f", {standby.lag.total_seconds():.1f} s" if standby.lag is not None else ""
        lines.append(
            f"{name} sends to {standby.name} {standby.address}: {standby.state}, {standby.sync}, lag {lag}{behind}"
        )
    return lines


class Blockers(Observation):
    """The queries that run now, and who waits for whom."""

    name: ClassVar[str] = "database.blockers"
    scenario: ClassVar[Scenario] = Scenario.DATABASE
    usual: ClassVar[timedelta] = timedelta(seconds=5)
    service: ClassVar[str] = "database"

    database: str = DATABASE

    async def look(self, tools: Tools) -> Findings:
        database = find(tools.estate, self.database)
        server = await in_use(tools, database)
        backends = list(await tools.databases.backends(servers(database)[server]))
        lines = [
            Finding(f"{'    ' * depth}{_session(b)}", _ends(database.name, b, backends)) for depth, b in tree(backends)
        ]
        blocked = sum(bool(b.blocked_by) for b in backends)
        headline = f"{database.title}, on {server}: {len(backends)} sessions at work, {blocked} of them blocked"
        return Findings(headline, lines)


def tree(backends: Sequence[Backend]) -> list[tuple[int, Backend]]:
    """(depth, session): each below one that it waits for; who waits for nobody stands at the left, blockers first."""
    known = {b.pid for b in backends}
    order: list[tuple[int, Backend]] = []
    seen: set[int] = set()

    def below(backend: Backend, depth: int) -> None:
        if backend.pid in seen:
            return
        seen.add(backend.pid)
        order.append((depth, backend))
        for waiting in backends:
            if backend.pid in waiting.blocked_by:
                below(waiting, depth + 1)

    blockers = {pid for b in backends for pid in b.blocked_by}
    for backend in sorted(backends, key=lambda b: b.pid not in blockers):
        if not any(pid in known for pid in backend.blocked_by):
            below(backend, 0)
    for backend in backends:  # who is left waits in a circle
        below(backend, 0)
    return order


def _session(backend: Backend) -> str:
    waits = f", waits for {', '.join(map(str, backend.blocked_by))}" if backend.blocked_by else ""
    wait = f" ({backend.wait})" if backend.wait else ""
    running = f" for {spoken(backend.running_for)}" if backend.running_for else ""
    return f"{backend.pid} {backend.user}/{backend.application or '?'} {backend.state}{running}{wait}{waits}: {backend.query}"


def _ends(database: str, backend: Backend, backends: Sequence[Backend]) -> Sequence[Offer]:
    """Cancel (what runs) and terminate, beside those that block somebody."""
    if not any(backend.pid in other.blocked_by for other in backends):
        return ()
    words = {"database": database, "pid": str(backend.pid), "started_at": backend.started_at.isoformat()}
    cancel = (Offer(f"Cancel {backend.pid}", "database.cancel", words),) if backend.runs else ()
    return (*cancel, Offer(f"Terminate {backend.pid}", "database.terminate", words))
