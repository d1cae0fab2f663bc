"""A circuit breaker. Pure: every question takes `now`, in seconds."""

from dataclasses import dataclass
from typing import Literal

State = Literal["closed", "open", "half_open"]


@dataclass
class Breaker:
    """Closed while calls succeed; open after `threshold` failures in a row; after `rest` seconds one call may try."""

    threshold: int = 3
    rest: float = 60.0
    failures: int = 0
    opened_at: float | None = None
    times_opened: int = 0

    def state(self, now: float) -> State:
        """Whether calls pass (closed), are spared (open), or the next one is a trial (half_open)."""
        if self.opened_at is None:
            return "closed"
        return "half_open" if now - self.opened_at >= self.rest else "open"

    def allows(self, now: float) -> bool:
        """Whether a call may be tried now."""
        return self.state(now) != "open"

    def succeeded(self) -> None:
        """A call went well: closed."""
        self.failures, self.opened_at = 0, None

    def failed(self, now: float) -> None:
        """A call failed: count it, and open when it was one too many or a trial."""
        trial = self.opened_at is not None
        self.failures += 1
        if trial or self.failures >= self.threshold:
            if not trial:
                self.times_opened += 1
            self.opened_at = now

    def reset(self) -> None:
        """Closed by hand."""
        self.succeeded()
