"""The record: the report posted, the timeline exported; and the decisions that only time asks for."""

from __future__ import annotations

from datetime import timedelta

from bot import notice_drafts, notices, owed, report
from bot.chat import Chat, LineCard, ReportCard
from bot.clock import Clock
from bot.effects.posting import CLOCKS_APART, post_once
from bot.engine import Outcome
from bot.escalation import climb
from bot.owed import Effect
from bot.rules import Case, Change, Rules, in_room, told
from bot.store import Store, Tx
from bot.timeline import Note

KEEP_CLICKS = timedelta(days=14)
"""How long what came in is remembered, so that a redelivery is known; PagerDuty retries for two days at most."""


class RecordEffects:
    """Performers of `report.*`, `update`, `ladder`, `remind`, `notice`, `notice.draft` and `sweep`. `platform`: as people call it."""

    def __init__(
        self, chat: Chat, store: Store, rules: Rules, clock: Clock, status_channel: str, platform: str = ""
    ) -> None:
        self._status_channel = status_channel
        self._platform = platform
        self._chat = chat
        self._store = store
        self._rules = rules
        self._clock = clock

    async def _report(self, case: Case) -> report.Report:
        async with self._store.tx() as tx:
            entries = await tx.entries(case.incident.number)
        return report.build(case, entries, self._rules, self._clock())

    async def post(self, effect: Effect, case: Case | None) -> Outcome:
        """The timeline as the report, when the incident is resolved."""
        _, room = in_room(case)
        posted = await post_once(self._chat, effect, room, ReportCard(await self._report(told(case))))
        return Outcome({"ts": posted.ts})

    async def export(self, effect: Effect, case: Case | None) -> Outcome:
        """The report as Markdown and the timeline as JSON, as files in the room."""
        incident, room = in_room(case)
        made = await self._report(told(case))
        since = (effect.begun_at or effect.created_at) - CLOCKS_APART
        files = (
            (f"{incident.id}-report.md", report.markdown(made), f"{incident.id} incident report"),
            (f"{incident.id}-timeline.json", report.as_json(made), f"{incident.id} timeline"),
        )
        for name, text, title in files:
            if effect.repeated and await self._chat.has_file(room, name, since):
                continue
            await self._chat.upload(room, name, text.encode(), title)

        async def settle(fresh: Case, _tx: Tx) -> Change:
            return Change(fresh, (Note("exported", "Timeline exported into the room as Markdown and JSON"),))

        return Outcome({"entries": len(made.entries)}, settle)

    async def climb(self, _effect: Effect, _case: Case | None) -> Outcome:
        """A wake-up of the ladder: whether a rung is due is decided on the locked row."""

        async def settle(fresh: Case, tx: Tx) -> Change:
            return climb(fresh, self._rules, tx.now)

        return Outcome(settle=settle)

    async def update(self, effect: Effect, case: Case | None) -> Outcome:
        """A status update, in the shape of the runbook's template, to the status channel."""
        incident = told(case).incident
        data = {
            **effect.args,
            "incident": incident.id,
            "title": incident.title,
            "started": incident.started_at.isoformat(),
        }
        card = LineCard("update", {**data, "practice": self._rules.pace.practice})
        posted = await post_once(self._chat, effect, self._status_channel, card)
        return Outcome({"ts": posted.ts})

    async def remind(self, effect: Effect, _case: Case | None) -> Outcome:
        """A report or a status update is due: say so, unless it is no longer wanted."""
        what = str(effect.args["what"])

        async def settle(fresh: Case, _tx: Tx) -> Change | None:
            incident = fresh.incident
            wanted = (
                incident.status.open if what == "update" else not incident.status.open and incident.closed_at is None
            )
            if not wanted:
                return None
            line = owed.say(incident, f"{what}_due", f"{what}_due/{effect.id}")
            return Change(fresh, (Note("reminded", f"Reminded that the {what} is due"),), (line,))

        return Outcome(settle=settle)

    async def notice(self, _effect: Effect, case: Case | None) -> Outcome:
        """A wake-up of the notification clocks: whether somebody is to be reminded is decided on the locked row."""
        seen = notices.remind(told(case), self._rules, self._clock()).case

        async def settle(fresh: Case, tx: Tx) -> Change:
            return notices.remind(fresh, self._rules, tx.now)

        return Outcome(settle=settle, again_at=notices.next_at(seen.incident, self._rules), asked=False)

    async def draft(self, effect: Effect, case: Case | None) -> Outcome:
        """The drafted texts of one notification, as a file in the room."""
        incident, room = in_room(case)
        name = str(effect.args["duty"])
        async with self._store.tx() as tx:
            entries = await tx.entries(incident.number)
        duty, at = incident.duties[name], effect.begun_at or effect.created_at
        file = f"{incident.id}-{name}-draft-{effect.created_at:%H%M%S}.md"
        if not (effect.repeated and await self._chat.has_file(room, file, at - CLOCKS_APART)):
            text = notice_drafts.draft(name, duty, incident, self._platform, entries, self._clock())
            title = f"{incident.id} {duty.title}: draft, to be completed by a person"
            await self._chat.upload(room, file, text.encode(), title)
        return Outcome({"file": file})

    async def sweep(self, _effect: Effect, _case: Case | None) -> Outcome:
        """Forget clicks that are older than any redelivery."""
        async with self._store.tx() as tx:
            await tx.forget_done(self._clock() - KEEP_CLICKS)
        return Outcome(again_at=self._clock() + timedelta(hours=6))
