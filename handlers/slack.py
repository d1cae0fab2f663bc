"""Slack's answer to bot/chat.py: what Slack calls an error becomes a value, Unavailable or Refused here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.chat import Card, Posted, ReplyTo, Room
from bot.errors import NameTaken, Refused, Unavailable
from bot.failures import why
from handlers import cards

METADATA = "recovery_bot_effect"
INVITE_CHUNK = 100

LATER = {
    "ratelimited",
    "rate_limited",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "team_added_to_org",
}
TOKEN = {"invalid_auth", "account_inactive", "token_revoked", "token_expired", "not_authed"}


@asynccontextmanager
async def slack_errors() -> AsyncIterator[None]:
    """Translate whatever the SDK raises."""
    try:
        yield
    except SlackApiError as error:
        raise _translated(error) from error
    except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unavailable(f"Slack does not answer ({why(error)})") from error


def _translated(error: SlackApiError) -> Exception:
    response: Any = error.response
    code = str(response.get("error", "")) if isinstance(response.data, dict) else ""
    if response.status_code == 429 or code in LATER or response.status_code >= 500 or not code:
        after = response.headers.get("Retry-After") or response.headers.get("retry-after")
        limited = response.status_code == 429
        return Unavailable(
            f"Slack says {code or response.status_code}", float(after) if after else None, untried=limited
        )
    if code in TOKEN:
        return Unavailable(f"Slack does not accept the token ({code})", retry_after=30)
    if code == "name_taken":
        return NameTaken("the channel name is taken", code)
    detail = "; ".join((response.get("response_metadata") or {}).get("messages") or [])
    if code == "missing_scope":
        detail = f"needed: {response.get('needed')}"
    return Refused(f"Slack says {code}" + (f" ({detail})" if detail else ""), code)


class SlackChat:
    """A Chat. `redact` sees every text before it leaves."""

    def __init__(self, client: AsyncWebClient, session: aiohttp.ClientSession, redact: Callable[[str], str]) -> None:
        self._slack = client
        self._session = session
        self._redact = redact
        self._me = ""
        self._emails: dict[str, tuple[float, str | None]] = {}
        self._names: dict[str, str] = {}

    async def me(self) -> str:
        """The bot's own user id, asked once."""
        if not self._me:
            async with slack_errors():
                self._me = str((await self._slack.auth_test())["user_id"])
        return self._me

    def _drawn(self, card: Card) -> tuple[str, list[dict[str, Any]]]:
        text, blocks = cards.draw(card)
        return self._redact(text), _redacted(blocks, self._redact)

    async def create_room(self, name: str, *, private: bool) -> Room:
        async with slack_errors():
            made = (await self._slack.conversations_create(name=name, is_private=private))["channel"]
        return Room(made["id"], made["name"])

    async def find_room(self, name: str, *, private: bool, since: datetime) -> Room | None:
        me, cursor = await self.me(), ""
        while True:
            async with slack_errors():
                page = await self._slack.conversations_list(
                    types="private_channel" if private else "public_channel",
                    exclude_archived=True,
                    limit=1000,
                    cursor=cursor,
                )
            for channel in page["channels"]:
                if channel["name"] == name and channel.get("creator") == me and channel["created"] >= since.timestamp():
                    return Room(channel["id"], channel["name"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return None

    async def describe(self, room: str, topic: str, purpose: str) -> None:
        async with slack_errors():
            await self._slack.conversations_setTopic(channel=room, topic=topic)
            await self._slack.conversations_setPurpose(channel=room, purpose=purpose)

    async def invite(self, room: str, people: Sequence[str]) -> Mapping[str, str]:
        me = await self.me()
        wanted = [p for p in people if p != me]
        refused: dict[str, str] = {}
        for start in range(0, len(wanted), INVITE_CHUNK):
            chunk = wanted[start : start + INVITE_CHUNK]
            try:
                async with slack_errors():
                    answer = await self._slack.conversations_invite(channel=room, users=chunk, force=True)
                refused |= _not_invited(answer.data)
            except Refused as refusal:
                if refusal.code in ("already_in_channel", "cant_invite_self"):
                    continue
                cause: Any = refusal.__cause__
                each = _not_invited(cause.response.data)
                if not each:
                    each = dict.fromkeys(chunk, refusal.code)
                refused |= each
        return refused

    async def bookmark(self, room: str, links: Sequence[tuple[str, str, str]]) -> None:
        async with slack_errors():
            there = {b.get("link") for b in (await self._slack.bookmarks_list(channel_id=room))["bookmarks"]}
            for title, url, emoji in links:
                if url not in there:
                    await self._slack.bookmarks_add(
                        channel_id=room, title=title[:256], type="link", link=url, emoji=emoji
                    )

    async def post(self, channel: str, card: Card, key: str, thread: str = "") -> Posted:
        text, blocks = self._drawn(card)
        more: dict[str, Any] = {"thread_ts": thread} if thread else {}
        more["metadata"] = {"event_type": METADATA, "event_payload": {"key": key}}
        try:
            return await self._post(channel, text, blocks, more)
        except Refused as refusal:
            if refusal.code in ("not_in_channel", "channel_not_found") and channel.startswith("C"):
                async with slack_errors():
                    await self._slack.conversations_join(channel=channel)
                return await self._post(channel, text, blocks, more)
            if refusal.code in ("invalid_blocks", "msg_blocks_too_long", "msg_too_long", "invalid_blocks_format"):
                # Better plain than not at all.
                return await self._post(channel, text[:3900], None, more)
            raise

    async def _post(
        self, channel: str, text: str, blocks: Sequence[dict[str, Any]] | None, more: dict[str, Any]
    ) -> Posted:
        async with slack_errors():
            answer = await self._slack.chat_postMessage(
                channel=channel, text=text, blocks=blocks, unfurl_links=False, unfurl_media=False, **more
            )
        return Posted(str(answer["channel"]), str(answer["ts"]))

    async def find(self, channel: str, key: str, since: datetime, thread: str = "") -> Posted | None:
        if channel.startswith(("U", "W")):
            async with slack_errors():
                channel = (await self._slack.conversations_open(users=channel))["channel"]["id"]
        cursor = ""
        while True:
            asked: dict[str, Any] = {
                "channel": channel, "oldest": f"{since.timestamp():.6f}", "include_all_metadata": True, "limit": 200, "cursor": cursor,
            }  # fmt: skip
            async with slack_errors():
                page = await (
                    self._slack.conversations_replies(ts=thread, **asked)
                    if thread
                    else self._slack.conversations_history(**asked)
                )
            for message in page["messages"]:
                metadata = message.get("metadata") or {}
                if metadata.get("event_type") == METADATA and metadata.get("event_payload", {}).get("key") == key:
                    return Posted(channel, str(message["ts"]))
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return None

    async def edit(self, posted: Posted, card: Card) -> bool:
        text, blocks = self._drawn(card)
        try:
            async with slack_errors():
                await self._slack.chat_update(channel=posted.channel, ts=posted.ts, text=text, blocks=blocks)
        except Refused as refusal:
            if refusal.code in ("message_not_found", "cant_update_message", "edit_window_closed"):
                return False
            if refusal.code in ("is_inactive", "is_archived"):
                return True
            raise
        return True

    async def pin(self, posted: Posted) -> None:
        try:
            async with slack_errors():
                await self._slack.pins_add(channel=posted.channel, timestamp=posted.ts)
        except Refused as refusal:
            if refusal.code != "already_pinned":
                raise

    async def reply(self, to: ReplyTo, card: Card) -> None:
        text, blocks = self._drawn(card)
        if to.url and await self._respond(to.url, text, blocks):
            return
        if to.channel:
            try:
                async with slack_errors():
                    await self._slack.chat_postEphemeral(channel=to.channel, user=to.person, text=text, blocks=blocks)
            except Refused:
                # Not in that channel, or it is archived: a direct message reaches them all the same.
                await self._post(to.person, text, blocks, {})
            return
        await self._post(to.person, text, blocks, {})

    async def _respond(self, url: str, text: str, blocks: Sequence[dict[str, Any]]) -> bool:
        """Answer by the address of a click; False when it is used up or too old."""
        body = {"text": text, "blocks": list(blocks), "response_type": "ephemeral", "replace_original": False}
        async with slack_errors(), self._session.post(url, json=body) as answer:
            if answer.status >= 500 or answer.status == 429:
                raise Unavailable(f"Slack says {answer.status} to a reply")
            return answer.status == 200

    async def upload(self, channel: str, name: str, content: bytes, title: str) -> None:
        async with slack_errors():
            slot = await self._slack.files_getUploadURLExternal(filename=name, length=len(content))
            async with self._session.post(str(slot["upload_url"]), data=content) as answer:
                if answer.status != 200:
                    raise Unavailable(f"Slack says {answer.status} to an upload")
            await self._slack.files_completeUploadExternal(
                files=[{"id": str(slot["file_id"]), "title": title}], channel_id=channel
            )

    async def has_file(self, channel: str, name: str, since: datetime) -> bool:
        async with slack_errors():
            page = await self._slack.conversations_history(
                channel=channel, oldest=f"{since.timestamp():.6f}", limit=200
            )
        me = await self.me()
        return any(f.get("name") == name for m in page["messages"] if m.get("user") == me for f in m.get("files") or [])

    async def archive(self, room: str) -> None:
        try:
            async with slack_errors():
                await self._slack.conversations_archive(channel=room)
        except Refused as refusal:
            if refusal.code != "already_archived":
                raise

    async def members(self, who: Sequence[str]) -> frozenset[str]:
        people = {w for w in who if not w.startswith("S")}
        for group in (w for w in who if w.startswith("S")):
            async with slack_errors():
                people |= set((await self._slack.usergroups_users_list(usergroup=group))["users"])
        return frozenset(people)

    async def person_by_email(self, email: str) -> str | None:
        known = self._emails.get(email)
        if known is not None and time.monotonic() - known[0] < 3600:
            return known[1]
        try:
            async with slack_errors():
                user = str((await self._slack.users_lookupByEmail(email=email))["user"]["id"])
        except Refused as refusal:
            if refusal.code != "users_not_found":
                raise
            user = ""
        self._emails[email] = (time.monotonic(), user or None)
        return user or None

    async def text_of(self, channel: str, ts: str) -> tuple[str, str] | None:
        async with slack_errors():
            page = await self._slack.conversations_history(
                channel=channel, latest=ts, oldest=ts, inclusive=True, limit=1
            )
            found = [m for m in page["messages"] if m["ts"] == ts]
            if not found:
                # A reply in a thread is not in the history; asked by its own ts, Slack gives its thread.
                page = await self._slack.conversations_replies(channel=channel, ts=ts, limit=200)
                found = [m for m in page["messages"] if m["ts"] == ts]
        return (str(found[0].get("user", "")), str(found[0].get("text", ""))) if found else None

    def known_name(self, person: str) -> str | None:
        return self._names.get(person)

    async def name_of(self, person: str) -> str:
        if person not in self._names:
            async with slack_errors():
                user = (await self._slack.users_info(user=person))["user"]
            self._names[person] = user.get("real_name") or user.get("name") or person
        return self._names[person]


def _not_invited(answer: object) -> dict[str, str]:
    errors = answer.get("errors") if isinstance(answer, dict) else None
    return {
        e["user"]: e.get("error", "refused")
        for e in errors or []
        if not e.get("ok", False) and e.get("user") and e.get("error") not in ("already_in_channel", "cant_invite_self")
    }


def _redacted(value: Any, redact: Callable[[str], str]) -> Any:
    """Blocks with every text in them redacted; values of buttons are ours and stay."""
    if isinstance(value, list):
        return [_redacted(item, redact) for item in value]
    if isinstance(value, dict):
        return {k: redact(v) if k == "text" and isinstance(v, str) else _redacted(v, redact) for k, v in value.items()}
    return value


class Windows:
    """Modals and Home tabs: they belong to one click of one person, so they are not part of what a chat owes."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._slack = client

    async def open(self, trigger: str, view: dict[str, Any]) -> str:
        """Open a modal; its id. Raises Refused with code `expired` when the trigger is used up or too old."""
        try:
            async with asyncio.timeout(3.0), slack_errors():
                return str((await self._slack.views_open(trigger_id=trigger, view=view))["view"]["id"])
        except Refused as refusal:
            if "trigger" in refusal.code or "trigger_id" in str(refusal):
                raise Refused("the click is too old to open a window", "expired") from refusal
            raise
        except TimeoutError as error:
            raise Refused("Slack was too slow to open a window", "expired") from error

    async def update(self, view_id: str, view: dict[str, Any]) -> None:
        """Show another content; a window that the person closed meanwhile is left alone."""
        try:
            async with slack_errors():
                await self._slack.views_update(view_id=view_id, view=view)
        except Refused as refusal:
            if refusal.code not in ("not_found", "view_not_found"):
                raise

    async def home(self, person: str, blocks: Sequence[dict[str, Any]]) -> None:
        async with slack_errors():
            await self._slack.views_publish(user_id=person, view={"type": "home", "blocks": list(blocks)})
