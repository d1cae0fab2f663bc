"""kill -9 at seeded points of a declaration and its first minute, and of recovery runs; `make chaos` runs hundreds of them."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack

import pytest

from tests.conftest import migrate
from tests.crash.ground import ground
from tests.crash.instant import Of, draw_run
from tests.crash.point import draw
from tests.crash.run import run
from tests.crash.runs import run_point
from tests.postgres import TestPostgres

SEED, RUN_SEED = 2, 13
TOGETHER = 5
"""Points side by side: most of a point is waiting until the dead bot's work is taken over."""

RUN_POINTS: Mapping[str, tuple[tuple[Of, int], ...]] = {
    "failover": (("failover", 5), ("failover", 8), ("failover", 15)),
    "switchover": (("switchover", 4), ("switchover", 8), ("switchover", 11), ("switchover", 14)),
    "restore": (("restore", 3), ("restore", 7), ("restore", 8), ("restore", 11)),
    "restore-on": (("restore", 14), ("restore", 17), ("restore", 20), ("restore", 24), ("rotate", 5)),
    "node": (("node", 8), ("node", 14)),
    "outage": (("dns", 5), ("undo-dns", 8), ("rebuild", 8), ("undo-restore", 5)),
}
"""Of each kind some boundaries, chosen where an effect has happened that nobody has written down, and a random instant.

Those of one ground come one after the other.
"""


@pytest.mark.parametrize("first", range(0, 15, TOGETHER))
async def test_a_declaration_survives_a_kill(first: int, postgres: TestPostgres) -> None:
    """However the bot dies: one incident, room, board, page and answer, nothing twice, nothing undone, the chain whole."""
    with ExitStack() as stores:
        points = [
            (draw(SEED, n), stores.enter_context(postgres.clone(migrate))) for n in range(first, first + TOGETHER)
        ]
        results = await asyncio.gather(*(run(point, database) for point, database in points))
    wrong = [f"{result}\n{result.log}" for result in results if result.wrong]
    assert not wrong, "\n".join(wrong)


@pytest.mark.timeout(600)  # several runs, each of them begun again by a new process
@pytest.mark.parametrize("on_ground", RUN_POINTS)
async def test_a_run_survives_a_kill(on_ground: str, database: str) -> None:
    """However the bot dies: no step twice, never two primaries, nothing lost beyond the estimate, one card of each, a true end.
    An undo comes to its end, too."""
    points = RUN_POINTS[on_ground]
    async with ground(points[0][0], database) as on:
        for of, number in points:
            result = await run_point(draw_run(of, RUN_SEED, number), on)
            assert not result.wrong, f"{result}\n{result.log}"
            assert result.outcome == result.point.good, "the next point needs an estate that is whole"
