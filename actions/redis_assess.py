"""Scenario 3, runbook 3.1: how each Redis of a cache is, what stands out, and how the application sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from actions.caches import application_says, find, look_at, rate, servers, size
from bot.action import Finding, Findings, Observation, Offer, Tools
from bot.clock import spoken
from bot.estate_places import Cache
from bot.incident import Scenario
from bot.tools import CacheState

FULL = 0.9
FRAGMENTED, FRAGMENTED_FROM = 1.5, 100 << 20
"""A small server always looks fragmented: only from so many bytes on it says something."""
SLOW = timedelta(milliseconds=100)


class Assess(Observation):
    """PING, memory, evictions, refused connections, clients, replication and persistence of Redis."""

    name: ClassVar[str] = "redis.assess"
    scenario: ClassVar[Scenario] = Scenario.REDIS
    usual: ClassVar[timedelta] = timedelta(seconds=5)
    service: ClassVar[str] = "redis"

    cache: str = Field(default="", description="which cache of the estate; the first one when left out")

    async def look(self, tools: Tools) -> Findings:
        cache = find(tools.estate, self.cache)
        named = servers(cache)
        states, (_, view) = await asyncio.gather(
            asyncio.gather(*(look_at(tools, url) for url in named.values())), application_says(tools, cache)
        )
        seen = dict(zip(named, states, strict=True))
        lines = [line for name, state in seen.items() for line in describe(name, state)]
        primaries = [n for n, s in seen.items() if isinstance(s, CacheState) and s.role == "primary"]
        if len(primaries) > 1:
            headline = f"TWO PRIMARIES take writes: {', '.join(primaries)}"
        elif primaries:
            wrong = [w for s in seen.values() for w in stands_out(s)]
            headline = f"{primaries[0]} answers; " + ("; ".join(wrong) if wrong else "nothing stands out")
        else:
            headline = f"{cache.name} does not answer"
        return Findings(headline, [*map(Finding, (*lines, view)), Finding("What can be done:", _offers(cache))])


def _offers(cache: Cache) -> Sequence[Offer]:
    words = {"cache": cache.name}
    restart = [Offer("Plan a restart", "redis.restart", words)] if cache.statefulset else []
    failover = [Offer("Plan a failover", "redis.failover", words)] if cache.replicas or cache.sentinel else []
    return (*restart, *failover, Offer("Plan a warm-up", "cache.warmup", words))


def describe(name: str, state: CacheState | str) -> list[str]:
    """A server in a few lines."""
    if isinstance(state, str):
        return [f"{name}: no answer: {state}"]
    most = size(state.max_memory) if state.max_memory else "no limit"
    slots = f" of {state.max_clients:,}" if state.max_clients else ""
    asked = rate(state.hits, state.misses)
    lines = [
        f"{name}: PONG after {state.latency.total_seconds() * 1000:.1f} ms{', LOADING its data' if state.loading else ''}",
        f"{name}: Redis {state.version}, {state.role}, up {spoken(state.uptime)}; {state.keys:,} keys",
        f"{name}: memory {size(state.used_memory)} of {most} ({state.policy}), peak {size(state.peak_memory)}",
        f"{name}: fragmentation {state.fragmentation:.2f}",
        f"{name}: {state.evicted:,} evicted, {state.expired:,} expired; hit rate {asked}",
        f"{name}: {state.clients:,}{slots} clients, {state.blocked:,} blocked; {state.rejected:,} connections refused",
        f"{name}: {_persistence(state)}",
    ]
    if state.role == "replica":
        link = "hears of it" if state.linked else "HEARS NOTHING of it"
        lines.append(f"{name}: follows {state.leader} and {link}; at {state.offset:,}")
    for one in state.followers:
        heard = f", heard of {spoken(one.lag)} ago" if one.lag is not None else ""
        behind = max(0, state.offset - one.offset)
        lines.append(f"{name} sends to {one.address}: {one.state}, {behind:,} bytes behind{heard}")
    return lines


def _persistence(state: CacheState) -> str:
    snapshots = "the last snapshot went well" if state.snapshots else "THE LAST SNAPSHOT FAILED"
    if not state.appends:
        return f"{snapshots}; no append-only file"
    return f"{snapshots}; append-only file, {'written' if state.appended else 'ITS LAST WRITE FAILED'}"


def stands_out(state: CacheState | str) -> list[str]:
    """What is not as it should be, a few words each."""
    if isinstance(state, str):
        return ["a server does not answer"]
    found = {
        "it is loading its data": state.loading,
        "slow to answer": state.latency > SLOW,
        "memory nearly full": bool(state.max_memory) and state.used_memory > state.max_memory * FULL,
        "memory fragmented": state.fragmentation > FRAGMENTED and state.used_memory > FRAGMENTED_FROM,
        f"{state.evicted:,} keys evicted": state.evicted > 0,
        f"{state.rejected:,} connections refused": state.rejected > 0,
        "clients nearly at their limit": bool(state.max_clients) and state.clients > state.max_clients * FULL,
        "the last snapshot failed": not state.snapshots,
        "the append-only file cannot be written": state.appends and not state.appended,
        "a replica hears nothing of its primary": state.role == "replica" and not state.linked,
    }
    return [words for words, so in found.items() if so]
