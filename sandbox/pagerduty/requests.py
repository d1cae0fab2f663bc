"""Reading requests the way PagerDuty does: what is missing or of the wrong kind is refused with a sentence."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from sandbox.pagerduty import errors
from sandbox.pagerduty.account import Account
from sandbox.pagerduty.model import Incident, Json
from sandbox.pagerduty.people import Person, Policy

DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET = 25, 100, 10_000


async def wrapped(request: web.Request, wrapper: str, kind: type = dict) -> Any:
    """The value under the body's one key, e.g. `incident`. Raises Refused when it is missing or not `kind`."""
    try:
        body = await request.json()
    except ValueError:
        raise errors.bad("Request body is not valid JSON") from None
    if not isinstance(body, dict) or not isinstance(body.get(wrapper), kind):
        raise errors.bad(f"{wrapper} is required")
    return body[wrapper]


def text(body: Json, name: str) -> str:
    """A required, non-empty string."""
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise errors.bad(f"{name.capitalize()} cannot be empty")
    return value


def many(request: web.Request, name: str) -> list[str]:
    """An array parameter: `include[]=a&include[]=b`."""
    return request.query.getall(f"{name}[]", [])


def instant(request: web.Request, name: str) -> float | None:
    """A date-time parameter in seconds since the epoch."""
    raw = request.query.get(name)
    if not raw:
        return None
    try:
        parsed = datetime.fromisoformat(raw.replace(" ", "+"))
    except ValueError:
        raise errors.bad(f"{name} is not a valid date-time") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def page(request: web.Request, name: str, items: Sequence[Any]) -> Json:
    """One page of items with PagerDuty's classic pagination; `total` only when it was asked for."""
    limit, offset = _number(request, "limit", DEFAULT_LIMIT), _number(request, "offset", 0)
    if limit + offset > MAX_OFFSET:
        raise errors.bad("Offset plus limit must not exceed 10000")
    limit = min(limit, MAX_LIMIT)
    total = len(items) if request.query.get("total") == "true" else None
    return {
        name: list(items[offset : offset + limit]),
        "limit": limit,
        "offset": offset,
        "total": total,
        "more": offset + limit < len(items),
    }


def _number(request: web.Request, name: str, default: int) -> int:
    raw = request.query.get(name, str(default))
    if not raw.isdigit():
        raise errors.bad(f"{name} must be a non-negative integer")
    return int(raw)


def requester(request: web.Request, account: Account) -> Person:
    """The user of the From header, which every write needs."""
    return account.person_by_email(request.headers.get("From"))


def incident_of(request: web.Request, account: Account) -> Incident:
    """The incident of the path, by id or by number."""
    wanted = request.match_info["id"]
    if wanted in account.incidents:
        return account.incidents[wanted]
    for incident in account.incidents.values() if wanted.isdigit() else ():
        if incident.number == int(wanted):
            return incident
    raise errors.not_found()


def person_of(account: Account, reference: object) -> Person:
    """The user a reference names."""
    id_ = reference.get("id") if isinstance(reference, dict) else None
    if id_ not in account.people:
        raise errors.bad("User not found")
    return account.people[id_]


def policy_of(account: Account, reference: object) -> Policy:
    """The escalation policy a reference names."""
    id_ = reference.get("id") if isinstance(reference, dict) else None
    if id_ not in account.policies:
        raise errors.bad("Escalation policy not found")
    return account.policies[id_]


def people_of(account: Account, assignments: object) -> list[Person]:
    """The users of an `assignments` array."""
    if not isinstance(assignments, list) or not assignments:
        raise errors.bad("Assignments cannot be empty")
    return [person_of(account, one.get("assignee") if isinstance(one, dict) else None) for one in assignments]
