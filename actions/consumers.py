"""The application that reads a connection string: what it is told now, and how it is sent to another server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from actions.rollouts import cluster_of, wait_for_rollout
from bot.action import Progress, Step, Tools, not_yet, nothing
from bot.errors import NotNow
from bot.estate_places import Consumer

Place = Callable[[str], str]
"""What of a connection string tells servers apart: host and port."""


async def told(tools: Tools, consumer: Consumer) -> str:
    """The connection string that the application is told, empty when it is told none. Raises NotFound."""
    namespace = cluster_of(tools.estate).namespace
    if consumer.secret:
        return await tools.cluster.secret_value(namespace, consumer.secret, consumer.variable) or ""
    workload = await tools.cluster.workload("deployment", namespace, consumer.deployment)
    return workload.env.get(consumer.variable, "")


async def used(tools: Tools, consumer: Consumer, servers: Mapping[str, str], place: Place, of: str) -> str:
    """The name of the server that the application is sent to; `servers`: connection strings by name, `of`: what they are of.

    Raises NotNow when it is none of them, and NotFound.
    """
    value = await told(tools, consumer)
    where = place(value) if value else "nowhere"
    for name, url in servers.items():
        if value and place(url) == where:
            return name
    raise NotNow(
        f"{consumer.variable} of {consumer.deployment} leads to {where}, which is no server of `{of}` in the estate file;"
        " correct one of them first."
    )


@dataclass(frozen=True)
class Move:
    """The application goes to the server that people call `to`. `url`: its connection string, asked for when it is needed."""

    tools: Tools
    consumer: Consumer
    to: str
    url: Callable[[], Awaitable[str]]
    place: Place

    def steps(self) -> Sequence[Step]:
        """Tell it, and wait until every pod knows. A variable of the deployment itself rolls its pods over by being set; a
        secret does not."""
        app = self.consumer
        send = Step(f"Send {app.deployment} to {self.to}", self._send, self._sent, nothing, by_hand=self._by_hand)
        return (send, *(self.rollover() if app.secret else self.rollover()[1:]))

    def rollover(self) -> Sequence[Step]:
        """Make its pods anew, and wait for them."""
        name = self.consumer.deployment
        return (
            Step(f"Restart {name}", self._restart, self._restarted, nothing, by_hand=self._by_hand),
            Step(f"Wait until every pod of {name} is new", self._roll, not_yet, nothing),
        )

    @property
    def _by_hand(self) -> str:
        return f"Set {self.consumer.variable} of {self.consumer.deployment} to {self.to} and restart it."

    async def _send(self, _progress: Progress) -> str:
        app, namespace, url = self.consumer, cluster_of(self.tools.estate).namespace, await self.url()
        if app.secret:
            await self.tools.cluster.set_secret(namespace, app.secret, app.variable, url)
        else:
            workload = await self.tools.cluster.workload("deployment", namespace, app.deployment)
            await self.tools.cluster.set_env(workload, app.variable, url)
        return f"{app.variable} leads to {self.to}"

    async def _sent(self) -> bool:
        value = await told(self.tools, self.consumer)
        return bool(value) and self.place(value) == self.place(await self.url())

    async def _restart(self, _progress: Progress) -> str:
        namespace = cluster_of(self.tools.estate).namespace
        await self.tools.cluster.restart("deployment", namespace, self.consumer.deployment, self.tools.run)
        return "rolling over"

    async def _restarted(self) -> bool:
        namespace = cluster_of(self.tools.estate).namespace
        workload = await self.tools.cluster.workload("deployment", namespace, self.consumer.deployment)
        return workload.restarted_at == self.tools.run

    async def _roll(self, progress: Progress) -> str:
        within = cluster_of(self.tools.estate).rollout_within
        return await wait_for_rollout(self.tools, "deployment", self.consumer.deployment, within, progress)
