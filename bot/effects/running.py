"""A run under way: step by step, each a checkpoint, so that whoever takes it up knows what has happened.

Only the holder of the run's lease works on it, and it looks at the lease before each effect. Every write names the epoch
it believes in, so that a process that was frozen and overtaken writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

from bot import owed
from bot import run as runs
from bot.action import Action, NotVerified, Step, Tools, WaitsForPerson, moved
from bot.catalogue import Catalogue
from bot.clock import spoken
from bot.effects.planning import plan
from bot.ending import ended
from bot.engine import Outcome
from bot.errors import NeighbourError, NotFound, RecoveryError, StoreUnavailable, Unavailable
from bot.owed import Effect
from bot.recovery import owe, shown, write_end
from bot.rules import Case, Change, told
from bot.run import Run, RunRules, RunState, StepRow, StepState
from bot.store import Store
from bot.store.runs import Lease, Overtaken, Runs, lease
from bot.timeline import Note

log = logging.getLogger("bot.run")

TRIES = 5
"""How often a step is tried when its neighbour does not answer; each time it is probed first."""

GIVE_UP_AFTER = 4
"""How often a run is taken up again after an error that nobody foresaw."""


class Ended(Exception):
    """The run is over, or has to wait: nothing more is to be done now."""


class RunEffects:
    """Performer of `run`."""

    def __init__(self, store: Store, tools: Tools, catalogue: Catalogue, rules: RunRules) -> None:
        self._store = store
        self._tools = tools
        self._catalogue = catalogue
        self._rules = rules

    async def run(self, effect: Effect, _case: Case | None) -> Outcome:
        """Take a run up where it stands, and bring it to an end. Raises Unavailable when it has to be taken up again."""
        number = int(effect.args["run"])
        async with self._store.tx() as tx:
            run = await Runs(tx).run(number)
        if not run.worked_on:
            return Outcome(asked=False)
        try:
            async with lease(self._store, run.id) as held:
                async with self._store.tx() as tx:
                    epoch = await Runs(tx).take(number)
                await self._work(Worker(self._store, run, epoch, held, self._tools, self._catalogue, self._rules), held)
        except Overtaken as error:
            log.warning("%s is not ours any more", run.id)
            # Another process has it, and with it this effect; or only the connection broke, and it is ours to take up again.
            async with self._store.tx() as tx:
                if (await Runs(tx).run(number)).worked_on:
                    raise Unavailable(f"{run.id} lost its lease; it is taken up again") from error
        except (StoreUnavailable, Unavailable):
            raise
        # Whatever cannot go on (a bug, an action that this version does not know) must not hold its locks for ever.
        except Exception as error:
            if effect.attempts < GIVE_UP_AFTER:
                raise
            log.exception("%s cannot go on", run.id)
            await self._give_up(number, type(error).__name__)
        return Outcome(asked=False)

    async def _give_up(self, number: int, error: str) -> None:
        async with self._store.tx() as tx:
            seen = await Runs(tx).run(number)
            case = await tx.case(seen.incident)
            run = await Runs(tx).run(number, lock=True)
            text = f"internal error ({error}): nobody can tell how far it came. A human must look"
            run = runs.end(run, RunState.UNKNOWN, text, tx.now)
            await Runs(tx).save(run)
            await Runs(tx).unlock(run)
            note = Note("run_ended", f"{run.id} {run.action} unknown: {text}", data={"run": run.id, "state": "unknown"})
            await tx.apply(Change(case, (note,), shown(case, run)))

    @staticmethod
    async def _work(worker: Worker, held: Lease) -> None:
        """Work while the lease is ours; the moment it is not, everything of ours is cut off."""
        work = asyncio.create_task(worker.go(), name="run")
        watch = asyncio.create_task(held.watch(), name="lease")
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            errors = await ended(work, watch)
        for error in errors:
            raise error


class Worker:
    """One process working on one run."""

    def __init__(
        self, store: Store, run: Run, epoch: int, held: Lease, tools: Tools, catalogue: Catalogue, rules: RunRules
    ) -> None:
        self._store = store
        self._run = run
        self._epoch = epoch
        self._lease = held
        self._tools = replace(tools, run=run.id)
        self._rules = rules
        self._action: Action[Any] = catalogue.action(run.action, run.parameters)
        self._detail = ""
        self._changed = asyncio.Event()

    async def go(self) -> None:
        """Bring the run to an end. Raises Overtaken, StoreUnavailable."""
        telling = asyncio.create_task(self._tell(), name=f"{self._run.id} progress")
        try:
            if self._run.state is RunState.UNDOING:
                await self._undo()
            else:
                await self._forward()
        except Ended:
            pass
        finally:
            await ended(telling)

    async def _forward(self) -> None:
        if not any(step.touched for step in self._run.steps):
            await self._plan_again()
        for step, row in zip(self._steps(), self._run.steps, strict=True):
            if row.state is not StepState.DONE:
                await self._stop_if_asked(row)
                await self._step(step, row)
        await self._verify()

    def _steps(self) -> Sequence[Step]:
        assert self._run.plan is not None, "a run that runs has a plan"  # noqa: S101  a bug, not an answer
        facts = type(self._action).facts.model_validate(dict(self._run.plan.facts))
        return self._action.steps(facts, self._tools)

    async def _plan_again(self) -> None:
        """Under the locks: what was approved is what runs, or nothing does."""
        try:
            shown_now, digest = await plan(self._action, self._tools)
        except RecoveryError as error:
            await self._end(RunState.REFUSED, f"not possible any more, nothing was changed: {error}")
        if digest == self._run.digest:
            return
        before = dict(self._run.plan.facts) if self._run.plan else {}
        drift = moved(before, shown_now.facts)
        if shown_now.only_override and not (self._run.plan and self._run.plan.only_override):
            drift = [*drift, f"an approval does not suffice any more: {shown_now.only_override}"]
        shown_now = replace(shown_now, drift=drift or ["what was said against it before does not hold any more"])
        async with self._store.tx() as tx:
            case = await tx.case(self._run.incident)
            run = await Runs(tx).mine(self._run.number, self._epoch)
            run = runs.proposed(run, shown_now, digest, self._rules, tx.now)
            await Runs(tx).save(run)
            await Runs(tx).unlock(run)
            text = f"{run.id} {run.action}: what it decides on has moved, the approval is void: {'; '.join(shown_now.drift)}"
            await tx.apply(
                Change(case, (Note("run_drifted", text, data={"run": run.id, "plan": digest}),), shown(case, run))
            )
            await tx.owe(owe(run, "run.watch", standing=True))
        raise Ended

    async def _stop_if_asked(self, row: StepRow) -> None:
        async with self._store.tx() as tx:
            fresh = await Runs(tx).mine(self._run.number, self._epoch)
        self._run = replace(self._run, stop_by=fresh.stop_by)
        if fresh.stop_by is not None and row.state is StepState.WAITING:
            await self._end(RunState.STOPPED, f"stopped by {fresh.stop_by.name} before “{row.title}”")

    async def _step(self, step: Step, row: StepRow) -> None:
        """Once: begun, done, written down. What was begun before is probed first."""
        if row.state is not StepState.WAITING:
            probed = await self._probe(step)
            if probed is None:
                await self._unknown(
                    step, row, "it was under way when the process ended, and nobody can tell whether it happened"
                )
            if probed:
                await self._mark(row, StepState.DONE, row.detail or "found done")
                return
        for attempt in range(1, TRIES + 1):
            row = await self._mark(row, StepState.BEGUN)
            await self._lease.check()
            try:
                said = await step.do(self._report)
            except (StoreUnavailable, Overtaken):
                raise
            except WaitsForPerson as waits:
                await self._wait(row, str(waits))
            except Exception as error:
                if not isinstance(error, RecoveryError):
                    # A bug in one action must end in a true word on its card.
                    log.exception("%s: “%s” went wrong", self._run.id, step.title)
                if await self._after(step, row, error, last=attempt == TRIES):
                    return
                asked = error.retry_after if isinstance(error, Unavailable) else None
                await asyncio.sleep(runs.pause(attempt, asked))
            else:
                await self._mark(row, StepState.DONE, said or self._detail)
                return

    async def _after(self, step: Step, row: StepRow, error: Exception, *, last: bool) -> bool:
        """After an error: True when it had happened all the same, False to try again. Else the run ends."""
        words = str(error) if isinstance(error, RecoveryError) else f"internal error ({type(error).__name__})"
        if not isinstance(error, Unavailable) and isinstance(error, RecoveryError):
            await self._failed(step, row, words)
        probed = await self._probe(step)
        if probed:
            await self._mark(row, StepState.DONE, self._detail or "found done")
            return True
        if probed is None:
            await self._unknown(step, row, words)
        if last or not isinstance(error, Unavailable):
            await self._failed(step, row, words)
        return False

    async def _probe(self, step: Step) -> bool | None:
        """Whether it has happened; None when nobody can tell."""
        if step.done is None:
            return None
        for attempt in range(TRIES):
            await self._lease.check()
            try:
                return await step.done()
            except Unavailable as error:
                self._report(f"asking whether it has happened: {error}")
                await asyncio.sleep(runs.pause(attempt + 1, error.retry_after))
            except RecoveryError as error:
                log.warning("%s: “%s” cannot be probed: %s", self._run.id, step.title, error)
                return None
        return None

    async def _mark(self, row: StepRow, state: StepState, detail: str = "") -> StepRow:
        """The checkpoint of one step."""
        async with self._store.tx() as tx:
            case = await tx.case(self._run.incident)
            run = await Runs(tx).mine(self._run.number, self._epoch)
            began = tx.now if state in (StepState.BEGUN, StepState.UNDOING) and row.state is not state else row.begun_at
            ended = None if state in (StepState.BEGUN, StepState.UNDOING) else tx.now
            marked = replace(row, state=state, detail=detail, begun_at=began, ended_at=ended)
            run = runs.with_step(run, marked)
            await Runs(tx).save(run)
            notes: tuple[Note, ...] = ()
            if ended is not None:
                took = f" in {spoken(ended - began)}" if began else ""
                said = f": {detail}" if detail else ""
                notes = (Note("run_step", f"{run.id} “{row.title}” {state}{took}{said}", data={"run": run.id}),)
            await tx.apply(Change(case, notes, shown(case, run)[:1]))
        self._run, self._detail = run, ""
        return marked

    async def _wait(self, row: StepRow, why: str) -> NoReturn:
        """For people outside, unless somebody has asked to stop meanwhile."""
        async with self._store.tx() as tx:
            case = await tx.case(self._run.incident)
            run = await Runs(tx).mine(self._run.number, self._epoch)
            run = replace(runs.with_step(run, replace(row, detail=why)), state=RunState.WAITING)
            if run.stop_by is not None:
                await write_end(tx, case, runs.stop(run, run.stop_by, tx.now))
            else:
                await Runs(tx).save(run)
                note = Note("run_waits", f"{run.id} {run.action} waits for people: {why}", data={"run": run.id})
                await tx.apply(Change(case, (note,), shown(case, run)))
        raise Ended

    async def _failed(self, step: Step, row: StepRow, why: str) -> NoReturn:
        tidied = await self._tidy(step)
        await self._mark(row, StepState.FAILED, why)
        parts = (f"“{step.title}” failed: {why.rstrip('.')}.", tidied, runs.half_done(self._run), step.by_hand)
        await self._end(RunState.FAILED, " ".join(filter(None, parts)))

    async def _tidy(self, step: Step) -> str:
        """What became of what the failed step left. A process that dies here takes the step up again, and comes back here."""
        if step.tidy is None:
            return ""
        await self._lease.check()
        try:
            return await step.tidy()
        except (StoreUnavailable, Overtaken):
            raise
        except Exception as error:  # the step has failed, and its card has to say so whatever happens here
            log.exception("%s: what “%s” left was not taken away", self._run.id, step.title)
            return f"What it left was not taken away ({type(error).__name__}); look for it."

    async def _unknown(self, step: Step, row: StepRow, why: str) -> NoReturn:
        await self._mark(row, StepState.UNKNOWN, why)
        text = f"nobody can tell whether “{step.title}” happened ({why.rstrip('.')}). A human must look."
        await self._end(RunState.UNKNOWN, f"{text} {runs.half_done(self._run)} {step.by_hand}".strip())

    async def _verify(self) -> None:
        assert self._run.plan is not None  # noqa: S101  a bug, not an answer
        facts = type(self._action).facts.model_validate(dict(self._run.plan.facts))
        await self._lease.check()
        try:
            seen = await self._action.verify(facts, self._tools)
        except (NotVerified, NeighbourError, NotFound) as error:
            await self._end(RunState.UNVERIFIED, f"every step ran, but the proof was not seen: {error}")
        else:
            await self._end(RunState.SUCCEEDED, seen)

    async def _undo(self) -> None:
        """What was begun, last first. An undo may be repeated, so a crash needs no probe here."""
        steps = self._steps()
        for row in reversed(self._run.steps):
            undo = steps[row.number].undo
            if not row.touched:
                continue
            if undo is None:
                await self._end(RunState.FAILED, f"undo stopped at “{row.title}”, a point of no return")
            await self._undo_step(undo, await self._mark(row, StepState.UNDOING))
        await self._end(RunState.UNDONE, "everything that was begun is undone")

    async def _undo_step(self, undo: Any, row: StepRow) -> None:
        for attempt in range(1, TRIES + 1):
            await self._lease.check()
            try:
                await undo(self._report)
            except (StoreUnavailable, Overtaken):
                raise
            except RecoveryError as error:
                if isinstance(error, Unavailable) and attempt < TRIES:
                    await asyncio.sleep(runs.pause(attempt, error.retry_after))
                    continue
                await self._mark(row, StepState.FAILED, f"undo failed: {error}")
                await self._end(RunState.FAILED, f"undoing “{row.title}” failed: {error}")
            else:
                await self._mark(row, StepState.UNDONE, self._detail)
                return

    async def _end(self, state: RunState, outcome: str) -> NoReturn:
        async with self._store.tx() as tx:
            case = await tx.case(self._run.incident)
            run = await Runs(tx).mine(self._run.number, self._epoch)
            run = runs.end(run, state, outcome, tx.now)
            await write_end(tx, case, run)
        self._run = run
        raise Ended

    def _report(self, detail: str) -> None:
        self._detail = detail
        self._changed.set()

    async def _tell(self) -> None:
        """The live detail on the card, at most once a second."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            with contextlib.suppress(StoreUnavailable):
                async with self._store.tx() as tx:
                    run = await Runs(tx).mine(self._run.number, self._epoch)
                    row = next((s for s in run.steps if s.state in (StepState.BEGUN, StepState.UNDOING)), None)
                    if row is not None and self._detail:
                        await Runs(tx).put_step(run.number, replace(row, detail=self._detail[:300]))
                        case = told(await tx.case(run.incident, lock=False))
                        card = shown(case, run)[0]
                        await tx.owe(card, waits=owed.parked(card, case.incident))
            await asyncio.sleep(1.0)
