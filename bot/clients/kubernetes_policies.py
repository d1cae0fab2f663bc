"""Network policies of a Kubernetes cluster, and the addresses that are its own.

Needs, beside what `Kubernetes` needs: get, list, create, patch and delete of networkpolicies; get and list of nodes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from bot.clients import kubernetes_shapes as shapes
from bot.clients.kubernetes import MANAGER
from bot.clients.kubernetes_api import Connection
from bot.clients.kubernetes_shapes import Json
from bot.tools import Manifests, Policy

_EVERYBODY = {4: "0.0.0.0/0", 6: "::/0"}
_SOMEWHERE = ("192.0.2.1", 9)
"""An address of documentations: nothing is sent there, but the system says which way it would go."""


class KubernetesPolicies:
    """A Network on a connection that somebody else closes."""

    def __init__(self, connection: Connection, manifests: Manifests) -> None:
        self._connection = connection
        self._manifests = manifests

    async def policy(self, namespace: str, name: str) -> Policy | None:
        thing = await self._manifests.find(_named(namespace, name))
        return None if thing is None else _policy(thing)

    async def restricting(self, namespace: str, selector: str) -> Sequence[str]:
        every = self._connection.every
        pods = await every(lambda k, c: k.CoreV1Api(c).list_namespaced_pod, namespace, label_selector=selector)
        policies = await every(lambda k, c: k.NetworkingV1Api(c).list_namespaced_network_policy, namespace)
        labels = [shapes.dig(pod, "metadata", "labels") or {} for pod in pods]
        return [shapes.name_of(one) for one in policies if _restricts(one) and _means(one, labels)]

    async def block(self, namespace: str, name: str, labels: Mapping[str, str], blocked: Sequence[str]) -> None:
        spec = {
            "podSelector": {"matchLabels": dict(labels)},
            "policyTypes": ["Ingress"],
            # Traffic between pods is not for an address block to decide, so it is let in by name.
            "ingress": [{"from": [{"namespaceSelector": {}}, *_blocks(blocked)]}],
        }
        await self._manifests.apply({**_named(namespace, name), "spec": spec}, manager=MANAGER, force=True)

    async def unblock(self, namespace: str, name: str) -> None:
        thing = _named(namespace, name)
        there = await self._manifests.find(thing)
        if there is not None:
            await self._manifests.delete(thing, uid=shapes.uid_of(there))

    async def own(self, namespace: str) -> Sequence[tuple[str, str]]:
        every = self._connection.every
        nodes = await every(lambda k, c: k.CoreV1Api(c).list_node)
        pods = await every(lambda k, c: k.CoreV1Api(c).list_namespaced_pod, namespace)
        services = await every(lambda k, c: k.CoreV1Api(c).list_namespaced_service, namespace)
        found = [(str(cidr), "the cluster's pods") for node in nodes for cidr in _pod_ranges(node)]
        found += [
            (str(one["address"]), f"node {shapes.name_of(node)}")
            for node in nodes
            for one in shapes.dig(node, "status", "addresses") or []
        ]
        found += [(str(shapes.dig(pod, "status", "podIP") or ""), f"pod {shapes.name_of(pod)}") for pod in pods]
        found += [(ip, f"service {shapes.name_of(one)}") for one in services for ip in _service_addresses(one)]
        found.append((_way_out(), "this bot's own machine"))
        return [(cidr, what) for cidr, what in found if _is_network(cidr)]

    async def addresses(self, host: str) -> Sequence[str]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            return ()
        return sorted({str(address[0]) for *_, address in found})


def _named(namespace: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata}


def _policy(thing: Json) -> Policy:
    spec = thing.get("spec") or {}
    peers = [peer for rule in spec.get("ingress") or [] for peer in rule.get("from") or []]
    blocks = [peer["ipBlock"] for peer in peers if peer.get("ipBlock")]
    others = [peer for peer in peers if not peer.get("ipBlock") and peer != {"namespaceSelector": {}}]
    plain = (
        spec.get("policyTypes", ["Ingress"]) == ["Ingress"]
        and bool(blocks)
        and not others
        and all(block["cidr"] in _EVERYBODY.values() for block in blocks)
        and not any(rule.get("ports") for rule in spec.get("ingress") or [])
        and not shapes.dig(spec, "podSelector", "matchExpressions")
    )
    return Policy(
        name=shapes.name_of(thing),
        uid=shapes.uid_of(thing),
        labels=shapes.dig(spec, "podSelector", "matchLabels") or {},
        blocked=tuple(sorted({cidr for block in blocks for cidr in block.get("except") or []})),
        plain=plain,
    )


def _blocks(blocked: Sequence[str]) -> list[dict[str, Any]]:
    """Everybody of each family but those that are blocked."""
    made: list[dict[str, Any]] = []
    for version, everybody in _EVERYBODY.items():
        block: dict[str, Any] = {"cidr": everybody}
        if out := [cidr for cidr in blocked if ipaddress.ip_network(cidr).version == version]:
            block["except"] = sorted(out)
        made.append({"ipBlock": block})
    return made


def _restricts(thing: Json) -> bool:
    # Without types a policy is one for what comes in.
    return "Ingress" in (shapes.dig(thing, "spec", "policyTypes") or ["Ingress"])


def _means(thing: Json, labels: Sequence[Mapping[str, str]]) -> bool:
    """Whether it is for one of these pods; expressions are taken to mean them, which errs on the side of asking."""
    wanted = shapes.dig(thing, "spec", "podSelector", "matchLabels") or {}
    return any(all(have.get(key) == value for key, value in wanted.items()) for have in labels)


def _pod_ranges(node: Json) -> Sequence[str]:
    return shapes.dig(node, "spec", "podCIDRs") or [shapes.dig(node, "spec", "podCIDR") or ""]


def _service_addresses(service: Json) -> Sequence[str]:
    spec = service.get("spec") or {}
    balanced = [str(one.get("ip") or "") for one in shapes.dig(service, "status", "loadBalancer", "ingress") or []]
    return [*(spec.get("clusterIPs") or [spec.get("clusterIP") or ""]), *(spec.get("externalIPs") or []), *balanced]


def _way_out() -> str:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.connect(_SOMEWHERE)
            return str(line.getsockname()[0])
    except OSError:
        return ""


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
