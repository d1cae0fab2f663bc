"""Scenario 2, runbook 2.4: give the cache more memory while providers are down, so that it saves more calls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import BaseModel, Field, field_validator

from actions.caches import bytes_of, find, in_use, rate, servers, size
from bot.action import Action, Change, NotVerified, Plan, Progress, Risk, Step, Tools, not_yet, nothing
from bot.errors import NeighbourError, NotNow
from bot.estate import Estate
from bot.incident import Scenario
from bot.tools import CacheState

BETWEEN_LOOKS = 0.5
MUCH = 0.75
"""The share of the host's memory above which the card warns: the host has other things to hold, too."""
POLICIES = (
    "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
    "noeviction",
)  # fmt: skip
MEMORY, POLICY = "maxmemory", "maxmemory-policy"


class RaiseFacts(BaseModel):
    """Which server, and what it had: undo brings exactly that back. Sizes in bytes."""

    cache: str
    server: str
    old_maxmemory: int
    old_policy: str
    new_maxmemory: int
    new_policy: str


class Raise(Action[RaiseFacts]):
    """Give the cache more memory and an eviction policy that keeps what is asked for."""

    name: ClassVar[str] = "cache.raise"
    risk: ClassVar[Risk] = Risk.LOW
    scenario: ClassVar[Scenario] = Scenario.LLM
    usual: ClassVar[timedelta] = timedelta(minutes=1)
    service: ClassVar[str] = "llm"
    facts: ClassVar[type[BaseModel]] = RaiseFacts

    cache: str = Field(default="", description="which cache of the estate; the first one when left out")
    maxmemory: str = Field(default="", description="such as 4gb; the estate file's `raised_maxmemory` when left out")
    policy: str = Field(default="", description="such as allkeys-lru; the estate file's `raised_policy` when left out")
    watch: timedelta = Field(
        timedelta(seconds=10), description="how long the hit rate is watched", ge=timedelta(0), le=timedelta(minutes=10)
    )

    @field_validator("maxmemory")
    @classmethod
    def _a_size(cls, value: str) -> str:
        if value:
            bytes_of(value)
        return value

    @field_validator("policy")
    @classmethod
    def _a_policy(cls, value: str) -> str:
        if value and value not in POLICIES:
            raise ValueError(f"`{value}` is none of {', '.join(POLICIES)}")
        return value

    def target(self, estate: Estate) -> str:
        return f"cache {find(estate, self.cache).name}"

    async def plan(self, tools: Tools) -> Plan[RaiseFacts]:
        cache = find(tools.estate, self.cache)
        server = await in_use(tools, cache)
        state = await tools.caches.state(servers(cache)[server])
        policy = self.policy or cache.raised_policy
        try:
            wanted = bytes_of(self.maxmemory or cache.raised_maxmemory)
        except ValueError as error:
            raise NotNow(f"`raised_maxmemory` of `{cache.name}` in the estate file: {error}.") from error
        refuse(server, state, wanted, policy)
        large = f"{size(wanted)} is most of the {size(state.host_memory)} that its host has: what else runs there?"
        return Plan(
            RaiseFacts(
                cache=cache.name, server=server, old_maxmemory=state.max_memory, old_policy=state.policy,
                new_maxmemory=wanted, new_policy=policy,
            ),
            (
                Change(f"{MEMORY} of {server}", size(state.max_memory), size(wanted)),
                Change(f"{POLICY} of {server}", state.policy, policy),
            ),
            notes=(
                f"hit rate: {rate(state.hits, state.misses)} since {server} started; {state.evicted:,} keys evicted",
                f"{size(state.used_memory)} used; its host has {size(state.host_memory)} (a container may have less)",
                f"holds until {server} is restarted; its configuration file is not written",
            ),
            undo_says=f"{MEMORY} and {POLICY} are what they were; what is too much then is evicted",
            warnings=(large,) if wanted > state.host_memory * MUCH else (),
        )  # fmt: skip

    def steps(self, facts: RaiseFacts, tools: Tools) -> Sequence[Step]:
        url = servers(find(tools.estate, facts.cache))[facts.server]

        async def watch(progress: Progress) -> str:
            return await _watched(tools, url, self.watch, progress)

        # Undone last first: with the old policy already back, a cache that is too full would refuse writes, not evict.
        return (
            _setting(tools, url, POLICY, facts.old_policy, facts.new_policy),
            _setting(tools, url, MEMORY, str(facts.old_maxmemory), str(facts.new_maxmemory)),
            Step("Watch the hit rate", watch, not_yet, nothing),
        )

    async def verify(self, facts: RaiseFacts, tools: Tools) -> str:
        state = await tools.caches.state(servers(find(tools.estate, facts.cache))[facts.server])
        if (state.max_memory, state.policy) != (facts.new_maxmemory, facts.new_policy):
            raise NotVerified(f"{facts.server} has {size(state.max_memory)} and {state.policy}: was it restarted?")
        now = rate(state.hits, state.misses)
        return f"{facts.server} has {size(state.max_memory)} and {state.policy}; hit rate since it started: {now}"


def refuse(server: str, state: CacheState, wanted: int, policy: str) -> None:
    """Raises NotNow when this would be no raise, or more than there is."""
    if state.role == "replica":
        raise NotNow(f"{server} is a replica of {state.leader}: it is that one whose memory counts.")
    if not state.max_memory:
        raise NotNow(f"{server} has no {MEMORY}: it takes what it needs already, and nothing can be raised.")
    if wanted < state.max_memory:
        raise NotNow(f"{server} has {size(state.max_memory)}, more than {size(wanted)}: that would evict keys.")
    if (wanted, policy) == (state.max_memory, state.policy):
        raise NotNow(f"{server} has {size(wanted)} and {policy} already.")
    if not state.host_memory:
        raise NotNow(
            f"{server} does not tell how much memory its host has, so nobody knows whether {size(wanted)} fit."
        )
    if wanted > state.host_memory:
        raise NotNow(f"{size(wanted)} is more than the {size(state.host_memory)} that the host of {server} has.")


def _setting(tools: Tools, url: str, setting: str, old: str, new: str) -> Step:
    """One setting, proven by reading it back."""

    async def set_(_progress: Progress) -> str:
        await tools.caches.configure(url, setting, new)
        return f"{setting} is {new}"

    async def is_set() -> bool:
        state = await tools.caches.state(url)
        return new == (state.policy if setting == POLICY else str(state.max_memory))

    async def unset(_progress: Progress) -> None:
        await tools.caches.configure(url, setting, old)

    return Step(f"Set {setting} to {new}", set_, is_set, unset, by_hand=f"redis-cli CONFIG SET {setting} {new}")


async def _watched(tools: Tools, url: str, within: timedelta, progress: Progress) -> str:
    """The hit rate before, and of the look-ups that are made from now on, live."""
    first = await tools.caches.state(url)
    before, said = rate(first.hits, first.misses), "not watched"
    began = tools.clock()
    while tools.clock() - began < within:
        await asyncio.sleep(BETWEEN_LOOKS)
        try:
            now = await tools.caches.state(url)
        except NeighbourError as error:
            said = f"unknown, {str(error).rstrip('.')}"
            progress(f"hit rate now: {said}")
            continue
        said = since(first, now)
        progress(f"hit rate now: {said} (before: {before}); {size(now.used_memory)} used")
    return f"hit rate before: {before}; in the last {within.total_seconds():g} s: {said}"


def since(first: CacheState, now: CacheState) -> str:
    """The hit rate of the look-ups between two looks; unknown where the counters began anew."""
    hits, misses = now.hits - first.hits, now.misses - first.misses
    if now.uptime < first.uptime or hits < 0 or misses < 0:
        return "unknown, it counts anew: was it restarted?"
    return rate(hits, misses)
