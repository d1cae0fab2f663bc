"""The assessment: all probes at once, each with its deadline; the card of one incident, and the round over the estate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from bot import owed
from bot.assessment import (
    Look,
    Reading,
    Verdict,
    after_failover,
    answers_all_the_same,
    corroborated,
    led_away,
    likely,
    services,
)
from bot.catalogue import Catalogue
from bot.chat import AssessmentCard, Chat
from bot.clock import Clock
from bot.effects.posting import post_once
from bot.engine import Outcome
from bot.errors import Unavailable
from bot.estate import Estate, HttpProbe, KubernetesProbe, PostgresProbe, Probe, RedisProbe
from bot.incident import Scenario
from bot.lifecycle import moves, weigh
from bot.owed import Effect
from bot.redact import redact
from bot.rules import Case, Change, Rules, in_room
from bot.store import Store, Tx
from bot.timeline import Note
from bot.tools import Prober

LEADS_WITHIN = 5.0
"""Seconds for asking the resolvers where DNS leads."""
SHORTEST_ROUND = timedelta(seconds=2)
"""A practice pace must not turn the round over the estate into a busy loop."""


class LookEffects:
    """Performers of `assess` (one incident's card) and `assess.all` (the round that all open incidents share)."""

    def __init__(
        self, prober: Prober, chat: Chat, store: Store, estate: Estate, rules: Rules, clock: Clock, catalogue: Catalogue
    ) -> None:
        self._catalogue = catalogue
        self._prober = prober
        self._chat = chat
        self._store = store
        self._estate = estate
        self._rules = rules
        self._clock = clock
        self._secrets = estate.secrets()

    async def look(self, *, databases_only: bool = False) -> list[Reading]:
        """Every probe of the estate at once. Never raises: what cannot be read is unknown, with the reason."""
        probes = [p for p in self._estate.probes if p.kind != "kubernetes" or self._prober.has_cluster()]
        if databases_only:
            probes = [p for p in probes if p.kind == "postgres"]
        found = await asyncio.gather(*(self._read(probe) for probe in probes))
        roles = {p.name: p.role for p in probes if isinstance(p, PostgresProbe | RedisProbe)}
        primary = {p.name for p in probes if p.kind == "kubernetes" or roles.get(p.name) == "primary"}
        readings = corroborated(after_failover(found, roles))
        if answers_all_the_same(readings, primary, {p.name for p in probes if p.kind == "http"}):
            return led_away(readings, primary, await self._leads())
        return readings

    async def _leads(self) -> str:
        """Where DNS leads, when that is the DR site."""
        try:
            async with asyncio.timeout(LEADS_WITHIN):
                return await self._prober.led_away(self._estate.dns) if self._estate.dns else ""
        except TimeoutError:
            return ""

    async def _read(self, probe: Probe) -> Reading:
        began = time.monotonic()
        latency: float | None = None
        try:
            async with asyncio.timeout(probe.deadline.total_seconds()):
                look = await self._ask(probe)
            latency = (time.monotonic() - began) * 1000
        except TimeoutError:
            look = Look("unknown", f"no answer within {probe.deadline.total_seconds():g} s", {"silent": True})
        except Exception as error:  # noqa: BLE001  a probe that breaks is a reading of its own: nobody knows
            look = Look("unknown", f"the probe broke: {type(error).__name__}: {error}")
        now = self._clock()
        detail = redact(" ".join(look.detail.split()), self._secrets)[:300]
        return Reading(probe.name, probe.service, look.state, detail, now, now, latency, look.facts)

    async def _ask(self, probe: Probe) -> Look:
        if isinstance(probe, HttpProbe):
            return await self._prober.http(probe)
        if isinstance(probe, PostgresProbe):
            return await self._prober.postgres(probe)
        if isinstance(probe, KubernetesProbe):
            return await self._prober.kubernetes(probe)
        return await self._prober.redis(probe)

    async def card(self, effect: Effect, _case: Case | None) -> Outcome:
        """Look at everything for one incident and post what was seen, details in the thread, once the room is there."""
        readings = await self.look()
        verdict = likely(readings, {p.name: p.scenario for p in self._estate.probes})
        titles = {p.name: p.title for p in self._estate.probes}

        async def settle(fresh: Case, tx: Tx) -> Change:
            await tx.put_readings(readings)
            counts = {state: sum(r.state == state for r in readings) for state in ("ok", "bad", "unknown")}
            text = f"Assessment: {counts['ok']} ok, {counts['bad']} bad, {counts['unknown']} unknown"
            if verdict.scenario is not None:
                text += f"; most likely {verdict.scenario} ({'; '.join(verdict.evidence)})"
            noted = Change(
                fresh,
                (Note("assessed", text),),
                (
                    owed.owe(
                        fresh.incident,
                        "assess.post",
                        f"{effect.key.partition('/')[2]}/post",
                        args={
                            "readings": [_plain(r) for r in readings],
                            "scenario": verdict.scenario,
                            "evidence": list(verdict.evidence),
                            "titles": titles,
                        },
                    ),
                    owed.board(fresh.incident),
                ),
            )
            return noted.then(weigh(noted.case, services(readings), self._rules))

        return Outcome(settle=settle)

    async def post(self, effect: Effect, case: Case | None) -> Outcome:
        """The card of a look that was taken, and its details in the card's thread."""
        incident, room = in_room(case)
        args = effect.args
        readings = [_reading(r) for r in args["readings"]]
        verdict = Verdict(Scenario(args["scenario"]) if args["scenario"] else None, tuple(args["evidence"]))
        thread = ""
        for part in ("card", "details"):
            key = f"{effect.key}/{part}"
            card = AssessmentCard(
                incident.id, readings, verdict, args["titles"], self._rules.pace.practice, part == "details",
                self._catalogue.offers(verdict.scenario),
            )  # fmt: skip
            try:
                posted = await post_once(self._chat, effect, room, card, key=key, thread=thread)
            except Unavailable as error:
                # Even if this call was not begun, the card may stand: the next try has to look for it.
                raise Unavailable(str(error), error.retry_after) from error
            thread = thread or posted.ts
        return Outcome({"ts": thread})

    async def round(self, _effect: Effect, _case: Case | None) -> Outcome:
        """Look at the estate; tell each open incident what turned bad or green. While none is open only the databases are
        looked at: how far a primary had written can be asked only before it is gone."""
        async with self._store.tx() as tx:
            numbers = await tx.open_numbers()
            before = {r.probe: r.state for r in await tx.readings()}
        readings = await self.look(databases_only=not numbers)
        async with self._store.tx() as tx:
            await tx.put_readings(readings)
        moved = numbers and {r.probe: r.state for r in readings} != before
        for number in await self._concerned(readings):
            async with self._store.tx() as tx:
                case = await tx.case(number)
                if case.incident.status.open:
                    change = weigh(case, services(readings), self._rules)
                    if change.notes:
                        await tx.apply(change)
        if moved:
            await self._show(numbers)
        again_at = self._clock() + max(self._rules.assess_every, SHORTEST_ROUND)
        return Outcome(again_at=again_at if numbers or readings else None)

    async def _concerned(self, readings: Sequence[Reading]) -> list[int]:
        """The open incidents for which these readings change anything."""
        states = services(readings)
        async with self._store.tx() as tx:
            impacts = await tx.open_impacts()
        return [number for number, impact in impacts if moves(impact, states)]

    async def _show(self, numbers: Sequence[int]) -> None:
        async with self._store.tx() as tx:
            for number in numbers[-BOARDS_THAT_FOLLOW:]:
                case = await tx.case(number, lock=False)
                await tx.owe(board := owed.board(case.incident), waits=owed.parked(board, case.incident))


BOARDS_THAT_FOLLOW = 50
"""Boards that follow every reading: the newest ones. Slack takes about 50 edits a minute from an app."""


def _plain(reading: Reading) -> dict[str, Any]:
    return {
        **vars(reading),
        "at": reading.at.isoformat(),
        "since": reading.since.isoformat(),
        "facts": dict(reading.facts),
    }


def _reading(value: dict[str, Any]) -> Reading:
    at, since = (datetime.fromisoformat(value[name]) for name in ("at", "since"))
    return Reading(**{**value, "at": at, "since": since})
