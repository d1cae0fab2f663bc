"""The desk: what a person asks for, carried out. Look at the row, let the rules decide, write the answer, all at once.

Every method takes the `key` of the click that asks: the click is marked as done in the same transaction, so a click that
is delivered or processed twice changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from bot import owed
from bot.access import Access
from bot.chat import ReplyTo
from bot.clock import Clock, spoken
from bot.declaring import declare, similar
from bot.errors import NotFound
from bot.estate import Estate
from bot.incident import Declaration, Incident, Person
from bot.rules import Case, Change, Rules
from bot.store import Store, TakenOver
from bot.timeline import Entry, Note

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

Decide = Callable[[Case, datetime], Change]


@dataclass(frozen=True)
class Answer:
    """A private answer to the person who clicked: a wording's name and its data."""

    to: ReplyTo
    line: str
    data: Mapping[str, Any]


class Desk:
    """All that handlers ask of the bot."""

    def __init__(self, store: Store, access: Access, estate: Estate, rules: Rules, clock: Clock) -> None:
        self.store = store
        self.access = access
        self.estate = estate
        self.rules = rules
        self.clock = clock

    async def declare(self, said: Declaration, *, anyway: bool = False) -> Incident | Sequence[Incident]:
        """Declare, and return the incident; or, unless `anyway`, return the open ones that look the same.

        A declaration that was made already is returned as it is.
        """
        async with self.store.tx() as tx:
            await tx.begin_declaring()
            standing = await tx.declared_as(said.key)
            if standing is not None:
                return (await tx.case(standing, lock=False)).incident
            if not anyway:
                recent = [case.incident for case in await tx.recent_open(tx.now - self.rules.similar_within)]
                found = similar(said, recent, self.rules, tx.now)
                if found:
                    return found
            # The title names the room and the page, and the report quotes both: a secret in them goes no further.
            said = replace(said, title=tx.redact(said.title), seen=tx.redact(said.seen))
            change = declare(await tx.next_number(), said, self.rules, tx.now)
            await tx.create(change)
            return change.case.incident

    async def change(self, key: str, number: int, decide: Decide, answer: Answer | None = None) -> Case:
        """Apply a decision to an incident. Raises what the decision raises; nothing is written then."""
        async with self.store.tx() as tx:
            case = await tx.case(number)
            if await tx.settle(key):
                change = decide(case, tx.now)
                await tx.apply(change)
                if answer is not None:
                    await tx.owe(reply(key, answer))
                case = change.case
        return case

    async def answer(self, key: str, answer: Answer, of: Incident | None = None) -> None:
        """Answer without changing anything; with `of`, as soon as that incident has a room to point at."""
        async with self.store.tx() as tx:
            if not await tx.settle(key):
                return
            said = reply(key, answer)
            if of is None:
                await tx.owe(said)
            else:
                incident = (await tx.case(of.number)).incident
                said = replace(said, incident=of.number, needs="room")
                await tx.owe(said, waits=owed.parked(said, incident))

    async def retry(self, key: str, number: int, effect: int | None, by: Person, to: ReplyTo) -> None:
        """Try what failed once more, now."""
        async with self.store.tx() as tx:
            case = await tx.case(number)
            if not await tx.settle(key):
                raise TakenOver
            count = await tx.retry(number, effect)
            if not count:
                raise NotFound(f"Nothing of {case.incident.id} has failed.")
            note = Note(
                "retried", f"{count} failed {'call is' if count == 1 else 'calls are'} tried again", by.id, by.name
            )
            await tx.apply(Change(case, (note,), (owed.board(case.incident),)))
            await tx.owe(reply(key, Answer(to, "done", {"text": f"Trying again: {count}."})))

    async def pin(self, key: str, number: int, channel: str, ts: str, text: str, author: Person, by: Person) -> None:
        """Put a message on the timeline, once."""
        async with self.store.tx() as tx:
            case = await tx.case(number)
            if not await tx.settle(key):
                raise TakenOver
            if await tx.pin_message(number, channel, ts, text):
                await tx.record(
                    case, Note("pinned", f"{author.name}: {text}", by.id, by.name, {"ts": ts, "author": author.id})
                )

    async def pinned_changed(self, key: str, channel: str, ts: str, text: str | None) -> None:
        """A message was edited (or deleted: None). If it is on a timeline, the change joins it; nothing is overwritten."""
        async with self.store.tx() as tx:
            if not await tx.settle(key):
                raise TakenOver
            pinned = await tx.pinned(channel, ts)
            if pinned is None or pinned[1] == text:
                return
            number, before = pinned
            case = await tx.case(number)
            if text is None:
                note = Note(
                    "pin_deleted", f"A message of the timeline was deleted in Slack. It said: {before}", data={"ts": ts}
                )
            else:
                note = Note("pin_edited", f"A message of the timeline was edited. It says now: {text}", data={"ts": ts})
            await tx.record(case, note)
            await tx.pinned_changed(channel, ts, text)

    async def deleted(self, key: str, channel: str, ts: str) -> None:
        """A message of ours is gone. If it was a board, it is owed again."""
        async with self.store.tx() as tx:
            number = await tx.number_of_room(channel)
            if number is None:
                return
            case = await tx.case(number)
            if case.incident.board_ts == ts and await tx.settle(key):
                await tx.apply(Change(case, (), (owed.board(case.incident),)))

    def row(self, incident: Incident) -> dict[str, Any]:
        """An incident as a line of a list shows it."""
        age = self.rules.pace.told((incident.resolved_at or self.clock()) - incident.started_at)
        return {
            "id": incident.id,
            "number": incident.number,
            "severity": incident.severity,
            "status": incident.status,
            "title": incident.title,
            "room": incident.room if incident.room_state == "open" else "",
            "age": spoken(age),
        }

    # Reading

    async def case(self, number: int) -> Case:
        async with self.store.tx() as tx:
            return await tx.case(number, lock=False)

    async def open_cases(self) -> list[Case]:
        async with self.store.tx() as tx:
            return await tx.recent_open(LONG_AGO)

    async def entries(self, number: int) -> list[Entry]:
        async with self.store.tx() as tx:
            return await tx.entries(number)

    async def number_of_room(self, channel: str) -> int | None:
        async with self.store.tx() as tx:
            return await tx.number_of_room(channel)


def reply(key: str, answer: Answer) -> owed.Owed:
    """A private answer as something owed: it is retried, and a crash does not lose it."""
    to = answer.to
    args = {"person": to.person, "channel": to.channel, "url": to.url, "line": answer.line, "data": dict(answer.data)}
    return owed.Owed("reply", f"reply/{key}", f"{key}/reply", args)
