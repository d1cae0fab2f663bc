"""Scenario 1, runbook 1.2: promote a standby, and send the application to it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from actions.consumers import Move
from actions.databases import MovesWrites, find, in_use, look_at, servers
from actions.rollouts import health_is_green
from bot.action import (
    Change,
    NotVerified,
    Plan,
    Progress,
    Risk,
    Step,
    Tools,
    WaitsForPerson,
    not_yet,
    nothing,
)
from bot.errors import NeighbourError, NotNow, Refused, Silent
from bot.estate_places import Consumer, Database
from bot.tools import LastSeen, ServerState

BETWEEN_LOOKS = 0.5
REPLAYED_WITHIN = 60.0
"""Seconds that a fenced primary waits for its standby: writers stand still meanwhile."""


class FailoverFacts(BaseModel):
    """Who is promoted, away from whom, and whom that concerns. `how`: by us, or by a vendor's support."""

    database: str
    how: Literal["failover", "switchover", "vendor"]
    away_from: str
    promoted: str
    system: str
    deployment: str
    variable: str
    secret: str


class Failover(MovesWrites[FailoverFacts]):
    """Promote the freshest standby and send the application to it."""

    name: ClassVar[str] = "database.failover"
    risk: ClassVar[Risk] = Risk.HIGH
    usual: ClassVar[timedelta] = timedelta(minutes=5)
    facts: ClassVar[type[BaseModel]] = FailoverFacts

    mode: Literal["failover", "switchover"] = Field(
        "failover",
        description="failover when the primary is gone; switchover fences a living one first and loses nothing",
    )

    async def plan(self, tools: Tools) -> Plan[FailoverFacts]:
        database = find(tools.estate, self.database)
        if database.provider != "postgres":
            return _vendor_plan(database, tools)
        current = await in_use(tools, database)
        seen = {name: await look_at(tools, url) for name, url in servers(database).items()}
        state = seen[current]
        takes_writes = isinstance(state, ServerState) and not state.recovering and not state.read_only
        if self.mode == "failover" and takes_writes:
            raise NotNow(
                f"{current} still takes writes, so promoting another server now would make two primaries and lose data."
                " Use `mode=switchover`: it fences writes first and loses nothing."
            )
        if self.mode == "switchover" and not takes_writes:
            raise NotNow(f"{current} {left(state)}; use `mode=failover`.")
        promoted, standby = freshest(current, seen)
        asks = tools.memory if isinstance(state, NeighbourError) else None
        seen_last = await asks.last_seen(servers(database)[current]) if asks else None
        loss = Loss(timedelta(0), "writes are fenced until the standby has everything")
        if self.mode == "failover":
            loss = loss_of(current, promoted, standby, seen_last, tools.clock())
        return self._plan(database, current, state, promoted, standby, loss, tools)

    def _plan(
        self,
        database: Database,
        current: str,
        state: ServerState | NeighbourError,
        promoted: str,
        standby: ServerState,
        loss: Loss,
        tools: Tools,
    ) -> Plan[FailoverFacts]:
        app = database.application
        facts = FailoverFacts(
            database=database.name, how=self.mode, away_from=current, promoted=promoted, system=standby.system,
            deployment=app.deployment, variable=app.variable, secret=app.secret or "",
        )  # fmt: skip
        where = tools.databases.place(servers(database)[promoted])
        notes = [f"{promoted}: {standby.version}, replayed up to {_lsn(standby.lsn)}"]
        if isinstance(state, ServerState):
            notes.append(f"{current}: {max(state.lsn - standby.lsn, 0):,} bytes ahead of {promoted}")
        else:
            notes.append(f"{current}: {state}")
        notes += loss.notes
        kept = f"secret {app.secret}" if app.secret else f"deployment {app.deployment}"
        return Plan(
            facts,
            (
                Change("server that takes the writes", current, f"{promoted}, {where}"),
                Change(f"{app.variable} of {kept}", current, promoted),
            ),
            notes,
            loss=loss.most,
            loss_says=loss.says,
            data=[d.name for d in tools.estate.data if "WAL" in d.backup],
            undo_says="possible until the standby is promoted; afterwards, fail over again the other way",
            only_override=may_live(current, state),
        )

    def steps(self, facts: FailoverFacts, tools: Tools) -> Sequence[Step]:
        database = find(tools.estate, facts.database)
        if facts.how == "vendor":
            return (_vendor_step(database, tools), *_move(facts, database, tools).rollover())
        old, new = servers(database)[facts.away_from], servers(database)[facts.promoted]

        async def promote(_progress: Progress) -> str:
            await tools.databases.promote(new)
            return f"{facts.promoted} is a primary"

        async def promoted() -> bool:
            return not (await tools.databases.state(new)).recovering

        fenced = _fence_steps(facts, old, new, tools) if facts.how == "switchover" else ()
        no_return = (
            f"{facts.promoted} leaves the replication of {facts.away_from}, which has to be built anew as its standby"
        )
        return (
            *fenced,
            Step(f"Promote {facts.promoted}", promote, promoted, None, no_return),
            *((_open_step(facts, new, tools),) if fenced else ()),
            *_move(facts, database, tools).steps(),
        )

    async def verify(self, facts: FailoverFacts, tools: Tools) -> str:
        database = find(tools.estate, facts.database)
        new = servers(database)[facts.promoted]
        await _takes_a_write(tools, new, facts.promoted)
        health = await health_is_green(tools)
        if facts.how == "vendor":
            return f"{facts.promoted} took a write that was read back; {health}"
        old = await look_at(tools, servers(database)[facts.away_from])
        if isinstance(old, ServerState) and not old.recovering and not old.read_only:
            raise NotVerified(
                f"TWO PRIMARIES: {facts.away_from} takes writes too. Stop it now, or fence it: whatever it takes is lost"
            )
        return f"{facts.promoted} took a write that was read back; {health}; {facts.away_from} {left(old)}"


@dataclass(frozen=True)
class Loss:
    """The estimate of what a failover loses: at `most` so much time, None when nobody can tell how long."""

    most: timedelta | None
    says: str
    notes: Sequence[str] = ()


def loss_of(current: str, promoted: str, standby: ServerState, seen: LastSeen | None, now: datetime) -> Loss:
    """What `current` may have committed that `promoted` does not have. It is bounded by the last transaction that was
    replayed, and by the last look at `current`, if all that it had written then has been replayed: the later one counts."""
    known = [standby.replayed_at] if standby.replayed_at else []
    missing = None if seen is None or seen.system != standby.system else max(seen.lsn - standby.lsn, 0)
    notes: list[str] = []
    if seen is not None and missing is not None:
        had = "has all of that" if not missing else f"is {missing:,} bytes behind that"
        notes.append(
            f"{current} was last seen at {_on(seen.at, now)}, written up to {_lsn(seen.lsn)}; {promoted} {had}"
        )
        if not missing:
            known.append(seen.at)
    if known:
        after = max(known)
        most = max(now - after, timedelta(0))
        return Loss(most, f"what {current} committed after {_on(after, now)} and had not sent yet", notes)
    if seen is not None and missing:
        says = f"{missing:,} bytes that {current} had written at {_on(seen.at, now)}, and what it wrote afterwards"
        return Loss(None, says, notes)
    return Loss(None, f"what {current} committed after an unknown time and had not sent yet", notes)


def _no_kin(state: ServerState) -> str:
    return "is of another cluster" if state.recovering else "is no standby"


def left(state: ServerState | NeighbourError) -> str:
    """What is known of a server that is not seen to take writes."""
    if isinstance(state, ServerState):
        return "refuses writes"
    if isinstance(state, Silent):
        return "does not answer"
    return f"cannot be asked ({str(state).rstrip('.')}): should it take writes, stop it"


def may_live(current: str, state: ServerState | NeighbourError) -> str:
    """Why no approval suffices for promoting another server; empty when `current` takes no writes, or nobody is there."""
    if isinstance(state, ServerState | Silent):
        return ""
    return (
        f"{current} answers, though not what was asked ({str(state).rstrip('.')}), so it may take the writes of others:"
        " promoting another server now would make two primaries and lose data. Let me in, or stop it, and plan again."
    )


def _on(at: datetime, now: datetime) -> str:
    """An instant, with its day when that is not today."""
    at = at.astimezone(now.tzinfo)
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _lsn(value: int) -> str:
    return f"{value >> 32:X}/{value & 0xFFFFFFFF:X}"


def freshest(current: str, seen: Mapping[str, ServerState | NeighbourError]) -> tuple[str, ServerState]:
    """The standby that has replayed most. Raises NotNow when there is none that belongs to the current server."""
    state = seen[current]
    standbys = {
        name: other
        for name, other in seen.items()
        if name != current and isinstance(other, ServerState) and other.recovering
        and (not isinstance(state, ServerState) or other.system == state.system)
    }  # fmt: skip
    if not standbys:
        said = "; ".join(
            f"{name}: {_no_kin(other) if isinstance(other, ServerState) else other}"
            for name, other in seen.items()
            if name != current
        )
        raise NotNow(
            f"There is no standby to promote ({said or 'the estate file names none'}). A restore is what is left."
        )
    name = max(standbys, key=lambda n: standbys[n].lsn)
    return name, standbys[name]


def _fence_steps(facts: FailoverFacts, old: str, new: str, tools: Tools) -> Sequence[Step]:
    async def fence(_progress: Progress) -> str:
        await tools.databases.fence(old, closed=True)
        return f"{facts.away_from} refuses writes"

    async def unfence(_progress: Progress) -> None:
        await tools.databases.fence(old, closed=False)

    async def replay(progress: Progress) -> str:
        last = (await tools.databases.state(old)).lsn
        async with asyncio.timeout(REPLAYED_WITHIN):
            while True:
                behind = last - (await tools.databases.state(new)).lsn
                if behind <= 0:
                    return f"{facts.promoted} has replayed {_lsn(last)}"
                progress(f"{behind:,} bytes to go")
                await asyncio.sleep(BETWEEN_LOOKS)

    async def replayed(progress: Progress) -> str:
        try:
            return await replay(progress)
        except TimeoutError:
            raise Refused(f"{facts.promoted} has not caught up within {REPLAYED_WITHIN:g} s") from None

    return (
        # Fenced again after a crash: the setting may stand while sessions from before it are still there, and write.
        Step(f"Fence writes on {facts.away_from}", fence, not_yet, unfence),
        Step(f"Wait until {facts.promoted} has everything", replayed, not_yet, nothing,
             by_hand="Undo opens the primary for writes again."),
    )  # fmt: skip


def _open_step(facts: FailoverFacts, new: str, tools: Tools) -> Step:
    """The fence is a setting of the database, so the standby has replayed it too."""

    async def open_(_progress: Progress) -> str:
        await tools.databases.fence(new, closed=False)
        return f"{facts.promoted} takes writes"

    return Step(f"Open {facts.promoted} for writes", open_, not_yet, nothing,
                by_hand=f"On {facts.promoted}: ALTER DATABASE … RESET default_transaction_read_only.")  # fmt: skip


def _move(facts: FailoverFacts, database: Database, tools: Tools) -> Move:
    """The application goes to the server that was promoted."""

    async def url() -> str:
        return servers(database)[facts.promoted]

    app = Consumer(deployment=facts.deployment, variable=facts.variable, secret=facts.secret or None)
    return Move(tools, app, facts.promoted, url, tools.databases.place)


async def _takes_a_write(tools: Tools, url: str, name: str) -> None:
    try:
        await tools.databases.write_and_read(url, tools.run)
    except NeighbourError as error:
        raise NotVerified(f"{name} does not take a write: {error}") from error


def _vendor_plan(database: Database, tools: Tools) -> Plan[FailoverFacts]:
    vendor = next((v for v in tools.estate.vendors if v.name == database.support), None)
    reach = ", ".join(str(way) for way in (vendor.email, vendor.phone, vendor.note) if way) if vendor else "its support"
    app = database.application
    facts = FailoverFacts(
        database=database.name, how="vendor", away_from=database.primary.name, promoted=database.primary.name, system="",
        deployment=app.deployment, variable=app.variable, secret=app.secret or "",
    )  # fmt: skip
    return Plan(
        facts,
        (Change("primary", database.primary.name, f"as {database.support or 'the vendor'} fails it over"),),
        notes=(
            f"{database.provider} is failed over by its support: {reach}",
            f"Text to send: {_vendor_text(database)}",
        ),
        loss_says="as the vendor says",
        undo_says="not possible: the vendor does it",
    )


def _vendor_text(database: Database) -> str:
    return (
        f"Production is down: the primary of our database {database.title} does not take writes. Please fail it over to its"
        " standby now, and tell us when it is done, whether the connection string changes, and which transactions are lost."
    )


def _vendor_step(database: Database, tools: Tools) -> Step:
    url = database.primary.url.get_secret_value()

    async def healed() -> bool:
        state = await look_at(tools, url)
        return isinstance(state, ServerState) and not state.recovering and not state.read_only

    async def ask(_progress: Progress) -> str:
        if await healed():
            return f"{database.primary.name} takes writes"
        raise WaitsForPerson(
            f"{database.support or 'the vendor'} has to fail it over. Send: “{_vendor_text(database)}” Then say that it is done"
        )

    return Step(f"Ask {database.support or 'the vendor'} to fail over", ask, healed, None, "it is the vendor who acts")
