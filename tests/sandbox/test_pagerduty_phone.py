"""The phones on the page, over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sandbox.pagerduty import PagerDuty, build


@pytest.fixture
def pagerduty() -> PagerDuty:
    return build(clock=lambda: 1_000.0)


@pytest.fixture
async def page(pagerduty: PagerDuty, serve: Any) -> AsyncIterator[aiohttp.ClientSession]:
    app = web.Application()
    app.add_routes(pagerduty.phone_routes())
    async with aiohttp.ClientSession(await serve(app)) as client:
        yield client


async def call(page: aiohttp.ClientSession, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    async with page.post(f"/phone/{path}", json=body) as response:
        return response.status, await response.json()


async def state(page: aiohttp.ClientSession) -> Any:
    async with page.get("/phone/state") as response:
        return await response.json()


async def test_a_ringing_phone_is_shown_and_answered(page: aiohttp.ClientSession, pagerduty: PagerDuty) -> None:
    """The page shows who is called for what; pressing acknowledge acknowledges in that person's name."""
    incident = pagerduty.account.trigger(1_000.0, pagerduty.people["PANAORT"], title="Checkout is down", key="INC-1")
    (ringing,) = (await state(page))["calls"]
    assert (ringing["person"], ringing["title"], ringing["ringing"]) == ("PANAORT", "Checkout is down", True)
    assert await call(page, "answer", call_id=ringing["id"], press="acknowledge") == (200, {"ok": True})
    assert incident.status == "acknowledged"
    assert (await call(page, "answer", call_id=ringing["id"], press="decline"))[0] == 400
    assert not (await state(page))["calls"][0]["ringing"]


async def test_people_are_told_how_to_answer(page: aiohttp.ClientSession, pagerduty: PagerDuty) -> None:
    """Mode and time are set from the page and shown on it."""
    assert await call(page, "person", id="PCHLOEM", mode="acks", after=5) == (200, {"ok": True})
    (chloe,) = [one for one in (await state(page))["people"] if one["id"] == "PCHLOEM"]
    assert (chloe["mode"], chloe["after"], chloe["email"]) == ("acks", 5.0, "chloe@valuecanvas.example")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("answer", {"call_id": "C0", "press": "acknowledge"}),
        ("person", {"id": "PNONE", "mode": "acks"}),
        ("person", {"id": "PANAORT", "mode": "sometimes"}),
        ("person", {"id": "PANAORT", "after": -1}),
    ],
)
async def test_nonsense_is_refused_with_a_sentence(page: aiohttp.ClientSession, path: str, body: Any) -> None:
    """What the page cannot mean is 400 with a sentence."""
    status, answer = await call(page, path, **body)
    assert status == 400
    assert answer["error"].endswith(".")
