"""Posting once: what may have been posted by an earlier try is looked for before it is posted again."""

from __future__ import annotations

from datetime import timedelta

from bot.chat import Card, Chat, Posted
from bot.owed import Effect

CLOCKS_APART = timedelta(minutes=2)
"""How far a neighbour's clock may be from ours when we look for what we made."""


async def post_once(chat: Chat, effect: Effect, channel: str, card: Card, *, key: str = "", thread: str = "") -> Posted:
    """The message of `effect` in `channel`, found or posted. `key` tells several messages of one effect apart."""
    key = key or effect.key
    posted = None
    if effect.repeated and effect.begun_at is not None:
        posted = await chat.find(channel, key, effect.begun_at - CLOCKS_APART, thread)
    return posted or await chat.post(channel, card, key, thread)
