"""The machines that nodes run on, in EC2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Machine:
    """One instance. `state` in EC2's own word: running, shutting-down, terminated, …; `group`: the auto scaling group that
    replaces it, empty for none."""

    id: str
    zone: str
    state: str
    address: str
    kind: str
    group: str

    @property
    def ends(self) -> bool:
        """Whether it is terminated, or will be soon."""
        return self.state in ("shutting-down", "terminated")


class Machines(Protocol):
    """Raises Unavailable when EC2 cannot be reached, Refused when it says no."""

    async def find(self, region: str, instance: str) -> Machine | None:
        """The instance; None when EC2 knows none of that id (any more)."""

    async def terminate(self, region: str, instance: str) -> None:
        """End it for good. Twice is the same as once. Refused while it is protected from that."""
