"""Network policies as the pods of `api-server` obey them: which clients from outside are let in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from sandbox.cluster.kinds import POLICIES, Object
from sandbox.cluster.seed import NAMESPACE
from sandbox.cluster.selectors import selected
from sandbox.cluster.store import Store
from sandbox.estate.children import CannotStart

Rules = list[dict[str, Any]]
"""Blocks of addresses that are let in, each {"cidr", "except"}."""
Admit = Callable[[Rules | None], Awaitable[None]]
"""Told whom to let in: None is everybody."""

LABELS = {"app": "api-server"}
AGAIN = 0.3
"""Seconds after which a host that did not answer is told again."""


def rules_for(policies: Iterable[Object], labels: Mapping[str, str]) -> Rules | None:
    """Whom all policies together let in to pods with these labels: what one of them allows is allowed. Pure."""
    mine = [
        one["spec"]
        for one in policies
        if selected(one["spec"].get("podSelector"), labels)
        and "Ingress" in (one["spec"].get("policyTypes") or ["Ingress"])
    ]
    if not mine:
        return None
    allowed: Rules = []
    for spec in mine:
        for rule in spec.get("ingress") or []:
            if not rule.get("from"):
                return None
            blocks = [peer["ipBlock"] for peer in rule["from"] if peer.get("ipBlock")]
            allowed += [{"cidr": block["cidr"], "except": list(block.get("except") or [])} for block in blocks]
    return allowed


async def enforce(store: Store, admit: Admit) -> None:
    """Tell `admit` at each change, until cancelled."""
    told: Rules | None = None
    with store.listening() as changed:
        while True:
            changed.clear()
            wanted, wait = rules_for(store.list(POLICIES, NAMESPACE), LABELS), None
            if wanted != told:
                try:
                    await admit(wanted)
                    told = wanted
                except CannotStart:
                    wait = AGAIN
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await changed.wait()
