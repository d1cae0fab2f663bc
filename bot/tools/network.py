"""Who may reach the application: network policies of the cluster, and the addresses that are our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Policy:
    """A network policy that lets everybody in but `blocked` (CIDR), for the pods that `labels` mean. `plain` False: it says
    something else, too, or nothing of that kind, so it is not ours to change."""

    name: str
    uid: str
    labels: Mapping[str, str]
    blocked: tuple[str, ...]
    plain: bool


class Network(Protocol):
    """Raises Unavailable, Refused, NotFound."""

    async def policy(self, namespace: str, name: str) -> Policy | None:
        """None where there is none of that name."""

    async def restricting(self, namespace: str, selector: str) -> Sequence[str]:
        """The names of all policies that restrict who may reach the pods which the label selector means."""

    async def block(self, namespace: str, name: str, labels: Mapping[str, str], blocked: Sequence[str]) -> None:
        """Server-side apply: exactly these CIDRs may not reach the pods, everybody else may."""

    async def unblock(self, namespace: str, name: str) -> None:
        """Delete the policy. Gone is done already."""

    async def own(self, namespace: str) -> Sequence[tuple[str, str]]:
        """(CIDR, what it is) of nodes, pods and services as far as the cluster says, and of this machine's way out."""

    async def addresses(self, host: str) -> Sequence[str]:
        """The addresses of a host name now; none where it has none."""
