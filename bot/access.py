"""Who may do what. Anyone may declare, acknowledge and note; the rest needs a responder; unreadable means no."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bot.chat import Chat
from bot.errors import NeighbourError, NotAllowed
from bot.estate import Estate
from bot.incident import Person

FRESH_FOR = 60.0
"""Seconds for which a membership that was read is believed."""


class Access:
    """Answers from the chat's user groups, asked again after a minute."""

    def __init__(self, chat: Chat, estate: Estate) -> None:
        self._chat = chat
        self._estate = estate
        self._read: dict[tuple[str, ...], tuple[float, frozenset[str]]] = {}

    async def must_respond(self, person: Person) -> None:
        """Raises NotAllowed unless `person` is a responder, or when nobody can say."""
        await self._must(person, self._estate.slack.responders, "responders")

    async def must_approve(self, person: Person) -> None:
        """Raises NotAllowed unless `person` is an approver, or when nobody can say."""
        await self._must(person, self._estate.slack.approvers, "approvers")

    async def _must(self, person: Person, who: Sequence[str], called: str) -> None:
        if person.id in who:
            return
        try:
            members = await self._members(tuple(who))
        except NeighbourError as error:
            raise NotAllowed(
                f"Refused: I could not read who belongs to the {called} ({error}). Nothing was changed; try again,"
                " or have somebody do it who is listed by name in the estate file."
            ) from error
        if person.id not in members:
            raise NotAllowed(f"Only {called} may do that. Anyone may declare, acknowledge and note.")

    async def _members(self, who: tuple[str, ...]) -> frozenset[str]:
        read = self._read.get(who)
        if read is None or time.monotonic() - read[0] > FRESH_FOR:
            read = (time.monotonic(), await self._chat.members(who))
            self._read[who] = read
        return read[1]
