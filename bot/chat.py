"""All that the bot may ask of a chat. `handlers/slack.py` answers for Slack.

Every method raises Unavailable (it may have happened: read back, then repeat) or Refused (a clear no).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from bot.action import Findings, Offer
from bot.assessment import Reading, Verdict
from bot.board import Board
from bot.report import Report
from bot.run import Run


@dataclass(frozen=True)
class Room:
    """A channel of ours. `name` is what the chat really called it."""

    id: str
    name: str


@dataclass(frozen=True)
class Posted:
    """Where a message stands."""

    channel: str
    ts: str


@dataclass(frozen=True)
class BoardCard:
    """The first message of a room."""

    board: Board


@dataclass(frozen=True)
class AnnounceCard:
    """One line about an incident for the announce channel."""

    board: Board


@dataclass(frozen=True)
class LineCard:
    """A message by the name of its wording, with what fills it."""

    line: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AssessmentCard:
    """What a look at everything said. `detailed` = the version for the thread; `offers` = what heals the likely scenario."""

    incident: str
    readings: Sequence[Reading]
    verdict: Verdict
    titles: Mapping[str, str]
    practice: bool
    detailed: bool = False
    offers: Sequence[Offer] = ()


@dataclass(frozen=True)
class ReportCard:
    report: Report


@dataclass(frozen=True)
class RunCard:
    """A run: its plan with the buttons that decide about it, or (`progress`) its steps. All texts are plain.

    `needs` says who must approve; `override` whether break-glass is open now.
    """

    run: Run
    incident: str
    facts: Sequence[tuple[str, str]]
    loss: str
    expected: str
    needs: str
    override: bool
    practice: bool
    progress: bool

    @property
    def fingerprint(self) -> str:
        """Changes whenever the drawn card would."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


@dataclass(frozen=True)
class FindingsCard:
    """What an observation saw, for the incident of that number (empty: outside of one)."""

    name: str
    findings: Findings
    incident: str
    practice: bool
    at: datetime
    by: str


Card = BoardCard | AnnounceCard | LineCard | AssessmentCard | ReportCard | RunCard | FindingsCard


@dataclass(frozen=True)
class ReplyTo:
    """How to answer a person privately: by the address their click came with, else in the channel, else directly."""

    person: str
    channel: str = ""
    url: str = ""


class Chat(Protocol):
    async def create_room(self, name: str, *, private: bool) -> Room:
        """Make a channel. Raises NameTaken when the name is in use, by an archived channel too."""

    async def find_room(self, name: str, *, private: bool, since: datetime) -> Room | None:
        """A channel of that name that we made after `since`, or None. Somebody else's is never returned."""

    async def describe(self, room: str, topic: str, purpose: str) -> None: ...

    async def invite(self, room: str, people: Sequence[str]) -> Mapping[str, str]:
        """Invite, skipping who is in already; the ones who could not be, with the reason."""

    async def bookmark(self, room: str, links: Sequence[tuple[str, str, str]]) -> None:
        """Add the (title, url, emoji) that are not there yet."""

    async def post(self, channel: str, card: Card, key: str, thread: str = "") -> Posted:
        """Post with `key` in the metadata. `channel` may be a person: a direct message."""

    async def find(self, channel: str, key: str, since: datetime, thread: str = "") -> Posted | None:
        """The message of ours that carries `key`, looked for in what was posted after `since`."""

    async def edit(self, posted: Posted, card: Card) -> bool:
        """Replace a message of ours; False when a human deleted it."""

    async def pin(self, posted: Posted) -> None: ...

    async def reply(self, to: ReplyTo, card: Card) -> None:
        """Answer where only that person sees it."""

    async def upload(self, channel: str, name: str, content: bytes, title: str) -> None: ...

    async def has_file(self, channel: str, name: str, since: datetime) -> bool: ...

    async def archive(self, room: str) -> None: ...

    async def members(self, who: Sequence[str]) -> frozenset[str]:
        """People of `who`: user ids as they are, user groups expanded, as the chat says now."""

    async def person_by_email(self, email: str) -> str | None: ...

    async def text_of(self, channel: str, ts: str) -> tuple[str, str] | None:
        """(author's id, text) of one message, in a thread or not; None when it is gone."""

    async def name_of(self, person: str) -> str:
        """What people call them."""

    def known_name(self, person: str) -> str | None:
        """As `name_of`, if it was asked before: no click waits for a name."""
