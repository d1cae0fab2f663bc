"""What people do to the app, and what its acknowledgement does to their screen."""

from typing import Any

from . import payloads, pushes, responses, screens, shapes
from .delivery import Answer
from .errors import PersonError, SlackError
from .model import Channel, Json, Message, User, View, elements_of
from .text import typed
from .workspace import Workspace

REQUIRED = "Please complete this required field."
ACTION_FIELDS = (
    "value",
    "selected_option",
    "selected_options",
    "selected_user",
    "selected_users",
    "selected_channel",
    "selected_channels",
    "selected_conversation",
    "selected_conversations",
    "selected_date",
    "selected_time",
    "selected_date_time",
    "rich_text_value",
    "files",
)


def _outcome(answer: Answer, **more: Any) -> Json:
    shape: Json = {"ok": not answer.error, "acked_ms": answer.acked_ms, **more}
    return shape | ({"error": answer.error} if answer.error else {})


def _interactive(ws: Workspace) -> None:
    if not ws.app.interactivity:
        raise PersonError("This app has no interactivity enabled in its manifest.")


async def command(ws: Workspace, person: User, c: Channel, name: str, text: str) -> Json:
    """Run a slash command; the acknowledgement's message is shown to the person alone unless it says in_channel."""
    known = ws.app.commands.get(name)
    if known is None or "commands" not in ws.app.scopes:
        raise PersonError(f"{name} is not a valid command.")
    said = typed(ws, text, links=False) if known.should_escape else text
    answer = await ws.delivery.ask("slash_commands", payloads.command(ws, person, c, name, said))
    if answer.error:
        pushes.toast(ws, person.id, f'{name} failed with the error "{answer.error}"')
    elif answer.body:
        payload = {"text": answer.body} if isinstance(answer.body, str) else answer.body
        try:
            responses.say(ws, c, person.id, payload)
        except SlackError as error:
            pushes.toast(ws, person.id, f'{name} failed with the error "{error.code}"')
            return {"ok": False, "error": error.code, "acked_ms": answer.acked_ms}
    return _outcome(answer)


def find_element(blocks: list[Json], block_id: str, action_id: str) -> Json:
    """The element on the person's screen. Raises PersonError when it is not (or no longer) there."""
    for block in blocks:
        if block.get("block_id") == block_id:
            for element in elements_of(block):
                if element.get("action_id") == action_id:
                    return element
    raise PersonError("That control is no longer there.")


def _action(ws: Workspace, element: Json, block_id: str, given: Json) -> Json:
    """The `actions` entry of what was clicked or chosen."""
    action: Json = {
        "type": element["type"],
        "action_id": element["action_id"],
        "block_id": block_id,
        "action_ts": ws.stamp(),
    }
    if element["type"] == "button":
        action["text"] = element["text"]
        return action | {key: element[key] for key in ("value", "style", "url") if key in element}
    return action | {key: given[key] for key in ACTION_FIELDS if key in given}


def _state(element: Json, given: Json) -> Json | None:
    field = screens.STATE_FIELD.get(element["type"])
    return {"type": element["type"], field: given.get(field)} if field else None


async def message_action(ws: Workspace, person: User, m: Message, given: Json) -> Json:
    """Click or choose in a message."""
    _interactive(ws)
    block_id, action_id = str(given.get("block_id")), str(given.get("action_id"))
    element = find_element(m.all_blocks(), block_id, action_id)
    values = m.states.setdefault(person.id, screens.initial_state(m.all_blocks()))
    if state := _state(element, given):
        values.setdefault(block_id, {})[action_id] = state
    action = _action(ws, element, block_id, given)
    payload = payloads.message_action(ws, person, ws.channels[m.channel], m, action)
    return await _click(ws, person, payload)


async def view_action(ws: Workspace, person: User, v: View, given: Json) -> Json:
    """Click or choose in a modal or Home tab; `values` may carry what else was typed there so far."""
    _interactive(ws)
    block_id, action_id = str(given.get("block_id")), str(given.get("action_id"))
    element = find_element(v.blocks, block_id, action_id)
    fill(v, given.get("values") or {})
    if state := _state(element, given):
        v.values.setdefault(block_id, {})[action_id] = state
    return await _click(ws, person, payloads.view_action(ws, person, v, _action(ws, element, block_id, given)))


async def _click(ws: Workspace, person: User, payload: Json) -> Json:
    answer = await ws.delivery.ask("interactive", payload)
    if answer.error:
        pushes.toast(ws, person.id, f"{ws.app.name} did not respond: {answer.error}")
    return _outcome(answer)


async def options(ws: Workspace, person: User, given: Json, v: View | None, m: Message | None) -> Json:
    """Ask the app for an external select's options."""
    _interactive(ws)
    block_id, action_id = str(given.get("block_id")), str(given.get("action_id"))
    find_element(v.blocks if v else m.all_blocks() if m else [], block_id, action_id)
    payload = payloads.suggestion(ws, person, str(given.get("value", "")), block_id, action_id, v, m)
    answer = await ws.delivery.ask("interactive", payload)
    body = answer.body if isinstance(answer.body, dict) else {}
    if answer.error:
        pushes.toast(ws, person.id, f"{ws.app.name} did not respond: {answer.error}")
    chosen: Json = {key: body[key] for key in ("options", "option_groups") if key in body}
    return chosen or {"options": []}


async def shortcut(ws: Workspace, person: User, callback_id: str, c: Channel | None, m: Message | None) -> Json:
    """Start a global shortcut or, on a message, a message shortcut."""
    known = ws.app.shortcuts.get(callback_id)
    if known is None or (known.type == "message") != (m is not None):
        raise PersonError("There is no such shortcut here.")
    return await _click(ws, person, payloads.shortcut(ws, person, callback_id, c, m))


def fill(v: View, values: dict[str, Any]) -> None:
    """Take over what a person entered: block_id -> action_id -> state (type is added when missing)."""
    for block in v.blocks:
        for element in elements_of(block):
            field = screens.STATE_FIELD.get(element["type"])
            given = values.get(block["block_id"], {}).get(element.get("action_id"))
            if field and isinstance(given, dict):
                state = {"type": element["type"], field: given.get(field) or ([] if field.endswith("s") else None)}
                v.values.setdefault(block["block_id"], {})[element["action_id"]] = state


def mistakes(v: View) -> dict[str, str]:
    """What Slack itself refuses before the app hears of it: block_id -> complaint."""
    found = {}
    for block in v.blocks:
        if block["type"] != "input":
            continue
        element = block["element"]
        field = screens.STATE_FIELD[element["type"]]
        value = v.values.get(block["block_id"], {}).get(element["action_id"], {}).get(field)
        if value in (None, "", []):
            if not block.get("optional"):
                found[block["block_id"]] = REQUIRED
        elif complaint := _unfit(element, value):
            found[block["block_id"]] = complaint
    return found


def _unfit(element: Json, value: Any) -> str:
    if element["type"] == "number_input":
        return _unfit_number(element, str(value))
    if element["type"] == "email_text_input" and "@" not in str(value):
        return "Please enter a valid email address."
    if element["type"] == "url_text_input" and not str(value).startswith(("http://", "https://")):
        return "Please enter a valid URL."
    if element["type"] == "plain_text_input":
        if len(value) < element.get("min_length", 0):
            return f"Please enter at least {element['min_length']} characters."
        if len(value) > element.get("max_length", 3000):
            return f"Please enter at most {element.get('max_length', 3000)} characters."
    return ""


def _unfit_number(element: Json, value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        return "Please enter a number."
    if not element.get("is_decimal_allowed") and not number.is_integer():
        return "Please enter a whole number."
    if "min_value" in element and number < float(element["min_value"]):
        return f"Please enter a number of at least {element['min_value']}."
    if "max_value" in element and number > float(element["max_value"]):
        return f"Please enter a number of at most {element['max_value']}."
    return ""


async def submit(ws: Workspace, person: User, v: View, values: dict[str, Any]) -> Json:
    """Submit a modal. Required fields and lengths are checked here, the rest by the app's acknowledgement."""
    _interactive(ws)
    fill(v, values)
    if found := mistakes(v):
        return {"ok": True, "response_action": "errors", "errors": found, "acked_ms": 0}
    answer = await ws.delivery.ask("interactive", payloads.submission(ws, person, v))
    if answer.error:
        pushes.toast(ws, person.id, f"We had some trouble connecting. Try again? ({answer.error})")
        return _outcome(answer)
    try:
        done = _obey(ws, v, answer.body if isinstance(answer.body, dict) else {})
    except SlackError as error:
        detail = error.extra.get("errors", [error.code])
        pushes.toast(ws, person.id, f"We had some trouble connecting. Try again? ({'; '.join(detail)})")
        return {"ok": False, "error": error.code, "acked_ms": answer.acked_ms}
    return _outcome(answer, **done)


def _obey(ws: Workspace, v: View, ack: Json) -> Json:
    """Apply a view_submission acknowledgement. Raises SlackError when it makes no sense to Slack."""
    what = ack.get("response_action")
    if what == "errors":
        return {"response_action": what, "errors": _errors(v, ack.get("errors"))}
    if what in ("update", "push"):
        content = screens.body(ws, ack.get("view"), "modal")
        new = screens.change(ws, v, content) if what == "update" else screens.push_modal(ws, v.user, content)
        return {"response_action": what, "view": shapes.view(ws, new)}
    if what not in (None, "clear"):
        raise SlackError("invalid_response_action")
    screens.close_modal(ws, v, clear=what == "clear")
    return {"response_action": what or "close"}


def _errors(v: View, errors: object) -> dict[str, str]:
    inputs = {block["block_id"] for block in v.blocks if block["type"] == "input"}
    if not isinstance(errors, dict) or not errors or not inputs.issuperset(errors):
        raise SlackError("invalid_errors")
    return {str(key): str(value) for key, value in errors.items()}


async def close(ws: Workspace, person: User, v: View, *, clear: bool) -> Json:
    """Close a modal: one (Cancel), or the whole stack (the x), which names the root view."""
    clear = clear or bool(v.body.get("clear_on_close"))
    named = ws.views.get(v.root, v) if clear else v
    wanted = bool(named.body.get("notify_on_close"))
    payload = payloads.closed(ws, person, named, cleared=clear)
    screens.close_modal(ws, v, clear=clear)
    if wanted:
        await ws.delivery.ask("interactive", payload)
    return {"ok": True}
