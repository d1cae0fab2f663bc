"""The failover at the page, with the bot as its own process: broken, declared, planned, approved by another, green again.

With KEEP_PICTURES=1 it writes the pictures of the plan card and the progress card; otherwise it writes nothing.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect

from sandbox.practice import Practice
from tests.browser.seats import Hall, Seat
from tests.browser.test_story import answer_the_phone, resolve
from tests.stories.scene import BOT_COMMAND

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

KEEP_PICTURES = os.environ.get("KEEP_PICTURES") == "1"
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
SHARPNESS = 1.5 if KEEP_PICTURES else 1
# What waits for real servers on a machine that does other things too.
WORK_MS = 120_000
# The left and right edge of the last message that contains a text, and the width of the whole page.
LAST_CARD = """text => {
  const cards = [...document.querySelectorAll("#messages article.message")];
  const card = cards.filter(one => one.textContent.includes(text)).at(-1);
  const { left, right } = card.getBoundingClientRect();
  return [left, right, document.documentElement.scrollWidth];
}"""


@pytest_asyncio.fixture(loop_scope="module")
async def hall(browser: Browser, database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hall]:
    """The practice estate with the parts of the database scenario. An error on the console of any page fails the test."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    command = ("/usr/bin/env", f"BOT_DATABASE_URL={database}", *BOT_COMMAND)
    async with Practice(parts=("postgres", "standby", "redis", "app", "cluster"), command=command) as practice:
        # Slack's limits are for an hour of real time.
        practice.slack.set_rate_limits(False)
        await practice.bot.ready(60)
        hall = Hall(practice, browser)
        try:
            yield hall
        finally:
            await hall.leave()
    assert not hall.problems, "\n".join(hall.problems)


async def test_a_failover_from_the_break_to_the_report(hall: Hall) -> None:
    """The primary is killed on the panel; Ana plans through the button and its window, Chloe approves; nothing is lost."""
    ana = await hall.sit("U0ANA", "C0GENERAL", sharpness=SHARPNESS)
    await use_panel(ana, "writer", "start", "running")
    await use_panel(ana, "postgres", "kill", "down")
    await ana.say("/incident declare P1 the database is down")
    await answer_the_phone(ana)
    await ana.sidebar.get_by_text("inc-1-").click()
    room = str(await ana.sidebar.locator("[data-channel]", has_text="inc-1-").get_attribute("data-channel"))
    chloe = await hall.sit("U0CHLOE", "C0INCIDENTS")
    await chloe.action("incident_join").click()
    await chloe.channel(room).click()

    await plan_through_the_window(ana)
    plan = ana.message("What changes").first
    await expect(plan).to_contain_text("one approver other than Ana Ortiz", timeout=WORK_MS)
    await expect(plan).to_contain_text("point of no return")
    await take_picture(ana, plan, "plan.png")
    await looks_right_on_a_phone(hall, room)

    await approve(chloe)
    done = ana.message("took a write that was read back").first
    await expect(done).to_contain_text("succeeded", timeout=WORK_MS)
    await expect(done).to_contain_text("the application is healthy")
    await expect(plan).to_contain_text("Approved by @Chloe Martin")
    await take_picture(ana, done, "progress.png")
    await looks_right_on_a_phone(hall, room)

    await expect(ana.message("Database is green again").first).to_be_visible(timeout=WORK_MS)
    await nothing_is_lost(ana)
    await resolve(ana, "Failed over to the standby")
    report = ana.message("Incident Report: the database is down")
    await expect(report).to_contain_text("RUN-1 database.failover succeeded")


async def use_panel(seat: Seat, part: str, action: str, state: str) -> None:
    """Press a button of the panel, and see what became of it."""
    panel = seat.page.get_by_test_id("panel")
    await seat.page.get_by_test_id("open-panel").click()
    await panel.locator(f'button[data-part="{part}"][data-action="{action}"]').click()
    await expect(panel.locator(f'li[data-part="{part}"]')).to_have_attribute("data-state", state)
    await seat.page.get_by_test_id("close-panel").click()


async def nothing_is_lost(seat: Seat) -> None:
    """The panel says that the new primary takes writes, and that it has every write that was acknowledged."""
    panel = seat.page.get_by_test_id("panel")
    await seat.page.get_by_test_id("open-panel").click()
    await expect(panel.locator('li[data-part="standby"]')).to_have_attribute("data-state", "promoted")
    await expect(panel.locator('li[data-part="api"]')).to_have_attribute("data-state", "up")
    writer = panel.locator('li[data-part="writer"]')
    await expect(writer).to_have_attribute("data-state", "running")
    await expect(writer).to_contain_text("none lost")
    await seat.page.get_by_test_id("close-panel").click()


async def plan_through_the_window(seat: Seat) -> None:
    """The assessment names the database and offers the failover; its window is sent as it stands."""
    assessment = seat.message("Most likely scenario: database").first
    await expect(assessment).to_be_visible(timeout=WORK_MS)
    await assessment.get_by_role("button", name="database.failover").click()
    await expect(seat.modal).to_contain_text("Promote the freshest standby")
    await expect(seat.action("mode")).to_have_value("failover")
    await seat.page.get_by_test_id("modal-submit").click()
    await expect(seat.modal).to_have_count(0)


async def approve(seat: Seat) -> None:
    """The button of the plan, and yes to its question."""
    await seat.action("recover_approve").click(timeout=WORK_MS)
    await seat.page.get_by_test_id("confirm-ok").click()


async def looks_right_on_a_phone(hall: Hall, room: str) -> None:
    """Nothing of a card is wider than a phone."""
    ben = await hall.sit("U0BEN", room, width=390, height=844)
    card = ben.message("RUN-1").last
    await expect(card).to_be_visible()
    # Measured in one look: a card is drawn anew whenever its message is edited.
    left, right, wide = await ben.page.evaluate(LAST_CARD, "RUN-1")
    assert left < right, "the card takes no room"
    assert left >= 0
    assert right <= 390
    assert wide <= 390


async def take_picture(seat: Seat, card: Locator, name: str) -> None:
    """The card alone. Nothing unless pictures are wanted."""
    if not KEEP_PICTURES:
        return
    await seat.page.set_viewport_size({"width": 1100, "height": 1400})
    await seat.page.mouse.move(0, 0)
    PICTURES.mkdir(exist_ok=True)
    await card.screenshot(path=PICTURES / name)
