"""How people and policies behave over time, on a clock held by the test. No waiting, no network."""

from collections.abc import Iterable

import pytest

from sandbox.pagerduty import RUNG_IDS
from sandbox.pagerduty.account import Account
from sandbox.pagerduty.model import Event, Incident
from sandbox.pagerduty.shapes import Shapes

ANA, BEN = "PANAORT", "PBENADL"
START = 1_000.0


class Desk:
    """An account, the events it published, and a clock."""

    def __init__(self, seconds_per_minute: float = 60.0) -> None:
        self.events: list[Event] = []
        self.now = START
        self.account = Account(
            shapes=Shapes("", "", START),
            seconds_per_minute=seconds_per_minute,
            abilities=("coordinated_responding",),
            publish=self.events.append,
            changed=lambda: None,
        )

    def declare(self) -> Incident:
        ana = self.account.people[ANA]
        return self.account.trigger(self.now, ana, title="Checkout is down", key="INC-1")

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.account.advance(self.now)

    def ringing(self) -> list[str]:
        return [call.person.id for call in self.account.paging.ringing()]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def kinds(incident: Incident) -> list[str]:
    return [entry.type.removesuffix("_log_entry") for entry in incident.log]


def types(events: Iterable[Event]) -> list[str]:
    return [event.type.removeprefix("incident.") for event in events]


def test_nobody_answers_until_told_to(desk: Desk) -> None:
    """The default is a phone that rings on."""
    incident = desk.declare()
    desk.wait(299)
    assert (incident.status, desk.ringing()) == ("triggered", [ANA])


def test_a_person_who_acks_does_so_on_time(desk: Desk) -> None:
    """`acks` acknowledges exactly after the set time, not before."""
    desk.account.people[ANA].behave("acks", 20)
    incident = desk.declare()
    desk.wait(19.99)
    assert desk.ringing() == [ANA]
    desk.wait(0.01)
    assert (incident.status, desk.ringing()) == ("acknowledged", [])
    assert incident.acknowledgements == [(START + 20, desk.account.people[ANA])]
    assert types(desk.events) == ["triggered", "acknowledged"]


def test_behaviour_set_while_the_phone_rings_applies(desk: Desk) -> None:
    """Somebody told to answer during a call answers it; told never to again, lets it ring."""
    incident, ana = desk.declare(), desk.account.people[ANA]
    ana.behave("acks", 10)
    desk.account.paging.behave(desk.now, ana)
    ana.behave("never")
    desk.wait(60)
    assert desk.ringing() == [ANA]
    ana.behave("acks", 10)
    desk.account.paging.behave(desk.now, ana)
    desk.wait(10)
    assert incident.status == "acknowledged"


def test_an_unanswered_phone_is_tried_again(desk: Desk) -> None:
    """Each attempt of the notification rules is a notify_log_entry: at once, after 1, 2 and 5 minutes."""
    incident = desk.declare()
    desk.wait(299)
    ways = [e.channel["notification"]["type"] for e in incident.entries("notify_log_entry")]
    assert ways == ["push_notification", "sms_notification", "phone_notification"]
    assert [e.at - START for e in incident.entries("notify_log_entry")] == [0, 60, 120]


def test_the_policy_moves_to_its_next_rule(desk: Desk) -> None:
    """Unacknowledged for the rule's delay, the incident goes to the next level and the first phone is still."""
    incident = desk.declare()
    desk.wait(300)
    assert [who.id for _, who in incident.assignees] == [BEN]
    assert desk.ringing() == [BEN]
    assert types(desk.events) == ["triggered", "escalated"]
    assert kinds(incident)[-2:] == ["escalate", "notify"]


def test_a_policy_with_nobody_left_is_exhausted_once(desk: Desk) -> None:
    """After the last rule the log says so, once, and the last phone keeps ringing."""
    incident = desk.declare()
    desk.wait(86_400)
    assert kinds(incident).count("exhaust_escalation_path") == 1
    assert desk.ringing() == [BEN]


def test_a_jump_of_the_clock_keeps_the_order(desk: Desk) -> None:
    """What fell due during a long sleep happens in order, each with its own instant."""
    desk.account.people[BEN].behave("acks", 20)
    incident = desk.declare()
    desk.wait(1_500)
    assert incident.status == "acknowledged"
    assert incident.acknowledgements[0][0] == START + 320


def test_an_acknowledgement_stops_the_escalation(desk: Desk) -> None:
    """Acknowledged, the next level is never called."""
    incident = desk.declare()
    desk.account.acknowledge(desk.now, incident, desk.account.people[ANA])
    desk.wait(900)
    assert [who.id for _, who in incident.assignees] == [ANA]


def test_an_acknowledgement_is_forgotten(desk: Desk) -> None:
    """After half an hour without resolution the incident is triggered again and its people are called again."""
    incident = desk.declare()
    desk.account.acknowledge(desk.now, incident, desk.account.people[ANA])
    desk.wait(1_799)
    assert incident.status == "acknowledged"
    desk.wait(1)
    assert (incident.status, desk.ringing()) == ("triggered", [ANA])
    assert types(desk.events)[-1] == "unacknowledged"


def test_acknowledging_again_starts_the_half_hour_anew(desk: Desk) -> None:
    """A second acknowledgement restarts the timeout and publishes no second event."""
    incident, ana = desk.declare(), desk.account.people[ANA]
    desk.account.acknowledge(desk.now, incident, ana)
    desk.wait(1_000)
    desk.account.acknowledge(desk.now, incident, ana)
    desk.wait(1_000)
    assert incident.status == "acknowledged"
    assert types(desk.events) == ["triggered", "acknowledged"]


def test_resolving_ends_every_call(desk: Desk) -> None:
    """A resolved incident rings nowhere, also not for responders, and nothing happens to it later."""
    incident, ana = desk.declare(), desk.account.people[ANA]
    desk.account.request_responders(desk.now, incident, ana, "help", [desk.account.policies[RUNG_IDS[2]]])
    assert desk.ringing() == [ANA, "PDEVPAT", "PEVALIN"]
    desk.account.resolve(desk.now, incident, ana)
    length = len(incident.log)
    desk.wait(86_400)
    assert (desk.ringing(), len(incident.log)) == ([], length)


def test_responders_join_or_decline(desk: Desk) -> None:
    """Those who ack join; a declined request ends as declined; both are told to the webhooks."""
    desk.account.people["PDEVPAT"].behave("acks", 5)
    incident, ana = desk.declare(), desk.account.people[ANA]
    desk.account.request_responders(desk.now, incident, ana, "help", [desk.account.policies[RUNG_IDS[2]]])
    desk.wait(5)
    (call,) = [c for c in desk.account.paging.ringing() if c.person.id == "PEVALIN"]
    desk.account.paging.answer(desk.now, call, "decline")
    assert {k: r.state for k, r in incident.responders.items()} == {"PDEVPAT": "joined", "PEVALIN": "declined"}
    replies = [event.data["state"] for event in desk.events if event.type == "incident.responder.replied"]
    assert (replies, incident.status) == (["joined", "declined"], "triggered")


def test_a_declined_page_only_silences_that_phone(desk: Desk) -> None:
    """Declining a page leaves the incident triggered; the policy goes on."""
    incident = desk.declare()
    desk.account.paging.answer(desk.now, desk.account.paging.ringing()[0], "decline")
    assert (incident.status, desk.ringing()) == ("triggered", [])
    desk.wait(300)
    assert desk.ringing() == [BEN]


def test_the_practice_clock_scales_every_wait() -> None:
    """With 6 seconds a minute, 20 practice seconds are 2 and the five-minute rule is 30."""
    desk = Desk(seconds_per_minute=6)
    desk.account.people[BEN].behave("acks", 20)
    incident = desk.declare()
    desk.wait(29.9)
    assert desk.ringing() == [ANA]
    desk.wait(2.1)
    assert incident.acknowledgements == [(START + 32, desk.account.people[BEN])]


def test_turning_the_practice_clock_scales_what_is_left(desk: Desk) -> None:
    """Half-way through a five-minute rule, a clock ten times as fast leaves a tenth of the other half."""
    incident = desk.declare()
    desk.wait(150)
    desk.account.set_pace(desk.now, 6)
    desk.wait(14.9)
    assert incident.level == 1
    desk.wait(0.1)
    assert incident.level == 2
