"""Workloads of the practice cluster on the panel: a bad release, a pod that hangs, one that fits nowhere."""

from collections.abc import Callable

from sandbox.cluster import Cluster
from sandbox.cluster.kinds import DEPLOYMENTS, PODS, Object
from sandbox.cluster.podstate import condition
from sandbox.cluster.seed import NAMESPACE
from sandbox.estate.children import CannotDo
from sandbox.panel_parts import Action, Part, Seen

BAD, RELEASED, HUNG, BIG = ":missing", "api-server", "redis-0", "frontend"
TOO_MUCH = {"requests": {"cpu": "64"}}


def workloads(of: Cluster) -> Part:
    """What is deployed, and whether its pods come and go as they should."""

    def change(deployment: str, edit: Callable[[Object], None]) -> None:
        def container(changed: Object) -> None:
            edit(changed["spec"]["template"]["spec"]["containers"][0])

        found = of.store.find(DEPLOYMENTS, NAMESPACE, deployment)
        if found is None:
            raise CannotDo(f"There is no deployment {deployment} any more.")
        of.store.edit(DEPLOYMENTS, NAMESPACE, deployment, container)

    async def release() -> None:
        change(RELEASED, lambda one: one.update(image=one["image"].partition(":")[0] + BAD))

    async def hang() -> None:
        if not of.hang(HUNG):
            raise CannotDo(f"There is no pod {HUNG} that could hang.")

    async def too_big() -> None:
        change(BIG, lambda one: one.update(resources=TOO_MUCH))

    async def normal() -> None:
        of.faults.hanging.clear()
        of.store.wake()
        change(RELEASED, lambda one: one.update(image=one["image"].replace(BAD, ":1.8.0")))
        change(BIG, lambda one: one.pop("resources", None))

    async def look() -> Seen:
        return state(of)

    actions = (
        Action("bad_release", "Bad release of api-server", "bad release", release),
        Action("stuck_pod", "Pod redis-0 hangs", "stuck", hang),
        Action("too_big", "Release of frontend that fits nowhere", "pending", too_big),
        Action("normal", "Put it right", "normal", normal),
    )
    return Part("workloads", "Workloads", look, actions)


def state(of: Cluster) -> Seen:
    """The first thing that is wrong."""
    pods = of.store.list(PODS, NAMESPACE)
    for pod in pods:
        name, meta = pod["metadata"]["name"], pod["metadata"]
        if meta.get("deletionTimestamp") and meta["uid"] in of.faults.hanging:
            return "stuck", f"{name} does not finish ending"
    for one in of.store.list(DEPLOYMENTS, NAMESPACE):
        image = one["spec"]["template"]["spec"]["containers"][0]["image"]
        if image.endswith(BAD):
            return "bad release", f"{image} cannot be pulled"
    for pod in pods:
        placed = condition(pod, "PodScheduled")
        if placed is not None and placed["status"] == "False" and not pod["metadata"].get("deletionTimestamp"):
            return "pending", f"{pod['metadata']['name']}: {placed['message']}"
    return "normal", f"{len(pods)} pods"
