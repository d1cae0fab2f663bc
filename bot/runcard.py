"""What the cards of a run say, decided: how long it should take, what may be lost, who must say yes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from bot.action import Action, Procedure
from bot.chat import RunCard
from bot.clock import spoken
from bot.rules import Case, Rules
from bot.run import Run, RunRules, RunState, left, override_from

Usual = tuple[timedelta, int] | None

_UID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


def draw_run(
    run: Run, case: Case, procedure: type[Procedure], usual: Usual, rules: Rules, run_rules: RunRules, now: datetime,
    *, progress: bool,
) -> RunCard:  # fmt: skip
    """The plan card, or the progress card, of a run as it is at `now`."""
    opens = override_from(run, run_rules)
    override = (
        run.state is RunState.PROPOSED
        and not run.votes
        and (not run_rules.quorum(run).requester or _only_override(run))
        and case.incident.severity in run_rules.break_glass_severities
        and opens is not None
        and now >= opens
    )
    return RunCard(
        run=run,
        incident=case.incident.id,
        facts=facts_of(run, procedure),
        loss=loss_line(run),
        expected=expected_line(case, procedure, usual, rules, run.planned_at or now),
        needs=needs_line(run, run_rules),
        override=override,
        practice=rules.pace.practice,
        progress=progress,
    )


def facts_of(run: Run, procedure: type[Procedure]) -> list[tuple[str, str]]:
    """The facts in the order of the action, without those that are empty (the store keeps no order)."""
    facts = run.plan.facts if run.plan else {}
    order = list(procedure.facts.model_fields) if issubclass(procedure, Action) else list(facts)
    return [(name.replace("_", " "), _said(facts[name])) for name in order if facts.get(name) not in (None, "", [])]


def loss_line(run: Run) -> str:
    """The data-loss estimate against the RPO; empty when data is not at stake."""
    plan = run.plan
    if plan is None or (plan.loss_seconds is None and not plan.loss_says):
        return ""
    if plan.loss_seconds is None:
        return plan.loss_says
    loss = timedelta(seconds=plan.loss_seconds)
    text = "none" if not loss else f"up to {spoken(loss)}" if loss >= timedelta(seconds=1) else "under a second"
    if plan.rpo_seconds is not None:
        rpo = timedelta(seconds=plan.rpo_seconds)
        text += f" (RPO {spoken(rpo)}: {'within' if loss <= rpo else 'EXCEEDED'})"
    return f"{text}; {plan.loss_says}" if plan.loss_says else text


def expected_line(case: Case, procedure: type[Procedure], usual: Usual, rules: Rules, now: datetime) -> str:
    """How long it should take, against what is left of the RTO."""
    if usual is None:
        text = f"{spoken(procedure.usual)} by the runbook; it has not run here yet"
    else:
        text = f"{spoken(usual[0])}, the median of {usual[1]} run{'s' if usual[1] > 1 else ''}"
    impact = case.incident.impact.get(procedure.service)
    rto = rules.rto.get(procedure.service)
    if impact is not None and rto is not None and impact.green_at is None:
        rest = impact.bad_at + rto - now
        said = f"{spoken(rules.pace.told(rest))} left of the RTO" if rest > timedelta(0) else "the RTO is over already"
        text += f"; {said} when the plan was made"
    return text


def needs_line(run: Run, rules: RunRules) -> str:
    """Who must approve, and who has."""
    if _only_override(run) and not run.votes:
        return f"{run.requester.name} alone, by break-glass with a reason; an approval does not suffice"
    quorum = rules.quorum(run)
    other = "" if quorum.requester else f" other than {run.requester.name}"
    one = quorum.group.removesuffix("s")
    text = f"{'one' if quorum.votes == 1 else quorum.votes} {one if quorum.votes == 1 else quorum.group}{other}"
    said = ", ".join(f"{v.who.name} (break-glass: {v.override})" if v.override else v.who.name for v in run.votes)
    missing = left(run, rules)
    return f"{text}; approved by {said}" + (f", {missing} missing" if missing else "") if said else text


def _only_override(run: Run) -> bool:
    return run.plan is not None and bool(run.plan.only_override)


def _said(value: object) -> str:
    """For the eye: of an identity its beginning, of many only their number; the digest holds for all of it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_said(held)}" for name, held in value.items()) or "none"
    if isinstance(value, list | tuple):
        if len(value) > 1 and all(_UID.fullmatch(str(one)) for one in value):
            return f"{len(value)} identities"
        return ", ".join(map(_said, value)) or "none"
    return _UID.sub(lambda uid: f"{uid[0][:8]}…", str(value))
