"""What is owed: queues, parking, and when a try is repeated."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import owed
from bot.clock import Pace, spoken
from tests.unit.given import NOW, declared


@given(st.integers(1, 1000), st.floats(0, 1))
def test_a_retry_waits_longer_each_time_up_to_a_limit(attempts: int, jitter: float) -> None:
    """From half a second doubling to 15 s, spread by at most a quarter."""
    wait = owed.retry_at(NOW, attempts, None, jitter) - NOW
    base = min(0.5 * 2 ** min(attempts - 1, 20), 15.0)
    assert timedelta(seconds=base) <= wait <= timedelta(seconds=base * 1.25 + 0.001)


@given(st.integers(1, 50), st.floats(0, 3600), st.floats(0, 1))
def test_a_neighbours_own_wish_is_kept(attempts: int, after: float, jitter: float) -> None:
    """Retry-After is never undercut, however often it was tried."""
    assert owed.retry_at(NOW, attempts, after, jitter) >= NOW + timedelta(seconds=after)


@pytest.mark.parametrize(("kind", "queue"), [
    ("intake.command", "urgent"), ("page.open", "urgent"), ("page.proof", "urgent"), ("ladder", "urgent"),
    ("room.create", "urgent"), ("tell", "urgent"), ("tell.rung", "urgent"), ("room.invite", "normal"), ("say", "normal"),
    ("assess", "normal"), ("reply", "normal"), ("board", "cosmetic"), ("announce", "cosmetic"), ("assess.all", "cosmetic"),
])  # fmt: skip
def test_pages_never_stand_behind_cosmetics(kind: str, queue: str) -> None:
    """Clicks, pages, rungs and the room ride on a queue of their own, edits that only look nice on another."""
    assert owed.queue_of(kind) == queue


def test_what_needs_the_room_waits_for_it() -> None:
    """The board waits for the room; messages wait for the board, which is the first of them; a page waits for nothing."""
    bare = declared().incident
    roomy, boarded = declared().with_(room="C1").incident, declared().with_(room="C1", board_ts="1.0").incident
    board, say = owed.board(bare), owed.say(bare, "note", "x")
    page = owed.owe(bare, "page.open", "page")
    assert [owed.parked(board, i) for i in (bare, roomy, boarded)] == [True, False, False]
    assert [owed.parked(say, i) for i in (bare, roomy, boarded)] == [True, True, False]
    assert [owed.parked(page, i) for i in (bare, roomy, boarded)] == [False, False, False]


def test_a_ladder_without_a_next_instant_waits_for_ever() -> None:
    """None is not "now": the row stays until it is asked for again."""
    assert owed.wake_ladder(declared().incident, None).due_at == owed.NEVER
    assert owed.wake_ladder(declared().incident, NOW).due_at == NOW


@pytest.mark.parametrize(("seconds", "words"), [
    (-5, "0 s"), (0, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (61, "1 min 01 s"), (90, "1 min 30 s"),
    (599, "9 min 59 s"), (600, "10 min"), (659, "10 min"), (3599, "59 min"), (3600, "1 h 00 min"), (3900, "1 h 05 min"),
    (86399, "23 h 59 min"), (86400, "1 d 0 h"), (183600, "2 d 3 h"),
])  # fmt: skip
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    """Seconds below a minute, minutes with seconds below ten, then minutes, hours, days; never negative."""
    assert spoken(timedelta(seconds=seconds)) == words


@given(st.floats(0.01, 3600), st.integers(0, 10**6))
def test_the_pace_scales_waiting_and_telling_alike(pace: float, seconds: int) -> None:
    """What is waited and then told again is the same span of the rules."""
    span = timedelta(seconds=seconds)
    told = Pace(pace).told(Pace(pace).wait(span))
    assert abs(told - span) <= timedelta(seconds=0.01) + span * 1e-3
    assert Pace().wait(span) == span == Pace().told(span)
