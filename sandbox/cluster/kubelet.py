"""What the nodes do: start the containers of the pods that were placed on them, watch them, end them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sandbox.cluster.controllers.desk import Desk
from sandbox.cluster.environment import Unresolved, environment_of
from sandbox.cluster.faults import Faults
from sandbox.cluster.kinds import NODES, PODS, Object
from sandbox.cluster.logs import Logs
from sandbox.cluster.podstate import is_true, with_condition
from sandbox.cluster.store import Store

_log = logging.getLogger(__name__)

LOOK_EVERY = 0.25
BACK_OFF, LONGEST_BACK_OFF = 0.5, 5.0


class Runner(Protocol):
    """Whoever really runs the containers of one application; everybody else's are only played."""

    async def start(self, name: str, env: Mapping[str, str]) -> None:
        """Start a pod, in the place of one of that name, and return once it serves. Raises when its container crashes."""

    async def stop(self, name: str) -> None:
        """End it, also one that is not there."""

    def runs(self, name: str) -> bool:
        """Whether its process lives."""

    def ready(self, name: str) -> bool:
        """Whether it serves now."""

    def log(self, name: str) -> Path | None:
        """The file that its output is in, each line with its instant in front."""


class CrashedError(Exception):
    """A played container that was told to crash."""


@dataclass
class Kubelet:
    """One task for each pod that has a node that lives. `runner_of`: who really runs a pod, None for one that is played.
    `pod_start`: seconds from placed to started."""

    desk: Desk
    faults: Faults
    logs: Logs
    runner_of: Callable[[Object], Runner | None]
    pod_start: float

    def __post_init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._addresses = iter(range(2, 65_000))
        self.dead: set[str] = set()
        """Nodes whose machine is off."""

    @property
    def store(self) -> Store:
        return self.desk.store

    def sync(self) -> None:
        """Begin with pods that are new, and end those that go."""
        for pod in self.store.list(PODS):
            uid = pod["metadata"]["uid"]
            # A pod with no grace left has ended already, and waits for its finalizers.
            ended = pod["metadata"].get("deletionGracePeriodSeconds") == 0
            if uid not in self._tasks and not ended and self._alive(pod):
                task = asyncio.create_task(self._live(pod), name=f"pod {pod['metadata']['name']}")
                self._tasks[uid] = task
                task.add_done_callback(lambda done, uid=uid: self._ended(uid, done))  # type: ignore[misc]

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(uid, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a pod of the practice cluster was lost: %r", error)

    async def close(self) -> None:
        """Let go of every pod; their containers are their host's to end."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _alive(self, pod: Object) -> bool:
        """Whether the pod's node is there and well."""
        name = pod["spec"].get("nodeName") or ""
        node = self.store.find(NODES, "", name)
        return node is not None and name not in self.dead and is_true(node, "Ready")

    def _now(self, pod: Object) -> Object | None:
        """The pod as it is; None when it is gone, or another one of its name stands there."""
        meta = pod["metadata"]
        found = self.store.find(PODS, meta["namespace"], meta["name"])
        return found if found is not None and found["metadata"]["uid"] == meta["uid"] else None

    async def _live(self, pod: Object) -> None:
        """The whole life of a pod, from placed to gone."""
        name = pod["metadata"]["name"]
        with self.store.listening() as changed:
            while not self._ends(pod):
                if self._off(pod):
                    changed.clear()
                    await changed.wait()
                    continue
                await self._contained(pod, changed)
                if not self._off(pod):
                    self.desk.record(PODS, pod, "Killing", f"Stopping container {_first(pod)['name']}")
                if (runner := self.runner_of(pod)) is not None:
                    with contextlib.suppress(Exception):  # what a host cannot end any more has ended
                        await runner.stop(name)
            while (now := self._now(pod)) is not None and not self._lets_go(now):
                changed.clear()
                await changed.wait()
        if now is not None:
            self._let_go(now)
        self.logs.forget(name)

    def _ends(self, pod: Object) -> bool:
        """Whether it is gone, or asked to go."""
        now = self._now(pod)
        return now is None or bool(now["metadata"].get("deletionTimestamp"))

    def _off(self, pod: Object) -> bool:
        return pod["spec"].get("nodeName") in self.dead

    def _lets_go(self, pod: Object) -> bool:
        """Whether a pod that has ended may go: a node that is not well says nothing about it, and some hang."""
        return self._alive(pod) and pod["metadata"]["uid"] not in self.faults.hanging

    async def _contained(self, pod: Object, changed: asyncio.Event) -> None:
        """Run its containers until it has to end, or its machine is off."""
        running = asyncio.create_task(self._run(pod), name=f"containers of {pod['metadata']['name']}")
        try:
            while not self._ends(pod) and not self._off(pod):
                if running.done():
                    running.result()
                changed.clear()
                await changed.wait()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def _let_go(self, pod: Object) -> None:
        meta = pod["metadata"]

        def over(changed: Object) -> None:
            changed["metadata"]["deletionGracePeriodSeconds"] = 0
            with_condition(changed, {"type": "Ready", "status": "False", "reason": "PodCompleted"}, self.desk.now)

        # Finalizers hold it still; without them this is its end.
        self.store.edit(PODS, meta["namespace"], meta["name"], over)

    async def _run(self, pod: Object) -> None:
        """Start it, and again whenever it ends, each time a little later."""
        name, restarts = pod["metadata"]["name"], 0
        self._show(pod, waiting=("ContainerCreating", ""), restarts=0)
        await asyncio.sleep(self.pod_start)
        await self._image(pod)
        while True:
            try:
                env = environment_of(self.store, pod["metadata"]["namespace"], pod["spec"])
                await self._start(pod, env)
            except Unresolved as error:
                self._show(pod, waiting=("CreateContainerConfigError", str(error)), restarts=restarts)
                await asyncio.sleep(min(1.0, self.pod_start * 4))
                continue
            except Exception as error:  # noqa: BLE001 - whatever a container dies of, the cluster lives on
                _log.info("%s crashed: %s", name, error)
            else:
                self._show(pod, restarts=restarts)
                self.desk.record(PODS, pod, "Started", f"Container {_first(pod)['name']} started")
                await self._watch(pod, restarts)
            restarts += 1
            pause = min(BACK_OFF * 2 ** (restarts - 1), LONGEST_BACK_OFF) * min(1.0, self.pod_start * 4)
            why = f"back-off {pause:g}s restarting failed container={_first(pod)['name']} pod={name}"
            self._show(pod, waiting=("CrashLoopBackOff", why), restarts=restarts)
            self.desk.record(PODS, pod, "BackOff", "Back-off restarting failed container", warning=True)
            await asyncio.sleep(pause)

    async def _image(self, pod: Object) -> None:
        """Wait until every image can be had."""
        first = True
        while missing := [image for image in _images(pod) if self._missing(image)]:
            reason = "ErrImagePull" if first else "ImagePullBackOff"
            said = (
                f'Failed to pull image "{missing[0]}": not found' if first else f'Back-off pulling image "{missing[0]}"'
            )
            self._show(pod, waiting=(reason, said), restarts=0)
            self.desk.record(PODS, pod, "Failed", said, warning=True)
            await asyncio.sleep(self.pod_start if first else min(1.0, self.pod_start * 4))
            first = False

    def _missing(self, image: str) -> bool:
        return image in self.faults.missing_images or image.endswith(":missing")

    async def _start(self, pod: Object, env: Mapping[str, str]) -> None:
        name = pod["metadata"]["name"]
        if pod["metadata"]["labels"].get("app") in self.faults.crashing:
            self.logs.say(name, "told to crash")
            raise CrashedError("told to crash")
        runner = self.runner_of(pod)
        if runner is not None:
            await runner.start(name, env)
        if runner is None or runner.log(name) is None:
            self.logs.say(name, f"{_first(pod)['name']} started")

    async def _watch(self, pod: Object, restarts: int) -> None:
        """Until its container has ended; one that is only played never does. One that hangs runs, and is not ready."""
        runner, name = self.runner_of(pod), pod["metadata"]["name"]
        if runner is None:
            await asyncio.Event().wait()
            return
        shown = True
        while runner.runs(name):
            if runner.ready(name) != shown:
                shown = not shown
                self._show(pod, restarts=restarts, ready=shown)
                if not shown:
                    self.desk.record(PODS, pod, "Unhealthy", "Readiness probe failed: no answer", warning=True)
            await asyncio.sleep(LOOK_EVERY)

    def _show(self, pod: Object, *, restarts: int, waiting: tuple[str, str] | None = None, ready: bool = True) -> None:
        """Write the pod's status: waiting for a reason, or running, and ready or not."""
        meta, now = pod["metadata"], self.desk.now
        running, ready = waiting is None, ready and waiting is None
        state: Object = {"running": {"startedAt": now}}
        if waiting is not None:
            state = {"waiting": {"reason": waiting[0]} | ({"message": waiting[1]} if waiting[1] else {})}
        last: Object = {}
        if restarts:
            last = {"lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": now}}}
        one = {"ready": ready, "started": running, "restartCount": restarts, "state": state} | last
        address = f"10.42.{(number := next(self._addresses)) // 250}.{number % 250 + 1}"

        def change(changed: Object) -> None:
            status = changed.setdefault("status", {})
            status["phase"] = "Running" if running or restarts else "Pending"
            status.setdefault("startTime", now)
            status.setdefault("podIP", address)
            status["podIPs"] = [{"ip": status["podIP"]}]
            status["containerStatuses"] = [
                {"name": container["name"], "image": container["image"], "imageID": ""} | one
                for container in changed["spec"]["containers"]
            ]
            for kind in ("Initialized", "ContainersReady", "Ready"):
                good = ready or kind == "Initialized"
                reason = {} if good else {"reason": "ContainersNotReady"}
                with_condition(changed, {"type": kind, "status": str(good), **reason}, now)

        self.store.edit(PODS, meta["namespace"], meta["name"], change)


def _first(pod: Object) -> Object:
    container: Object = pod["spec"]["containers"][0]
    return container


def _images(pod: Object) -> list[str]:
    return [container["image"] for container in pod["spec"]["containers"]]
