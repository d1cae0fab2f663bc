"""Scenario 1: ending what blocks. A query is cancelled or a session ended only while it is the one that was seen."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from actions.databases import DATABASE, find, in_use, servers
from bot.action import Action, Change, NotVerified, Plan, Progress, Risk, Step, Tools, not_yet
from bot.errors import NotFound, NotNow
from bot.estate import Estate
from bot.incident import Scenario
from bot.tools import Backend

BETWEEN_LOOKS = 0.25


class SessionFacts(BaseModel):
    """A session, by what nobody else can have: its number together with the instant at which it began. `query_start` tells
    the query that is cancelled from the session's next one; None when the session itself is ended."""

    database: str
    server: str
    pid: int
    started_at: datetime
    query_start: datetime | None
    user: str
    application: str


class _EndSession(Action[SessionFacts]):
    """What cancelling and terminating have in common."""

    scenario: ClassVar[Scenario] = Scenario.DATABASE
    usual: ClassVar[timedelta] = timedelta(seconds=5)
    service: ClassVar[str] = "database"
    facts: ClassVar[type[BaseModel]] = SessionFacts
    how: ClassVar[Literal["cancel", "terminate"]]
    becomes: ClassVar[str]
    within: ClassVar[float] = 15.0
    """Seconds that the server may take: a session ends, and a query stops, at the next place where it can."""

    database: str = DATABASE
    pid: int = Field(description="number of the session", ge=1)
    started_at: datetime = Field(description="when the session began, as `database.blockers` shows it")

    def target(self, estate: Estate) -> str:
        return f"session {self.pid} of database {find(estate, self.database).name}"

    async def plan(self, tools: Tools) -> Plan[SessionFacts]:
        database = find(tools.estate, self.database)
        server = await in_use(tools, database)
        backend = await tools.databases.backend(servers(database)[server], self.pid, self.started_at)
        if backend is None:
            raise NotFound(
                f"Session {self.pid} that began at {self.started_at:%H:%M:%S} UTC is gone from {server};"
                " there is nothing to do."
            )
        facts = SessionFacts(
            database=database.name, server=server, pid=backend.pid, started_at=backend.started_at,
            query_start=self.query_of(backend), user=backend.user, application=backend.application,
        )  # fmt: skip
        return Plan(
            facts,
            (Change(f"session {self.pid} on {server}", backend.state, self.becomes),),
            notes=(f"query: {backend.query}",),
            loss_says="what the session has not committed is rolled back",
            undo_says="not possible: whoever ran it has to run it again",
        )

    @abstractmethod
    def query_of(self, backend: Backend) -> datetime | None:
        """When the query began that this is about; None when it is about the session. Raises NotNow."""

    def steps(self, facts: SessionFacts, tools: Tools) -> Sequence[Step]:
        url = servers(find(tools.estate, facts.database))[facts.server]

        async def end(_progress: Progress) -> str:
            ended = await tools.databases.end(url, facts.pid, facts.started_at, self.how, facts.query_start)
            return "the server was told" if ended else "it was over already"

        title = f"{self.how.capitalize()} session {facts.pid}"
        return (Step(title, end, not_yet, None, "a query that was ended is not taken up again"),)

    async def verify(self, facts: SessionFacts, tools: Tools) -> str:
        url = servers(find(tools.estate, facts.database))[facts.server]
        give_up = asyncio.get_running_loop().time() + self.within
        while True:
            backend = await tools.databases.backend(url, facts.pid, facts.started_at)
            seen = f"session {facts.pid} is gone" if backend is None else self.over(facts, backend)
            if seen:
                return seen
            if asyncio.get_running_loop().time() > give_up:
                raise NotVerified(self.still(facts))
            await asyncio.sleep(BETWEEN_LOOKS)

    @abstractmethod
    def over(self, facts: SessionFacts, backend: Backend) -> str:
        """What proves, on the session that is still there, that it has happened; empty when it has not."""

    @abstractmethod
    def still(self, facts: SessionFacts) -> str:
        """What is wrong when it has not happened in time, and what to do."""


class Cancel(_EndSession):
    """Cancel what one session is running."""

    name: ClassVar[str] = "database.cancel"
    risk: ClassVar[Risk] = Risk.LOW
    how: ClassVar[Literal["cancel", "terminate"]] = "cancel"
    becomes: ClassVar[str] = "its query is cancelled, the session stays"

    def query_of(self, backend: Backend) -> datetime | None:
        if not backend.runs or backend.query_start is None:
            raise NotNow(
                f"Session {self.pid} runs no query ({backend.state or 'its state is not shown'}), so there is none to"
                " cancel. What it holds is let go when it is ended: `database.terminate`."
            )
        return backend.query_start

    def over(self, facts: SessionFacts, backend: Backend) -> str:
        if not backend.runs and backend.state != "disabled":
            return f"session {facts.pid} does not run the query any more ({backend.state})"
        if backend.query_start is not None and backend.query_start != facts.query_start:
            return f"session {facts.pid} does not run the query any more, but another one"
        return ""

    def still(self, facts: SessionFacts) -> str:
        return f"session {facts.pid} still runs the same query {self.within:g} s later; `database.terminate` ends it"


class Terminate(_EndSession):
    """End one session."""

    name: ClassVar[str] = "database.terminate"
    risk: ClassVar[Risk] = Risk.HIGH
    how: ClassVar[Literal["cancel", "terminate"]] = "terminate"
    becomes: ClassVar[str] = "ended, its transaction rolled back"

    def query_of(self, backend: Backend) -> datetime | None:  # noqa: ARG002  the session is meant, whatever it runs
        return None

    def over(self, facts: SessionFacts, backend: Backend) -> str:  # noqa: ARG002  nothing proves it but being gone
        return ""

    def still(self, facts: SessionFacts) -> str:
        return (
            f"session {facts.pid} is still there {self.within:g} s later: the server cannot interrupt what it does;"
            " look at the server itself"
        )
