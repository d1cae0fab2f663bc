"""What PagerDuty says happened, by webhook or poll, put on the incident it belongs to. Heard twice, it changes nothing."""

from __future__ import annotations

import logging

from bot.chat import Chat
from bot.errors import NeighbourError
from bot.escalation import acknowledge
from bot.incident import Ack, Person
from bot.lifecycle import resolve
from bot.pager import Heard, Pager
from bot.rules import Change, Rules
from bot.store import Store
from bot.timeline import Note

log = logging.getLogger("bot.hearing")


class Hearing:
    """Acknowledgements and resolutions travel from PagerDuty to the incident."""

    def __init__(self, store: Store, pager: Pager, chat: Chat, rules: Rules) -> None:
        self._store = store
        self._pager = pager
        self._chat = chat
        self._rules = rules

    async def hear(self, heard: Heard) -> None:
        """Apply one event. Raises StoreUnavailable."""
        if heard.what == "notified":
            return
        async with self._store.tx() as tx:
            number = await tx.number_of_page(heard.page)
        if number is None:
            return
        who = await self._person(heard)
        async with self._store.tx() as tx:
            case = await tx.case(number)
            if case.incident.page is None or case.incident.page.id != heard.page:
                # Of a round that is over: a reopened incident has a page of its own.
                return
            kinds = ("page.resolve",) if heard.what == "resolved" else ("page.ack",)
            if not case.incident.status.open or await tx.touched_between(number, kinds, heard.at):
                return
            if heard.what in ("acknowledged", "joined"):
                await tx.apply(acknowledge(case, Ack(who, heard.at, "pagerduty"), self._rules, tx.now))
            elif heard.what == "declined":
                note = Note("declined", f"{who.name} declined in PagerDuty", who.id or "pagerduty", who.name)
                if not any(e.kind == "declined" and e.actor_name == who.name for e in await tx.entries(number)):
                    await tx.apply(Change(case, (note,)))
            else:
                await tx.apply(resolve(case, who, "resolved in PagerDuty", self._rules, tx.now))

    async def _person(self, heard: Heard) -> Person:
        """Who it was, by their Slack id as far as both sides tell it now."""
        who, slack = heard.who, None
        try:
            if not who.email and who.id:
                who = await self._pager.person(who.id)
            if who.email:
                slack = await self._chat.person_by_email(who.email)
        except NeighbourError as error:
            log.info("no Slack name for %s: %s", who.name, error)
        return Person(slack or "", who.name)
