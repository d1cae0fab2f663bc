"""REST: incidents, their notes, their log and the people asked to join."""

from collections.abc import Callable, Collection

from aiohttp import web

from sandbox.pagerduty import errors
from sandbox.pagerduty.account import Account
from sandbox.pagerduty.model import DETAIL_ENTRIES, Incident, Json, LogEntry
from sandbox.pagerduty.people import SERVICE_ID, Person, Policy
from sandbox.pagerduty.requests import (
    incident_of,
    instant,
    many,
    page,
    people_of,
    person_of,
    policy_of,
    requester,
    text,
    wrapped,
)

MONTH = 30 * 86_400.0


class IncidentApi:
    """The handlers; `clock` gives the seconds since the epoch."""

    def __init__(self, account: Account, clock: Callable[[], float]) -> None:
        self._account, self._clock = account, clock

    def routes(self) -> list[web.RouteDef]:
        """What is served."""
        return [
            web.get("/incidents", self.search),
            web.post("/incidents", self.create),
            web.put("/incidents", self.update_many),
            web.get("/incidents/{id}", self.get),
            web.put("/incidents/{id}", self.update),
            web.get("/incidents/{id}/notes", self.notes),
            web.post("/incidents/{id}/notes", self.annotate),
            web.post("/incidents/{id}/responder_requests", self.request_responders),
            web.get("/incidents/{id}/log_entries", self.incident_log),
            web.get("/log_entries", self.account_log),
        ]

    async def search(self, request: web.Request) -> web.Response:
        """GET /incidents: by key, status, service, urgency, assignee and time of creation."""
        keep = self._filter(request)
        found = [incident for incident in self._account.incidents.values() if keep(incident)]
        order, _, direction = request.query.get("sort_by", "incident_number").split(",")[0].partition(":")
        if order not in ("incident_number", "created_at", "resolved_at", "urgency"):
            raise errors.bad("sort_by is not supported")
        if order != "incident_number":
            found.sort(key=lambda i: {"created_at": i.created_at, "resolved_at": i.resolved_at or 0}.get(order, 0))
        if direction == "desc":
            found.reverse()
        include = many(request, "include")
        shown = [self._account.shapes.incident(incident, include) for incident in found]
        return web.json_response(page(request, "incidents", shown))

    def _filter(self, request: web.Request) -> Callable[[Incident], bool]:
        key, statuses = request.query.get("incident_key"), many(request, "statuses")
        services, urgencies, users = (many(request, name) for name in ("service_ids", "urgencies", "user_ids"))
        now, everything = self._clock(), request.query.get("date_range") == "all"
        since = now - MONTH if (given := instant(request, "since")) is None else given
        until = instant(request, "until")

        def keep(incident: Incident) -> bool:
            return (
                (key is None or incident.key == key)
                and (not statuses or incident.status in statuses)
                and (not services or SERVICE_ID in services)
                and (not urgencies or incident.urgency in urgencies)
                and (not users or any(who.id in users for _, who in incident.assignees))
                and (everything or (incident.created_at >= since and (until is None or incident.created_at <= until)))
            )

        return keep

    async def create(self, request: web.Request) -> web.Response:
        """POST /incidents."""
        by = requester(request, self._account)
        body: Json = await wrapped(request, "incident")
        title = text(body, "title")
        service = body.get("service")
        if not isinstance(service, dict) or service.get("id") != SERVICE_ID:
            raise errors.bad("Service not found")
        urgency = body.get("urgency", "high")
        if urgency not in ("high", "low"):
            raise errors.bad("Urgency must be high or low")
        if "assignments" in body and "escalation_policy" in body:
            raise errors.bad("Cannot specify both assignments and escalation_policy")
        incident = self._account.trigger(
            self._clock(),
            by,
            title=title,
            key=body.get("incident_key"),
            urgency=urgency,
            details=(body.get("body") or {}).get("details"),
            policy=policy_of(self._account, body["escalation_policy"]) if "escalation_policy" in body else None,
            assignees=people_of(self._account, body["assignments"]) if "assignments" in body else (),
        )
        return web.json_response({"incident": self._account.shapes.incident(incident, ["body"])}, status=201)

    async def get(self, request: web.Request) -> web.Response:
        """GET /incidents/{id}."""
        incident = incident_of(request, self._account)
        return self._show(incident, many(request, "include"))

    async def update(self, request: web.Request) -> web.Response:
        """PUT /incidents/{id}: acknowledge, resolve, reassign, hand to another policy, escalate, rename."""
        by = requester(request, self._account)
        incident = incident_of(request, self._account)
        self._apply(incident, by, await wrapped(request, "incident"))
        return self._show(incident)

    async def update_many(self, request: web.Request) -> web.Response:
        """PUT /incidents: the same for several; the first refusal stops it."""
        by = requester(request, self._account)
        changes = await wrapped(request, "incidents", list)
        changed = []
        for change in changes:
            incident = self._account.incidents.get(change.get("id", "")) if isinstance(change, dict) else None
            if incident is None:
                raise errors.not_found()
            self._apply(incident, by, change)
            changed.append(self._account.shapes.incident(incident))
        return web.json_response(page(request, "incidents", changed))

    def _apply(self, incident: Incident, by: Person, change: Json) -> None:
        now = self._clock()
        if change.get("type") not in ("incident", "incident_reference"):
            raise errors.bad("Incident type must be incident or incident_reference")
        self._describe(incident, change)
        if "escalation_policy" in change:
            self._account.delegate(now, incident, by, policy_of(self._account, change["escalation_policy"]))
        if "assignments" in change:
            self._account.reassign(now, incident, by, people_of(self._account, change["assignments"]))
        if "escalation_level" in change:
            self._account.escalate(now, incident, by, int(change["escalation_level"]))
        match change.get("status"):
            case "acknowledged":
                self._account.acknowledge(now, incident, by)
            case "resolved":
                self._account.resolve(now, incident, by, resolution=change.get("resolution") or "")
            case "triggered":
                self._account.unacknowledge(now, incident, by)
            case None:
                pass
            case _:
                raise errors.bad("Status is not supported")

    def _describe(self, incident: Incident, change: Json) -> None:
        if not incident.open:
            raise errors.already_resolved()
        if "title" in change:
            incident.title = text(change, "title")
        if change.get("urgency") in ("high", "low"):
            incident.urgency = change["urgency"]
        incident.updated_at = self._clock()

    async def notes(self, request: web.Request) -> web.Response:
        """GET /incidents/{id}/notes."""
        incident = incident_of(request, self._account)
        return web.json_response({"notes": [self._account.shapes.note(note) for note in incident.notes]})

    async def annotate(self, request: web.Request) -> web.Response:
        """POST /incidents/{id}/notes; resolved incidents take notes too."""
        by = requester(request, self._account)
        incident = incident_of(request, self._account)
        content = text(await wrapped(request, "note"), "content")
        note = self._account.annotate(self._clock(), incident, by, content)
        return web.json_response({"note": self._account.shapes.note(note)})

    async def request_responders(self, request: web.Request) -> web.Response:
        """POST /incidents/{id}/responder_requests; the requester is in the body, not in the From header."""
        incident = incident_of(request, self._account)
        targets = [self._target(one) for one in await wrapped(request, "responder_request_targets", list)]
        body = await request.json()
        by = person_of(self._account, {"id": body.get("requester_id")})
        asked = self._account.request_responders(self._clock(), incident, by, text(body, "message"), targets)
        return web.json_response({"responder_request": self._account.shapes.request(incident, asked)})

    def _target(self, one: object) -> Person | Policy:
        # PagerDuty's own examples wrap each target once more.
        target = one.get("responder_request_target", one) if isinstance(one, dict) else {}
        match target.get("type"):
            case "user" | "user_reference":
                return person_of(self._account, target)
            case "escalation_policy" | "escalation_policy_reference":
                return policy_of(self._account, target)
        raise errors.bad("Responder request target is invalid")

    async def incident_log(self, request: web.Request) -> web.Response:
        """GET /incidents/{id}/log_entries, newest first."""
        return self._log(request, incident_of(request, self._account).log)

    async def account_log(self, request: web.Request) -> web.Response:
        """GET /log_entries, newest first."""
        entries = [entry for incident in self._account.incidents.values() for entry in incident.log]
        return self._log(request, entries)

    def _log(self, request: web.Request, entries: list[LogEntry]) -> web.Response:
        since, until = instant(request, "since"), instant(request, "until")
        overview, include = request.query.get("is_overview") == "true", many(request, "include")
        kept = [
            entry
            for entry in sorted(entries, key=lambda entry: (entry.at, entry.id), reverse=True)
            if (since is None or entry.at >= since)
            and (until is None or entry.at <= until)
            and not (overview and entry.type in DETAIL_ENTRIES)
        ]
        return web.json_response(
            page(request, "log_entries", [self._account.shapes.entry(entry, include) for entry in kept])
        )

    def _show(self, incident: Incident, include: Collection[str] = ()) -> web.Response:
        return web.json_response({"incident": self._account.shapes.incident(incident, include)})
