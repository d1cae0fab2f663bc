"""The PagerDuty double through the client that PagerDuty published for Python: pdpyras, in a thread, over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from pdpyras import APISession, PDClientError

from sandbox.pagerduty import RUNG_IDS, SERVICE_ID, FaultSpec, PagerDuty, build

Ask = Callable[..., Awaitable[Any]]
DECLARATION = {
    "type": "incident",
    "title": "Production Outage: checkout is down",
    "service": {"id": SERVICE_ID, "type": "service_reference"},
    "urgency": "high",
    "incident_key": "INC-1",
    "body": {"type": "incident_body", "details": "The cart answers 500"},
}


@pytest.fixture
def pagerduty() -> PagerDuty:
    return build()


@pytest.fixture
async def ask(pagerduty: PagerDuty, serve: Any) -> AsyncIterator[Ask]:
    """`await ask("rpost", "incidents", json=...)` calls that method of a real pdpyras session."""
    session = APISession(pagerduty.api_key, default_from="ana@valuecanvas.example")
    session.url = await serve(pagerduty.app())
    session.max_network_attempts = 0

    async def call(method: str, *args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(getattr(session, method), *args, **kwargs)

    yield call
    session.close()


async def refusal(ask: Ask, *args: Any, **kwargs: Any) -> tuple[int, dict[str, Any]]:
    """The status and the error of a call that must be refused."""
    with pytest.raises(PDClientError) as caught:
        await ask(*args, **kwargs)
    response = caught.value.response
    return response.status_code, response.json()["error"]


async def declare(ask: Ask, **more: Any) -> dict[str, Any]:
    incident: dict[str, Any] = await ask("rpost", "incidents", json=DECLARATION | more)
    return incident


async def test_an_incident_pages_the_first_person_of_the_policy(ask: Ask, pagerduty: PagerDuty) -> None:
    """A new incident is triggered, assigned to the first rule of its policy, and its log proves the notification."""
    incident = await declare(ask)
    assert incident["status"] == "triggered"
    assert [a["assignee"]["summary"] for a in incident["assignments"]] == ["Ana Ortiz"]
    log = await ask("list_all", f"incidents/{incident['id']}/log_entries")
    assert [entry["type"] for entry in log] == ["notify_log_entry", "assign_log_entry", "trigger_log_entry"]
    assert log[0]["user"]["id"] == "PANAORT"
    assert [call.person.name for call in pagerduty.account.paging.ringing()] == ["Ana Ortiz"]


async def test_the_same_key_is_refused_while_the_first_is_open(ask: Ask) -> None:
    """incident_key de-duplicates open incidents with PagerDuty's code 2002; after resolve the key is free again."""
    incident = await declare(ask)
    status, error = await refusal(ask, "rpost", "incidents", json=DECLARATION)
    assert (status, error["code"], error["message"]) == (400, 2002, "Incident Already Exists")
    found = await ask("list_all", "incidents", params={"incident_key": "INC-1", "statuses": ["triggered"]})
    assert [one["id"] for one in found] == [incident["id"]]
    await ask("rput", incident, json={"type": "incident", "status": "resolved"})
    assert (await declare(ask))["id"] != incident["id"]


async def test_acknowledge_and_resolve_name_who_did_it(ask: Ask, pagerduty: PagerDuty) -> None:
    """PUT acknowledges, then resolves, in the name of the From header, and silences the phones."""
    incident = await declare(ask)
    acked = await ask("rput", incident, json={"type": "incident_reference", "status": "acknowledged"})
    assert acked["acknowledgements"][0]["acknowledger"]["summary"] == "Ana Ortiz"
    assert not pagerduty.account.paging.ringing()
    resolved = await ask("rput", incident, json={"type": "incident", "status": "resolved", "resolution": "fixed"})
    assert resolved["status"] == "resolved"
    assert resolved["assignments"] == []
    notes = await ask("rget", f"incidents/{incident['id']}/notes")
    assert [note["content"] for note in notes] == ["fixed"]
    status, error = await refusal(ask, "rput", incident, json={"type": "incident", "status": "acknowledged"})
    assert (status, error["message"]) == (400, "Incident Already Resolved")


async def test_several_incidents_change_in_one_call(ask: Ask) -> None:
    """PUT /incidents changes each that it names."""
    one, two = await declare(ask), await declare(ask, incident_key="INC-2")
    changes = [{"id": i["id"], "type": "incident", "status": "acknowledged"} for i in (one, two)]
    changed = await ask("rput", "incidents", json=changes)
    assert [i["status"] for i in changed] == ["acknowledged", "acknowledged"]


async def test_reassigning_and_handing_over_call_other_people(ask: Ask, pagerduty: PagerDuty) -> None:
    """Assignments call those people, an escalation policy calls its first rule; each leaves its own log entry."""
    incident = await declare(ask)
    frank = {"assignee": {"id": "PFRANKO", "type": "user_reference"}}
    await ask("rput", incident, json={"type": "incident", "assignments": [frank]})
    assert [call.person.name for call in pagerduty.account.paging.ringing()] == ["Frank Osei"]
    rung = {"id": RUNG_IDS[2], "type": "escalation_policy_reference"}
    moved = await ask("rput", incident, json={"type": "incident", "escalation_policy": rung})
    assert [a["assignee"]["summary"] for a in moved["assignments"]] == ["Dev Patel", "Eva Lind"]
    kinds = [e["type"] for e in await ask("list_all", "log_entries", params={"is_overview": "true"})]
    assert kinds == ["delegate_log_entry", "assign_log_entry", "assign_log_entry", "trigger_log_entry"]


async def test_responders_are_asked_and_their_answer_is_on_the_incident(ask: Ask, pagerduty: PagerDuty) -> None:
    """A responder request rings the policy's people; pressing acknowledge joins them without touching the incident."""
    incident = await declare(ask)
    request = {
        "requester_id": "PANAORT",
        "message": "Please help with INC-1",
        "responder_request_targets": [
            {"responder_request_target": {"id": RUNG_IDS[1], "type": "escalation_policy_reference"}}
        ],
    }
    path = f"incidents/{incident['id']}/responder_requests"
    response = await ask("post", path, json=request)
    assert response.status_code == 200
    (call,) = [call for call in pagerduty.account.paging.ringing() if call.kind == "responder"]
    assert call.person.name == "Chloe Martin"
    pagerduty.account.paging.answer(0, call, "acknowledge")
    shown = await ask("rget", f"incidents/{incident['id']}")
    assert [(r["user"]["summary"], r["state"]) for r in shown["incidents_responders"]] == [("Chloe Martin", "joined")]
    assert shown["status"] == "triggered"


async def test_responder_requests_need_the_ability(ask: Ask, pagerduty: PagerDuty) -> None:
    """Without coordinated_responding the request is answered 402 and nobody is called."""
    pagerduty.account.abilities.discard("coordinated_responding")
    incident = await declare(ask)
    target = {"id": "PBENADL", "type": "user_reference"}
    body = {"requester_id": "PANAORT", "message": "help", "responder_request_targets": [target]}
    response = await ask("post", f"incidents/{incident['id']}/responder_requests", json=body)
    assert response.status_code == 402
    assert len(pagerduty.account.paging.ringing()) == 1
    assert (await ask("get", "abilities/coordinated_responding")).status_code == 402
    assert (await ask("get", "abilities/urgencies")).status_code == 204


async def test_who_is_on_call_can_be_asked_by_policy(ask: Ask) -> None:
    """oncalls filters by policy and can include the full users with their e-mail addresses."""
    params = {"escalation_policy_ids": [RUNG_IDS[0]], "include": ["users"]}
    oncalls = await ask("list_all", "oncalls", params=params)
    assert [(o["escalation_level"], o["user"]["email"]) for o in oncalls] == [
        (1, "ana@valuecanvas.example"),
        (2, "ben@valuecanvas.example"),
    ]


async def test_people_services_and_policies_can_be_found(ask: Ask) -> None:
    """The directory holds the seeded people, the service and the four rungs under their stable ids."""
    assert (await ask("find", "users", "chloe@valuecanvas.example", attribute="email"))["id"] == "PCHLOEM"
    assert [s["id"] for s in await ask("list_all", "services")] == [SERVICE_ID]
    assert [p["id"] for p in await ask("list_all", "escalation_policies")] == list(RUNG_IDS)


async def test_pages_of_results_are_walked(ask: Ask) -> None:
    """limit and offset page through everything; `more` ends it."""
    for n in range(5):
        await declare(ask, incident_key=f"INC-{n}")
    found = await ask("list_all", "incidents", page_size=2)
    assert [one["incident_number"] for one in found] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"title": ""}, "Title cannot be empty"),
        ({"service": {"id": "PNONE", "type": "service_reference"}}, "Service not found"),
        ({"urgency": "extreme"}, "Urgency must be high or low"),
        ({"escalation_policy": {"id": "PNONE"}}, "Escalation policy not found"),
    ],
)
async def test_a_wrong_declaration_is_refused(ask: Ask, change: dict[str, Any], sentence: str) -> None:
    """What PagerDuty would not take is refused with 400 and a sentence, and nothing is created."""
    status, error = await refusal(ask, "rpost", "incidents", json=DECLARATION | change)
    assert (status, error["errors"]) == (400, [sentence])
    assert await ask("list_all", "incidents") == []


async def test_writes_need_a_known_requester(ask: Ask) -> None:
    """A From header that is nobody's e-mail address refuses a write."""
    headers = {"From": "nobody@valuecanvas.example"}
    status, error = await refusal(ask, "rpost", "incidents", json=DECLARATION, headers=headers)
    assert (status, error["message"]) == (400, "Requester User Not Found")


async def test_a_wrong_key_is_unauthorized(pagerduty: PagerDuty, serve: Any) -> None:
    """Without the API key nothing is answered but 401."""
    address = await serve(pagerduty.app())
    async with aiohttp.ClientSession() as client:
        for headers in ({}, {"Authorization": "Token token=wrong"}, {"Authorization": f"Bearer {pagerduty.api_key}"}):
            async with client.get(f"{address}/incidents", headers=headers) as response:
                assert response.status == 401
                assert (await response.json())["error"]["code"] == 2006


async def test_unknown_things_are_not_found(ask: Ask) -> None:
    """Unknown incidents and unknown paths are 404 in PagerDuty's words."""
    assert (await refusal(ask, "rget", "incidents/QNONE"))[1]["code"] == 2100
    assert (await ask("get", "nothing/here")).json()["error"]["code"] == 2100


async def test_faults_hit_the_calls_they_name(ask: Ask, pagerduty: PagerDuty) -> None:
    """A fault strikes as often as told, reads pass while writes are refused, and clear() ends it."""
    pagerduty.faults.fail["writes"] = FaultSpec("refuse")
    pagerduty.faults.fail["GET /services"] = FaultSpec("http_503", times=1)
    assert (await refusal(ask, "rpost", "incidents", json=DECLARATION))[0] == 403
    assert (await ask("get", "services")).status_code == 503
    assert (await ask("get", "services")).status_code == 200
    pagerduty.faults.clear()
    assert (await declare(ask))["status"] == "triggered"


async def test_a_rate_limited_call_says_when_to_come_back(pagerduty: PagerDuty, serve: Any) -> None:
    """429 carries PagerDuty's body and Retry-After."""
    address = await serve(pagerduty.app())
    pagerduty.faults.fail["*"] = FaultSpec("ratelimited", times=1, retry_after=7)
    headers = {"Authorization": f"Token token={pagerduty.api_key}"}
    async with aiohttp.ClientSession(headers=headers) as client, client.get(f"{address}/incidents") as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
        assert (await response.json())["error"]["code"] == 2020


async def test_a_lost_answer_leaves_the_incident_behind(ask: Ask, pagerduty: PagerDuty) -> None:
    """`lost` does the call and cuts the connection; `drop` cuts it before anything is done; both are recorded."""
    pagerduty.faults.fail["POST /incidents"] = FaultSpec("drop", times=1)
    with pytest.raises(PDClientError):
        await declare(ask)
    assert not pagerduty.incidents
    pagerduty.faults.fail["POST /incidents"] = FaultSpec("lost", times=1)
    with pytest.raises(PDClientError):
        await declare(ask)
    assert [incident.key for incident in pagerduty.incidents.values()] == ["INC-1"]
    assert [(call.route, call.status) for call in pagerduty.calls] == [("/incidents", None), ("/incidents", None)]
    assert pagerduty.calls[0].body["incident"]["incident_key"] == "INC-1"


async def test_while_it_is_down_nothing_is_answered(ask: Ask, pagerduty: PagerDuty) -> None:
    """`down` cuts every connection; taking it back serves again."""
    pagerduty.faults.down = True
    with pytest.raises(PDClientError):
        await ask("list_all", "incidents")
    pagerduty.faults.down = False
    assert await ask("list_all", "incidents") == []


async def test_a_hanging_call_ends_when_the_client_leaves(pagerduty: PagerDuty, serve: Any) -> None:
    """`hang` never answers; the client's own deadline ends it."""
    address = await serve(pagerduty.app())
    pagerduty.faults.fail["*"] = FaultSpec("hang")
    timeout = aiohttp.ClientTimeout(total=0.05)
    headers = {"Authorization": f"Token token={pagerduty.api_key}"}
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as client:
        with pytest.raises(TimeoutError):
            await client.get(f"{address}/incidents")


async def test_latency_is_added_to_each_call(ask: Ask, pagerduty: PagerDuty) -> None:
    """`latency` delays the answer by so many seconds."""
    pagerduty.faults.latency = 0.05
    started = asyncio.get_running_loop().time()
    await ask("list_all", "services")
    assert asyncio.get_running_loop().time() - started >= 0.05
