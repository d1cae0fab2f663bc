"""Scenario 5, runbook 5.3: rebuild everything from infrastructure as code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from actions.database_restore import Restore, RestoreFacts, backups
from actions.databases import PROMOTION, find
from actions.rollouts import health_is_green
from bot.action import Action, Change, Plan, Progress, Risk, Step, Tools, not_yet, nothing
from bot.errors import NeighbourError, NotFound, NotNow, Refused, Unavailable
from bot.estate import Estate
from bot.estate_places import Infrastructure
from bot.incident import Scenario

MANAGER = "recovery-bot"
ORDER = (
    ("Namespace",),
    ("CustomResourceDefinition",),
    ("ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"),
    (
        "ConfigMap",
        "Secret",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "StorageClass",
        "NetworkPolicy",
        "ResourceQuota",
    ),
    ("Service",),
)
"""What is applied first, so that what follows finds it; workloads and all others come last."""


class RebuildFacts(BaseModel):
    """What is built from what: `plan` is the SHA-256 of the saved Terraform plan, `changes` that of the changes in it."""

    repository: str
    commit: str
    plan: str
    changes: str
    add: int
    change: int
    destroy: int
    destroys: list[str]
    restore: RestoreFacts | None


class Rebuild(Action[RebuildFacts]):
    """Rebuild the platform from its infrastructure code."""

    name: ClassVar[str] = "infrastructure.rebuild"
    risk: ClassVar[Risk] = Risk.CRITICAL
    scenario: ClassVar[Scenario] = Scenario.OUTAGE
    usual: ClassVar[timedelta] = timedelta(minutes=60)
    service: ClassVar[str] = "api"
    looks_within: ClassVar[timedelta] = timedelta(minutes=10)
    facts: ClassVar[type[BaseModel]] = RebuildFacts

    data: Literal["restore", "keep"] = Field(
        "restore", description="restore the database from its newest backup afterwards, or keep the one that is there"
    )

    def target(self, estate: Estate) -> str:
        return f"infrastructure of {estate.name}"

    def locks(self, estate: Estate) -> Sequence[str]:
        name = estate.infrastructure.restore if estate.infrastructure and self.data == "restore" else None
        return (self.target(estate), PROMOTION, *((f"database {find(estate, name).name}",) if name else ()))

    async def plan(self, tools: Tools) -> Plan[RebuildFacts]:
        code = code_of(tools.estate)
        commit = code.commit or await tools.infrastructure.head(code.repository)
        try:
            made = await tools.infrastructure.plan(code.repository, commit, code.terraform)
        except Refused as refused:
            raise NotNow(str(refused)) from refused
        things = await tools.infrastructure.manifests(code.repository, commit, code.manifests)
        restore, age = await self._restore(tools, code)
        facts = RebuildFacts(
            repository=code.repository.rpartition("@")[2], commit=commit, plan=made.sha256, changes=made.changes,
            add=made.add, change=made.change, destroy=made.destroy, destroys=list(made.destroys), restore=restore,
        )  # fmt: skip
        changes = [
            Change(
                "infrastructure",
                "as it is now",
                f"{made.add} to add, {made.change} to change, {made.destroy} to destroy",
            ),
            Change(f"objects of {code.manifests}", "as they are now", f"{len(things)} applied, as of {commit[:12]}"),
        ]
        if restore:
            changes.append(Change(f"database {restore.database}", "as it is now", f"as in {restore.backup}"))
        return Plan(
            facts,
            changes,
            notes=[f"saved plan {made.sha256[:12]} of commit {commit[:12]}", *made.lines[:15]],
            loss=age if restore else None,
            loss_says="everything that was written since the backup" if restore else "",
            data=[d.name for d in tools.estate.data if "WAL" in d.backup] if restore else (),
            undo_says="not possible once Terraform has begun",
            warnings=[f"DESTROYS {address}" for address in made.destroys],
        )

    async def _restore(self, tools: Tools, code: Infrastructure) -> tuple[RestoreFacts | None, timedelta | None]:
        """What would be restored. The cluster and the database need not be there yet, so only the backups are asked, and
        the server is the estate file's primary; the restore stops nobody should the manifests lead to another."""
        if not code.restore or self.data != "restore":
            return None, None
        database = find(tools.estate, code.restore)
        chosen = next((b for b in await backups(tools, database) if b.checksum), None)
        if chosen is None:
            raise NotFound("No backup has a checksum, so none can be restored; `data=keep` rebuilds without one.")
        facts = RestoreFacts(
            database=database.name, server=database.primary.name, backup=chosen.key, size=chosen.size,
            checksum=chosen.checksum, etag=chosen.etag, deployment=database.application.deployment,
        )  # fmt: skip
        return facts, tools.clock() - chosen.at

    def steps(self, facts: RebuildFacts, tools: Tools) -> Sequence[Step]:
        work = _Work(facts, tools)
        left = "What Terraform has made stays; plan again to go on from there."
        steps = [
            Step("Check that the saved plan is here", work.here, not_yet, nothing, by_hand="Ask for a new plan."),
            Step(
                f"Apply the saved Terraform plan {facts.plan[:12]}", work.apply, work.applied, None,
                "Terraform changes the infrastructure", by_hand=left,
            ),
            Step("Let the cluster check the manifests", work.check, not_yet, nothing, by_hand=left),
            Step(
                "Apply the manifests", work.manifests, not_yet, None, "objects that were there are overwritten", by_hand=left
            ),
        ]  # fmt: skip
        if facts.restore is not None:
            steps += Restore(database=facts.restore.database).steps(facts.restore, tools)
        return steps

    async def verify(self, facts: RebuildFacts, tools: Tools) -> str:
        if facts.restore is not None:
            return await Restore(database=facts.restore.database).verify(facts.restore, tools)
        return await health_is_green(tools)


class _Work:
    """The steps of one rebuild."""

    def __init__(self, facts: RebuildFacts, tools: Tools) -> None:
        self._facts, self._tools = facts, tools

    @property
    def _code(self) -> Infrastructure:
        return code_of(self._tools.estate)

    async def here(self, _progress: Progress) -> str:
        await self._tools.infrastructure.must_have(self._facts.plan)
        return self._facts.plan[:12]

    async def apply(self, progress: Progress) -> str:
        code, facts = self._code, self._facts
        return await self._tools.infrastructure.apply(
            code.repository, facts.commit, code.terraform, facts.plan, progress
        )

    async def applied(self) -> bool | None:
        """Nothing remains: it is done. All of it remains: nothing has happened. Between the two nobody may go on."""
        left = await self._tools.infrastructure.remaining(
            self._code.repository, self._facts.commit, self._code.terraform
        )
        if not left:
            return True
        return False if left == self._facts.changes else None

    async def check(self, progress: Progress) -> str:
        """Dry. What lives in a namespace, or is of a kind, that the manifests themselves bring cannot be checked before."""
        things = await self._things()
        brought = {str(t["metadata"].get("name")) for t in things if t.get("kind") == "Namespace"}
        kinds = {str(t["spec"]["names"]["kind"]) for t in things if t.get("kind") == "CustomResourceDefinition"}
        wrong, checked = [], 0
        for thing in things:
            new = str(thing.get("kind")) in kinds or self._namespace(thing) in brought
            try:
                progress(f"{thing.get('kind')} {thing.get('metadata', {}).get('name')}")
                await self._apply(thing, dry_run=True)
                checked += 1
            except Unavailable:
                raise
            except (NeighbourError, NotFound) as error:
                later = isinstance(error, NotFound) or (isinstance(error, Refused) and error.code == "Unknown")
                if not (new and later):
                    wrong.append(_wrong(thing, error))
        if wrong:
            raise Refused(f"the cluster would refuse {len(wrong)} of {len(things)} objects: {'; '.join(wrong)}")
        return f"{checked} of {len(things)} checked"

    async def manifests(self, progress: Progress) -> str:
        """Every object, also after one that was refused; then the word about each."""
        said, wrong = [], []
        for thing in await self._things():
            try:
                said.append(str(await self._apply(thing, dry_run=False)))
                progress(said[-1])
            except Unavailable as error:
                text = f"{_wrong(thing, error)}. Applied before it: {'; '.join(said) or 'none'}"
                raise Unavailable(text, error.retry_after) from error
            except (NeighbourError, NotFound) as error:
                wrong.append(_wrong(thing, error))
        if wrong:
            raise Refused(
                f"{len(wrong)} objects were refused: {'; '.join(wrong)}. Applied: {'; '.join(said) or 'none'}"
            )
        return "; ".join(said)

    async def _things(self) -> list[Mapping[str, Any]]:
        found = await self._tools.infrastructure.manifests(
            self._code.repository, self._facts.commit, self._code.manifests
        )
        return sorted(found, key=rank)

    def _namespace(self, thing: Mapping[str, Any]) -> str:
        cluster = self._tools.estate.cluster
        return str(thing.get("metadata", {}).get("namespace") or (cluster.namespace if cluster else "default"))

    async def _apply(self, thing: Mapping[str, Any], *, dry_run: bool) -> Any:
        return await self._tools.manifests.apply(
            thing, manager=MANAGER, dry_run=dry_run, namespace=self._namespace(thing), force=True
        )


def rank(thing: Mapping[str, Any]) -> int:
    """When an object is applied: small numbers first."""
    return next((n for n, kinds in enumerate(ORDER) if thing.get("kind") in kinds), len(ORDER))


def _wrong(thing: Mapping[str, Any], error: Exception) -> str:
    return f"{thing.get('kind')} {thing.get('metadata', {}).get('name')}: {str(error).rstrip('.')}"


def code_of(estate: Estate) -> Infrastructure:
    """Raises NotFound."""
    if estate.infrastructure is None:
        raise NotFound("The estate file has no `infrastructure`, so there is no code to rebuild from.")
    return estate.infrastructure
