"""Scenario 6, runbook 6.1: block addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator

from actions.rollouts import cluster_of
from actions.security import section
from bot.action import Action, Change, NotVerified, Plan, Progress, Risk, Step, Tools
from bot.errors import NotFound, NotNow, Refused
from bot.estate import Estate
from bot.incident import Scenario

POLICY = "block-suspicious-ips"
"""The name that the runbook gives it."""
WIDEST = {4: 9, 6: 29}
"""The widest range that is blocked: a /8, or all customers of a provider, is nobody's address."""

_NEVER = (
    ("10.0.0.0/8", "private"), ("172.16.0.0/12", "private"), ("192.168.0.0/16", "private"), ("fc00::/7", "private"),
    ("100.64.0.0/10", "shared by the customers of a provider"), ("127.0.0.0/8", "loopback"), ("::1/128", "loopback"),
    ("169.254.0.0/16", "link-local"), ("fe80::/10", "link-local"), ("224.0.0.0/4", "multicast"), ("ff00::/8", "multicast"),
    ("0.0.0.0/8", "no address of anybody"), ("240.0.0.0/4", "reserved"), ("::/128", "no address of anybody"),
    ("::ffff:0:0/96", "an IPv4 address in IPv6's clothes"),
)  # fmt: skip

Net = ipaddress.IPv4Network | ipaddress.IPv6Network


class BlockFacts(BaseModel):
    """What is added to what, for which pods. `uid` of the policy that is there already, empty = none."""

    namespace: str
    labels: dict[str, str]
    uid: str
    before: list[str]
    added: list[str]


class Block(Action[BlockFacts]):
    """Block addresses from reaching the application."""

    name: ClassVar[str] = "network.block"
    risk: ClassVar[Risk] = Risk.HIGH
    scenario: ClassVar[Scenario] = Scenario.SECURITY
    usual: ClassVar[timedelta] = timedelta(minutes=1)
    service: ClassVar[str] = "api"
    facts: ClassVar[type[BaseModel]] = BlockFacts

    addresses: str = Field(description="addresses or ranges as CIDR, with commas: 198.51.100.7,203.0.113.0/24")

    @field_validator("addresses")
    @classmethod
    def _networks(cls, text: str) -> str:
        found = networks(text)
        for network in found:
            if why := never(network):
                raise ValueError(why)
        return ",".join(map(str, found))

    def target(self, estate: Estate) -> str:
        return f"network policy {POLICY} in {cluster_of(estate).namespace}"

    async def plan(self, tools: Tools) -> Plan[BlockFacts]:
        cluster, security = cluster_of(tools.estate), section(tools.estate)
        labels = labels_of(security.selector)
        ours = await own(tools)
        for network in networks(self.addresses):
            if why := collision(network, ours):
                raise NotNow(f"{network} is not blocked: {why}")
        there = await tools.network.policy(cluster.namespace, POLICY)
        if there is not None and not (there.plain and dict(there.labels) == labels):
            raise NotNow(
                f"The policy {POLICY} says something else than whom to block for {security.selector}, so it is not ours to"
                " change. Rename it, or add the addresses to it by hand."
            )
        others = [n for n in await tools.network.restricting(cluster.namespace, security.selector) if n != POLICY]
        if others:
            raise NotNow(
                f"{', '.join(others)} restricts who may reach {security.selector} already. Policies add up, so one that lets"
                " everybody in but a few would open what that one closes. Add the addresses there by hand."
            )
        before = list(there.blocked) if there else []
        added = [str(n) for n in networks(self.addresses) if not _covered(n, before)]
        if not added:
            raise NotNow(f"All of {self.addresses} is blocked already.")
        facts = BlockFacts(
            namespace=cluster.namespace, labels=labels, uid=there.uid if there else "", before=before, added=added
        )
        return Plan(
            facts,
            (
                Change(
                    f"may not reach {security.selector}", ", ".join(before) or "nobody", ", ".join([*before, *added])
                ),
            ),
            (
                f"server-side apply of the network policy {POLICY} in {cluster.namespace}",
                (
                    "the cluster's network plugin must enforce network policies, and see the clients' own addresses: behind a"
                    " balancer that hides them, block there, too"
                ),
            ),
            undo_says="the policy is as before" if there else "the policy is deleted",
        )

    def steps(self, facts: BlockFacts, tools: Tools) -> Sequence[Step]:
        async def block(_progress: Progress) -> str:
            there = await tools.network.policy(facts.namespace, POLICY)
            wanted = sorted({*(there.blocked if there else ()), *facts.added})
            await tools.network.block(facts.namespace, POLICY, facts.labels, wanted)
            return f"{len(wanted)} blocked"

        async def blocked() -> bool:
            there = await tools.network.policy(facts.namespace, POLICY)
            return there is not None and set(facts.added) <= set(there.blocked)

        async def undo(_progress: Progress) -> None:
            """What others have blocked since stays."""
            there = await tools.network.policy(facts.namespace, POLICY)
            if there is None:
                return
            left = [cidr for cidr in there.blocked if cidr not in facts.added]
            if left or facts.uid:
                await tools.network.block(facts.namespace, POLICY, facts.labels, left)
            else:
                await tools.network.unblock(facts.namespace, POLICY)

        by_hand = f"`kubectl get networkpolicy {POLICY} -n {facts.namespace} -o yaml` shows what is there."
        return (Step(f"Block {', '.join(facts.added)}", block, blocked, undo, by_hand=by_hand),)

    async def verify(self, facts: BlockFacts, tools: Tools) -> str:
        there = await tools.network.policy(facts.namespace, POLICY)
        missing = sorted(set(facts.added) - set(there.blocked if there else ()))
        if there is None or missing:
            raise NotVerified(f"the policy {POLICY} does not block {', '.join(missing)}")
        if dict(there.labels) != facts.labels or not there.plain:
            raise NotVerified(f"the policy {POLICY} is for other pods than {facts.labels}, or says something else")
        return f"the policy {POLICY} was read back: {', '.join(there.blocked)} may not reach the pods"


def networks(text: str) -> list[Net]:
    """The ranges of a list. Raises ValueError with a sentence."""
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    if not words:
        raise ValueError("say which addresses, such as 203.0.113.7 or 203.0.113.0/24")
    found = []
    for word in words:
        try:
            found.append(ipaddress.ip_network(word))
        except ValueError:
            try:
                meant = ipaddress.ip_network(word, strict=False)
            except ValueError:
                raise ValueError(f"`{word}` is no address and no range (CIDR)") from None
            raise ValueError(
                f"`{word}` is an address with the length of a range; say {meant}, or the address"
            ) from None
    return list(dict.fromkeys(found))


def never(network: Net) -> str:
    """Why a range is never blocked, or empty."""
    if network.prefixlen < WIDEST[network.version]:
        return f"{network} is too wide: a /{WIDEST[network.version]} is the widest that is blocked"
    for cidr, what in _NEVER:
        if _overlap(network, ipaddress.ip_network(cidr)):
            return f"{network} is {what}: nobody from outside has it, and your own may"
    return ""


def collision(network: Net, ours: Sequence[tuple[str, str]]) -> str:
    """Whose own address is in a range, or empty."""
    for cidr, what in ours:
        if _overlap(network, ipaddress.ip_network(cidr, strict=False)):
            return f"{cidr} in it is our own ({what})"
    return ""


async def own(tools: Tools) -> list[tuple[str, str]]:
    """(CIDR, what it is) of everything that must not be blocked. Raises Refused for what the estate file has wrong."""
    estate = tools.estate
    found = list(await tools.network.own(cluster_of(estate).namespace))
    for cidr in section(estate).own:
        try:
            found.append((str(ipaddress.ip_network(cidr, strict=False)), "the estate file's `own`"))
        except ValueError:
            raise Refused(f"`{cidr}` under `security.own` of the estate file is no address and no range.") from None
    if estate.dns is not None:
        for record in estate.dns.records:
            for address in record.failover:
                found += [(one, "the disaster recovery site") for one in await _addresses(tools, address)]
        found += [(one, "the disaster recovery site") for one in await _addresses(tools, estate.dns.site or "")]
    if estate.application is not None:
        found += [(one, "the application's own address") for one in await _addresses(tools, estate.application.url)]
    return found


async def _addresses(tools: Tools, place: str) -> Sequence[str]:
    host = (urlsplit(place).hostname if "://" in place else place) or ""
    return await tools.network.addresses(host) if host else ()


def labels_of(selector: str) -> dict[str, str]:
    """`app=api-server,tier=web` as labels. Raises NotFound for a selector that a policy cannot have."""
    found = {}
    for part in selector.split(","):
        key, equals, value = part.strip().replace("==", "=").partition("=")
        if not equals or not key or "!" in key or " " in part.strip():
            raise NotFound(
                f"`security.selector` of the estate file ({selector}) must be labels such as app=api-server."
            )
        found[key] = value
    return found


def _overlap(one: Net, other: Net) -> bool:
    return one.version == other.version and one.overlaps(other)


def _covered(network: Net, blocked: Sequence[str]) -> bool:
    known = [ipaddress.ip_network(cidr) for cidr in blocked]
    return any(n.version == network.version and network.subnet_of(n) for n in known)  # type: ignore[arg-type]
