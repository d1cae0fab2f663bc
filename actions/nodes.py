"""What the actions on nodes share: which one is worst, and the machine behind it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from actions.caches import size
from bot.action import Tools
from bot.clock import spoken
from bot.errors import NotFound, NotNow
from bot.tools import Amount, Machine, Node

_PROVIDER = re.compile(r"aws:///(?P<zone>(?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9])[a-z0-9-]*)/(?P<id>i-[0-9a-f]{8,17})")


@dataclass(frozen=True)
class Place:
    """Where EC2 has a machine."""

    region: str
    zone: str
    id: str


def place_of(provider: str) -> Place | None:
    """What a node's providerID means, `aws:///us-east-1a/i-0abc…`; None for no machine of EC2's."""
    found = _PROVIDER.fullmatch(provider)
    return Place(found["region"], found["zone"], found["id"]) if found else None


async def machine_of(tools: Tools, node: Node) -> Machine | None:
    """The machine that a node runs on; None when it is not in EC2, or EC2 knows it no more.

    Raises NotNow when EC2 has another machine there than the node says that it is.
    """
    place = place_of(node.provider)
    found = await tools.machines.find(place.region, place.id) if place else None
    if place is None or found is None:
        return None
    if why := differs(found, place, node.address):
        raise NotNow(f"{node.name} says that it runs on {place.id}, but {why}. Look before anything is ended.")
    return found


def differs(machine: Machine, place: Place, address: str) -> str:
    """Why that cannot be the machine of a node with that address; empty when it can."""
    if machine.id != place.id or machine.zone != place.zone:
        return f"EC2 has {machine.id} in {machine.zone or 'no zone'}, not {place.id} in {place.zone}"
    # A terminated machine has no address any more, and a node's own may be of the other family.
    if "." in address and machine.address and machine.address != address:
        return f"its address in EC2 is {machine.address}, and the node's is {address}"
    return ""


def worst_first(nodes: Iterable[Node]) -> list[Node]:
    """Not ready, under pressure, cordoned, well; by name among equals."""
    return sorted(nodes, key=lambda node: (node.ready, not node.pressures, not node.cordoned, node.name))


def named(nodes: Sequence[Node], name: str) -> Node:
    """The node of that name. Raises NotFound with those that there are."""
    found = next((node for node in nodes if node.name == name), None)
    if found is None:
        listed = ", ".join(f"`{node.name}`" for node in worst_first(nodes)[:10]) or "none"
        raise NotFound(f"The cluster has no node `{name}`. It has {listed}.")
    return found


def condition(node: Node) -> str:
    """How it is, in a few words."""
    words = ["Ready" if node.ready else f"NOT READY ({node.why.rstrip('.')})"]
    words += [f"under {pressure}" for pressure in node.pressures]
    return ", ".join(words + ["cordoned"] * node.cordoned)


def described(node: Node, used: Amount | None, now: datetime) -> str:
    """A node in one line."""
    text = f"{node.name}: {condition(node)}; {spoken(now - node.created_at)} old"
    if used is None:
        return text
    return (
        f"{text}; uses {used.cores:.1f} of {node.room.cores:g} cores, {size(used.memory)} of {size(node.room.memory)}"
    )
