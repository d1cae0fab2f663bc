"""The JSON of PagerDuty's REST API and of its webhooks. Pure: state in, dictionaries out."""

from collections.abc import Collection

from sandbox.pagerduty.model import (
    Incident,
    Json,
    LogEntry,
    Note,
    Responder,
    ResponderRequest,
    Subscription,
    iso,
)
from sandbox.pagerduty.people import SERVICE_ID, SERVICE_NAME, Person, Policy

REFERENCES = {
    "user": "users",
    "service": "services",
    "escalation_policy": "escalation_policies",
    "incident": "incidents",
}


class Shapes:
    """Builds the answers. `api` is the address of `self` links, `html` that of the web pages behind `html_url`."""

    def __init__(self, api: str, html: str, created_at: float) -> None:
        self.api = api.rstrip("/")
        self._html = html.rstrip("/")
        self._created_at = created_at

    def _reference(self, kind: str, id_: str, summary: str) -> Json:
        path = f"{REFERENCES[kind]}/{id_}"
        return {
            "id": id_,
            "type": f"{kind}_reference",
            "summary": summary,
            "self": f"{self.api}/{path}",
            "html_url": f"{self._html}/{path}",
        }

    def person_reference(self, person: Person) -> Json:
        """A user_reference."""
        return self._reference("user", person.id, person.name)

    def policy_reference(self, policy: Policy) -> Json:
        """An escalation_policy_reference."""
        return self._reference("escalation_policy", policy.id, policy.name)

    def service_reference(self) -> Json:
        """The one service's service_reference."""
        return self._reference("service", SERVICE_ID, SERVICE_NAME)

    def incident_reference(self, incident: Incident) -> Json:
        """An incident_reference."""
        return self._reference("incident", incident.id, f"[#{incident.number}] {incident.title}")

    def person(self, person: Person) -> Json:
        """A full user."""
        return self.person_reference(person) | {
            "type": "user",
            "name": person.name,
            "email": person.email,
            "time_zone": "Etc/UTC",
            "color": "teal",
            "role": "user",
            "avatar_url": f"{self._html}/avatars/{person.id}.png",
            "description": None,
            "invitation_sent": False,
            "job_title": person.title,
            "teams": [],
            "contact_methods": [],
            "notification_rules": [],
        }

    def policy(self, policy: Policy) -> Json:
        """A full escalation policy."""
        rules = [
            {
                "id": rule.id,
                "escalation_delay_in_minutes": rule.delay_minutes,
                "targets": [self.person_reference(person) for person in rule.targets],
            }
            for rule in policy.rules
        ]
        return self.policy_reference(policy) | {
            "type": "escalation_policy",
            "name": policy.name,
            "description": policy.name,
            "num_loops": policy.loops,
            "on_call_handoff_notifications": "if_has_services",
            "escalation_rules": rules,
            "services": [self.service_reference()],
            "teams": [],
        }

    def service(self, policy: Policy, ack_timeout: int, *, busy: bool) -> Json:
        """The one full service."""
        return self.service_reference() | {
            "type": "service",
            "name": SERVICE_NAME,
            "description": "Everything that serves ValueCanvas's customers",
            "auto_resolve_timeout": None,
            "acknowledgement_timeout": ack_timeout,
            "created_at": iso(self._created_at),
            "status": "critical" if busy else "active",
            "escalation_policy": self.policy_reference(policy),
            "teams": [],
            "integrations": [],
            "incident_urgency_rule": {"type": "constant", "urgency": "high"},
            "scheduled_actions": [],
            "addons": [],
            "alert_creation": "create_alerts_and_incidents",
        }

    def incident(self, incident: Incident, include: Collection[str] = ()) -> Json:
        """A full incident; `include` as in `include[]` (assignees, acknowledgers, body, services ...)."""
        assignee = self.person if "assignees" in include or "users" in include else self.person_reference
        acknowledger = self.person if "acknowledgers" in include or "users" in include else self.person_reference
        trigger = incident.log[0]
        full = self.incident_reference(incident) | {
            "type": "incident",
            "incident_number": incident.number,
            "title": incident.title,
            "created_at": iso(incident.created_at),
            "updated_at": iso(incident.updated_at),
            "status": incident.status,
            "incident_key": incident.key,
            "service": self.service_reference(),
            "assignments": [{"at": iso(at), "assignee": assignee(who)} for at, who in incident.assignees],
            "assigned_via": "direct_assignment" if incident.directly_assigned else "escalation_policy",
            "last_status_change_at": iso(incident.status_at),
            "resolved_at": None if incident.resolved_at is None else iso(incident.resolved_at),
            "first_trigger_log_entry": self.entry(trigger)
            if "first_trigger_log_entries" in include
            else self._entry_reference(trigger),
            "alert_counts": {"all": 0, "triggered": 0, "resolved": 0},
            "is_mergeable": True,
            "incident_type": {"name": "incident_default"},
            "escalation_policy": self.policy(incident.policy)
            if "escalation_policies" in include
            else self.policy_reference(incident.policy),
            "teams": [],
            "pending_actions": self._pending(incident),
            "acknowledgements": [
                {"at": iso(at), "acknowledger": acknowledger(who)} for at, who in incident.acknowledgements
            ],
            "last_status_change_by": self.person_reference(incident.status_by)
            if incident.status_by
            else self.service_reference(),
            "incidents_responders": [self._responder(incident, one) for one in incident.responders.values()],
            "responder_requests": [self.request(incident, request) for request in incident.requests],
            "urgency": incident.urgency,
        }
        if "body" in include and incident.details is not None:
            full["body"] = {"type": "incident_body", "details": incident.details}
        return full

    def _pending(self, incident: Incident) -> list[Json]:
        due = (("escalate", incident.escalates_at), ("unacknowledge", incident.unacknowledges_at))
        return [{"type": kind, "at": iso(at)} for kind, at in due if at is not None]

    def _entry_reference(self, entry: LogEntry) -> Json:
        return {
            "id": entry.id,
            "type": f"{entry.type}_reference",
            "summary": self._entry_summary(entry),
            "self": f"{self.api}/log_entries/{entry.id}",
            "html_url": f"{self._html}/incidents/{entry.incident.id}/log_entries/{entry.id}",
        }

    def _entry_summary(self, entry: LogEntry) -> str:
        verb = entry.type.removesuffix("_log_entry").replace("_", " ").capitalize()
        return f"{verb} by {entry.agent.name if entry.agent else SERVICE_NAME}"

    def entry(self, entry: LogEntry, include: Collection[str] = ()) -> Json:
        """A log entry; `include` may name incidents."""
        incident = self.incident(entry.incident) if "incidents" in include else self.incident_reference(entry.incident)
        base = self._entry_reference(entry) | {
            "type": entry.type,
            "created_at": iso(entry.at),
            "agent": self.person_reference(entry.agent) if entry.agent else self.service_reference(),
            "channel": entry.channel,
            "service": self.service_reference(),
            "incident": incident,
            "teams": [],
            "contexts": [],
            "event_details": {"description": entry.incident.title} if entry.type == "trigger_log_entry" else {},
        }
        return base | entry.extra

    def note(self, note: Note) -> Json:
        """An incident note."""
        return {
            "id": note.id,
            "user": self.person_reference(note.author),
            "channel": {"summary": "The PagerDuty website or APIs"},
            "content": note.content,
            "created_at": iso(note.at),
            "updated_at": iso(note.at),
        }

    def _responder(self, incident: Incident, responder: Responder) -> Json:
        return {
            "state": responder.state,
            "user": self.person_reference(responder.person),
            "incident": self.incident_reference(incident),
            "updated_at": iso(responder.updated_at),
            "message": responder.message,
            "requester": self.person_reference(responder.requester),
            "requested_at": iso(responder.requested_at),
            "escalation_policy_requests": responder.policies,
        }

    def request(self, incident: Incident, request: ResponderRequest) -> Json:
        """A responder request with what each target has said so far."""
        targets = [
            {
                "type": "user" if isinstance(target, Person) else "escalation_policy",
                "id": target.id,
                "summary": target.name,
                "incident_responders": [self._responder(incident, responder) for responder in responders],
            }
            for target, responders in request.targets
        ]
        return {
            "id": request.id,
            "incident": self.incident_reference(incident),
            "requester": self.person_reference(request.requester),
            "requested_at": iso(request.at),
            "message": request.message,
            "responder_request_targets": targets,
        }

    def oncall(self, policy: Policy, level: int, person: Person, include: Collection[str] = ()) -> Json:
        """One permanent on-call: no schedule, no start, no end."""
        return {
            "escalation_policy": (self.policy if "escalation_policies" in include else self.policy_reference)(policy),
            "escalation_level": level,
            "schedule": None,
            "user": (self.person if "users" in include else self.person_reference)(person),
            "start": None,
            "end": None,
        }

    def subscription(self, subscription: Subscription, *, secret: bool = False) -> Json:
        """A webhook subscription; its secret is shown only in the answer that creates it."""
        return {
            "id": subscription.id,
            "type": "webhook_subscription",
            "active": subscription.active,
            "delivery_method": {
                "id": subscription.id.replace("W", "D", 1),
                "type": "http_delivery_method",
                "url": subscription.url,
                "secret": subscription.secret if secret else None,
                "temporarily_disabled": False,
                "custom_headers": [{"name": h["name"], "value": "<redacted>"} for h in subscription.headers],
            },
            "description": subscription.description,
            "events": sorted(subscription.events),
            "filter": subscription.filter,
        }

    def incident_event(self, incident: Incident) -> Json:
        """The incident as webhooks carry it (not the REST shape: `number`, `assignees`)."""
        return {
            "id": incident.id,
            "type": "incident",
            "self": f"{self.api}/incidents/{incident.id}",
            "html_url": f"{self._html}/incidents/{incident.id}",
            "number": incident.number,
            "status": incident.status,
            "incident_key": incident.key,
            "created_at": iso(incident.created_at),
            "title": incident.title,
            "service": self.service_reference(),
            "assignees": [self.person_reference(person) for _, person in incident.assignees],
            "escalation_policy": self.policy_reference(incident.policy),
            "teams": [],
            "priority": None,
            "urgency": incident.urgency,
            "conference_bridge": None,
            "resolve_reason": None,
        }

    def responder(self, incident: Incident, responder: Responder) -> Json:
        """A responder as webhooks carry one."""
        return {
            "type": "incident_responder",
            "incident": self.incident_reference(incident),
            "user": self.person_reference(responder.person),
            "escalation_policy": None,
            "message": responder.message,
            "state": responder.state,
        }
