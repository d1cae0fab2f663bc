"""Who brings a new node for one that is gone: an autoscaling group, and the machines it starts."""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple

from sandbox.cluster import Cluster
from sandbox.cluster.kinds import NODES, Object
from sandbox.cluster.podstate import is_true
from sandbox.estate.children import CannotDo
from sandbox.estate.machines import Ec2

LOOK_EVERY = 0.25


class State(NamedTuple):
    """What the panel shows."""

    dead: tuple[str, ...]
    pressed: tuple[str, ...]
    nodes: tuple[str, ...]


class Fleet:
    """Keeps as many nodes as there were at first. With `ec2` a node follows when its machine is terminated, else when it is
    deleted; `takes` seconds pass until the new one has joined. It looks only while a node is missing or not ready."""

    def __init__(self, cluster: Cluster, ec2: Ec2 | None, takes: float = 1.5) -> None:
        self.takes = takes
        self.held = False
        """Whether no new machine comes."""
        self._cluster, self._ec2 = cluster, ec2
        self._wanted = self._number = len(cluster.store.list(NODES))
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._keep(), name="autoscaling group")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def state(self) -> State:
        """How the nodes are."""
        nodes = self._cluster.store.list(NODES)
        dead = tuple(_name(node) for node in nodes if not is_true(node, "Ready"))
        return State(dead, tuple(_name(n) for n in nodes if is_true(n, "MemoryPressure")), tuple(map(_name, nodes)))

    def kill(self, name: str) -> None:
        """The machine of a node hangs: it still runs, as EC2 sees it."""
        self._cluster.kill_node(name)

    def press(self, name: str, *, on: bool) -> None:
        """A node has too little memory left, or enough again."""
        reason = "KubeletHasInsufficientMemory" if on else "KubeletHasSufficientMemory"
        self._cluster.set_condition(name, "MemoryPressure", str(on), reason=reason)

    def heal(self) -> None:
        """Every node that is there is well again."""
        for name in self.state().nodes:
            self._cluster.revive_node(name)
            self.press(name, on=False)

    async def _keep(self) -> None:
        with self._cluster.store.listening() as changed:
            while True:
                changed.clear()
                nodes = self._cluster.store.list(NODES)
                if sum(is_true(node, "Ready") for node in nodes) >= self._wanted:
                    await changed.wait()
                    continue
                with contextlib.suppress(CannotDo):  # AWS is away: later
                    await self._look(nodes)
                await asyncio.sleep(LOOK_EVERY)

    async def _look(self, nodes: list[Object]) -> None:
        if self._ec2 is None:
            if len(nodes) < self._wanted and not self.held:
                await asyncio.sleep(self.takes)
                self._cluster.join(self._next())
            return
        running = {machine.provider for machine in await self._ec2.machines() if machine.state == "running"}
        for node in nodes:
            if node["spec"].get("providerID") not in running and is_true(node, "Ready"):
                self._cluster.kill_node(_name(node))
        if len(running) < self._wanted and not self.held:
            await asyncio.sleep(self.takes)
            machine = await self._ec2.launch(name := self._next())
            self._cluster.join(name, machine.provider, machine.address)

    def _next(self) -> str:
        self._number += 1
        return f"node-{self._number}"


def _name(node: Object) -> str:
    return str(node["metadata"]["name"])
