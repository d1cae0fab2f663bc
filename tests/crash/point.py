"""A point: where the bot dies, how often, and under which conditions; drawn from a seed, so that it can be repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal

Moment = Literal["refused", "arrived", "held", "done", "kept", "answered"]

MOMENTS: tuple[Moment, ...] = ("refused", "arrived", "held", "done", "kept", "answered")
"""Of one call: it never arrives; it arrives and is done after the caller has died; the caller dies while it waits to be
done; it is done and the answer is lost; the same some time later; the caller dies a moment after the answer."""


@dataclass(frozen=True)
class AtCall:
    """Dies at the `nth` outside call (counted from 1, Slack's and PagerDuty's together). `wait`: seconds that `moment` needs."""

    nth: int
    moment: Moment
    wait: float


@dataclass(frozen=True)
class AtTime:
    """Dies so many seconds after the declaration was sent; a second death: after the process was started again."""

    after: float


Death = AtCall | AtTime


@dataclass(frozen=True)
class Point:
    """One seeded choice. `taken`: the name of the room belongs to somebody else already."""

    seed: int
    number: int
    deaths: tuple[Death, ...]
    window: bool = False
    private: bool = False
    taken: bool = False
    http: bool = False
    webhooks: bool = True
    embedded: bool = False
    answers: bool = False
    seconds_per_minute: float = 60.0
    repeat: str = field(default="", compare=False)

    def __str__(self) -> str:
        said = [f"point {self.number} of seed {self.seed}:", *(_death(death) for death in self.deaths)]
        said += [name for name in ("window", "private", "taken", "http", "embedded", "answers") if getattr(self, name)]
        return " ".join([*said, f"minute={self.seconds_per_minute:g}s"])


def _death(death: Death) -> str:
    if isinstance(death, AtTime):
        return f"[dies after {death.after * 1000:.0f} ms]"
    return f"[dies at call {death.nth}, {death.moment}, {death.wait * 1000:.0f} ms]"


CALLS = 24
"""Outside calls of a declaration on which a death is aimed; a death that finds fewer comes when all is quiet."""

PACES = (60.0, 60.0, 3.0, 0.2)
"""Seconds a minute: nothing but the declaration; the proof of the first minute too; the whole ladder within 12 s."""


def draw(seed: int, number: int) -> Point:
    """Point `number` of a seed. Every third walks through the calls in order, so that all of them are visited."""
    dice = random.Random(f"{seed}/{number}")  # noqa: S311  repeatable is what is wanted
    first = _first(dice, number)
    deaths = (first, *(_again(dice) for _ in range(dice.choice((0, 0, 0, 1, 1, 2)))))
    pace = dice.choice(PACES)
    return Point(
        seed=seed,
        number=number,
        deaths=deaths,
        window=dice.random() < 0.3,
        private=dice.random() < 0.1,
        taken=dice.random() < 0.15,
        http=dice.random() < 0.2,
        webhooks=dice.random() < 0.8,
        embedded=number % 10 == 7,
        answers=pace < 60 and dice.random() < 0.5,
        seconds_per_minute=pace,
        repeat=f"python -m tests.crash.chaos --seed {seed} --point {number}",
    )


def _first(dice: random.Random, number: int) -> Death:
    if number % 3 == 2:
        return AtTime(dice.choice((0.3, 1.5)) * dice.random())
    nth = number // 3 % CALLS + 1 if number % 3 == 0 else dice.randint(1, CALLS)
    return _at_call(dice, nth)


def _again(dice: random.Random) -> Death:
    """A further death: while it starts, or at one of its first calls, most of which read back."""
    if dice.random() < 0.3:
        return AtTime(3 * dice.random())
    return _at_call(dice, dice.randint(1, 12))


def _at_call(dice: random.Random, nth: int) -> AtCall:
    moment = dice.choice(MOMENTS)
    wait = {"arrived": 1.0, "held": 0.2, "kept": 0.2, "answered": 0.03}.get(moment, 0.0) * dice.random()
    return AtCall(nth, moment, wait)
