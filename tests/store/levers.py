"""What tests of runs start from: an action on a world of switches, a chat that is a list, and replicas on one store."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from bot.access import Access
from bot.action import Action, Change, Plan, Progress, Risk, Step, Tools
from bot.catalogue import Catalogue
from bot.chat import Card, Posted, ReplyTo
from bot.clock import Clock, Pace, wall_clock
from bot.desk import Desk
from bot.effects.planning import PlanEffects
from bot.effects.running import RunEffects
from bot.engine import Engine, Outcome, Performer
from bot.errors import NotNow, RecoveryError, Unavailable
from bot.estate import Estate
from bot.incident import Person, Scenario
from bot.owed import Effect, Owed
from bot.recovery import Recovery
from bot.rules import Case, run_rules_of
from bot.run import Run, RunState
from bot.store import Store
from bot.store.runs import Runs
from tests.store.given import declared, opened, sql
from tests.unit.given import estate, rules

ANA, CHLOE, DEV, GRACE = (Person(f"U0{name.upper()}", name) for name in ("Ana", "Chloe", "Dev", "Grace"))
GROUPS = {"S0RESPOND": {"U0ANA", "U0CHLOE", "U0DEV"}, "S0APPROVE": {"U0CHLOE", "U0DEV"}}


@dataclass
class World:
    """What the actions change. `trouble` is raised by a step's `do` (before or after it happened), once each."""

    name: str = "first"
    against: str = ""
    possible: bool = True
    on: set[str] = field(default_factory=set)
    did: Counter[str] = field(default_factory=Counter)
    trouble: dict[str, list[tuple[str, Exception]]] = field(default_factory=dict)
    stop_at: str = ""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    blind: bool = False
    no_proof: RecoveryError | None = None
    untidy: bool = False

    async def pull(self, lever: str) -> None:
        when, error = self.trouble.get(lever, [("", None)]).pop(0) if self.trouble.get(lever) else ("", None)
        if when == "before" and error is not None:
            raise error
        if self.stop_at == f"before {lever}":
            self.reached.set()
            await self.go_on.wait()
        self.did[lever] += 1
        self.on.add(lever)
        if self.stop_at == f"after {lever}":
            self.reached.set()
            await self.go_on.wait()
        if when == "after" and error is not None:
            raise error


@dataclass(frozen=True, kw_only=True)
class Workshop(Tools):
    """Tools with a world in it."""

    world: World


class LeverFacts(BaseModel):
    name: str
    levers: list[str]


class Pull(Action[LeverFacts]):
    """Pull levers, one after the other."""

    name: ClassVar[str] = "levers.pull"
    risk: ClassVar[Risk] = Risk.HIGH
    scenario: ClassVar[Scenario] = Scenario.OTHER
    usual: ClassVar[timedelta] = timedelta(minutes=2)
    facts: ClassVar[type[BaseModel]] = LeverFacts

    levers: str = Field(default="a,b,c", description="which, with commas between")
    final: str = Field(default="", description="the one that cannot be put back")

    def target(self, estate: Estate) -> str:
        return "the levers"

    async def plan(self, tools: Tools) -> Plan[LeverFacts]:
        assert isinstance(tools, Workshop)
        if not tools.world.possible:
            raise NotNow("the levers are locked away")
        if tools.run and tools.world.stop_at == "plan":
            tools.world.reached.set()
            await tools.world.go_on.wait()
        facts = LeverFacts(name=tools.world.name, levers=self.levers.split(","))
        return Plan(facts, [Change(lever, "off", "on") for lever in facts.levers], undo_says="puts them back",
                    only_override=tools.world.against)  # fmt: skip

    def steps(self, facts: LeverFacts, tools: Tools) -> Sequence[Step]:
        assert isinstance(tools, Workshop)
        return [self._step(lever, tools.world) for lever in facts.levers]

    def _step(self, lever: str, world: World) -> Step:
        async def do(progress: Progress) -> str:
            progress(f"pulling {lever}")
            await world.pull(lever)
            return f"{lever} is on"

        async def done() -> bool | None:
            return None if world.blind else lever in world.on

        async def undo(_progress: Progress) -> None:
            world.did[f"undo {lever}"] += 1
            world.on.discard(lever)

        async def tidy() -> str:
            if world.untidy:
                raise ZeroDivisionError("secret")
            world.on.discard(lever)
            return f"{lever} was put back."

        back = None if lever == self.final else undo
        return Step(f"Pull {lever}", do, done, back, "it is a one-way lever", tidy=tidy if lever == "c" else None)

    async def verify(self, facts: LeverFacts, tools: Tools) -> str:
        assert isinstance(tools, Workshop)
        if tools.world.no_proof is not None:
            raise tools.world.no_proof
        return "the lamp is lit"


class Nudge(Pull):
    """The same, at low risk."""

    name: ClassVar[str] = "levers.nudge"
    risk: ClassVar[Risk] = Risk.LOW


class Overthrow(Pull):
    """The same, at critical risk."""

    name: ClassVar[str] = "levers.overthrow"
    risk: ClassVar[Risk] = Risk.CRITICAL


class Wall:
    """As much of a Chat as runs ask for: messages by place, and who belongs to which group."""

    def __init__(self) -> None:
        self.cards: dict[str, Card] = {}
        self.replies: list[Card] = []
        self.readable = True

    async def post(self, channel: str, card: Card, key: str, thread: str = "") -> Posted:
        ts = f"{len(self.cards) + 1}.0"
        self.cards[ts] = card
        return Posted(channel, ts)

    async def find(self, channel: str, key: str, since: object, thread: str = "") -> Posted | None:
        return None

    async def edit(self, posted: Posted, card: Card) -> bool:
        self.cards[posted.ts] = card
        return True

    async def reply(self, to: ReplyTo, card: Card) -> None:
        self.replies.append(card)

    async def members(self, who: Sequence[str]) -> frozenset[str]:
        if not self.readable:
            raise Unavailable("Slack does not answer")
        return frozenset(p for name in who for p in GROUPS.get(name, {name}))


class Scene:
    """An incident, its recovery desk, and what its people click."""

    def __init__(self, store: Store, world: World, clock: Clock = wall_clock) -> None:
        self.store, self.world, self.clock = store, world, clock
        self.wall = Wall()
        self.estate = estate()
        self.rules = run_rules_of(self.estate, Pace())
        self.catalogue = Catalogue([Pull, Nudge, Overthrow])
        absent: Any = dict.fromkeys((each.name for each in fields(Tools)), None)
        self.tools = Workshop(**absent | {"estate": self.estate, "clock": clock, "run": "", "world": world})
        self.access = Access(self.wall, self.estate)  # type: ignore[arg-type]
        self.desk = Desk(store, self.access, self.estate, rules(), clock)
        self.recovery = Recovery(self.desk, self.catalogue, self.rules)
        self._clicks = 0

    def performers(self) -> Mapping[str, Performer]:
        chat: Any = self.wall
        plans = PlanEffects(chat, self.store, self.tools, self.catalogue, rules(), self.rules, self.clock)

        async def ignore(_effect: Effect, _case: Case | None) -> Outcome:
            return Outcome()

        real = {"run.plan": plans.plan, "run.card": plans.card, "run.watch": plans.watch, "observe": plans.observe}
        real["run"] = RunEffects(self.store, self.tools, self.catalogue, self.rules).run
        return {**dict.fromkeys(_OTHERS, ignore), **real}

    async def click(self) -> str:
        """A click that was stored and is being done; its key."""
        self._clicks += 1
        key = f"action/{id(self)}/{self._clicks}"
        async with self.store.tx() as tx:
            await tx.owe(Owed("test.click", key, key))
            await tx.claim(key, PEOPLE)
        return key

    async def asks(self, name: str = "levers.pull", by: Person = ANA, **words: str) -> int:
        """A run's number, once its plan is made or refused."""
        action: Any = self.catalogue.make(name, words)
        await self.recovery.request(await self.click(), 1, action, by, TO)
        async with self.store.tx() as tx:
            number = (await Runs(tx).of(1))[-1].number
        await self.becomes(number, RunState.PROPOSED, RunState.REFUSED)
        return number

    async def says(self, verb: str, number: int, by: Person, *more: str) -> None:
        await getattr(self.recovery, verb)(await self.click(), number, *more, by, TO)

    async def approves(self, number: int, by: Person, digest: str = "") -> None:
        await self.says("approve", number, by, digest)

    async def run(self, number: int) -> Run:
        return await self.recovery.run(number)

    async def becomes(self, number: int, *states: RunState) -> Run:
        """The run, once it is in one of the states."""
        run = await self.run(number)

        async def look() -> bool:
            nonlocal run
            run = await self.run(number)
            return run.state in states

        await until(look)
        return run

    async def kinds(self) -> list[str]:
        async with self.store.tx() as tx:
            return [entry.kind for entry in await tx.entries(1)]


TO = ReplyTo("U0ANA")
PEOPLE = 10**9
"""The replica that holds the clicks of these tests, and is alive for ever."""
_OTHERS = (
    "board", "say", "ladder", "assess", "reply", "test.click", "announce", "room.create", "page.open", "page.add", "page.proof",
    "tell.rung", "remind", "room.describe", "room.invite", "room.bookmarks", "room.pin", "page.ack",
)  # fmt: skip


def open_room(database: str) -> None:
    """The incident has its room and its board, and people may click."""
    sql(database, "update incident set room = 'C1', room_state = 'open', board_ts = '0.1'")
    sql(
        database,
        "insert into replica (id, beat_at, name) overriding system value values (%s, 'infinity', 'people')",
        PEOPLE,
    )


async def until(look: Callable[[], Awaitable[bool]], within: float = 60.0) -> None:
    """Wait until `look` says yes."""
    async with asyncio.timeout(within):
        while True:
            if await look():
                return
            await asyncio.sleep(0.03)


@asynccontextmanager
async def replica(database: str, scene: Scene, name: str = "one") -> AsyncIterator[Engine]:
    """An engine of its own store on the same database, doing the scene's runs. Leaving it cuts off what is under way."""
    async with opened(database, scene.clock) as store:
        own = Scene(store, scene.world, scene.clock)
        own.wall = scene.wall
        running = Engine(store, own.performers(), scene.clock, name)
        await running.start()
        try:
            yield running
        finally:
            await running.stop(drain=0)


@asynccontextmanager
async def stage(database: str, world: World | None = None, *, engines: int = 1) -> AsyncIterator[Scene]:
    """An open incident with a room, a recovery desk, and a replica that does the work."""
    async with opened(database, wall_clock) as store:
        await declared(store)
        open_room(database)
        scene = Scene(store, world or World())
        if not engines:
            yield scene
            return
        async with replica(database, scene):
            yield scene
