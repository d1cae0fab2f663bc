"""What every action must keep to, proven for each on the practice estate: a plan only looks, steps follow from the facts,
and what was begun can be undone after any prefix."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from psycopg.sql import SQL, Identifier

from actions import CATALOGUE
from actions.database_looks import Blockers
from actions.database_restore import too_few
from actions.database_sessions import Cancel, Terminate
from actions.security_network import POLICY
from actions.security_secrets import Rotate, token
from bot.action import Action, NotVerified, Observation, Step, Tools, digest
from bot.clients.aws import Aws
from bot.clients.restore import PsqlRestorer
from bot.errors import NotFound, NotNow, Refused, Unavailable
from bot.estate import Estate as EstateFile
from bot.estate import load
from sandbox.cluster.kinds import POLICIES
from tests.stories.at_work import ACTIONS, CATALOG, SECRET, Estate
from tests.stories.at_work import at_work as stage
from tests.stories.scene import eventually
from tests.unit.given import estate


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def at_work() -> AsyncIterator[Estate]:
    """One estate for the file. Nothing that these tests do may change it."""
    async with stage() as estate_at_work:
        yield estate_at_work


def test_every_action_is_held_to_it() -> None:
    """No action of the catalogue is missing from these tests."""
    assert set(ACTIONS) == {p.name for p in CATALOGUE if issubclass(p, Action)}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ACTIONS)
async def test_a_plan_changes_nothing_and_is_the_same_again(at_work: Estate, name: str) -> None:
    """The world is as it was; a second plan of the same world has the same digest; its parameters go round."""
    before = await at_work.world()
    action = await at_work.action(name)
    plan = await action.plan(at_work.tools)
    again = await action.plan(at_work.tools)
    assert await at_work.world() == before
    assert digest(action, plan.facts) == digest(action, again.facts)
    assert CATALOG.make(name, action.words()) == action
    assert CATALOG.action(name, action.model_dump(mode="json")) == action


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ACTIONS)
async def test_steps_follow_from_the_facts(at_work: Estate, name: str) -> None:
    """The same facts, also those that were kept as JSON, give the same steps; a point of no return says why."""
    action = await at_work.action(name)
    plan = await action.plan(at_work.tools)
    kept = type(plan.facts).model_validate(plan.facts.model_dump(mode="json"))
    tools = replace(at_work.tools, run="RUN-1")
    steps = [list(action.steps(facts, tools)) for facts in (plan.facts, kept)]
    assert [s.title for s in steps[0]] == [s.title for s in steps[1]]
    assert steps[0]
    for step in steps[0]:
        assert step.undo is not None or step.no_return


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("network.block", 1),
        ("audit.enable", 2),
        ("database.failover", 2),
        ("database.restore", 6),
        ("cache.raise", 2),
        ("redis.failover", 1),
        ("deployment.scale", 2),
        ("deployment.undo", 2),
        ("node.recover", 2),
        ("dns.failover", 2),
    ],
)
async def test_undo_is_safe_after_any_prefix(at_work: Estate, name: str, most: int) -> None:
    """Up to the point of no return: begin any number of steps, undo them twice, and the world is as it was."""
    before = await at_work.world()
    action = await at_work.action(name)
    facts = (await action.plan(at_work.tools)).facts
    for length in range(1, most + 1):
        tools = replace(at_work.tools, run=f"RUN-{length}")
        begun = list(action.steps(facts, tools))[:length]
        for step in begun:
            await step.do(lambda _detail: None)
        for _ in range(2):
            for step in reversed(begun):
                assert step.undo is not None, step.title
                await step.undo(lambda _detail: None)
        after = await at_work.world()
        kept = {f"valuecanvas_run_{n}" for n in range(1, length + 1)}
        assert set(after["databases"]) - kept == set(before["databases"]) - kept, f"after {length} steps"
        assert {**after, "databases": 0} == {**before, "databases": 0}, f"after {length} steps"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("procedure", [p for p in CATALOGUE if issubclass(p, Observation)], ids=lambda p: p.name)
async def test_an_observation_changes_nothing_and_says_something(at_work: Estate, procedure: Any) -> None:
    """What it offers can be asked for."""
    await at_work.asleep()
    before = await at_work.world()
    seen = await procedure().look(at_work.in_incident())
    assert seen.headline
    assert seen.lines
    for line in seen.lines:
        for offer in line.offers:
            CATALOG.make(offer.name, offer.words)
    assert await at_work.world() == before


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_not_there_is_refused_by_name(at_work: Estate) -> None:
    """Another database, another backup, a session that is gone: a sentence that names it."""
    tools = replace(at_work.tools, estate=with_own(at_work.tools.estate))
    wrong: list[tuple[str, dict[str, str], str]] = [
        ("database.failover", {"database": "nothing"}, "no database `nothing`"),
        ("database.restore", {"backup": "backups/none.sql.gz"}, "no backup `backups/none.sql.gz`"),
        ("database.cancel", {"pid": "1", "started_at": "2026-01-01T00:00:00+00:00"}, "is gone"),
        ("database.failover", {}, "still takes writes"),
        ("redis.restart", {"cache": "nothing"}, "no cache `nothing`"),
        ("pod.force-delete", {"pod": "nothing"}, "no pod `nothing` in production"),
        ("pod.force-delete", {"pod": "redis-0"}, "ready and serves"),
        ("deployment.restart", {"deployment": "nothing"}, "no deployment `nothing` in production; .*`api-server`"),
        ("deployment.scale", {"replicas": "3"}, "scaled to 3 already"),
        ("deployment.undo", {"deployment": "frontend", "revision": "77"}, "frontend keeps no revision 77"),
        ("cache.raise", {"maxmemory": "900000gb"}, "more than the .* that the host of redis has"),
        ("cache.raise", {"maxmemory": "1mb"}, "that would evict keys"),
        ("cache.raise", {"maxmemory": "64mb", "policy": "noeviction"}, "and noeviction already"),
        ("secrets.rotate", {"secret": "nothing"}, "no secret `nothing`"),
        ("sessions.revoke", {"before": "2100-01-01T00:00:00Z"}, "has not come yet"),
        ("sessions.revoke", {"before": "2001-01-01T00:00:00Z"}, "No session in auth.sessions"),
        ("network.block", {"addresses": "198.51.100.7"}, "is our own .the estate file's `own`"),
        ("network.block", {"addresses": "203.0.113.200"}, "is our own .the disaster recovery site"),
    ]
    for name, words, says in wrong:
        action: Any = CATALOG.make(name, words)
        with pytest.raises((NotFound, NotNow), match=says):
            await action.plan(tools)


class ImpatientCancel(Cancel):
    """Cancel what one session is running, and look at once."""

    within = 0.1


class ImpatientTerminate(Terminate):
    """End one session, and look at once."""

    within = 0.1


@pytest.mark.asyncio(loop_scope="module")
async def test_ending_is_proven_on_that_very_session(at_work: Estate) -> None:
    """While its query runs nothing is proven, though it blocks nobody; another query, or none, proves the cancelling;
    only being gone proves the end. A query that was over before is not cancelled for another."""
    url, tools = at_work.practice.env["DATABASE_URL"], replace(at_work.tools, run="RUN-1")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as report:
        pid = report.info.backend_pid
        row = await (
            await report.execute("select backend_start from pg_stat_activity where pid = %s", [pid])
        ).fetchone()
        assert row is not None
        words = {"pid": pid, "started_at": row[0]}
        cancel, terminate = ImpatientCancel.model_validate(words), ImpatientTerminate.model_validate(words)

        async def runs() -> bool:
            seen = await tools.databases.backend(url, pid, row[0])
            return seen is not None and seen.runs

        with pytest.raises(NotNow, match="runs no query"):
            await cancel.plan(tools)
        first = asyncio.create_task(report.execute("select pg_sleep(600)"))
        await eventually(runs)
        facts, ended = (await cancel.plan(tools)).facts, (await terminate.plan(tools)).facts
        assert (facts.pid, facts.started_at, ended.query_start) == (pid, row[0], None)
        with pytest.raises(NotVerified, match="still runs the same query"):
            await cancel.verify(facts, tools)
        assert await cancel.steps(facts, tools)[0].do(lambda _detail: None) == "the server was told"
        with pytest.raises(psycopg.errors.QueryCanceled):
            await first
        assert "(idle)" in await cancel.verify(facts, tools)
        second = asyncio.create_task(report.execute("select pg_sleep(600)"))
        await eventually(runs)
        assert "another one" in await cancel.verify(facts, tools)
        assert await cancel.steps(facts, tools)[0].do(lambda _detail: None) == "it was over already"
        assert digest(cancel, (await cancel.plan(tools)).facts) != digest(cancel, facts)
        with pytest.raises(NotVerified, match="is still there"):
            await terminate.verify(ended, tools)
        await terminate.steps(ended, tools)[0].do(lambda _detail: None)
        with pytest.raises(psycopg.OperationalError):
            await second
        for action, its in ((Cancel.model_validate(words), facts), (Terminate.model_validate(words), ended)):
            assert await action.verify(its, tools) == f"session {pid} is gone"


@pytest.mark.asyncio(loop_scope="module")
async def test_half_a_fence_is_put_up_again(at_work: Estate) -> None:
    """The setting stands and a session from before it still writes, as after a crash: not done, and done again it ends that one."""
    url, tools = at_work.practice.env["DATABASE_URL"], replace(at_work.tools, run="RUN-1")
    action = CATALOG.make("database.failover", {"mode": "switchover"})
    assert isinstance(action, Action)
    fence = action.steps((await action.plan(tools)).facts, tools)[0]
    assert fence.done is not None
    assert fence.undo is not None
    name = SQL("alter database {} set default_transaction_read_only = on")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as old:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as half:
            await half.execute(name.format(Identifier(half.info.dbname)))
        try:
            await old.execute("create temporary table still_writes ()")
            assert await fence.done() is False
            await fence.do(lambda _detail: None)
            with pytest.raises(psycopg.OperationalError):
                await old.execute("select 1")
        finally:
            await fence.undo(lambda _detail: None)


def with_own(of: EstateFile) -> EstateFile:
    """The estate with addresses of its own, and a disaster recovery site with one."""
    assert of.security is not None
    assert of.dns is not None
    (record,) = of.dns.records
    dns = of.dns.model_copy(update={"records": (record.model_copy(update={"failover": ("203.0.113.200",)}),)})
    security = of.security.model_copy(update={"own": ("198.51.100.0/24",)})
    return of.model_copy(update={"dns": dns, "security": security})


@pytest.mark.asyncio(loop_scope="module")
async def test_a_policy_of_somebody_else_is_not_opened(at_work: Estate) -> None:
    """Where another policy restricts the pods, or ours says something else, blocking would open what is closed: refused."""
    assert at_work.practice.cluster is not None
    store, block = at_work.practice.cluster.store, CATALOG.make("network.block", {"addresses": "203.0.113.7"})
    assert isinstance(block, Action)
    inside: dict[str, Any] = {
        "podSelector": {},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": {}}]}],
    }
    for name, says in (("only-inside", "only-inside restricts"), (POLICY, "not ours to change")):
        store.create(POLICIES, {"metadata": {"name": name, "namespace": "production"}, "spec": inside})
        with pytest.raises(NotNow, match=says):
            await block.plan(at_work.tools)
        store.remove(POLICIES, "production", name)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_secret_that_cannot_rotate_is_refused_with_what_to_do(at_work: Estate) -> None:
    """No rotation configured, none under way, not being deleted; and the token is the run's own."""
    async with Aws().client("secretsmanager") as client:
        await client.create_secret(Name="plain", SecretString="x")
        security = at_work.tools.estate.security
        assert security is not None
        only = security.model_copy(update={"secrets": ("plain",)})
        tools = replace(at_work.tools, estate=at_work.tools.estate.model_copy(update={"security": only}))
        rotate = CATALOG.make("secrets.rotate", {})
        assert isinstance(rotate, Rotate)
        with pytest.raises(NotNow, match="no rotation configured"):
            await rotate.plan(tools)
        await client.delete_secret(SecretId="plain")
        with pytest.raises(NotNow, match="being deleted"):
            await rotate.plan(tools)
        facts = (await rotate.plan(at_work.tools)).facts
        assert token("RUN-1", facts, SECRET) == token("RUN-1", facts, SECRET) != token("RUN-2", facts, SECRET)
        # Somebody else's rotation, which does not get any further.
        pending, theirs = "AWSPENDING", f"{1:032}"
        await client.put_secret_value(
            SecretId=SECRET, SecretString="theirs", ClientRequestToken=theirs, VersionStages=[pending]
        )
        with pytest.raises(NotNow, match="under way"):
            await rotate.plan(at_work.tools)
        await client.update_secret_version_stage(SecretId=SECRET, VersionStage=pending, RemoveFromVersionId=theirs)
    assert (await rotate.plan(at_work.tools)).facts == facts


class Deaf(PsqlRestorer):
    """One whose server is away when something is to be dropped."""

    async def drop(self, url: str, name: str, run: str) -> None:
        raise Unavailable("nobody answers.")


@pytest.mark.asyncio(loop_scope="module")
async def test_what_a_failed_load_left_is_removed_or_named(at_work: Estate) -> None:
    """What cannot be removed is named, with the statement for a human; what can is gone, and that twice is the same."""
    before = at_work.databases()
    action = await at_work.action("database.restore")
    facts = (await action.plan(at_work.tools)).facts
    tools = replace(at_work.tools, run="RUN-77")
    create, load, *_ = action.steps(facts, tools)
    await create.do(lambda _detail: None)
    away = action.steps(facts, replace(tools, restorer=Deaf()))[1].tidy
    assert away is not None and load.tidy is not None  # noqa: PT018
    said = 'valuecanvas_run_77 is still there (nobody answers). Look, and then: DROP DATABASE "valuecanvas_run_77".'
    assert said in await away()
    for _ in range(2):
        assert await load.tidy() == "The half-loaded valuecanvas_run_77 was removed."
    assert at_work.databases() == before


def after_a_failover(at_work: Estate, run: str) -> Tools:
    """Tools of a run on an estate whose application is sent to `replica`; the estate file's `primary` is used by nobody."""
    env = at_work.practice.env
    moved = {"DATABASE_URL": env["REPLICA_DATABASE_URL"], "REPLICA_DATABASE_URL": env["DATABASE_URL"]}
    return replace(at_work.tools, estate=load(Path("estate.yml"), {**env, **moved}), run=run)


async def done(steps: Sequence[Step]) -> None:
    for step in steps:
        await step.do(lambda _detail: None)


async def undone(steps: Sequence[Step]) -> None:
    for step in reversed(steps):
        assert step.undo is not None, step.title
        await step.undo(lambda _detail: None)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_server_that_the_application_uses_is_worked_on(at_work: Estate) -> None:
    """Sessions are seen and ended there, and a restore is made, proven and undone there, whatever the estate file calls it;
    to where nobody can tell, nothing is done."""
    tools, before = after_a_failover(at_work, "RUN-31"), await at_work.world()
    backend = await at_work.asleep()
    seen = await Blockers().look(tools)
    assert ", on replica: " in seen.headline
    assert any(str(backend.pid) in line.text for line in seen.lines)
    terminate, restore = await at_work.action("database.terminate"), await at_work.action("database.restore")
    for action in (terminate, restore):
        facts = (await action.plan(tools)).facts
        assert facts.server == "replica"
        steps = action.steps(facts, tools)
        await done(steps)
        assert await action.verify(facts, tools)
        if action is restore:
            assert "valuecanvas_before_run_31" in at_work.databases()
            await undone(steps)
    stop = restore.steps(facts.model_copy(update={"server": "primary"}), tools)[3]
    with pytest.raises(Refused, match=r"api-server is sent to replica, .* Nothing was stopped"):
        await stop.do(lambda _detail: None)
    away = {"DATABASE_URL": "postgresql://me@127.0.0.1:9/a", "REPLICA_DATABASE_URL": "postgresql://me@127.0.0.1:9/b"}
    lost = replace(tools, estate=load(Path("estate.yml"), {**at_work.practice.env, **away}))
    for asked in (terminate.plan(lost), restore.plan(lost), Blockers().look(lost)):
        with pytest.raises(NotNow, match="which is no server of `valuecanvas`"):
            await asked
    after = await at_work.world()
    assert {**after, "databases": 0} == {**before, "databases": 0}


@pytest.mark.asyncio(loop_scope="module")
async def test_the_undo_of_a_restore_that_was_overtaken_stops_nobody(at_work: Estate) -> None:
    """After another restore it is refused before the application stops, also when the database that was kept is gone."""
    before = await at_work.world()
    action = await at_work.action("database.restore")
    facts = (await action.plan(at_work.tools)).facts
    first, second = (list(action.steps(facts, replace(at_work.tools, run=f"RUN-{n}"))) for n in (41, 42))
    await done(first)
    await done(second)
    url = at_work.tools.restorer.at(at_work.practice.env["DATABASE_URL"], "postgres")
    names = [Identifier("valuecanvas_before_run_41"), Identifier("taken_away")]
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for one, other in (names, names[::-1]):
            with pytest.raises(Refused, match=r"not as this run left them .* Nothing was stopped"):
                await undone(first)
            await connection.execute(SQL("alter database {} rename to {}").format(one, other))
    assert (await at_work.world())["replicas"] == before["replicas"] > 0
    await undone(second)
    await undone(first)
    assert {**await at_work.world(), "databases": 0} == {**before, "databases": 0}


def test_what_was_restored_must_be_enough() -> None:
    """A missing table, fewer rows than the estate asks for, or less than the share of what is there now."""
    database = estate().databases[0]
    assert "users is missing" in too_few({"users": None, "canvases": 5}, {}, database, 50)
    assert "asks for 1" in too_few({"users": 0, "canvases": 5}, {}, database, 50)
    assert "less than 50 %" in too_few({"users": 4, "canvases": 5}, {"users": 10, "canvases": 5}, database, 50)
    assert not too_few({"users": 5, "canvases": 5}, {"users": 10, "canvases": None}, database, 50)
