"""The engine: a wake-up names a lane, the head of the lane is claimed, done by its performer, and settled.

Level-triggered: a wake-up says only "look". Lost, late or doubled ones do no harm, because the row decides. Wake-ups ride
on procrastinate's job table, written in the transaction that made the row due; this process also looks at once at what
its own transactions made due, and keeps timers for what falls due soon, so that nothing waits for a poll. A sweep frees
what dead replicas held and finds due rows that nobody looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import procrastinate
from procrastinate import PsycopgConnector, RetryStrategy

from bot.clock import Clock
from bot.ending import ended
from bot.errors import Refused, StoreUnavailable, Unavailable
from bot.owed import TITLES, Effect, board, parked, queue_of, retry_at
from bot.rules import Case, Change
from bot.store import Lanes, Store, TakenOver, Tx
from bot.timeline import Note

log = logging.getLogger("bot.engine")

QUEUES: Mapping[str, int] = {"urgent": 24, "normal": 16, "cosmetic": 6, "runs": 16}
"""How many lanes of a queue are looked at side by side: a page never stands behind a cosmetic edit."""

NOT_ASKED = "not asked yet"
SWEEP_EVERY = 1.0
STALE = timedelta(seconds=4)
EFFECT_DEADLINE = 60.0
OWN_DEADLINE = ("run", "run.plan", "observe")
"""Kinds whose procedures say themselves how long each part may take; all else they call is bounded call by call."""
GIVE_UP_AFTER = 8
"""Tries of one effect, when its neighbour meanwhile does everything else it is asked."""


Settle = Callable[[Case, Tx], Awaitable[Change | None]]
"""Decides, on the freshly locked case, what else changes with an effect that was done."""


@dataclass(frozen=True)
class Outcome:
    """What a performer brings back. `again_at`: the row is due once more then."""

    result: Mapping[str, Any] | None = None
    settle: Settle | None = None
    again_at: datetime | None = None
    asked: bool = True  # False: no neighbour was asked, so nothing was learnt about one
    dropped: bool = False  # True: not wanted now; nothing was done, and it may be owed again


Performer = Callable[[Effect, Case | None], Awaitable[Outcome]]


class Engine:
    """One replica. `start` joins the others, `stop` leaves them; in between, lanes are looked at as they fall due."""

    def __init__(
        self,
        store: Store,
        performers: Mapping[str, Performer],
        clock: Clock,
        name: str,
        deadline: float = EFFECT_DEADLINE,
    ) -> None:
        self._store = store
        self._performers = performers
        self._clock = clock
        self._name = name
        self._deadline = deadline
        self._replica = 0
        self._slots = {queue: asyncio.Semaphore(size) for queue, size in QUEUES.items()}
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._last_good: dict[str, float] = {}
        self._health: dict[str, str] = {"slack": NOT_ASKED, "pagerduty": NOT_ASKED}
        self._running: list[asyncio.Task[None]] = []
        self._stopping = False
        self._store_lost_at = float("-inf")
        self._doing: set[int] = set()
        self._suspects: set[int] = set()
        self.jobs = procrastinate.App(connector=PsycopgConnector())
        self.jobs.task(name="look", pass_context=True, retry=RetryStrategy(max_attempts=20, exponential_wait=2))(
            self._job
        )
        store.on_commit = self.nudge

    async def start(self) -> None:
        """Join the replicas and begin to look."""
        async with self._store.tx() as tx:
            self._replica = await tx.join_replicas(self._name)
        await self.jobs.open_async(self._store.pool)
        self._running = [
            asyncio.create_task(self._work(), name="worker"),
            asyncio.create_task(self._sweep_for_ever(), name="sweep"),
        ]

    async def stop(self, drain: float = 5.0) -> None:
        """Stop looking, let what is under way end within `drain` seconds, and leave; the rest is taken over."""
        self._stopping = True
        for timer in self._timers.values():
            timer.cancel()
        await ended(*self._running)
        if self._looking:
            _, late = await asyncio.wait(self._looking.values(), timeout=drain)
            await ended(*late)
        with contextlib.suppress(StoreUnavailable):
            async with self._store.tx(within=1.0) as tx:
                await tx.leave_replicas(self._replica)

    def health(self) -> Mapping[str, str]:
        """Slack and PagerDuty as their last call said: `ok`, `not asked yet`, or what was wrong."""
        return dict(self._health)

    # Looking

    def nudge(self, lanes: Lanes) -> None:
        """Look at lanes now, in this process."""
        if self._stopping or not self._replica:
            return
        for lane, queue in lanes.items():
            if lane in self._looking:
                self._again.add(lane)
                continue
            task = asyncio.create_task(self._look_in_turn(lane, queue), name=f"look {lane}")
            self._looking[lane] = task
            task.add_done_callback(partial(self._looked, lane, queue))

    def _looked(self, lane: str, queue: str, _task: asyncio.Task[None]) -> None:
        self._looking.pop(lane, None)
        if lane in self._again:
            self._again.discard(lane)
            self.nudge({lane: queue})

    async def _look_in_turn(self, lane: str, queue: str) -> None:
        async with self._slots[queue]:
            while True:
                self._again.discard(lane)
                try:
                    await self.look(lane)
                except StoreUnavailable as error:
                    log.warning("lane %s left for later: %s", lane, error)
                    return
                if lane not in self._again:
                    return

    async def look(self, lane: str) -> None:
        """Do everything in `lane` that is due, one after the other. Raises StoreUnavailable."""
        while not self._stopping:
            case = None
            async with self._store.tx() as tx:
                effect = await tx.claim(lane, self._replica)
                if effect is not None and effect.incident is not None:
                    case = await tx.case(effect.incident, lock=False)
            if effect is None:
                return
            await self._do(effect, case)

    async def _job(self, context: procrastinate.JobContext, lane: str) -> None:
        """A wake-up from the job table."""
        if lane not in self._looking:
            self.nudge({lane: context.job.queue})

    async def _do(self, effect: Effect, case: Case | None) -> None:
        self._doing.add(effect.id)
        try:
            await self._attempt(effect, case)
        finally:
            self._doing.discard(effect.id)

    async def _attempt(self, effect: Effect, case: Case | None) -> None:
        try:
            async with asyncio.timeout(None if effect.kind in OWN_DEADLINE else self._deadline):
                outcome = await self._performers[effect.kind](effect, case)
            if outcome.asked:
                self._good(effect.kind)
            await self._settle(effect, outcome)
        except Unavailable as error:
            await self._later(effect, str(error), error.retry_after, untried=error.untried)
        except TimeoutError:
            await self._later(effect, "no answer in time", None)
        except Refused as error:
            await self._refused(effect, str(error))
        except StoreUnavailable:
            # Done or not, nobody wrote it down: the sweep frees it, and it is read back before it is repeated.
            raise
        # A bug in one effect must stop neither its lane nor its neighbours; it is logged and shown.
        except Exception as error:
            log.exception("effect %s (%s) went wrong", effect.id, effect.kind)
            text = f"internal error ({type(error).__name__}); the log says more"
            if effect.attempts < GIVE_UP_AFTER:
                await self._later(effect, text, None)
            else:
                await self._refused(effect, text)

    def _good(self, kind: str) -> None:
        neighbour = _neighbour(kind)
        if neighbour:
            self._last_good[neighbour] = self._clock().timestamp()
            self._health[neighbour] = "ok"

    async def _settle(self, effect: Effect, outcome: Outcome) -> None:
        async with self._store.tx() as tx:
            change = None
            if effect.incident is not None and outcome.settle is not None:
                change = await outcome.settle(await tx.case(effect.incident), tx)
            ours = await tx.finish(effect, self._replica, outcome.result, outcome.again_at, dropped=outcome.dropped)
            if not ours and outcome.settle is not None:
                # Taken over or settled elsewhere: what was decided here must not be written.
                raise TakenOver
            if change is not None:
                await tx.apply(change)
            if ours and effect.attempts > 1 and effect.error:
                await self._show_trouble(tx, effect)

    @staticmethod
    async def _show_trouble(tx: Tx, effect: Effect) -> None:
        """The board names what does not work, and stops naming it when it does."""
        if effect.incident is None or effect.kind not in TITLES or effect.kind == "board":
            return
        incident = (await tx.case(effect.incident)).incident
        shown = board(incident)
        await tx.owe(shown, waits=parked(shown, incident))

    async def _later(self, effect: Effect, error: str, retry_after: float | None, *, untried: bool = False) -> None:
        if _neighbour(effect.kind):
            self._health[_neighbour(effect.kind)] = error
        began = effect.begun_at.timestamp() if effect.begun_at else 0.0
        others_work = self._last_good.get(_neighbour(effect.kind), 0.0) > began > 0
        if (
            effect.attempts >= GIVE_UP_AFTER
            and others_work
            and retry_after is None
            and effect.kind.startswith(("say", "tell", "reply"))
        ):
            await self._refused(effect, f"{error}; given up after {effect.attempts} tries")
            return
        log.info("effect %s (%s) later: %s", effect.id, effect.kind, error)
        async with self._store.tx() as tx:
            due_at = retry_at(tx.now, effect.attempts, retry_after, random.random())  # noqa: S311  spreads replicas
            await tx.postpone(effect, self._replica, due_at, error, untried=untried)
            if effect.attempts == 2:
                await self._show_trouble(tx, effect)

    async def _refused(self, effect: Effect, error: str) -> None:
        log.warning("effect %s (%s) refused: %s", effect.id, effect.kind, error)
        async with self._store.tx() as tx:
            if not await tx.fail(effect, self._replica, error) or effect.incident is None or effect.kind not in TITLES:
                return
            case = await tx.case(effect.incident)
            note = Note(
                "effect_failed", f"{TITLES[effect.kind]}: {error}", data={"effect": effect.id, "kind": effect.kind}
            )
            await tx.apply(Change(case, (note,), () if effect.kind == "board" else (board(case.incident),)))

    # Waking

    async def _work(self) -> None:
        """A procrastinate worker that is started again whenever Postgres took it down.

        One for all queues: a wake-up is over in no time, it is the looking that takes turns by queue.
        """
        while not self._stopping:  # cancelled while the store is gone, the worker ends with the store's error instead
            try:
                await self.jobs.run_worker_async(
                    name=self._name, concurrency=8, fetch_job_polling_interval=1.0, install_signal_handlers=False,
                    shutdown_graceful_timeout=1.0, delete_jobs="always", update_heartbeat_interval=5, stalled_worker_timeout=20,
                )  # fmt: skip
            except Exception as error:  # noqa: BLE001  whatever ended it, wake-ups must flow again
                log.warning("the worker ended (%s)", type(error).__name__)
            if not self._stopping:
                await asyncio.sleep(1.0)

    async def _sweep_for_ever(self) -> None:
        while not self._stopping:
            pause = SWEEP_EVERY
            try:
                pause = min(await self._sweep(), SWEEP_EVERY)
            except StoreUnavailable as error:
                self._store_lost_at = asyncio.get_running_loop().time()
                log.warning("sweep: %s", error)
            except Exception:  # the sweep is what repairs everything else: it must never die
                log.exception("sweep went wrong")
            await asyncio.sleep(pause)

    async def _sweep(self) -> float:
        """Beat, free what dead replicas held, and set timers for what falls due before the next sweep. Seconds until another
        replica may be dead: who comes after a crash takes over at once, and not a sweep later."""
        async with self._store.tx() as tx:
            stale_in = await tx.beat(self._replica, STALE)
            if stale_in is None:
                self._replica, stale_in = await tx.join_replicas(self._name), SWEEP_EVERY
            await self._free_orphans(tx)
            # After an outage of the store every replica looks dead until it has beaten again.
            if asyncio.get_running_loop().time() - self._store_lost_at > STALE.total_seconds():
                await tx.take_over(STALE)
            soon = await tx.due_soon(tx.now + timedelta(seconds=SWEEP_EVERY * 1.5))
            now = tx.now
        loop = asyncio.get_running_loop()
        for due in soon:
            wait = (due.due_at - now).total_seconds()
            queue = queue_of(due.kind)
            if wait <= 0:
                self.nudge({due.lane: queue})
            else:
                previous = self._timers.pop(due.lane, None)
                if previous is not None:
                    previous.cancel()
                self._timers[due.lane] = loop.call_later(wait, self._alarm, due.lane, queue)
        return stale_in

    async def _free_orphans(self, tx: Tx) -> None:
        """Free what this replica holds but does not do: its end, or its beginning, was lost with the store.

        Only what was seen so twice: a claim may be on its way back to us this very moment.
        """
        idle = await tx.held_by(self._replica) - self._doing
        await tx.release(sorted(idle & self._suspects), self._replica)
        self._suspects = idle

    def _alarm(self, lane: str, queue: str) -> None:
        self._timers.pop(lane, None)
        self.nudge({lane: queue})


def _neighbour(kind: str) -> str:
    """Whom an effect of this kind asks; empty for decisions of our own."""
    if kind in ("page.open", "page.add", "page.ack", "page.resolve", "watch"):
        return "pagerduty"
    return (
        "slack" if kind.startswith(("room", "board", "announce", "say", "tell", "report", "reply", "run.card")) else ""
    )
