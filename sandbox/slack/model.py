"""The things a Slack team is made of. Plain data; who may change them is decided elsewhere."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]


@dataclass(slots=True)
class User:
    """A person, or the app's bot user. `color` is six hex digits without `#`."""

    id: str
    name: str
    real_name: str
    email: str
    title: str
    color: str
    is_bot: bool = False
    deleted: bool = False

    @property
    def initials(self) -> str:
        return "".join(word[0] for word in self.real_name.split()[:2]).upper()


@dataclass(slots=True)
class UserGroup:
    """A mentionable group; `users` is the live list of member ids."""

    id: str
    handle: str
    name: str
    users: list[str]


@dataclass(slots=True)
class Note:
    """A channel's topic or purpose; `last_set` is in Unix seconds, 0 = never."""

    value: str = ""
    creator: str = ""
    last_set: int = 0

    def shape(self) -> Json:
        return {"value": self.value, "creator": self.creator, "last_set": self.last_set}


@dataclass(slots=True)
class Bookmark:
    id: str
    title: str
    link: str
    emoji: str
    created: int
    updated: int


@dataclass(slots=True)
class Message:
    """One message. `ts` is Slack's "seconds.6digits"; `replies` holds the ts of the thread's replies, oldest first."""

    ts: str
    channel: str
    text: str
    user: str | None = None
    bot_id: str | None = None
    username: str | None = None
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    subtype: str | None = None
    edited: tuple[str, str] | None = None
    metadata: Json | None = None
    files: list[str] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    replies: list[str] = field(default_factory=list)
    reply_users: list[str] = field(default_factory=list)
    extra: Json = field(default_factory=dict)
    ephemeral_to: str | None = None
    states: dict[str, dict[str, Json]] = field(default_factory=dict)
    """What each person has chosen in this message's inputs: person -> block_id -> action_id -> state."""

    def all_blocks(self) -> list[Json]:
        """Its own blocks and those inside its attachments."""
        return [*self.blocks, *(block for part in self.attachments for block in part.get("blocks", ()))]


@dataclass(slots=True)
class Channel:
    """A public or private channel or a direct message, with everything said in it."""

    id: str
    name: str
    kind: Literal["channel", "group", "im"]
    created: int
    creator: str
    members: dict[str, None] = field(default_factory=dict)
    archived: bool = False
    topic: Note = field(default_factory=Note)
    purpose: Note = field(default_factory=Note)
    previous_names: list[str] = field(default_factory=list)
    messages: dict[str, Message] = field(default_factory=dict)
    timeline: list[str] = field(default_factory=list)
    """The ts of every message shown in the channel itself (not of plain thread replies), oldest first."""
    ephemerals: dict[str, dict[str, Message]] = field(default_factory=dict)
    """What only one person sees: person -> ts -> message."""
    pins: dict[str, tuple[str, int]] = field(default_factory=dict)
    """ts -> (who pinned it, when)."""
    bookmarks: dict[str, Bookmark] = field(default_factory=dict)
    last_read: dict[str, str] = field(default_factory=dict)
    mentioned: dict[str, str] = field(default_factory=dict)
    """person -> ts of the newest message that mentions them."""
    canvas: str | None = None

    @property
    def is_private(self) -> bool:
        return self.kind == "group"

    @property
    def is_im(self) -> bool:
        return self.kind == "im"

    def other(self, user: str) -> str:
        """The other side of a direct message (oneself in a note to self)."""
        return next((member for member in self.members if member != user), user)


@dataclass(slots=True)
class File:
    """An upload: its bytes arrive second, its title and places third."""

    id: str
    name: str
    size: int
    created: int
    user: str
    title: str = ""
    mimetype: str = "application/octet-stream"
    content: bytes | None = None
    completed: bool = False
    channels: list[str] = field(default_factory=list)
    shares: dict[str, str] = field(default_factory=dict)
    """channel -> ts of the message that shares it."""


@dataclass(slots=True)
class View:
    """A modal or a Home tab as one person sees it; `body` is what the app sent, block ids filled in."""

    id: str
    user: str
    body: Json
    hash: str
    root: str
    previous: str | None = None
    values: dict[str, Json] = field(default_factory=dict)
    """block_id -> action_id -> state, kept across updates of the same block and action."""

    @property
    def type(self) -> str:
        return str(self.body["type"])

    @property
    def blocks(self) -> list[Json]:
        blocks: list[Json] = self.body["blocks"]
        return blocks


def elements_of(block: Json) -> Iterable[Json]:
    """Every interactive element of a block: accessory, input element or the members of an actions block."""
    if isinstance(accessory := block.get("accessory"), dict):
        yield accessory
    if isinstance(element := block.get("element"), dict):
        yield element
    if block.get("type") in ("actions", "context_actions"):
        yield from block.get("elements", ())
