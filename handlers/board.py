"""The board and its short form for the announce channel, drawn."""

from __future__ import annotations

from bot.assessment import Reading
from bot.board import BAR_CELLS, Board, Budget, RungLine
from bot.incident import Status
from bot.notices import ClockLine
from handlers.blocks import (
    Block,
    actions,
    bar,
    button,
    clip,
    context,
    divider,
    esc,
    fields,
    fit,
    header,
    instant,
    lines,
    option,
    overflow,
    person,
    practice_mark,
    section,
)

STATUS_MARK = {
    Status.INVESTIGATING: ":rotating_light:",
    Status.IDENTIFIED: ":mag:",
    Status.MONITORING: ":eyes:",
    Status.RESOLVED: ":white_check_mark:",
    Status.CLOSED: ":lock:",
}
READING_MARK = {"ok": ":large_green_circle:", "bad": ":red_circle:", "unknown": ":grey_question:"}
BUDGET_MARK = {
    "running": ":hourglass_flowing_sand:",
    "over": ":red_circle:",
    "kept": ":large_green_circle:",
    "missed": ":large_orange_circle:",
}


def draw(board: Board) -> tuple[str, list[Block]]:
    """(fallback text, blocks) of the pinned first message."""
    it = board.incident
    text = f"{it.id} {it.severity} {it.status}: {it.title}"
    blocks = [
        header(f"{it.severity}  {it.title}"),
        *practice_mark(board.practice),
        fields(
            [
                f"*{it.id}*\n{STATUS_MARK[it.status]} {it.status.capitalize()}",
                f"*Since*\n{instant(it.started_at)} ({board.since})",
                f"*Scenario*\n{it.scenario}"
                + (
                    f" (readings say *{board.likely}*)"
                    if board.likely and board.likely != it.scenario and it.status.open
                    else ""
                ),
                f"*Commander*\n{person(board.commander.id, board.commander.name) if board.commander else '_nobody yet_'}",
            ]
        ),
        *([section(f"*Seen:* {clip(esc(it.seen), 600)}")] if it.seen else []),
        section(
            "*Recovery time against RTO*\n"
            + (lines(map(_budget, board.budgets), 1500) or "_no affected service named yet_")
        ),
        section(_acks(board) + "\n" + _ladder(board)),
        *_clocks(board),
        *_readings(board),
        *_troubles(board),
        divider(),
        *_buttons(board),
    ]
    return esc(text), fit(blocks)


def announce(board: Board) -> tuple[str, list[Block]]:
    """One line for everybody."""
    it = board.incident
    text = f"{it.id} {it.severity} {it.status}: {it.title}"
    room = f" · <#{it.room}>" if it.room and it.room.startswith("C") else ""
    lead = f"{STATUS_MARK[it.status]} *{it.id}* {it.severity} *{it.status}*: {esc(it.title)}{room}"
    commander = (
        f"commander {person(board.commander.id, board.commander.name)}" if board.commander else "no commander yet"
    )
    facts = [f"declared by {person(it.declared_by.id, it.declared_by.name)} at {instant(it.declared_at)}", commander]
    if it.status in (Status.RESOLVED, Status.CLOSED):
        facts.append(f"took {board.since}")
    accessory = None
    if it.status.open:
        accessory = button("Join", "incident_join", str(it.number))
    return esc(text), [section(lead, accessory), context(" · ".join(facts)), *practice_mark(board.practice)]


def _budget(budget: Budget) -> str:
    end = "green again" if budget.green else "resolved"
    word = {
        "running": "of",
        "over": "*over*, RTO",
        "kept": f"until {end}, kept its RTO of",
        "missed": f"until {end}, *missed* its RTO of",
    }[budget.state]
    return f"{BUDGET_MARK[budget.state]} {bar(budget.used, BAR_CELLS)} {esc(budget.service)}: {budget.took} {word} {budget.rto}"


CLOCK_MARK = {
    "running": ":alarm_clock:",
    "over": ":red_circle:",
    "told": ":incoming_envelope:",
    "late": ":large_orange_circle:",
}


def _clocks(board: Board) -> list[Block]:
    """The notification clocks, each with its buttons while it runs."""
    if board.incident.aware_at is None:
        return []
    since = instant(board.incident.aware_at, "{date_short_pretty} {time}")
    made: list[Block] = [section(f"*To be notified* (aware since {since})\n" + lines(map(_clock, board.clocks), 1500))]
    number = str(board.incident.number)
    return made + [notice_buttons(number, c.name, c.title) for c in board.clocks if c.state in ("running", "over")]


def _clock(line: ClockLine) -> str:
    head = f"{CLOCK_MARK[line.state]} "
    if line.told:
        told = line.told[-1]
        late = " *after the limit*" if line.state == "late" else ""
        return (
            f"{head}*{esc(line.title)}*: told{late} {instant(told.at, '{date_short_pretty} {time}')} by"
            f" {person(told.by.id, told.by.name)}: {clip(esc(told.text), 200)}"
        )
    if line.due_at is None:
        return f"{head}*{esc(line.title)}*: {line.passed} have passed"
    until = instant(line.due_at, "{date_short_pretty} {time}")
    left = "*the limit has passed*" if line.state == "over" else f"{line.left} left"
    return f"{head}{bar(line.percent * BAR_CELLS // 100, BAR_CELLS)} *{esc(line.title)}*: {left}, until {until}"


def notice_buttons(number: str, name: str, title: str) -> Block:
    """Draft and record, for one notification; the value is `<number>:<name>`."""
    value, short = f"{number}:{name}", clip(esc(title), 40)
    return actions(
        f"notice_{name}", button(f"Draft {short}", "incident_notice", value),
        button(f"{short} was told", "incident_notified", value),
    )  # fmt: skip


def _acks(board: Board) -> str:
    if not board.acks:
        return ":bell: *Acknowledged by:* _nobody yet_"
    who = ", ".join(f"{person(a.who.id, a.who.name)} {instant(a.at)}" for a in board.acks[-5:])
    return f":bell: *Acknowledged by:* {who}"


def _ladder(board: Board) -> str:
    if not board.rungs:
        return ":ladder: *Ladder:* none for this severity"
    now = board.rung_now
    text = f":ladder: *Rung now:* {_rung(now) if now else '_none_'}"
    if board.hold is not None:
        text += f"\n:double_vertical_bar: *Held* until {instant(board.hold.until)} by {esc(board.hold.who)}:"
        text += f" {clip(esc(board.hold.why), 300)}"
    if board.next_rung is not None:
        text += f"\n:arrow_right: *Next:* {_rung(board.next_rung)} at {instant(board.next_rung.due_at)}"
    elif not board.incident.status.climbs:
        text += "\n:arrow_right: *Next:* _the ladder stands still_"
    else:
        text += "\n:arrow_right: *Next:* _everybody has been called_"
    return text


def _rung(rung: RungLine) -> str:
    return f"{rung.level} {esc(rung.title)}" + (f" (late by {rung.late_by})" if rung.late_by else "")


def _readings(board: Board) -> list[Block]:
    if not board.readings:
        return [context(":stethoscope: _first assessment under way_")]
    newest = max(r.at for r in board.readings)
    drawn = lines((reading_line(r, board.titles.get(r.probe, r.probe)) for r in board.readings), 1800)
    return [section(f"*Latest readings* ({instant(newest)})\n{drawn}")]


def reading_line(reading: Reading, title: str) -> str:
    latency = f", {reading.latency_ms:.0f} ms" if reading.latency_ms is not None else ""
    return f"{READING_MARK[reading.state]} *{esc(title)}*: {clip(esc(reading.detail), 160)}{latency}"


def _troubles(board: Board) -> list[Block]:
    made = []
    for trouble in board.troubles[:6]:
        state = "failed" if trouble.failed else f"is late, {trouble.attempts} tries"
        retry = button("Retry", "incident_retry", f"{board.incident.number}:{trouble.effect}")
        made.append(section(f":warning: *{trouble.what}* {state}: {clip(esc(trouble.why), 300)}", retry))
    return made


def _buttons(board: Board) -> list[Block]:
    it, number = board.incident, str(board.incident.number)
    if it.status is Status.CLOSED:
        return [
            actions(
                "life", button("Reopen", "incident_reopen", number), button("Timeline", "incident_timeline", number)
            )
        ]
    if it.status is Status.RESOLVED:
        return [
            actions("life", button("Close and export", "incident_close", number, "primary"), button("Reopen", "incident_reopen", number),
                    button("Timeline", "incident_timeline", number))
        ]  # fmt: skip
    first = [button("Acknowledge", "incident_ack", number, "primary")]
    if board.commander is None:
        first.append(button("Take command", "incident_command", number))
    first += [button("Assess again", "incident_assess", number), button("Add note", "incident_note", number)]
    first.append(
        overflow("incident_more", [
            option("Status update", f"update:{number}"), option("Assign a role", f"assign:{number}"),
            option("Change severity", f"severity:{number}"), option("Timeline", f"timeline:{number}"), option("Help", f"help:{number}"),
        ])
    )  # fmt: skip
    second = [button("Set status", "incident_status", number)]
    if board.rungs and it.status.climbs:
        second.append(button("Escalate now", "incident_escalate", number, "danger"))
        if board.hold is not None:
            second.append(button("Resume ladder", "incident_resume", number))
        elif board.next_rung is not None:
            second.append(button("Hold ladder", "incident_hold", number))
    second.append(button("Resolve", "incident_resolve", number))
    return [actions("first", *first), actions("life", *second)]
