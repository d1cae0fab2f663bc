"""What unit tests start from: a rule set, people, an incident that was just declared, the shipped estate."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.clock import Pace
from bot.declaring import declare
from bot.estate import Estate, load
from bot.incident import Declaration, Person, Scenario, Severity
from bot.rules import Case, Change, Rules, RungRule

NOW = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ANA = Person("U0ANA", "Ana Ortiz")
BEN = Person("U0BEN", "Ben Adler")
MALICE = "<!channel> <@U0EVA> <#C0GENERAL|x> <!subteam^S0RESPOND> <https://x.example|y> & @here"
"""What somebody types who wants to wake everybody."""

ENVIRONMENT: Mapping[str, str] = {
    "SLACK_ANNOUNCE_CHANNEL": "C0INCIDENTS",
    "SLACK_STATUS_CHANNEL": "C0STATUS",
    "SLACK_RESPONDERS": "S0RESPOND",
    "SLACK_APPROVERS": "S0APPROVE",
    "PAGERDUTY_SERVICE": "PSERVICE",
    "PAGERDUTY_RUNG_1": "PONCALL",
    "PAGERDUTY_RUNG_2": "PMANAGER",
    "PAGERDUTY_RUNG_3": "PCTO",
    "PAGERDUTY_RUNG_4": "PCEO",
    "DATABASE_URL": "postgresql://app:secret@db.internal/valuecanvas",
    "REDIS_URL": "redis://cache.internal:6379/0",
}


def estate() -> Estate:
    """The shipped estate of an ordinary installation."""
    return load(Path(__file__).parents[2] / "estate.yml", ENVIRONMENT)


def rules(**changed: Any) -> Rules:
    """Four rungs at 0, 15, 30 and 60 minutes, real pace, and what a test wants otherwise."""
    figures: dict[str, Any] = {
        "rungs": tuple(
            RungRule(level, f"Rung {level} people", timedelta(minutes=after), f"{after} minutes have passed.")
            for level, after in ((1, 0), (2, 15), (3, 30), (4, 60))
        ),
        "similar_within": timedelta(minutes=30),
        "assess_every": timedelta(seconds=30),
        "proof_within": timedelta(seconds=60),
        "ack_timeout": timedelta(minutes=30),
        "report_due": timedelta(hours=24),
        "private_scenarios": frozenset({Scenario.SECURITY}),
        "archive_on_close": False,
        "rto": {"database": timedelta(minutes=5), "api": timedelta(minutes=10)},
        "titles": {"database": "Database", "api": "API Services"},
        "pace": Pace(),
    }
    return Rules(**{**figures, **changed})


def said(**changed: Any) -> Declaration:
    """A declaration: P1, checkout is down, the API service."""
    fields: dict[str, Any] = {
        "key": "command/1",
        "by": ANA,
        "title": "Checkout is down",
        "severity": Severity.P1,
        "scenario": Scenario.KUBERNETES,
        "services": ("api",),
        "seen": "",
        "private": False,
        "started_at": NOW,
    }
    return Declaration(**{**fields, **changed})


def declared(severity: Severity = Severity.P1, rules_: Rules | None = None, **changed: Any) -> Case:
    """INC-7, declared at NOW."""
    return declare(7, said(severity=severity, **changed), rules_ or rules(), NOW).case


def kinds(change: Change) -> list[str]:
    """The kinds of what a change owes, in order."""
    return [owed.kind for owed in change.owed]


def lines(change: Change) -> list[str]:
    """The names of the messages that a change says in the room."""
    return [str(owed.args["line"]) for owed in change.owed if owed.kind == "say"]


def notes(change: Change) -> list[str]:
    """The kinds of the timeline entries of a change."""
    return [note.kind for note in change.notes]
