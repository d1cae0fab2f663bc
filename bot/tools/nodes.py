"""The nodes of a Kubernetes cluster, what runs on them, and the cluster as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol


@dataclass(frozen=True)
class Amount:
    """Of processor cores and bytes of memory."""

    cores: float = 0.0
    memory: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.cores + other.cores, self.memory + other.memory)


@dataclass(frozen=True)
class Node:
    """One node. `why` says why it is not ready; `pressures` are its conditions that are true (MemoryPressure, …);
    `provider` is what its cloud calls its machine (`spec.providerID`), `address` its own address, each empty if not known;
    `room` is what pods may take of it."""

    name: str
    uid: str
    ready: bool
    why: str
    pressures: Sequence[str]
    cordoned: bool
    control_plane: bool
    provider: str
    address: str
    created_at: datetime
    room: Amount

    @property
    def takes_pods(self) -> bool:
        """Whether new pods may go there."""
        return self.ready and not self.cordoned


Fate = Literal["evicted", "mirror", "daemonset", "orphan", "over"]
"""What draining a node does to a pod of it, as kubectl decides it: all but "evicted" and "over" stay; an "orphan", which nobody
would make again, forbids it."""


@dataclass(frozen=True)
class Resident:
    """A pod on a node. `owner`: `deployment/api-server`; `local`: what its emptyDir volumes hold is lost with it;
    `deadline`: when it should have ended, if it was told to; `budgets`: disruption budgets that it falls under, and of these
    `exhausted` lets it not go now."""

    namespace: str
    name: str
    uid: str
    node: str
    fate: Fate
    owner: str
    ready: bool
    local: bool
    deadline: datetime | None
    asks: Amount
    budgets: Sequence[str] = ()
    exhausted: str = ""

    @property
    def leaves(self) -> bool:
        """Whether draining takes it away."""
        return self.fate in ("evicted", "over")


@dataclass(frozen=True)
class Event:
    """Something that happened in the cluster, and how often; `about` is `pod/api-server-…`."""

    at: datetime
    warning: bool
    reason: str
    namespace: str
    about: str
    message: str
    count: int


@dataclass(frozen=True)
class ControlPlane:
    """The API server's own checks, and when each leader last gave a sign of life; None for one that is hidden from us."""

    checks: Mapping[str, bool]
    leaders: Mapping[str, datetime | None]


class Nodes(Protocol):
    """Raises Unavailable when the cluster cannot be reached, Refused when it says no, NotFound for what is not there."""

    async def nodes(self) -> Sequence[Node]:
        """By name."""

    async def cordon(self, node: str, uid: str, *, on: bool) -> None:
        """Let no new pods go there, or again. Refused when another node of that name stands there."""

    async def residents(self, node: str = "") -> Sequence[Resident]:
        """The pods of one node, or of all of them, by namespace and name."""

    async def evict(self, pod: Resident) -> str:
        """Ask for its end. Empty when it ends, is gone, or was replaced; else why not now, with the budget's name. Refused
        when it will never be possible."""

    async def delete(self, node: str, uid: str) -> None:
        """Delete exactly that node's object; gone, or replaced, is done already. Its machine goes on."""

    async def events(self, most: int) -> Sequence[Event]:
        """The newest of all namespaces, newest first."""

    async def control_plane(self) -> ControlPlane: ...

    async def usage(self) -> Mapping[str, Amount]:
        """What each node uses, as `kubectl top nodes`. NotFound where nobody measures it, Unavailable when they do not answer."""
