"""Scenario 5: what speaks against the DR site, and the steps of a DNS failover and of a rebuild."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from actions import CATALOGUE
from actions.dns_failover import GRACE
from bot.action import Action, NotVerified, Tools, digest
from bot.catalogue import Catalogue
from bot.clients.kubernetes import Kubernetes
from bot.clients.toolbox import toolbox
from bot.clients.zones import Route53Zones
from bot.clock import wall_clock
from bot.errors import NeighbourError, NotNow, Refused, Unavailable
from bot.estate import load
from sandbox.cluster.faults import Fault
from sandbox.estate.dns import PRIMARY
from sandbox.practice import Part, Practice
from tests.stories.scene import scene
from tests.stories.steps import FAULTS, carried_out
from tests.stories.wire import CHANGE, How, Wire, wire_to


async def test_old_data_at_the_dr_site_leaves_break_glass_only(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An approval does not suffice; who asked may override with a reason, and that is marked."""
    parts: tuple[Part, ...] = ("s3", "dns")

    def aws(practice: Practice) -> None:
        for name, value in practice.env.items():
            if name.startswith("AWS_"):
                monkeypatch.setenv(name, value)

    async with scene(database, parts=parts, seconds_per_minute=1, before=aws) as it:
        assert it.practice.dr is not None
        it.practice.dr.age = 3 * 3600
        room = await it.declares("P0 complete outage, nothing answers")
        await it.ana.types("/recover dns.failover", room)
        await it.ana.reads(room, "Only by break-glass")
        await it.chloe.types("/recover approve RUN-1", room)
        await it.ana.reads(room, "Break glass")
        await it.ana.types("/recover override RUN-1 the primary region is gone for good", room)
        await it.ana.reads(room, "break-glass*: the primary region is gone for good")
        broken = await it.entry(1, "break_glass")
        assert "RUN-1" in broken.text


class Ground:
    """A practice estate with tools of the bot."""

    def __init__(self, practice: Practice, tools: Tools, wire: Wire) -> None:
        self.practice, self.tools, self.wire = practice, tools, wire


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ground() -> AsyncIterator[Ground]:
    """One estate for the refusals and the steps."""
    parts: tuple[Part, ...] = ("s3", "dns", "cluster", "infrastructure")
    async with AsyncExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        practice = await stack.enter_async_context(Practice(parts=parts, seconds_per_minute=1))
        wire = await stack.enter_async_context(wire_to(practice, patch))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        cluster = Kubernetes(practice.env)
        stack.push_async_callback(cluster.aclose)
        estate = load(Path("estate.yml"), practice.env)
        yield Ground(practice, toolbox(estate, cluster, session, wall_clock, practice.data, practice.env), wire)


def action(name: str, **words: str) -> Action[Any]:
    made = Catalogue(CATALOGUE).make(name, words)
    assert isinstance(made, Action)
    return made


def quiet(_detail: str) -> None:
    """Nobody listens."""


@pytest.mark.asyncio(loop_scope="module")
async def test_what_speaks_against_the_dr_site_asks_for_an_override(ground: Ground) -> None:
    """Down or old, an approval does not suffice, whatever the age; and the approval is bound to that."""
    failover, dr = action("dns.failover"), ground.practice.dr
    assert dr is not None
    fine = await failover.plan(ground.tools)
    assert not fine.only_override
    dr.age = 7200
    old = await failover.plan(ground.tools)
    assert "2 h 00 min old, older than the RPO of 1 h" in old.only_override
    assert digest(failover, fine.facts) != digest(failover, old.facts, only_override=True)
    dr.down = True
    gone = await failover.plan(ground.tools)
    assert "The DR site is not healthy" in gone.only_override
    assert "Nobody can tell how old" in gone.only_override
    dr.down, dr.age = False, 45


@pytest.mark.asyncio(loop_scope="module")
async def test_records_that_somebody_else_changed_are_left_alone(ground: Ground) -> None:
    """Done is seen in the records themselves; undo twice is undo once; a third value is nobody's to overwrite."""
    dns = ground.practice.dns
    assert dns is not None
    failover, tools = action("dns.failover"), replace(ground.tools, run="RUN-9")
    facts = (await failover.plan(tools)).facts
    change = failover.steps(facts, tools)[0]
    assert change.done is not None and change.undo is not None  # noqa: PT018
    assert await change.done() is False
    await change.do(quiet)
    await change.do(quiet)
    assert await change.done() is True
    with pytest.raises(NotNow, match="lead to the DR site already"):
        await failover.plan(tools)
    for _ in range(2):
        await change.undo(quiet)
    assert await change.done() is False
    await dns.lead("127.0.0.3")
    assert await change.done() is None
    with pytest.raises(Refused, match="somebody else has changed"):
        await change.do(quiet)
    await dns.lead(PRIMARY)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_platform_is_rebuilt_from_exactly_the_plan_that_was_approved(ground: Ground) -> None:
    """The same world gives the same plan; a lock names its holder; a plan that is not here is not replaced; applied once."""
    code, tools = ground.practice.code, replace(ground.tools, run="RUN-8")
    assert code is not None
    rebuild = action("infrastructure.rebuild", data="keep")
    await code.hold()
    with pytest.raises(NotNow, match=r"locked by eva@laptop \(apply\) since"):
        await rebuild.plan(tools)
    await code.release()
    plan = await rebuild.plan(tools)
    assert digest(rebuild, plan.facts) == digest(rebuild, (await rebuild.plan(tools)).facts)
    assert (plan.facts.add, plan.facts.change, plan.facts.destroy) == (1, 1, 1)
    assert list(plan.warnings) == ["DESTROYS terraform_data.bastion"]
    other = plan.facts.model_copy(update={"plan": "0" * 64})
    for step in rebuild.steps(other, tools)[:2]:
        with pytest.raises(Refused, match="nothing else is applied in its place"):
            await step.do(quiet)
    here, apply, check, manifests = rebuild.steps(plan.facts, tools)
    assert apply.done is not None
    assert await apply.done() is False
    await here.do(quiet)
    told: list[str] = []
    assert await apply.do(told.append) == "Apply complete! Resources: 1 added, 1 changed, 1 destroyed."
    assert "terraform_data.database: Creating..." in told
    assert await apply.done() is True
    with pytest.raises(Refused, match="Plan again"):
        await apply.do(quiet)
    assert await check.do(quiet) == "4 of 4 checked"
    said = await manifests.do(quiet)
    assert said is not None
    assert "Deployment production/status-page: created" in said
    assert "Deployment production/status-page: unchanged" in (await manifests.do(quiet) or "")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("how", ["429", "500", "throttled", "lost", "silent"])
async def test_records_are_changed_by_one_batch(ground: Ground, how: How) -> None:
    """However Route 53 fails in the middle of it, there and back: the batch arrives once, and the step knows that it did."""
    zones = Route53Zones(read=4.0 if how == "silent" else 20.0)
    failover, tools = action("dns.failover"), replace(ground.tools, run=f"RUN-{how}", zones=zones)
    change, sync, _ = failover.steps((await failover.plan(tools)).facts, tools)
    ground.wire.breaks(how, CHANGE)
    assert await carried_out([change]) == 1
    assert change.done is not None and change.undo is not None  # noqa: PT018
    assert await change.done() is True
    assert sum(CHANGE in call for call in ground.wire.passed) == 1
    ground.wire.breaks("500", "/change/", times=2)
    assert await carried_out([sync]) == (0 if how in ("lost", "silent") else 1), (
        "without its number nobody can ask for it"
    )
    ground.wire.breaks(how, CHANGE)
    with pytest.raises(Unavailable):
        await change.undo(quiet)
    await change.undo(quiet)
    assert sum(CHANGE in call for call in ground.wire.passed) == 1
    assert await change.done() is False


@pytest.mark.asyncio(loop_scope="module")
async def test_silent_resolvers_are_named_and_nothing_is_proven_without_them(ground: Ground) -> None:
    """The step fails with the names of those that do not answer; the proof is not seen; later it goes on from there."""
    dns = ground.practice.dns
    assert dns is not None
    failover, tools = action("dns.failover"), replace(ground.tools, run="RUN-10")
    plan = await failover.plan(tools)
    # Seconds to wait: 6, twice as long as for one answer.
    facts = plan.facts.model_copy(update={"waits": 6 - int(GRACE)})
    change, _, resolve = failover.steps(facts, tools)
    await change.do(quiet)
    dns.silent = True
    with pytest.raises(
        Refused, match=r"not every resolver came along within 6 s: resolver 127.0.0.1:\d+ did not answer"
    ):
        await resolve.do(quiet)
    with pytest.raises(NotVerified, match="did not answer"):
        await failover.verify(facts, tools)
    dns.silent = False
    last = failover.steps(plan.facts, tools)[2]
    await last.do(quiet)
    assert "it is healthy" in await failover.verify(facts, tools)
    places = tools.estate.dns
    assert places is not None
    deaf = places.model_copy(update={"resolvers": ("127.0.0.1:9", *places.resolvers)})
    assert await tools.prober.led_away(deaf) == "api.valuecanvas.com leads to the DR site"
    assert await tools.prober.led_away(places.model_copy(update={"resolvers": ("127.0.0.1:9",)})) == ""
    assert change.undo is not None
    await change.undo(quiet)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_manifests_are_applied_however_the_cluster_fails(ground: Ground) -> None:
    """Refused for now, failed, silent, or done without an answer: tried again, and every object is there. Down for long, it says
    what is applied and what is not."""
    cluster = ground.practice.cluster
    assert cluster is not None
    rebuild, tools = action("infrastructure.rebuild", data="keep"), replace(ground.tools, run="RUN-11")
    facts = (await rebuild.plan(tools)).facts
    _, _, check, manifests = rebuild.steps(facts, tools)
    for fault in FAULTS.values():
        for step in (check, manifests):
            cluster.faults.fail["patch services"] = replace(fault)
            assert await carried_out([step]) == 1
    client = tools.cluster
    assert isinstance(client, Kubernetes)
    cluster.faults.slow, client.connection.deadline = 60.0, 0.2
    with pytest.raises(
        Unavailable, match=r"Namespace production: The cluster did not answer within 0\.2 s.* before it: none"
    ):
        await manifests.do(quiet)
    cluster.faults.slow, client.connection.deadline = 0.0, 10.0
    cluster.faults.fail["patch deployments"] = Fault(503, "etcd has no leader")
    why = "Deployment status-page: .*no leader. Applied before it: Namespace production: .*; ConfigMap production/platform: .*"
    with pytest.raises(Unavailable, match=why):
        await manifests.do(quiet)
    cluster.faults.clear()
    assert "Deployment production/status-page: " in str(await manifests.do(quiet))


@pytest.mark.asyncio(loop_scope="module")
async def test_terraform_that_fails_half_way_says_what_it_has_done(ground: Ground) -> None:
    """The provider fails at the second resource: the step says what is made, nobody may go on with that plan, and a new plan
    holds the rest. Without the repository nothing is applied."""
    practice, tools = ground.practice, replace(ground.tools, run="RUN-12")
    assert practice.code is not None
    rebuild = action("infrastructure.rebuild", data="keep")
    state = json.loads(practice.code.state.read_text())
    state["resources"] = {n: r for n, r in state["resources"].items() if n == "terraform_data.network"}
    practice.code.state.write_text(json.dumps(state))
    old = await rebuild.plan(tools)
    practice.code.state.write_text(json.dumps({**state, "serial": state["serial"] + 1}))
    plan = await rebuild.plan(tools)
    assert plan.facts.add == 2
    assert plan.facts.changes == old.facts.changes
    assert plan.facts.plan != old.facts.plan, "a plan of another state would be refused as stale"
    home, away = Path(practice.code.url), practice.home / "away"
    checkouts = practice.data / "infrastructure" / "checkouts"
    await asyncio.to_thread(home.rename, away)
    await asyncio.to_thread(checkouts.rename, practice.home / "checkouts")
    with pytest.raises(Refused, match="git ls-remote failed"):
        await rebuild.plan(tools)
    apply = rebuild.steps(plan.facts, tools)[1]
    with pytest.raises(Refused, match="nothing was applied: git fetch failed"):
        await apply.do(quiet)
    await asyncio.to_thread(away.rename, home)
    assert apply.done is not None
    assert await apply.done() is False
    practice.code.cloud.fails["database"] = 1
    why = "making database failed InsufficientCapacity.* Before that: terraform_data.cluster: Creation complete"
    with pytest.raises(Refused, match=why):
        await apply.do(quiet)
    assert await apply.done() is None
    with pytest.raises(Refused, match="Plan again"):
        await apply.do(quiet)
    rest = await rebuild.plan(tools)
    assert (rest.facts.add, rest.facts.change, rest.facts.destroy) == (1, 0, 0)
    apply = rebuild.steps(rest.facts, tools)[1]
    assert await apply.do(quiet) == "Apply complete! Resources: 1 added, 0 changed, 0 destroyed."
    assert apply.done is not None
    assert await apply.done() is True


@pytest.mark.asyncio(loop_scope="module")
async def test_without_terraform_it_says_how_to_get_it(ground: Ground) -> None:
    """Refused, with where it is to be had; and a neighbour that is down is a sentence."""
    practice = ground.practice
    assert practice.s3 is not None and practice.code is not None  # noqa: PT018
    bare = {**practice.env, "PATH": "/usr/bin:/bin"}
    session_less = replace(
        ground.tools,
        infrastructure=type(ground.tools.infrastructure)(practice.home / "bare", bare),  # type: ignore[call-arg]
    )
    with pytest.raises(NotNow, match="Terraform is not installed where the bot runs"):
        await action("infrastructure.rebuild", data="keep").plan(session_less)
    await practice.s3.shut()
    with pytest.raises(NeighbourError, match="Route 53 does not answer"):
        await action("dns.failover").plan(ground.tools)
    await practice.s3.reopen()
