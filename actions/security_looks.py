"""Scenario 6, runbook 6.2: who is in the database who should not be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from actions.databases import find, look_at, servers
from bot.action import Finding, Findings, Observation, Offer, Tools
from bot.clock import spoken
from bot.errors import NeighbourError
from bot.estate_places import Database
from bot.incident import Scenario
from bot.tools import Client, LoginRole, ServerState

SHOWN = 12
"""Sessions of unexpected users that are listed one by one; the rest is counted."""


class Review(Observation):
    """Database users, clients and queries that the estate file does not expect."""

    name: ClassVar[str] = "access.review"
    scenario: ClassVar[Scenario] = Scenario.SECURITY
    usual: ClassVar[timedelta] = timedelta(seconds=5)
    service: ClassVar[str] = "database"

    database: str = Field(default="", description="which database of the estate; the first one when left out")

    async def look(self, tools: Tools) -> Findings:
        database = find(tools.estate, self.database)
        lines: list[Finding] = []
        strangers = 0
        for name, url in servers(database).items():
            try:
                clients, roles = await tools.activity.clients(url), await tools.activity.roles(url)
            except NeighbourError as error:
                lines.append(Finding(f"{name}: unknown: {error}"))
                continue
            expected = {*database.users, tools.activity.role(url)}
            found = [c for c in clients if c.user not in expected]
            strangers += len(found)
            state = await look_at(tools, url)
            primary = isinstance(state, ServerState) and not state.recovering
            lines += _server(name, database, found, clients, tools, ends=primary)
            # A standby has the roles of its primary.
            if primary:
                lines += _unexpected_roles(name, roles, expected)
        asked = f"expected: {', '.join(database.users)} and the application's own role"
        if not lines or all("unknown" in line.text for line in lines):
            return Findings(f"unknown: no server of {database.title} answers ({asked})", lines)
        headline = f"{database.title}: {strangers or 'no'} sessions of users that nobody expects ({asked})"
        return Findings(headline, lines)


def _server(
    name: str, database: Database, found: Sequence[Client], clients: Sequence[Client], tools: Tools, *, ends: bool
) -> list[Finding]:
    """The unexpected sessions one by one, then from where everybody is there."""
    lines = [Finding(_described(name, c, tools), _offers(database, c) if ends else ()) for c in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(Finding(f"{name}: {len(found) - SHOWN} more sessions of unexpected users"))
    groups = Counter((c.user, c.application or "no name", c.address or "the same machine") for c in clients)
    for (user, application, address), count in sorted(groups.items(), key=lambda item: -item[1])[:SHOWN]:
        lines.append(Finding(f"{name}: {count} × {user} as {application} from {address}"))
    return lines or [Finding(f"{name}: nobody is connected")]


def _described(name: str, client: Client, tools: Tools) -> str:
    ago = f", {spoken(tools.clock() - client.at)} ago" if client.at else ""
    return (
        f"{name}: UNEXPECTED {client.user} (session {client.pid}, {client.application or 'no application name'}) from"
        f" {client.address or 'the same machine'}, {client.state or 'state unknown'}{ago}: {client.query or 'no query yet'}"
    )


def _offers(database: Database, client: Client) -> Sequence[Offer]:
    words = {"database": database.name, "pid": str(client.pid), "started_at": client.started_at.isoformat()}
    return (Offer(f"Terminate {client.pid}", "database.terminate", words),)


def _unexpected_roles(name: str, roles: Sequence[LoginRole], expected: set[str]) -> list[Finding]:
    strange = [r for r in roles if r.name not in expected]
    said = ", ".join(f"{r.name}{f' ({r.rights})' if r.rights else ''}" for r in strange)
    return [Finding(f"{name}: roles that may log in and are not in the estate file: {said}")] if strange else []
