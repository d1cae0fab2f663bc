"""Every answer of the PagerDuty double against PagerDuty's own API description, where that lies beside the checkout."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from jsonschema import Draft4Validator
from jsonschema.validators import extend

from sandbox.pagerduty import RUNG_IDS, SERVICE_ID, PagerDuty, build

CONTRACT = Path(__file__).parents[3] / "shared" / "contracts" / "pagerduty-rest.json"
pytestmark = pytest.mark.skipif(not CONTRACT.exists(), reason="PagerDuty's API description is not beside the checkout")
Json = dict[str, Any]

# The description's own prose says that these are null when there is nothing to say; its schemas forget it.
NULLABLE = (
    ("Incident", "resolved_at"),
    ("Oncall", "start"),
    ("Oncall", "end"),
    ("Oncall", "schedule"),
    ("Service", "auto_resolve_timeout"),
)
INCLUDED = (
    ("Oncall", "user", "User"),
    ("Oncall", "escalation_policy", "EscalationPolicy"),
    ("LogEntry", "incident", "Incident"),
)


@pytest.fixture(scope="module")
def contract() -> Json:
    """The description with the holes mended that no real answer fits through."""
    described: Json = json.loads(CONTRACT.read_text())
    schemas = described["components"]["schemas"]
    for name, field in NULLABLE:
        properties = schemas[name].get("properties") or schemas[name]["allOf"][1]["properties"]
        properties[field] = {"anyOf": [{"enum": [None]}, properties[field]]}
    # `include[]` exchanges these references for the whole thing, as its parameter says.
    for name, field, whole in INCLUDED:
        properties = schemas[name].get("properties") or schemas[name]["allOf"][1]["properties"]
        properties[field] = {"anyOf": [properties[field], {"$ref": f"#/components/schemas/{whole}"}]}
    # Any channel fits several of its alternatives, so exactly one never fits.
    schemas["Channel"]["anyOf"] = schemas["Channel"].pop("oneOf")
    # The base type calls it acknowledge_log_entry, the derived one acknowledgement_log_entry.
    schemas["AcknowledgeLogEntry"]["allOf"][1]["properties"]["type"]["enum"] = ["acknowledge_log_entry"]
    # Its own examples, and every client, send a sentence.
    schemas["IncidentBody"]["properties"]["details"]["type"] = ["object", "string"]
    return described


def validate(contract: Json, method: str, template: str, status: int, body: Any) -> None:
    """Fail unless `body` is what the description promises for this call and status."""
    response = contract["paths"][template][method.lower()]["responses"][str(status)]
    if "$ref" in response:
        response = contract["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    if "content" not in response:
        return
    schema = response["content"]["application/json"]["schema"] | {"components": contract["components"]}

    def kind(outer: Any, types: Any, instance: Any, node: Any) -> Any:
        if instance is None and node.get("nullable"):
            return
        yield from Draft4Validator.VALIDATORS["type"](outer, types, instance, node)

    validator: Any = extend(Draft4Validator, {"type": kind})  # type: ignore[no-untyped-call]
    errors = list(validator(schema).iter_errors(body))
    assert not errors, f"{method} {template}: {errors[0].json_path} {errors[0].message[:300]}"


class Client:
    """Calls the double and holds every answer against the description."""

    def __init__(self, session: aiohttp.ClientSession, contract: Json) -> None:
        self._session, self._contract = session, contract

    async def __call__(
        self, method: str, template: str, status: int = 200, *, id_: str = "", query: str = "", body: Any = None
    ) -> Any:
        path = template.replace("{id}", id_) + query
        async with self._session.request(method, path, json=body) as response:
            answer = None if response.status == 204 else await response.json()
            assert response.status == status, answer
        validate(self._contract, method, template, status, answer)
        return answer


@pytest.fixture
def pagerduty() -> PagerDuty:
    return build()


@pytest.fixture
async def call(pagerduty: PagerDuty, contract: Json, serve: Any) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Token token={pagerduty.api_key}", "From": "ana@valuecanvas.example"}
    async with aiohttp.ClientSession(await serve(pagerduty.app()), headers=headers) as session:
        yield Client(session, contract)


def declaration(key: str = "INC-1") -> Json:
    service = {"id": SERVICE_ID, "type": "service_reference"}
    return {"incident": {"type": "incident", "title": "Checkout is down", "service": service, "incident_key": key}}


async def test_an_incidents_whole_life_fits(call: Client) -> None:
    """Declare, acknowledge, note, ask for responders, hand over, resolve: each answer and each log entry fits."""
    made = await call("POST", "/incidents", 201, body=declaration())
    id_ = made["incident"]["id"]
    for change in (
        {"status": "acknowledged"},
        {"status": "triggered"},
        {"escalation_level": 2},
        {"assignments": [{"assignee": {"id": "PBENADL", "type": "user_reference"}}]},
        {"escalation_policy": {"id": RUNG_IDS[1], "type": "escalation_policy_reference"}},
        {"status": "acknowledged"},
    ):
        await call("PUT", "/incidents/{id}", id_=id_, body={"incident": {"type": "incident"} | change})
    await call("POST", "/incidents/{id}/notes", id_=id_, body={"note": {"content": "Looking"}})
    target = {"id": RUNG_IDS[2], "type": "escalation_policy_reference"}
    request = {"requester_id": "PANAORT", "message": "help", "responder_request_targets": [target]}
    await call("POST", "/incidents/{id}/responder_requests", id_=id_, body=request)
    await call("PUT", "/incidents", body={"incidents": [{"id": id_, "type": "incident", "status": "resolved"}]})
    everything = "?include[]=assignees&include[]=acknowledgers&include[]=body&include[]=escalation_policies"
    await call("GET", "/incidents/{id}", id_=id_, query=everything + "&include[]=first_trigger_log_entries")
    await call("GET", "/incidents", query="?statuses[]=resolved&total=true")
    await call("GET", "/incidents/{id}/notes", id_=id_)
    log = await call("GET", "/incidents/{id}/log_entries", id_=id_, query="?limit=100")
    assert len({entry["type"] for entry in log["log_entries"]}) == 9
    await call("GET", "/log_entries", query="?include[]=incidents&is_overview=true")


async def test_the_directory_fits(call: Client) -> None:
    """People, services, policies, on-calls, abilities and priorities fit, with and without what can be included."""
    await call("GET", "/users", query="?query=ana")
    await call("GET", "/users/{id}", id_="PANAORT")
    await call("GET", "/services")
    await call("GET", "/services/{id}", id_=SERVICE_ID)
    await call("GET", "/escalation_policies")
    await call("GET", "/escalation_policies/{id}", id_=RUNG_IDS[2])
    await call("GET", "/oncalls")
    await call("GET", "/oncalls", query="?include[]=users&include[]=escalation_policies")
    await call("GET", "/abilities")
    await call("GET", "/priorities")


async def test_subscriptions_fit(call: Client) -> None:
    """Webhook subscriptions fit when made, listed, shown, changed and deleted."""
    wanted = {
        "type": "webhook_subscription",
        "delivery_method": {"type": "http_delivery_method", "url": "https://bot.example/hook"},
        "events": ["incident.resolved"],
        "filter": {"type": "account_reference"},
    }
    made = await call("POST", "/webhook_subscriptions", body={"webhook_subscription": wanted})
    id_ = made["webhook_subscription"]["id"]
    await call("GET", "/webhook_subscriptions")
    await call("GET", "/webhook_subscriptions/{id}", id_=id_)
    await call("PUT", "/webhook_subscriptions/{id}", id_=id_, body={"webhook_subscription": {"active": False}})
    await call("DELETE", "/webhook_subscriptions/{id}", 204, id_=id_)


async def test_refusals_fit(call: Client, pagerduty: PagerDuty) -> None:
    """Each refusal has the status and the error body of the description."""
    await call("POST", "/incidents", 201, body=declaration())
    await call("POST", "/incidents", 400, body=declaration())
    await call("GET", "/incidents/{id}", 404, id_="QNONE")
    await call("GET", "/users/me", 400)
    pagerduty.account.abilities.clear()
    await call("GET", "/abilities/{id}", 402, id_="coordinated_responding")
    pagerduty.api_key = "another"
    await call("GET", "/incidents", 401)
