"""Scenario 6, runbook 6.1: switch the application's audit log on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import BaseModel

from actions.rollouts import cluster_of, wait_for_rollout
from actions.security import section
from bot.action import Action, Change, NotVerified, Plan, Progress, Risk, Step, Tools, not_yet, nothing
from bot.errors import NotFound, NotNow
from bot.estate import Estate
from bot.estate_places import Audit
from bot.incident import Scenario


class AuditFacts(BaseModel):
    """Which deployment, by its uid, and what its variable was; None = it had none."""

    deployment: str
    uid: str
    variable: str
    value: str
    before: str | None


class Enable(Action[AuditFacts]):
    """Switch the application's audit log on."""

    name: ClassVar[str] = "audit.enable"
    risk: ClassVar[Risk] = Risk.LOW
    scenario: ClassVar[Scenario] = Scenario.SECURITY
    usual: ClassVar[timedelta] = timedelta(minutes=2)
    service: ClassVar[str] = "api"
    facts: ClassVar[type[BaseModel]] = AuditFacts

    def target(self, estate: Estate) -> str:
        return f"deployment {_audit(estate).deployment} in {cluster_of(estate).namespace}"

    async def plan(self, tools: Tools) -> Plan[AuditFacts]:
        audit, namespace = _audit(tools.estate), cluster_of(tools.estate).namespace
        seen = await tools.cluster.workload("deployment", namespace, audit.deployment)
        if audit.variable in seen.from_secret:
            raise NotNow(f"{audit.variable} of {audit.deployment} comes from a secret; change it there.")
        before = seen.env.get(audit.variable)
        if before == audit.value:
            raise NotNow(f"{audit.variable} of {audit.deployment} is {audit.value} already.")
        if seen.paused:
            raise NotNow(f"{audit.deployment} is paused, so its pods would not see the new value. Resume it first.")
        facts = AuditFacts(
            deployment=audit.deployment, uid=seen.uid, variable=audit.variable, value=audit.value, before=before
        )
        return Plan(
            facts,
            (Change(f"{audit.variable} of {audit.deployment}", before or "not set", audit.value),),
            (f"the {seen.replicas} pods of {audit.deployment} are replaced, a few at a time",),
            undo_says="the old value comes back" if before is not None else "the variable is taken away again",
        )

    def steps(self, facts: AuditFacts, tools: Tools) -> Sequence[Step]:
        cluster = cluster_of(tools.estate)

        async def wait(progress: Progress) -> str:
            return await wait_for_rollout(tools, "deployment", facts.deployment, cluster.rollout_within, progress)

        async def put(_progress: Progress) -> str:
            seen = await tools.cluster.workload("deployment", cluster.namespace, facts.deployment)
            await tools.cluster.set_env(seen, facts.variable, facts.value)
            return "new pods are being made"

        async def is_put() -> bool:
            seen = await tools.cluster.workload("deployment", cluster.namespace, facts.deployment)
            return seen.env.get(facts.variable) == facts.value

        async def put_back(progress: Progress) -> None:
            seen = await tools.cluster.workload("deployment", cluster.namespace, facts.deployment)
            if facts.before is None:
                await tools.cluster.unset_env(seen, facts.variable)
            else:
                await tools.cluster.set_env(seen, facts.variable, facts.before)
            await wait(progress)

        by_hand = f"`kubectl rollout status deployment/{facts.deployment}` says what it waits for."
        return (
            Step(f"Set {facts.variable} of {facts.deployment}", put, is_put, put_back, by_hand=by_hand),
            Step(f"Wait until every pod of {facts.deployment} is new", wait, not_yet, nothing, by_hand=by_hand),
        )

    async def verify(self, facts: AuditFacts, tools: Tools) -> str:
        namespace = cluster_of(tools.estate).namespace
        seen = await tools.cluster.workload("deployment", namespace, facts.deployment)
        if seen.uid != facts.uid or seen.env.get(facts.variable) != facts.value or seen.ready < seen.replicas:
            raise NotVerified(f"{facts.variable} is {seen.env.get(facts.variable)}; {seen.ready} pods are ready")
        return f"all {seen.ready} pods of {facts.deployment} run with {facts.variable}={facts.value}"


def _audit(estate: Estate) -> Audit:
    audit = section(estate).audit
    if audit is None:
        raise NotFound("The estate file has no `audit` under `security`, so I do not know how it is switched on.")
    return audit
