"""Slack's rate limits: so many calls of one method in 60 s, and about one posted message a second per channel."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

WINDOW = 60.0
PER_MINUTE = {1: 1, 2: 20, 3: 50, 4: 100}
"""Calls a minute by tier."""
SPECIAL = 600
"""Calls a minute of the methods without a tier (auth.test, chat.getPermalink, ...): several hundred."""
POSTS_PER_MINUTE = 300
"""chat.postMessage over the whole workspace."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(slots=True)
class RateLimits:
    """`burst` posts may come at once in a channel, then one a second."""

    clock: Callable[[], float]
    on: bool = True
    burst: int = 5
    per_minute: dict[int, int] = field(default_factory=lambda: dict(PER_MINUTE))
    _calls: dict[str, deque[float]] = field(default_factory=dict)
    _posts: dict[str, _Bucket] = field(default_factory=dict)

    def check(self, method: str, tier: int, channel: str) -> int | None:
        """None when the call may pass (and is counted), else the seconds to wait: the Retry-After header."""
        if not self.on:
            return None
        now = self.clock()
        if method == "chat.postMessage":
            return self._post(now, channel) or self._count(method, POSTS_PER_MINUTE, now)
        return self._count(method, self.per_minute.get(tier, SPECIAL), now)

    def reset(self) -> None:
        """Forget what was counted."""
        self._calls.clear()
        self._posts.clear()

    def _count(self, method: str, limit: int, now: float) -> int | None:
        calls = self._calls.setdefault(method, deque())
        while calls and calls[0] <= now - WINDOW:
            calls.popleft()
        if len(calls) >= limit:
            return max(1, math.ceil(calls[0] + WINDOW - now))
        calls.append(now)
        return None

    def _post(self, now: float, channel: str) -> int | None:
        bucket = self._posts.setdefault(channel, _Bucket(float(self.burst), now))
        bucket.tokens = min(float(self.burst), bucket.tokens + now - bucket.at)
        bucket.at = now
        if bucket.tokens < 1:
            return 1
        bucket.tokens -= 1
        return None
