"""What a failover loses at most: by the last replayed transaction, and by how far the primary had written when last seen;
and what is said of a primary that cannot be asked."""

from datetime import timedelta

import pytest

from actions.database_failover import left, loss_of, may_live
from bot.errors import NeighbourError, Refused, Silent, Unavailable
from bot.tools import LastSeen, ServerState
from tests.unit.given import NOW

STANDBY = ServerState("18", "7", True, True, 1, 1000, None, 1, 10, None, ())
SECOND = timedelta(seconds=1)


def standby(replayed: int | None) -> ServerState:
    at = None if replayed is None else NOW - replayed * SECOND
    return ServerState(**{**vars(STANDBY), "replayed_at": at})


def seen(ago: int, lsn: int, system: str = "7") -> LastSeen:
    return LastSeen(NOW - ago * SECOND, lsn, system)


@pytest.mark.parametrize(("replayed", "last", "most"), [
    (30, None, 30),  # nothing is remembered: the last replayed transaction
    (None, None, None),  # after a restart, and never seen
    (30, seen(12, 1000), 12),  # all that it had written then is there: nothing older is lost
    (30, seen(12, 900), 12),
    (5, seen(12, 900), 5),  # replayed since: the later one counts
    (None, seen(12, 1000), 12),  # after a restart there is a figure all the same
    (30, seen(12, 1001), 30),  # something of then is missing: the look proves nothing
    (30, seen(12, 900, system="8"), 30),  # another cluster at the same address
    (None, seen(12, 900, system="8"), None),
    (-5, seen(12, 900), 0),  # a clock that is ahead
])  # fmt: skip
def test_the_later_of_what_is_known_bounds_it(replayed: int | None, last: LastSeen | None, most: int | None) -> None:
    """A look counts only when the standby has all that was written then, and when it was at the same cluster."""
    loss = loss_of("primary", "replica", standby(replayed), last, NOW)
    assert loss.most == (None if most is None else most * SECOND)
    assert loss.says
    assert bool(loss.notes) == (last is not None and last.system == "7")


def test_it_is_a_figure_in_bytes_where_no_time_is_known() -> None:
    """After a restart, and behind what was seen: bytes, and since when more may be missing; the day when it is another."""
    loss = loss_of("primary", "replica", standby(None), seen(86400, 1500), NOW)
    assert loss.most is None
    assert loss.says.startswith("500 bytes that primary had written at 20")
    assert "500 bytes behind" in loss.notes[0]


@pytest.mark.parametrize("state", [Unavailable("too many clients already."), Refused("password authentication failed")])
def test_who_answers_is_not_gone(state: NeighbourError) -> None:
    """Who refuses us may serve others: promoting another server takes break-glass, and the proof calls nobody gone."""
    said = str(state).rstrip(".")
    assert f"primary answers, though not what was asked ({said})" in may_live("primary", state)
    assert left(state) == f"cannot be asked ({said}): should it take writes, stop it"


def test_nobody_there_and_read_only_may_be_left() -> None:
    """No answer at all, and a server that refuses writes, need nobody to break the glass."""
    for state, says in ((Silent("refused"), "does not answer"), (STANDBY, "refuses writes")):
        assert (may_live("primary", state), left(state)) == ("", says)
