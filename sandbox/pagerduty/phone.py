"""The phones on the page: who is called, answering, and telling people how to behave."""

from collections.abc import Callable

from aiohttp import web

from sandbox.pagerduty.account import Account
from sandbox.pagerduty.model import Call, Json

# Calls that stopped ringing stay on the page for the record, the newest of them.
SHOWN = 50


def routes(account: Account, clock: Callable[[], float]) -> list[web.RouteDef]:
    """`/phone/*`, for the public port. Errors are HTTP 400 `{"error": sentence}`."""

    async def state(_request: web.Request) -> web.Response:
        people = [
            {"id": p.id, "name": p.name, "email": p.email, "mode": p.mode, "after": p.after}
            for p in account.people.values()
        ]
        calls = [_call(call) for call in account.paging.calls if call.ringing] + [
            _call(call) for call in account.paging.calls[-SHOWN:] if not call.ringing
        ]
        return web.json_response({"people": people, "calls": calls})

    async def answer(request: web.Request) -> web.Response:
        body = await _body(request)
        call = next((call for call in account.paging.calls if call.id == body.get("call_id")), None)
        if call is None:
            return _error("There is no such call.")
        if not call.ringing:
            return _error("This phone has stopped ringing.")
        press = body.get("press")
        if press not in ("acknowledge", "decline"):
            return _error("Press either acknowledge or decline.")
        account.paging.answer(clock(), call, press)
        return web.json_response({"ok": True})

    async def person(request: web.Request) -> web.Response:
        body = await _body(request)
        who = account.people.get(str(body.get("id")))
        if who is None:
            return _error("There is no such person.")
        mode, after = body.get("mode", who.mode), body.get("after", who.after)
        if mode not in ("acks", "never"):
            return _error("A person either acks or never answers.")
        if not isinstance(after, int | float) or isinstance(after, bool) or not 0 <= after <= 86_400:
            return _error("The time to answer is between 0 and 86400 seconds.")
        who.behave(mode, float(after))
        account.paging.behave(clock(), who)
        return web.json_response({"ok": True})

    return [
        web.get("/phone/state", state),
        web.post("/phone/answer", answer),
        web.post("/phone/person", person),
    ]


def _call(call: Call) -> Json:
    return {
        "id": call.id,
        "person": call.person.id,
        "incident_id": call.incident.id,
        "title": call.incident.title,
        "ringing": call.ringing,
        "at": call.at,
        "kind": call.kind,
    }


async def _body(request: web.Request) -> Json:
    try:
        body = await request.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _error(sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=400)
