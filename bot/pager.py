"""All that the bot may ask of a pager. `bot/clients/pagerduty.py` answers for PagerDuty.

Every method raises Unavailable (it may have happened) or Refused (a clear no).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from bot.incident import Page


@dataclass(frozen=True)
class Contact:
    """Somebody the pager would call: their name, the address by which the chat knows them, their id over there."""

    name: str
    email: str
    id: str = ""


@dataclass(frozen=True)
class Heard:
    """Something that happened to a page over there."""

    what: Literal["notified", "acknowledged", "resolved", "joined", "declined"]
    page: str
    who: Contact
    at: datetime


@dataclass(frozen=True)
class Call:
    """A page to be opened. `targets` are escalation policies or users; whoever is added to it reads `message`."""

    key: str
    since: datetime
    title: str
    details: str
    message: str
    targets: Sequence[str]


class Pager(Protocol):
    async def find(self, key: str, since: datetime) -> Page | None:
        """The page with that incident key that was opened after `since`; an older one is another installation's."""

    async def open(self, call: Call, *, look_first: bool) -> Page:
        """Page with high urgency; the key makes a repetition harmless. `look_first`: it may have been opened before.

        Whomever a page that was found does not reach yet is added to it, so that a try that broke off is completed.
        An open page of before `since` under the same key is not ours, so it never stands in for the one asked for.
        """

    async def add(self, page: Page, message: str, targets: Sequence[str]) -> str:
        """Call further people; the way it was done: `responder request` or `reassignment`. Reads back before repeating:
        a `message` that was sent already is not sent again."""

    async def acknowledge(self, page: Page) -> None: ...

    async def resolve(self, page: Page) -> None: ...

    async def heard(self, page: Page, since: datetime) -> Sequence[Heard]:
        """What happened to one page since, oldest first."""

    async def heard_all(self, since: datetime) -> Sequence[Heard]:
        """What happened to any page since, oldest first."""

    async def person(self, id_: str) -> Contact:
        """One user by id: what happened names people without their address."""

    async def people(self, target: str) -> Sequence[Contact]:
        """Who is called first for an escalation policy or user, now."""
