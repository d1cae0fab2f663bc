"""Scenario 4, told for workloads: a bad release, a pod that hangs, one that fits nowhere; healed or refused by buttons alone."""

from typing import Any

from sandbox.cluster import Cluster
from sandbox.cluster.kinds import AUTOSCALERS, DEPLOYMENTS, PODS, Object
from tests.stories.again import sees
from tests.stories.scene import Scene, eventually, scene, whole

HERE = "production"
Json = dict[str, Any]


async def ended(it: Scene, number: int, state: str) -> str:
    """Wait until a run is in an end state; its outcome."""

    async def look() -> Json | None:
        rows = await it.sql("select state, outcome from run where number = %s and ended_at is not null", number)
        undoing = state == "undone" and rows and rows[0]["state"] == "succeeded"
        return rows[0] if rows and not undoing else None

    run = await eventually(look, 120, f"RUN-{number} ends")
    assert run["state"] == state, run
    return str(run["outcome"])


async def planned(it: Scene, room: str, words: str, number: int) -> str:
    """Ask for a run; its plan as the card shows it."""
    await it.ana.types(f"/recover {words}", room)

    async def look() -> str | None:
        cards = [whole(m) for m in await it.ana.sees(room) if f"RUN-{number} " in whole(m) + " "]
        return next((text for text in cards if "What changes" in text), None)

    return await eventually(look, what=f"the plan of RUN-{number}")


async def approved(it: Scene, room: str, number: int) -> str:
    """Somebody else approves; the outcome of the run that succeeded."""
    await it.chloe.types(f"/recover approve RUN-{number}", room)
    return await ended(it, number, "succeeded")


async def breaks(it: Scene, action: str) -> None:
    """A button of the panel."""
    assert await it.post("/panel/do", part="workloads", action=action) == {"ok": True}


async def state(it: Scene) -> str:
    """What the panel says of the workloads."""
    parts = (await it.get("/panel/state"))["parts"]
    return str(next(part["state"] for part in parts if part["name"] == "workloads"))


def pod_of(cluster: Cluster, name: str) -> str:
    """The identity of a pod; empty when there is none."""
    found = cluster.store.find(PODS, HERE, name)
    return str(found["metadata"]["uid"]) if found else ""


async def test_releases_and_stuck_pods_are_healed_by_buttons(database: str) -> None:
    """Pending with the reason, the release taken back from its button, and forth by Undo; restarted, scaled and unscaled; a pod of
    a stateful set that hangs goes by force, with its warning; what the logs hold is shown without its secrets."""
    async with scene(database, parts=("cluster",)) as it:
        cluster = it.practice.cluster
        assert cluster is not None
        await breaks(it, "bad_release")
        room = await it.declares("P1 the api does not answer")
        seen = await sees(it, room, "pods.pending", "valuecanvas/api-server:missing", "ImagePull")
        await it.ana.clicks(seen, "recover_start_0")
        plan = whole(await it.ana.reads(room, "What changes"))
        for words in (
            "image of api-server: valuecanvas/api-server:missing",
            "valuecanvas/api-server:1.8.0",
            "revision 2",
        ):
            assert words in plan.replace("*", "")
        assert await state(it) == "bad release"
        assert "3 of 3 pods of api-server are ready, and no other one is left" in await approved(it, room, 1)
        assert await state(it) == "normal"
        # Undo brings the bad release back, whether its pods start or not.
        await it.chloe.types("/recover undo RUN-1", room)
        await ended(it, 1, "undone")
        assert await state(it) == "bad release"
        await breaks(it, "normal")
        await cluster.settled()

        plan = await planned(it, room, "deployment.restart", 2)
        assert "Undo: not needed" in plan.replace("*", "") or "not needed: the new pods are like the old ones" in plan
        await it.ana.types("/recover approve RUN-2", room)
        assert "3 of 3 pods of api-server are ready" in await ended(it, 2, "succeeded")

        await breaks(it, "too_big")
        await sees(it, room, "pods.pending", "3 Insufficient cpu")
        assert await state(it) == "pending"
        await breaks(it, "normal")
        await cluster.settled()

        plan = await planned(it, room, "deployment.scale deployment=frontend replicas=0", 3)
        assert "Nothing of frontend serves any more" in plan
        assert "0 of 0 pods of frontend" in await approved(it, room, 3)
        await it.chloe.types("/recover undo RUN-3", room)
        await ended(it, 3, "undone")
        frontend = cluster.store.get(DEPLOYMENTS, HERE, "frontend")
        assert (frontend["spec"]["replicas"], frontend["status"]["readyReplicas"]) == (2, 2)

        await breaks(it, "stuck_pod")
        assert await state(it) == "stuck"
        old = pod_of(cluster, "redis-0")
        seen = await sees(it, room, "pods.pending", "overdue for")
        await it.ana.clicks(seen, "recover_start_0")
        plan = whole(await it.ana.reads(room, "may run twice"))
        for words in (
            "is ready, so the old container may still run",
            "StatefulSet redis",
            "one approver other than Ana",
        ):
            assert words in plan
        assert "StatefulSet redis has 1 of 1 pods ready in its place" in await approved(it, room, 4)
        assert pod_of(cluster, "redis-0") not in ("", old)
        assert await state(it) == "normal"
        await _logs_hide_secrets(it, room, cluster)


async def _logs_hide_secrets(it: Scene, room: str, cluster: Cluster) -> None:
    """Of all pods, with the pattern alone; none at all is said, and a selector that means nobody."""
    pod = next(
        p["metadata"]["name"] for p in cluster.store.list(PODS, HERE) if p["metadata"]["labels"]["app"] == "api-server"
    )
    lines = [
        "ERROR cannot reach postgresql://app:t0p-secret@primary/canvas",
        "INFO fine",
        "FATAL password=hunter2hunter2",
    ]
    with (cluster.kubeconfig.parent / "logs" / f"{pod}.log").open("a") as file:
        file.writelines(f"2099-01-01T00:00:0{n}Z {line}\n" for n, line in enumerate(lines))
    says = "2 lines with ERROR or FATAL in the last 1 h", "looked at: 3 pods with app=api-server"
    seen = whole(await sees(it, room, "logs.errors 'pattern=ERROR|FATAL'", "cannot reach", *says))
    assert seen.index("FATAL password=") < seen.index("ERROR cannot reach"), "newest first"
    for secret in ("t0p-secret", "hunter2", "INFO fine"):
        assert secret not in seen
    await sees(it, room, "logs.errors pattern=PANIC since=5m", "No line with PANIC in the last 5 min")
    await sees(it, room, "logs.errors selector=app=nobody", "No pod in production has the labels")


async def test_what_moved_or_would_do_nothing_is_refused(database: str) -> None:
    """Unknown, paused, owned by an autoscaler, nothing to go back to: each with what to do. A pod that is another one by the time
    of the approval needs a new one; one that is gone is not forced."""
    async with scene(database, parts=("cluster",)) as it:
        cluster = it.practice.cluster
        assert cluster is not None
        room = await it.declares("P1 the api is slow")
        ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "frontend"}
        spec = {"scaleTargetRef": ref, "minReplicas": 2, "maxReplicas": 5}
        cluster.store.create(AUTOSCALERS, {"metadata": {"name": "web", "namespace": HERE}, "spec": spec})
        cluster.store.edit(DEPLOYMENTS, HERE, "api-server", _paused)
        for words, says in (
            (
                "deployment.restart deployment=nothing",
                "There is no deployment `nothing` in production; there is `api-server`",
            ),
            ("deployment.restart", "api-server is paused"),
            ("deployment.undo", "api-server is paused"),
            ("deployment.undo deployment=frontend", "has no revision before this one"),
            ("deployment.scale deployment=frontend replicas=4", "The autoscaler web sets the replicas of frontend"),
            ("pod.force-delete pod=redis-0", "redis-0 is ready and serves"),
        ):
            await it.ana.types(f"/recover {words}", room)
            await it.ana.reads(room, says)

        plan = await planned(it, room, "deployment.scale deployment=frontend replicas=0", 7)
        assert "The autoscaler web rests as long as it is 0" in plan
        assert cluster.hang("redis-0")
        old = pod_of(cluster, "redis-0")
        await planned(it, room, "pod.force-delete pod=redis-0", 8)
        # Somebody else was faster, and the new one hangs as well.
        cluster.store.remove(PODS, HERE, "redis-0")

        async def another() -> bool:
            return pod_of(cluster, "redis-0") not in ("", old)

        await eventually(another)
        assert cluster.hang("redis-0")
        second = pod_of(cluster, "redis-0")
        await it.chloe.types("/recover approve RUN-8", room)
        moved = whole(await it.ana.reads(room, f"uid: {old} → {second}"))
        assert "approv" in moved
        assert pod_of(cluster, "redis-0") == second, "nothing was forced by an approval of another pod"
        cluster.store.edit(DEPLOYMENTS, HERE, "frontend", lambda changed: changed["spec"].update(replicas=3))
        cluster.store.remove(PODS, HERE, "redis-0")
        cluster.faults.hanging.clear()
        await cluster.settled()
        await it.chloe.types("/recover approve RUN-8", room)
        await it.ana.reads(room, "redis-0 is ready and serves: it needs no force")
        await it.chloe.types("/recover approve RUN-7", room)
        await it.ana.reads(room, "before: 2 → 3")


def _paused(changed: Object) -> None:
    changed["spec"]["paused"] = True
