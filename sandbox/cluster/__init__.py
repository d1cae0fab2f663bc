"""The practice Kubernetes cluster: a stateful API server, its controllers, and nodes whose pods are played or really run.

    cluster = Cluster(home, env={"DATABASE_URL": …, "REDIS_URL": …}, run={"api-server": application})
    await cluster.start()          # kubectl --kubeconfig {cluster.kubeconfig} get pods
    await cluster.settled()        # every workload is as it was asked to be

Served: namespaces, nodes, pods (log, eviction), services, endpoint slices, events, secrets, config maps, deployments, replica
sets, stateful and daemon sets, autoscalers, disruption budgets, leases; /readyz, /version and discovery.
An image with the tag `missing` cannot be pulled; for what else can go wrong see `Faults`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox.cluster.control import control, renew_leases
from sandbox.cluster.controllers.desk import Desk
from sandbox.cluster.deletion import delete
from sandbox.cluster.environment import environment_of
from sandbox.cluster.faults import Fault, Faults
from sandbox.cluster.identity import server_context, write_kubeconfig
from sandbox.cluster.kinds import DEPLOYMENTS, NODES, PODS, STATEFUL_SETS, Object
from sandbox.cluster.kubelet import Kubelet, Runner
from sandbox.cluster.logs import Logs
from sandbox.cluster.objects import Objects
from sandbox.cluster.podstate import with_condition
from sandbox.cluster.policies import Admit, enforce
from sandbox.cluster.seed import NAMESPACE, node, seed
from sandbox.cluster.server import Rooms, Server
from sandbox.cluster.store import Store
from sandbox.cluster.subresources import Subresources
from sandbox.cluster.watching import Watches
from sandbox.doors import listen

__all__ = ["Cluster", "Fault", "Faults", "Runner"]

_log = logging.getLogger(__name__)

LAPSE = 1.0
"""Seconds until a node that says nothing is called not ready (40 in a real cluster)."""
SILENT = "Kubelet stopped posting node status."


class Cluster:
    """One cluster below `home`. `env`: of the api-server's container; `run`: who really runs the production pods with that
    `app` label (the others are played); `admit`: who keeps out whom the network policies keep out.

    `pod_start`: seconds that a pod needs from its place on a node to its start. `machines`: what a cloud calls the machine of
    a node, and its address. `url`, `kubeconfig` and `token` are known
    at once; the kubeconfig is written at once, too, so that it can be handed on before anybody answers.
    """

    def __init__(
        self,
        home: Path,
        *,
        env: Mapping[str, str],
        run: Mapping[str, Runner] | None = None,
        admit: Admit | None = None,
        clock: Callable[[], float] = time.time,
        pod_start: float = 0.3,
        machines: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        folder = home / "cluster"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.token = secrets.token_urlsafe(24)
        self.kubeconfig = folder / "kubeconfig"
        self.store = Store(clock)
        self.faults = Faults(on_change=self.store.wake)
        opened = listen()
        self.port: int = opened.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        context = server_context(folder)
        write_kubeconfig(self.kubeconfig, self.url, self.token, folder / "ca.crt")
        runners = dict(run or {})

        def runner_of(pod: Object) -> Runner | None:
            meta = pod["metadata"]
            labels = meta.get("labels") or {}
            return runners.get(labels.get("app", "")) if meta["namespace"] == NAMESPACE else None

        def log_of(name: str) -> Path | None:
            pod = self.store.find(PODS, NAMESPACE, name)
            runner = runner_of(pod) if pod is not None else None
            return runner.log(name) if runner is not None else None

        logs = Logs(folder / "logs", clock, log_of)
        objects = Objects(self.store, clock)
        rooms = Rooms(
            store=self.store,
            objects=objects,
            subresources=Subresources(self.store, objects, clock),
            watches=Watches(self.store, self.faults),
            logs=logs,
            faults=self.faults,
            token=self.token,
            clock=clock,
        )
        self._server = Server(rooms, opened, context)
        self._desk = Desk(self.store, clock)
        self._kubelet = Kubelet(self._desk, self.faults, logs, runner_of, pod_start)
        self._admit = admit
        self._tasks: list[asyncio.Task[None]] = []
        self._lapses: dict[str, asyncio.TimerHandle] = {}
        seed(self.store, env, clock(), machines or {})

    @property
    def running(self) -> bool:
        """Whether it was started, and answers unless told to be down."""
        return bool(self._tasks) and not self.faults.down

    async def start(self) -> None:
        """Answer, and begin to start pods."""
        await self._server.start()
        self._tasks = [
            asyncio.create_task(control(self._desk, self._kubelet), name="controllers"),
            asyncio.create_task(renew_leases(self._desk), name="leases"),
        ]
        if self._admit is not None:
            self._tasks.append(asyncio.create_task(enforce(self.store, self._admit), name="network policies"))
        for task in self._tasks:
            task.add_done_callback(_tell_end)

    async def stop(self) -> None:
        """End everything; pods that really run are their host's to end. Raises what a controller died of."""
        for lapse in self._lapses.values():
            lapse.cancel()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await self._kubelet.close()
        await self._server.stop()
        for result in results:
            if isinstance(result, Exception):
                raise result

    def env_of(self, deployment: str) -> dict[str, str]:
        """The environment that new pods of a production deployment get. Raises ApiError 404, Unresolved."""
        spec = self.store.get(DEPLOYMENTS, NAMESPACE, deployment)["spec"]["template"]["spec"]
        return environment_of(self.store, NAMESPACE, spec)

    async def settled(self, within: float = 60.0) -> None:
        """Wait until every deployment and stateful set is as it was asked to be. Raises TimeoutError."""
        async with asyncio.timeout(within):
            with self.store.listening() as changed:
                while not all(map(_settled, [*self.store.list(DEPLOYMENTS), *self.store.list(STATEFUL_SETS)])):
                    changed.clear()
                    await changed.wait()

    def set_node(self, name: str, *, ready: bool) -> None:
        """A node falls silent, or comes back; its pods run on."""
        said = {"reason": "KubeletReady"} if ready else {"reason": "NodeStatusUnknown", "message": SILENT}
        self.set_condition(name, "Ready", "True" if ready else "Unknown", **said)
        if not ready and (node := self.store.find(NODES, "", name)) is not None:
            self._desk.record(NODES, node, "NodeNotReady", f"Node {name} status is now: NodeNotReady", warning=True)

    def set_condition(self, node: str, kind: str, status: str, **said: str) -> None:
        """Set one condition of a node; nothing happens when there is no such node."""
        condition, now = {"type": kind, "status": status, **said}, self._desk.now
        self.store.edit(NODES, "", node, lambda changed: with_condition(changed, condition, now))

    def kill_node(self, name: str) -> None:
        """Its machine dies: its containers end at once, nobody ends its pods, and LAPSE seconds later it is not ready."""
        if name in self._kubelet.dead:
            return
        self._kubelet.dead.add(name)
        self.store.wake()
        loop = asyncio.get_running_loop()
        self._lapses[name] = loop.call_later(LAPSE, lambda: self.set_node(name, ready=False))

    def revive_node(self, name: str) -> None:
        """Its machine runs again, and starts its pods anew."""
        if (lapse := self._lapses.pop(name, None)) is not None:
            lapse.cancel()
        self._kubelet.dead.discard(name)
        self.set_node(name, ready=True)

    def join(self, name: str, provider: str = "", address: str = "") -> None:
        """A new node."""
        self.store.create(NODES, node(name, self._desk.now, provider, address))

    def hang(self, name: str) -> bool:
        """A pod of production begins to end, with a second of grace, and never finishes. Whether there is one."""
        pod = self.store.find(PODS, NAMESPACE, name)
        if pod is not None:
            self.faults.hanging.add(pod["metadata"]["uid"])
            delete(self.store, PODS, pod, self._desk.clock(), 1)
        return pod is not None


def _tell_end(task: asyncio.Task[None]) -> None:
    """A controller that dies is not to go unnoticed until the cluster is stopped."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("the practice cluster's %s ended: %r", task.get_name(), error)


def _settled(workload: Object) -> bool:
    status, wanted = workload.get("status") or {}, workload["spec"]["replicas"]
    numbers = {status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas")}
    return status.get("observedGeneration") == workload["metadata"]["generation"] and numbers == {wanted}
