"""Modals and the Home tab."""

import asyncio
from typing import Any

from tests.sandbox.slack_stage import Clock, connected, error_of, pushed, soon, staged, watching


def plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def modal(title: str = "Title", *blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": "m",
        "title": plain(title),
        "submit": plain("Go"),
        "blocks": list(blocks),
        **more,
    }


def text_input(block_id: str = "what", **more: Any) -> dict[str, Any]:
    element = {"type": "plain_text_input", "action_id": "value", **more}
    return {"type": "input", "block_id": block_id, "label": plain("What"), "element": element}


HOME = {"type": "home", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "Welcome"}}]}


async def test_a_trigger_lives_three_seconds_and_opens_one_view() -> None:
    """Late: expired_trigger_id. Twice: exchanged_trigger_id."""
    clock = Clock()
    async with staged(clock=clock) as slack:
        client, fresh, late = slack.web(), slack.ws.tickets.trigger("U0ANA"), slack.ws.tickets.trigger("U0ANA")
        clock.now += 3
        assert await error_of(client.views_open(trigger_id=fresh, view=modal())) == ""
        assert await error_of(client.views_open(trigger_id=fresh, view=modal())) == "exchanged_trigger_id"
        clock.now += 0.001
        assert await error_of(client.views_open(trigger_id=late, view=modal())) == "expired_trigger_id"


async def test_at_most_three_modals_lie_on_each_other() -> None:
    """The fourth is push_limit_reached; each knows its root and the one below."""
    async with staged() as slack:
        client = slack.web()

        def trigger() -> str:
            return slack.ws.tickets.trigger("U0ANA")

        assert await error_of(client.views_push(trigger_id=trigger(), view=modal())) == "not_found"
        root = (await client.views_open(trigger_id=trigger(), view=modal("1")))["view"]
        second = (await client.views_push(trigger_id=trigger(), view=modal("2")))["view"]
        third = (await client.views_push(trigger_id=trigger(), view=modal("3")))["view"]
        assert (third["root_view_id"], third["previous_view_id"]) == (root["id"], second["id"])
        assert await error_of(client.views_push(trigger_id=trigger(), view=modal())) == "push_limit_reached"
        ana = slack.person()
        await ana.post("view/close", view_id=third["id"], clear=False)
        assert [view["title"]["text"] for view in await ana.views()] == ["1", "2"]
        await ana.post("view/close", view_id=second["id"], clear=True)
        assert await ana.views() == []
        assert await error_of(client.views_update(view_id=root["id"], view=modal())) == "not_found"


async def test_an_update_with_an_old_hash_is_a_conflict_and_keeps_what_was_typed() -> None:
    """hash guards against racing updates; the same block and action keep their state."""
    async with staged() as slack:
        client, ana = slack.web(), slack.person()
        select = {
            "type": "section",
            "block_id": "pick",
            "text": plain("Pick"),
            "accessory": {
                "type": "static_select",
                "action_id": "value",
                "options": [{"text": plain("P1"), "value": "P1"}],
            },
        }
        opened = (await client.views_open(trigger_id=slack.ws.tickets.trigger("U0ANA"), view=modal("1", select)))[
            "view"
        ]
        await ana.click(
            {"type": "view", "view_id": opened["id"]},
            "pick",
            "value",
            selected_option={"text": plain("P1"), "value": "P1"},
        )
        changed = await client.views_update(view_id=opened["id"], hash=opened["hash"], view=modal("2", select))
        assert changed["view"]["state"]["values"]["pick"]["value"]["selected_option"]["value"] == "P1"
        conflict = client.views_update(view_id=opened["id"], hash=opened["hash"], view=modal("3", select))
        assert await error_of(conflict) == "hash_conflict"


async def test_an_external_id_is_unique_and_finds_its_view() -> None:
    """Two open views cannot share one; it is free again when its view is closed."""
    async with staged() as slack:
        client = slack.web()

        def trigger(user: str = "U0ANA") -> str:
            return slack.ws.tickets.trigger(user)

        opened = (await client.views_open(trigger_id=trigger(), view=modal(external_id="inc-1")))["view"]
        twice = client.views_open(trigger_id=trigger("U0BEN"), view=modal(external_id="inc-1"))
        assert await error_of(twice) == "duplicate_external_id"
        updated = await client.views_update(external_id="inc-1", view=modal("New", external_id="inc-1"))
        assert updated["view"]["id"] == opened["id"]
        await slack.person().post("view/close", view_id=opened["id"], clear=False)
        assert await error_of(client.views_open(trigger_id=trigger(), view=modal(external_id="inc-1"))) == ""


async def test_the_home_tab_is_published_and_opening_it_is_an_event() -> None:
    """views.publish shows at once; app_home_opened names the tab."""
    async with staged() as slack:
        app, ana = slack.bolt(), slack.person()
        heard: asyncio.Queue[Any] = asyncio.Queue()

        @app.event("app_home_opened")
        async def opened(event: Any, client: Any) -> None:
            heard.put_nowait(event["tab"])
            await client.views_publish(user_id=event["user"], view=HOME)

        async with connected(slack, app), watching(ana) as screen:
            assert (await ana.post("home", tab="home"))["view"] is None
            assert await soon(heard) == "home"
            home = (await pushed(screen, "home"))["view"]
            assert home["blocks"][0]["text"]["text"] == "Welcome"
            assert (await ana.post("home", tab="messages"))["view"]["id"] == home["id"]
            assert await soon(heard) == "messages"
        stale = slack.web().views_publish(user_id="U0ANA", view=HOME, hash="1.1")
        assert await error_of(stale) == "hash_conflict"


async def test_an_acknowledgement_can_push_update_and_clear() -> None:
    """A submit walks through pushed and updated views; clear closes all of them."""
    async with staged() as slack:
        app, ana = slack.bolt(), slack.person()
        answers: list[dict[str, Any]] = [
            {"response_action": "push", "view": modal("Second")},
            {"response_action": "update", "view": modal("Changed")},
            {"response_action": "update", "view": {"type": "modal"}},
            {"response_action": "errors", "errors": {"nowhere": "x"}},
            {"response_action": "clear"},
        ]

        @app.view("m")
        async def submitted(ack: Any) -> None:
            await ack(**answers.pop(0))

        async with connected(slack, app), watching(ana) as screen:
            await slack.web().views_open(trigger_id=slack.ws.tickets.trigger("U0ANA"), view=modal("First"))

            async def submit() -> Any:
                return await ana.post("view/submit", view_id=(await ana.views())[-1]["id"], values={})

            async def titles() -> list[str]:
                return [view["title"]["text"] for view in await ana.views()]

            assert (await submit())["response_action"] == "push"
            assert await titles() == ["First", "Second"]
            assert (await submit())["response_action"] == "update"
            assert await titles() == ["First", "Changed"]
            assert (await submit())["error"] == "invalid_arguments"
            assert "missing required field" in (await pushed(screen, "toast"))["text"]
            assert (await submit())["error"] == "invalid_errors"
            assert (await submit())["response_action"] == "clear"
            assert await titles() == []


async def test_closing_is_told_when_the_view_asks_for_it() -> None:
    """view_closed: Cancel names its own view, the x names the root and is_cleared."""
    async with staged() as slack:
        app, ana, client = slack.bolt(), slack.person(), slack.web()
        heard: asyncio.Queue[Any] = asyncio.Queue()

        @app.view_closed("m")
        async def closed(ack: Any, body: Any) -> None:
            await ack()
            heard.put_nowait((body["view"]["id"], body["is_cleared"]))

        async with connected(slack, app):
            view = modal(notify_on_close=True)
            root = (await client.views_open(trigger_id=slack.ws.tickets.trigger("U0ANA"), view=view))["view"]
            top = (await client.views_push(trigger_id=slack.ws.tickets.trigger("U0ANA"), view=view))["view"]
            await ana.post("view/close", view_id=top["id"], clear=False)
            assert await soon(heard) == (top["id"], False)
            top = (await client.views_push(trigger_id=slack.ws.tickets.trigger("U0ANA"), view=view))["view"]
            await ana.post("view/close", view_id=top["id"], clear=True)
            assert await soon(heard) == (root["id"], True)


async def test_slack_itself_checks_inputs_before_the_app_hears_of_them() -> None:
    """Required, length, number and address: refused on the page, without a word to the app."""
    async with staged() as slack:
        ana = slack.person()
        number = text_input("count") | {
            "element": {"type": "number_input", "action_id": "value", "is_decimal_allowed": False, "max_value": "9"}
        }
        mail = text_input("mail") | {"element": {"type": "email_text_input", "action_id": "value"}}
        optional = text_input("more") | {"optional": True}
        view = modal("Form", text_input("short", max_length=3), number, mail, optional)
        opened = (await slack.web().views_open(trigger_id=slack.ws.tickets.trigger("U0ANA"), view=view))["view"]

        async def errors(**values: str) -> Any:
            given = {block: {"value": {"value": value}} for block, value in values.items()}
            return (await ana.post("view/submit", view_id=opened["id"], values=given)).get("errors")

        assert set(await errors()) == {"short", "count", "mail"}
        assert set(await errors(short="abcd", count="x", mail="nobody")) == {"short", "count", "mail"}
        assert set(await errors(short="abc", count="10", mail="a@b.example")) == {"count"}
        assert await errors(short="abc", count="9", mail="a@b.example") is None


async def test_an_external_select_asks_the_app_for_options() -> None:
    """block_suggestion carries what was typed; the answer's options come back."""
    async with staged() as slack:
        app, ana = slack.bolt(), slack.person()

        @app.options("pick")
        async def options(ack: Any, payload: Any) -> None:
            await ack(options=[{"text": plain(payload["value"]), "value": "1"}])

        select = {"type": "external_select", "action_id": "pick", "min_query_length": 0}
        block = {"type": "input", "block_id": "b", "label": plain("Pick"), "element": select}
        async with connected(slack, app):
            view = (await slack.web().views_open(trigger_id=slack.ws.tickets.trigger("U0ANA"), view=modal("T", block)))[
                "view"
            ]
            found = await ana.post("options", view_id=view["id"], block_id="b", action_id="pick", value="red")
        assert found == {"options": [{"text": plain("red"), "value": "1"}]}


async def test_shortcuts_start_from_anywhere_or_from_a_message() -> None:
    """A global shortcut has no channel; a message shortcut carries its message."""
    async with staged() as slack:
        app, ana = slack.bolt(), slack.person()
        heard: asyncio.Queue[Any] = asyncio.Queue()

        @app.shortcut("declare_anywhere")
        @app.shortcut("keep")
        async def started(ack: Any, body: Any) -> None:
            await ack()
            heard.put_nowait((body["type"], body.get("channel", {}).get("id"), body.get("message", {}).get("text")))

        async with connected(slack, app):
            said = await ana.post("message", channel="C0GENERAL", text="it broke")
            assert (await ana.post("shortcut", callback_id="declare_anywhere"))["ok"]
            assert (await ana.post("shortcut", callback_id="keep", channel="C0GENERAL", ts=said["ts"]))["ok"]
            assert await soon(heard) == ("shortcut", None, None)
            assert await soon(heard) == ("message_action", "C0GENERAL", "it broke")
        assert "error" in await ana.post("shortcut", callback_id="keep")
