"""A measured figure, beside its goal; and the table of all of them."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """`value` in `unit`. `below`: the goal, None when the figure has none. `how`: what was measured, in a few words."""

    name: str
    value: float
    unit: str
    below: float | None = None
    how: str = ""
    digits: int = 0

    @property
    def met(self) -> bool | None:
        return None if self.below is None else self.value < self.below

    def __str__(self) -> str:
        goal = "" if self.below is None else f"< {self.below:g} {self.unit}"
        verdict = {True: "yes", False: "**no**", None: ""}[self.met]
        return f"| {self.name} | {self.value:,.{self.digits}f} {self.unit} | {goal} | {verdict} | {self.how} |"


HEAD = "| What | Measured | Goal | Met | How |\n|---|---:|---:|---|---|"


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which `share` (0..1) of the values lie; nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def load() -> str:
    """What else the machine was doing: the load average of the last minute beside its cores."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


Say = Callable[[str], None]
