"""Phones: who is rung, how often, how they answer, and when the next level of the policy is called."""

from collections.abc import Callable
from typing import Literal, Protocol

from sandbox.pagerduty.model import Call, Incident, Json, Press
from sandbox.pagerduty.people import Person
from sandbox.pagerduty.shapes import Shapes

# A person's notification rules: practice seconds after the assignment, and the way they are reached.
NOTIFICATION_RULES: tuple[tuple[float, str], ...] = (
    (0, "push_notification"),
    (60, "sms_notification"),
    (120, "phone_notification"),
    (300, "phone_notification"),
    (600, "phone_notification"),
)


class Owner(Protocol):
    """What the phones ask of the account they belong to."""

    shapes: Shapes

    def changed(self) -> None: ...
    def new_id(self, prefix: str) -> str: ...
    def later(self, now: float, seconds: float, act: Callable[[float], None]) -> float: ...
    def acknowledge(self, now: float, incident: Incident, by: Person, channel: str = "api") -> None: ...
    def escalate(self, now: float, incident: Incident, by: Person | None, level: int) -> None: ...
    def answer_request(self, now: float, incident: Incident, person: Person, *, joins: bool) -> None: ...
    def log(
        self, now: float, incident: Incident, kind: str, by: Person | None, channel: Json, extra: Json | None = None
    ) -> None: ...


class Paging:
    """All calls of the account, the newest last."""

    def __init__(self, account: Owner) -> None:
        self._account = account
        self.calls: list[Call] = []
        self._of: dict[str, list[Call]] = {}

    def ringing(self) -> list[Call]:
        """The phones that ring now."""
        return [call for call in self.calls if call.ringing]

    def ring(self, now: float, incident: Incident, person: Person, kind: Literal["page", "responder"]) -> None:
        """Start calling a person, unless their phone rings for this already."""
        calls = self._of.setdefault(incident.id, [])
        if any(call.ringing and call.person is person and call.kind == kind for call in calls):
            return
        call = Call(self._account.new_id("C"), person, incident, kind, now)
        self.calls.append(call)
        calls.append(call)
        self._attempt(now, call)
        self.plan_answer(now, call)

    def hush(self, incident: Incident, *, responders: bool = False) -> None:
        """Stop the pages of an incident; with `responders` the requests to join too."""
        for call in self._of.get(incident.id, ()):
            if call.kind == "page" or responders:
                call.ringing = False
        self._account.changed()

    def answer(self, now: float, call: Call, press: Press) -> None:
        """The person picks up and presses a key; a phone that no longer rings ignores it."""
        if not call.ringing:
            return
        call.ringing = False
        if call.kind == "responder":
            self._account.answer_request(now, call.incident, call.person, joins=press == "acknowledge")
        elif press == "acknowledge":
            self._account.acknowledge(now, call.incident, call.person, "mobile")
        self._account.changed()

    def behave(self, now: float, person: Person) -> None:
        """Apply a person's new behaviour to the phones that ring for them."""
        for call in self.ringing():
            if call.person is person:
                self.plan_answer(now, call)
        self._account.changed()

    def plan_answer(self, now: float, call: Call) -> None:
        """Have a person who answers do so after their time."""
        if call.person.mode != "acks":
            return

        def pick_up(due: float) -> None:
            if call.person.mode == "acks":
                self.answer(due, call, "acknowledge")

        self._account.later(now, call.person.after, pick_up)

    def plan_escalation(self, now: float, incident: Incident) -> None:
        """Have the next level called when nobody acknowledges in the time of this one."""
        if incident.directly_assigned:
            return
        turn, level = incident.turn, incident.level
        rule = incident.policy.rules[level - 1]

        def climb(due: float) -> None:
            if incident.turn == turn and incident.level == level and incident.status == "triggered":
                self._climb(due, incident)

        incident.escalates_at = self._account.later(now, rule.delay_minutes * 60, climb)

    def _climb(self, now: float, incident: Incident) -> None:
        if incident.level < len(incident.policy.rules):
            self._account.escalate(now, incident, None, incident.level + 1)
        elif incident.loops_done < incident.policy.loops:
            incident.loops_done += 1
            self._account.log(now, incident, "repeat_escalation_path_log_entry", None, {"type": "auto"})
            self._account.escalate(now, incident, None, 1)
        else:
            incident.escalates_at = None
            self._account.log(now, incident, "exhaust_escalation_path_log_entry", None, {"type": "auto"})

    def _attempt(self, now: float, call: Call) -> None:
        way = NOTIFICATION_RULES[call.attempts][1]
        address = call.person.email if way == "push_notification" else call.person.phone
        channel = {"type": "auto", "notification": {"type": way, "address": address, "status": "success"}}
        user = {"user": self._account.shapes.person_reference(call.person)}
        self._account.log(now, call.incident, "notify_log_entry", None, channel, user)
        call.attempts += 1
        if call.attempts < len(NOTIFICATION_RULES):
            wait = NOTIFICATION_RULES[call.attempts][0] - NOTIFICATION_RULES[call.attempts - 1][0]

            def again(due: float) -> None:
                if call.ringing:
                    self._attempt(due, call)

            self._account.later(now, wait, again)
