"""The app answers: commands and their completion, buttons, modals with errors, ephemeral messages, the Home tab."""

import pytest
from playwright.async_api import expect

from tests.browser.counterpart import Json, button, option, plain
from tests.browser.seats import Stage
from tests.sandbox.slack_stage import soon

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_a_command_completes_from_its_manifest(stage: Stage) -> None:
    """A slash lists the commands with hint and description; the hint's words complete; the app gets the line."""
    ana = await stage.sit()
    offers = ana.page.get_by_test_id("completion")
    await ana.composer.type("/in")
    await expect(offers.get_by_role("option")).to_contain_text("/incident")
    await expect(offers.get_by_role("option")).to_contain_text("hold <minutes> <reason>")
    await expect(offers.get_by_role("option")).to_contain_text("Declare and run an incident")
    await ana.composer.press("Enter")
    await expect(ana.composer).to_have_value("/incident ")
    await expect(offers.get_by_role("option")).to_have_count(5)
    await ana.composer.type("sta")
    await ana.composer.press("Tab")
    await ana.composer.type("INC-1")
    await ana.composer.press("Enter")
    body = await soon(stage.heard.commands)
    assert (body["command"], body["text"], body["user_id"]) == ("/incident", "status INC-1", "U0ANA")
    await expect(ana.composer).to_have_value("")


async def test_an_answer_is_only_for_the_one_who_asked(stage: Stage) -> None:
    """What the app acknowledges with is shown to that person alone, marked so, and can be dismissed."""
    ana, ben = await stage.sit("U0ANA"), await stage.sit("U0BEN")
    await ana.say("/incident help")
    answer = ana.message("ask declare")
    await expect(answer).to_contain_text("Only visible to you")
    await expect(answer.locator("strong", has_text="Help")).to_be_visible()
    await expect(ben.message("ask declare")).to_have_count(0)
    await ana.deed(answer, "dismiss")
    await expect(answer).to_have_count(0)


async def test_a_command_that_nobody_answers_is_said(stage: Stage) -> None:
    """After three seconds without an acknowledgement the person is told."""
    ana = await stage.sit()
    await ana.say("/incident slow")
    await expect(ana.page.get_by_test_id("toast")).to_contain_text("operation_timeout")


async def test_a_modal_is_filled_refused_and_submitted(stage: Stage) -> None:
    """Missing fields and the app's own errors stand under their fields; what was typed stays; then it goes."""
    ana = await stage.sit()
    await ana.say("/incident declare")
    await expect(ana.modal.get_by_role("heading")).to_have_text("Declare an incident")
    await expect(ana.action("title")).to_be_focused()
    submit = ana.page.get_by_test_id("modal-submit")
    await submit.click()
    errors = ana.page.get_by_test_id("field-error")
    await expect(errors).to_have_count(3)
    await ana.action("title").fill("x")
    await ana.choose("severity", "P1")
    await ana.choose("services", "Database", "Redis")
    await ana.choose("who", "Dev Patel")
    await ana.action("site").press_sequentially("fra")
    await ana.page.get_by_role("option", name="Frankfurt").click()
    await ana.action("since").fill("2026-01-31")
    await ana.modal.get_by_label("Private room").check()
    await ana.modal.get_by_label("All").check()
    await submit.click()
    await expect(errors).to_have_text(["Say what is broken."])
    await expect(ana.action("title")).to_be_focused()
    await ana.action("title").fill("Checkout is down")
    await submit.click()
    await expect(ana.modal).to_have_count(0)
    values = (await soon(stage.heard.submissions))["state"]["values"]
    assert values["title"]["title"]["value"] == "Checkout is down"
    assert values["severity"]["severity"]["selected_option"]["value"] == "p1"
    assert [one["value"] for one in values["services"]["services"]["selected_options"]] == ["database", "redis"]
    assert values["who"]["who"]["selected_user"] == "U0DEV"
    assert values["site"]["site"]["selected_option"]["value"] == "frankfurt"
    assert values["since"]["since"]["selected_date"] == "2026-01-31"
    assert [one["value"] for one in values["private"]["private"]["selected_options"]] == ["private room"]
    assert values["scale"]["scale"]["selected_option"]["value"] == "all"


async def test_a_pushed_modal_lies_on_top(stage: Stage) -> None:
    """Back returns to what was typed below; the x closes the whole stack."""
    ana = await stage.sit()
    await ana.say("/incident declare")
    await ana.action("title").fill("Half a sentence")
    await ana.action("help").click()
    await expect(ana.modal).to_contain_text("P0 is everything.")
    await ana.page.get_by_test_id("dialog-back").click()
    await expect(ana.action("title")).to_have_value("Half a sentence")
    await ana.action("help").click()
    await expect(ana.modal).to_contain_text("P0 is everything.")
    await ana.page.get_by_test_id("dialog-close").click()
    await expect(ana.modal).to_have_count(0)


async def test_a_button_asks_first_when_the_app_says_so(stage: Stage) -> None:
    """No means nothing is sent; yes sends the click with its value."""
    confirm = {
        "title": plain("Escalate?"),
        "text": plain("This calls Chloe."),
        "confirm": plain("Call"),
        "deny": plain("Wait"),
    }
    danger = button("escalate", "Escalate", style="danger", confirm=confirm)
    await stage.post("C0INCIDENTS", text="board", blocks=[{"type": "actions", "block_id": "a", "elements": [danger]}])
    ana = await stage.sit("U0ANA", "C0INCIDENTS")
    await ana.action("escalate").click()
    await expect(ana.page.get_by_test_id("confirm")).to_contain_text("This calls Chloe.")
    await ana.page.get_by_test_id("confirm-cancel").click()
    await ana.action("escalate").click()
    await ana.page.get_by_test_id("confirm-ok").click()
    clicked = (await soon(stage.heard.actions))["actions"][0]
    assert (clicked["action_id"], clicked["value"]) == ("escalate", "escalate")
    assert stage.heard.actions.empty()


async def test_a_click_shows_that_it_is_under_way(stage: Stage) -> None:
    """A button is busy until the app has acknowledged, and a second click meanwhile is not sent."""
    await stage.post("C0INCIDENTS", text="board", blocks=[{"type": "actions", "elements": [button("slow", "Slowly")]}])
    ana = await stage.sit("U0ANA", "C0INCIDENTS")
    await ana.action("slow").click()
    await expect(ana.action("slow")).to_have_attribute("aria-busy", "true")
    stage.heard.release.set()
    await expect(ana.action("slow")).to_have_attribute("aria-busy", "false")


async def test_menus_and_selects_of_a_message_act_at_once(stage: Stage) -> None:
    """An overflow and a select send what was picked; the select keeps showing it after the app edits the message."""
    severities = {"type": "static_select", "action_id": "sev", "options": [option("P1"), option("P2")]}
    more = {"type": "overflow", "action_id": "more", "options": [option("Hold"), option("Resume")]}
    blocks: list[Json] = [
        {"type": "section", "block_id": "s", "text": plain("Checkout"), "accessory": more},
        {"type": "actions", "block_id": "a", "elements": [severities]},
    ]
    ts = await stage.post("C0INCIDENTS", text="board", blocks=blocks)
    ana = await stage.sit("U0ANA", "C0INCIDENTS")
    await ana.action("more").click()
    await ana.page.keyboard.press("ArrowDown")
    await ana.page.keyboard.press("Enter")
    assert (await soon(stage.heard.actions))["actions"][0]["selected_option"]["value"] == "resume"
    await ana.choose("sev", "P2")
    assert (await soon(stage.heard.actions))["actions"][0]["selected_option"]["value"] == "p2"
    blocks[0]["text"] = plain("Checkout again")
    await stage.app.web().chat_update(channel="C0INCIDENTS", ts=ts, text="board", blocks=blocks)
    await expect(ana.message("Checkout again")).to_have_count(1)
    await expect(ana.action("sev")).to_have_value("P2")


async def test_the_home_tab_shows_what_the_app_publishes(stage: Stage) -> None:
    """Opening the tab tells the app, whose view appears and can be clicked."""
    ana = await stage.sit()
    await ana.page.get_by_test_id("app-row").click()
    await ana.page.get_by_test_id("tab-home").click()
    await expect(ana.page.get_by_test_id("home")).to_contain_text("Nothing is on fire")
    await ana.action("calm").click()
    assert (await soon(stage.heard.actions))["container"]["type"] == "view"
    await ana.page.get_by_test_id("tab-messages").click()
    await expect(ana.composer).to_be_visible()


async def test_a_message_shortcut_carries_its_message(stage: Stage) -> None:
    """The app's shortcuts stand in the message's menu and in the top bar."""
    ana = await stage.sit()
    await ana.say("Keep this")
    await ana.deed(ana.message("Keep this"), "more")
    await ana.page.locator('[data-shortcut="keep"]').click()
    assert (await soon(stage.heard.shortcuts))["message"]["text"] == "Keep this"
    await ana.page.get_by_test_id("shortcuts").click()
    await ana.page.locator('[data-shortcut="declare_anywhere"]').click()
    assert (await soon(stage.heard.shortcuts))["type"] == "shortcut"


async def test_an_edit_of_the_board_does_not_take_the_focus(stage: Stage) -> None:
    """While the app edits its message, the button one has reached by keyboard stays reached."""
    blocks: list[Json] = [
        {"type": "actions", "block_id": "a", "elements": [button("one", "One"), button("two", "Two")]}
    ]
    ts = await stage.post("C0INCIDENTS", text="first", blocks=blocks)
    ana = await stage.sit("U0ANA", "C0INCIDENTS")
    await ana.action("two").focus()
    blocks.append({"type": "section", "block_id": "s", "text": plain("Later")})
    await stage.app.web().chat_update(channel="C0INCIDENTS", ts=ts, text="second", blocks=blocks)
    await expect(ana.message("Later")).to_have_count(1)
    await expect(ana.action("two")).to_be_focused()
