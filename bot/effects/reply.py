"""Private answers to a click: retried like everything else, and given up when nobody can be waiting any more."""

from __future__ import annotations

from bot.chat import Chat, LineCard, ReplyTo
from bot.engine import Outcome
from bot.owed import Effect
from bot.rules import Case


class ReplyEffects:
    """Performer of `reply`."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def reply(self, effect: Effect, case: Case | None) -> Outcome:
        """Where Slack may have taken an earlier try, the answer is not repeated: ephemerals cannot be read back."""
        args = effect.args
        if effect.repeated and effect.error is None:
            return Outcome({"skipped": "it may have been answered before a crash"})
        to = ReplyTo(str(args["person"]), str(args["channel"]), str(args["url"]))
        data = dict(args["data"])
        if case is not None:
            data["room"] = case.incident.room or ""
        await self._chat.reply(to, LineCard(str(args["line"]), data))
        return Outcome()
