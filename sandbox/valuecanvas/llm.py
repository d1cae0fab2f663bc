"""The LLM service: Together.ai first, OpenAI when the circuit breaker says so. Both are played by this process."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.valuecanvas.breaker import Breaker

_log = logging.getLogger(__name__)

PRIMARY, FALLBACK = "together", "openai"
NAMES = {PRIMARY: "Together.ai", FALLBACK: "OpenAI"}


class ProviderError(Exception):
    """A provider answered with an error."""


class NoProvider(Exception):
    """Neither provider answered."""


@dataclass
class Provider:
    """A provider that can be told to fail."""

    name: str
    up: bool = True
    calls: int = 0
    errors: int = 0
    last_error: str | None = None

    def complete(self, prompt: str) -> str:
        """An answer. Raises ProviderError while it is down."""
        self.calls += 1
        if not self.up:
            self.errors += 1
            self.last_error = f"{NAMES[self.name]} answered 503"
            raise ProviderError(self.last_error)
        self.last_error = None
        return f"You said: {prompt}"


@dataclass
class LlmService:
    """Calls the primary through the breaker, and the fallback when that is open or the call fails."""

    clock: Callable[[], float]
    breaker: Breaker = field(default_factory=Breaker)
    providers: dict[str, Provider] = field(default_factory=lambda: {n: Provider(n) for n in (PRIMARY, FALLBACK)})
    requests: int = 0
    fallbacks: int = 0
    failures: int = 0

    def complete(self, prompt: str) -> tuple[str, str]:
        """(answer, provider). Raises NoProvider."""
        self.requests += 1
        if self.breaker.allows(self.clock()):
            try:
                answer = self.providers[PRIMARY].complete(prompt)
            except ProviderError as error:
                self.breaker.failed(self.clock())
                _log.warning("Together.ai call failed: %s", error)
            else:
                self.breaker.succeeded()
                _log.info("Together.ai call succeeded")
                return answer, PRIMARY
        self.fallbacks += 1
        try:
            return self.providers[FALLBACK].complete(prompt), FALLBACK
        except ProviderError as error:
            self.failures += 1
            raise NoProvider(str(error)) from error

    def reset(self) -> None:
        """Close the breaker by hand."""
        self.breaker.reset()

    def health(self) -> dict[str, Any]:
        """The breaker and the providers; `status` is healthy, degraded (fallback in use) or unhealthy (none left)."""
        state = self.breaker.state(self.clock())
        active: str | None = PRIMARY if state == "closed" else FALLBACK
        if active == FALLBACK and self.providers[FALLBACK].last_error is not None:
            active = None
        status = {PRIMARY: "healthy", FALLBACK: "degraded", None: "unhealthy"}[active]
        return {
            "status": status,
            "active_provider": active,
            "primary": PRIMARY,
            "fallback": FALLBACK,
            "fallback_active": active == FALLBACK,
            "circuit_breaker": {
                "state": state,
                "failures": self.breaker.failures,
                "threshold": self.breaker.threshold,
                "retry_in_seconds": self._rest(state),
            },
            "providers": {
                name: {"status": "up" if provider.last_error is None else "failing", "last_error": provider.last_error}
                for name, provider in self.providers.items()
            },
        }

    def _rest(self, state: str) -> float | None:
        if state != "open" or self.breaker.opened_at is None:
            return None
        return round(self.breaker.rest - (self.clock() - self.breaker.opened_at), 1)

    def stats(self) -> dict[str, Any]:
        """Counters since the start."""
        return {
            "requests": self.requests,
            "fallbacks": self.fallbacks,
            "failures": self.failures,
            "circuit_breaker": {
                "state": self.breaker.state(self.clock()),
                "failures": self.breaker.failures,
                "times_opened": self.breaker.times_opened,
            },
            "providers": {n: {"calls": p.calls, "errors": p.errors} for n, p in self.providers.items()},
        }
