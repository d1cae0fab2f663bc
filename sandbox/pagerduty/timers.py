"""Things that are due later, on a clock that the caller holds."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(order=True)
class _Timer:
    at: float
    order: int
    act: Callable[[float], None] = field(compare=False)


class Timers:
    """A queue of callables by due time. Nothing runs by itself: `run(now)` runs what is due, in order."""

    def __init__(self) -> None:
        self._heap: list[_Timer] = []
        self._count = 0

    def at(self, when: float, act: Callable[[float], None]) -> None:
        """Have `act(due)` called once, by the first `run` at or after `when`."""
        self._count += 1
        heapq.heappush(self._heap, _Timer(when, self._count, act))

    def next_due(self) -> float | None:
        """When the earliest one is due."""
        return self._heap[0].at if self._heap else None

    def run(self, now: float) -> int:
        """Run everything due, each with its own due time as its `now`. Returns how many ran."""
        ran = 0
        while self._heap and self._heap[0].at <= now:
            timer = heapq.heappop(self._heap)
            timer.act(timer.at)
            ran += 1
        return ran

    def stretch(self, now: float, factor: float) -> None:
        """Make what is left of every waiting `factor` times as long."""
        for timer in self._heap:
            timer.at = now + max(0.0, timer.at - now) * factor
        heapq.heapify(self._heap)
