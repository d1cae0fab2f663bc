"""What can be made to go wrong between the app and the local Slack, switchable while it runs."""

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["ratelimited", "http_500", "http_503", "internal_error", "hang", "drop", "lost", "refused"]


@dataclass(slots=True)
class FaultSpec:
    """One fault of one method. `times` None = until removed; `retry_after` in seconds, for `ratelimited` only.

    `refused` answers with the error `code`: what a workspace's own settings forbid, such as restricted_action.

    `having`: hits only calls with that argument, such as `thread_ts`. `drop` cuts the connection before the call is done,
    `lost` after it was done, `hang` never answers.
    """

    kind: Kind
    times: int | None = None
    retry_after: int = 1
    code: str = "restricted_action"
    having: str = ""


@dataclass(slots=True)
class Faults:
    """All faults. `latency`: seconds added to each Web API call; `ghost`: dead sockets that still take envelopes."""

    latency: float = 0.0
    fail: dict[str, FaultSpec] = field(default_factory=dict)
    socket_silent: bool = False
    ghost: int = 0
    on_down: Callable[[], None] = lambda: None
    _down: bool = False

    @property
    def down(self) -> bool:
        """Every Web API call and socket is refused, and open sockets are cut."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        self._down = down
        if down:
            self.on_down()

    def take(self, method: str, arguments: Container[str] = ()) -> FaultSpec | None:
        """The fault that hits this call, if any; counts down `times`."""
        for key in (method, "*"):
            spec = self.fail.get(key)
            if spec is None or (spec.having and spec.having not in arguments):
                continue
            if spec.times is not None:
                spec.times -= 1
                if spec.times <= 0:
                    del self.fail[key]
            return spec
        return None

    def clear(self) -> None:
        """Back to normal."""
        self.latency, self.socket_silent, self.ghost, self.down = 0.0, False, 0, False
        self.fail.clear()
