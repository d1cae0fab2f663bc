"""The primary site as one: down at once, brought back as it was, or built anew by Terraform."""

import asyncio
from collections.abc import Collection

from sandbox.application import Application
from sandbox.cluster import Cluster
from sandbox.estate.cache import Redis
from sandbox.estate.postgres import Postgres
from sandbox.estate.standby import Standby


class PrimarySite:
    """Whatever of it is among the parts of the practice estate."""

    def __init__(
        self,
        postgres: Postgres | None,
        standby: Standby | None,
        redis: Redis | None,
        cluster: Cluster | None,
        app: Application | None,
    ) -> None:
        self._postgres, self._standby, self._redis, self._cluster, self._app = postgres, standby, redis, cluster, app
        self._lost = False

    def down(self) -> list[bool]:
        """Of each part, whether it is down."""
        servers = [server for server in (self._postgres, self._redis, self._app) if server is not None]
        return [not server.running for server in servers] + ([self._cluster.faults.down] if self._cluster else [])

    async def fall(self) -> None:
        """Everything at once, and for good: for Terraform its resources are gone until they are made again, or `rise`."""
        self._lost = True
        if self._cluster:
            self._cluster.faults.down = True
        kill = [self._postgres.kill()] if self._postgres else []
        await asyncio.gather(*kill, *(server.stop() for server in (self._app, self._redis) if server is not None))

    async def rise(self) -> None:
        """Everything is back, as it was. Raises CannotStart."""
        self._lost = False
        database = [self._postgres.start()] if self._postgres else []
        await asyncio.gather(*database, self._machines())

    def gone(self) -> Collection[str]:
        """Of Terraform's resources, those that have been lost and are not there."""
        database = self._lost and self._postgres is not None and not self._postgres.running
        cluster = self._lost and self._cluster is not None and self._cluster.faults.down
        return [name for name, gone in (("database", database), ("cluster", cluster)) if gone]

    async def make(self, name: str) -> None:
        """A resource of Terraform's that is gone: an empty database server, or the machines that the cluster runs on, which
        find in its store what they are to run. Raises CannotDo."""
        if name not in self.gone():
            return
        if name == "cluster":
            await self._machines()
        elif self._postgres:
            await self._postgres.renew()
            if self._standby:
                await self._standby.renew()

    async def _machines(self) -> None:
        if self._cluster:
            self._cluster.faults.down = False
        await asyncio.gather(*(server.start() for server in (self._app, self._redis) if server is not None))
