"""The page: opened, widened rung by rung, acknowledged, resolved, proven; and the second way out when it cannot be."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot import owed
from bot.chat import Chat, LineCard
from bot.clock import Clock
from bot.effects.posting import CLOCKS_APART, post_once
from bot.engine import Outcome, Settle
from bot.errors import NeighbourError
from bot.escalation import prove, unproven
from bot.estate import Estate
from bot.hearing import Hearing
from bot.incident import Incident, Page
from bot.owed import Effect
from bot.pager import Call, Pager
from bot.roster import Roster
from bot.rules import Case, Change, Rules, told
from bot.store import Store, Tx
from bot.timeline import Note

POLL_EVERY = timedelta(seconds=10)
"""How often PagerDuty is asked what happened, where it cannot tell us by webhook."""

POLL_BESIDE_WEBHOOKS = timedelta(seconds=60)
"""Webhooks can be lost or set up wrongly; a slow poll finds out."""


NOT_CALLED = Outcome(asked=False, dropped=True)
"""Its turn came when nobody was to be called any more: it was under way when the others were withdrawn."""


class PageEffects:
    """Performers of `page.*`, `tell.rung`, `watch` and `roster`."""

    def __init__(
        self,
        pager: Pager,
        chat: Chat,
        store: Store,
        estate: Estate,
        rules: Rules,
        roster: Roster,
        hearing: Hearing,
        clock: Clock,
        *,
        webhooks: bool,
    ) -> None:
        self._pager = pager
        self._chat = chat
        self._store = store
        self._estate = estate
        self._rules = rules
        self._roster = roster
        self._hearing = hearing
        self._clock = clock
        self._poll_every = POLL_BESIDE_WEBHOOKS if webhooks else POLL_EVERY

    def _targets(self, level: int) -> tuple[str, ...]:
        return next(tuple(r.pagerduty) for r in self._estate.ladder if r.level == level)

    async def open(self, effect: Effect, case: Case | None) -> Outcome:
        """Page rung 1. Not when somebody has acknowledged meanwhile: a page that comes late must not wake them again."""
        incident = told(case).incident
        if not incident.calls:
            return NOT_CALLED
        if effect.repeated and incident.acks and incident.page is None:
            page = await self._pager.find(incident.page_key, self._since(incident))
            if page is None:
                return Outcome(
                    {"skipped": "acknowledged"}, self._told("not_paged", "Not paged late: it was acknowledged already")
                )
        else:
            page = await self._ensure(incident, effect, look_first=effect.repeated)
        return Outcome({"page": page.id}, self._paged(page))

    async def _ensure(self, incident: Incident, effect: Effect, *, look_first: bool) -> Page:
        call = Call(
            incident.page_key,
            self._since(incident),
            self._title(incident),
            self._details(incident),
            self._message(incident, effect),
            self._targets(int(effect.args["level"])),
        )
        return await self._pager.open(call, look_first=look_first)

    @staticmethod
    def _message(incident: Incident, effect: Effect) -> str:
        """What people read who are added to a page. By it PagerDuty is asked whether they were: it must not change."""
        return f"{incident.id} rung {effect.args['level']} (round {incident.round}): {effect.args['why']}"

    @staticmethod
    def _since(incident: Incident) -> datetime:
        """Nothing that is older than the incident can be its page."""
        return incident.declared_at - CLOCKS_APART

    def _title(self, incident: Incident) -> str:
        if incident.private:
            return f"{incident.id} {incident.severity}: private incident ({incident.scenario})"
        return f"{incident.id} {incident.severity}: {incident.title}"

    def _details(self, incident: Incident) -> str:
        if incident.private:
            # The room's name has words of the title in it, and PagerDuty has other readers than the room.
            return f"Declared by {incident.declared_by.name}. The details are in the private room of {incident.id} in Slack."
        seen = f"\nSeen: {incident.seen}" if incident.seen else ""
        services = ", ".join(incident.services) or "not yet known"
        return f"Declared by {incident.declared_by.name}. Services: {services}. Slack: #{incident.room_name}{seen}"

    def _paged(self, page: Page) -> Settle:
        async def settle(fresh: Case, _tx: Tx) -> Change:
            incident = fresh.incident
            if incident.page == page:
                return Change(fresh)
            paged = fresh.with_(pages={**incident.pages, incident.round: page})
            marks = owed.owe(incident, "room.bookmarks", f"room.bookmarks/{page.id}", lane="room.bookmarks")
            watch = watch_pages(self._clock() + self._poll_every)
            return Change(
                paged, (Note("paged", f"Paged through PagerDuty ({page.id})", data={"page": page.id}),), (marks, watch)
            )

        return settle

    @staticmethod
    def _told(kind: str, text: str) -> Settle:
        async def settle(fresh: Case, _tx: Tx) -> Change:
            return Change(fresh, (Note(kind, text),))

        return settle

    async def add(self, effect: Effect, case: Case | None) -> Outcome:
        """Call a further rung: on the page there is, or on one opened for it when rung 1 could not be paged."""
        incident, level = told(case).incident, int(effect.args["level"])
        if not incident.calls:
            return NOT_CALLED
        targets = self._targets(level)
        if not targets:
            return Outcome({"skipped": "no targets"}, self._told("not_paged", f"Rung {level} has nobody in PagerDuty"))
        if incident.page is None:
            page = await self._ensure(incident, effect, look_first=True)
            how = "page"
        else:
            page = incident.page
            how = await self._pager.add(page, self._message(incident, effect), targets)

        async def settle(fresh: Case, tx: Tx) -> Change:
            change = await self._paged(page)(fresh, tx) or Change(fresh)
            return change.then(
                Change(change.case, (Note("rung_paged", f"Rung {level} paged through PagerDuty ({how})"),))
            )

        return Outcome({"page": page.id, "how": how}, settle)

    async def acknowledge(self, effect: Effect, case: Case | None) -> Outcome:
        incident = told(case).incident
        page = await self._page_of(incident, incident.round)
        if page is None:
            return Outcome({"skipped": "no page"})
        await self._pager.acknowledge(page)
        return Outcome(
            {"page": page.id}, self._told("page_acked", f"Acknowledged in PagerDuty for {effect.args['by']}")
        )

    async def resolve(self, effect: Effect, case: Case | None) -> Outcome:
        """Resolve the page of the round."""
        incident, round_ = told(case).incident, int(effect.args["round"])
        page = await self._page_of(incident, round_)
        if page is None:
            return Outcome({"skipped": "no page"})
        await self._pager.resolve(page)
        return Outcome({"page": page.id}, self._told("page_resolved", "Resolved in PagerDuty"))

    async def _page_of(self, incident: Incident, round_: int) -> Page | None:
        """The page of a round; also one that was opened without our hearing of it."""
        page = incident.pages.get(round_)
        if page is None and round_ == incident.round:
            page = await self._pager.find(incident.page_key, self._since(incident))
        return page

    async def proof(self, effect: Effect, case: Case | None) -> Outcome:
        """Its time is over: read back that somebody was notified and has answered; if not, use the second way out."""
        incident, level = told(case).incident, int(effect.args["level"])
        if f"{incident.round}/{level}" in incident.proofs:
            return Outcome()
        if not incident.calls:
            return NOT_CALLED
        fired = next(
            (r.fired_at for r in told(case).ladder.rungs if r.level == level and r.fired_at), incident.declared_at
        )
        who, why = await self._read_back(incident, fired)

        async def settle(fresh: Case, tx: Tx) -> Change:
            if who:
                return prove(fresh, level, tx.now, who)
            return unproven(fresh, level, why, self._rules)

        return Outcome({"proof": who}, settle)

    async def _read_back(self, incident: Incident, since: datetime) -> tuple[str, str]:
        """(who answered, why there is no proof)."""
        if incident.page is None:
            return "", "the page has not left: PagerDuty does not answer or refuses"
        try:
            heard = await self._pager.heard(incident.page, since - CLOCKS_APART)
        except NeighbourError as error:
            return "", str(error)
        answered = [h for h in heard if h.what in ("acknowledged", "joined") and h.at >= since - timedelta(seconds=5)]
        if answered:
            return answered[-1].who.name, ""
        notified = sorted({h.who.name for h in heard if h.what == "notified" and h.at >= since - timedelta(seconds=5)})
        return "", f"{', '.join(notified)} notified, no answer" if notified else "nobody was notified"

    async def tell(self, effect: Effect, case: Case | None) -> Outcome:
        """The second way out: a direct message to everybody of the rung, once each; numbers go to the room with the line."""
        incident, level = told(case).incident, int(effect.args["level"])
        if not incident.calls:
            return NOT_CALLED
        people = await self._roster.people(level, ask=False)
        known = [p for p in people if p.slack]
        if not known:
            members = await self._chat.members(self._estate.slack.responders)
            ids = sorted(members)
        else:
            ids = sorted({p.slack for p in known})
        phones = [{"name": p.name, "phone": p.phone} for p in people if p.phone]

        async def settle(fresh: Case, tx: Tx) -> Change:
            for person in ids:
                await tx.owe(
                    owed.owe(
                        incident,
                        "tell",
                        f"tell/{incident.round}/{level}/{person}",
                        lane=f"tell/{person}",
                        args={"person": person, "level": level, "why": self._rules.rung(level).why},
                    )
                )
            line = owed.say(
                incident, "second_way", f"second_way/{incident.round}/{level}", people=ids, phones=phones, level=level
            )
            names = ", ".join([p.name for p in known] or ids)
            return Change(fresh, (Note("second_way", f"Direct messages go to {names} (rung {level})"),), (line,))

        return Outcome({"people": ids}, settle)

    async def tell_one(self, effect: Effect, case: Case | None) -> Outcome:
        incident, person = told(case).incident, str(effect.args["person"])
        if not incident.calls:
            return NOT_CALLED
        card = LineCard(
            "called",
            {
                **effect.args,
                "incident": incident.id,
                "severity": str(incident.severity),
                "title": incident.title,
                "room": incident.room or "",
                "practice": self._rules.pace.practice,
            },
        )
        posted = await post_once(self._chat, effect, person, card)
        return Outcome({"ts": posted.ts})

    async def watch(self, effect: Effect, _case: Case | None) -> Outcome:
        """Ask what happened to any page, as long as an incident is open."""
        now = self._clock()
        since = datetime.fromisoformat(str(effect.result["until"])) if effect.result else effect.created_at
        async with self._store.tx() as tx:
            open_now = await tx.count_open()
        if not open_now:
            return Outcome({"until": now.isoformat()}, asked=False)
        for heard in await self._pager.heard_all(since - OVERLAP):
            await self._hearing.hear(heard)
        return Outcome({"until": now.isoformat()}, again_at=now + self._poll_every)

    async def refresh_roster(self, _effect: Effect, _case: Case | None) -> Outcome:
        """Ask once an hour who is on call, so that the answer is there when PagerDuty is not."""
        await self._roster.refresh()
        return Outcome(again_at=self._clock() + timedelta(hours=1))


OVERLAP = timedelta(seconds=30)
"""Two polls overlap: what is heard twice changes nothing."""


def watch_pages(at: datetime) -> owed.Owed:
    """The standing row that polls PagerDuty."""
    return owed.Owed("watch", "estate/watch", "estate/watch", due_at=at, standing=True)
