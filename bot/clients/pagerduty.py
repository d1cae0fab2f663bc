"""PagerDuty's REST API through pdpyras, off the event loop. pdpyras is retired upstream: nothing else may import it.

Source of the shapes: PagerDuty/api-schema, REST openapiv3.json, API version 2.
"""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from bot.errors import Refused, Unavailable
from bot.failures import why
from bot.incident import Page
from bot.pager import Call, Contact, Heard

with warnings.catch_warnings():
    # It says at every import that it is retired; we know, and keep it behind this file.
    warnings.simplefilter("ignore")
    import pdpyras

Json = Mapping[str, Any]

TIMEOUT = 5.0
THREADS = 8
LONGEST = timedelta(days=30)
EXISTS = 2002
"""PagerDuty's code for "an open incident has that key"."""


class PagerDuty:
    """A Pager. `urgency` is always high; who is paged depends on the targets."""

    def __init__(self, api_key: str, from_email: str, service: str, url: str = "") -> None:
        self._api_key = api_key
        self._from = from_email
        self._service = service
        self._url = url.rstrip("/") or "https://api.pagerduty.com"
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="pagerduty")
        self._local = threading.local()
        self._kinds: dict[str, str] = {}
        self._people: dict[str, Contact] = {}
        self._me = ""

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _session(self) -> Any:
        """One session a thread: requests' sessions are not made to be shared."""
        session = getattr(self._local, "session", None)
        if session is None:
            session = pdpyras.APISession(self._api_key, default_from=self._from)
            session.url = self._url
            session.timeout = TIMEOUT
            # Retrying is the engine's: it knows what to read back first.
            session.max_network_attempts = 0
            session.max_http_attempts = -1
            session.retry = {429: 1}
            session.trust_env = False
            session.log.disabled = True
            self._local.session = session
        return session

    async def _call(self, method: str, path: str, params: Json | None = None, body: Json | None = None) -> Json:
        def call() -> Json:
            try:
                response = self._session().request(method, path, params=params, json=body)
            except pdpyras.PDHTTPError as error:
                raise Unavailable("PagerDuty does not accept the API key", retry_after=60) from error
            except pdpyras.PDClientError as error:
                raise Unavailable(f"PagerDuty does not answer ({why(error)})") from error
            return _answer(response)

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, call)

    async def find(self, key: str, since: datetime) -> Page | None:
        found = await self._find(key, since)
        return None if found is None else _page(found)

    async def _find(self, key: str, since: datetime) -> Json | None:
        for name in (key, _second_key(key, since)):
            params = {"incident_key": name, "since": _iso(since), "until": _iso(since + LONGEST), "limit": 100}
            ours: list[Json] = [
                i for i in (await self._call("GET", "/incidents", params))["incidents"] if _at(i["created_at"]) >= since
            ]
            if ours:
                return max(ours, key=lambda i: str(i["created_at"]))
        return None

    async def open(self, call: Call, *, look_first: bool) -> Page:
        incident = await self._find(call.key, call.since) if look_first else None
        if incident is None:
            incident = await self._open(await self._wanted(call), call)
        reached = _reached(incident)
        further = [target for target in call.targets if target not in reached]
        if further and incident["status"] != "resolved":
            try:
                await self.add(_page(incident), call.message, further)
            except Unavailable as error:
                # Whatever became of this, the page itself has left: the next try must look first.
                raise Unavailable(str(error), error.retry_after) from error
        return _page(incident)

    async def _wanted(self, call: Call) -> dict[str, Any]:
        """A new incident for the first policy, or for all users where there is none."""
        kinds = {target: await self._kind(target) for target in call.targets}
        policies = [t for t, kind in kinds.items() if kind == "escalation_policy"]
        users = [t for t, kind in kinds.items() if kind == "user"]
        incident: dict[str, Any] = {
            "type": "incident",
            "title": call.title[:1024],
            "service": {"id": self._service, "type": "service_reference"},
            "urgency": "high",
            "body": {"type": "incident_body", "details": call.details},
        }
        if policies:
            incident["escalation_policy"] = {"id": policies[0], "type": "escalation_policy_reference"}
        elif users:
            incident["assignments"] = [{"assignee": {"id": user, "type": "user_reference"}} for user in users]
        return incident

    async def _open(self, incident: dict[str, Any], call: Call) -> Json:
        """Under the key; under a second one when an incident of before `since` holds the first."""
        for name in (call.key, _second_key(call.key, call.since)):
            try:
                made = await self._call("POST", "/incidents", body={"incident": {**incident, "incident_key": name}})
            except Refused as refusal:
                if refusal.code != str(EXISTS):
                    raise
                existing = await self._find(call.key, call.since)
                if existing is not None:
                    return existing
            else:
                return dict(made["incident"])
        raise Refused(
            f"PagerDuty has open incidents with the key {call.key} that are not ours; resolve them there", "key"
        )

    async def add(self, page: Page, message: str, targets: Sequence[str]) -> str:
        incident = (await self._call("GET", f"/incidents/{page.id}", {"include[]": "responder_requests"}))["incident"]
        for request in incident.get("responder_requests") or []:
            if request.get("message") == message:
                return "responder request"
        wanted = [{"id": t, "type": await self._kind(t)} for t in targets]
        body = {
            "requester_id": await self._my_id(),
            "message": message,
            "responder_request_targets": [{"responder_request_target": target} for target in wanted],
        }
        try:
            await self._call("POST", f"/incidents/{page.id}/responder_requests", body=body)
        except Refused as refusal:
            if refusal.code != "402":
                raise
            await self._reassign(page, wanted)
            return "reassignment"
        return "responder request"

    async def _reassign(self, page: Page, wanted: Sequence[Json]) -> None:
        """For accounts without responder requests: the page itself goes to the next rung."""
        policies = [t for t in wanted if t["type"] == "escalation_policy"]
        change: dict[str, Any] = {"type": "incident_reference"}
        if policies:
            change["escalation_policy"] = {"id": policies[0]["id"], "type": "escalation_policy_reference"}
        else:
            change["assignments"] = [{"assignee": {"id": t["id"], "type": "user_reference"}} for t in wanted]
        await self._call("PUT", f"/incidents/{page.id}", body={"incident": change})

    async def acknowledge(self, page: Page) -> None:
        await self._set(page, "acknowledged")

    async def resolve(self, page: Page) -> None:
        await self._set(page, "resolved")

    async def _set(self, page: Page, status: str) -> None:
        standing = (await self._call("GET", f"/incidents/{page.id}"))["incident"]["status"]
        if standing in (status, "resolved"):
            return
        await self._call(
            "PUT", f"/incidents/{page.id}", body={"incident": {"type": "incident_reference", "status": status}}
        )

    async def heard(self, page: Page, since: datetime) -> Sequence[Heard]:
        entries = await self._pages(
            f"/incidents/{page.id}/log_entries", "log_entries", {"since": _iso(since), "include[]": "users"}
        )
        heard = [h for h in map(self._heard, entries) if h is not None]
        incident = (await self._call("GET", f"/incidents/{page.id}"))["incident"]
        for responder in incident.get("incidents_responders") or []:
            if responder.get("state") in ("joined", "declined"):
                heard.append(_responder(page.id, responder))
        return sorted(heard, key=lambda h: h.at)

    async def heard_all(self, since: datetime) -> Sequence[Heard]:
        entries = await self._pages("/log_entries", "log_entries", {"since": _iso(since), "include[]": "users"})
        return sorted((h for h in map(self._heard, entries) if h is not None), key=lambda h: h.at)

    async def person(self, id_: str) -> Contact:
        if id_ not in self._people:
            self._people[id_] = _contact((await self._call("GET", f"/users/{id_}"))["user"])
        return self._people[id_]

    async def people(self, target: str) -> Sequence[Contact]:
        if await self._kind(target) == "user":
            return [await self.person(target)]
        oncalls = await self._pages("/oncalls", "oncalls", {"escalation_policy_ids[]": target, "include[]": "users"})
        first = min((int(o["escalation_level"]) for o in oncalls), default=1)
        found = {o["user"]["id"]: o["user"] for o in oncalls if int(o["escalation_level"]) == first}
        return [_contact(user) for user in found.values()]

    async def _pages(self, path: str, name: str, params: Json) -> list[Json]:
        """All pages of a list, 100 at a time, at most 2,000 items."""
        found: list[Json] = []
        for offset in range(0, 2000, 100):
            answer = await self._call("GET", path, {**params, "limit": 100, "offset": offset})
            found += answer[name]
            if not answer.get("more"):
                break
        return found

    async def _kind(self, target: str) -> str:
        """Whether an id is an escalation policy or a user: both begin with P, so PagerDuty is asked once."""
        if target not in self._kinds:
            try:
                await self._call("GET", f"/escalation_policies/{target}")
                self._kinds[target] = "escalation_policy"
            except Refused as refusal:
                if refusal.code != "404":
                    raise
                await self._call("GET", f"/users/{target}")
                self._kinds[target] = "user"
        return self._kinds[target]

    async def _my_id(self) -> str:
        if not self._me:
            users = (await self._call("GET", "/users", {"query": self._from}))["users"]
            self._me = next((u["id"] for u in users if u["email"] == self._from), "")
            if not self._me:
                raise Refused(f"PagerDuty has no user with the address in PAGERDUTY_FROM ({self._from})", "from")
        return self._me

    def _heard(self, entry: Json) -> Heard | None:
        what = _WHAT.get(str(entry["type"]).removesuffix("_reference"))
        if what is None:
            return None
        agent = entry.get("user") if what == "notified" else entry.get("agent")
        return Heard(what, entry["incident"]["id"], _contact(agent or {}), _at(entry["created_at"]))


_WHAT: Mapping[str, Literal["notified", "acknowledged", "resolved"]] = {
    "notify_log_entry": "notified",
    "acknowledge_log_entry": "acknowledged",
    "resolve_log_entry": "resolved",
}

WEBHOOKS: Mapping[str, Callable[[Json], Literal["acknowledged", "resolved", "joined", "declined"] | None]] = {
    "incident.acknowledged": lambda _data: "acknowledged",
    "incident.resolved": lambda _data: "resolved",
    "incident.responder.replied": lambda data: "joined" if data.get("state") in ("joined", "accepted") else "declined",
}


def heard_by_webhook(event: Json) -> Heard | None:
    """A v3 webhook's `event` object; None when it is of a kind that says nothing to us."""
    kind = WEBHOOKS.get(str(event.get("event_type")))
    data = event.get("data") or {}
    what = kind(data) if kind else None
    if what is None:
        return None
    page = data["incident"]["id"] if "incident" in data else data["id"]
    agent = data.get("user") if what in ("joined", "declined") else event.get("agent")
    return Heard(what, page, _contact(agent or {}), _at(event["occurred_at"]))


def _responder(page: str, responder: Json) -> Heard:
    return Heard(
        responder["state"],
        page,
        _contact(responder.get("user") or {}),
        _at(responder.get("updated_at") or responder["requested_at"]),
    )


def _contact(user: Json) -> Contact:
    return Contact(user.get("name") or user.get("summary") or "somebody", user.get("email") or "", user.get("id") or "")


def _second_key(key: str, since: datetime) -> str:
    return f"{key} {since:%Y-%m-%dT%H:%MZ}"


def _reached(incident: Json) -> set[str]:
    """The policy and the users that an incident is assigned to."""
    policy = incident.get("escalation_policy") or {}
    return {str(policy.get("id")), *(str(a["assignee"]["id"]) for a in incident.get("assignments") or [])}


def _page(incident: Json) -> Page:
    return Page(incident["id"], incident.get("html_url") or "")


def _answer(response: Any) -> Json:
    status = int(response.status_code)
    if 200 <= status < 300:
        return dict(response.json()) if response.content else {}
    try:
        error = response.json().get("error") or {}
    except ValueError:
        error = {}
    if not isinstance(error, Mapping):
        error = {"message": str(error)}
    said = "; ".join([str(error.get("message") or response.reason), *map(str, error.get("errors") or [])])
    if status == 429 or status >= 500:
        after = response.headers.get("Retry-After") or response.headers.get("ratelimit-reset")
        wait = float(after) if after and after.isdigit() else None
        raise Unavailable(f"PagerDuty says {status}: {said}", wait, untried=status == 429)
    if status in (401, 403):
        raise Unavailable(f"PagerDuty says {status}: {said}", retry_after=60)
    raise Refused(f"PagerDuty says {status}: {said}", str(EXISTS) if error.get("code") == EXISTS else str(status))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
