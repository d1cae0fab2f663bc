"""People talk: messages, mentions, threads, reactions, pins, files, unread marks."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.seats import Stage
from tests.sandbox.slack_stage import soon

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_a_message_is_seen_by_everybody_once(stage: Stage) -> None:
    """Enter sends, Shift+Enter breaks the line, markup is text, and both people see one message."""
    ana, ben = await stage.sit("U0ANA"), await stage.sit("U0BEN")
    await ana.composer.type("Hello <b>*all*</b>")
    await ana.composer.press("Shift+Enter")
    await ana.composer.type("second line")
    await ana.composer.press("Enter")
    for seat in (ana, ben):
        await expect(seat.message("second line")).to_have_count(1)
        await expect(seat.message("Hello <b>all</b>")).to_have_count(1)
        await expect(seat.message("second line").locator(".content strong")).to_have_text("all")
    await expect(ana.composer).to_have_value("")


async def test_a_mention_completes_and_calls(stage: Stage) -> None:
    """@ offers people; the picked name travels as a mention and gives the other a badge and a mark in the list."""
    ana, ben = await stage.sit("U0ANA", "C0INCIDENTS"), await stage.sit("U0BEN", "C0GENERAL")
    await ana.composer.type("@be")
    await expect(ana.page.get_by_test_id("completion").get_by_role("option").first).to_contain_text("Ben Adler")
    await ana.composer.press("Tab")
    await ana.composer.type("look")
    await ana.composer.press("Enter")
    await expect(ana.message("look").locator(".chip")).to_have_text("@Ben Adler")
    assert (await soon(stage.heard.messages))["text"] == "<@U0BEN> look"
    await expect(ben.channel("C0INCIDENTS").locator(".badge")).to_have_text("1")
    await ben.channel("C0INCIDENTS").click()
    await expect(ben.page.get_by_test_id("new-line")).to_be_visible()
    await expect(ben.message("look").locator(".chip-me")).to_have_text("@Ben Adler")
    await expect(ben.channel("C0INCIDENTS").locator(".badge")).to_have_count(0)


async def test_a_thread_opens_beside_the_channel(stage: Stage) -> None:
    """A reply stands in the thread, not in the channel, and the channel shows how many there are."""
    ana, ben = await stage.sit("U0ANA"), await stage.sit("U0BEN")
    await ana.say("Who is on it?")
    await ben.deed(ben.message("Who is on it?"), "reply")
    reply = ben.page.get_by_test_id("thread-composer")
    await reply.fill("I am")
    await reply.press("Enter")
    await expect(ben.thread).to_have_count(2)
    await expect(ana.message("I am")).to_have_count(0)
    await ana.message("Who is on it?").get_by_test_id("thread-link").click()
    await expect(ana.thread.nth(1)).to_contain_text("I am")
    await ana.page.keyboard.press("Escape")
    await expect(ana.page.get_by_test_id("pane")).to_be_hidden()


async def test_reactions_are_counted_and_taken_back(stage: Stage) -> None:
    """A picked emoji appears at both; another click on it joins in, one more takes it back."""
    ana, ben = await stage.sit("U0ANA"), await stage.sit("U0BEN")
    await ana.say("Deployed")
    await ana.deed(ana.message("Deployed"), "react")
    await ana.page.get_by_test_id("emoji-picker").get_by_role("searchbox").fill("rocket")
    await ana.page.keyboard.press("Enter")
    mark = ben.message("Deployed").locator('[data-reaction="rocket"]')
    await expect(mark).to_contain_text("1")
    await mark.click()
    await expect(ana.message("Deployed").locator('[data-reaction="rocket"]')).to_contain_text("2")
    await mark.click()
    await expect(mark).to_have_attribute("aria-pressed", "false")


async def test_ones_own_message_is_edited_and_deleted(stage: Stage) -> None:
    """The arrow key opens the last message of one's own; an edited message says so; a deleted one is gone for all."""
    ana, ben = await stage.sit("U0ANA"), await stage.sit("U0BEN")
    await ana.say("It is the databse")
    await expect(ana.message("databse")).to_have_count(1)
    await ana.composer.press("ArrowUp")
    field = ana.page.get_by_test_id("edit-field")
    await field.fill("It is the database")
    await field.press("Enter")
    await expect(ben.message("It is the database").locator(".edited")).to_be_visible()
    await ana.deed(ana.message("It is the database"), "more")
    await ana.page.locator('[data-deed="delete"]').click()
    await ana.page.get_by_test_id("delete-dialog-ok").click()
    await expect(ben.message("It is the database")).to_have_count(0)


async def test_a_pinned_message_is_at_hand(stage: Stage) -> None:
    """Pinning marks the message, raises the number in the head, and the pins open beside the channel."""
    ana = await stage.sit("U0ANA")
    await ana.say("The runbook is in the wiki")
    await ana.deed(ana.message("runbook"), "pin")
    await expect(ana.message("The runbook").first).to_have_class(re.compile(r"\bpinned\b"))
    await ana.page.get_by_test_id("show-pins").click()
    await expect(ana.page.get_by_test_id("pane").locator("article")).to_contain_text("The runbook is in the wiki")


async def test_channels_are_made_joined_and_left(stage: Stage) -> None:
    """A new channel opens; somebody else finds it, looks at it without being in it, and joins."""
    ana, ben = await stage.sit("U0ANA"), await stage.sit("U0BEN")
    await ana.page.get_by_test_id("create-channel").click()
    await ana.page.get_by_test_id("channel-name").fill("Plan B")
    await ana.page.get_by_test_id("channel-dialog-ok").click()
    await expect(ana.page.get_by_test_id("channel-name-heading")).to_contain_text("plan-b")
    await ben.page.get_by_test_id("browse-channels").click()
    await ben.page.get_by_test_id("channel-browser").locator('[data-channel-name="plan-b"] .browse-name').click()
    await ben.page.get_by_test_id("join-here").click()
    await ben.say("Here I am")
    await expect(ana.message("Here I am")).to_have_count(1)


async def test_files_are_previewed_and_downloaded(stage: Stage, tmp_path: Path) -> None:
    """An attached Markdown file shows its beginning, opens rendered, and downloads byte for byte."""
    report = tmp_path / "report.md"
    report.write_text("# Report\n\nAll is **well**.\n")
    ana = await stage.sit("U0ANA")
    await ana.page.get_by_test_id("composer-file").set_input_files(report)
    card = ana.page.get_by_test_id("file")
    await expect(card).to_contain_text("# Report")
    async with ana.page.expect_download() as download:
        await card.get_by_role("link", name="Download report.md").click()
    await (await download.value).save_as(tmp_path / "downloaded.md")
    assert (tmp_path / "downloaded.md").read_bytes() == report.read_bytes()
    await card.get_by_role("button", name="View").click()
    await expect(ana.page.get_by_test_id("file-dialog").locator("strong")).to_have_text("well")
