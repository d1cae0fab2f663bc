"""DNS over UDP, and TCP where an answer is cut off, to one resolver at a time."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver

from bot.errors import Refused, Unavailable
from bot.failures import why
from bot.tools.names import Resolved

WITHIN = 3.0
"""Seconds for one question."""


class DnsNames:
    """`Names`. Nothing is asked before the first call."""

    def own(self) -> Sequence[str]:
        try:
            return [f"{server}:53" for server in map(str, dns.resolver.Resolver().nameservers)]
        except dns.exception.DNSException:
            return []

    async def ask(self, resolver: str, name: str, type_: str) -> Resolved:
        host, port = place(resolver)
        wanted = dns.rdatatype.from_text(type_)
        question = dns.message.make_query(name, wanted)
        question.flags |= dns.flags.RD
        try:
            answer, _ = await dns.asyncquery.udp_with_fallback(question, host, timeout=WITHIN, port=port)
        except dns.exception.Timeout as error:
            raise Unavailable(f"resolver {resolver} did not answer within {WITHIN:g} s") from error
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise Unavailable(f"resolver {resolver} does not answer ({why(error)})") from error
        code = answer.rcode()
        if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise Unavailable(f"resolver {resolver} could not resolve {name} ({dns.rcode.to_text(code)})")
        sets = [one for one in answer.answer if one.rdtype == wanted]
        values = sorted(str(value).rstrip(".") for one in sets for value in one)
        return Resolved(tuple(values), min((one.ttl for one in answer.answer), default=0))


def place(resolver: str) -> tuple[str, int]:
    """`host:port`, `host`, `[v6]:port` or `v6` as address and port. Raises Refused for what is no address."""
    host, _, port = resolver.rpartition(":")
    if not host or not port.isdigit() or (":" in host and not host.startswith("[")):
        host, port = resolver, "53"
    host = host.strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise Refused(f"the resolver {resolver} must be an address, such as 192.0.2.1:53") from None
    return host, int(port)
