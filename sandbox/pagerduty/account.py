"""One PagerDuty account: its people, its incidents and every change they can go through.

Nothing here waits or talks to anybody: each change takes `now` (seconds since the epoch), changes the state, writes
the log and publishes events. `advance(now)` does what has fallen due.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence

from sandbox.pagerduty import errors
from sandbox.pagerduty.model import (
    Event,
    Incident,
    Json,
    LogEntry,
    Note,
    Responder,
    ResponderRequest,
    Status,
    Subscription,
)
from sandbox.pagerduty.paging import Paging
from sandbox.pagerduty.people import Person, Policy, seed_people, seed_policies
from sandbox.pagerduty.shapes import Shapes
from sandbox.pagerduty.timers import Timers

# PagerDuty's own default: an acknowledgement is forgotten after half an hour without a resolution.
ACK_TIMEOUT = 1800.0


class Account:
    """The state of the account and its transitions. `publish` hears of each event, `changed` of any change at all."""

    def __init__(
        self,
        *,
        shapes: Shapes,
        seconds_per_minute: float,
        abilities: Iterable[str],
        publish: Callable[[Event], None],
        changed: Callable[[], None],
    ) -> None:
        self.people = seed_people()
        self.policies = seed_policies(self.people)
        self.abilities = set(abilities)
        self.incidents: dict[str, Incident] = {}
        self._open: dict[str, Incident] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.timers = Timers()
        self.pace = seconds_per_minute / 60
        self.shapes = shapes
        self._changed = changed
        self.paging = Paging(self)
        self._publish = publish
        self._serial = 0

    def changed(self) -> None:
        """Something is other than before; whoever shows the account should look again."""
        self._changed()

    def new_id(self, prefix: str) -> str:
        """An id as PagerDuty's look, counted up so that each run gives the same ones."""
        self._serial += 1
        return f"{prefix}{self._serial:013d}"

    def advance(self, now: float) -> None:
        """Do everything that is due at `now`: rings, answers, escalations, forgotten acknowledgements."""
        if self.timers.run(now):
            self.changed()

    def later(self, now: float, seconds: float, act: Callable[[float], None]) -> float:
        """Have `act` called after so many practice seconds; returns the instant."""
        due = now + seconds * self.pace
        self.timers.at(due, act)
        return due

    def set_pace(self, now: float, seconds_per_minute: float) -> None:
        """Turn the practice clock: what is under way is stretched or shortened with it."""
        factor = seconds_per_minute / 60 / self.pace
        self.pace *= factor
        self.timers.stretch(now, factor)

    def person_by_email(self, email: str | None) -> Person:
        """The user of a From header. Raises Refused when there is none."""
        wanted = (email or "").strip().lower()
        for person in self.people.values():
            if person.email == wanted:
                return person
        raise errors.unknown_requester()

    def trigger(
        self,
        now: float,
        by: Person,
        *,
        title: str,
        key: str | None,
        urgency: str = "high",
        details: object = None,
        policy: Policy | None = None,
        assignees: Sequence[Person] = (),
    ) -> Incident:
        """Open an incident and call whom it concerns. Raises Refused when an open one has the same key."""
        key = key or secrets.token_hex(16)
        if key in self._open:
            raise errors.duplicate()
        chosen = policy or next(iter(self.policies.values()))
        number = len(self.incidents) + 1
        incident = Incident(self.new_id("Q"), number, key, title, urgency, now, chosen, details)
        incident.status_at = incident.updated_at = now
        incident.status_by = by
        self.incidents[incident.id] = self._open[key] = incident
        self.log(now, incident, "trigger_log_entry", by, {"type": "web_trigger", "summary": title, "subject": title})
        self.publish(now, incident, "incident.triggered", by)
        if assignees:
            self._assign_directly(now, incident, None, assignees)
        else:
            self._assign(now, incident, 1, None, "assign_log_entry")
        return incident

    def acknowledge(self, now: float, incident: Incident, by: Person, channel: str = "api") -> None:
        """Somebody has it: phones stop, the ladder stops, until the acknowledgement is forgotten."""
        if not incident.open:
            raise errors.already_resolved()
        again = incident.status == "acknowledged"
        self._set_status(now, incident, "acknowledged", by)
        incident.acknowledgements = [a for a in incident.acknowledgements if a[1] is not by] + [(now, by)]
        self.paging.hush(incident)
        timeout = {"acknowledgement_timeout": int(ACK_TIMEOUT)}
        self.log(now, incident, "acknowledge_log_entry", by, {"type": channel}, timeout)
        if not again:
            self.publish(now, incident, "incident.acknowledged", by)
        turn = incident.turn

        def forget(due: float) -> None:
            if incident.turn == turn:
                self.unacknowledge(due, incident, None)

        incident.unacknowledges_at = self.later(now, ACK_TIMEOUT, forget)

    def unacknowledge(self, now: float, incident: Incident, by: Person | None) -> None:
        """Back to triggered: by hand, or (`by` None) because the acknowledgement timed out. People are called again."""
        if not incident.open:
            raise errors.already_resolved()
        if incident.status == "triggered":
            return
        self._set_status(now, incident, "triggered", by)
        incident.acknowledgements.clear()
        self.log(now, incident, "unacknowledge_log_entry", by, {"type": "api" if by else "timeout"})
        self.publish(now, incident, "incident.unacknowledged", by)
        self._call_assignees(now, incident)

    def resolve(self, now: float, incident: Incident, by: Person, channel: str = "api", resolution: str = "") -> None:
        """Close it: nobody is called any more and nothing can change it."""
        if not incident.open:
            raise errors.already_resolved()
        self._set_status(now, incident, "resolved", by)
        incident.resolved_at = now
        del self._open[incident.key]
        incident.assignees = []
        self.paging.hush(incident, responders=True)
        self.log(
            now, incident, "resolve_log_entry", by, {"type": channel}, {"note": resolution} if resolution else None
        )
        if resolution:
            self.annotate(now, incident, by, resolution)
        self.publish(now, incident, "incident.resolved", by)

    def reassign(self, now: float, incident: Incident, by: Person, people: Sequence[Person]) -> None:
        """Give it to people by name; their incident does not climb any policy."""
        self._reopen_for_others(now, incident, by)
        self._assign_directly(now, incident, by, people)
        self.publish(now, incident, "incident.reassigned", by)

    def delegate(self, now: float, incident: Incident, by: Person, policy: Policy) -> None:
        """Hand it to another escalation policy, from that policy's first level."""
        self._reopen_for_others(now, incident, by)
        incident.policy, incident.loops_done = policy, 0
        self._assign(now, incident, 1, by, "delegate_log_entry")
        self.publish(now, incident, "incident.delegated", by)

    def escalate(self, now: float, incident: Incident, by: Person | None, level: int) -> None:
        """Call that level of its policy (counted from 1)."""
        if not 1 <= level <= len(incident.policy.rules):
            raise errors.bad("Escalation level is not on the escalation policy")
        self._reopen_for_others(now, incident, by)
        self._assign(now, incident, level, by, "escalate_log_entry")
        self.publish(now, incident, "incident.escalated", by)

    def annotate(self, now: float, incident: Incident, by: Person, content: str) -> Note:
        """Leave a note."""
        note = Note(self.new_id("N"), now, by, content)
        incident.notes.append(note)
        self.log(now, incident, "annotate_log_entry", by, {"type": "note", "summary": content}, {"note": content})
        data = {
            "id": note.id,
            "type": "incident_note",
            "incident": self.shapes.incident_reference(incident),
            "content": content,
            "trimmed": False,
        }
        self.publish(now, incident, "incident.annotated", by, data)
        return note

    def request_responders(
        self, now: float, incident: Incident, by: Person, message: str, targets: Sequence[Person | Policy]
    ) -> ResponderRequest:
        """Ask people, or the first level of policies, to join. Raises Refused when the plan has no such feature."""
        if "coordinated_responding" not in self.abilities:
            raise errors.unpaid("coordinated_responding")
        if not incident.open:
            raise errors.already_resolved()
        request = ResponderRequest(self.new_id("R"), now, by, message, [])
        for target in targets:
            people = [target] if isinstance(target, Person) else list(target.rules[0].targets)
            policy = [] if isinstance(target, Person) else [target.id]
            reached = [self._ask(now, incident, Responder(p, by, message, now, now, policy)) for p in people]
            request.targets.append((target, reached))
        incident.requests.append(request)
        incident.updated_at = now
        self.changed()
        return request

    def answer_request(self, now: float, incident: Incident, person: Person, *, joins: bool) -> None:
        """A person who was asked to join says yes or no."""
        responder = incident.responders[person.id]
        responder.state, responder.updated_at = ("joined" if joins else "declined"), now
        incident.updated_at = now
        self.publish(now, incident, "incident.responder.replied", person, self.shapes.responder(incident, responder))

    def log(
        self, now: float, incident: Incident, kind: str, by: Person | None, channel: Json, extra: Json | None = None
    ) -> None:
        """Write one line of the incident's log."""
        incident.log.append(LogEntry(self.new_id("R"), kind, now, incident, by, channel, extra or {}))
        self.changed()

    def publish(self, now: float, incident: Incident, kind: str, by: Person | None, data: Json | None = None) -> None:
        """Tell the webhooks; without `data` the incident as it is now."""
        event_id = self.new_id("01")
        agent = self.shapes.person_reference(by) if by else self.shapes.service_reference()
        body = data if data is not None else self.shapes.incident_event(incident)
        self._publish(Event(event_id, kind, now, agent, body, self.shapes.service_reference()["id"]))

    def _ask(self, now: float, incident: Incident, responder: Responder) -> Responder:
        known = incident.responders.get(responder.person.id)
        if known is not None and known.state == "joined":
            return known
        incident.responders[responder.person.id] = responder
        self.publish(
            now, incident, "incident.responder.added", responder.requester, self.shapes.responder(incident, responder)
        )
        self.paging.ring(now, incident, responder.person, "responder")
        return responder

    def _set_status(self, now: float, incident: Incident, status: Status, by: Person | None) -> None:
        incident.status, incident.status_at, incident.updated_at, incident.status_by = status, now, now, by
        incident.escalates_at = incident.unacknowledges_at = None
        incident.turn += 1

    def _reopen_for_others(self, now: float, incident: Incident, by: Person | None) -> None:
        if not incident.open:
            raise errors.already_resolved()
        self.paging.hush(incident)
        incident.acknowledgements.clear()
        self._set_status(now, incident, "triggered", by)

    def _assign_directly(self, now: float, incident: Incident, by: Person | None, people: Sequence[Person]) -> None:
        incident.directly_assigned = True
        self._record_assignment(now, incident, by, people, "assign_log_entry")

    def _assign(self, now: float, incident: Incident, level: int, by: Person | None, entry: str) -> None:
        incident.level, incident.directly_assigned = level, False
        self._record_assignment(now, incident, by, incident.policy.rules[level - 1].targets, entry)

    def _record_assignment(
        self, now: float, incident: Incident, by: Person | None, people: Sequence[Person], entry: str
    ) -> None:
        incident.assignees = [(now, person) for person in people]
        incident.updated_at = now
        assignees = [self.shapes.person_reference(person) for person in people]
        self.log(now, incident, entry, by, {"type": "api" if by else "auto"}, {"assignees": assignees})
        self._call_assignees(now, incident)

    def _call_assignees(self, now: float, incident: Incident) -> None:
        for _, person in incident.assignees:
            self.paging.ring(now, incident, person, "page")
        self.paging.plan_escalation(now, incident)
