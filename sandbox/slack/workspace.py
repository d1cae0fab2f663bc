"""The whole state of the local Slack, and the parts that act on it."""

import asyncio
import base64
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from . import seed
from .delivery import Delivery
from .errors import SlackError
from .faults import Faults
from .http_events import HttpRoad
from .hub import Hub
from .limits import RateLimits
from .manifest import App
from .model import Channel, File, Json, Message, User, UserGroup, View
from .sockets import Sockets
from .tasks import Tasks
from .tickets import Tickets

CALLS_KEPT = 10_000


class ApiCall(NamedTuple):
    """One Web API call: Unix seconds, method, arguments, and "ok", Slack's error code or the fault that hit it."""

    at: float
    method: str
    args: dict[str, Any]
    result: str


class Workspace:
    """One Slack team with one installed app, all in memory. Belongs to one event loop."""

    def __init__(
        self,
        app: App,
        *,
        team: str,
        public_url: str,
        events_url: str | None,
        signing_secret: str,
        clock: Callable[[], float],
        seconds_per_minute: float,
    ) -> None:
        self.app = app
        self.team_id, self.app_id, self.bot_user, self.bot_id = (
            seed.TEAM_ID,
            seed.APP_ID,
            seed.BOT_USER,
            seed.BOT_ID,
        )
        self.team_name = team
        self.team_domain = "".join(c for c in team.lower() if c.isalnum() or c == "-")
        self.public_url = public_url.rstrip("/")
        self.clock = clock
        self.seconds_per_minute = seconds_per_minute
        self.bot_token = f"xoxb-{secrets.token_hex(12)}"
        self.app_token = f"xapp-1-{self.app_id}-{secrets.token_hex(12)}"
        self.signing_secret = signing_secret

        self.users: dict[str, User] = seed.users(app.bot_name, app.name)
        self.channels: dict[str, Channel] = seed.channels(int(clock()))
        self.usergroups: dict[str, UserGroup] = seed.usergroups()
        self.files: dict[str, File] = {}
        self.views: dict[str, View] = {}
        self.stacks: dict[str, list[str]] = {}
        self.homes: dict[str, View] = {}
        self.external_views: dict[str, str] = {}
        self.canvases: dict[str, Json] = {}
        self.scheduled: dict[str, Json] = {}
        self.names: dict[str, str] = {channel.name: channel.id for channel in self.channels.values()}
        self.directs: dict[frozenset[str], str] = {}

        self.calls: deque[ApiCall] = deque(maxlen=CALLS_KEPT)
        self.tasks = Tasks()
        self.hub = Hub()
        self.faults = Faults()
        self.limits = RateLimits(clock)
        self.tickets = Tickets(clock)
        self.closing = asyncio.Event()
        self.sockets = Sockets(self.app_id, self.faults, self.tasks, self._minute, self._app_changed)
        self.faults.on_down = self.sockets.cut
        url = events_url or (None if app.socket_mode else app.request_url)
        self.http = HttpRoad(url, signing_secret, clock, self.faults, self._app_changed) if url else None
        self.delivery = Delivery(self.http or self.sockets, self.tasks, self._minute)
        self._last_stamp = 0

    # Identity and order

    def stamp(self) -> str:
        """A new ts: the clock in microseconds, never the same twice, always growing."""
        self._last_stamp = max(int(self.clock() * 1_000_000), self._last_stamp + 1)
        return f"{self._last_stamp // 1_000_000}.{self._last_stamp % 1_000_000:06d}"

    def new_id(self, prefix: str) -> str:
        """A new id such as C0TQ3MZ6K4B."""
        return f"{prefix}0{base64.b32encode(secrets.token_bytes(6)).decode()[:9]}"

    # Finding things; each raises Slack's own error when there is nothing to find

    def channel(self, channel_id: str) -> Channel:
        if channel := self.channels.get(channel_id):
            return channel
        raise SlackError("channel_not_found")

    def visible(self, channel_id: str) -> Channel:
        """A channel that the bot may know of: any public one, a private one or a DM only from inside."""
        channel = self.channel(channel_id)
        if channel.kind != "channel" and self.bot_user not in channel.members:
            raise SlackError("channel_not_found")
        return channel

    def joined(self, channel_id: str) -> Channel:
        """A channel that the bot is a member of."""
        channel = self.visible(channel_id)
        if self.bot_user not in channel.members:
            raise SlackError("not_in_channel")
        return channel

    def message(self, channel: Channel, ts: str) -> Message:
        if (found := channel.messages.get(ts)) and found.subtype != "tombstone":
            return found
        raise SlackError("message_not_found")

    def user(self, user_id: str) -> User:
        if user := self.users.get(user_id):
            return user
        raise SlackError("user_not_found")

    def direct(self, one: str, other: str) -> Channel:
        """The direct message channel of two people, made when it is first needed."""
        pair = frozenset((one, other))
        if pair not in self.directs:
            members = dict.fromkeys((one, other))
            channel = Channel(self.new_id("D"), "", "im", int(self.clock()), one, members)
            self.channels[channel.id] = channel
            self.directs[pair] = channel.id
        return self.channels[self.directs[pair]]

    def needs(self, *scopes: str) -> None:
        """Raise missing_scope unless one of these scopes was granted."""
        if scopes and self.app.scopes.isdisjoint(scopes):
            provided = ",".join(sorted(self.app.scopes))
            raise SlackError("missing_scope", needed=",".join(scopes), provided=provided)

    # Switches

    def set_rate_limits(self, on: bool) -> None:
        """Rate limits on (the default) or off; counting starts anew."""
        self.limits.on = on
        self.limits.reset()

    def broadcast(self, kind: str) -> None:
        """Tell every page that something it fetches itself has changed ("phone", "panel")."""
        self.hub.push({"type": kind})

    @property
    def connected(self) -> bool:
        """Whether the app can be reached: a live socket, or a request URL that has been verified."""
        return self.delivery.road.connected

    def _minute(self) -> float:
        return self.seconds_per_minute

    def _app_changed(self) -> None:
        self.hub.push({"type": "app", "connected": self.connected})
