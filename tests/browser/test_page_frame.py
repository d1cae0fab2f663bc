"""The page itself: narrow, dark, by keyboard, after a broken connection, as another person, the phone, the panel."""

import asyncio
import re
import time

import pytest
from playwright.async_api import expect

from sandbox.slack import posting
from tests.browser.counterpart import button, plain
from tests.browser.seats import Stage
from tests.sandbox.slack_stage import soon

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_it_fits_a_phone(stage: Stage) -> None:
    """At 390 pixels nothing scrolls sideways, the channels are a drawer, a thread takes the whole width."""
    wide = {"type": "section", "text": {"type": "mrkdwn", "text": "`" + "x" * 300 + "`"}}
    board = {"type": "actions", "elements": [button(f"b{n}", f"Button number {n}") for n in range(6)]}
    await stage.post("C0INCIDENTS", text="board", blocks=[wide, board])
    ana = await stage.sit("U0ANA", "C0INCIDENTS", width=390, height=844)
    await expect(ana.sidebar).to_be_hidden()
    await ana.page.get_by_test_id("open-drawer").click()
    await ana.channel("C0GENERAL").click()
    await expect(ana.sidebar).to_be_hidden()
    await ana.say("Short")
    await ana.deed(ana.message("Short"), "reply")
    await expect(ana.page.get_by_test_id("thread-composer")).to_be_visible()
    await ana.page.get_by_test_id("close-pane").click()
    await ana.say("/incident declare")
    await expect(ana.modal).to_be_visible()
    for _ in ("the modal", "the board"):
        assert await ana.page.evaluate("document.documentElement.scrollWidth") == 390
        assert await ana.page.evaluate("document.querySelector('#messages').scrollWidth") <= 390
        await ana.page.goto(f"{stage.practice.url}/?user=U0ANA&channel=C0INCIDENTS")
        await expect(ana.message("Button number 5")).to_be_visible()


async def test_dark_follows_the_system_and_can_be_changed(stage: Stage) -> None:
    """The colours follow the system until the person chooses, and the choice survives a reload."""
    ana = await stage.sit(colours="dark")
    background = "getComputedStyle(document.querySelector('#main')).backgroundColor"
    dark = await ana.page.evaluate(background)
    await ana.page.get_by_test_id("theme").click()
    light = await ana.page.evaluate(background)
    assert (dark, light) == ("rgb(27, 26, 30)", "rgb(255, 255, 255)")
    await ana.page.reload()
    assert await ana.page.evaluate(background) == light


async def test_everything_by_keyboard(stage: Stage) -> None:
    """Jump to a channel, write, walk to a message, react, open its thread and come back, without a mouse."""
    ana = await stage.sit()
    key = ana.page.keyboard
    await key.press("Control+k")
    await expect(ana.page.get_by_test_id("jump-field")).to_be_focused()
    await key.type("incid")
    await key.press("Enter")
    await expect(ana.page.get_by_test_id("channel-name-heading")).to_contain_text("incidents")
    await expect(ana.composer).to_be_focused()
    await key.type("First")
    await key.press("Enter")
    await expect(ana.message("First")).to_have_count(1)
    await key.type("Second")
    await key.press("Enter")
    await expect(ana.message("Second")).to_have_count(1)
    await key.press("Shift+F6")
    await key.press("ArrowUp")
    await expect(ana.message("First")).to_be_focused()
    await key.press("r")
    await key.type("eyes")
    await key.press("Enter")
    await expect(ana.message("First").locator('[data-reaction="eyes"]')).to_be_visible()
    await expect(ana.page.locator(":focus")).to_have_count(1)
    await ana.message("First").focus()
    await key.press("t")
    await expect(ana.page.get_by_test_id("thread-composer")).to_be_focused()
    await key.press("Escape")
    await expect(ana.message("First")).to_be_focused()
    await key.press("Alt+ArrowDown")
    await expect(ana.page.get_by_test_id("channel-name-heading")).to_contain_text("status")


async def test_a_modal_by_keyboard(stage: Stage) -> None:
    """Tab reaches the select, letters search it, Esc closes first the list, then the modal."""
    ana = await stage.sit()
    await ana.say("/incident declare")
    key = ana.page.keyboard
    await expect(ana.action("title")).to_be_focused()
    await key.type("Checkout")
    await key.press("Tab")
    await expect(ana.action("severity")).to_be_focused()
    await key.press("ArrowDown")
    await key.press("Escape")
    await expect(ana.modal).to_be_visible()
    await key.type("p2")
    await key.press("Enter")
    await expect(ana.action("severity")).to_have_value("P2")
    await key.press("Escape")
    await expect(ana.modal).to_have_count(0)
    await expect(ana.composer).to_be_focused()


async def test_nothing_is_lost_or_doubled_over_a_broken_connection(stage: Stage) -> None:
    """While nobody is reached the page says so; afterwards it has what was said meanwhile, and everything once."""
    stage.forgiven = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "WebSocket connection to")
    ana = await stage.sit()
    await ana.say("Before")
    await expect(ana.message("Before")).to_have_count(1)
    slack = stage.practice.slack
    await stage.practice.door.shut()
    await slack.hub.close()
    await expect(ana.page.get_by_test_id("banner")).to_contain_text("Reconnecting")
    posting.post(slack, slack.channels["C0GENERAL"], "Meanwhile", user="U0BEN")
    await stage.practice.door.start()
    await expect(ana.message("Meanwhile")).to_have_count(1)
    await expect(ana.page.get_by_test_id("banner")).to_be_hidden()
    await ana.say("After")
    await expect(ana.messages.locator(".text")).to_have_text(["Before", "Meanwhile", "After"])


async def test_a_message_that_could_not_leave_stays_in_the_field(stage: Stage) -> None:
    """When the sandbox does not answer, the person keeps the text and is told."""
    stage.forgiven = ("ERR_FAILED",)
    ana = await stage.sit()
    await ana.page.route("**/ui/message", lambda route: route.abort())
    await ana.say("Important")
    await expect(ana.page.get_by_test_id("toast")).to_contain_text("does not answer")
    await expect(ana.composer).to_have_value("Important")


async def test_one_becomes_somebody_else(stage: Stage) -> None:
    """The switcher changes who acts, what is visible, and survives a reload."""
    ana = await stage.sit("U0ANA", "C0INCIDENTS")
    await ana.page.get_by_test_id("switcher").click()
    await ana.page.get_by_test_id("people").locator('[data-user="U0CHLOE"]').click()
    await expect(ana.page.get_by_test_id("switcher")).to_contain_text("Chloe Martin")
    await ana.say("Chloe here")
    await expect(ana.message("Chloe here").locator(".author")).to_have_text("Chloe Martin")
    await ana.page.reload()
    await expect(ana.page.get_by_test_id("switcher")).to_contain_text("Chloe Martin")
    assert (await soon(stage.heard.messages))["user"] == "U0CHLOE"


async def test_the_phone_rings_and_is_answered(stage: Stage) -> None:
    """A page from PagerDuty rings at the one who is called; acknowledging there acknowledges the incident."""
    ana, ben = await stage.sit("U0ANA"), await stage.sit("U0BEN")
    account = stage.practice.pagerduty.account
    incident = account.trigger(time.time(), account.people["PANAORT"], title="Checkout is down", key="INC-1")
    call = ana.page.get_by_test_id("call")
    await expect(call).to_contain_text("Checkout is down")
    await expect(ben.page.get_by_test_id("open-phone").locator(".badge")).to_have_text("1")
    await expect(ben.page.get_by_test_id("phone")).to_be_hidden()
    assert "Ringing" in await ana.page.title()
    await call.get_by_test_id("call-acknowledge").click()
    await expect(call).to_have_count(0)
    assert incident.status == "acknowledged"


async def test_people_are_told_how_to_answer(stage: Stage) -> None:
    """The phone's list sets who acknowledges after how long, and who never does."""
    ana = await stage.sit()
    await ana.page.get_by_test_id("open-phone").click()
    await ana.page.get_by_test_id("phone-people").locator("summary").click()
    choice = ana.page.get_by_label("Chloe Martin")
    await choice.select_option("60")
    await expect(choice).to_have_value("60")
    chloe = stage.practice.pagerduty.people["PCHLOEM"]
    assert (chloe.mode, chloe.after) == ("acks", 60.0)


async def test_the_panel_breaks_and_mends(stage: Stage) -> None:
    """A part is broken by its button, shown broken on the panel and on the top bar, and mended again."""
    ana = await stage.sit()
    await ana.page.get_by_test_id("open-panel").click()
    part = ana.page.get_by_test_id("panel").locator('.part[data-part="pagerduty"]')
    await part.locator('[data-action="down"]').click()
    await expect(part).to_have_attribute("data-state", "down")
    await expect(ana.page.get_by_test_id("open-panel").locator(".badge")).to_have_text("1")
    assert not stage.practice.pagerduty_door.open
    await part.locator('[data-action="up"]').click()
    await expect(part).to_have_attribute("data-state", "up")
    await ana.page.keyboard.press("Escape")
    await expect(ana.page.get_by_test_id("panel")).to_be_hidden()


async def test_the_practice_clock_is_turned(stage: Stage) -> None:
    """The panel's clock changes how long a minute takes, and the top bar says so."""
    ana = await stage.sit()
    await ana.page.get_by_test_id("open-panel").click()
    await ana.page.locator('[data-clock="6"]').click()
    await expect(ana.page.get_by_test_id("practice-clock")).to_contain_text("1 min = 6 s")
    assert stage.practice.seconds_per_minute == 6


async def test_what_is_not_known_is_shown_as_such(stage: Stage) -> None:
    """A block the page cannot draw is a labelled placeholder, and the rest of the message is there."""
    slack = stage.practice.slack
    blocks = [{"type": "hologram", "block_id": "h"}, {"type": "header", "block_id": "t", "text": plain("Title")}]
    posting.post(slack, slack.channels["C0GENERAL"], "odd", user="U0BOT", bot_id="B0BOT", blocks=blocks)
    ana = await stage.sit()
    await expect(ana.page.get_by_test_id("unknown-block")).to_contain_text("Unsupported block: hologram")
    await expect(ana.messages.get_by_role("heading")).to_have_text("Title")


async def test_a_press_outlasts_what_happens_meanwhile(stage: Stage) -> None:
    """While a button is held down the page draws nothing under the finger; the click counts, then the news is shown."""
    ana = await stage.sit("U0ANA", "C0GENERAL")
    row = ana.channel("C0INCIDENTS")
    await row.hover()
    await ana.page.mouse.down()
    await stage.post("C0STATUS", text="Meanwhile")
    unread = "async () => (await import('/page/js/store.js')).state.channels.get('C0STATUS').unread === 1"
    await ana.page.wait_for_function(unread)
    await expect(ana.channel("C0STATUS")).not_to_have_class(re.compile("unread"))
    await ana.page.mouse.up()
    await expect(ana.page.get_by_test_id("channel-name-heading")).to_contain_text("incidents")
    await expect(ana.channel("C0STATUS")).to_have_class(re.compile("unread"))


async def test_a_phone_that_changes_all_the_time_is_still_shown(stage: Stage) -> None:
    """However fast the news comes, each look at the phones that was begun is finished and drawn."""
    ana = await stage.sit()
    account = stage.practice.pagerduty.account
    news = asyncio.create_task(_tell_without_end(stage))
    account.trigger(time.time(), account.people["PANAORT"], title="Checkout is down", key="INC-1")
    await expect(ana.page.get_by_test_id("call")).to_contain_text("Checkout is down")
    news.cancel()


async def _tell_without_end(stage: Stage) -> None:
    while True:
        stage.practice.tell("phone")
        await asyncio.sleep(0.001)
