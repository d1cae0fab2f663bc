"""Scenario 6, runbook 6.1: sign everybody out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from pydantic import AwareDatetime, BaseModel, Field

from actions.databases import find, servers
from actions.security import writable
from bot.action import Action, Change, NotVerified, Plan, Progress, Risk, Step, Tools
from bot.clock import wall_clock
from bot.errors import NotFound, NotNow
from bot.estate import Estate
from bot.incident import Scenario

BATCH = 2000
"""Sessions of one transaction: it holds no lock for long, and a standby keeps up."""


class RevokeFacts(BaseModel):
    """Whose sessions, on which server, and up to which instant."""

    database: str
    server: str
    system: str
    table: str
    before: datetime


class Revoke(Action[RevokeFacts]):
    """Revoke every session of the application that began before an instant."""

    name: ClassVar[str] = "sessions.revoke"
    risk: ClassVar[Risk] = Risk.HIGH
    scenario: ClassVar[Scenario] = Scenario.SECURITY
    usual: ClassVar[timedelta] = timedelta(minutes=1)
    service: ClassVar[str] = "api"
    facts: ClassVar[type[BaseModel]] = RevokeFacts

    database: str = Field(default="", description="which database of the estate; the first one when left out")
    # Filled in once, when it is asked for: what is approved is this instant, not the one at which it runs.
    before: AwareDatetime = Field(
        default_factory=wall_clock,
        description="sessions created before this instant go (2026-01-31T14:05Z); the instant of asking when left out",
    )

    def target(self, estate: Estate) -> str:
        return f"sessions of database {find(estate, self.database).name}"

    async def plan(self, tools: Tools) -> Plan[RevokeFacts]:
        database = find(tools.estate, self.database)
        if not database.sessions:
            raise NotFound(f"The estate file names no table of `sessions` for `{database.name}`.")
        before = self.before.astimezone(UTC)
        if before > tools.clock() + timedelta(minutes=1):
            raise NotNow(
                f"{before:%Y-%m-%d %H:%M:%S} UTC has not come yet: it would end sessions that nobody has begun."
            )
        server, url = await writable(tools, database)
        older, newer = await tools.activity.signed_in(url, database.sessions, before)
        if not older:
            raise NotNow(f"No session in {database.sessions} was created before {before:%Y-%m-%d %H:%M:%S} UTC.")
        system = (await tools.databases.state(url)).system
        return Plan(
            RevokeFacts(database=database.name, server=server, system=system, table=database.sessions, before=before),
            (Change(f"{database.sessions} created before {before:%Y-%m-%d %H:%M:%S} UTC", "signed in", "signed out"),),
            (
                f"{older:,} sessions end, {newer:,} newer ones stay",
                "everybody concerned has to sign in again, the intruder too: rotate what a stolen sign-in could be made with",
            ),
            undo_says="not possible: people sign in again",
        )

    def steps(self, facts: RevokeFacts, tools: Tools) -> Sequence[Step]:
        url = servers(find(tools.estate, facts.database))[facts.server]

        async def revoke(progress: Progress) -> str:
            older, _ = await tools.activity.signed_in(url, facts.table, facts.before)
            gone = 0
            while batch := await tools.activity.sign_out(url, facts.table, facts.before, BATCH):
                gone += batch
                progress(f"{gone:,} of {max(older, gone):,} sessions ended")
            return f"{gone:,} sessions ended"

        async def none_left() -> bool:
            return (await tools.activity.signed_in(url, facts.table, facts.before))[0] == 0

        return (
            Step(
                f"Revoke the sessions created before {facts.before:%H:%M:%S} UTC", revoke, none_left, None,
                "a session that was ended does not come back",
                f"Delete the rows of {facts.table} that were created before {facts.before.isoformat()}.",
            ),
        )  # fmt: skip

    async def verify(self, facts: RevokeFacts, tools: Tools) -> str:
        url = servers(find(tools.estate, facts.database))[facts.server]
        older, newer = await tools.activity.signed_in(url, facts.table, facts.before)
        if older:
            raise NotVerified(f"{older:,} sessions created before {facts.before:%H:%M:%S} UTC are left")
        return f"no session created before {facts.before:%H:%M:%S} UTC is left; {newer:,} newer ones"
