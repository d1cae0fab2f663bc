"""One point of a run, run: plan, approve, die, start again on the same store, and look at what the world has become."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import psycopg

from bot.run import Run, RunState
from bot.store.runs import Runs
from tests.crash.ground import Ground
from tests.crash.instant import BY_TWO, RunDeath, RunPoint
from tests.crash.run import left_undone
from tests.crash.runproof import Before, before, broken

NEVER_CAME = 20.0
"""Seconds after which a chosen instant that has not come is not waited for."""
SETTLED_WITHIN = 90.0
LINGERS = 0.4
"""Seconds after the end of a run in which a chosen instant may still come."""
ANEW = 6.0
"""Seconds that a plan may wait for an approval that was given, before it is given once more."""
BETWEEN = 0.1

COMMAND = {
    "failover": "/recover database.failover",
    "switchover": "/recover database.failover mode=switchover",
    "restore": "/recover database.restore",
    "rotate": "/recover secrets.rotate",
    "node": "/recover node.recover node={node}",
    "dns": "/recover dns.failover",
    "rebuild": "/recover infrastructure.rebuild data=keep",
    "undo-restore": "/recover database.restore",
    "undo-dns": "/recover dns.failover",
}


@dataclass(frozen=True)
class RunResult:
    """What a point showed: `wrong` is empty when every invariant holds. `seconds`: from ready to nothing left undone."""

    point: RunPoint
    deaths: tuple[str, ...]
    wrong: tuple[str, ...]
    seconds: float
    outcome: str
    lost: int
    log: str = ""

    def __str__(self) -> str:
        head = f"{self.point}  ({'; '.join(self.deaths)})  {self.outcome}, {self.seconds:.1f} s after ready"
        head += f", {self.lost} writes lost" if self.lost else ""
        if not self.wrong:
            return f"ok    {head}"
        return "\n".join(
            [f"WRONG {head}", *(f"      - {line}" for line in self.wrong), f"      again: {self.point.repeat}"]
        )


async def run_point(point: RunPoint, on: Ground) -> RunResult:
    """Run it. A ground on which something went wrong is not to be used again."""
    await on.fresh()
    async with on.busy():
        begun = await before(on, point, await _number(on))
        story = _Story(point, on, begun)
        await story.breaks()
        async with on.guarded():
            await story.lives()
            await on.practice.bot.start()
            await on.practice.bot.ready(60)
            since = time.monotonic()
            undone = await story.settles()
        seconds = time.monotonic() - since
    run = await story.run()
    wrong, lost = await broken(on, point, begun, run)
    wrong = [*undone, *wrong]
    log = on.practice.bot.said(400) if wrong else ""
    outcome = str(run.state) if run is not None else "never asked"
    return RunResult(point, tuple(story.deaths), tuple(wrong), seconds, outcome, lost, log)


async def _number(on: Ground) -> int:
    """Of the run that comes next."""
    rows = await on.it.sql("select coalesce(max(number), 0) + 1 as number from run")
    return int(rows[0]["number"])


class _Story:
    def __init__(self, point: RunPoint, on: Ground, begun: Before) -> None:
        self._point, self._on, self._begun = point, on, begun
        self.deaths: list[str] = []
        self._approved = 0.0
        self._undoing = False

    async def breaks(self) -> None:
        """What the run is there for."""
        primary, standby = self._on.practice.postgres, self._on.practice.standby
        if self._point.of == "node":
            await self._on.silence(self._begun.node)
        if self._point.of != "failover":
            return
        assert primary is not None and standby is not None  # noqa: PT018
        if self._point.behind:
            await _cut(standby.admin_url)
            await self._writes(6)
        await primary.kill()
        self._begun.broken_at = time.time()

    async def _writes(self, more: int) -> None:
        enough = len(self._on.written) + more
        while len(self._on.written) < enough:  # noqa: ASYNC110  the customers are elsewhere
            await asyncio.sleep(BETWEEN)

    async def lives(self) -> None:
        """The deaths come one after the other; people go on with what they see."""
        killer, bot = self._on.killer, self._on.practice.bot
        if self._point.undoes:
            await self._succeeds()
        for number, death in enumerate(self._point.deaths):
            async with killer.aiming(death):
                if number:
                    await bot.start()
                    killer.now()
                    await self._dies(death)
                else:
                    dying = asyncio.create_task(self._dies(death), name="death")
                    await self._asks()
                    await dying
            self.deaths.append(killer.struck)

    async def _asks(self) -> None:
        """For the run, or for its undo once it has succeeded."""
        run = await self.run()
        asked = COMMAND[self._point.of].partition(" ")[2].format(node=self._begun.node)
        words = asked if run is None else f"undo {run.id}"
        who = "U0ANA" if run is None else "U0CHLOE"
        if run is not None:
            self._approved = time.monotonic()
            self._on.killer.now()
        await self._on.it.post("/ui/command", user=who, channel=self._on.room, command="/recover", text=words)

    async def _succeeds(self) -> None:
        """All of it, and nobody dies."""
        await self._asks()
        ended = (self._begun.number, "run", "ended")
        while ended not in self._on.killer.seen:
            await asyncio.sleep(BETWEEN)
            await self._urge(await self.run())
        run = await self.run()
        assert run is not None and run.state is RunState.SUCCEEDED, run  # noqa: PT018
        self._begun.checkpoints, self._undoing = len(self._on.killer.seen), True

    async def _urge(self, run: Run | None) -> None:
        """What waits for people: a plan, or the undo of what has succeeded. Asked again when nothing has come of it."""
        if run is None:
            return
        if run.state is RunState.PROPOSED:
            await self._approve(run)
        elif self._undoing and run.state is RunState.SUCCEEDED and time.monotonic() >= self._approved + ANEW:
            await self._asks()

    def over(self, run: Run) -> bool:
        """Whether it has come to its end, an undo to its own."""
        return run.state.ended and not (self._point.undoes and run.state is RunState.SUCCEEDED)

    async def _dies(self, death: RunDeath) -> None:
        """Until the bot is dead. The plan is approved once it is there; after the end of the run not much can come."""
        bot, killer = self._on.practice.bot, self._on.killer
        give_up = time.monotonic() + NEVER_CAME
        ended = 0.0
        while not bot.ended.is_set():
            await asyncio.sleep(BETWEEN)
            run = await self.run()
            await self._urge(run)
            if run is not None and self.over(run):
                ended = ended or time.monotonic()
            if time.monotonic() > give_up or (ended and time.monotonic() > ended + LINGERS):
                killer.strike("quiet")
                await bot.ended.wait()

    async def run(self) -> Run | None:
        """The run as it stands; None while it was not asked for."""
        number = self._begun.number
        async with self._on.it.store.tx() as tx:
            known = await tx.one("run", numbers=[number])
            return None if known is None else await Runs(tx).run(number)

    async def _approve(self, run: Run) -> None:
        """Chloe, and Dev where two must; once, and once more when nothing has come of it for long."""
        if self._approved and time.monotonic() < self._approved + ANEW:
            return
        self._approved = time.monotonic()
        self._on.killer.now()
        for who in ("U0CHLOE", "U0DEV")[: 2 if self._point.of in BY_TWO else 1]:
            if all(vote.who.id != who for vote in run.votes):
                await self._on.it.post("/ui/command", user=who, channel=self._on.room, command="/recover",
                                       text=f"approve {run.id}")  # fmt: skip

    async def settles(self) -> list[str]:
        """Wait until the run has ended and nothing is left to do; what is left when that does not come about."""
        end = time.monotonic() + SETTLED_WITHIN
        left = ["?"]
        while left and time.monotonic() < end:
            await asyncio.sleep(3 * BETWEEN)
            run = await self.run()
            await self._urge(run)
            left = await left_undone(self._on.it.store, whole_ladder=False)
            if run is not None and not self.over(run):
                left.append(f"{run.id} is {run.state}")
        return [f"left undone: {line}" for line in left]


async def _cut(url: str) -> None:
    """The standby at `url` hears nothing of its primary any more."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await conn.execute("alter system set primary_conninfo = ''")
        await conn.execute("select pg_reload_conf()")
        hears = "select from pg_stat_wal_receiver"
        while await (await conn.execute(hears)).fetchall():  # noqa: ASYNC110  it is elsewhere
            await asyncio.sleep(BETWEEN / 4)
