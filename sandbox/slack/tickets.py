"""The short-lived permissions that come with a click: trigger ids and response URLs."""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from .errors import SlackError

TRIGGER_SECONDS = 3.0
RESPONSE_SECONDS = 30 * 60.0
RESPONSE_USES = 5
KEPT = 10_000


@dataclass(slots=True)
class Trigger:
    """The right to open one view for `user`; `view` is the modal it was clicked in, if any."""

    user: str
    at: float
    view: str | None
    used: bool = False


@dataclass(slots=True)
class ResponseUrl:
    """The right to answer a click five times; `original` is the ts of the message that was clicked, if any."""

    user: str
    channel: str
    original: str | None
    at: float
    uses: int = 0


class Tickets:
    """Hands out and redeems both. Only the newest ten thousand of each are remembered."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._triggers: OrderedDict[str, Trigger] = OrderedDict()
        self._responses: OrderedDict[str, ResponseUrl] = OrderedDict()

    def trigger(self, user: str, view: str | None = None) -> str:
        number = secrets.randbelow(10**10)
        key = f"{number}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self._triggers[key] = Trigger(user, self._clock(), view)
        if len(self._triggers) > KEPT:
            self._triggers.popitem(last=False)
        return key

    def redeem(self, key: str) -> Trigger:
        """Raises invalid_trigger_id, exchanged_trigger_id or expired_trigger_id."""
        trigger = self._triggers.get(key)
        if trigger is None:
            raise SlackError("invalid_trigger_id")
        if trigger.used:
            raise SlackError("exchanged_trigger_id")
        if self._clock() - trigger.at > TRIGGER_SECONDS:
            raise SlackError("expired_trigger_id")
        trigger.used = True
        return trigger

    def response(self, user: str, channel: str, original: str | None) -> str:
        """A new response URL's id."""
        key = secrets.token_hex(16)
        self._responses[key] = ResponseUrl(user, channel, original, self._clock())
        if len(self._responses) > KEPT:
            self._responses.popitem(last=False)
        return key

    def respond(self, key: str) -> ResponseUrl:
        """Take one of its uses. Raises invalid_url, expired_url or used_url."""
        url = self._responses.get(key)
        if url is None:
            raise SlackError("invalid_url")
        if self._clock() - url.at > RESPONSE_SECONDS:
            raise SlackError("expired_url")
        if url.uses >= RESPONSE_USES:
            raise SlackError("used_url")
        url.uses += 1
        return url
