"""What the stored readings remember of a server that may be gone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bot.assessment import LAST_SEEN
from bot.errors import StoreUnavailable
from bot.estate import Estate, PostgresProbe
from bot.store import Store
from bot.tools import LastSeen


class StoredReadings:
    """A Memory. `place` tells where a connection string leads, so that a probe is found by the server that it looks at."""

    def __init__(self, store: Store, estate: Estate, place: Callable[[str], str]) -> None:
        self._store, self._estate, self._place = store, estate, place

    async def last_seen(self, url: str) -> LastSeen | None:
        where = self._place(url)
        probes = [p for p in self._estate.probes if isinstance(p, PostgresProbe)]
        names = {p.name for p in probes if self._place(p.url.get_secret_value()) == where}
        try:
            async with self._store.tx() as tx:
                readings = await tx.readings()
        except StoreUnavailable:  # it is for an estimate, and no reason to have no plan
            return None
        seen = [r.facts[LAST_SEEN] for r in readings if r.probe in names and LAST_SEEN in r.facts]
        found = [LastSeen(datetime.fromisoformat(s["at"]), int(s["lsn"]), str(s["system"])) for s in seen]
        return max(found, key=lambda s: s.at, default=None)
