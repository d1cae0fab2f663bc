"""Who answers which rung: as the pager says now, else as it last said, else as the estate lists them."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bot.chat import Chat
from bot.errors import NeighbourError
from bot.estate import Estate
from bot.pager import Pager
from bot.store import Store

log = logging.getLogger("bot.roster")


@dataclass(frozen=True)
class Called:
    """Somebody of a rung. `slack` is empty when the chat does not know them; `phone` when the estate does not."""

    name: str
    slack: str
    phone: str = ""


class Roster:
    """Looks people up without ever failing: on the night when it matters, an old answer beats none."""

    def __init__(self, estate: Estate, pager: Pager, chat: Chat, store: Store) -> None:
        self._estate = estate
        self._pager = pager
        self._chat = chat
        self._store = store

    async def refresh(self) -> None:
        """Ask the pager for every rung and remember the answer."""
        for rung in self._estate.ladder:
            for target in rung.pagerduty:
                await self._ask(target)

    async def people(self, level: int, *, ask: bool = True) -> list[Called]:
        """The people of a rung: from the pager and from the estate. `ask=False` = as remembered, the pager is silent."""
        rung = next(r for r in self._estate.ladder if r.level == level)
        found: dict[str, Called] = {}
        for target in rung.pagerduty:
            for person in await self._ask(target) if ask else await self._remembered(target):
                found.setdefault(person["slack"] or person["name"], Called(person["name"], person["slack"]))
        for slack in rung.slack:
            found.setdefault(slack, Called(slack, slack))
        for contact in self.contacts(level):
            found.setdefault(contact.slack or contact.name, contact)
        return list(found.values())

    def contacts(self, level: int) -> list[Called]:
        """The estate's contacts of a rung, with their phone numbers."""
        rung = next(r for r in self._estate.ladder if r.level == level)
        listed = [self._estate.contact(name) for name in rung.contacts]
        return [Called(c.title, c.slack or "", c.phone) for c in listed]

    async def _ask(self, target: str) -> list[dict[str, str]]:
        try:
            people = [
                {"name": c.name, "email": c.email, "slack": (await self._chat.person_by_email(c.email)) or ""}
                for c in await self._pager.people(target)
            ]
        except NeighbourError as error:
            log.info("roster of %s as remembered: %s", target, error)
            return await self._remembered(target)
        async with self._store.tx() as tx:
            await tx.put_roster(target, people)
        return people

    async def _remembered(self, target: str) -> list[dict[str, str]]:
        async with self._store.tx() as tx:
            return await tx.roster(target)
