"""Scenario 4, runbook 4.3: take a release back, as `kubectl rollout undo` does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import BaseModel, Field

from actions.deployments import OnDeployment, complete, found, same, stuck_now, waiting
from bot.action import Change, NotVerified, Plan, Progress, Risk, Step, Tools
from bot.errors import NotFound, NotNow
from bot.tools import Revision, Workload


class UndoFacts(BaseModel):
    """This very deployment, the replica set whose template it has, and the one whose template it gets."""

    deployment: str
    uid: str
    now: str
    now_uid: str
    back_to: str
    back_to_uid: str


class Undo(OnDeployment[UndoFacts]):
    """Take the last release of a deployment back."""

    name: ClassVar[str] = "deployment.undo"
    risk: ClassVar[Risk] = Risk.HIGH
    """It may bring back settings that were changed for a reason."""
    usual: ClassVar[timedelta] = timedelta(minutes=3)
    facts: ClassVar[type[BaseModel]] = UndoFacts

    revision: int = Field(default=0, ge=0, description="which revision to go back to; 0 is the one before this one")

    async def plan(self, tools: Tools) -> Plan[UndoFacts]:
        seen = await self.seen(tools)
        revisions = await tools.cluster.revisions(seen)
        now, then = chosen(seen, revisions, self.revision)
        made = f" of {then.made_at:%Y-%m-%d %H:%M} UTC" if then.made_at else ""
        stuck = await stuck_now(tools, seen)
        return Plan(
            UndoFacts(
                deployment=seen.name, uid=seen.uid, now=now.name, now_uid=now.uid,
                back_to=then.name, back_to_uid=then.uid,
            ),
            (
                Change(f"release of {seen.name}", f"revision {now.number}", f"that of revision {then.number}{made}"),
                *(Change(one.what, one.old, one.new) for one in then.differences),
            ),
            notes=(
                f"the {seen.replicas} pods of {seen.name} are replaced, a few at a time",
                *((f"now: {stuck}",) if stuck else ()),
                f"revisions that are kept: {', '.join(str(one.number) for one in revisions)}",
            ),
            undo_says=f"the release of revision {now.number} comes back, whether its pods start or not",
            warnings=against(seen, then),
        )  # fmt: skip

    def steps(self, facts: UndoFacts, tools: Tools) -> Sequence[Step]:
        name = facts.deployment

        async def go_back(_progress: Progress) -> str:
            await tools.cluster.roll_back(await same(tools, name, facts.uid), facts.back_to_uid)
            return f"it has the pod template of {facts.back_to} again"

        async def is_back() -> bool:
            return await _current(tools, facts) == facts.back_to_uid

        async def go_forth(_progress: Progress) -> None:
            # Not waited for: what was taken back may be a release whose pods never start.
            if await _current(tools, facts) == facts.back_to_uid:
                await tools.cluster.roll_back(await same(tools, name, facts.uid), facts.now_uid)

        by_hand = f"kubectl rollout undo deployment/{name}"
        return Step(f"Take {name} back to {facts.back_to}", go_back, is_back, go_forth, by_hand=by_hand), waiting(
            tools, name
        )

    async def verify(self, facts: UndoFacts, tools: Tools) -> str:
        seen = await same(tools, facts.deployment, facts.uid)
        if await _current(tools, facts) != facts.back_to_uid:
            raise NotVerified(f"{seen.name} was given another release by somebody else meanwhile")
        return f"{await complete(tools, seen)}; they run {facts.back_to}"


def chosen(seen: Workload, revisions: Sequence[Revision], number: int) -> tuple[Revision, Revision]:
    """(what it has now, what it goes back to). Raises NotFound and NotNow."""
    now = next((one for one in revisions if one.current), None)
    if now is None:
        raise NotNow(f"The controller has not taken up the last change of {seen.name} yet. Ask again in a moment.")
    others = [one for one in revisions if not one.current]
    older = [one for one in others if one.number < now.number]
    if not number and not older:
        raise NotNow(f"{seen.name} has no revision before this one (revision {now.number}), so there is no way back.")
    if number == now.number:
        raise NotNow(f"{seen.name} runs revision {number} already.")
    then = next((one for one in others if one.number == number), None) if number else older[0]
    if then is None:
        kept = ", ".join(str(one.number) for one in others) or "none"
        raise NotFound(f"{seen.name} keeps no revision {number}; beside the present one it keeps {kept}.")
    return now, then


def against(seen: Workload, then: Revision) -> list[str]:
    """What speaks against it."""
    kinds = {one.kind for one in then.differences}
    if kinds <= {"mark"}:
        return [f"Revision {then.number} runs the same as now: nothing but a mark differs. `revision=` names another."]
    settings = [one.what for one in then.differences if one.kind == "variable"]
    if not settings:
        return []
    which = ", ".join(settings[:5]) + (f" and {len(settings) - 5} more" if len(settings) > 5 else "")
    return [f"It takes settings of {seen.name} back, too: {which}. Was one changed on purpose, by a failover perhaps?"]


async def _current(tools: Tools, facts: UndoFacts) -> str:
    """The uid of the replica set whose template the deployment has now; empty when there is none, or no such deployment."""
    seen = await found(tools, facts.deployment, facts.uid)
    revisions = await tools.cluster.revisions(seen) if seen is not None else ()
    return next((one.uid for one in revisions if one.current), "")
