"""Notification clocks, decided: who must be told of a breach by when, counted from the instant somebody was aware of it.

A clock stops when a person says who was told. One without a limit ("without unreasonable delay") is reminded of every day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot import owed
from bot.clock import spoken
from bot.errors import BadInput, NotNow
from bot.incident import Duty, Incident, Person, Scenario, Told
from bot.rules import Case, Change, NoticeRule, Rules
from bot.timeline import Note

MARKS = (50, 75, 90, 100)
"""Percent of a limit at which the room is reminded; 100: the limit has passed."""
DAY = timedelta(hours=24)
LATE = timedelta(seconds=30)
"""From here on a reminder says by how much it comes late."""


@dataclass(frozen=True)
class ClockLine:
    """A clock for the eye. `state`: running, over, told or late (told after the limit). `left` is empty without a limit."""

    name: str
    title: str
    state: str
    due_at: datetime | None
    passed: str
    left: str
    percent: int
    told: tuple[Told, ...]


def begin(case: Case, at: datetime, rules: Rules) -> Change:
    """Start the clocks at the instant of awareness, where the estate has duties and they do not run already."""
    if not rules.notices or case.incident.aware_at is not None:
        return Change(case)
    duties = {rule.name: Duty(rule.title, _limit(rule, at)) for rule in rules.notices}
    begun = case.with_(aware_at=at, duties=duties)
    text = f"Aware of a security incident since {_when(at)}; to be told: {_promised(duties)}"
    note = Note("aware", text, data={"aware_at": at.isoformat()})
    return Change(begun, (note,), (wake(begun.incident, next_at(begun.incident, rules)), owed.board(begun.incident)))


def become(case: Case, scenario: Scenario, by: Person, why: str, rules: Rules, now: datetime) -> Change:
    """Another scenario. The room stays as public or private as it was made; security starts the clocks."""
    incident = case.incident
    if not incident.status.open:
        raise NotNow(f"{incident.id} is {incident.status}. Use `reopen <reason>` to go on with it.")
    if scenario is incident.scenario:
        raise NotNow(f"The scenario of {incident.id} is {scenario} already.")
    changed = case.with_(scenario=scenario)
    public = scenario in rules.private_scenarios and not incident.private
    text = f"Scenario {incident.scenario} → {scenario}" + (f": {why}" if why else "")
    change = Change(
        changed,
        (Note("scenario", text, by.id, by.name, {"from": incident.scenario, "to": scenario}),),
        (
            owed.say(incident, "scenario", f"scenario/{_stamp(now)}", who=by.id, old=incident.scenario, new=scenario,
                     why=why, public=public),
            owed.board(incident),
        ),
    )  # fmt: skip
    return change.then(begin(changed, now, rules)) if scenario is Scenario.SECURITY else change


def correct(case: Case, at: datetime, by: Person, rules: Rules, now: datetime) -> Change:
    """Somebody was aware earlier than was believed. Never later: a limit is not to be moved away."""
    incident = case.incident
    if incident.aware_at is None:
        if incident.scenario is not Scenario.SECURITY:
            raise NotNow(f"{incident.id} is no security incident. `/incident scenario security <reason>` makes it one.")
        return begin(case, at, rules)
    if at >= incident.aware_at:
        raise NotNow(
            f"{incident.id}: somebody is known to have been aware at {_when(incident.aware_at)}. Awareness can only be"
            " corrected to an earlier instant."
        )
    limits = {rule.name: rule for rule in rules.notices}
    duties = {
        name: replace(duty, due_at=_limit(limits[name], at) if name in limits else duty.due_at, reminded=0)
        for name, duty in incident.duties.items()
    }
    changed = case.with_(aware_at=at, duties=duties)
    text = f"Awareness corrected from {_when(incident.aware_at)} to {_when(at)}; to be told: {_promised(duties)}"
    return Change(
        changed,
        (Note("aware", text, by.id, by.name, {"aware_at": at.isoformat()}),),
        (
            owed.say(
                incident, "aware", f"aware/{_stamp(now)}", who=by.id, at=at.isoformat(), promised=_promised(duties)
            ),
            wake(changed.incident, next_at(changed.incident, rules)),
            owed.board(incident),
        ),
    )


def notified(case: Case, name: str, text: str, by: Person, now: datetime) -> Change:
    """Who was told what, as a person says it: the clock stops. Said again it is recorded again."""
    incident, duty = case.incident, _duty(case.incident, name)
    told = Told(text, by, now)
    changed = case.with_(duties={**incident.duties, name: replace(duty, told=(*duty.told, told))})
    late = duty.due_at is not None and not duty.told and now > duty.due_at
    said = f"{duty.title}: notified: {text}" + (
        f" (after the limit of {_when(duty.due_at)})" if late and duty.due_at else ""
    )
    return Change(
        changed,
        (Note("notified", said, by.id, by.name, {"duty": name}),),
        (
            owed.say(
                incident, "notified", f"notified/{_stamp(now)}", who=by.id, title=duty.title, text=text, late=late
            ),
            owed.board(incident),
        ),
    )


def draft(case: Case, name: str, by: Person, now: datetime) -> Change:
    """Ask for the drafted texts: they come into the room as a file."""
    incident, duty = case.incident, _duty(case.incident, name)
    wanted = owed.owe(incident, "notice.draft", f"notice.draft/{name}/{_stamp(now)}", args={"duty": name})
    return Change(case, (Note("drafted", f"{duty.title}: draft asked for", by.id, by.name, {"duty": name}),), (wanted,))


def remind(case: Case, rules: Rules, now: datetime) -> Change:
    """Say what has passed since the last look: of several marks of one clock only the last one."""
    incident, notes, out = case.incident, list[Note](), list[owed.Owed]()
    duties = dict(incident.duties)
    for name, duty in incident.duties.items():
        mark = _passed(duty, incident.aware_at, rules, now)
        if duty.told or incident.aware_at is None or mark <= duty.reminded:
            continue
        duties[name] = replace(duty, reminded=mark)
        late = now - _instant(duty, incident.aware_at, mark, rules)
        late_by = spoken(rules.pace.told(late)) if late > LATE else ""
        line = clock(name, duty, incident.aware_at, rules, now)
        said = f"{line.passed} have passed" + (f", {line.left} left" if line.left else "")
        said = "the limit has passed" if line.state == "over" else said
        text = f"Reminded of {duty.title}: {said}" + (f" (late by {late_by})" if late_by else "")
        notes.append(Note("reminded", text, data={"duty": name, "mark": mark}))
        mark_name = f"notice/{name}/{incident.aware_at.timestamp():.0f}/{mark}"
        out.append(owed.say(incident, "notice_due", mark_name, name=name, title=duty.title, passed=line.passed,
                            left=line.left, over=line.state == "over", late_by=late_by, number=str(incident.number)))  # fmt: skip
    if not notes:
        return Change(case)
    return Change(case.with_(duties=duties), tuple(notes), (*out, owed.board(incident)))


def next_at(incident: Incident, rules: Rules) -> datetime | None:
    """When somebody is to be reminded next; None = of nothing any more."""
    if incident.aware_at is None:
        return None
    ahead = [
        _instant(duty, incident.aware_at, following, rules)
        for duty in incident.duties.values()
        if not duty.told and (following := _following(duty)) is not None
    ]
    return min(ahead, default=None)


def wake(incident: Incident, at: datetime | None) -> owed.Owed:
    """The clocks' next look."""
    return owed.owe(incident, "notice", "notice", standing=True, due_at=at or owed.NEVER)


def running(incident: Incident) -> tuple[str, ...]:
    """The names of the clocks that have not been stopped."""
    return tuple(name for name, duty in incident.duties.items() if not duty.told)


def clocks(incident: Incident, rules: Rules, now: datetime) -> tuple[ClockLine, ...]:
    """All of them, in the order of the estate file."""
    aware = incident.aware_at
    return () if aware is None else tuple(clock(n, d, aware, rules, now) for n, d in incident.duties.items())


def clock(name: str, duty: Duty, aware_at: datetime, rules: Rules, now: datetime) -> ClockLine:
    """One of them at `now`."""
    end = duty.told[0].at if duty.told else now
    over = duty.due_at is not None and end > duty.due_at
    state = ("late" if over else "told") if duty.told else ("over" if over else "running")
    passed, percent, left = end - aware_at, 0, ""
    if duty.due_at is not None:
        percent = min(100, int(100 * (passed / (duty.due_at - aware_at))))
        left = spoken(rules.pace.told(duty.due_at - end))
    return ClockLine(name, duty.title, state, duty.due_at, spoken(rules.pace.told(passed)), left, percent, duty.told)


def _duty(incident: Incident, name: str) -> Duty:
    if not incident.duties:
        raise NotNow(
            f"No notification clock of {incident.id} runs: it is no security incident, or the estate file has no"
            " `security.notices`. `/incident scenario security <reason>` starts them."
        )
    if name not in incident.duties:
        known = ", ".join(f"`{known}`" for known in incident.duties)
        raise BadInput(f"`{name or 'nothing'}` is no notification of the estate file. Say {known}.", "duty")
    return incident.duties[name]


def _limit(rule: NoticeRule, aware_at: datetime) -> datetime | None:
    return None if rule.within is None else aware_at + rule.within


def _passed(duty: Duty, aware_at: datetime | None, rules: Rules, now: datetime) -> int:
    """The last mark that lies behind us: a percentage, or a number of days; 0 = none."""
    if aware_at is None:
        return 0
    if duty.due_at is None:
        return int((now - aware_at) / rules.pace.wait(DAY))
    return max((mark for mark in MARKS if _instant(duty, aware_at, mark, rules) <= now), default=0)


def _following(duty: Duty) -> int | None:
    if duty.due_at is None:
        return duty.reminded + 1
    return next((mark for mark in MARKS if mark > duty.reminded), None)


def _instant(duty: Duty, aware_at: datetime, mark: int, rules: Rules) -> datetime:
    if duty.due_at is None:
        return aware_at + mark * rules.pace.wait(DAY)
    return aware_at + (duty.due_at - aware_at) * (mark / 100)


def _promised(duties: Mapping[str, Duty]) -> str:
    return "; ".join(f"{d.title} by {_when(d.due_at)}" if d.due_at else d.title for d in duties.values())


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _stamp(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%S%f}"
