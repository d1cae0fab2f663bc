"""Read-only looks at the parts of the estate."""

from __future__ import annotations

from typing import Protocol

from bot.assessment import Look
from bot.estate import HttpProbe, KubernetesProbe, PostgresProbe, RedisProbe
from bot.estate_places import Dns


class Prober(Protocol):
    """One read-only look at one part of the estate."""

    async def http(self, probe: HttpProbe) -> Look:
        """GET; bad on another status or field than expected, bad when nobody answers."""

    async def postgres(self, probe: PostgresProbe) -> Look:
        """Version, in recovery?, replication lag per standby."""

    async def redis(self, probe: RedisProbe) -> Look:
        """PING and role."""

    async def kubernetes(self, probe: KubernetesProbe) -> Look:
        """Pods and services of a namespace; bad when one is not ready. None of it where no cluster is configured."""

    async def led_away(self, dns: Dns) -> str:
        """That DNS leads to the DR site, in words, when every resolver that answers says so of every record that can fail over;
        else empty."""

    def has_cluster(self) -> bool:
        """Whether a cluster is configured."""
