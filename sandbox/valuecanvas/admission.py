"""Whom the network lets in to the instances, as the cluster's policies say. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any


def admitted(rules: Sequence[dict[str, Any]] | None, address: str) -> bool:
    """Whether a client may connect; without rules everybody may. This machine itself always may: its probes must go on."""
    try:
        client = ipaddress.ip_address(address)
    except ValueError:
        return True
    if rules is None or client.is_loopback:
        return True
    return any(_in(client, rule["cidr"]) and not any(_in(client, out) for out in rule["except"]) for rule in rules)


def _in(client: ipaddress.IPv4Address | ipaddress.IPv6Address, cidr: str) -> bool:
    return client in ipaddress.ip_network(cidr, strict=False)
