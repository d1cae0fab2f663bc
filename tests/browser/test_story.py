"""The whole story at the page, with the real bot: declared in the window, answered on the phone, led, resolved, reported.

With KEEP_PICTURES=1 it takes its time and writes the pictures of the README and the docs; otherwise it writes nothing.
"""

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect

from sandbox.practice import Practice
from tests.browser.seats import Hall, Seat
from tests.stories.scene import bot_in_here

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

KEEP_PICTURES = os.environ.get("KEEP_PICTURES") == "1"
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
# Seconds a minute. For a picture the phone must be answered before the second way out is used: within one of them.
PACE = 3.0 if KEEP_PICTURES else 1.0
RUNG_2_MS = 15 * PACE * 1000 + 45_000


@pytest_asyncio.fixture(loop_scope="module")
async def hall(browser: Browser, database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hall]:
    """The practice estate with the parts that the story breaks, and the bot. An error on the console of any page fails the test."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    async with (
        Practice(parts=("postgres", "redis", "app"), seconds_per_minute=PACE) as practice,
        bot_in_here({**practice.env, "BOT_DATABASE_URL": database}),
    ):
        # Slack's limits are for an hour of real time; here it passes in seconds.
        practice.slack.set_rate_limits(False)
        # A phone that rings for five minutes is passed on to the next person: not before a busy machine has answered it.
        practice.pagerduty.account.set_pace(time.time(), 60.0)
        hall = Hall(practice, browser)
        try:
            yield hall
        finally:
            await hall.leave()
    assert not hall.problems, "\n".join(hall.problems)


async def test_an_incident_from_the_window_to_the_report(hall: Hall) -> None:
    """Redis dies; Ana declares, her phone rings, nobody mitigates and Chloe is called; she leads, it is mended, the report is there."""
    ana = await hall.sit("U0ANA", "C0GENERAL", sharpness=1.25 if KEEP_PICTURES else 1)
    await break_things(ana, "redis", "stop")
    await declare(ana)
    await answer_the_phone(ana)
    await ana.sidebar.get_by_text("inc-1-").click()
    board = ana.message("Recovery time against RTO").first
    await expect(board).to_contain_text("Redis Cache")
    await expect(board).to_contain_text("Acknowledged by: @Ana Ortiz")
    await expect(ana.message("Most likely scenario: redis")).to_be_visible()

    await expect(ana.message("Rung 2: Engineering Manager")).to_be_visible(timeout=RUNG_2_MS)
    room = await ana.sidebar.locator("[data-channel]", has_text="inc-1-").get_attribute("data-channel")
    chloe = await hall.sit("U0CHLOE", str(room))
    await answer_the_phone(chloe)
    await take_picture(ana, board, "room.png")
    await chloe.action("incident_command").click()
    await expect(board).to_contain_text("Chloe Martin")

    await break_things(chloe, "redis", "start")
    await expect(ana.message("Redis Cache is green again").first).to_be_visible()
    await resolve(chloe, "Redis was out of memory; restarted")
    await expect(board).to_contain_text("Resolved")
    report = ana.message("Incident Report: Rate limits are gone")
    await expect(report).to_contain_text("Redis Cache is green again after")
    await expect(report).to_contain_text("Resolved after")
    await expect(ana.action("incident_escalate")).to_have_count(0)


async def break_things(seat: Seat, part: str, action: str) -> None:
    """Use a button of the panel that breaks and mends the estate."""
    panel = seat.page.get_by_test_id("panel")
    await seat.page.get_by_test_id("open-panel").click()
    await panel.locator(f'button[data-part="{part}"][data-action="{action}"]').click()
    await expect(panel.locator(f'li[data-part="{part}"]')).to_have_attribute(
        "data-state", "down" if action == "stop" else "up"
    )
    await seat.page.get_by_test_id("close-panel").click()


async def declare(seat: Seat) -> None:
    """`/incident declare`, and the window filled in."""
    await seat.say("/incident declare")
    await seat.action("title").fill("Rate limits are gone, the LLM bill climbs")
    await seat.choose("scenario", "Redis")
    await seat.choose("services", "Redis Cache")
    await seat.action("seen").fill("429s stopped at 14:00; every prompt goes to the provider.")
    await seat.page.get_by_test_id("modal-submit").click()
    await expect(seat.modal).to_contain_text("INC-1 is declared")
    await seat.page.get_by_test_id("modal-close").click()


async def answer_the_phone(seat: Seat) -> None:
    """It comes out of the pocket by itself when it rings; afterwards it is put away."""
    await seat.page.get_by_test_id("call-acknowledge").click()
    await expect(seat.page.get_by_test_id("call")).to_have_count(0)
    await seat.page.get_by_test_id("close-phone").click()


async def resolve(seat: Seat, what_fixed_it: str) -> None:
    await seat.action("incident_resolve").click()
    await seat.action("reason").fill(what_fixed_it)
    await seat.page.get_by_test_id("modal-submit").click()
    await expect(seat.modal).to_have_count(0)


async def take_picture(seat: Seat, board: Locator, name: str) -> None:
    """The window, as high as it must be to show everything from the board on. Nothing unless pictures are wanted."""
    if not KEEP_PICTURES:
        return
    width = 1100
    await seat.page.set_viewport_size({"width": width, "height": 2000})
    box, top = await board.bounding_box(), await seat.page.locator("#messages").bounding_box()
    assert box is not None
    assert top is not None
    await seat.page.set_viewport_size({"width": width, "height": round(2000 - (box["y"] - top["y"]))})
    await seat.page.mouse.move(0, 0)
    PICTURES.mkdir(exist_ok=True)
    await seat.page.screenshot(path=PICTURES / name)
