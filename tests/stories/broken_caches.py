"""A cluster, its Redis and a replica, with all that can be broken between them and the bot; for what an action does then."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis
from redis.exceptions import ReadOnlyError

from actions import CATALOGUE
from bot.action import Action, Step, Tools
from bot.catalogue import Catalogue
from bot.clients.caches import RedisCaches
from bot.clients.kubernetes import Kubernetes
from bot.clients.toolbox import toolbox
from bot.clock import wall_clock
from bot.errors import Unavailable
from bot.estate import load
from bot.tools import Workload
from sandbox.cluster import Cluster
from sandbox.practice import Part, Practice
from tests.stories.redis_wire import RedisWire, redis_wire
from tests.stories.scene import eventually
from tests.stories.steps import FAULTS

HERE = "production"
OF_BOTH = (("429", "silent"), ("500", "lost"), ("lost", "-LOADING Redis is loading the dataset in memory"))
"""How the cluster fails, and how Redis does."""
_PARTS: tuple[Part, ...] = ("redis", "redis-replica", "cluster")
_CATALOG = Catalogue(CATALOGUE)
_CLASS = re.compile(r"Error\b|Exception|Traceback|Errno|<|b'")
"""What no sentence for people has in it."""


def silently(_detail: str) -> None:
    """Progress that nobody reads."""


def doing(step: Step) -> Callable[[], Awaitable[Any]]:
    """Do it once."""
    return lambda: step.do(silently)


def plain(said: str) -> str:
    """A sentence for people."""
    assert not _CLASS.search(said), said
    return said


@dataclass
class Stage:
    """A cluster, its Redis and a replica, and the bot's tools, with a wire to each Redis that can be broken."""

    practice: Practice
    cluster: Cluster
    tools: Tools
    wires: dict[str, RedisWire]

    @property
    def caches(self) -> RedisCaches:
        assert isinstance(self.tools.caches, RedisCaches)
        return self.tools.caches

    async def steps(self, name: str, run: str, **words: str) -> tuple[Any, list[Step], Callable[[], Awaitable[str]]]:
        """The facts of an action, its steps as its run has them, and its verification."""
        action: Any = _CATALOG.make(name, words)
        assert isinstance(action, Action)
        facts, tools = (await action.plan(self.tools)).facts, replace(self.tools, run=run)
        return facts, list(action.steps(facts, tools)), lambda: action.verify(facts, tools)

    @contextmanager
    def impatient(self) -> Iterator[None]:
        """Who has to stay silent is not waited for long; from then on, everybody is."""
        if any("silent" in hows for wire in self.wires.values() for hows in wire.faults.values()):
            self.caches.deadline = 0.5
        try:
            yield
        finally:
            self.patient()

    def patient(self) -> None:
        self.caches.deadline = 20.0

    async def through(self, step: Step) -> tuple[list[str], str]:
        """Carry a step out as a run does, until nothing is left to go wrong: what was Unavailable, and what the step said."""
        errors: list[str] = []
        for _ in range(20):
            try:
                with self.impatient():
                    said = await step.do(silently) or ""
            except Unavailable as error:
                errors.append(plain(str(error)))
                said = ""
            else:
                if not any(wire.waiting for wire in self.wires.values()):
                    return errors, plain(said)
            assert step.done is not None
            if await step.done():
                return errors, said
        raise AssertionError(f"“{step.title}” never came to an end: {errors}")

    async def undone(self, step: Step) -> None:
        """Undo it as a run does: what fails is tried again."""
        assert step.undo is not None
        for _ in range(20):
            try:
                with self.impatient():
                    await step.undo(silently)
            except Unavailable as error:
                plain(str(error))
            else:
                break
        await step.undo(silently)

    async def fails(self, ask: Callable[[], Awaitable[Any]], error: type[Exception] = Unavailable) -> str:
        """What it says when it fails so, asked until nothing is left to go wrong."""
        for _ in range(20):
            with self.impatient(), pytest.raises(error) as raised:
                await ask()
            if not any(wire.waiting for wire in self.wires.values()):
                break
        return plain(str(raised.value))

    def fail_at(self, how: str, *calls: str) -> int:
        """Let these calls of the API server fail once each; how many of them are noticed: a read or a deletion whose answer is lost
        is asked for again by the library itself."""
        for call in calls:
            self.cluster.faults.fail[call] = replace(FAULTS[how])
        return sum(how != "lost" or call.startswith("patch") for call in calls)

    async def not_in_time(self, step: Step) -> None:
        """The API server does not answer within the deadline: nobody knows, and it had not begun."""
        client = self.tools.cluster
        assert isinstance(client, Kubernetes)
        self.cluster.faults.slow, client.connection.deadline = 60.0, 0.1
        try:
            assert "did not answer within" in await self.fails(doing(step))
        finally:
            self.cluster.faults.slow, client.connection.deadline = 0.0, 10.0
        assert step.done is not None
        assert await step.done() is False

    def went_wrong(self) -> None:
        """Whatever was to go wrong did."""
        assert not [(wire.to, wire.faults) for wire in self.wires.values() if wire.waiting]
        assert not self.cluster.faults.fail

    async def seen(self, name: str = "api-server") -> Workload:
        return await self.tools.cluster.workload("deployment", HERE, name)

    async def settings(self, server: str) -> tuple[int, str]:
        state = await self.caches.state(self.wires[server].url)
        return state.max_memory, state.policy

    async def takes_writes(self, server: str) -> bool | None:
        """Whether a write is done; None for one that is held."""
        to = self.wires[server].to
        async with Redis.from_url(to, client_name="writer") as writer, Redis.from_url(to) as other:
            writing = asyncio.ensure_future(writer.set("test", "1"))

            async def look() -> bool:
                held = [one for one in await other.client_list() if one["name"] == "writer" and "b" in one["flags"]]
                return writing.done() or bool(held)

            await eventually(look)
            if not writing.done():
                writing.cancel()
            (said,) = await asyncio.gather(writing, return_exceptions=True)
        if isinstance(said, asyncio.CancelledError):
            return None
        assert said is True or isinstance(said, ReadOnlyError)
        return said is True

    async def linked(self) -> tuple[str, str]:
        """The primary that the application uses and its replica, once it has everything."""
        url = (await self.seen()).env["REDIS_URL"]
        primary = next(name for name, wire in self.wires.items() if wire.url == url)
        (replica,) = set(self.wires) - {primary}

        async def look() -> bool:
            one, two = [await self.caches.state(self.wires[name].url) for name in (primary, replica)]
            return two.linked and (one.role, two.role) == ("primary", "replica") and one.history == two.history

        await eventually(look)
        return primary, replica


@asynccontextmanager
async def broken_caches() -> AsyncIterator[Stage]:
    """Start it; the application is told the addresses of the wires."""
    async with AsyncExitStack() as stack:
        practice = await stack.enter_async_context(Practice(parts=_PARTS))
        assert practice.cluster is not None
        wires = {
            name: await stack.enter_async_context(redis_wire(practice.env[variable]))
            for name, variable in (("redis", "REDIS_URL"), ("replica", "REPLICA_REDIS_URL"))
        }
        environ = practice.env | {"REDIS_URL": wires["redis"].url, "REPLICA_REDIS_URL": wires["replica"].url}
        session = await stack.enter_async_context(aiohttp.ClientSession())
        cluster = Kubernetes(environ)
        stack.push_async_callback(cluster.aclose)
        estate = load(Path("estate.yml"), environ).model_copy(update={"application": None})
        made = Stage(practice, practice.cluster, toolbox(estate, cluster, session, wall_clock), wires)
        await made.tools.cluster.set_env(await made.seen(), "REDIS_URL", wires["redis"].url)
        made.patient()
        for wire in wires.values():
            wire.hit = made.patient
        yield made
