"""Resolvers that answer from Route 53 and keep what they have for its TTL, on the practice clock; the zone that they ask."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast
from xml.etree import ElementTree

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from sandbox.estate.children import CannotDo, free_port
from sandbox.estate.s3 import S3

ZONE = "Z0PRACTICE"
PRIMARY, DR = "127.0.0.1", "127.0.0.2"
TTL = 120
_XML = "{https://route53.amazonaws.com/doc/2013-04-01/}"
API = "api.valuecanvas.com."
_NAMES = ("valuecanvas.com.", API)


@dataclass
class Kept:
    """What a resolver knows of a name and type: its values, and until when (monotonic seconds)."""

    values: Sequence[str]
    ttl: int
    known: bool
    until: float


@dataclass
class Resolver:
    """One of them, with its own port and memory."""

    port: int = field(default_factory=free_port)
    kept: dict[tuple[str, str], Kept] = field(default_factory=dict)


class Dns:
    """`count` resolvers in front of the zone in `aws`. `pace` gives the seconds of a minute. `silent`: they answer nobody."""

    def __init__(self, aws: S3, pace: Callable[[], float], count: int = 2) -> None:
        self._aws, self._pace = aws, pace
        self.resolvers = [Resolver() for _ in range(count)]
        self.stuck = self.silent = False
        self._closing: list[Callable[[], None]] = []

    @property
    def addresses(self) -> str:
        """As `DNS_RESOLVERS` names them."""
        return ",".join(f"127.0.0.1:{one.port}" for one in self.resolvers)

    async def start(self) -> None:
        """Put the records in the zone, and answer."""
        await self.lead(PRIMARY)
        loop = asyncio.get_running_loop()
        for resolver in self.resolvers:
            transport, _ = await loop.create_datagram_endpoint(
                partial(_Udp, self, resolver), local_addr=("127.0.0.1", resolver.port), family=socket.AF_INET
            )
            server = await asyncio.start_server(self._tcp(resolver), "127.0.0.1", resolver.port)
            self._closing += [transport.close, server.close]

    async def stop(self) -> None:
        """Answer no more."""
        for close in self._closing:
            close()
        self._closing.clear()

    async def stick(self) -> None:
        """Every resolver keeps what Route 53 says now, past its TTL, until `unstick`, as some do. Raises CannotDo."""
        for resolver in self.resolvers:
            for name in _NAMES:
                await self._look(name, "A", resolver)
        self.stuck = True

    async def unstick(self) -> None:
        """What has outlived its TTL is asked anew."""
        self.stuck = False

    async def lead(self, address: str) -> None:
        """Every name to one address. Raises CannotDo."""
        changes = "".join(
            "<Change><Action>UPSERT</Action><ResourceRecordSet>"
            f"<Name>{name}</Name><Type>A</Type><TTL>{TTL}</TTL><ResourceRecords><ResourceRecord><Value>{address}</Value>"
            "</ResourceRecord></ResourceRecords></ResourceRecordSet></Change>"
            for name in _NAMES
        )
        body = (
            '<ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeBatch>'
            f"<Changes>{changes}</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
        )
        await self._aws.ask("POST", f"2013-04-01/hostedzone/{ZONE}/rrset/", body.encode(), service="route53")

    async def leads(self, name: str) -> list[str]:
        """What Route 53 itself says now. Raises CannotDo."""
        return list((await self._records()).get((name, "A"), ((), 0))[0])

    async def resolved(self, name: str) -> Sequence[str]:
        """The addresses that the first resolver answers with. Raises CannotDo."""
        return (await self._look(name, "A", self.resolvers[0])).values

    async def _records(self) -> dict[tuple[str, str], tuple[Sequence[str], int]]:
        said = await self._aws.ask("GET", f"2013-04-01/hostedzone/{ZONE}/rrset", service="route53")
        tree = ElementTree.fromstring(said)  # noqa: S314 - our own server's words
        return {
            (str(one.findtext(f"{_XML}Name")).lower(), str(one.findtext(f"{_XML}Type"))): (
                [str(value.text) for value in one.iter(f"{_XML}Value")],
                int(one.findtext(f"{_XML}TTL") or 60),
            )
            for one in tree.iter(f"{_XML}ResourceRecordSet")
        }

    async def answer(self, wire: bytes, of: Resolver, most: int) -> bytes | None:
        """The answer to a question, both as they are on the wire; None for what is no question."""
        try:
            asked = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if not asked.question or self.silent:
            return None
        reply = dns.message.make_response(asked, recursion_available=True)
        question = asked.question[0]
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        try:
            kept = await self._look(name, kind, of)
        except CannotDo:
            reply.set_rcode(dns.rcode.SERVFAIL)
        else:
            if not kept.known:
                reply.set_rcode(dns.rcode.NXDOMAIN)
            elif kept.values:
                left = max(1, round((kept.until - time.monotonic()) * 60 / self._pace()))
                reply.answer.append(dns.rrset.from_text(question.name, min(left, kept.ttl), "IN", kind, *kept.values))
        try:
            return reply.to_wire(max_size=most)
        except dns.exception.TooBig:
            reply.answer.clear()
            reply.flags |= dns.flags.TC
            return reply.to_wire()

    async def _look(self, name: str, kind: str, of: Resolver) -> Kept:
        kept = of.kept.get((name, kind))
        if kept is None or (kept.until <= time.monotonic() and not self.stuck):
            records = await self._records()
            values, ttl = records.get((name, kind), ((), 60))
            known = any(there == name for there, _ in records)
            kept = Kept(values, ttl, known, time.monotonic() + ttl * self._pace() / 60)
            of.kept[name, kind] = kept
        return kept

    def _tcp(self, of: Resolver) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                size = int.from_bytes(await reader.readexactly(2), "big")
                said = await self.answer(await reader.readexactly(size), of, 65535)
                if said is not None:
                    writer.write(len(said).to_bytes(2, "big") + said)
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        return serve


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, dns_: Dns, of: Resolver) -> None:
        self._dns, self._of = dns_, of
        self._transport: asyncio.DatagramTransport | None = None
        self._working: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(data, addr))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _answer(self, data: bytes, addr: tuple[str, int]) -> None:
        said = await self._dns.answer(data, self._of, 512)
        if said is not None and self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(said, addr)
