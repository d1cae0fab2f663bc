"""Kill the bot at seeded points: `python -m tests.crash.chaos [--of declaration] [--points 100] [--seed 1] [--point K]`.

Each point starts the real bot, declares (or plans and approves a recovery), sends SIGKILL where the point says, starts the
bot again on the same store and looks at the world. What breaks an invariant is printed with the command that repeats it;
the exit status is then 1. Of a run, `--points` random instants follow after every boundary of its steps.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import get_args

from tests.conftest import migrate
from tests.crash.ground import Ground, ground
from tests.crash.instant import Of, boundaries, draw_run
from tests.crash.point import draw
from tests.crash.run import Result, run
from tests.crash.runs import RunResult, run_point
from tests.postgres import TestPostgres

SAY = partial(print, flush=True)
RUNS: tuple[Of, ...] = get_args(Of)
Some = Result | RunResult


class Chaos:
    """Runs points, some at a time; each is printed as it ends."""

    def __init__(self, seed: int, side_by_side: int, server: TestPostgres, logs: Path | None) -> None:
        self._seed, self._side_by_side, self._server, self._logs = seed, side_by_side, server, logs

    async def declarations(self, numbers: list[int]) -> list[Some]:
        """Each in an estate of its own."""
        left, results = deque(numbers), list[Some]()

        async def some() -> None:
            while left:
                point = draw(self._seed, left.popleft())
                with self._store() as database:
                    results.append(self._told(await run(point, database)))

        await asyncio.gather(*(some() for _ in range(self._side_by_side)))
        return results

    async def runs(self, of: Of, numbers: list[int]) -> list[Some]:
        """Several on one estate, one after the other; after one that went wrong, on a new one."""
        left, results = deque(numbers), list[Some]()

        async def some() -> None:
            while left:
                async with AsyncExitStack() as stack:
                    on: Ground = await stack.enter_async_context(ground(of, stack.enter_context(self._store())))
                    while left:
                        result = await run_point(draw_run(of, self._seed, left.popleft()), on)
                        results.append(self._told(result))
                        if result.wrong or result.outcome != result.point.good:
                            break

        await asyncio.gather(*(some() for _ in range(min(self._side_by_side, len(numbers)))))
        return results

    @contextmanager
    def _store(self) -> Iterator[str]:
        with self._server.clone(migrate) as database:
            yield database

    def _told(self, result: Some) -> Some:
        SAY(result)
        if self._logs is not None and result.wrong:
            name = result.point.repeat.partition("chaos ")[2].replace("--", "").replace(" ", "-")
            (self._logs / f"{name}.log").write_text(result.log)
        return result


def main() -> int:
    """0 when every point holds every invariant."""
    parser = argparse.ArgumentParser("chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--of", choices=("declaration", *RUNS), default="declaration", help="what the bot is at")
    parser.add_argument("--points", type=int, default=100, help="how many points; of a run: how many random ones")
    parser.add_argument("--seed", type=int, default=1, help="which points")
    parser.add_argument("--point", type=int, nargs="+", help="these only")
    parser.add_argument("--jobs", type=int, default=3, help="points side by side; most of a point is waiting")
    parser.add_argument("--logs", type=Path, help="a folder for the bot's log of what broke")
    chosen = parser.parse_args()
    began = time.monotonic()
    with TestPostgres() as server:
        chaos = Chaos(chosen.seed, chosen.jobs, server, chosen.logs)
        if chosen.of == "declaration":
            results = asyncio.run(chaos.declarations(chosen.point or list(range(chosen.points))))
        else:
            every = len(boundaries(chosen.of)) + chosen.points
            results = asyncio.run(chaos.runs(chosen.of, chosen.point or list(range(every))))
    wrong = [result for result in results if result.wrong]
    slowest = max(result.seconds for result in results)
    SAY(
        f"{chosen.of}: {len(results) - len(wrong)} of {len(results)} points hold,"
        f" {len([d for r in results for d in r.deaths])} deaths;"
        f" slowest catch-up {slowest:.1f} s after ready; {time.monotonic() - began:.0f} s in all"
    )
    for result in wrong:
        SAY(f"repeat: {result.point.repeat}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
