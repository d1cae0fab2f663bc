"""Scenario 6, runbook 6.1: rotate the secrets, and restart what reads them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import BaseModel, Field

from actions.rollouts import cluster_of, health_is_green, wait_for_rollout
from actions.security import section
from bot.action import Action, Change, NotVerified, Plan, Progress, Risk, Step, Tools, not_yet, nothing
from bot.clock import spoken
from bot.errors import NotFound, NotNow, Refused
from bot.estate import Estate
from bot.incident import Scenario
from bot.tools import Secret

ROTATED_WITHIN = 300.0
"""Seconds that one secret's rotation may take: its function makes, sets and tests the new value."""
BETWEEN_LOOKS = 0.5
_TOKENS = uuid.UUID("6f1d9d0c-3f0e-5c43-9a7e-3f8f2c5d1b10")


class RotateFacts(BaseModel):
    """Which secrets, each with the version that is in use now, and what is restarted afterwards."""

    versions: dict[str, str]
    identities: dict[str, str]
    restarts: list[str]


class Rotate(Action[RotateFacts]):
    """Rotate the secrets of the estate, and restart what reads them."""

    name: ClassVar[str] = "secrets.rotate"
    risk: ClassVar[Risk] = Risk.HIGH
    scenario: ClassVar[Scenario] = Scenario.SECURITY
    usual: ClassVar[timedelta] = timedelta(minutes=5)
    service: ClassVar[str] = "api"
    facts: ClassVar[type[BaseModel]] = RotateFacts

    secret: str = Field(default="", description="which secret of the estate; all of them when left out")

    @classmethod
    async def choices(cls, field_name: str, tools: Tools) -> Sequence[tuple[str, str]]:
        found = section(tools.estate).secrets if field_name == "secret" else ()
        return [(name, name) for name in found]

    def _names(self, estate: Estate) -> Sequence[str]:
        known = section(estate).secrets
        if not known:
            raise NotFound("The estate file names no `secrets` under `security`.")
        if self.secret and self.secret not in known:
            listed = ", ".join(f"`{name}`" for name in known)
            raise NotFound(f"There is no secret `{self.secret}` in the estate file. It has {listed}.")
        return (self.secret,) if self.secret else known

    def target(self, estate: Estate) -> str:
        return "secret " + ", ".join(self._names(estate))

    def locks(self, estate: Estate) -> Sequence[str]:
        return tuple(f"secret {name}" for name in self._names(estate))

    async def plan(self, tools: Tools) -> Plan[RotateFacts]:
        found = [await tools.secrets.describe(name) for name in self._names(tools.estate)]
        for secret in found:
            _possible(secret)
        restarts = restarted(tools.estate)
        for name in restarts:
            seen = await tools.cluster.workload("deployment", cluster_of(tools.estate).namespace, name)
            if seen.paused:
                raise NotNow(f"{name} is paused, so it would not read the new values. Resume it first.")
        facts = RotateFacts(
            versions={s.name: s.current for s in found},
            identities={s.name: s.identity for s in found},
            restarts=restarts,
        )
        now = tools.clock()
        ages = [
            f"{s.name}: rotated last {spoken(now - s.rotated_at) + ' ago' if s.rotated_at else 'never'}" for s in found
        ]
        return Plan(
            facts,
            (
                *(Change(f"secret {s.name}", f"version {s.current[:8]}", "a new version") for s in found),
                *(
                    Change(f"pods of {name}", "with the old values", "new ones, with the new values")
                    for name in restarts
                ),
            ),
            (*ages, "no value of a secret is read or shown"),
            undo_says="not possible: a value that may be known to somebody else does not come back",
            warnings=()
            if restarts
            else ("The estate file names nothing that reads the secrets: nothing is restarted.",),
        )

    def steps(self, facts: RotateFacts, tools: Tools) -> Sequence[Step]:
        rotations = [step for name in facts.versions for step in _rotation(name, facts, tools)]
        return (*rotations, *(step for name in facts.restarts for step in _restart(name, tools)))

    async def verify(self, facts: RotateFacts, tools: Tools) -> str:
        for name in facts.versions:
            secret = await tools.secrets.describe(name)
            if secret.current != token(tools.run, facts, name):
                raise NotVerified(f"{name} is in use with another version than the one that was made")
        for name in facts.restarts:
            seen = await tools.cluster.workload("deployment", cluster_of(tools.estate).namespace, name)
            if seen.restarted_at != tools.run or seen.ready < seen.replicas:
                raise NotVerified(f"{name}: {seen.ready} of {seen.replicas} pods are ready")
        count = len(facts.versions)
        new = f"{count} {'secret has its new version' if count == 1 else 'secrets have their new versions'} in use"
        if not facts.restarts:
            return new
        return f"{new}; every pod of {', '.join(facts.restarts)} is new; {await health_is_green(tools)}"


def restarted(estate: Estate) -> list[str]:
    """The deployments that read the secrets: as the estate file says, else the one of `audit`."""
    security = section(estate)
    if estate.cluster is None:
        return []
    return list(security.restarts) or ([security.audit.deployment] if security.audit else [])


def token(run: str, facts: RotateFacts, name: str) -> str:
    """The version that this run makes of a secret: the same for each repetition of the run, and for nothing else."""
    return str(uuid.uuid5(_TOKENS, f"{run}/{facts.identities[name]}/{facts.versions[name]}"))


def _possible(secret: Secret) -> None:
    """Raises NotNow with what to do."""
    if secret.deleted:
        raise NotNow(f"{secret.name} is being deleted. Restore it, or take it out of the estate file.")
    if not secret.rotates:
        raise NotNow(
            f"{secret.name} has no rotation configured, so nobody would make its new value. Give it a rotation function"
            " (Secrets Manager, the secret, Rotation, Edit rotation), or change it by hand and restart what reads it."
        )
    if secret.pending:
        raise NotNow(
            f"{secret.name}: a rotation is under way or stuck (version {secret.pending[:8]} is pending). Wait for it, or"
            " look into the log of its rotation function."
        )


def _rotation(name: str, facts: RotateFacts, tools: Tools) -> Sequence[Step]:
    wanted = token(tools.run, facts, name)
    by_hand = "The log of the secret's rotation function says why; the old value stays in use until it succeeds."

    async def rotate(_progress: Progress) -> str:
        await tools.secrets.rotate(name, wanted)
        return f"version {wanted[:8]} is being made"

    async def asked() -> bool:
        return wanted in (await tools.secrets.describe(name)).versions

    async def wait(progress: Progress) -> str:
        try:
            async with asyncio.timeout(ROTATED_WITHIN):
                while True:
                    secret = await tools.secrets.describe(name)
                    if secret.current == wanted:
                        return f"version {wanted[:8]} is in use"
                    if secret.current != facts.versions[name] or secret.pending not in ("", wanted):
                        raise Refused(f"somebody else rotated {name} meanwhile")
                    progress("its rotation function is at work")
                    await asyncio.sleep(BETWEEN_LOOKS)
        except TimeoutError:
            raise Refused(f"the rotation of {name} did not finish within {ROTATED_WITHIN:g} s") from None

    return (
        Step(f"Rotate {name}", rotate, asked, None, "the old value is given up", by_hand),
        Step(f"Wait until {name} is rotated", wait, not_yet, nothing, by_hand=by_hand),
    )


def _restart(name: str, tools: Tools) -> Sequence[Step]:
    cluster = cluster_of(tools.estate)

    async def restart(_progress: Progress) -> str:
        await tools.cluster.restart("deployment", cluster.namespace, name, tools.run)
        return "new pods are being made"

    async def done() -> bool:
        return (await tools.cluster.workload("deployment", cluster.namespace, name)).restarted_at == tools.run

    async def wait(progress: Progress) -> str:
        return await wait_for_rollout(tools, "deployment", name, cluster.rollout_within, progress)

    by_hand = (
        f"Restart it by hand: it goes on with the old values. `kubectl rollout status deployment/{name}` says more."
    )
    return (
        Step(f"Restart {name}", restart, done, nothing, by_hand=by_hand),
        Step(f"Wait until every pod of {name} is new", wait, not_yet, nothing, by_hand=by_hand),
    )
