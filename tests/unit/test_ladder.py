"""The ladder under any interleaving: compared with a model that only counts the time in which it was free to climb."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import ladder as ladders
from bot.errors import NotNow
from bot.escalation import acknowledge, change_severity, climb, escalate, hold, resume
from bot.incident import Ack, Severity, Status
from bot.ladder import LATE_AFTER, Ladder
from bot.lifecycle import reopen, resolve, set_status
from bot.rules import Case, Change
from tests.unit.given import ANA, BEN, MINUTE, NOW, declared, rules

RULES = rules()
OFFSETS = dict(RULES.offsets)


@dataclass
class Model:
    """`climbed`: how long the ladder of this round has been free to climb, by a definition of its own."""

    at: datetime
    climbed: timedelta = timedelta(0)
    stopped: bool = False
    held_until: datetime | None = None

    def pass_to(self, now: datetime) -> None:
        if not self.stopped:
            free_from = max(self.at, self.held_until or self.at)
            self.climbed += max(now - free_from, timedelta(0))
        self.at = now

    def held(self, until: datetime | None) -> None:
        self.held_until = until

    def due(self, level: int) -> datetime:
        """When `level` would fire if nothing else happened."""
        return max(self.at, self.held_until or self.at) + OFFSETS[level] - self.climbed


STEPS = st.tuples(
    st.sampled_from(
        ("wake", "wake", "wake", "hold", "resume", "ack", "ack_ben", "monitor", "restart", "escalate",
         "P0", "P1", "P2", "P3", "resolve", "reopen")
    ),
    st.one_of(st.just(0.0), st.floats(0, 40), st.sampled_from((0.01, 15.0, 30.0, 60.0, 200.0))),
    st.integers(1, 90),
)  # fmt: skip


def act(case: Case, step: str, minutes: int, now: datetime) -> Change:
    """What people and the clock do. Raises NotNow where the rules refuse."""
    if step == "wake":
        return climb(case, RULES, now)
    if step == "hold":
        return hold(case, ANA, timedelta(minutes=minutes), "wait", RULES, now)
    if step == "resume":
        return resume(case, ANA, now)
    if step in ("ack", "ack_ben"):
        return acknowledge(case, Ack(ANA if step == "ack" else BEN, now, "slack"), RULES, now)
    if step == "monitor":
        return set_status(case, Status.MONITORING, ANA, "", RULES, now)
    if step == "restart":
        return set_status(case, Status.INVESTIGATING, ANA, "", RULES, now)
    if step == "escalate":
        return escalate(case, ANA, "it burns", RULES, now)
    if step == "resolve":
        return resolve(case, ANA, "", RULES, now)
    if step == "reopen":
        return reopen(case, ANA, "not over", RULES, now)
    return change_severity(case, Severity(step), ANA, "", RULES, now)


def follow(model: Model, before: Case, change: Change, step: str, minutes: int, now: datetime) -> Model:
    """The model after the same step, by the sentences of the design."""
    after = change.case
    if after.incident.round != before.incident.round or (after.ladder.rungs and not before.ladder.rungs):
        return Model(now)
    model.stopped = not (after.incident.status.climbs and after.incident.severity.pages)
    if model.stopped or step == "resume":
        model.held(None)
    elif step == "hold":
        model.held(now + timedelta(minutes=minutes))
    elif step.startswith("ack") and change.notes and after.incident.severity.ack_holds and before.ladder.next:
        model.held(max(now + RULES.ack_timeout, model.held_until or now))
    elif step in ("P0", "P1") and before.hold is not None and before.hold.why == "acknowledged":
        model.held(None)
    return model


@settings(max_examples=400)
@given(st.sampled_from(list(Severity)), st.lists(STEPS, max_size=30))
def test_any_interleaving_keeps_the_distances(severity: Severity, steps: list[tuple[str, float, int]]) -> None:
    """Whatever is asked in whatever order, and whenever the bot wakes: never early, each level once a round, no time and no call lost."""
    case, now = declared(severity), NOW
    model = Model(now)
    keys: dict[str, str] = {}  # of what is owed and was not withdrawn → its kind
    rung_notes = Counter((case.incident.round, rung.level) for rung in case.ladder.rungs if rung.state == "fired")
    for step, wait, minutes in steps:
        now += timedelta(minutes=wait, microseconds=1)
        model.pass_to(now)
        before = case
        try:
            change = act(case, step, minutes, now)
        except NotNow:
            continue
        case = change.case
        keys = {key: kind for key, kind in keys.items() if kind not in change.dropped}
        for owed in change.owed:
            assert owed.standing or owed.key not in keys  # what is owed twice by one key would be done once
            keys |= {} if owed.standing else {owed.key: owed.kind}
        for note in change.notes:
            if note.kind == "rung":
                rung_notes[case.incident.round, int(note.data["level"])] += 1
        _fired_rightly(before, change, step, model, now)
        model = follow(model, before, change, step, minutes, now)
        _waits_rightly(case, step, model, now)
    assert all(count == 1 for count in rung_notes.values())


def _fired_rightly(before: Case, change: Change, step: str, model: Model, now: datetime) -> None:
    """Never early, late ones labelled, and what has fired stays as it was."""
    old = {(r.round, r.level): r for r in before.ladder.rungs}
    for rung in change.case.ladder.rungs:
        was = old.get((rung.round, rung.level))
        if was is not None and was.state == "fired":
            assert rung == was
        elif rung.state == "fired" and was is not None:
            assert rung.fired_at == now
            late = now - model.due(rung.level)
            if step == "escalate":
                assert (rung.late_by, rung.reason) == (None, "Ana Ortiz escalated: it burns")
            else:
                assert step == "wake"
                assert late >= timedelta(0)
                assert rung.late_by == (late if late > LATE_AFTER else None)


def _waits_rightly(case: Case, step: str, model: Model, now: datetime) -> None:
    """Each waiting rung is due when its time of free climbing is over; after a wake-up none is overdue."""
    ladder, incident = case.ladder, case.incident
    climbs = incident.status.climbs and incident.severity.pages
    assert climbs == bool(ladder.rungs and ladder.stopped_at is None)
    for rung in ladder.waiting:
        if not model.stopped:
            assert rung.due_at == model.due(rung.level)
        if step == "wake" and not model.stopped and (model.held_until or now) <= now:
            assert rung.due_at > now
    if ladder.waiting and not model.stopped:
        assert ladder.wake_at is not None


def test_a_fresh_ladder_counts_from_its_start() -> None:
    """Due instants are start + offset, lowest level first, and the first due one is at the start itself."""
    ladder = ladders.build([(2, 15 * MINUTE), (1, timedelta(0))], NOW, round_=3)
    assert [(r.round, r.level, r.due_at, r.state) for r in ladder.rungs] == [
        (3, 1, NOW, "waiting"),
        (3, 2, NOW + 15 * MINUTE, "waiting"),
    ]
    assert [r.level for r in ladders.due(ladder, NOW)] == [1]
    assert ladders.due(ladder, NOW - timedelta(microseconds=1)) == ()
    assert ladder.now_at is None


def test_an_outage_fires_each_overdue_rung_once_and_says_how_late() -> None:
    """After hours without the bot, one wake-up fires all overdue rungs, lowest first, each labelled with its own lateness."""
    case = declared()
    change = climb(case, RULES, NOW + 70 * MINUTE)
    fired = {r.level: r.late_by for r in change.case.ladder.rungs}
    assert fired == {1: None, 2: 55 * MINUTE, 3: 40 * MINUTE, 4: 10 * MINUTE}
    assert [note.data["level"] for note in change.notes] == [2, 3, 4]
    assert climb(change.case, RULES, NOW + 71 * MINUTE).notes == ()


@pytest.mark.parametrize(
    ("late", "label"), [(timedelta(seconds=5), None), (timedelta(seconds=6), timedelta(seconds=6))]
)
def test_a_few_seconds_are_not_called_late(late: timedelta, label: timedelta | None) -> None:
    """Up to LATE_AFTER a rung counts as punctual."""
    ladder = ladders.build(RULES.offsets, NOW)
    rung = ladders.fire(ladder, [2], NOW + 15 * MINUTE + late).rungs[1]
    assert (rung.state, rung.late_by) == ("fired", label)


def test_firing_twice_changes_nothing() -> None:
    """A level that has fired keeps its instant, whoever asks again."""
    once = ladders.fire(ladders.build(RULES.offsets, NOW), [1], NOW)
    assert ladders.fire(once, [1, 9], NOW + MINUTE, "again") == once


def test_a_hold_moves_every_waiting_rung_alike() -> None:
    """The distance between two waiting rungs is the same before, during and after a hold, replaced and ended early."""
    ladder = ladders.fire(ladders.build(RULES.offsets, NOW), [1], NOW)

    def distances(of: Ladder) -> list[timedelta]:
        waiting = of.waiting
        return [b.due_at - a.due_at for a, b in pairwise(waiting)]

    held = ladders.pause(ladder, NOW + 20 * MINUTE, "Ana", "why", NOW + 5 * MINUTE)
    longer = ladders.pause(held, NOW + 50 * MINUTE, "Ben", "more", NOW + 10 * MINUTE)
    ended = ladders.unpause(longer, NOW + 12 * MINUTE)
    assert distances(ladder) == distances(held) == distances(longer) == distances(ended) == [15 * MINUTE, 30 * MINUTE]
    assert ended.waiting[0].due_at == NOW + 22 * MINUTE  # 15 minutes, and the 7 for which it stood still
    assert longer.hold is not None
    assert (longer.hold.since, longer.hold.who) == (NOW + 5 * MINUTE, "Ben")
    assert ended.rungs[0] == ladder.rungs[0]  # what has fired never moves


def test_a_stop_ends_a_hold_and_a_restart_gives_the_time_back() -> None:
    """Monitoring inside a hold: the rest of the hold is forgotten, and the time of monitoring does not count."""
    ladder = ladders.fire(ladders.build(RULES.offsets, NOW), [1], NOW)
    held = ladders.pause(ladder, NOW + 30 * MINUTE, "Ana", "why", NOW + 10 * MINUTE)
    stopped = ladders.stop(held, NOW + 20 * MINUTE)
    assert (stopped.hold, stopped.wake_at, ladders.due(stopped, NOW + 999 * MINUTE)) == (None, None, ())
    assert ladders.stop(stopped, NOW + 25 * MINUTE) == stopped
    again = ladders.restart(stopped, NOW + 60 * MINUTE)
    assert again.waiting[0].due_at == NOW + 65 * MINUTE  # 10 minutes were climbed before the hold
    assert ladders.restart(again, NOW + 61 * MINUTE) == again
    assert ladders.unpause(again, NOW) == again


def test_it_wakes_for_the_end_of_a_hold() -> None:
    """The end of a hold is an instant of its own, so that the room hears of it."""
    ladder = ladders.fire(ladders.build(RULES.offsets, NOW), [1], NOW)
    held = ladders.pause(ladder, NOW + 20 * MINUTE, "Ana", "why", NOW + 5 * MINUTE)
    assert held.wake_at == NOW + 20 * MINUTE
    assert ladder.wake_at == NOW + 15 * MINUTE
    assert ladders.fire(ladder, [2, 3, 4], NOW).wake_at is None
