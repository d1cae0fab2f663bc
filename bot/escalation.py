"""Climbing the ladder, decided: what a rung owes when it fires, and what acknowledging, holding and proof do to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bot import ladder as ladders
from bot import owed
from bot.clock import spoken
from bot.errors import NotNow
from bot.incident import Ack, Incident, Person, Severity
from bot.rules import Case, Change, Rules
from bot.timeline import Note

CALLS = ("page.open", "page.add", "page.proof", "tell.rung", "tell")
"""Effects that call people: withdrawn when nobody is to be called any more."""


def called(case: Case, level: int, rules: Rules, now: datetime) -> Change:
    """What is owed for a rung that has just fired: page, proof, invitation, a line that says who is called and why."""
    incident = case.incident
    rule = rules.rung(level)
    rung = next(r for r in case.ladder.rungs if r.level == level)
    late = spoken(rules.pace.told(rung.late_by)) if rung.late_by is not None else ""
    why = rung.reason or rule.why
    mark = f"{incident.round}/{level}"
    text = f"Rung {level}: {rule.title} is called ({why})" + (f", late by {late}" if late else "")
    return Change(
        case,
        (Note("rung", text, data={"level": level, "late_by": late, "reason": why}),),
        (
            _page(incident, level, why),
            _proof(incident, level, now + rules.proof_within),
            owed.owe(incident, "room.invite", f"room.invite/{mark}", args={"level": level}),
            owed.say(incident, "rung", f"rung/{mark}", level=level, title=rule.title, why=why, late_by=late),
            owed.board(incident),
        ),
    )


def _page(incident: Incident, level: int, why: str) -> owed.Owed:
    kind, name = "page.open" if level == 1 else "page.add", f"page/{incident.round}/{level}"
    return owed.owe(incident, kind, name, lane="page", args={"level": level, "why": why})


def _proof(incident: Incident, level: int, due_at: datetime) -> owed.Owed:
    name = f"proof/{incident.round}/{level}"
    return owed.owe(incident, "page.proof", name, args={"level": level}, lane=name, due_at=due_at)


def _second_way(incident: Incident, level: int) -> owed.Owed:
    name = f"tell/{incident.round}/{level}"
    return owed.owe(incident, "tell.rung", name, lane=name, args={"level": level})


def go_on(case: Case, rules: Rules, now: datetime) -> Change:
    """The ladder after a stop. What its rungs owed and was withdrawn is owed again; what was done has its key already."""
    incident, climbing = case.incident, ladders.restart(case.ladder, now)
    again: list[owed.Owed] = []
    for rung in climbing.rungs:
        if rung.state != "fired":
            continue
        again.append(_page(incident, rung.level, rung.reason or rules.rung(rung.level).why))
        mark = f"{incident.round}/{rung.level}"
        if mark not in incident.proofs:
            again.append(_proof(incident, rung.level, now + rules.proof_within))
        elif incident.proofs[mark] is None:
            again.append(_second_way(incident, rung.level))
    return Change(Case(incident, climbing), owed=tuple(again))


def begin_ladder(case: Case, rules: Rules, now: datetime) -> Change:
    """A fresh ladder from `now`; its rungs at zero fire at once."""
    incident = case.incident
    fresh = ladders.build(rules.offsets, now, incident.round)
    first = [rung.level for rung in ladders.due(fresh, now)]
    climbed = Case(incident, ladders.fire(fresh, first, now))
    change = Change(climbed)
    for level in first:
        change = change.then(called(change.case, level, rules, now))
    return change


def climb(case: Case, rules: Rules, now: datetime) -> Change:
    """A wake-up of the ladder: fire what is due, end a hold whose time is over, and say when to wake again."""
    change = Change(case)
    hold = case.hold
    if hold is not None and now >= hold.until:
        change = change.then(_hold_over(case, hold))
    levels = [rung.level for rung in ladders.due(change.case.ladder, now)]
    if levels:
        fired = Case(change.case.incident, ladders.fire(change.case.ladder, levels, now))
        change = change.then(Change(fired))
        for level in levels:
            change = change.then(called(change.case, level, rules, now))
    return change


def _hold_over(case: Case, hold: ladders.Hold) -> Change:
    incident = case.incident
    after = Case(incident, replace(case.ladder, hold=None))
    return Change(
        after,
        (Note("hold_over", f"The hold is over ({hold.why}); the ladder goes on"),),
        (
            owed.say(incident, "hold_over", f"hold_over/{hold.until:%Y%m%dT%H%M%S%f}", why=hold.why),
            owed.board(incident),
        ),
    )


def escalate(case: Case, by: Person, reason: str, rules: Rules, now: datetime) -> Change:
    """Climb one rung at once. The rungs above keep their own instants."""
    incident = case.incident
    _must_climb(case)
    rung = case.ladder.next
    if rung is None:
        raise NotNow(f"{incident.id} is on its last rung; everybody on the ladder has been called.")
    because = f"{by.name} escalated" + (f": {reason}" if reason else "")
    fired = Case(incident, ladders.fire(case.ladder, [rung.level], now, because))
    note = Note("escalated", f"Escalated to rung {rung.level}" + (f": {reason}" if reason else ""), by.id, by.name)
    return Change(fired, (note,)).then(called(fired, rung.level, rules, now))


def hold(case: Case, by: Person, span: timedelta, reason: str, rules: Rules, now: datetime) -> Change:
    """Pause the ladder for `span` (rule time) with a name and a reason."""
    incident = case.incident
    _must_climb(case)
    if case.ladder.next is None:
        raise NotNow(f"{incident.id} has no rung left to hold.")
    until = now + rules.pace.wait(span)
    held = Case(incident, ladders.pause(case.ladder, until, by.name, reason, now))
    return Change(
        held,
        (Note("held", f"Ladder held for {spoken(span)}: {reason}", by.id, by.name, {"until": until.isoformat()}),),
        (
            owed.say(incident, "held", f"held/{now:%Y%m%dT%H%M%S%f}", who=by.id, until=until.isoformat(), why=reason),
            owed.board(incident),
        ),
    )


def resume(case: Case, by: Person, now: datetime) -> Change:
    """End a hold before its time."""
    incident = case.incident
    if case.hold is None:
        raise NotNow(f"The ladder of {incident.id} is not held.")
    going = Case(incident, ladders.unpause(case.ladder, now))
    return Change(
        going,
        (Note("resumed", "Ladder resumed", by.id, by.name),),
        (owed.say(incident, "resumed", f"resumed/{now:%Y%m%dT%H%M%S%f}", who=by.id), owed.board(incident)),
    )


def acknowledge(case: Case, ack: Ack, rules: Rules, now: datetime) -> Change:
    """Somebody is on it. On P2 the ladder is held until the acknowledgement times out; on P0/P1 it goes on climbing."""
    incident = case.incident
    if not incident.status.open:
        raise NotNow(f"{incident.id} is {incident.status}; there is nothing to acknowledge.")
    if any(old.who == ack.who and old.via == ack.via and abs(old.at - ack.at) < SAME_ACK for old in incident.acks):
        return Change(case)
    acked = case.with_(acks=(*incident.acks, ack))
    mark = f"{incident.round}/{len(acked.incident.acks)}"
    notes = [
        Note("acknowledged", f"Acknowledged by {ack.who.name} ({ack.via})", ack.who.id or "pagerduty", ack.who.name)
    ]
    out = [
        owed.say(
            incident,
            "acknowledged",
            f"acked/{mark}",
            who=ack.who.id,
            name=ack.who.name,
            via=ack.via,
            holds=incident.severity.ack_holds,
        ),
        owed.board(incident),
        owed.announce(incident),
    ]
    if ack.via == "slack" and case.ladder.now_at is not None:
        out.append(owed.owe(incident, "page.ack", f"page.ack/{mark}", lane="page", args={"by": ack.who.name}))
    change = Change(acked, tuple(notes), tuple(o for o in out if o.kind != "announce" or not incident.private))
    rung = acked.ladder.now_at
    if rung is not None:
        change = change.then(prove(change.case, rung.level, now, ack.who.name))
    if incident.severity.ack_holds and case.ladder.next is not None and case.ladder.stopped_at is None:
        until = now + rules.ack_timeout
        if case.hold is None or case.hold.until < until:  # a longer hold that somebody asked for stays
            held = ladders.pause(change.case.ladder, until, ack.who.name, "acknowledged", now)
            change = change.then(Change(Case(change.case.incident, held)))
    return change


SAME_ACK = timedelta(seconds=5)
"""An acknowledgement that arrives twice (webhook and poll) carries nearly the same instant."""


def prove(case: Case, level: int, now: datetime, who: str) -> Change:
    """Somebody was notified for `level` and has answered: the page is proven, once."""
    incident = case.incident
    mark = f"{incident.round}/{level}"
    if incident.proofs.get(mark) is not None:
        return Change(case)
    proven = case.with_(proofs={**incident.proofs, mark: now})
    return Change(proven, (Note("page_proven", f"Proof of page for rung {level}: {who} has answered"),))


def unproven(case: Case, level: int, why: str, rules: Rules) -> Change:
    """No proof in time: the room is told and the second way out is used, once for each rung."""
    incident = case.incident
    mark = f"{incident.round}/{level}"
    if mark in incident.proofs or not incident.calls:
        return Change(case)
    waited = spoken(rules.pace.told(rules.proof_within))
    text = f"No proof of page for rung {level} within {waited} ({why}): direct messages and phone numbers are used"
    return Change(
        case.with_(proofs={**incident.proofs, mark: None}),
        (Note("page_unproven", text, data={"level": level, "why": why}),),
        (
            owed.say(incident, "no_proof", f"no_proof/{mark}", level=level, why=why, waited=waited),
            _second_way(incident, level),
            owed.board(incident),
        ),
    )


def change_severity(case: Case, severity: Severity, by: Person, reason: str, rules: Rules, now: datetime) -> Change:
    """P3 has no ladder, so lowering to it stops the climb and withdraws the calls; raising from it begins one, or goes on."""
    incident = case.incident
    if not incident.status.open:
        raise NotNow(f"{incident.id} is {incident.status}; reopen it first.")
    if severity is incident.severity:
        raise NotNow(f"{incident.id} is {severity} already.")
    changed = case.with_(severity=severity)
    text = f"Severity {incident.severity} → {severity}" + (f": {reason}" if reason else "")
    change = Change(
        changed,
        (Note("severity", text, by.id, by.name, {"from": incident.severity, "to": severity}),),
        (
            owed.say(
                incident,
                "severity",
                f"severity/{now:%Y%m%dT%H%M%S%f}",
                who=by.id,
                old=incident.severity,
                new=severity,
                why=reason,
            ),
            owed.board(incident),
            owed.describe(incident),
            *(() if incident.private else (owed.announce(incident),)),
        ),
    )
    if not severity.pages:
        return change.then(Change(Case(changed.incident, ladders.stop(case.ladder, now)), dropped=CALLS))
    if not incident.severity.pages and incident.status.climbs:
        if case.ladder.rungs:
            return change.then(go_on(change.case, rules, now))
        return change.then(begin_ladder(change.case, rules, now))
    if incident.severity.ack_holds and not severity.ack_holds and case.hold and case.hold.why == "acknowledged":
        return change.then(Change(Case(changed.incident, ladders.unpause(case.ladder, now))))
    return change


def _must_climb(case: Case) -> None:
    incident = case.incident
    if not incident.severity.pages:
        raise NotNow(
            f"{incident.id} is {incident.severity} and has no ladder. Raise its severity to P2 or above first."
        )
    if not incident.status.climbs:
        raise NotNow(
            f"{incident.id} is {incident.status}; the ladder stands still. Set it to investigating or reopen it."
        )
