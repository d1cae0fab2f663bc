"""Scenario 4, told whole: a node dies, and is replaced by buttons alone; its machine in EC2 really ends, and another one joins."""

from sandbox.estate.machines import MACHINES, Ec2
from sandbox.practice import Part
from tests.stories.again import sees
from tests.stories.scene import eventually, scene, whole
from tests.stories.test_security import ended, offered, planned

PARTS: tuple[Part, ...] = ("postgres", "redis", "app", "cluster", "s3")


async def test_a_dead_node_is_replaced(database: str) -> None:
    """Named by the assessment, found by the look, planned from its button, approved by another, and green within its RTO."""
    async with scene(database, parts=PARTS, process=True) as it:
        fleet, cluster, aws = it.practice.fleet, it.practice.cluster, it.practice.s3
        assert fleet is not None
        assert cluster is not None
        assert aws is not None
        fleet.kill("node-2")

        async def silent() -> bool:
            return fleet.state().dead == ("node-2",)

        await eventually(silent)
        room = await it.declares("P1 some pages do not load")
        assert "cluster.assess" in whole(await it.ana.reads(room, "Most likely scenario: *kubernetes*"))
        await it.ana.types("/recover cluster.assess", room)
        seen = await it.ana.reads(room, "2 of 3 nodes are ready; node-2 is NOT READY")
        for words in (
            "node-2: NOT READY (Kubelet stopped posting node status)",
            "node-1: Ready",
            "of 2 cores",
            "Running, not ready on node-2",
            "NodeNotReady node/node-2",
            "API server: all 6 checks are ok",
            "kube-scheduler: at work",
        ):
            assert words in whole(seen), words
        await offered(it, room, seen, "Plan to replace node-2")
        plan = await planned(it, room, 1)
        for words in ("NOT READY", "emptyDir volumes is lost", "point of no return", MACHINES["node-2"].id):
            assert words in plan, words
        await it.chloe.types("/recover approve RUN-1", room)
        outcome = await ended(it, 1)
        for words in ("node-4 is Ready, 3 nodes in all", "api-server 3 of 3 ready", "the application is healthy"):
            assert words in outcome
        steps = [e.text for e in await it.timeline(1) if e.kind == "run_step"]
        assert len(steps) == 5
        assert "removed by force: their node did not end them" in steps[1]
        assert fleet.state().nodes == ("node-1", "node-3", "node-4")
        machines = {machine.id: machine.state for machine in await Ec2(aws).machines()}
        assert machines[MACHINES["node-2"].id] == "terminated"
        assert sorted(machines.values()) == ["running"] * 3 + ["terminated"]

        # Another service may have been red for a moment when the declaration looked at it.
        async def green() -> bool:
            return any("RTO 10 min" in e.text for e in await it.timeline(1) if e.kind == "recovered")

        await eventually(green)
        # A pod that was moved may still be starting: asked until it is not.
        await sees(it, room, "cluster.assess", "3 of 3 nodes are ready; nothing stands out")
