"""Scenario 4, runbook 4.3: take a stuck pod out of the cluster, as `kubectl delete pod --force --grace-period=0` does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import BaseModel, Field

from actions.pods import deployment_of, late, waits
from actions.rollouts import BETWEEN_LOOKS, cluster_of
from bot.action import Action, Change, NotVerified, Plan, Progress, Risk, Step, Tools, not_yet, nothing
from bot.clock import spoken
from bot.errors import NotFound, NotNow, Refused
from bot.estate import Estate
from bot.incident import Scenario
from bot.tools import Pod

MADE_ANEW = frozenset({"ReplicaSet", "StatefulSet"})


class ForceFacts(BaseModel):
    """This very pod, by its uid, and who keeps it."""

    namespace: str
    pod: str
    uid: str
    owner_kind: str
    owner: str
    owner_uid: str


class ForceDelete(Action[ForceFacts]):
    """Take a pod that is stuck out of the cluster without waiting for its end."""

    name: ClassVar[str] = "pod.force-delete"
    risk: ClassVar[Risk] = Risk.HIGH
    scenario: ClassVar[Scenario] = Scenario.KUBERNETES
    usual: ClassVar[timedelta] = timedelta(minutes=1)
    service: ClassVar[str] = "api"
    facts: ClassVar[type[BaseModel]] = ForceFacts
    gone_within: ClassVar[float] = 30.0
    """Seconds: what nothing holds goes at once."""

    pod: str = Field(min_length=1, max_length=253, description="name of the pod, as `pods.pending` shows it")
    namespace: str = Field(default="", max_length=63, description="its namespace; the estate's when left out")

    @classmethod
    async def choices(cls, field_name: str, tools: Tools) -> Sequence[tuple[str, str]]:
        cluster, now = tools.estate.cluster, tools.clock()
        if field_name != "pod" or cluster is None:
            return ()
        pods = [p for p in await tools.cluster.pods(cluster.namespace) if not p.ready]
        pods.sort(key=lambda pod: (not late(pod, now), not waits(pod), pod.name))
        return [(p.name, f"{p.state}: {p.name}") for p in pods]

    def target(self, estate: Estate) -> str:
        return f"pod {self.pod} in {self.namespace or cluster_of(estate).namespace}"

    async def plan(self, tools: Tools) -> Plan[ForceFacts]:
        namespace = self.namespace or cluster_of(tools.estate).namespace
        try:
            pod = await tools.cluster.pod(namespace, self.pod)
        except NotFound:
            raise NotFound(
                f"There is no pod `{self.pod}` in {namespace} (any more). `/recover pods.pending` lists what is stuck."
            ) from None
        if refusal := against(pod):
            raise NotNow(refusal)
        nodes = await tools.nodes.nodes() if pod.node else ()
        alive = next((node.ready for node in nodes if node.name == pod.node), None)
        return Plan(
            ForceFacts(
                namespace=namespace, pod=pod.name, uid=pod.uid,
                owner_kind=pod.owner_kind, owner=pod.owner, owner_uid=pod.owner_uid,
            ),
            (Change(f"pod {pod.name}", pod.state, "taken out of the cluster at once"),),
            notes=_notes(pod, alive, tools.clock()),
            loss_says="what its containers hold in memory, and have not written yet",
            undo_says="not possible: a pod that is gone does not come back",
            warnings=warnings(pod, alive, tools.clock()),
        )  # fmt: skip

    def steps(self, facts: ForceFacts, tools: Tools) -> Sequence[Step]:
        async def take_out(_progress: Progress) -> str:
            await tools.cluster.force_delete(facts.namespace, facts.pod, facts.uid)
            return "the cluster was told not to wait for its end"

        async def is_out() -> bool:
            return await _left(tools, facts) is None

        async def wait(progress: Progress) -> str:
            return await _gone(tools, facts, self.gone_within, progress)

        async def anew(progress: Progress) -> str:
            within = cluster_of(tools.estate).rollout_within
            give_up = asyncio.get_running_loop().time() + within.total_seconds()
            while True:
                ready, said = await _replaced(tools, facts)
                if ready:
                    return said
                if asyncio.get_running_loop().time() > give_up:
                    raise Refused(f"{said} after {spoken(within)}")
                progress(said)
                await asyncio.sleep(BETWEEN_LOOKS)

        where = f"-n {facts.namespace}"
        delete = f"kubectl delete pod {facts.pod} {where} --force --grace-period=0"
        lost = "what its containers did not write is lost, and its end is not waited for"
        steps = [
            Step(f"Force-delete {facts.pod}", take_out, is_out, None, lost, by_hand=delete),
            Step(
                f"See that {facts.pod} is gone",
                wait,
                not_yet,
                nothing,
                by_hand=f"kubectl get pod {facts.pod} {where} -o yaml",
            ),
        ]
        if facts.owner_kind in MADE_ANEW:
            look = f"kubectl describe {facts.owner_kind.lower()} {facts.owner} {where}"
            steps.append(Step(f"Wait for the new pod of {facts.owner}", anew, not_yet, nothing, by_hand=look))
        return steps

    async def verify(self, facts: ForceFacts, tools: Tools) -> str:
        if await _left(tools, facts) is not None:
            raise NotVerified(f"{facts.pod} is still there")
        if not facts.owner_uid:
            return f"{facts.pod} is gone; nothing makes it anew"
        if facts.owner_kind not in MADE_ANEW:
            return f"{facts.pod} is gone; {facts.owner_kind} {facts.owner} decides whether there is to be another one"
        ready, said = await _replaced(tools, facts)
        if not ready:
            raise NotVerified(f"{facts.pod} is gone, but {said}")
        return f"{facts.pod} is gone; {said}"


def against(pod: Pod) -> str:
    """Why it must not be force-deleted; empty when it may."""
    if pod.mirror:
        return f"{pod.name} is a mirror: {pod.node} runs it from a file, and deleting it here ends nothing. Change the file."
    if pod.ready:
        instead = f"`deployment.restart deployment={deployment_of(pod)}`" if deployment_of(pod) else "a restart"
        return f"{pod.name} is ready and serves: it needs no force, which would cut off what it does. Try {instead}."
    return ""


def warnings(pod: Pod, alive: bool | None, now: datetime) -> list[str]:
    """What speaks against it. `alive`: whether its node is ready; None = it has none, or that is gone."""
    says = []
    if pod.ends_at is not None and not late(pod, now):
        says.append(f"It has {spoken(pod.ends_at - now)} left to end by itself. Is force needed already?")
    if pod.owner_kind == "StatefulSet" and pod.node:
        state = {True: "is ready, so the old container may still run there", False: "is not ready: nobody can tell"}
        here = f"{pod.node} {state[alive]}" if alive is not None else f"{pod.node} is gone, which is safe"
        says.append(f"A pod of a stateful set may run twice after this, on the same data: {here}.")
    if not pod.owner_uid:
        says.append("No controller keeps it: nothing makes it anew.")
    if pod.finalizers:
        says.append(f"Finalizers hold it, and force does not take them off: {', '.join(pod.finalizers)}.")
    return says


def _notes(pod: Pod, alive: bool | None, now: datetime) -> list[str]:
    node = {True: "ready", False: "not ready", None: "gone"}[alive]
    owner = f"{pod.owner_kind} {pod.owner}" if pod.owner_uid else "nobody"
    ends = f"Terminating, overdue for {spoken(now - pod.ends_at)}" if pod.ends_at and late(pod, now) else pod.state
    return [
        f"state: {ends}{f' ({pod.why})' if pod.why else ''}",
        f"node: {pod.node} ({node})" if pod.node else "node: none yet",
        f"kept by: {owner}",
        f"finalizers: {', '.join(pod.finalizers) or 'none'}",
    ]


async def _left(tools: Tools, facts: ForceFacts) -> Pod | None:
    """The pod, if that very one is still there."""
    try:
        pod = await tools.cluster.pod(facts.namespace, facts.pod)
    except NotFound:
        return None
    return pod if pod.uid == facts.uid else None


async def _gone(tools: Tools, facts: ForceFacts, within: float, progress: Progress) -> str:
    """Until that very pod is gone. Raises Refused, naming what holds it."""
    give_up = asyncio.get_running_loop().time() + within
    while (pod := await _left(tools, facts)) is not None:
        held = f"finalizers hold it: {', '.join(pod.finalizers)}" if pod.finalizers else "nobody says why"
        if asyncio.get_running_loop().time() > give_up:
            raise Refused(
                f"{facts.pod} is still there after {within:g} s; {held}. Who set them has to take them off, or, when"
                f" nobody does: kubectl patch pod {facts.pod} -n {facts.namespace} --type=merge"
                ' -p \'{"metadata":{"finalizers":null}}\''
            )
        progress(f"still there; {held}")
        await asyncio.sleep(BETWEEN_LOOKS)
    return "gone"


async def _replaced(tools: Tools, facts: ForceFacts) -> tuple[bool, str]:
    """Whether its controller has a ready pod in its place, and in words."""
    wanted = await tools.cluster.wanted_by(facts.owner_kind, facts.namespace, facts.owner, facts.owner_uid)
    if wanted is None:
        return True, f"{facts.owner_kind} {facts.owner} is gone too, so nothing makes it anew"
    pods = [p for p in await tools.cluster.pods(facts.namespace) if p.owner_uid == facts.owner_uid]
    new = [pod for pod in pods if pod.uid != facts.uid]
    if facts.owner_kind == "StatefulSet":
        # The others of its set have places of their own. One whose number is too high now is not made anew.
        new = [pod for pod in new if pod.name == facts.pod]
        wanted = int(int(facts.pod.rpartition("-")[2]) < wanted)
    ready = sum(pod.ready for pod in new)
    states = sorted({pod.state for pod in new if not pod.ready})
    waiting = f" ({', '.join(states)})" if states else ""
    return ready >= wanted, f"{facts.owner_kind} {facts.owner} has {ready} of {wanted} pods ready in its place{waiting}"
