"""The cards of recovery: the plan with the buttons that decide about it, the progress of a run, and findings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from bot.action import Offer
from bot.catalogue import spelled
from bot.chat import FindingsCard, RunCard
from bot.clock import spoken
from bot.run import OUTCOME, Run, RunState, StepRow, StepState
from handlers.blocks import (
    Block,
    actions,
    button,
    clip,
    context,
    esc,
    instant,
    lines,
    person,
    practice_mark,
    section,
)  # fmt: skip

RISKS = {"observe": ":eyes:", "low": ":large_blue_circle:", "high": ":large_orange_circle:", "critical": ":red_circle:"}
LONGEST_MARK = max(map(len, RISKS.values())) + 1

STEPS = {
    StepState.WAITING: ":white_circle:",
    StepState.BEGUN: ":arrow_forward:",
    StepState.DONE: ":white_check_mark:",
    StepState.FAILED: ":x:",
    StepState.UNKNOWN: ":question:",
    StepState.UNDOING: ":leftwards_arrow_with_hook:",
    StepState.UNDONE: ":leftwards_arrow_with_hook:",
}

ENDS = {
    RunState.SUCCEEDED: ":white_check_mark:",
    RunState.UNVERIFIED: ":warning:",
    RunState.FAILED: ":x:",
    RunState.STOPPED: ":octagonal_sign:",
    RunState.UNDONE: ":leftwards_arrow_with_hook:",
    RunState.UNKNOWN: ":question:",
    RunState.REFUSED: ":no_entry:",
    RunState.REJECTED: ":no_entry:",
    RunState.EXPIRED: ":hourglass:",
}


FINDINGS_MAX = 8000
"""Characters of all findings of a card together."""

EM_SPACE = "\u2003"
"""Is not swallowed at the beginning of a line."""


def draw_run(card: RunCard) -> tuple[str, list[Block]]:
    """(fallback text, blocks) of the plan card or the progress card."""
    return _progress(card) if card.progress else _plan(card)


def _head(run: Run) -> str:
    words = f" {clip(esc(spelled(run.words)), 400)}" if run.words else ""
    asked = f"asked for by {person(run.requester.id, run.requester.name)}"
    return f"*{run.id}* `{run.action}{words}` {RISKS[run.risk]} {run.risk} risk, {asked}"


def _plan(card: RunCard) -> tuple[str, list[Block]]:
    run, plan = card.run, card.run.plan
    blocks = [section(f":clipboard: {_head(run)}\n*{clip(esc(run.title), 200)}*\non {clip(esc(run.target), 200)}")]
    if plan is not None:
        blocks += _planned(card)
    if run.state is RunState.PROPOSED:
        blocks += [section(f"*Approval:* {clip(esc(card.needs), 600)}"), *_deciding(card)]
        if run.expires_at is not None:
            blocks.append(context(f"Expires {instant(run.expires_at, '{time_secs}')} · `/recover approve {run.id}`"))
    elif run.state.ended and run.started_at is None:
        blocks.append(section(f"{ENDS[run.state]} *{OUTCOME[run.state].capitalize()}:* {clip(esc(run.outcome), 1500)}"))
    elif run.state is not RunState.PLANNING:
        blocks.append(section(f"*Approved* by {_voters(run)}. Its progress is on the card below."))
    else:
        blocks.append(context(":hourglass: the plan is being made"))
    return f"{run.id} {run.action}: plan", [*blocks, *practice_mark(card.practice)]


def _voters(run: Run) -> str:
    return ", ".join(
        person(v.who.id, v.who.name) + (f" (*break-glass*: {clip(esc(v.override), 300)})" if v.override else "")
        for v in run.votes[:9]
    )


def _planned(card: RunCard) -> list[Block]:
    """What would happen. Each part has a length of its own: the buttons below must always fit."""
    plan = card.run.plan
    assert plan is not None  # noqa: S101  asked before
    blocks: list[Block] = []
    if plan.drift:
        moved = lines((f"• {clip(esc(d), 300)}" for d in plan.drift), 1000)
        blocks.append(section(f":warning: *The earlier approval is void: this has moved.*\n{moved}"))
    if plan.only_override:
        blocks.append(section(f":rotating_light: *Only by break-glass:* {clip(esc(plan.only_override), 600)}"))
    if plan.warnings:
        blocks.append(section(lines((f":warning: *{clip(esc(w), 300)}*" for w in plan.warnings), 1000)))
    changes = (f"• {esc(c['what'])}: {clip(esc(c['old']), 300)} → *{clip(esc(c['new']), 300)}*" for c in plan.changes)
    blocks.append(section(f"*What changes*\n{lines(changes, 1500) or '_nothing_'}"))
    blocks.append(section(f"*Steps*\n{lines((_step_line(n, s) for n, s in enumerate(plan.steps, 1)), 2000)}"))
    says = {"Data loss": card.loss, "Expected": card.expected, "Undo": plan.undo_says}
    rows = [f"*{name}:* {clip(esc(text), 500)}" for name, text in says.items() if text]
    notes = [f"• {clip(esc(note), 300)}" for note in plan.notes]
    seen = f" at {instant(card.run.planned_at)}" if card.run.planned_at else ""
    if rows:
        blocks.append(section("\n".join(rows)))
    if notes:
        blocks.append(section(f"*Seen*{seen}\n{lines(notes, 1000)}"))
    decides = " · ".join(f"{esc(name)} *{clip(esc(value), 150)}*" for name, value in card.facts)
    if decides:
        whole = f"; all of it is plan `{card.run.digest[:12]}`" if card.run.digest else ""
        blocks.append(context(f"The approval holds for exactly this: {clip(decides, 1000)}{whole}"))
    return blocks


def _step_line(number: int, step: Mapping[str, Any]) -> str:
    mark = "" if step["undoable"] else f"\n:no_entry_sign: *point of no return*: {clip(esc(step['no_return']), 300)}"
    return f"{number}. {clip(esc(step['title']), 120)}{mark}"


def _deciding(card: RunCard) -> list[Block]:
    run = card.run
    value = f"{run.number}:{run.digest}"
    on = clip(esc(run.target), 150)
    confirm = ("Approve?", f"{run.id} {run.action} on {on} runs as soon as it has all approvals.", "Approve")
    ordinary = run.plan is None or not run.plan.only_override
    buttons = [button("Approve", "recover_approve", value, "primary", confirm)] if ordinary else []
    buttons.append(button("Reject", "recover_reject", str(run.number)))
    if card.override:
        buttons.append(button("Break glass", "recover_override", str(run.number), "danger"))
    return [actions(f"decide_{run.number}", *buttons)]


def _progress(card: RunCard) -> tuple[str, list[Block]]:
    run = card.run
    word, mark = _now(run)
    began = f" · began {instant(run.started_at)}" if run.started_at else ""
    took = f" · took {_brief(run.ended_at - run.started_at)}" if run.ended_at and run.started_at else ""
    blocks = [
        section(f"{mark} *{run.id}* `{run.action}`: *{word}*{began}{took}\non {clip(esc(run.target), 200)}"),
        section(_steps(run.steps) or " "),
    ]
    if run.state is RunState.PROPOSED:
        blocks.append(section(_void(run)))
    if run.outcome:
        label = "Proof" if run.state is RunState.SUCCEEDED else "What happened"
        blocks.append(section(f"*{label}:* {clip(esc(run.outcome), 2500)}"))
    buttons = _progress_buttons(run)
    if buttons:
        blocks.append(actions(f"run_{run.number}", *buttons))
    command = f" · `/recover {'stop' if run.state.live else 'undo'} {run.id}`" if buttons else ""
    approved = f" · approved by {_voters(run)}" if run.votes else ""
    blocks.append(context(f"{card.incident}{approved}{command}"))
    return f"{run.id} {run.action}: {word}", [*blocks, *practice_mark(card.practice)]


def _now(run: Run) -> tuple[str, str]:
    if run.state in OUTCOME:
        return OUTCOME[run.state], ENDS[run.state]
    if run.state is RunState.PROPOSED:
        return "nothing ran, the approval is void", ":warning:"
    words = {RunState.WAITING: "waits for people outside", RunState.UNDOING: "is being undone"}
    stopping = "stops after this step" if run.stop_by else "running"
    return words.get(run.state, stopping), ":arrows_counterclockwise:"


def _void(run: Run) -> str:
    """Why a run that was approved waits for an approval again."""
    moved = lines((f"• {clip(esc(d), 300)}" for d in run.plan.drift), 1000) if run.plan else ""
    why = f"What it decides on has moved since it was approved:\n{moved}\n" if moved else ""
    return f"{why}Nothing was changed. The new plan is on its card, and has to be approved again."


def _steps(steps: Sequence[StepRow]) -> str:
    """A line each. When that is too much, what is done keeps its title only, so that the step under way is seen."""
    rows = [_step(step) for step in steps]
    if sum(map(len, rows)) > 2500:
        rows = [_step(s, detailed=s.state not in (StepState.DONE, StepState.UNDONE), title=60) for s in steps]
    return lines(rows)


def _step(step: StepRow, *, detailed: bool = True, title: int = 120) -> str:
    took = f" _{_brief(step.ended_at - step.begun_at)}_" if step.begun_at and step.ended_at else ""
    since = f" _since {instant(step.begun_at)}_" if step.begun_at and not step.ended_at else ""
    most = 600 if step.state is StepState.BEGUN else 300  # a step that waits for people says all that they need
    detail = f" · {clip(esc(step.detail), most)}" if step.detail and detailed else ""
    return f"{STEPS[step.state]} {clip(esc(step.title), title)}{took}{since}{detail}"


def _brief(span: timedelta) -> str:
    return spoken(span) if span >= timedelta(seconds=1) else "under 1 s"


def _progress_buttons(run: Run) -> list[Block]:
    number = str(run.number)
    if run.state in (RunState.RUNNING, RunState.WAITING):
        done = [button("It is done", "recover_done", number, "primary")] if run.state is RunState.WAITING else []
        label = "Stop" if run.state is RunState.WAITING else "Stop after this step"
        stop = [] if run.stop_by else [button(label, "recover_stop", number, "danger")]
        return done + stop
    if run.state.ended and run.state is not RunState.UNDONE and run.undoable:
        ask = ("Undo?", f"Everything that {run.id} began is undone, last first.", "Undo")
        return [button("Undo", "recover_undo", number, "danger", ask)]
    return []


def draw_findings(card: FindingsCard) -> tuple[str, list[Block]]:
    """(fallback text, blocks) of what an observation saw, in its order; below a finding what could be done about it."""
    seen = card.findings
    headline = clip(esc(seen.headline), 300)
    blocks = [section(f":eyes: `{card.name}` by {person(card.by)} at {instant(card.at)}\n*{headline}*")]
    rows: list[str] = []
    size = 0
    for number, line in enumerate(seen.lines):
        row = clip(_finding(line.text), 500)
        size += len(row) + 1 + sum(min(len(offer.label) + LONGEST_MARK, 75) for offer in line.offers[:5])
        if size > FINDINGS_MAX or len(blocks) >= 44:
            rows.append(f"_… and {len(seen.lines) - number} more_")
            break
        rows.append(row)
        if line.offers or sum(map(len, rows)) > 2000:
            blocks.append(section("\n".join(rows)))
            rows = []
        if line.offers:
            blocks.append(actions(f"offer_{number}", *offered(line.offers, card.incident)))
    if rows:
        blocks.append(section("\n".join(rows)))
    return f"{card.name}: {headline}", [*blocks, *practice_mark(card.practice)]


def _finding(text: str) -> str:
    """A line of the list; what is indented hangs below the line before."""
    depth = (len(text) - len(text.lstrip(" "))) // 4
    return f"{EM_SPACE * min(depth, 8)}{'↳' if depth else '•'} {esc(text.lstrip(' '))}"


def offered(offers: Sequence[Offer], incident: str) -> list[Block]:
    """A button for each, its risk before its label; Slack takes an action id only once in a block."""
    made = []
    for number, offer in enumerate(offers[:5]):
        value = json.dumps(
            {"name": offer.name, "incident": incident, "words": dict(offer.words)}, separators=(",", ":")
        )
        made.append(_start(offer.label, offer.risk or "", f"recover_start_{number}", value))
    return made


def _start(label: str, risk: str, action_id: str, value: str) -> Block:
    """A button that asks for an action. The mark comes first: a phone cuts a long label at its end."""
    text = f"{RISKS[risk]} {label}" if risk else label
    return button(text, action_id, value, "danger" if risk == "critical" else "")


def risk_key(offers: Sequence[Offer]) -> str:
    """What the marks of these buttons mean, the least risk first."""
    there = {offer.risk for offer in offers}
    return " · ".join(f"{mark} {risk}" for risk, mark in RISKS.items() if risk in there)


def draw_actions(rows: Sequence[Mapping[str, Any]]) -> list[Block]:
    """The catalogue, a button each."""
    blocks = []
    for row in rows[:45]:
        value = json.dumps({"name": row["name"], "incident": str(row["number"])}, separators=(",", ":"))
        text = f"{RISKS[row['risk']]} `{row['name']}` {row['risk']}, usually {row['usual']}\n{clip(esc(row['title']), 120)}"
        word = "Look" if row["risk"] == "observe" else "Plan"
        blocks.append(section(text, _start(word, row["risk"], "recover_start_0", value)))
    return blocks
