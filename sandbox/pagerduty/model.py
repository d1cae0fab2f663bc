"""What the account remembers: incidents with their log, ringing phones, responders, notes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from sandbox.pagerduty.people import Person, Policy

Json = dict[str, Any]
Status = Literal["triggered", "acknowledged", "resolved"]
Press = Literal["acknowledge", "decline"]
ResponderState = Literal["pending", "joined", "declined", "user_cancelled"]

# Left out of `is_overview=true`: attempts to reach people, not changes of the incident.
DETAIL_ENTRIES = frozenset({"notify_log_entry"})


def iso(at: float) -> str:
    """Seconds since the epoch as PagerDuty prints them: UTC, whole seconds."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class LogEntry:
    """One line of an incident's log. `agent` None means the service itself did it."""

    id: str
    type: str
    at: float
    incident: "Incident"
    agent: Person | None
    channel: Json
    extra: Json = field(default_factory=dict)


@dataclass
class Note:
    """A note somebody left on the incident."""

    id: str
    at: float
    author: Person
    content: str


@dataclass
class Responder:
    """One person asked to join, and what they said."""

    person: Person
    requester: Person
    message: str
    requested_at: float
    updated_at: float
    policies: list[str]
    state: ResponderState = "pending"


@dataclass
class ResponderRequest:
    """One request for help: its targets (users or policies), each with the people it reached."""

    id: str
    at: float
    requester: Person
    message: str
    targets: list[tuple[Person | Policy, list[Responder]]]


@dataclass
class Call:
    """A phone that rings (or rang) for one person: a "page", or a "responder" request."""

    id: str
    person: Person
    incident: "Incident"
    kind: Literal["page", "responder"]
    at: float
    ringing: bool = True
    attempts: int = 0


@dataclass
class Incident:
    """An incident. `turn` grows with each change that makes older timers meaningless."""

    id: str
    number: int
    key: str
    title: str
    urgency: str
    created_at: float
    policy: Policy
    details: object = None
    status: Status = "triggered"
    level: int = 1
    loops_done: int = 0
    assignees: list[tuple[float, Person]] = field(default_factory=list)
    directly_assigned: bool = False
    acknowledgements: list[tuple[float, Person]] = field(default_factory=list)
    updated_at: float = 0.0
    status_at: float = 0.0
    status_by: Person | None = None
    escalates_at: float | None = None
    unacknowledges_at: float | None = None
    resolved_at: float | None = None
    log: list[LogEntry] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    responders: dict[str, Responder] = field(default_factory=dict)
    requests: list[ResponderRequest] = field(default_factory=list)
    turn: int = 0

    @property
    def open(self) -> bool:
        """Not resolved yet."""
        return self.status != "resolved"

    def entries(self, kind: str) -> Sequence[LogEntry]:
        """The log entries of one type, oldest first: `entries("notify_log_entry")`."""
        return [entry for entry in self.log if entry.type == kind]


@dataclass
class Subscription:
    """A webhook: where to post which events, signed with which secret."""

    id: str
    url: str
    secret: str
    events: frozenset[str]
    description: str = ""
    active: bool = True
    filter: Json = field(default_factory=lambda: {"type": "account_reference"})
    headers: list[Json] = field(default_factory=list)


@dataclass(frozen=True)
class Event:
    """Something that happened, as it is told to the subscribed webhooks."""

    id: str
    type: str
    at: float
    agent: Json | None
    data: Json
    service_id: str
