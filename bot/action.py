"""The contract of recovery: what an observation and an action are, and what a plan and a step say.

A procedure is a frozen pydantic model. Its fields are its parameters: they make the window, the `key=value` words, the
help, the validation and the audit row. An observation looks and answers at once. An action plans (only looks), is
approved, and then runs its steps; after a crash each step that was under way is asked whether it has happened.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from bot.clock import Clock
from bot.errors import RecoveryError
from bot.estate import Estate
from bot.incident import Scenario
from bot.tools import (
    Activity,
    Backups,
    Caches,
    Cluster,
    Databases,
    Infrastructure,
    Machines,
    Manifests,
    Memory,
    Names,
    Network,
    Nodes,
    Objects,
    Prober,
    Records,
    Restorer,
    Secrets,
    Site,
    Zones,
)


class Risk(StrEnum):
    OBSERVE = "observe"
    LOW = "low"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True)
class OfIncident:
    """The incident that an observation is made for. `asked_at` is the same for each repetition; `timeline` its report as JSON."""

    id: str
    asked_at: datetime
    timeline: Callable[[], Awaitable[str]]


@dataclass(frozen=True)
class Tools:
    """All that a procedure may use. `run` is the id of the run (`RUN-7`), empty while planning: what must be recognised
    later carries it. `incident`: of an observation, None outside of one."""

    estate: Estate
    prober: Prober
    databases: Databases
    cluster: Cluster
    nodes: Nodes
    machines: Machines
    backups: Backups
    restorer: Restorer
    site: Site
    caches: Caches
    secrets: Secrets
    activity: Activity
    network: Network
    objects: Objects
    records: Records
    manifests: Manifests
    names: Names
    zones: Zones
    infrastructure: Infrastructure
    clock: Clock
    run: str = ""
    incident: OfIncident | None = None
    memory: Memory | None = None


class NotVerified(RecoveryError):
    """Everything ran, but the post-condition was not seen."""


class WaitsForPerson(RecoveryError):
    """The step is done by people outside: the run waits until somebody says `/recover done RUN-<n>`."""


Facts = TypeVar("Facts", bound=BaseModel)


@dataclass(frozen=True)
class Change:
    """One thing that becomes another: `what: old → new`."""

    what: str
    old: str
    new: str


@dataclass(frozen=True)
class Plan(Generic[Facts]):
    """What an action would do now.

    `facts` decide (names, identities) and are hashed; `notes` wobble (lag, ages) and are not. `loss` is the estimate of the
    data that would be lost, None when it has nothing to do with data; `data` names the data sets whose RPO it is held to.
    `warnings` speak against it, and stand above everything else. `only_override`: why an ordinary approval does not
    suffice, a sentence; then it runs by break-glass alone, on the requester's word and reason.
    """

    facts: Facts
    changes: Sequence[Change]
    notes: Sequence[str] = ()
    loss: timedelta | None = None
    loss_says: str = ""
    data: Sequence[str] = ()
    undo_says: str = ""
    warnings: Sequence[str] = ()
    only_override: str = ""


Progress = Callable[[str], None]
"""Told the live detail of a step: bytes, pods, lag."""


async def nothing(_progress: Progress) -> None:
    """The undo of a step that only looks or waits."""


@dataclass(frozen=True)
class Step:
    """One checkpointed part of a run.

    `do` may be called again only after `done` has answered False; `done` None = it cannot be probed. `undo` may be called
    after any part of `do`, and twice. `undo` None = a point of no return, said in `no_return`.
    """

    title: str
    do: Callable[[Progress], Awaitable[str | None]]
    done: Callable[[], Awaitable[bool | None]] | None
    undo: Callable[[Progress], Awaitable[None]] | None
    no_return: str = ""
    by_hand: str = ""
    """What a person does when the step fails: one sentence."""
    tidy: Callable[[], Awaitable[str]] | None = None
    """After it has failed for good: take away what is of no use to anybody, as well as it goes, and say what became of it."""


async def not_yet() -> bool:
    """The probe of a step that may simply be done again, as one that only waits."""
    return False


class Procedure(BaseModel, ABC):
    """What observations and actions have in common. The docstring's first line is the title."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    risk: ClassVar[Risk]
    scenario: ClassVar[Scenario]
    usual: ClassVar[timedelta]
    """How long the runbook says that it takes."""
    looks_within: ClassVar[timedelta] = timedelta(seconds=20)
    """How long a plan or a look may take: who waits for longer should be told why."""
    service: ClassVar[str] = ""
    """The service whose RTO it works against."""

    @classmethod
    def title(cls) -> str:
        """The first sentence of the docstring."""
        return (inspect.getdoc(cls) or cls.name).split("\n")[0].removesuffix(".")

    @classmethod
    async def choices(cls, field_name: str, tools: Tools) -> Sequence[tuple[str, str]]:  # noqa: ARG003  for those who have some
        """(value, label) pairs to choose from in the window, newest or likeliest first; empty = it is typed."""
        return ()

    def words(self) -> dict[str, str]:
        """The parameters as `key=value` takes them; those that are left at their default are left out."""
        return {name: spell(value) for name, value in self if value != type(self).model_fields[name].default}


@dataclass(frozen=True)
class Offer:
    """A procedure with its parameters, offered as a button beside a finding. The catalogue fills `risk` in."""

    label: str
    name: str
    words: Mapping[str, str] = field(default_factory=dict)
    risk: Risk | None = None


@dataclass(frozen=True)
class Finding:
    """One line of an observation, in plain text, and what could be done about it."""

    text: str
    offers: Sequence[Offer] = ()


@dataclass(frozen=True)
class Findings:
    """What an observation saw."""

    headline: str
    lines: Sequence[Finding] = ()


class Observation(Procedure):
    """Looks, changes nothing, and needs no approval."""

    risk: ClassVar[Risk] = Risk.OBSERVE
    within: ClassVar[timedelta] = timedelta(seconds=20)
    """Who waits for longer should be told why."""

    @abstractmethod
    async def look(self, tools: Tools) -> Findings:
        """What is there now. Raises NeighbourError or NotFound with a sentence."""


class Action(Procedure, Generic[Facts]):
    """Changes production: planned, approved, run, verified."""

    facts: ClassVar[type[BaseModel]]

    @abstractmethod
    def target(self, estate: Estate) -> str:
        """What it works on, as the lock and the people call it: `database valuecanvas`."""

    def locks(self, estate: Estate) -> Sequence[str]:
        """What nobody else may work on meanwhile; the target, and what is shared with other actions."""
        return (self.target(estate),)

    @abstractmethod
    async def plan(self, tools: Tools) -> Plan[Facts]:
        """Look, change nothing. Raises NotNow or NotFound when it is not possible now, NeighbourError when nobody can tell."""

    @abstractmethod
    def steps(self, facts: Facts, tools: Tools) -> Sequence[Step]:
        """The same steps for the same facts; nothing is called while they are listed."""

    @abstractmethod
    async def verify(self, facts: Facts, tools: Tools) -> str:
        """What was seen that proves it. Raises NotVerified."""


def spell(value: Any) -> str:
    """A parameter's value as it is typed after `key=`."""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value.value) if isinstance(value, StrEnum) else str(value)


def digest(action: Action[Any], facts: BaseModel, *, only_override: bool = False) -> str:
    """What an approval is bound to: SHA-256 over the action, its parameters and the facts, and whether only an override
    will do (the reason holds ages, and wobbles)."""
    body: dict[str, Any] = {
        "action": action.name,
        "parameters": action.model_dump(mode="json"),
        "facts": facts.model_dump(mode="json"),
    }
    if only_override:
        body["only_override"] = True
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What differs between two plans' facts, a line each: `standby: replica → other`."""
    return [
        f"{name.replace('_', ' ')}: {before.get(name, 'nothing')} → {after.get(name, 'nothing')}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
