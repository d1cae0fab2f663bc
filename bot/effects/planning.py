"""Plans and observations: only looks. A plan is made when it is asked for, and once more under the locks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bot import owed, report
from bot import run as runs
from bot.action import Action, Findings, OfIncident, Tools, digest
from bot.catalogue import Catalogue
from bot.chat import Chat, FindingsCard, Posted, ReplyTo, RunCard
from bot.clock import Clock, spoken
from bot.effects.posting import post_once
from bot.engine import Outcome
from bot.errors import RecoveryError, StoreUnavailable, Unavailable
from bot.owed import Effect
from bot.recovery import owe, shown
from bot.rules import Case, Change, Rules, told
from bot.run import Run, RunRules, RunState, Shown
from bot.runcard import draw_run
from bot.store import Store
from bot.store.runs import Runs
from bot.timeline import Note

LOOKS_WITHIN = 20.0
"""Seconds for a plan: who waits for longer should be told why."""


async def plan(action: Action[Any], tools: Tools) -> tuple[Shown, str]:
    """What an action would do now, as it is shown and kept, and its digest. Raises RecoveryError with the reason why not."""
    try:
        within = action.looks_within.total_seconds()
        async with asyncio.timeout(within):
            made = await action.plan(tools)
    except TimeoutError as error:
        raise Unavailable(f"the plan was not made within {within:g} s: something that it looks at is stuck") from error
    data = [d for d in tools.estate.data if d.name in made.data]
    rpo = min((d.rpo for d in data), default=None)
    kept = Shown(
        changes=[{"what": c.what, "old": c.old, "new": c.new} for c in made.changes],
        facts=made.facts.model_dump(mode="json"),
        notes=list(made.notes),
        steps=[
            {"title": s.title, "undoable": s.undo is not None, "no_return": s.no_return}
            for s in action.steps(made.facts, tools)
        ],
        undo_says=made.undo_says,
        loss_seconds=None if made.loss is None else made.loss.total_seconds(),
        loss_says=made.loss_says,
        rpo_seconds=None if rpo is None else rpo.total_seconds(),
        warnings=list(made.warnings),
        only_override=made.only_override,
    )
    return kept, digest(action, made.facts, only_override=bool(made.only_override))


class PlanEffects:
    """Performers of `run.plan`, `run.card`, `run.watch` and `observe`."""

    def __init__(
        self,
        chat: Chat,
        store: Store,
        tools: Tools,
        catalogue: Catalogue,
        rules: Rules,
        run_rules: RunRules,
        clock: Clock,
    ) -> None:
        self._chat = chat
        self._store = store
        self._tools = tools
        self._catalogue = catalogue
        self._rules = rules
        self._run_rules = run_rules
        self._clock = clock

    async def plan(self, effect: Effect, _case: Case | None) -> Outcome:
        """Make the plan that was asked for, or say why there is none."""
        number = int(effect.args["run"])
        async with self._store.tx() as tx:
            run = await Runs(tx).run(number)
        if run.state is not RunState.PLANNING:
            return Outcome(asked=False)
        action = self._catalogue.action(run.action, run.parameters)
        refusal = ""
        try:
            made, bound_to = await plan(action, self._tools)
        except StoreUnavailable:
            raise
        except RecoveryError as error:
            refusal = str(error)
        async with self._store.tx() as tx:
            case = await tx.case(run.incident)
            run = await Runs(tx).run(number, lock=True)
            if refusal:
                run = runs.end(run, RunState.REFUSED, refusal, tx.now)
                note = Note(
                    "run_refused", f"{run.id} {run.action} is not possible now: {refusal}", data={"run": run.id}
                )
            else:
                run = runs.proposed(run, made, bound_to, self._run_rules, tx.now)
                note = Note(
                    "run_planned", f"{run.id} {run.action}: {_changes(made)}", data={"run": run.id, "plan": bound_to}
                )
                await tx.owe(owe(run, "run.watch", standing=True))
            await Runs(tx).save(run)
            await tx.apply(Change(case, (note,), shown(case, run)))
        return Outcome(asked=False)

    async def watch(self, effect: Effect, _case: Case | None) -> Outcome:
        """A plan that waits: break-glass opens, then it expires."""
        async with self._store.tx() as tx:
            seen = await Runs(tx).run(int(effect.args["run"]))
            case = await tx.case(seen.incident)
            run = await Runs(tx).run(seen.number, lock=True)
            over = runs.expire(run, tx.now)
            if over is not None:
                await Runs(tx).save(over)
                note = Note(
                    "run_expired", f"{run.id} {run.action} expired: nobody approved in time", data={"run": run.id}
                )
                await tx.apply(Change(case, (note,), shown(case, over)))
            elif run.state is RunState.PROPOSED:
                for row in shown(case, run)[:1]:
                    await tx.owe(row, waits=owed.parked(row, case.incident))
            instants = (runs.override_from(run, self._run_rules), run.expires_at)
            ahead = [at for at in instants if at is not None and at > tx.now]
        waits = run.state is RunState.PROPOSED and over is None and ahead
        return Outcome(again_at=min(ahead) if waits else None, asked=False)

    async def card(self, effect: Effect, case: Case | None) -> Outcome:
        """The plan card and, once it runs, the progress card: each posted once, then edited in place."""
        incident = told(case).incident
        room = incident.room or ""
        async with self._store.tx() as tx:
            run = await Runs(tx).run(int(effect.args["run"]))
            usual = await Runs(tx).usual(run.action)
        drawn = dict(effect.result or {})
        for kind in ("plan", "progress"):
            # One that stands is drawn also after a drift: it must not say that something runs.
            if kind == "progress" and run.started_at is None and not run.progress_ts:
                continue
            card = draw_run(
                run, told(case), self._catalogue.find(run.action), usual, self._rules, self._run_rules, self._clock(),
                progress=kind == "progress",
            )  # fmt: skip
            if drawn.get(kind) != card.fingerprint:
                await self._put(effect, run, room, card, kind)
                drawn[kind] = card.fingerprint
        return Outcome(drawn)

    async def _put(self, effect: Effect, run: Run, room: str, card: RunCard, kind: str) -> None:
        ts = run.card_ts if kind == "plan" else run.progress_ts
        if ts and await self._chat.edit(Posted(room, ts), card):
            return
        posted = await post_once(self._chat, effect, room, card, key=f"{run.id}/{kind}/{ts}")
        async with self._store.tx() as tx:
            await Runs(tx).carded(run.number, kind, posted.ts)

    async def observe(self, effect: Effect, case: Case | None) -> Outcome:
        """Look, and show what was seen in the room, or to the person who asked outside of one."""
        args = effect.args
        seen = await self._look(str(args["name"]), args["parameters"], self._tools_of(case, effect))
        card = FindingsCard(
            str(args["name"]), seen, "" if case is None else str(case.incident.number), self._rules.pace.practice,
            self._clock(), str(args["by"]),
        )  # fmt: skip
        if case is None or not case.incident.room:
            await self._chat.reply(ReplyTo(**args["to"]), card)
            return Outcome()
        await post_once(self._chat, effect, case.incident.room, card)

        async def settle(fresh: Case, _tx: Any) -> Change:
            text = f"{args['name']}: {seen.headline}" + "".join(f"\n{line.text}" for line in seen.lines[:20])
            return Change(fresh, (Note("observed", text, str(args["by"]), str(args["by_name"])),))

        return Outcome(settle=settle)

    def _tools_of(self, case: Case | None, effect: Effect) -> Tools:
        """The tools, with the incident that the observation is made for."""
        if case is None:
            return self._tools

        async def timeline() -> str:
            async with self._store.tx() as tx:
                entries = await tx.entries(case.incident.number)
            return report.as_json(report.build(case, entries, self._rules, self._clock()))

        return replace(self._tools, incident=OfIncident(case.incident.id, effect.created_at, timeline))

    async def _look(self, name: str, parameters: Mapping[str, Any], tools: Tools) -> Findings:
        procedure = self._catalogue.observation(name, parameters)
        within = procedure.within.total_seconds()
        try:
            async with asyncio.timeout(within):
                return self._catalogue.rated(await procedure.look(tools))
        except TimeoutError:
            return Findings(f"unknown: no answer within {within:g} s")
        except StoreUnavailable:
            raise
        except RecoveryError as error:
            return Findings(f"unknown: {error}")


def _changes(made: Shown) -> str:
    said = "; ".join(f"{c['what']}: {c['old']} → {c['new']}" for c in made.changes)
    loss = f"; data loss at most {spoken(timedelta(seconds=made.loss_seconds))}" if made.loss_seconds else ""
    return f"planned: {said}{loss}"
