"""The control loop: after every change all controllers look, until none of them has anything to do."""

from __future__ import annotations

import asyncio
import contextlib

from sandbox.cluster.controllers.deployments import sync_deployments, sync_replica_sets
from sandbox.cluster.controllers.desk import Desk
from sandbox.cluster.controllers.ordered import sync_daemon_sets, sync_stateful_sets
from sandbox.cluster.controllers.surroundings import (
    schedule,
    sync_autoscalers,
    sync_budgets,
    sync_services,
    tend_nodes,
)
from sandbox.cluster.deletion import collect_garbage
from sandbox.cluster.kinds import LEASES, Object
from sandbox.cluster.kubelet import Kubelet
from sandbox.cluster.moments import micro
from sandbox.cluster.seed import LEADERS

ROUNDS = 100
LEASE_EVERY = 5.0
_STEPS = (
    sync_autoscalers,
    sync_deployments,
    sync_replica_sets,
    sync_stateful_sets,
    sync_daemon_sets,
    schedule,
    tend_nodes,
    sync_services,
    sync_budgets,
)


async def control(desk: Desk, kubelet: Kubelet) -> None:
    """Until cancelled."""
    with desk.store.listening() as changed:
        while True:
            changed.clear()
            settle(desk)
            kubelet.sync()
            wait = None if desk.again is None else max(0.02, desk.again - desk.clock())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await changed.wait()
            # A burst of changes is one look.
            await asyncio.sleep(0.005)


def settle(desk: Desk) -> None:
    """Everything that follows at once from what is there now."""
    for _ in range(ROUNDS):
        desk.again, before = None, desk.store.version
        collect_garbage(desk.store, desk.clock)
        for step in _STEPS:
            step(desk)
        if desk.store.version == before:
            return


async def renew_leases(desk: Desk) -> None:
    """The leaders' sign of life, until cancelled."""
    while True:
        await asyncio.sleep(LEASE_EVERY)
        for name in LEADERS:

            def renew(changed: Object) -> None:
                changed["spec"]["renewTime"] = micro(desk.clock())

            desk.store.edit(LEASES, "kube-system", name, renew)
