"""Scenario 4, runbook 4.3 and appendix C: restart a deployment, and scale it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar, Generic

from pydantic import BaseModel, Field

from actions.rollouts import cluster_of, wait_for_rollout
from bot.action import Action, Change, Facts, NotVerified, Plan, Progress, Risk, Step, Tools, not_yet, nothing
from bot.errors import NotFound, NotNow, Refused
from bot.estate import Estate
from bot.incident import Scenario
from bot.tools import Workload


class OnDeployment(Action[Facts], Generic[Facts]):
    """What works on one deployment of the estate's namespace."""

    scenario: ClassVar[Scenario] = Scenario.KUBERNETES
    usual: ClassVar[timedelta] = timedelta(minutes=2)
    service: ClassVar[str] = "api"

    deployment: str = Field(
        default="", max_length=253, description="which deployment; the first one of the estate file when left out"
    )

    @classmethod
    async def choices(cls, field_name: str, tools: Tools) -> Sequence[tuple[str, str]]:
        cluster = tools.estate.cluster
        if field_name != "deployment" or cluster is None:
            return ()
        rank = {one.name: number for number, one in enumerate(cluster.deployments)}
        seen = await tools.cluster.deployments(cluster.namespace)
        seen = sorted(seen, key=lambda d: (rank.get(d.name, len(rank)), d.name))
        return [(one.name, f"{one.name}, {one.ready} of {one.replicas} ready") for one in seen]

    def target(self, estate: Estate) -> str:
        return f"deployment {name_of(estate, self.deployment)} in {cluster_of(estate).namespace}"

    def locks(self, estate: Estate) -> Sequence[str]:
        # A restore has stopped its writers, and a failover moves them: nobody may start them again meanwhile.
        name = name_of(estate, self.deployment)
        fed = [d.name for d in estate.databases if d.application and d.application.deployment == name]
        return (self.target(estate), *(f"database {one}" for one in fed))

    async def seen(self, tools: Tools) -> Workload:
        """The deployment as it is now. Raises NotFound and NotNow: a paused one takes a change and does nothing."""
        name, namespace = name_of(tools.estate, self.deployment), cluster_of(tools.estate).namespace
        try:
            seen = await tools.cluster.workload("deployment", namespace, name)
        except NotFound:
            there = ", ".join(f"`{one.name}`" for one in await tools.cluster.deployments(namespace)) or "none"
            raise NotFound(f"There is no deployment `{name}` in {namespace}; there is {there}.") from None
        if seen.paused:
            raise NotNow(
                f"{name} is paused, so nothing would come of it. `kubectl rollout resume deployment/{name}` first."
            )
        return seen


def name_of(estate: Estate, given: str) -> str:
    """The deployment that is meant. Raises NotFound when none is given and the estate file names none."""
    deployments = cluster_of(estate).deployments
    if not given and not deployments:
        raise NotFound("The estate file names no deployment: say which one with `deployment=`.")
    return given or deployments[0].name


async def found(tools: Tools, name: str, uid: str) -> Workload | None:
    """The deployment of that identity; None when it is gone, or another one of its name stands there."""
    try:
        seen = await tools.cluster.workload("deployment", cluster_of(tools.estate).namespace, name)
    except NotFound:
        return None
    return seen if seen.uid == uid else None


async def same(tools: Tools, name: str, uid: str) -> Workload:
    """The deployment of that identity. Raises Refused when it is gone, or another one by now."""
    seen = await found(tools, name, uid)
    if seen is None:
        raise Refused(f"The deployment {name} is gone, or another one than was looked at.", "Changed")
    return seen


def waiting(tools: Tools, name: str) -> Step:
    """The step that waits until a rollout is really complete."""

    async def wait(progress: Progress) -> str:
        return await wait_for_rollout(tools, "deployment", name, cluster_of(tools.estate).rollout_within, progress)

    by_hand = f"`kubectl rollout status deployment/{name}` says what it waits for."
    return Step(f"Wait until the rollout of {name} is complete", wait, not_yet, nothing, by_hand=by_hand)


async def stuck_now(tools: Tools, seen: Workload) -> str:
    """Why its pods do not get ready as it is; empty when they may."""
    return (await tools.cluster.rollout("deployment", seen.namespace, seen.name, seen.generation)).stuck


async def complete(tools: Tools, seen: Workload) -> str:
    """That every pod is new and ready. Raises NotVerified."""
    rollout = await tools.cluster.rollout("deployment", seen.namespace, seen.name, seen.generation)
    if not rollout.done:
        raise NotVerified(f"{seen.name}: {rollout.detail}")
    return f"{rollout.ready} of {rollout.wanted} pods of {seen.name} are ready, and no other one is left"


class RestartFacts(BaseModel):
    """This very deployment, not another one of its name."""

    deployment: str
    uid: str


class Restart(OnDeployment[RestartFacts]):
    """Restart the pods of a deployment, a few at a time."""

    name: ClassVar[str] = "deployment.restart"
    risk: ClassVar[Risk] = Risk.LOW
    facts: ClassVar[type[BaseModel]] = RestartFacts

    async def plan(self, tools: Tools) -> Plan[RestartFacts]:
        seen = await self.seen(tools)
        if not seen.replicas:
            raise NotNow(
                f"{seen.name} is scaled to 0: it has no pod that could be restarted. `deployment.scale` it up."
            )
        stuck = await stuck_now(tools, seen)
        warning = f"its rollout is stuck: {stuck}. New pods would be like these; `deployment.undo` goes back."
        return Plan(
            RestartFacts(deployment=seen.name, uid=seen.uid),
            (Change(f"pods of {seen.name}", f"{seen.ready} of {seen.replicas} ready", f"{seen.replicas} new"),),
            notes=(f"restarted last: {seen.restarted_at or 'never'}",),
            undo_says="not needed: the new pods are like the old ones",
            warnings=(warning,) if stuck else (),
        )

    def steps(self, facts: RestartFacts, tools: Tools) -> Sequence[Step]:
        name = facts.deployment

        async def restart(_progress: Progress) -> str:
            seen = await same(tools, name, facts.uid)
            await tools.cluster.restart("deployment", seen.namespace, name, tools.run)
            return "new pods are being made"

        async def restarted() -> bool:
            seen = await found(tools, name, facts.uid)
            return seen is not None and seen.restarted_at == tools.run

        gone = "pods that were replaced do not come back; the new ones are like them"
        by_hand = f"kubectl rollout restart deployment/{name}"
        return Step(f"Restart {name}", restart, restarted, None, gone, by_hand), waiting(tools, name)

    async def verify(self, facts: RestartFacts, tools: Tools) -> str:
        seen = await same(tools, facts.deployment, facts.uid)
        if seen.restarted_at != tools.run:
            raise NotVerified(f"{seen.name} was restarted by somebody else meanwhile")
        return await complete(tools, seen)


class ScaleFacts(BaseModel):
    """This very deployment, and from how many pods to how many."""

    deployment: str
    uid: str
    before: int
    replicas: int


class Scale(OnDeployment[ScaleFacts]):
    """Run another number of pods of a deployment."""

    name: ClassVar[str] = "deployment.scale"
    risk: ClassVar[Risk] = Risk.HIGH
    """Fewer pods may be too few, and none is an outage."""
    facts: ClassVar[type[BaseModel]] = ScaleFacts

    replicas: int = Field(ge=0, le=1000, description="how many pods; 0 stops it")

    async def plan(self, tools: Tools) -> Plan[ScaleFacts]:
        seen = await self.seen(tools)
        if seen.replicas == self.replicas:
            raise NotNow(f"{seen.name} is scaled to {self.replicas} already ({seen.ready} ready).")
        if seen.autoscaler and seen.replicas and self.replicas:
            raise NotNow(
                f"The autoscaler {seen.autoscaler} sets the replicas of {seen.name}, and would set them back."
                f" Change its bounds: `kubectl edit hpa {seen.autoscaler}`."
            )
        stuck = await stuck_now(tools, seen)
        return Plan(
            ScaleFacts(deployment=seen.name, uid=seen.uid, before=seen.replicas, replicas=self.replicas),
            (Change(f"replicas of {seen.name}", f"{seen.replicas} ({seen.ready} ready)", str(self.replicas)),),
            notes=self._notes(tools, seen.name),
            undo_says=f"back to {seen.replicas}, unless somebody changed it meanwhile",
            warnings=[*_against(seen, self.replicas), *([f"its rollout is stuck: {stuck}"] if stuck else [])],
        )

    def _notes(self, tools: Tools, name: str) -> Sequence[str]:
        named = next((d for d in cluster_of(tools.estate).deployments if d.name == name), None)
        return () if named is None or named.replicas is None else (f"in normal times: {named.replicas}",)

    def steps(self, facts: ScaleFacts, tools: Tools) -> Sequence[Step]:
        name, remember = facts.deployment, f"recovery-bot/replicas-{tools.run.lower()}"

        async def scale(_progress: Progress) -> str:
            seen = await same(tools, name, facts.uid)
            if seen.replicas not in (facts.before, facts.replicas):
                raise Refused(f"Somebody scaled {name} to {seen.replicas} meanwhile; it was left alone.", "Changed")
            await tools.cluster.scale(seen, facts.replicas, remember)
            return f"{facts.before} → {facts.replicas}"

        async def scaled() -> bool:
            seen = await found(tools, name, facts.uid)
            return seen is not None and seen.replicas == facts.replicas

        async def back(progress: Progress) -> None:
            seen = await same(tools, name, facts.uid)
            if seen.replicas not in (facts.before, facts.replicas):
                raise Refused(f"Somebody scaled {name} to {seen.replicas} meanwhile; it was left alone.", "Changed")
            await tools.cluster.scale(seen, facts.before, remember)
            await waiting(tools, name).do(progress)

        by_hand = f"kubectl scale deployment/{name} --replicas={facts.replicas}"
        return Step(f"Scale {name} to {facts.replicas}", scale, scaled, back, by_hand=by_hand), waiting(tools, name)

    async def verify(self, facts: ScaleFacts, tools: Tools) -> str:
        seen = await same(tools, facts.deployment, facts.uid)
        if seen.replicas != facts.replicas:
            raise NotVerified(f"{seen.name} was scaled to {seen.replicas} by somebody else meanwhile")
        return await complete(tools, seen)


def _against(seen: Workload, replicas: int) -> list[str]:
    """What speaks against that number."""
    says = [f"Nothing of {seen.name} serves any more with 0 pods."] if not replicas else []
    if seen.autoscaler and not replicas:
        says.append(f"The autoscaler {seen.autoscaler} rests as long as it is 0.")
    elif seen.autoscaler:
        says.append(f"The autoscaler {seen.autoscaler} takes over again, and keeps to its own bounds.")
    return says
