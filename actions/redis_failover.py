"""Scenario 3, where there is a replica or Sentinel: make another Redis the primary, and send the application to it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from actions.caches import consumer_of, find, look_at, seen_by_application, servers
from actions.consumers import Move, told, used
from actions.rollouts import BETWEEN_LOOKS
from bot.action import Action, Change, NotVerified, Plan, Progress, Risk, Step, Tools, not_yet, nothing
from bot.errors import NeighbourError, NotFound, NotNow, Refused, Unavailable
from bot.estate import Estate
from bot.estate_places import Cache, Consumer, Sentinel
from bot.incident import Scenario
from bot.tools import CacheState

PAUSED_FOR = timedelta(seconds=60)
"""Writes that wait are let go by the server itself after this, should nobody come back to it."""
BY_ITSELF = f"Writes that are held go on by themselves after {PAUSED_FOR.total_seconds():g} s."
CAUGHT_UP_WITHIN = 20.0
CHOSEN_WITHIN = 120.0
FOLLOWS_WITHIN = 30.0
"""Seconds that Sentinel has for making a living old primary a replica, which it does some seconds after its choice."""


class FailoverFacts(BaseModel):
    """Who becomes the primary, instead of whom. With Sentinel, `away_from` is an address, and Sentinel chooses.

    `paused`: whether the old primary answers, so that its writes are held until the new one has everything.
    """

    cache: str
    how: Literal["replica", "sentinel"]
    away_from: str
    promoted: str
    paused: bool
    deployment: str
    variable: str
    secret: str


class Failover(Action[FailoverFacts]):
    """Make the freshest Redis replica the primary, and send the application to it."""

    name: ClassVar[str] = "redis.failover"
    risk: ClassVar[Risk] = Risk.HIGH
    scenario: ClassVar[Scenario] = Scenario.REDIS
    usual: ClassVar[timedelta] = timedelta(minutes=5)
    service: ClassVar[str] = "redis"
    facts: ClassVar[type[BaseModel]] = FailoverFacts

    cache: str = Field(default="", description="which cache of the estate; the first one when left out")

    def target(self, estate: Estate) -> str:
        return f"cache {find(estate, self.cache).name}"

    async def plan(self, tools: Tools) -> Plan[FailoverFacts]:
        cache = find(tools.estate, self.cache)
        if cache.sentinel is not None:
            return await _sentinel_plan(tools, cache, cache.sentinel)
        if not cache.replicas:
            raise NotFound(
                f"The estate file names neither `replicas` nor a `sentinel` of `{cache.name}`, so there is nothing to fail"
                " over to. `/recover redis.restart` is what is left."
            )
        current = await used(tools, consumer_of(cache), servers(cache), tools.caches.place, cache.name)
        named = servers(cache)
        states = await asyncio.gather(*(look_at(tools, url) for url in named.values()))
        seen = dict(zip(named, states, strict=True))
        promoted, replica = freshest(current, seen)
        return _replica_plan(tools, cache, current, seen[current], promoted, replica)

    def steps(self, facts: FailoverFacts, tools: Tools) -> Sequence[Step]:
        cache = find(tools.estate, facts.cache)
        if facts.how == "sentinel":
            send = _move(tools, cache, facts).steps() if facts.deployment else ()
            return (*_sentinel_steps(tools, cache, facts), *send)
        return (*_promotion_steps(tools, cache, facts), *_move(tools, cache, facts).steps())

    async def verify(self, facts: FailoverFacts, tools: Tools) -> str:
        cache = find(tools.estate, facts.cache)
        name, new, old = facts.promoted, servers(cache).get(facts.promoted, ""), servers(cache).get(facts.away_from, "")
        if facts.how == "sentinel" and cache.sentinel is not None:
            name = await tools.caches.leader(_urls(cache.sentinel), cache.sentinel.master)
            new, old = (tools.caches.at(cache.url.get_secret_value(), place) for place in (name, facts.away_from))
        try:
            await tools.caches.write_and_read(new, tools.run)
        except Unavailable as error:
            raise NotVerified(f"nobody can tell whether {name} takes writes: {error}") from error
        except NeighbourError as error:
            raise NotVerified(f"{name} does not take a write: {error}") from error
        gone = await _old_one(tools, old, FOLLOWS_WITHIN if facts.how == "sentinel" else 0)
        if isinstance(gone, CacheState) and gone.role == "primary":
            raise NotVerified(
                f"TWO PRIMARIES: {facts.away_from} takes writes too. Stop it now, or make it a replica of {name}:"
                " whatever it takes is lost"
            )
        left = "is a replica now"
        if not isinstance(gone, CacheState):
            left = f"cannot be asked ({gone.rstrip('.')}): should it take writes, stop it"
        return f"{name} took a write that was read back; {facts.away_from} {left}; {await seen_by_application(tools, cache)}"


async def _old_one(tools: Tools, url: str, within: float) -> CacheState | str:
    """How the old primary is, once it is none any more or the time is over. Silent is only who is silent twice: whoever makes
    it a replica breaks off all connections to it."""
    end, silent = tools.clock() + timedelta(seconds=within), False
    while True:
        state = await look_at(tools, url)
        if isinstance(state, CacheState) and (state.role != "primary" or tools.clock() >= end):
            return state
        if not isinstance(state, CacheState) and silent:
            return state
        silent = not isinstance(state, CacheState)
        await asyncio.sleep(BETWEEN_LOOKS)


def freshest(current: str, seen: Mapping[str, CacheState | str]) -> tuple[str, CacheState]:
    """The replica that has received most. Raises NotNow when there is none."""
    state = seen[current]
    replicas = {
        name: other
        for name, other in seen.items()
        if name != current and isinstance(other, CacheState) and other.role == "replica" and not other.loading
    }
    if not replicas:
        said = "; ".join(
            f"{n}: {o.rstrip('.') if isinstance(o, str) else 'is no replica'}" for n, o in seen.items() if n != current
        )
        raise NotNow(f"There is no replica to promote ({said}). `/recover redis.restart` is what is left.")
    # Offsets of another history are of another stream, and say nothing about how fresh it is.
    kin = {n: r for n, r in replicas.items() if isinstance(state, CacheState) and r.history == state.history}
    among = kin or replicas
    name = max(among, key=lambda n: among[n].offset)
    return name, among[name]


def _replica_plan(
    tools: Tools, cache: Cache, current: str, state: CacheState | str, promoted: str, replica: CacheState
) -> Plan[FailoverFacts]:
    app = cache.application
    assert app is not None  # noqa: S101  asked for before
    follows = isinstance(state, CacheState) and state.role == "primary" and state.history == replica.history
    paused = isinstance(state, CacheState) and follows and replica.linked and can_hold(state.version)
    facts = FailoverFacts(
        cache=cache.name, how="replica", away_from=current, promoted=promoted, paused=paused,
        deployment=app.deployment, variable=app.variable, secret=app.secret or "",
    )  # fmt: skip
    notes = [f"{promoted}: Redis {replica.version}, {replica.keys:,} keys, at {replica.offset:,}"]
    if isinstance(state, CacheState):
        notes.append(f"{current}: answers, {state.keys:,} keys, at {state.offset:,}")
    else:
        notes.append(f"{current}: {state}")
    warnings = []
    if isinstance(state, CacheState) and not paused:
        why = f"does not follow {current}" if not (follows and replica.linked) else f"cannot wait for {current}"
        warnings.append(f"{promoted} {why}: it has what it had, and what comes later is lost.")
    kept = f"secret {app.secret}" if app.secret else f"deployment {app.deployment}"
    return Plan(
        facts,
        (
            Change("Redis that takes the writes", current, f"{promoted}, {tools.caches.place(servers(cache)[promoted])}"),
            Change(f"{app.variable} of {kept}", current, promoted),
        ),
        notes,
        loss_says=f"none: {current} is held until {promoted} has everything" if paused
        else f"what {current} took and {promoted} has not received; it is a cache",
        undo_says="possible until the replica is promoted; afterwards, fail over again the other way",
        warnings=warnings,
    )  # fmt: skip


def can_hold(version: str) -> bool:
    """Whether a Redis can let writes wait while reads go on: since 6.2."""
    numbers = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    return numbers >= [6, 2]


def _promotion_steps(tools: Tools, cache: Cache, facts: FailoverFacts) -> Sequence[Step]:
    old, new = servers(cache)[facts.away_from], servers(cache)[facts.promoted]

    async def hold(progress: Progress) -> str:
        last = await _held(tools, old)
        await _received(tools, facts, new, last, progress)
        return f"{facts.promoted} has everything, up to {last:,}"

    async def let_go(_progress: Progress) -> None:
        await tools.caches.resume_writes(old)

    async def promote(progress: Progress) -> str:
        said = f"{facts.promoted} takes writes"
        if facts.paused:
            # The server lets writes go by itself, and that may be long ago: after a crash, or when others were slow.
            try:
                last = await _held(tools, old)
            except NeighbourError as error:
                said += f"; what {facts.away_from} took since it was held is unknown: {error}"
            else:
                await _received(tools, facts, new, last, progress)
        await tools.caches.promote(new)
        return said

    async def promoted() -> bool:
        return (await tools.caches.state(new)).role == "primary"

    async def released() -> str:
        return await _released(tools, facts, old, new)

    async def fence(_progress: Progress) -> str:
        return await _fenced(tools, facts, old, new)

    held = Step(f"Hold writes on {facts.away_from} until {facts.promoted} has everything", hold, not_yet, let_go,
                by_hand=BY_ITSELF, tidy=released)  # fmt: skip
    no_return = f"{facts.promoted} leaves the replication of {facts.away_from}"
    return (
        *((held,) if facts.paused else ()),
        Step(f"Promote {facts.promoted}", promote, promoted, None, no_return,
             by_hand=BY_ITSELF if facts.paused else "", tidy=released if facts.paused else None),
        Step(f"Make {facts.away_from} a replica of {facts.promoted}", fence, not_yet, nothing,
             by_hand=f"On {facts.away_from}: REPLICAOF and the address of {facts.promoted}, or stop it."),
    )  # fmt: skip


async def _held(tools: Tools, old: str) -> int:
    """Let writes wait, from now on where they wait already. The end of what was written."""
    await tools.caches.pause_writes(old, PAUSED_FOR)
    return (await tools.caches.state(old)).offset


async def _received(tools: Tools, facts: FailoverFacts, new: str, last: int, progress: Progress) -> None:
    """Wait until the replica has everything up to `last`. Raises Refused when it does not get there."""
    try:
        async with asyncio.timeout(CAUGHT_UP_WITHIN):
            while (behind := last - (await tools.caches.state(new)).offset) > 0:
                progress(f"{behind:,} bytes to go")
                await asyncio.sleep(BETWEEN_LOOKS)
    except TimeoutError:
        raise Refused(f"{facts.promoted} has not caught up within {CAUGHT_UP_WITHIN:g} s") from None


async def _released(tools: Tools, facts: FailoverFacts, old: str, new: str) -> str:
    """Nobody was promoted after all: let the old primary take writes again, and say whether it does."""
    state = await look_at(tools, new)
    if not isinstance(state, CacheState) or state.role == "primary":
        # Whatever it took now would be lost.
        why = "was promoted" if isinstance(state, CacheState) else f"may be promoted ({state.rstrip('.')})"
        return f"Writes on {facts.away_from} stay held, for {facts.promoted} {why}."
    try:
        await tools.caches.resume_writes(old)
    except NeighbourError as error:
        return f"Writes on {facts.away_from} may still be held: {str(error).rstrip('.')}."
    return f"Writes on {facts.away_from} go on."


async def _fenced(tools: Tools, facts: FailoverFacts, old: str, new: str) -> str:
    """Make the old primary a replica, and only then let what waits there go: to a refusal. Twice when an answer was lost."""
    for last in (False, True):
        try:
            await tools.caches.follow(old, new)
            if facts.paused:
                await tools.caches.resume_writes(old)
        # Not the moment to give up: the application still has to be sent away from it, and `verify` looks at it again.
        except NeighbourError as error:
            said = str(error).rstrip(".")
            if last or not isinstance(error, Unavailable) or error.untried:
                break
        else:
            return f"it follows {facts.promoted}, and takes no writes"
    return f"{said}. Should it take writes, stop it"


def _move(tools: Tools, cache: Cache, facts: FailoverFacts) -> Move:
    """The application goes to the one that was promoted, or that Sentinel has chosen."""

    async def url() -> str:
        return servers(cache)[facts.promoted] if facts.promoted else await _chosen(tools, cache)

    app = Consumer(deployment=facts.deployment, variable=facts.variable, secret=facts.secret or None)
    return Move(tools, app, facts.promoted or "the new primary", url, tools.caches.place)


async def _chosen(tools: Tools, cache: Cache) -> str:
    """The connection string of the primary that Sentinel names now."""
    assert cache.sentinel is not None  # noqa: S101  only asked for where there is one
    address = await tools.caches.leader(_urls(cache.sentinel), cache.sentinel.master)
    return tools.caches.at(cache.url.get_secret_value(), address)


def _urls(sentinel: Sentinel) -> list[str]:
    return [url.get_secret_value() for url in sentinel.urls]


async def _sentinel_plan(tools: Tools, cache: Cache, sentinel: Sentinel) -> Plan[FailoverFacts]:
    address = await tools.caches.leader(_urls(sentinel), sentinel.master)
    url = tools.caches.at(cache.url.get_secret_value(), address)
    state = await look_at(tools, url)
    app, note = cache.application, "the application asks Sentinel for the address, as far as the estate file says"
    if app is not None and tools.caches.place(await told(tools, app)) == tools.caches.place(url):
        note = f"{app.variable} of {app.deployment} names {address}, and is changed"
    else:
        app = None
    facts = FailoverFacts(
        cache=cache.name, how="sentinel", away_from=address, promoted="", paused=False,
        deployment=app.deployment if app else "", variable=app.variable if app else "",
        secret=app.secret or "" if app else "",
    )  # fmt: skip
    answers = f"answers, {state.keys:,} keys" if isinstance(state, CacheState) else state
    return Plan(
        facts,
        (Change(f"primary of {sentinel.master}", address, "the replica that Sentinel chooses"),),
        notes=(f"{address}: {answers}", note),
        loss_says="what the replica has not received yet; it is a cache",
        undo_says="not possible: fail over again",
    )


def _sentinel_steps(tools: Tools, cache: Cache, facts: FailoverFacts) -> Sequence[Step]:
    sentinel = cache.sentinel
    if sentinel is None:
        raise NotFound(f"The estate file names no `sentinel` of `{cache.name}` any more.")
    urls, name, own = _urls(sentinel), sentinel.master, cache.url.get_secret_value()

    async def moved() -> bool:
        return await tools.caches.leader(urls, name) != facts.away_from

    async def order(_progress: Progress) -> str:
        # An order whose answer was lost takes a while: since it was asked about, it may have been carried out.
        if await moved():
            return "Sentinel has done it"
        await tools.caches.fail_over(urls, name)
        return "Sentinel has begun"

    async def wait(progress: Progress) -> str:
        said = "Sentinel has not chosen yet"
        try:
            async with asyncio.timeout(CHOSEN_WITHIN):
                while True:
                    address = await tools.caches.leader(urls, name)
                    if address != facts.away_from:
                        state = await look_at(tools, tools.caches.at(own, address))
                        said = (
                            f"{address} {'is no primary yet' if isinstance(state, CacheState) else 'does not answer'}"
                        )
                        if isinstance(state, CacheState) and state.role == "primary":
                            return f"{address} is the primary"
                    progress(said)
                    await asyncio.sleep(BETWEEN_LOOKS)
        except TimeoutError:
            raise Refused(f"there was no new primary within {CHOSEN_WITHIN:g} s: {said}") from None

    return (
        Step("Let Sentinel fail over", order, moved, None, "Sentinel promotes a replica by itself"),
        Step("Wait for the new primary", wait, not_yet, nothing, by_hand=f"SENTINEL GET-MASTER-ADDR-BY-NAME {name}"),
    )
