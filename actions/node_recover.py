"""Scenario 4, runbook 4.2: take a failed node out, end its machine, and wait for the one that comes for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import BaseModel, Field

from actions.node_drain import against, drain, is_drained, is_lost, listed, short_of
from actions.nodes import condition, differs, machine_of, named, place_of, worst_first
from actions.rollouts import BETWEEN_LOOKS, cluster_of, health_is_green
from bot.action import Action, Change, NotVerified, Plan, Progress, Risk, Step, Tools, not_yet, nothing
from bot.clock import spoken
from bot.errors import NotFound, NotNow, Refused, Unavailable
from bot.estate import Estate
from bot.incident import Scenario
from bot.tools import Machine, Node, Resident, WorkloadKind

GONE = "the node's object does not come back"


class NodeFacts(BaseModel):
    """This very node and its machine, how many of the others are Ready, whose pods are moved, as
    `production/deployment/api-server`, and the UIDs of the nodes that are there: what is not among them is new."""

    node: str
    uid: str
    provider: str
    address: str
    cordoned: bool
    ready_elsewhere: int
    workloads: list[str]
    known: list[str]


class Recover(Action[NodeFacts]):
    """Replace a failed node: drain it, delete it, terminate its machine, and wait for a new one."""

    name: ClassVar[str] = "node.recover"
    risk: ClassVar[Risk] = Risk.HIGH
    scenario: ClassVar[Scenario] = Scenario.KUBERNETES
    usual: ClassVar[timedelta] = timedelta(minutes=10)
    service: ClassVar[str] = "api"
    facts: ClassVar[type[BaseModel]] = NodeFacts

    node: str = Field(description="which node, as `kubectl get nodes` names it")

    @classmethod
    async def choices(cls, field_name: str, tools: Tools) -> Sequence[tuple[str, str]]:
        if field_name != "node":
            return ()
        found = [node for node in worst_first(await tools.nodes.nodes()) if not node.control_plane]
        return [(node.name, f"{node.name}: {condition(node)}") for node in found]

    def target(self, estate: Estate) -> str:
        cluster_of(estate)
        return f"node {self.node}"

    def locks(self, estate: Estate) -> Sequence[str]:
        # Two nodes that are drained at once take each other's room.
        return (self.target(estate), "nodes of the cluster")

    async def plan(self, tools: Tools) -> Plan[NodeFacts]:
        within = cluster_of(tools.estate).drain_within
        nodes, residents = await asyncio.gather(tools.nodes.nodes(), tools.nodes.residents())
        node = named(nodes, self.node)
        others = [n for n in nodes if n.uid != node.uid and n.takes_pods and not n.control_plane]
        here = [pod for pod in residents if pod.node == node.name]
        _possible(node, others, here)
        machine = await machine_of(tools, node)
        leaving = [pod for pod in here if pod.leaves]
        facts = NodeFacts(
            node=node.name,
            uid=node.uid,
            provider=node.provider if place_of(node.provider) else "",
            address=node.address,
            cordoned=node.cordoned,
            ready_elsewhere=sum(n.ready and n.uid != node.uid for n in nodes),
            workloads=sorted({f"{p.namespace}/{p.owner}" for p in leaving if p.fate == "evicted"}),
            known=sorted(n.uid for n in nodes),
        )
        short = short_of(leaving, others, residents)
        warnings = (*_warnings(node, machine, leaving), *([f"Too little room elsewhere: {short}."] if short else []))
        lost = [pod for pod in leaving if pod.local]
        return Plan(
            facts,
            (
                Change(f"node {node.name}", condition(node), "a new one"),
                Change(f"{len(leaving)} pods", f"on {node.name}", f"on {len(others)} other nodes"),
                Change(f"machine {machine.id}", machine.state, "terminated")
                if machine
                else Change(f"machine {node.provider or 'of the node'}", "not known to EC2", "not touched"),
            ),
            notes=_notes(node, here, within),
            loss_says=f"what is in the emptyDir volumes of {listed(lost)} is lost" if lost else "",
            undo_says="until the node is deleted: pods may go there again; those that have moved stay where they are",
            warnings=warnings,
        )

    def steps(self, facts: NodeFacts, tools: Tools) -> Sequence[Step]:
        nodes, cluster = tools.nodes, cluster_of(tools.estate)

        async def cordon(_progress: Progress) -> str:
            await nodes.cordon(facts.node, facts.uid, on=True)
            return "no new pods go there" + (", as before" if facts.cordoned else "")

        async def cordoned() -> bool:
            return any(node.uid == facts.uid and node.cordoned for node in await nodes.nodes())

        async def uncordon(_progress: Progress) -> None:
            if not facts.cordoned:
                await nodes.cordon(facts.node, facts.uid, on=False)

        async def empty(progress: Progress) -> str:
            return await drain(tools, facts.node, facts.uid, cluster.drain_within, progress)

        async def emptied() -> bool:
            return await is_drained(tools, facts.node, facts.uid)

        async def delete(_progress: Progress) -> None:
            await nodes.delete(facts.node, facts.uid)

        async def deleted() -> bool:
            return all(node.uid != facts.uid for node in await nodes.nodes())

        async def wait(progress: Progress) -> str:
            return await _joined(tools, facts, cluster.node_within, progress)

        name = facts.node
        return (
            Step(f"Cordon {name}", cordon, cordoned, uncordon, by_hand=f"kubectl cordon {name}"),
            Step(f"Drain {name}", empty, emptied, nothing,
                 by_hand=f"kubectl drain {name} --ignore-daemonsets --delete-emptydir-data says what it waits for."),
            Step(f"Delete {name} from the cluster", delete, deleted, None, GONE, f"kubectl delete node {name}"),
            _termination(facts, tools),
            Step("Wait for a new node", wait, not_yet, nothing,
                 by_hand="The activity of the auto scaling group says why no machine comes, or the machine's log why it does not join."),
        )  # fmt: skip

    async def verify(self, facts: NodeFacts, tools: Tools) -> str:
        nodes = await tools.nodes.nodes()
        new, ready = _new(nodes, facts), sum(node.ready for node in nodes)
        if not new or any(node.uid == facts.uid for node in nodes) or ready <= facts.ready_elsewhere:
            raise NotVerified(f"{len(new)} new nodes are Ready, {ready} nodes in all; {facts.node} was to be replaced")
        within = cluster_of(tools.estate).rollout_within
        counts = [await _ready(tools, workload, within) for workload in facts.workloads]
        seen = "; ".join(filter(None, counts)) or "it had no pods to move"
        return f"{new[0].name} is Ready, {ready} nodes in all; {seen}; {await health_is_green(tools)}"


def _possible(node: Node, others: Sequence[Node], here: Sequence[Resident]) -> None:
    """Raises NotNow with what to do."""
    if node.control_plane:
        raise NotNow(f"{node.name} belongs to the control plane. It is not drained like others: replace it by hand.")
    if not others:
        raise NotNow(
            f"No other node is Ready and takes pods, so what runs on {node.name} would have nowhere to go. Add a node first."
        )
    if why := against(here):
        raise NotNow(f"{node.name} cannot be drained: {why}.")


def _warnings(node: Node, machine: Machine | None, leaving: Sequence[Resident]) -> list[str]:
    found = []
    if node.ready and not node.pressures:
        found.append(f"{node.name} is Ready and under no pressure: is it the one?")
    sets = [pod for pod in leaving if pod.owner.startswith("statefulset/")]
    if sets and not node.ready:
        found.append(
            f"{node.name} does not answer, so nobody knows whether its containers still run. {listed(sets)} of a stateful set"
            " may run twice until the machine is terminated."
        )
    if lost := [pod for pod in leaving if pod.local]:
        found.append(f"What {listed(lost)} keeps in emptyDir volumes is lost.")
    if machine is None:
        why = (
            f"EC2 knows no {node.provider} any more"
            if place_of(node.provider)
            else "its providerID names no machine of EC2's"
        )
        found.append(f"No machine is terminated: {why}. If it still runs, end it by hand.")
    elif not machine.group:
        found.append(f"{machine.id} belongs to no auto scaling group: who starts a new one?")
    return found


def _notes(node: Node, here: Sequence[Resident], within: timedelta) -> list[str]:
    stay = [pod for pod in here if not pod.leaves]
    held = [p for p in here if p.leaves and p.exhausted and p.deadline is None and not is_lost(p, node)]
    notes = [f"{pod.namespace}/{pod.name} has to wait now: {pod.exhausted}" for pod in held]
    notes += [f"disruption budgets are waited for, {spoken(within)} at most"]
    return notes + ([f"not evicted, and gone with the node: {listed(stay)}"] if stay else [])


def _termination(facts: NodeFacts, tools: Tools) -> Step:
    place = place_of(facts.provider)
    if place is None:

        async def skip(_progress: Progress) -> str:
            return "skipped: the node names no machine of EC2's"

        return Step("Terminate its machine", skip, not_yet, None, GONE)

    async def terminate(_progress: Progress) -> str:
        found = await tools.machines.find(place.region, place.id)
        if found is None or found.ends:
            return f"{place.id} is {found.state if found else 'not known to EC2 any more'} already"
        if why := differs(found, place, facts.address):
            raise Refused(f"it was not terminated: {why}")
        await tools.machines.terminate(place.region, place.id)
        return f"{place.id} ends"

    async def terminated() -> bool:
        found = await tools.machines.find(place.region, place.id)
        return found is None or found.ends

    by_hand = f"aws ec2 terminate-instances --region {place.region} --instance-ids {place.id}"
    return Step(f"Terminate {place.id}", terminate, terminated, None, "a terminated machine is gone", by_hand)


def _new(nodes: Sequence[Node], facts: NodeFacts) -> list[Node]:
    return [node for node in nodes if node.uid not in facts.known and node.takes_pods]


async def _joined(tools: Tools, facts: NodeFacts, within: timedelta, progress: Progress) -> str:
    """Until a node is Ready that was not there before, and as many as before are. Raises Refused."""
    said = "it was not looked at yet"
    try:
        async with asyncio.timeout(within.total_seconds()):
            while True:
                try:
                    nodes = await tools.nodes.nodes()
                except Unavailable as error:
                    said = str(error)
                else:
                    new, ready = _new(nodes, facts), sum(node.ready for node in nodes)
                    left = any(node.uid == facts.uid for node in nodes)
                    if new and ready > facts.ready_elsewhere and not left:
                        return f"{new[0].name} is Ready, {ready} nodes in all"
                    said = f"{ready} nodes are Ready, {len(new)} of them new"
                    said += f"; {facts.node} is not gone yet: a finalizer holds it" if left else ""
                progress(said)
                await asyncio.sleep(BETWEEN_LOOKS)
    except TimeoutError:
        raise Refused(f"no new node was Ready within {spoken(within)}: {said}") from None


_KINDS: dict[str, WorkloadKind] = {"deployment": "deployment", "statefulset": "statefulset"}


async def _ready(tools: Tools, workload: str, within: timedelta) -> str:
    """`api-server 3 of 3`, once it is so; empty for a kind that has no such numbers. Raises NotVerified."""
    namespace, kind, name = workload.split("/")
    if kind not in _KINDS:
        return ""
    said = f"nobody has said how {name} is"
    try:
        async with asyncio.timeout(within.total_seconds()):
            while True:
                seen = await tools.cluster.workload(_KINDS[kind], namespace, name)
                if seen.ready >= seen.replicas:
                    break
                said = f"{seen.ready} of {seen.replicas} pods of {name} are ready"
                await asyncio.sleep(BETWEEN_LOOKS)
    except TimeoutError:
        raise NotVerified(said) from None
    except NotFound:
        return f"{name} is gone"
    return f"{name} {seen.ready} of {seen.replicas} ready"
