"""An incident and its words: what it is, and what its room is called."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bot.errors import BadInput


class Severity(StrEnum):
    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"

    @property
    def pages(self) -> bool:
        """P3 has no ladder: nobody is called."""
        return self is not Severity.P3

    @property
    def ack_holds(self) -> bool:
        """Whether an acknowledgement holds the ladder. On P0 and P1 nothing but progress does."""
        return self is Severity.P2


class Status(StrEnum):
    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"
    CLOSED = "closed"

    @property
    def open(self) -> bool:
        return self not in (Status.RESOLVED, Status.CLOSED)

    @property
    def climbs(self) -> bool:
        """Whether the ladder goes on climbing."""
        return self in (Status.INVESTIGATING, Status.IDENTIFIED)


class Scenario(StrEnum):
    """The six disasters of the runbook, and everything else."""

    DATABASE = "database"
    LLM = "llm"
    REDIS = "redis"
    KUBERNETES = "kubernetes"
    OUTAGE = "outage"
    SECURITY = "security"
    OTHER = "other"


class Role(StrEnum):
    COMMANDER = "commander"
    COMMUNICATIONS = "communications"
    SCRIBE = "scribe"


@dataclass(frozen=True)
class Person:
    """Somebody who did something: a Slack id (`U…`), or empty when known by name only (from PagerDuty)."""

    id: str
    name: str


BOT = Person("bot", "Recovery Bot")


@dataclass(frozen=True)
class Ack:
    """One acknowledgement and the way it came."""

    who: Person
    at: datetime
    via: str


@dataclass(frozen=True)
class Impact:
    """A service that is hit: bad since, and green again since (None while it is not).

    `seen` = a reading was bad. What people see and no probe does is over when people say so, not when a probe is green.
    """

    bad_at: datetime
    green_at: datetime | None = None
    seen: bool = False


@dataclass(frozen=True)
class Told:
    """Who was notified of what, as a person said it."""

    text: str
    by: Person
    at: datetime


@dataclass(frozen=True)
class Duty:
    """One duty to notify: its limit (None = without unreasonable delay), the last mark reminded of, and who was told."""

    title: str
    due_at: datetime | None
    reminded: int = 0
    told: tuple[Told, ...] = ()


@dataclass(frozen=True)
class Page:
    """The PagerDuty incident of one round."""

    id: str
    url: str


@dataclass(frozen=True)
class Incident:
    """One row. Instants are absolute and in UTC."""

    number: int
    declaration: str
    title: str
    severity: Severity
    scenario: Scenario
    status: Status
    private: bool
    services: tuple[str, ...]
    seen: str
    declared_by: Person
    declared_at: datetime
    started_at: datetime
    room_name: str
    room_state: str = "wanted"
    room: str | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    roles: Mapping[Role, Person] = field(default_factory=dict)
    acks: tuple[Ack, ...] = ()
    impact: Mapping[str, Impact] = field(default_factory=dict)
    board_ts: str | None = None
    announced: tuple[str, str] | None = None
    pages: Mapping[int, Page] = field(default_factory=dict)
    round: int = 1
    proofs: Mapping[str, datetime | None] = field(default_factory=dict)
    aware_at: datetime | None = None
    duties: Mapping[str, Duty] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"INC-{self.number}"

    @property
    def calls(self) -> bool:
        """Whether people are called for it: its severity has a ladder, and its status climbs."""
        return self.severity.pages and self.status.climbs

    @property
    def page(self) -> Page | None:
        return self.pages.get(self.round)

    @property
    def page_key(self) -> str:
        """PagerDuty's `incident_key`: the incident's id, and the round once it was reopened."""
        return self.id if self.round == 1 else f"{self.id}.{self.round}"

    def lane(self, name: str) -> str:
        return f"{self.id}/{name}"


@dataclass(frozen=True)
class Declaration:
    """What a person said when declaring. `key` is the intake it came by: one declaration, one incident."""

    key: str
    by: Person
    title: str
    severity: Severity
    scenario: Scenario
    services: tuple[str, ...]
    seen: str
    private: bool
    started_at: datetime


_NUMBER = re.compile(r"^(?:INC-?|#)?(\d{1,9})$", re.IGNORECASE)

ROOM_NAME_MAX = 80


def parse_number(text: str) -> int | None:
    """`INC-12`, `inc12`, `#12` → 12; anything else → None. A bare number counts only with a prefix."""
    match = _NUMBER.match(text)
    return int(match.group(1)) if match and not text.isdigit() else None


def room_name(number: int, title: str, attempt: int = 0) -> str:
    """`inc-<n>-<slug>`, at most 80 characters; `attempt` > 0 adds a suffix for when a name is taken."""
    flat = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", flat).strip("-")
    suffix = f"-{attempt + 1}" if attempt else ""
    head = f"inc-{number}"
    body = f"{head}-{slug}" if slug else head
    return body[: ROOM_NAME_MAX - len(suffix)].rstrip("-") + suffix


TITLE_MAX = 150
TEXT_MAX = 3000


def clean_line(text: str, what: str, longest: int = TITLE_MAX) -> str:
    """One line of typed text: control characters gone, length checked. Raises BadInput with `what` in it."""
    line = " ".join(clean_text(text, what, 10 * TEXT_MAX).split())
    if not line:
        raise BadInput(f"The {what} is empty. Say in a few words what it is.", what)
    if len(line) > longest:
        raise BadInput(f"The {what} has {len(line)} characters; {longest} are the most. Put details in a note.", what)
    return line


def clean_text(text: str, what: str, longest: int = TEXT_MAX) -> str:
    """Typed text of several lines, without control characters (a database cannot keep NUL). Raises BadInput."""
    kept = "".join(c for c in text if c in "\n\t" or unicodedata.category(c)[0] != "C").strip()
    if len(kept) > longest:
        raise BadInput(f"The {what} has {len(kept)} characters; {longest} are the most.", what)
    return kept


def alike(ours: Incident, theirs: Declaration) -> bool:
    """Whether an open incident looks like what is being declared: a service, the scenario, or the words in common."""
    if set(ours.services) & set(theirs.services):
        return True
    if ours.scenario is theirs.scenario and theirs.scenario is not Scenario.OTHER:
        return True
    return bool(_words(ours.title) & _words(theirs.title))


_EMPTY_WORDS = frozenset(
    re.findall(
        r"\w+",
        """the and are was not all our has have had for with from down slow error errors failing broken production outage
        service services users cannot nothing everything some many very again still issue problem""",
    )
)


def _words(title: str) -> frozenset[str]:
    """The words of a title that say what it is about, not that something is wrong."""
    return frozenset(w for w in re.findall(r"[a-z0-9]{3,}", title.lower()) if w not in _EMPTY_WORDS)
