"""The invariants: what must be true of the world however often the bot died."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from bot.timeline import verify
from sandbox.slack.model import Channel, Message
from tests.stories.scene import ANNOUNCE, Scene, whole

BOT, ANA = "U0BOT", "U0ANA"
ONCE = ("declared", "room", "board", "paged", "assessed")
"""Entries that the timeline of every declaration has, each once."""


async def broken(it: Scene) -> list[str]:
    """Every invariant that does not hold, as a sentence."""
    async with it.store.pool.connection() as conn:
        cursor = await conn.execute("select number, private, room, board_ts, announced from incident order by number")
        rows = await cursor.fetchall()
        cursor = await conn.execute("select level from rung where state = 'fired' order by level")
        rungs = [int(row["level"]) for row in await cursor.fetchall()]
    if not rows:
        return _nothing(it)
    if len(rows) != 1:
        return [f"{len(rows)} incidents out of one declaration"]
    row = rows[0]
    number = int(row["number"])  # a number that was drawn by a transaction which died is never used again
    wrong = [*_room(it, row), *_messages(it), *_pages(it, number, rungs), *_answers(it)]
    said = said_in(it.practice.slack.channels[ANNOUNCE])
    if len(said) != (0 if row["private"] else 1):
        wrong.append(f"{len(said)} lines in the announce channel")
    return [*wrong, *await _timeline(it, number, rungs, private=row["private"])]


def _nothing(it: Scene) -> list[str]:
    """The click was never stored: then nothing at all may have happened."""
    wrong = []
    if _rooms(it):
        wrong.append("a room without an incident")
    if it.practice.pagerduty.incidents:
        wrong.append("a page without an incident")
    return wrong


def _rooms(it: Scene) -> list[Channel]:
    return [c for c in it.practice.slack.channels.values() if not c.is_im and c.creator == BOT]


def _room(it: Scene, row: Mapping[str, Any]) -> list[str]:
    rooms = _rooms(it)
    if len(rooms) != 1:
        return [f"{len(rooms)} rooms of ours: {', '.join(r.name for r in rooms)}"]
    room, wrong = rooms[0], []
    if room.id != row["room"]:
        wrong.append("the incident names another room than ours")
    if room.is_private != row["private"]:
        wrong.append("the room is not as private as the incident")
    if not room.name.startswith(f"inc-{row['number']}-checkout-is-down"):
        wrong.append(f"the room is called {room.name}")
    boards = [m for m in said_in(room) if key_of(m) == f"INC-{row['number']}/board"]
    if [m.ts for m in boards] != [row["board_ts"]]:
        wrong.append(f"{len(boards)} boards in the room; the incident knows {row['board_ts']}")
    if list(room.pins) != [row["board_ts"]]:
        wrong.append(f"pinned are {list(room.pins)}, the board is {row['board_ts']}")
    if said_in(room)[:1] != boards[:1]:
        wrong.append("the board is not the first message of its room")
    links = Counter(b.link for b in room.bookmarks.values())
    wrong += [f"{n} bookmarks to {link}" for link, n in links.items() if n > 1]
    if len(links) < 5:
        wrong.append(f"only {len(links)} bookmarks")
    if not room.topic.value or not room.purpose.value:
        wrong.append("the room has no topic or no purpose")
    missing = {ANA, "U0BEN", "U0CHLOE", "U0DEV", "U0EVA"} - set(room.members)
    if missing:
        wrong.append(f"not invited: {', '.join(sorted(missing))}")
    return wrong


def said_in(channel: Channel) -> list[Message]:
    """What the bot wrote into a channel, threads included; not what Slack itself writes for it (joined, pinned, …)."""
    messages = sorted(channel.messages.values(), key=lambda m: m.ts)
    return [m for m in messages if m.bot_id and m.subtype in (None, "bot_message")]


def key_of(message: Message) -> str:
    """The effect that a message was posted by, as it is written into the message; empty for an answer."""
    return str(((message.metadata or {}).get("event_payload") or {}).get("key", ""))


def _messages(it: Scene) -> list[str]:
    """No effect wrote twice, and no two effects wrote the same into one channel."""
    said = [m for channel in it.practice.slack.channels.values() for m in said_in(channel)]
    wrong = _more_than_once((key_of(m) for m in said if key_of(m)), "messages of the effect")
    words = ((m.channel, whole({"text": m.text, "blocks": m.blocks})) for m in said if "acknowledged in" not in m.text)
    return wrong + _more_than_once((f"in {channel}: {text!r}" for channel, text in words), "equal messages")


def _more_than_once(items: Iterable[str], what: str) -> list[str]:
    return [f"{count} {what} {item}" for item, count in Counter(items).items() if count > 1]


def _pages(it: Scene, number: int, rungs: list[int]) -> list[str]:
    pages = list(it.practice.pagerduty.incidents.values())
    if [p.key for p in pages] != [f"INC-{number}"]:
        return [f"PagerDuty has the incidents {[p.key for p in pages]}"]
    page = pages[0]
    asked = Counter(target.id for request in page.requests for target, _ in request.targets)
    wanted = Counter(f"PRUNG{level:02}" for level in rungs if level > 1)
    wrong = [] if asked == wanted else [f"rungs {rungs} have fired, asked to join were {dict(asked)}"]
    if len(page.entries("trigger_log_entry")) != 1 or len(page.entries("assign_log_entry")) != 1:
        wrong.append("rung 1 was paged more than once")
    return wrong


def _answers(it: Scene) -> list[str]:
    """What only the person who declared can see: at most one answer."""
    channels = it.practice.slack.channels.values()
    seen = [m for c in channels for m in c.ephemerals.get(ANA, {}).values()]
    seen += [m for c in channels if c.is_im and ANA in c.members for m in said_in(c) if not key_of(m)]
    return [f"{len(seen)} answers to one declaration"] if len(seen) > 1 else []


async def _timeline(it: Scene, number: int, rungs: list[int], *, private: bool) -> list[str]:
    entries = await it.timeline(number)
    verdict = verify(entries)
    async with it.store.tx() as tx:
        head = await tx.timeline_head(number)
    wrong = [] if verdict.holds else [f"the timeline is broken at {verdict.broken_at}: {verdict.why}"]
    if head != (verdict.entries, verdict.head):
        wrong.append("the timeline was cut")
    kinds = Counter(entry.kind for entry in entries)
    wanted = dict.fromkeys(ONCE, 1) | {"announced": 0 if private else 1}
    wanted |= {"rung": len(rungs), "rung_paged": max(0, len(rungs) - 1)}
    wrong += [f"{kinds[kind]} entries {kind}, not {count}" for kind, count in wanted.items() if kinds[kind] != count]
    # At a quick pace an acknowledgement times out in PagerDuty within the test, and the person answers once more.
    acked = sum(len(page.entries("acknowledge_log_entry")) for page in it.practice.pagerduty.incidents.values())
    if kinds["acknowledged"] > acked:
        wrong.append(f"{kinds['acknowledged']} entries acknowledged, PagerDuty was acknowledged {acked} times")
    return wrong + _more_than_once(
        (f"{e.kind}: {e.text}" for e in entries if e.kind != "acknowledged"), "equal entries"
    )
