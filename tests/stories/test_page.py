"""The page: sent at once, proven or said to be unproven, and acknowledged and resolved from either side."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from sandbox.pagerduty import RUNG_IDS, FaultSpec
from sandbox.slack import FaultSpec as SlackFault
from tests.stories.scene import Json, Scene, eventually, scene, whole

ways_in = pytest.mark.parametrize("http", [False, True], ids=["socket", "http"])
ADD = "POST /incidents/{id}/responder_requests"
QUICK = 0.5
"""Seconds a minute: proof of page is asked for after half a second, rung 2 is due after 7.5 s."""


async def paged(it: Scene) -> Any:
    """PagerDuty's incident, once there is one."""

    async def look() -> Any:
        return next(iter(it.pages()), None)

    return await eventually(look, what="a page")


async def until(it: Scene, page: Any, status: str) -> None:
    async def look() -> bool:
        return bool(page.status == status)

    await eventually(look, what=f"the page is {status}")


async def kinds(it: Scene, kind: str) -> int:
    return sum(e.kind == kind for e in await it.timeline(1))


@ways_in
async def test_an_answered_phone_is_the_proof_and_reaches_the_room(database: str, http: bool) -> None:
    """Acknowledged on the phone: room, board and timeline say who; the page is proven and no second way is used."""
    async with scene(database, http=http) as it:
        room = await it.declares("P1 checkout is down")
        await it.ana.picks_up()
        await it.ana.reads(room, "<@U0ANA> acknowledged in PagerDuty")
        await it.board(room, "*Acknowledged by:* <@U0ANA>")
        assert "Ana Ortiz" in (await it.entry(1, "page_proven")).text
        await it.sql("update effect set due_at = now() where kind = 'page.proof'")
        await it.quiet()
        assert await kinds(it, "page_unproven") == 0
        assert await it.said(room, "No proof of page") == []


async def test_page_and_room_leave_at_the_same_time(database: str) -> None:
    """A room that hangs for ever keeps no page back."""
    async with scene(database) as it:
        it.practice.slack.faults.fail["conversations.create"] = SlackFault("hang")
        await it.ana.types("/incident declare P1 checkout is down")
        page = await paged(it)
        assert (page.key, page.urgency, page.title) == ("INC-1", "high", "INC-1 P1: checkout is down")
        assert (await it.sql("select room from incident"))[0]["room"] is None


@ways_in
async def test_without_proof_the_second_way_is_used_and_said(database: str, http: bool) -> None:
    """Nobody answers in time: the room is told why, everybody of the rung has a direct message, the numbers are shown."""
    async with scene(database, http=http, seconds_per_minute=30) as it:
        room = await it.declares("P1 checkout is down")
        await it.entry(1, "paged")
        await it.sql("update effect set due_at = now() where kind = 'page.proof'")
        line = await it.ana.reads(room, "No proof of page* for rung 1 within 1 min: Ana Ortiz notified, no answer")
        assert "PRACTICE" in whole(line)
        second = await it.ana.reads(room, "Direct messages go to <@U0ANA>")
        assert "Primary On-Call: +1-" in whole(second)
        called = await it.ana.reads(await it.ana.direct(), "You are called for INC-1")
        assert "checkout is down" in whole(called)
        await it.ana.clicks(called, "incident_ack")
        await it.ana.reads(room, "<@U0ANA> acknowledged here")
        await until(it, await paged(it), "acknowledged")
        assert await kinds(it, "second_way") == 1


async def test_pagerduty_down_is_said_and_the_second_way_is_used(database: str) -> None:
    """PagerDuty is gone: the board shows the page that is late, responders have direct messages, the room the numbers."""
    async with scene(database, seconds_per_minute=QUICK) as it:
        it.practice.pagerduty.faults.down = True
        room = await it.declares("P1 checkout is down")
        await it.ana.reads(room, "the page has not left")
        await it.ana.reads(room, "Please *call*")
        await it.board(room, "Page the on-call through PagerDuty* is late")
        await it.ana.reads(await it.ana.direct(), "You are called for INC-1")


async def test_pagerduty_down_before_it_ever_answered_calls_the_responders(database: str) -> None:
    """With nobody known for the rung, every responder has a direct message."""

    def gone(practice: Any) -> None:
        practice.pagerduty.faults.down = True

    async with scene(database, seconds_per_minute=QUICK, before=gone) as it:
        room = await it.declares("P1 checkout is down")
        line = await it.ana.reads(room, "Direct messages go to")
        assert all(f"<@{user}>" in whole(line) for user in ("U0ANA", "U0BEN", "U0CHLOE", "U0DEV", "U0EVA"))
        for someone in (it.ben, it.eva):
            await someone.reads(await someone.direct(), "You are called for INC-1")


async def test_a_late_page_comes_once(database: str) -> None:
    """When PagerDuty is back, the page that was owed goes out once and the board forgets the trouble."""
    async with scene(database) as it:
        it.practice.pagerduty.faults.fail["POST /incidents"] = FaultSpec("http_503")
        room = await it.declares("P1 checkout is down")
        await it.board(room, "Page the on-call through PagerDuty* is late")
        it.practice.pagerduty.faults.clear()
        page = await paged(it)
        await it.entry(1, "paged")
        await it.quiet()
        await it.gone(room, "Page the on-call through PagerDuty")
        assert it.pages() == [page]


async def test_a_late_page_wakes_nobody_when_it_was_acknowledged_meanwhile(database: str) -> None:
    """Somebody took it in Slack while PagerDuty was down: the page is not sent afterwards, and the timeline says so."""
    async with scene(database) as it:
        it.practice.pagerduty.faults.fail["POST /incidents"] = FaultSpec("http_503")
        room = await it.declares("P1 checkout is down")
        await it.board(room, "Page the on-call through PagerDuty* is late")
        await it.ana.types("/incident ack", room)
        await it.entry(1, "acknowledged")
        it.practice.pagerduty.faults.clear()
        assert "acknowledged already" in (await it.entry(1, "not_paged")).text
        await it.quiet()
        assert it.pages() == []


@pytest.mark.parametrize("fault", ["lost", "drop", "hang", "ratelimited", "http_500"])
async def test_whatever_happens_to_the_call_there_is_one_page(database: str, fault: str) -> None:
    """Answers lost, refused or never given: the page is read back before it is sent again."""
    async with scene(database) as it:
        it.practice.pagerduty.faults.fail["POST /incidents"] = FaultSpec(fault, times=1)  # type: ignore[arg-type]
        await it.ana.types("/incident declare P1 checkout is down")
        await it.entry(1, "paged")
        await it.quiet()
        assert len(it.pages()) == 1
        assert await kinds(it, "paged") == 1


@pytest.mark.parametrize("fault", ["lost", "ratelimited", "http_503"])
async def test_all_of_a_rung_are_called_whatever_happens_in_between(database: str, fault: str) -> None:
    """Rung 1 is a policy and a user, and the call for the user fails after the page has left: both are called, once."""
    both = {"PAGERDUTY_RUNG_1": f"{RUNG_IDS[0]},PCHLOEM"}
    async with scene(database, environ=both) as it:
        it.practice.pagerduty.faults.fail[ADD] = FaultSpec(fault, times=1)  # type: ignore[arg-type]
        await it.ana.types("/incident declare P1 checkout is down")
        await it.entry(1, "paged")
        (page,) = it.pages()
        assert page.policy.id == RUNG_IDS[0]
        assert [[p.id for p, _ in r.targets] for r in page.requests] == [["PCHLOEM"]]


async def test_a_page_that_left_is_not_left_again_when_its_second_call_is_put_off(database: str) -> None:
    """The user's call is turned away (429) and the page resolved over there before the next try: no second page."""
    both = {"PAGERDUTY_RUNG_1": f"{RUNG_IDS[0]},PCHLOEM"}
    async with scene(database, environ=both) as it:
        it.practice.pagerduty.faults.fail[ADD] = FaultSpec("ratelimited")
        room = await it.declares("P1 checkout is down")
        await it.board(room, "Page the on-call through PagerDuty* is late")
        page, account = await paged(it), it.practice.pagerduty.account
        account.resolve(datetime.now(UTC).timestamp(), page, account.people["PBENADL"], "web")
        it.practice.pagerduty.faults.clear()
        await it.sql("update effect set due_at = now() where kind = 'page.open' and state = 'waiting'")
        await it.entry(1, "paged")
        await it.quiet()
        assert it.pages() == [page]


async def test_a_refusing_pagerduty_is_shown_with_a_retry(database: str) -> None:
    """A clear no of PagerDuty stays on the board with its reason until somebody retries, by button."""
    async with scene(database) as it:
        it.practice.pagerduty.account.people["PANAORT"].email = "gone@valuecanvas.example"
        room = await it.declares("P1 checkout is down")
        board = await it.board(room, "Page the on-call through PagerDuty* failed")
        it.practice.pagerduty.account.people["PANAORT"].email = "ana@valuecanvas.example"
        await it.ana.clicks(board, "incident_retry")
        await it.entry(1, "paged")
        await it.gone(room, "Page the on-call through PagerDuty")
        assert len(it.pages()) == 1


@ways_in
async def test_an_acknowledgement_in_slack_reaches_pagerduty_without_an_echo(database: str, http: bool) -> None:
    """Acknowledged here: the phone stops, and the webhook that comes back is not a second acknowledgement."""
    async with scene(database, http=http) as it:
        room = await it.declares("P1 checkout is down")
        page = await paged(it)
        await it.ben.clicks(await it.board(room), "incident_ack")
        await until(it, page, "acknowledged")
        await it.practice.pagerduty.webhooks.idle()
        await it.quiet()
        assert await kinds(it, "acknowledged") == 1
        assert [e.actor for e in await it.timeline(1) if e.kind == "acknowledged"] == ["U0BEN"]
        assert len(await it.said(room, "acknowledged")) == 1


async def test_resolving_travels_from_slack_to_pagerduty(database: str) -> None:
    """Resolved here: resolved there, and the webhook that comes back changes nothing."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        page = await paged(it)
        await it.ana.types("/incident resolve restarted", room)
        await until(it, page, "resolved")
        await it.practice.pagerduty.webhooks.idle()
        await it.quiet()
        assert await kinds(it, "resolved") == 1


async def test_resolving_travels_from_pagerduty_to_slack(database: str) -> None:
    """Resolved there by hand: the incident is resolved here, in that person's name, with its report."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        account, page = it.practice.pagerduty.account, await paged(it)
        await it.entry(1, "paged")
        account.resolve(datetime.now(UTC).timestamp(), page, account.people["PBENADL"], "web")
        await it.ana.reads(room, "*Resolved* by <@U0BEN>")
        await it.ana.reads(room, "Incident Report")
        assert (await it.entry(1, "resolved")).actor_name == "Ben Adler"


def webhook(
    it: Scene, page: Any, *, event: str = "evt-1", kind: str = "acknowledged", at: datetime | None = None
) -> bytes:
    when = (at or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    agent = {"id": "PBENADL", "type": "user_reference", "summary": "Ben Adler"}
    body: Json = {
        "id": event, "event_type": f"incident.{kind}", "resource_type": "incident", "occurred_at": when,
        "agent": agent, "client": None, "data": {"id": page.id, "type": "incident"},
    }  # fmt: skip
    return json.dumps({"event": body}).encode()


async def post(it: Scene, body: bytes, secret: str) -> int:
    signature = "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    url = f"http://{it.practice.env['BOT_HTTP']}/pagerduty/webhook"
    async with aiohttp.ClientSession() as client:
        headers = {"X-PagerDuty-Signature": signature, "Content-Type": "application/json"}
        async with client.post(url, data=body, headers=headers) as answer:
            return answer.status


async def test_only_a_signed_fresh_and_new_webhook_is_believed(database: str) -> None:
    """A bad signature, a wrong shape and an old event are refused; the same event twice is heard once."""
    async with scene(database) as it:
        await it.declares("P1 checkout is down")
        page, secret = await paged(it), it.practice.env["PAGERDUTY_WEBHOOK_SECRET"]
        await it.entry(1, "paged")
        assert await post(it, webhook(it, page), "another secret") == 401
        assert await post(it, b'{"event": 1}', secret) == 400
        old = datetime.now(UTC) - timedelta(days=3)
        assert await post(it, webhook(it, page, event="evt-0", at=old), secret) == 409
        await it.quiet()
        assert await kinds(it, "acknowledged") == 0
        fresh = webhook(it, page)
        assert [await post(it, fresh, secret), await post(it, fresh, secret)] == [200, 200]
        assert (await it.entry(1, "acknowledged")).actor_name == "Ben Adler"
        await it.quiet()
        assert await kinds(it, "acknowledged") == 1


async def test_without_webhooks_pagerduty_is_polled(database: str) -> None:
    """No webhook secret: acknowledging and resolving over there are heard all the same, each once."""
    async with scene(database, webhooks=False) as it:
        room = await it.declares("P1 checkout is down")
        page = await paged(it)
        await it.entry(1, "paged")
        await it.ana.picks_up()
        await it.poll()
        await it.ana.reads(room, "<@U0ANA> acknowledged in PagerDuty")
        await it.poll()
        assert await kinds(it, "acknowledged") == 1
        account = it.practice.pagerduty.account
        account.resolve(datetime.now(UTC).timestamp(), page, account.people["PANAORT"], "web")
        await it.poll()
        await it.ana.reads(room, "*Resolved* by <@U0ANA>")
        await it.ana.types("/incident reopen it came back", room)
        await it.entry(1, "reopened")
        await it.poll()
        await it.quiet()
        assert await kinds(it, "resolved") == 1


@pytest.mark.parametrize("can", [True, False], ids=["responder requests", "reassignment"])
async def test_further_rungs_are_called_by_what_the_account_can(database: str, can: bool) -> None:
    """Rung 2 is asked to join, or, in an account without responder requests, the page itself is given to them."""

    def plan(practice: Any) -> None:
        if not can:
            practice.pagerduty.account.abilities.discard("coordinated_responding")

    async with scene(database, before=plan) as it:
        room = await it.declares("P1 checkout is down")
        await it.entry(1, "paged")
        await it.ana.types("/incident escalate it grows", room)
        text = (await it.entry(1, "rung_paged")).text
        assert ("responder request" if can else "reassignment") in text
        (page,) = it.pages()
        await it.chloe.picks_up()
        if can:
            assert [p.name for p, _ in page.requests[0].targets] == ["Engineering manager"]
        else:
            assert page.policy.name == "Engineering manager"
        assert "Chloe Martin" in (await it.proven(2)).text


async def test_a_rung_that_declines_is_noted(database: str) -> None:
    """Who declines to join is on the timeline; it proves nothing."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        await it.entry(1, "paged")
        await it.ana.types("/incident escalate", room)
        await it.chloe.picks_up("decline")
        assert (await it.entry(1, "declined")).actor_name == "Chloe Martin"
        assert all("rung 2" not in e.text for e in await it.timeline(1) if e.kind == "page_proven")
