"""What people type, and what Slack makes of it."""

import re
from collections.abc import Iterable
from copy import deepcopy

from .model import Json, Message
from .workspace import Workspace

_TOKENS = re.compile(r"<(?:@[UW]\w+|#C\w+|!subteam\^S\w+|!here|!channel|!everyone|https?://[^>|\s]+)(?:\|[^>]*)?>")
_URL = re.compile(r"https?://[^\s<>|]+")
_AT = re.compile(r"(?<![\w@])@([A-Za-z][\w.-]*)")
_HASH = re.compile(r"(?<![\w#&])#([a-z0-9_-]+)")
_MENTION = re.compile(r"<@([UW]\w+)(?:\|[^>]*)?>")
_GROUP = re.compile(r"<!subteam\^(S\w+)(?:\|[^>]*)?>")
_EVERYBODY = re.compile(r"<!(?:here|channel|everyone)(?:\|[^>]*)?>")


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def typed(ws: Workspace, text: str, *, links: bool = True) -> str:
    """Typed text as Slack stores it: control characters escaped; @name, #channel and addresses made into tokens."""
    parts, at = [], 0
    for token in _TOKENS.finditer(text):
        parts += [_plain(ws, text[at : token.start()], links), token.group()]
        at = token.end()
    return "".join([*parts, _plain(ws, text[at:], links)])


def _plain(ws: Workspace, text: str, links: bool) -> str:
    people = {user.name.lower(): f"<@{user.id}>" for user in ws.users.values()}
    groups = {group.handle: f"<!subteam^{group.id}|@{group.handle}>" for group in ws.usergroups.values()}
    special = {name: f"<!{name}>" for name in ("here", "channel", "everyone")}
    known = {**special, **groups, **people}

    def channel(match: re.Match[str]) -> str:
        id_ = ws.names.get(match[1])
        return f"<#{id_}|{match[1]}>" if id_ and not ws.channels[id_].is_private else match[0]

    def name(match: re.Match[str]) -> str:
        word = match[1].rstrip(".-")
        token = known.get(word.lower())
        return token + match[1][len(word) :] if token else match[0]

    out, at = [], 0
    for url in _URL.finditer(text) if links else ():
        out += [_HASH.sub(channel, _AT.sub(name, escape(text[at : url.start()]))), f"<{escape(url.group())}>"]
        at = url.end()
    return "".join([*out, _HASH.sub(channel, _AT.sub(name, escape(text[at:])))])


def mentioned(ws: Workspace, message: Message, members: Iterable[str]) -> set[str]:
    """The members of the channel that a message calls by name, by group or all together."""
    text = " ".join([message.text, *_texts(message.all_blocks())])
    people = set(_MENTION.findall(text))
    for group in _GROUP.findall(text):
        if group in ws.usergroups:
            people.update(ws.usergroups[group].users)
    inside = set(members)
    return (inside if _EVERYBODY.search(text) else people & inside) - {message.user}


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, dict):
        if isinstance(found := value.get("text"), str):
            yield found
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def fill_ids(ws: Workspace, blocks: list[Json]) -> list[Json]:
    """Copies of the blocks with the ids that Slack adds where the app gave none."""
    filled = deepcopy(blocks)
    for block in filled:
        block.setdefault("block_id", ws.new_id("")[1:6])
        elements = [block.get("accessory"), block.get("element")]
        elements += block.get("elements", []) if block.get("type") in ("actions", "context_actions") else []
        for element in elements:
            if isinstance(element, dict) and element.get("type") != "image":
                element.setdefault("action_id", ws.new_id("")[1:6])
    return filled
