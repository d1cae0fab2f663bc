"""What can be done to an incident: each verb once, for the command, the button and the window alike.

A verb's fields are its window and its command line. `parse` reads the words of the command into the same values that a
submitted window gives, so both ways are one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot import escalation, lifecycle, notices, owed
from bot.errors import BadInput
from bot.incident import Ack, Person, Role, Scenario, Severity, Status, clean_line, clean_text
from bot.rules import Case, Change, Rules
from bot.timeline import Note
from handlers.blocks import Block, as_typed, option, person_select, select, text_input
from handlers.declare import started

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """Who asks, with which values, by which rules; `names` gives a person's name for an id."""

    by: Person
    values: Values
    rules: Rules
    names: Mapping[str, str]

    def text(self, name: str, what: str, longest: int = 500) -> str:
        return _text(self.values, name, what, longest)


def _text(values: Values, name: str, what: str, longest: int = 500) -> str:
    """A field of typed text, cleaned; empty when it was left empty. Raises BadInput."""
    return clean_text(str(values.get(name, "")), what, longest)


Decide = Callable[[Case, Asked, datetime], Change]


@dataclass(frozen=True)
class Verb:
    """`window` None = nothing to ask; `parse` reads the command's words, as Slack spells them, into what a window gives.

    `read` takes from the values what they must hold, raising BadInput. `done` is said to the person privately; the room hears
    it in its own words.
    """

    name: str
    usage: str
    help: str
    decide: Decide
    done: str
    responder: bool = True
    title: str = ""
    window: Callable[[Case], Sequence[Block]] | None = None
    parse: Callable[[str], Values] = lambda text: {"reason": as_typed(text)}
    read: Callable[[Values], object] = lambda _values: None

    def wrong(self, values: Values) -> dict[str, str]:
        """What is wrong with a submitted window, by input, as far as it can be seen without the incident."""
        try:
            self.read(values)
        except BadInput as error:
            return {error.field: str(error)} if error.field in ("minutes", "reason", "text") else {}
        return {}


def _ack(case: Case, asked: Asked, now: datetime) -> Change:
    return escalation.acknowledge(case, Ack(asked.by, now, "slack"), asked.rules, now)


def _escalate(case: Case, asked: Asked, now: datetime) -> Change:
    return escalation.escalate(case, asked.by, asked.text("reason", "reason"), asked.rules, now)


_SPAN = re.compile(r"^(\d{1,4})\s*(m|min|minutes?|h|hours?)?$", re.IGNORECASE)


def minutes(text: str, what: str = "to hold for") -> timedelta:
    """`15`, `15m`, `2h` → a span of at least a minute and at most a day. Raises BadInput."""
    match = _SPAN.match(text.strip())
    span = timedelta(0)
    if match:
        unit = (match[2] or "m").lower()
        span = timedelta(hours=int(match[1])) if unit.startswith("h") else timedelta(minutes=int(match[1]))
    if not timedelta(minutes=1) <= span <= timedelta(days=1):
        raise BadInput(
            f"`{text or 'nothing'}` is not a time {what}. Say minutes from 1 to 1440, such as `15m`.", "minutes"
        )
    return span


def _read_hold(values: Values) -> tuple[timedelta, str]:
    span = minutes(str(values.get("minutes", "")))
    reason = _text(values, "reason", "reason")
    if not reason:
        raise BadInput(
            "Say why the ladder is held: `/incident hold 15m <reason>`. The people it would call will ask.", "reason"
        )
    return span, reason


def _hold(case: Case, asked: Asked, now: datetime) -> Change:
    span, reason = _read_hold(asked.values)
    return escalation.hold(case, asked.by, span, reason, asked.rules, now)


def _resume(case: Case, asked: Asked, now: datetime) -> Change:
    return escalation.resume(case, asked.by, now)


def severity_of(text: str) -> Severity:
    """Raises BadInput."""
    try:
        return Severity(text.upper())
    except ValueError:
        raise BadInput(f"`{text or 'nothing'}` is no severity. Say P0, P1, P2 or P3.", "severity") from None


def _severity(case: Case, asked: Asked, now: datetime) -> Change:
    severity = severity_of(str(asked.values.get("severity", "")))
    return escalation.change_severity(case, severity, asked.by, asked.text("reason", "reason"), asked.rules, now)


SETTABLE = (Status.INVESTIGATING, Status.IDENTIFIED, Status.MONITORING)


def _status(case: Case, asked: Asked, now: datetime) -> Change:
    text = str(asked.values.get("status", "")).lower()
    if text not in SETTABLE:
        raise BadInput(
            f"`{text or 'nothing'}` is no status to set. Say investigating, identified or monitoring; `resolve` ends it.",
            "status",
        )
    return lifecycle.set_status(case, Status(text), asked.by, asked.text("reason", "reason"), asked.rules, now)


def _assign(case: Case, asked: Asked, now: datetime) -> Change:
    role = str(asked.values.get("role", "")).lower()
    if role not in set(Role):
        raise BadInput(f"`{role or 'nothing'}` is no role. Say commander, communications or scribe.", "role")
    user = str(asked.values.get("person", "")) or asked.by.id
    to = asked.by if user == asked.by.id else Person(user, asked.names.get(user, user))
    return lifecycle.assign(case, Role(role), to, asked.by, now)


def _read_update(values: Values) -> tuple[str, timedelta]:
    text = _text(values, "text", "update", 2000)
    if not text:
        raise BadInput("The update is empty. `/incident update <what users should know>`", "text")
    return text, minutes(str(values.get("minutes") or "30m"), "until the next update")


def _update(case: Case, asked: Asked, now: datetime) -> Change:
    text, following = _read_update(asked.values)
    return lifecycle.update(case, text, following, asked.by, asked.rules, now)


def _read_note(values: Values) -> str:
    text = _text(values, "text", "note", 3000)
    if not text:
        raise BadInput("The note is empty. `/incident note <what happened>`", "text")
    return text


def _note(case: Case, asked: Asked, now: datetime) -> Change:
    return lifecycle.note(case, _read_note(asked.values), asked.by, now)


def _assess(case: Case, asked: Asked, now: datetime) -> Change:
    incident = case.incident
    look = owed.owe(incident, "assess", f"assess/{lifecycle.stamp(now)}")
    return Change(case, (Note("assess", "Asked for an assessment", asked.by.id, asked.by.name),), (look,))


def _scenario(case: Case, asked: Asked, now: datetime) -> Change:
    name = str(asked.values.get("scenario", "")).lower()
    if name not in set(Scenario):
        raise BadInput(f"`{name or 'nothing'}` is no scenario. Say {', '.join(Scenario)}.", "scenario")
    return notices.become(case, Scenario(name), asked.by, asked.text("reason", "reason"), asked.rules, now)


def _aware(case: Case, asked: Asked, now: datetime) -> Change:
    said = str(asked.values.get("when", "")).strip()
    if not said:
        raise BadInput("Say when somebody was aware first: `20m ago`, `14:05` or `2026-01-31 14:05` (UTC).", "when")
    return notices.correct(case, started(said, now), asked.by, asked.rules, now)


def _notice(case: Case, asked: Asked, now: datetime) -> Change:
    return notices.draft(case, str(asked.values.get("duty", "")).lower(), asked.by, now)


def _read_notified(values: Values) -> str:
    text = _text(values, "text", "record", 500)
    if not text:
        raise BadInput("Say what was sent and to whom: `/incident notified gdpr <what, to whom>`", "text")
    return text


def _notified(case: Case, asked: Asked, now: datetime) -> Change:
    text, duty = _read_notified(asked.values), str(asked.values.get("duty", "")).lower()
    return notices.notified(case, duty, text, asked.by, now)


def _resolve(case: Case, asked: Asked, now: datetime) -> Change:
    return lifecycle.resolve(case, asked.by, asked.text("reason", "reason"), asked.rules, now)


def _read_reopen(values: Values) -> str:
    return clean_line(str(values.get("reason", "")), "reason", 500)


def _reopen(case: Case, asked: Asked, now: datetime) -> Change:
    return lifecycle.reopen(case, asked.by, _read_reopen(asked.values), asked.rules, now)


def _close(case: Case, asked: Asked, now: datetime) -> Change:
    return lifecycle.close(case, asked.by, asked.rules, now)


def _first_word(first: str, rest: str) -> Callable[[str], Values]:
    def parse(text: str) -> Values:
        head, *tail = text.split(maxsplit=1) or [""]
        return {first: head, rest: as_typed("".join(tail))}

    return parse


_USER = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")


def _parse_assign(text: str) -> Values:
    """`commander @ana` in either order; without a person it is whoever asks."""
    match = _USER.search(text)
    role = _USER.sub("", text).strip().split(" ")[0] if text.strip() else ""
    return {"role": role, "person": match[1] if match else ""}


def _reason(label: str, *, optional: bool = True) -> Callable[[Case], Sequence[Block]]:
    return lambda _case: [text_input("reason", label, optional=optional, most=500)]


def _severity_window(case: Case) -> Sequence[Block]:
    means = {
        "P0": "everything is at stake",
        "P1": "a service is down",
        "P2": "degraded; an ack holds the ladder",
        "P3": "nobody is paged",
    }
    options = [option(f"{s}: {means[s]}", s) for s in Severity]
    return [
        select("severity", "Severity", options, initial=case.incident.severity),
        text_input("reason", "Why", optional=True, most=500),
    ]


def _status_window(case: Case) -> Sequence[Block]:
    options = [option(s.capitalize(), s) for s in SETTABLE]
    return [
        select("status", "Status", options, initial=case.incident.status, hint="Monitoring stops the ladder."),
        text_input("reason", "What is known", optional=True, most=500),
    ]


def _assign_window(_case: Case) -> Sequence[Block]:
    return [
        select("role", "Role", [option(r.capitalize(), r) for r in Role], initial=Role.COMMANDER),
        person_select("person", "Person"),
    ]


def _hold_window(_case: Case) -> Sequence[Block]:
    return [
        text_input("minutes", "For how long", value="15m", most=10, hint="Minutes, or 2h. At most a day."),
        text_input("reason", "Why", most=500),
    ]


def _update_window(_case: Case) -> Sequence[Block]:
    return [
        text_input("text", "What should users know?", multiline=True, most=2000),
        text_input("minutes", "Next update in", value="30m", most=10, hint="Minutes, or 2h. You are reminded."),
    ]


def notified_window(case: Case, chosen: str = "") -> Sequence[Block]:
    """`chosen`: the notification whose button was pressed, else the first that nobody was told of."""
    duties = case.incident.duties
    first = chosen or next(iter(notices.running(case.incident)), "")
    which = [option(duty.title, name) for name, duty in duties.items()]
    return [
        # A choice among nothing is no window for Slack; where no clock runs, the answer says so.
        select("duty", "Which", which, initial=first) if which else text_input("duty", "Which", most=40),
        text_input("text", "What was sent, and to whom", multiline=True, most=500,
                   hint="It stops this clock. If nobody has to be told, say why."),
    ]  # fmt: skip


def _note_window(_case: Case) -> Sequence[Block]:
    return [text_input("text", "Note", multiline=True, most=3000)]


VERBS: Mapping[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb("ack", "ack", "Acknowledge: you are on it. Anyone may.", _ack, "You acknowledged {id}.", responder=False),
        Verb("escalate", "escalate [reason]", "Climb to the next rung at once.", _escalate, "{id} is escalated.",
             title="Escalate now", window=_reason("Why now?")),
        Verb("hold", "hold <minutes> <reason>", "Pause the ladder.", _hold, "The ladder of {id} is held.",
             title="Hold the ladder", window=_hold_window, parse=_first_word("minutes", "reason"), read=_read_hold),
        Verb("resume", "resume", "End a hold.", _resume, "The ladder of {id} goes on."),
        Verb("assess", "assess", "Look at everything again now.", _assess, "Looking; the card comes into the room of {id}."),
        Verb("status", "status [investigating|identified|monitoring] [what is known]", "Show the board, or set the status.",
             _status, "The status of {id} is set.", title="Set the status", window=_status_window,
             parse=_first_word("status", "reason")),
        Verb("severity", "severity <P0-P3> [reason]", "Change the severity.", _severity, "The severity of {id} is changed.",
             title="Change the severity", window=_severity_window, parse=_first_word("severity", "reason")),
        Verb("assign", "assign <commander|communications|scribe> [@person]", "Give a role; without a person you take it.",
             _assign, "The role is given.", title="Assign a role", window=_assign_window, parse=_parse_assign),
        Verb("note", "note <text>", "Write on the timeline. Anyone may; a :pushpin: on a message does it too.", _note,
             "Noted on the timeline of {id}.", responder=False, title="Add a note", window=_note_window,
             parse=lambda text: {"text": as_typed(text)}, read=_read_note),
        Verb("update", "update <what users should know>", "Post a status update to the status channel.", _update,
             "The update goes to the status channel.", title="Status update", window=_update_window,
             parse=lambda text: {"text": as_typed(text)}, read=_read_update),
        Verb("scenario", f"scenario <{'|'.join(Scenario)}> [reason]", "Set the scenario; security starts the notification clocks.",
             _scenario, "The scenario of {id} is set.", parse=_first_word("scenario", "reason")),
        Verb("aware", "aware <when>", "Correct, to an earlier instant, when somebody was aware of the breach.", _aware,
             "The clocks of {id} count from there.", parse=lambda text: {"when": as_typed(text)}),
        Verb("notice", "notice <gdpr|ccpa>", "Draft a notification; the file comes into the room.", _notice,
             "The draft comes into the room of {id}.", parse=_first_word("duty", "reason")),
        Verb("notified", "notified <gdpr|ccpa> <what, to whom>", "Record that a notification was sent; its clock stops.",
             _notified, "Recorded on the timeline of {id}.", title="Record a notification", window=notified_window,
             parse=_first_word("duty", "text"), read=_read_notified),
        Verb("resolve", "resolve [what fixed it]", "It is over: the ladder stops, the report is posted.", _resolve,
             "{id} is resolved.", title="Resolve", window=_reason("What fixed it?")),
        Verb("reopen", "reopen <reason>", "It was not over: a new ladder begins.", _reopen, "{id} is open again.",
             title="Reopen", window=_reason("Why?", optional=False), read=_read_reopen),
        Verb("close", "close", "Export the timeline and seal it.", _close, "{id} is closed; the export comes into the room."),
    )
}  # fmt: skip
