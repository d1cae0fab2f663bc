"""What can be made to go wrong with the cluster while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Fault:
    """One failing call: its HTTP status and message. `times`: how often before it cures itself; None is for ever.
    `lost`: the call is done, and its answer is lost on the way."""

    code: int = 500
    message: str = "practice: this call was made to fail"
    reason: str = "InternalError"
    times: int | None = None
    retry_after: int | None = None
    lost: bool = False


@dataclass
class Faults:
    """Set at run time.

    `down`: every connection is cut, open watches too. `slow`: seconds added to every call. `fail`: which calls fail,
    by "patch deployments", "writes" or "*", tried in that order; verbs are get, list, watch, create, update, patch,
    delete, a subresource is "create pods/eviction". `crashing`: names of `app` labels whose containers end at once.
    `missing_images`: images that no registry has, beside those with the tag `missing`. `hanging`: UIDs of pods that never
    finish ending, as when a volume cannot be let go of. `unhealthy`: failing checks of /readyz.
    """

    slow: float = 0.0
    fail: dict[str, Fault] = field(default_factory=dict)
    crashing: set[str] = field(default_factory=set)
    missing_images: set[str] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)
    unhealthy: set[str] = field(default_factory=set)
    on_change: Callable[[], None] = lambda: None
    _down: bool = False

    @property
    def down(self) -> bool:
        """Whether nobody answers."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        self._down = down
        self.on_change()

    def take(self, verb: str, resource: str) -> Fault | None:
        """The fault that hits this call, counted down."""
        writes = ["writes"] if verb in ("create", "update", "patch", "delete") else []
        key = next((key for key in (f"{verb} {resource}", *writes, "*") if key in self.fail), None)
        if key is None:
            return None
        fault = self.fail[key]
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                del self.fail[key]
        return fault

    def clear(self) -> None:
        """Everything works again."""
        self.slow = 0.0
        for switched in (self.fail, self.crashing, self.missing_images, self.hanging, self.unhealthy):
            switched.clear()
        self.down = False
