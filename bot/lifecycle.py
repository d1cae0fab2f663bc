"""The life of an incident after it was declared, decided: status, roles, notes, recovery, resolve, reopen, close."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bot import ladder as ladders
from bot import notices, owed
from bot.clock import spoken
from bot.declaring import responders
from bot.errors import NotNow
from bot.escalation import CALLS, begin_ladder, go_on
from bot.incident import Impact, Incident, Person, Role, Status, room_name
from bot.rules import Case, Change, Rules
from bot.timeline import Note


def stamp(at: datetime) -> str:
    """An instant as part of an effect's key."""
    return f"{at:%Y%m%dT%H%M%S%f}"


def shown(case: Case) -> tuple[owed.Owed, ...]:
    """Board, topic and announcement follow the newest state."""
    incident = case.incident
    seen = (owed.board(incident), owed.describe(incident))
    return seen if incident.private else (*seen, owed.announce(incident))


def set_status(case: Case, status: Status, by: Person, why: str, rules: Rules, now: datetime) -> Change:
    """Move between investigating, identified and monitoring.

    Monitoring stops the ladder and withdraws what is owed of calling people; going back goes on with both. An incident
    that was raised to a severity with a ladder while it was monitoring gets its ladder when it goes back.
    """
    incident = case.incident
    if not incident.status.open:
        raise NotNow(f"{incident.id} is {incident.status}. Use `reopen <reason>` to go on with it.")
    if status is incident.status:
        raise NotNow(f"{incident.id} is {status} already.")
    changed = Case(replace(incident, status=status), case.ladder if status.climbs else ladders.stop(case.ladder, now))
    text = f"Status {incident.status} → {status}" + (f": {why}" if why else "")
    change = Change(
        changed,
        (Note("status", text, by.id, by.name, {"from": incident.status, "to": status}),),
        (
            owed.say(incident, "status", f"status/{stamp(now)}", who=by.id, old=incident.status, new=status, why=why),
            *shown(changed),
        ),
        () if status.climbs else CALLS,
    )
    if changed.incident.calls and not incident.calls:
        return change.then((go_on if case.ladder.rungs else begin_ladder)(changed, rules, now))
    return change


def assign(case: Case, role: Role, to: Person, by: Person, now: datetime) -> Change:
    """Give a role to a person (or take it: `to` is `by`)."""
    incident = case.incident
    if incident.status is Status.CLOSED:
        raise NotNow(f"{incident.id} is closed.")
    if incident.roles.get(role) == to:
        raise NotNow(f"{to.name} is {role} of {incident.id} already.")
    changed = case.with_(roles={**incident.roles, role: to})
    return Change(
        changed,
        (Note("role", f"{to.name} is {role}", by.id, by.name, {"role": role, "person": to.id}),),
        (
            owed.say(incident, "role", f"role/{stamp(now)}", who=to.id, role=role, by=by.id),
            owed.owe(incident, "room.invite", f"room.invite/{stamp(now)}", args={"people": [to.id]}),
            *shown(changed),
        ),
    )


def note(case: Case, text: str, by: Person, now: datetime) -> Change:
    """A person's words for the timeline, said in the room too."""
    incident = case.incident
    if incident.status is Status.CLOSED:
        raise NotNow(f"{incident.id} is closed; its timeline is sealed. Reopen it to add to it.")
    return Change(
        case,
        (Note("note", text, by.id, by.name),),
        (owed.say(incident, "note", f"note/{stamp(now)}", who=by.id, text=text),),
    )


def update(case: Case, text: str, following: timedelta, by: Person, rules: Rules, now: datetime) -> Change:
    """A status update for everybody (runbook, step 3), and a reminder when the next one is due."""
    incident = case.incident
    if incident.private:
        raise NotNow(f"{incident.id} is private; nothing of it is posted to the status channel.")
    if incident.status is Status.CLOSED:
        raise NotNow(f"{incident.id} is closed.")
    due = now + rules.pace.wait(following)
    hit = [rules.titles.get(service, service) for service, it in incident.impact.items() if it.green_at is None]
    args = {"text": text, "due": due.isoformat(), "status": incident.status, "affected": hit, "at": now.isoformat()}
    out = [owed.owe(incident, "update", f"update/{stamp(now)}", args=args)]
    if incident.status.open:
        out.append(owed.owe(incident, "remind", f"remind/update/{stamp(now)}", due_at=due, args={"what": "update"}))
    return Change(case, (Note("update", f"Status update: {text}", by.id, by.name),), tuple(out))


def moves(impact: Mapping[str, Impact], states: Mapping[str, tuple[str, datetime]]) -> bool:
    """Whether readings would change an impact: something is newly seen to be bad, or what was seen bad is green."""
    return any(_moved(impact.get(service), state) for service, (state, _) in states.items())


def _moved(hit: Impact | None, state: str) -> bool:
    if state == "bad":
        return hit is None or hit.green_at is not None or not hit.seen
    return state == "ok" and hit is not None and hit.seen and hit.green_at is None


def weigh(case: Case, states: Mapping[str, tuple[str, datetime]], rules: Rules) -> Change:
    """Readings per service, (state, seen at): a bad one joins the impact, a green one ends it. Unknown changes nothing."""
    impact = dict(case.incident.impact)
    notes: list[Note] = []
    out: list[owed.Owed] = []
    for service, (state, at) in states.items():
        hit = impact.get(service)
        if not _moved(hit, state):
            continue
        if state == "ok" and hit is not None:
            impact[service] = replace(hit, green_at=at)
            note, line = _recovered(case, service, hit, at, rules)
        else:
            standing = hit is not None and hit.green_at is None
            impact[service] = replace(hit, seen=True) if hit is not None and standing else Impact(at, seen=True)
            note, line = _struck(case, service, at, rules, again=hit is not None and not standing)
        notes.append(note)
        out.append(line)
    if not notes:
        return Change(case)
    return Change(case.with_(impact=impact), tuple(notes), (*out, owed.board(case.incident)))


def _struck(case: Case, service: str, at: datetime, rules: Rules, *, again: bool) -> tuple[Note, owed.Owed]:
    title = rules.titles.get(service, service)
    note = Note("impact", f"{title} is bad{' again' if again else ''}", data={"service": service, "state": "bad"})
    return note, owed.say(case.incident, "impact", f"impact/{service}/{stamp(at)}", service=title, again=again)


def _recovered(case: Case, service: str, hit: Impact, at: datetime, rules: Rules) -> tuple[Note, owed.Owed]:
    """Recovery time against the RTO."""
    title, took, rto = rules.titles.get(service, service), at - hit.bad_at, rules.rto.get(service)
    within = None if rto is None else took <= rto
    figure = spoken(rules.pace.told(took))
    goal = "" if rto is None else spoken(rules.pace.told(rto))
    text = f"{title} is green again after {figure}" + (
        f" (RTO {goal}: {'kept' if within else 'missed'})" if goal else ""
    )
    data = {"service": service, "state": "ok", "seconds": round(took.total_seconds()), "within_rto": within}
    name = f"recovered/{service}/{stamp(at)}"
    line = owed.say(case.incident, "recovered", name, service=title, took=figure, rto=goal, within=within)
    return Note("recovered", text, data=data), line


def resolve(case: Case, by: Person, why: str, rules: Rules, now: datetime) -> Change:
    """It is over. Nothing outside is asked first; what is still owed of paging is dropped."""
    incident = case.incident
    if not incident.status.open:
        raise NotNow(f"{incident.id} is {incident.status} already.")
    changed = Case(replace(incident, status=Status.RESOLVED, resolved_at=now), ladders.stop(case.ladder, now))
    took = spoken(rules.pace.told(now - incident.started_at))
    text = f"Resolved after {took}" + (f": {why}" if why else "")
    out = [
        owed.say(incident, "resolved", f"resolved/{stamp(now)}", who=by.id, name=by.name, why=why, took=took),
        owed.owe(incident, "report.post", f"report/{incident.round}"),
        *shown(changed),
    ]
    if case.ladder.now_at is not None:
        out.append(
            owed.owe(
                incident, "page.resolve", f"page.resolve/{stamp(now)}", lane="page", args={"round": incident.round}
            )
        )
    out.append(
        owed.owe(
            incident,
            "remind",
            f"remind/report/{incident.round}",
            due_at=now + rules.report_due,
            args={"what": "report"},
        )
    )
    return Change(
        changed,
        (Note("resolved", text, by.id or "pagerduty", by.name),),
        tuple(out),
        (*CALLS, "page.ack"),
    )


def reopen(case: Case, by: Person, reason: str, rules: Rules, now: datetime) -> Change:
    """It was not over: a new round of the ladder begins now, and rung 1 pages again. An archived room is followed by a new one."""
    incident = case.incident
    if incident.status.open:
        raise NotNow(f"{incident.id} is {incident.status}; it is still open.")
    again = replace(
        incident,
        status=Status.INVESTIGATING,
        resolved_at=None,
        closed_at=None,
        round=incident.round + 1,
        acks=(),
    )
    room: tuple[owed.Owed, ...] = ()
    if again.room_state == "archived":
        # A bot cannot open what is archived.
        name = room_name(again.number, again.title, again.round - 1)
        again = replace(again, room_state="wanted", room=None, board_ts=None, room_name=name)
        room = _new_room(again)
    case = Case(again, ladders.Ladder(()))
    change = Change(
        case,
        (Note("reopened", f"Reopened: {reason}", by.id, by.name, {"round": again.round}),),
        (
            *room,
            owed.say(again, "reopened", f"reopened/{again.round}", who=by.id, why=reason),
            owed.owe(again, "assess", f"assess/reopened/{again.round}"),
            *shown(case),
        ),
        ("remind", "room.archive"),
    )
    return change.then(begin_ladder(case, rules, now)) if again.severity.pages else change


def _new_room(again: Incident) -> tuple[owed.Owed, ...]:
    """What a further room is owed: to be made, and to have everybody who was called and everything that is linked."""
    mark = again.round
    people = [p.id for p in (again.declared_by, *again.roles.values()) if p.id]
    return (
        owed.owe(again, "room.create", f"room.create/{mark}", lane="room", args={"attempt": mark - 1}),
        owed.owe(again, "room.invite", f"room.invite/first/{mark}", args={"people": people}),
        responders(again),
        owed.owe(again, "room.bookmarks", f"room.bookmarks/{mark}"),
    )


def close(case: Case, by: Person, rules: Rules, now: datetime) -> Change:
    """Seal it: the timeline is exported into the room, then the room is archived if the estate says so."""
    incident = case.incident
    if incident.status is Status.CLOSED:
        raise NotNow(f"{incident.id} is closed already.")
    if open_duties := notices.running(incident):
        words = ", ".join(f"`/incident notified {name} <to whom, or why not>`" for name in open_duties)
        raise NotNow(f"A notification clock of {incident.id} still runs, and closing seals the record. First: {words}")
    change = Change(case)
    if incident.status.open:
        change = resolve(case, by, "closed", rules, now)
    changed = change.case.with_(status=Status.CLOSED, closed_at=now)
    out = [
        owed.owe(incident, "report.export", f"report.export/{stamp(now)}", lane="close"),
        *shown(changed),
    ]
    if rules.archive_on_close:
        out.append(owed.owe(incident, "room.archive", f"room.archive/{stamp(now)}", lane="close"))
    return change.then(Change(changed, (Note("closed", "Closed", by.id, by.name),), tuple(out), ("remind",)))
