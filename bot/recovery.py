"""The desk of recovery: what a person asks for about runs. Look at the row, let the rules decide, write the answer.

As at the desk of incidents, every method takes the key of the click that asks, and a click that comes twice does nothing
the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bot import escalation, owed
from bot import run as runs
from bot.action import Action, Observation, Procedure, Risk
from bot.catalogue import Catalogue, spelled
from bot.chat import ReplyTo
from bot.clock import spoken
from bot.desk import Answer, Desk, reply
from bot.errors import NotAllowed, NotFound, NotNow
from bot.incident import Person, Status
from bot.owed import Owed
from bot.rules import Case, Change
from bot.run import OUTCOME, Held, Run, RunRules, RunState
from bot.runcard import loss_line
from bot.store import TakenOver, Tx
from bot.store.runs import Runs
from bot.timeline import Note

Decide = Callable[[Run, datetime], Run]


class Recovery:
    """All that handlers ask about actions and runs."""

    def __init__(self, desk: Desk, catalogue: Catalogue, rules: RunRules) -> None:
        self._desk = desk
        self.catalogue = catalogue
        self.rules = rules

    async def run(self, number: int) -> Run:
        """Raises NotFound."""
        async with self._desk.store.tx() as tx:
            return await Runs(tx).run(number)

    async def runs_of(self, incident: int) -> list[Run]:
        async with self._desk.store.tx() as tx:
            return await Runs(tx).of(incident)

    async def observe(self, key: str, number: int | None, procedure: Observation, by: Person, to: ReplyTo) -> None:
        """Look at once; the answer goes to the room of the incident, else to the person alone."""
        await self._desk.access.must_respond(by)
        args = {
            "name": procedure.name, "parameters": procedure.model_dump(mode="json"), "by": by.id, "by_name": by.name,
            "to": vars(to),
        }  # fmt: skip
        async with self._desk.store.tx() as tx:
            if not await tx.settle(key):
                raise TakenOver
            look = Owed("observe", f"observe/{key}", f"{key}/observe", args, needs="board", incident=number)
            case = await tx.case(number, lock=False) if number is not None else None
            await tx.owe(look, waits=case is not None and owed.parked(look, case.incident))

    async def request(self, key: str, number: int, action: Action[Any], by: Person, to: ReplyTo) -> None:
        """Ask for an action: its plan is made, and its card is posted. Raises NotNow in a closed incident."""
        await self._desk.access.must_respond(by)
        if action.risk is Risk.OBSERVE:
            raise NotFound(f"`{action.name}` is no action.")
        estate = self._desk.estate
        async with self._desk.store.tx() as tx:
            case = await tx.case(number)
            if not case.incident.status.open:
                raise NotNow(f"{case.incident.id} is {case.incident.status}; `/incident reopen <reason>` comes first.")
            wanted = Run(
                number=0, incident=number, action=action.name, title=type(action).title(),
                parameters=action.model_dump(mode="json"), words=action.words(), risk=action.risk,
                target=action.target(estate), locks=tuple(action.locks(estate)), requester=by, state=RunState.PLANNING,
                requested_at=tx.now,
            )  # fmt: skip
            asked = await Runs(tx).request(wanted, key)
            if asked is None or not await tx.settle(key):
                raise TakenOver
            said = f"asked for, {spelled(asked.words)}" if asked.words else "asked for"
            await self._note(tx, case, asked, "run_requested", said, by)
            await tx.owe(owe(asked, "run.plan"))
            text = f"{asked.id} {action.name}: the plan is being made; its card comes into the room."
            await tx.owe(reply(key, Answer(to, "done", {"text": text})))

    async def approve(self, key: str, number: int, digest: str, by: Person, to: ReplyTo) -> None:
        """A yes to exactly this plan. The last one that is needed takes the locks and starts the run."""
        run = await self.run(number)
        quorum = self.rules.quorum(run)
        await self._must_belong(by, quorum.group)
        async with self._desk.store.tx() as tx:
            case, run = await self._locked(tx, number)
            if not await tx.settle(key):
                raise TakenOver
            self._must_be_open(case)
            run = runs.approve(run, by, digest, self.rules, tx.now)
            missing = runs.left(run, self.rules)
            said = "approved" if not missing else f"approved; {missing} more must"
            if not missing:
                run = await self._start(tx, run)
            await self._save(tx, case, run, Note("run_approved", f"{run.id} {run.action}: {said}", by.id, by.name,
                                                 {"run": run.id, "plan": run.digest}))  # fmt: skip
            await tx.owe(reply(key, Answer(to, "done", {"text": f"You approved {run.id}. " + (
                "It runs." if not missing else f"{missing} more approval{'s' if missing > 1 else ''} and it runs."
            )})))  # fmt: skip

    async def override(self, key: str, number: int, reason: str, by: Person, to: ReplyTo) -> None:
        """Break-glass: run without the second person, at once, and call the next rung."""
        await self._desk.access.must_respond(by)
        if not reason:
            raise NotNow(
                "Say why nobody else can approve: `/recover override RUN-<n> <reason>`. It is reviewed afterwards."
            )
        async with self._desk.store.tx() as tx:
            case, run = await self._locked(tx, number)
            if not await tx.settle(key):
                raise TakenOver
            self._must_be_open(case)
            run = runs.override(run, by, reason, case.incident.severity, self.rules, tx.now)
            run = await self._start(tx, run)
            note = Note("break_glass", f"BREAK-GLASS: {run.id} {run.action} runs without a second person: {reason}. "
                        "To be reviewed in the post-mortem.", by.id, by.name, {"run": run.id, "plan": run.digest})  # fmt: skip
            await self._save(tx, case, run, note)
            if case.incident.status.climbs and case.ladder.next is not None:
                because = f"break-glass on {run.id} {run.action}: {reason}"
                fresh = await tx.case(case.incident.number)
                await tx.apply(escalation.escalate(fresh, by, because, self._desk.rules, tx.now))
            await tx.owe(reply(key, Answer(to, "done", {"text": f"{run.id} runs on your word alone."})))

    async def _start(self, tx: Tx, run: Run) -> Run:
        """Take the locks, or say who holds them; the run begins by planning again under them."""
        held = await Runs(tx).lock(run)
        if held is not None:
            raise NotNow(busy(held))
        await tx.owe(owe(run, "run", name=f"{run.planned_at:%H%M%S%f}"))
        return runs.begin(run, tx.now)

    async def reject(self, key: str, number: int, reason: str, by: Person, to: ReplyTo) -> None:
        """Any responder may say no, with a reason."""
        if not reason:
            raise NotNow("Say why: `/recover reject RUN-<n> <reason>`. Whoever asked will want to know.")
        await self._change(key, number, by, to, "run_rejected", f"rejected: {reason}",
                           lambda run, now: runs.reject(run, by, reason, now))  # fmt: skip

    async def stop(self, key: str, number: int, by: Person, to: ReplyTo) -> None:
        """Stop after the step that is under way; a run that waits for people ends at once."""
        await self._desk.access.must_respond(by)
        async with self._desk.store.tx() as tx:
            case, run = await self._locked(tx, number)
            if not await tx.settle(key):
                raise TakenOver
            run = runs.stop(run, by, tx.now)
            said = "stop at once" if run.state.ended else "stop after this step"
            note = Note("run_stop", f"{run.id} {run.action}: {said}", by.id, by.name, {"run": run.id})
            await self._save(tx, case, run, note)
            if run.state.ended:
                await write_end(tx, case, run)
            await tx.owe(reply(key, Answer(to, "done", {"text": f"{run.id}: {said}."})))

    async def done(self, key: str, number: int, by: Person, to: ReplyTo) -> None:
        """People outside have done their part of a run that waits for them."""

        def decide(run: Run, _now: datetime) -> Run:
            if run.state is not RunState.WAITING:
                raise NotNow(f"{run.id} waits for nobody.")
            return replace(run, state=RunState.RUNNING)

        await self._change(key, number, by, to, "run_done_by_hand", "done outside, says", decide, go=True)

    async def undo(self, key: str, number: int, by: Person, to: ReplyTo) -> None:
        """Undo what was begun, last first. Who may approve the run may undo it."""
        run = await self.run(number)
        await self._must_belong(by, self.rules.quorum(run).group)
        async with self._desk.store.tx() as tx:
            case, run = await self._locked(tx, number)
            if not await tx.settle(key):
                raise TakenOver
            if case.incident.status is Status.CLOSED:
                raise NotNow(
                    f"{case.incident.id} is closed, and its timeline sealed; `/incident reopen <reason>` comes first."
                )
            run = runs.undo(run, by)
            held = await Runs(tx).lock(run)
            if held is not None:
                raise NotNow(busy(held))
            await tx.owe(owe(run, "run", name=f"undo/{tx.now:%H%M%S%f}"))
            await self._save(
                tx, case, run, Note("run_undo", f"{run.id} {run.action}: undo", by.id, by.name, {"run": run.id})
            )
            await tx.owe(reply(key, Answer(to, "done", {"text": f"{run.id} is being undone."})))

    async def _change(
        self, key: str, number: int, by: Person, to: ReplyTo, kind: str, said: str, decide: Decide, *, go: bool = False
    ) -> None:
        await self._desk.access.must_respond(by)
        async with self._desk.store.tx() as tx:
            case, run = await self._locked(tx, number)
            if not await tx.settle(key):
                raise TakenOver
            run = decide(run, tx.now)
            await self._save(
                tx, case, run, Note(kind, f"{run.id} {run.action}: {said}", by.id, by.name, {"run": run.id})
            )
            if go:
                await tx.owe(owe(run, "run", name=f"go/{tx.now:%H%M%S%f}"))
            await tx.owe(reply(key, Answer(to, "done", {"text": f"{run.id}: {said}."})))

    async def _must_belong(self, by: Person, group: str) -> None:
        if group == "approvers":
            await self._desk.access.must_approve(by)
        else:
            await self._desk.access.must_respond(by)

    @staticmethod
    def _must_be_open(case: Case) -> None:
        if case.incident.status is Status.CLOSED or not case.incident.status.open:
            raise NotNow(f"{case.incident.id} is {case.incident.status}; nothing is started in it any more.")

    @staticmethod
    async def _locked(tx: Tx, number: int) -> tuple[Case, Run]:
        """The run and its incident; the incident is locked first, always, so that nobody waits in a circle."""
        seen = await Runs(tx).run(number)
        case = await tx.case(seen.incident)
        return case, await Runs(tx).run(number, lock=True)

    @staticmethod
    async def _save(tx: Tx, case: Case, run: Run, note: Note) -> None:
        await Runs(tx).save(run)
        await tx.apply(Change(case, (note,), shown(case, run)))

    @staticmethod
    async def _note(tx: Tx, case: Case, run: Run, kind: str, said: str, by: Person) -> None:
        note = Note(kind, f"{run.id} {run.action} on {run.target}: {said}", by.id, by.name, {"run": run.id})
        await tx.apply(Change(case, (note,)))

    async def may_see(self, run: Run, channel: str) -> Case:
        """The case of a run. Raises NotAllowed from another room than its own."""
        case = await self._desk.case(run.incident)
        if case.incident.room != channel:
            where = (
                f" in <#{case.incident.room}>"
                if case.incident.room and not case.incident.private
                else " in its own room"
            )
            raise NotAllowed(f"{run.id} belongs to {case.incident.id}; decide about it{where}, where its card is.")
        return case

    def procedure(self, name: str, words: Mapping[str, str]) -> Procedure:
        """Raises NotFound or BadInput."""
        return self.catalogue.make(name, words)


def busy(held: Held) -> str:
    """Who is in the way, and what to do."""
    return f"{held}. Wait for it, or stop it with `/recover stop {held.run}`; then approve again."


def owe(run: Run, kind: str, *, name: str = "", due_at: datetime | None = None, standing: bool = False) -> Owed:
    """Something owed for a run."""
    key = run.lane(f"{kind}/{name}" if name else kind)
    return Owed(kind, run.lane(kind), key, {"run": run.number}, due_at, standing, incident=run.incident)


async def write_end(tx: Tx, case: Case, run: Run) -> None:
    """The last write of a run that has ended: its locks, the timeline, the cards, and a fresh look at everything."""
    await Runs(tx).save(run)
    await Runs(tx).unlock(run)
    took = tx.now - run.started_at if run.started_at else timedelta(0)
    text = f"{run.id} {run.action} {OUTCOME[run.state]} after {spoken(took)}: {run.outcome}"
    note = Note("run_ended", text, data={"run": run.id, "state": str(run.state), "loss": loss_line(run)})
    look = owed.owe(case.incident, "assess", f"assess/{run.id}/{run.epoch}")
    owes = (*shown(case, run), look) if case.incident.status.open else shown(case, run)
    await tx.apply(Change(case, (note,), owes))


def shown(case: Case, run: Run) -> tuple[Owed, ...]:
    """The card of a run as it is now, and the board that counts its runs."""
    card = replace(owe(run, "run.card", standing=True), needs="board")
    return (card, owed.board(case.incident))
