"""A point of a run: at which of its checkpoints, or when, the bot dies; drawn from a seed, so that it can be repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from tests.crash.point import AtTime

Of = Literal["failover", "switchover", "restore", "rotate", "node", "dns", "rebuild", "undo-restore", "undo-dns"]
"""What is run. Of those that begin with "undo" it is the undo of a run that has succeeded."""

STEPS: dict[Of, int] = {"failover": 3, "switchover": 6, "restore": 6, "rotate": 4, "node": 5, "dns": 3, "rebuild": 4,
                        "undo-restore": 6, "undo-dns": 3}  # fmt: skip
LASTS: dict[Of, float] = {"failover": 2.0, "switchover": 3.0, "restore": 4.0, "rotate": 3.0, "node": 4.0, "dns": 3.0, "rebuild": 5.0,
                          "undo-restore": 3.0, "undo-dns": 1.0}  # fmt: skip
"""Seconds from the approval (or from the click on Undo) within which the random instants lie: about what a run takes."""


BY_TWO: tuple[Of, ...] = ("restore", "dns", "rebuild", "undo-restore", "undo-dns")
"""What two people must approve."""


@dataclass(frozen=True)
class AtRow:
    """Dies when `what` ("run" or the number of a step) becomes `state`; `wait` seconds after that is written, or, not
    `written`, before it is: what it tells of has happened, and nobody has noted it. State "ended" is any end of a run."""

    what: str
    state: str
    written: bool
    wait: float = 0.0


RunDeath = AtRow | AtTime


@dataclass(frozen=True)
class RunPoint:
    """One seeded choice. `behind`: the standby has missed the last writes of the primary that died."""

    of: Of
    seed: int
    number: int
    deaths: tuple[RunDeath, ...]
    behind: bool = False

    @property
    def undoes(self) -> bool:
        """It dies while a run is undone."""
        return self.of.startswith("undo-")

    @property
    def good(self) -> str:
        """How its run ends when all goes well."""
        return "undone" if self.undoes else "succeeded"

    @property
    def repeat(self) -> str:
        return f"python -m tests.crash.chaos --of {self.of} --seed {self.seed} --point {self.number}"

    def __str__(self) -> str:
        behind = " behind" if self.behind else ""
        return f"{self.of} {self.number} of seed {self.seed}: {' '.join(map(_said, self.deaths))}{behind}"


def _said(death: RunDeath) -> str:
    if isinstance(death, AtTime):
        return f"[dies after {death.after * 1000:.0f} ms]"
    what = death.what if death.what == "run" else f"step {int(death.what) + 1}"
    after = f", {death.wait * 1000:.0f} ms after" if death.wait else ""
    return f"[dies as {what} is {death.state}, {'' if death.written else 'not '}written{after}]"


BEGINNINGS = ("begun", "undoing")


def boundaries(of: Of) -> list[AtRow]:
    """Every checkpoint of a run: begun; happened and not written; written. In the order in which they come."""
    states = [("run", "proposed"), ("run", "running")]
    for number in map(str, range(STEPS[of])):
        states += [(number, "begun"), (number, "done")]
    if of.startswith("undo-"):
        states = [("run", "undoing")]
        for number in map(str, reversed(range(STEPS[of]))):
            states += [(number, "undoing"), (number, "undone")]
    states.append(("run", "ended"))
    # Not written that it has begun is the same as written that the one before is done.
    return [AtRow(what, state, w) for what, state in states for w in (False, True) if w or state not in BEGINNINGS]


def draw_run(of: Of, seed: int, number: int) -> RunPoint:
    """Point `number` of a seed: the first ones are the boundaries, one after the other; all further ones are random.

    A second death comes some time after the new start, before or while the run is taken up.
    """
    dice = random.Random(f"{of}/{seed}/{number}")  # noqa: S311  repeatable is what is wanted
    every = boundaries(of)
    first: RunDeath = every[number] if number < len(every) else _instant(dice, of, every)
    again = tuple(AtTime(8 * dice.random()) for _ in range(dice.choice((0, 0, 0, 1))))
    return RunPoint(of, seed, number, (first, *again), behind=of == "failover" and dice.random() < 0.3)


def _instant(dice: random.Random, of: Of, every: list[AtRow]) -> RunDeath:
    """Any instant after the approval, or some time into a step."""
    if dice.random() < 0.6:
        return AtTime(LASTS[of] * dice.random())
    step = dice.choice([b for b in every if b.state in BEGINNINGS])
    return AtRow(step.what, step.state, written=True, wait=dice.choice((0.02, 0.2, 1.0)) * dice.random())
