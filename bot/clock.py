"""Time as an argument: the clock every part is given, and the practice pace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """Now, in UTC, from the machine."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Pace:
    """How long a minute of the rules takes. 60 seconds in production; less when practising."""

    seconds_per_minute: float = 60.0

    @property
    def practice(self) -> bool:
        return self.seconds_per_minute != 60.0

    def wait(self, span: timedelta) -> timedelta:
        """The real time to wait for `span` of the rules."""
        return span * (self.seconds_per_minute / 60.0)

    def told(self, span: timedelta) -> timedelta:
        """What a real time span is called in the minutes of the rules."""
        return span * (60.0 / self.seconds_per_minute)


def spoken(span: timedelta) -> str:
    """A duration as people say it: `45 s`, `12 min`, `1 h 05 min`, `2 d 3 h`."""
    seconds = max(0, round(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 10 and rest:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    days, hours = divmod(hours, 24)
    if not days:
        return f"{hours} h {minutes:02} min"
    return f"{days} d {hours} h"
