"""The room: made, described, filled with people, its board shown, pinned and kept up to date, archived."""

from __future__ import annotations

from datetime import timedelta

from bot import board as boards
from bot import owed
from bot.assessment import likely
from bot.chat import AnnounceCard, BoardCard, Chat, LineCard, Posted
from bot.clock import Clock
from bot.effects.posting import CLOCKS_APART, post_once
from bot.engine import Outcome
from bot.errors import NameTaken, Refused
from bot.estate import Estate
from bot.incident import Incident, Role, room_name
from bot.owed import Effect
from bot.roster import Roster
from bot.rules import Case, Change, Rules, in_room, told
from bot.store import Store, Tx
from bot.timeline import Note

TOPIC_MAX = 250

NOT_OURS = Outcome({"skipped": "no room of its own"})
"""Where no room could be made, somebody else's channel is neither described nor filled with people. An archived one is left."""


class RoomEffects:
    """Performers of `room.*`, `board` and `announce`."""

    def __init__(self, chat: Chat, store: Store, estate: Estate, rules: Rules, roster: Roster, clock: Clock) -> None:
        self._chat = chat
        self._store = store
        self._estate = estate
        self._rules = rules
        self._roster = roster
        self._clock = clock

    async def create(self, effect: Effect, case: Case | None) -> Outcome:
        """Make the channel under the name reserved in the store. On a repetition, look for ours first."""
        incident = told(case).incident
        try:
            room = None
            if effect.repeated and effect.begun_at is not None:
                room = await self._chat.find_room(
                    incident.room_name, private=incident.private, since=effect.begun_at - CLOCKS_APART
                )
            room = room or await self._chat.create_room(incident.room_name, private=incident.private)
        except NameTaken:
            return await self._other_name(effect, incident)
        except Refused as refusal:
            return self._no_room(incident, str(refusal))

        async def settle(fresh: Case, tx: Tx) -> Change:
            opened = fresh.with_(room=room.id, room_state="open", room_name=room.name)
            await tx.unpark(incident.number, owed.NEEDS_ROOM)
            return Change(
                opened, (Note("room", f"Room #{room.name} opened", data={"channel": room.id}),), self._shown(opened)
            )

        return Outcome({"room": room.id}, settle)

    async def _other_name(self, effect: Effect, incident: Incident) -> Outcome:
        """Somebody has the name: reserve the next one and try again at once."""
        attempt = int(effect.args.get("attempt", 0)) + 1
        if attempt > 20:
            raise Refused(f"20 channel names beginning with {incident.room_name} are taken", "name_taken")

        async def settle(fresh: Case, _tx: Tx) -> Change:
            renamed = fresh.with_(room_name=room_name(incident.number, incident.title, attempt))
            again = owed.owe(
                renamed.incident,
                "room.create",
                f"room.create/{incident.round}/{attempt}",
                lane="room",
                args={"attempt": attempt},
            )
            return Change(renamed, (), (again,))

        return Outcome({"taken": incident.room_name}, settle)

    def _no_room(self, incident: Incident, why: str) -> Outcome:
        """The workspace refuses. A public incident goes on in the announce channel, a private one in a direct message."""
        place = incident.declared_by.id if incident.private else self._estate.slack.announce
        where = f"direct messages with {incident.declared_by.name}" if incident.private else "the announce channel"

        async def settle(fresh: Case, tx: Tx) -> Change:
            fallen = fresh.with_(room=place, room_state="fallback")
            await tx.unpark(incident.number, owed.NEEDS_ROOM)
            text = f"The room could not be made ({why}); this incident goes on in {where}"
            line = owed.say(incident, "no_room", f"no_room/{incident.round}", why=why, private=incident.private)
            return Change(
                fallen,
                (Note("no_room", text),),
                (line, *self._shown(fallen)),
                ("room.describe", "room.invite", "room.bookmarks", "room.archive"),
            )

        return Outcome({"refused": why}, settle)

    @staticmethod
    def _shown(case: Case) -> tuple[owed.Owed, ...]:
        return () if case.incident.private else (owed.announce(case.incident),)

    async def describe(self, _effect: Effect, case: Case | None) -> Outcome:
        incident, room = in_room(case)
        if incident.room_state != "open":
            return NOT_OURS
        commander = incident.roles.get(Role.COMMANDER)
        topic = f"{incident.id} {incident.severity} {incident.status}: {incident.title}"
        if commander is not None:
            topic += f" | commander {commander.name}"
        purpose = f"Incident room of {incident.id} ({self._estate.name}). The pinned board is always the newest state."
        await self._chat.describe(room, topic[:TOPIC_MAX], purpose[:TOPIC_MAX])
        return Outcome()

    async def invite(self, effect: Effect, case: Case | None) -> Outcome:
        """Responders, people by id, or the people of a rung; who cannot be invited is told, never fatal."""
        incident, room = in_room(case)
        if incident.room_state != "open":
            return NOT_OURS
        people = set(map(str, effect.args.get("people", ())))
        if effect.args.get("responders"):
            people |= await self._chat.members(self._estate.slack.responders)
        level = effect.args.get("level")
        if level is not None:
            people |= {p.slack for p in await self._roster.people(int(level)) if p.slack}
        refused = await self._chat.invite(room, sorted(people)) if people else {}

        async def settle(fresh: Case, _tx: Tx) -> Change | None:
            if not refused:
                return None
            who = ", ".join(f"{person}: {why}" for person, why in refused.items())
            line = owed.say(fresh.incident, "not_invited", f"not_invited/{effect.id}", people=dict(refused))
            return Change(fresh, (Note("not_invited", f"Could not be invited: {who}"),), (line,))

        return Outcome({"invited": len(people) - len(refused)}, settle)

    async def bookmarks(self, _effect: Effect, case: Case | None) -> Outcome:
        incident, room = in_room(case)
        if incident.room_state != "open":
            return NOT_OURS
        links = [(link.title, link.url, link.emoji) for link in self._estate.links]
        if incident.page is not None and incident.page.url:
            links.append(("PagerDuty", incident.page.url, ":pager:"))
        await self._chat.bookmark(room, links)
        return Outcome({"links": len(links)})

    async def board(self, effect: Effect, case: Case | None) -> Outcome:
        """Post the board once, then edit it in place; a board that a human deleted is posted anew."""
        case = told(case)
        incident, room = in_room(case)
        async with self._store.tx() as tx:
            readings = await tx.readings()
            troubled = await tx.troubled(incident.number)
        scenarios = {p.name: p.scenario for p in self._estate.probes}
        titles = {p.name: p.title for p in self._estate.probes}
        card = BoardCard(
            boards.build(
                case, readings, troubled, likely(readings, scenarios).scenario, self._rules, self._clock(), titles
            )
        )
        ts = incident.board_ts
        again_at = boards.next_look(case, self._rules, self._clock())
        if ts is not None and await self._chat.edit(Posted(room, ts), card):
            return Outcome(again_at=again_at)
        key = effect.key if ts is None else f"{effect.key}/{ts}"
        posted = await post_once(self._chat, effect, room, card, key=key)

        async def settle(fresh: Case, tx: Tx) -> Change:
            await tx.unpark(incident.number, owed.NEEDS_BOARD)
            shown = fresh.with_(board_ts=posted.ts, room=posted.channel)
            pin = owed.owe(fresh.incident, "room.pin", f"room.pin/{posted.ts}", args={"ts": posted.ts})
            note = Note("board", "Board posted" if ts is None else "Board was deleted by hand and is posted again")
            return Change(shown, (note,), (pin,))

        return Outcome({"ts": posted.ts}, settle, again_at)

    async def pin(self, effect: Effect, case: Case | None) -> Outcome:
        _, room = in_room(case)
        await self._chat.pin(Posted(room, str(effect.args["ts"])))
        return Outcome()

    async def announce(self, effect: Effect, case: Case | None) -> Outcome:
        """One line in the announce channel, edited when the incident changes. A private incident has none."""
        case = told(case)
        if case.incident.private:
            return Outcome()
        card = AnnounceCard(boards.build(case, (), (), None, self._rules, self._clock()))
        if case.incident.announced is not None and await self._chat.edit(Posted(*case.incident.announced), card):
            return Outcome()
        posted = await post_once(self._chat, effect, self._estate.slack.announce, card)

        async def settle(fresh: Case, _tx: Tx) -> Change:
            return Change(fresh.with_(announced=(posted.channel, posted.ts)), (Note("announced", "Announced"),))

        return Outcome({"ts": posted.ts}, settle)

    async def say(self, effect: Effect, case: Case | None) -> Outcome:
        """A message to the room, in the order in which they were decided."""
        incident, room = in_room(case)
        data = dict(effect.args)
        card = LineCard(str(data.pop("line")), {**data, "incident": incident.id, "practice": self._rules.pace.practice})
        posted = await post_once(self._chat, effect, room, card)
        return Outcome({"ts": posted.ts})

    async def archive(self, effect: Effect, case: Case | None) -> Outcome:
        """Archive last: everything that is still to be written into the room goes first."""
        incident, room = in_room(case)
        async with self._store.tx() as tx:
            left = await tx.unfinished(incident.number, effect.id)
        if left:
            return Outcome(again_at=self._clock() + timedelta(seconds=2))
        if incident.room_state == "open":
            await self._chat.archive(room)

        async def settle(fresh: Case, _tx: Tx) -> Change:
            return Change(fresh.with_(room_state="archived"))

        return Outcome(settle=settle)
