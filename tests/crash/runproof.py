"""The invariants of a run: what must be true of the world however often the bot died."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from bot.run import OUTCOME, Run, RunState, StepState
from bot.timeline import Entry, verify
from sandbox.cluster.kinds import DEPLOYMENTS, NODES
from sandbox.cluster.podstate import is_true
from sandbox.estate.dns import API, DR, PRIMARY
from sandbox.estate.machines import Ec2
from sandbox.estate.postgres import DATABASE
from tests.crash.ground import Ground, takes_writes, titles
from tests.crash.instant import BY_TWO, RunPoint
from tests.crash.proof import key_of, said_in
from tests.stories.scene import whole

TRUE = (RunState.SUCCEEDED, RunState.UNVERIFIED, RunState.FAILED, RunState.UNKNOWN)
"""How a run may end that nobody stopped, rejected or undid."""
UNDO_TRUE = (RunState.UNDONE, RunState.FAILED, RunState.UNKNOWN)
_ASKED_FOR_PROMOTION = "received promote request"
_WELL_WITHIN = 20.0  # seconds


@dataclass
class Before:
    """What was counted before the run began."""

    number: int
    broken_at: float
    generation: int
    promotions: int
    databases: dict[str, tuple[int, str]]
    checkpoints: int
    versions: frozenset[str]
    """Of the secret."""
    serial: int
    """Of Terraform's state."""
    node: str
    """The one that is replaced."""
    machines: dict[str, str]
    """The state of each in EC2, where a node is replaced."""


async def before(on: Ground, point: RunPoint, number: int) -> Before:
    """Count. `number`: of the run that comes."""
    return Before(number, 0.0, _generation(on), _promotions(on), await _databases(on), len(on.killer.seen),
                  frozenset(await _versions(on)), _state_of(on)["serial"], _first_node(on),
                  await _machines(on) if point.of == "node" else {})  # fmt: skip


async def broken(on: Ground, point: RunPoint, begun: Before, run: Run | None) -> tuple[list[str], int]:
    """Every invariant that does not hold, as a sentence; and how many writes were lost."""
    if run is None:
        return (["the run that was asked for does not exist"], 0)
    wrong = [*_cards(on, run), *await _timeline(on, run, point), *_checkpoints(on, begun), *await _freed(on, run)]
    if run.state not in (UNDO_TRUE if point.undoes else TRUE) or not run.outcome:
        wrong.append(f"it ended as {run.state}: {run.outcome or 'no word'}")
    looks = {"restore": _restored, "rotate": _rotated, "node": _replaced, "dns": _led, "undo-dns": _led, "rebuild": _rebuilt,
             "undo-restore": _restored_back}  # fmt: skip
    world = await looks.get(point.of, _failed_over)(on, begun, run)
    lost = await _lost(on, run)
    wrong += [*world, *_too_much(point, begun, run, lost, on)]
    if run.state in (RunState.SUCCEEDED, RunState.UNDONE):
        wrong += await _unhealthy(on)
    return wrong, len(lost)


def _cards(on: Ground, run: Run) -> list[str]:
    wrong = []
    said = said_in(on.practice.slack.channels[on.room])
    for kind, ts in (("plan", run.card_ts), ("progress", run.progress_ts)):
        cards = [m for m in said if key_of(m).startswith(f"{run.id}/{kind}")]
        if [m.ts for m in cards] != [ts]:
            wrong.append(f"{len(cards)} {kind} cards; the run knows {ts or 'none'}")
        words = whole({"text": cards[0].text, "blocks": cards[0].blocks}) if cards else ""
        if kind == "progress" and OUTCOME.get(run.state, "?") not in words:
            wrong.append(f"the progress card does not say {run.state}: {words[:200]!r}")
    return wrong


async def _timeline(on: Ground, run: Run, point: RunPoint) -> list[str]:
    entries = await on.it.timeline(run.incident)
    verdict = verify(entries)
    async with on.it.store.tx() as tx:
        head = await tx.timeline_head(run.incident)
    wrong = [] if verdict.holds else [f"the timeline is broken at {verdict.broken_at}: {verdict.why}"]
    if head != (verdict.entries, verdict.head):
        wrong.append("the timeline was cut")
    kinds = Counter(e.kind for e in entries if _about(e, run))
    done = sum(step.state is StepState.DONE for step in run.steps)
    wanted = {"run_requested": 1, "run_planned": 1, "run_approved": 2 if point.of in BY_TWO else 1, "run_ended": 1}
    wanted["run_step"] = done + sum(step.state in (StepState.FAILED, StepState.UNKNOWN) for step in run.steps)
    if point.undoes:
        undone = sum(step.state is StepState.UNDONE for step in run.steps)
        wanted |= {"run_ended": 2, "run_undo": 1, "run_step": wanted["run_step"] + len(run.steps) - done + undone}
    return wrong + [
        f"{kinds[k]} entries {k}, not {n}" for k, n in (wanted | {"run_drifted": 0}).items() if kinds[k] != n
    ]


def _about(entry: Entry, run: Run) -> bool:
    return entry.data.get("run") == run.id or entry.text.startswith(f"{run.id} ")


def _checkpoints(on: Ground, begun: Before) -> list[str]:
    """Nothing that was written as done was ever begun again, and nothing is of another run."""
    seen = on.killer.seen[begun.checkpoints :]
    wrong = [f"a checkpoint of RUN-{n}" for n, _, _ in seen if n != begun.number]
    done: set[str] = set()
    for _, what, state in seen:
        if what in done:
            wrong.append(f"{what} became {state} after it was done")
        if state in ("done", "undone", "ended"):
            done.add(what)
    return wrong


async def _freed(on: Ground, run: Run) -> list[str]:
    return [
        f"the lock {r['lock']} is still held"
        for r in await on.it.sql("select lock from run_lock where run = %s", run.number)
    ]


async def _failed_over(on: Ground, begun: Before, run: Run) -> list[str]:
    """Promoted once, deployed once, never two that take writes; what the steps say is what is there."""
    practice, wrong = on.practice, []
    if on.both:
        wrong.append(f"TWO PRIMARIES: both servers took writes, seen {on.both} times")
    promotions, deployments = _promotions(on) - begun.promotions, _generation(on) - begun.generation
    if promotions > 1:
        wrong.append(f"{promotions} promotions")
    if deployments > 1:
        wrong.append(f"{deployments} deployments")
    timeline, recovering = await _timeline_of(practice.env["REPLICA_DATABASE_URL"])
    if timeline != 1 + (not recovering):
        wrong.append(f"the standby is on timeline {timeline}")
    if await takes_writes(practice.env["REPLICA_DATABASE_URL"]) and await takes_writes(practice.env["DATABASE_URL"]):
        wrong.append("TWO PRIMARIES at the end")
    wrong += _told(run, "Promote", happened=not recovering)
    return wrong + _told(run, "Send", happened=practice.database() == practice.env["REPLICA_DATABASE_URL"])


async def _restored(on: Ground, begun: Before, run: Run) -> list[str]:
    """Loaded once, swapped once, stopped and started once: the databases' names and the deployment tell."""
    found = await _databases(on)
    suffix = f"run_{run.number}"
    new, kept = f"{DATABASE}_{suffix}", f"{DATABASE}_before_{suffix}"
    swapped = kept in found
    wrong = [f"a database {name} that nobody knows" for name in sorted({*found} - {*begun.databases, new, kept})]
    if DATABASE not in found:
        return [*wrong, f"there is no {DATABASE}, but {', '.join(found)}"]
    if found[kept if swapped else DATABASE][0] != begun.databases[DATABASE][0]:
        wrong.append("the old database is not what was kept")
    if swapped and (new in found or found[DATABASE][1] != f"recovery-bot {run.id} in use"):
        wrong.append(f"swapped, but: {found}")
    wrong += _told(run, "Swap", happened=swapped)
    stopped, started = (_state(run, word) for word in ("Stop", "Start"))
    deployments = _generation(on) - begun.generation
    wanted = (stopped is StepState.DONE) + (started is StepState.DONE)
    unsure = sum(s in (StepState.BEGUN, StepState.FAILED, StepState.UNKNOWN) for s in (stopped, started))
    if not wanted <= deployments <= wanted + unsure:
        wrong.append(f"the deployment was changed {deployments} times, not {wanted}")
    return wrong


async def _restored_back(on: Ground, begun: Before, run: Run) -> list[str]:
    """The old database is back where it was, the restored one beside it, and the application was stopped and started for each."""
    found = await _databases(on)
    if run.state is not RunState.UNDONE:
        return []
    new = f"{DATABASE}_run_{run.number}"
    wrong = [f"a database {name} that nobody knows" for name in sorted({*found} - {*begun.databases, new})]
    if found.get(DATABASE, (0, ""))[0] != begun.databases[DATABASE][0]:
        wrong.append("the old database is not back")
    if found.get(new, (0, ""))[1] != f"recovery-bot {run.id} loaded":
        wrong.append(f"the restored database is not beside it: {found}")
    deployments = _generation(on) - begun.generation
    return wrong if deployments == 4 else [*wrong, f"the deployment was changed {deployments} times, not 4"]


async def _led(on: Ground, _begun: Before, run: Run) -> list[str]:
    """DNS leads where the run says."""
    assert on.practice.dns is not None
    leads = await on.practice.dns.leads(API)
    wrong = [] if leads in ([DR], [PRIMARY]) else [f"DNS leads to {leads}"]
    if run.state is RunState.UNDONE and leads != [PRIMARY]:
        wrong.append("it is undone, and DNS leads to the DR site")
    return wrong + _told(run, "Change", happened=leads == [DR])


async def _rebuilt(on: Ground, begun: Before, run: Run) -> list[str]:
    """Terraform has written each of its three changes once, and the manifests are there."""
    assert on.practice.cluster is not None
    state = _state_of(on)
    made, writes = {name.partition(".")[2] for name in state["resources"]}, state["serial"] - begun.serial
    whole_state = made == {"network", "cluster", "database"}
    wrong = [] if writes <= 3 else [f"Terraform has written its state {writes} times, not 3"]
    applied = any(d["metadata"]["name"] == "status-page" for d in on.practice.cluster.store.list(DEPLOYMENTS))
    if _state(run, "Apply the manifests") is StepState.DONE and not applied:
        wrong.append("the manifests are not applied")
    return wrong + _told(run, "Apply the saved", happened=whole_state)


def _state_of(on: Ground) -> Any:
    """Terraform's state."""
    return json.loads(on.practice.code.state.read_text()) if on.practice.code is not None else {"serial": 0}


async def _rotated(on: Ground, begun: Before, run: Run) -> list[str]:
    """Asked for once, in use when it says so, restarted once: the versions of the secret and the deployment tell."""
    versions, wrong = await _versions(on), list[str]()
    made = set(versions) - begun.versions
    if len(made) > 1:
        wrong.append(f"{len(made)} rotations")
    restarts = _generation(on) - begun.generation
    if restarts > 1:
        wrong.append(f"{restarts} restarts")
    in_use = {version for version, stages in versions.items() if "AWSCURRENT" in stages}
    if run.state is RunState.SUCCEEDED and in_use != made:
        wrong.append("it says succeeded, and another version is in use")
    wrong += _told(run, "Rotate", happened=bool(made))
    return wrong + _told(run, "Restart", happened=bool(restarts))


async def _replaced(on: Ground, begun: Before, run: Run) -> list[str]:
    """One machine ended, that of the node, and one came for it; what the steps say of the node and of the machine is so."""
    assert on.practice.cluster is not None
    after = await _machines(on)
    ended = [id_ for id_, state in begun.machines.items() if state == "running" and after.get(id_) != "running"]
    new = [id_ for id_ in after if id_ not in begun.machines]
    nodes = on.practice.cluster.store.list(NODES)
    there = any(node["metadata"]["name"] == begun.node for node in nodes)
    mine = str((run.plan.facts if run.plan else {}).get("provider", "")).rpartition("/")[2]
    wrong = [f"{len(ended)} machines ended: {ended}, not {mine}"] if ended not in ([], [mine]) else []
    if len(new) > len(ended):
        wrong.append(f"{len(new)} machines came for {len(ended)}")
    ready = [node["metadata"]["name"] for node in nodes if is_true(node, "Ready")]
    if run.state is RunState.SUCCEEDED and (there or len(ready) != list(begun.machines.values()).count("running")):
        wrong.append(f"it says succeeded, and these nodes are ready: {ready}")
    wrong += _told(run, "Delete", happened=not there)
    return wrong + _told(run, "Terminate", happened=ended == [mine])


async def _machines(on: Ground) -> dict[str, str]:
    assert on.practice.s3 is not None
    return {machine.id: machine.state for machine in await Ec2(on.practice.s3).machines()}


def _first_node(on: Ground) -> str:
    assert on.practice.fleet is not None
    return on.practice.fleet.state().nodes[0]


async def _versions(on: Ground) -> Mapping[str, list[str]]:
    """The stages of each version of the secret; none where there is no manager of secrets."""
    return await on.practice.s3.secret_versions() if on.practice.s3 is not None else {}


def _state(run: Run, word: str) -> StepState:
    return next((s.state for s in run.steps if s.title.startswith(word)), StepState.WAITING)


def _told(run: Run, word: str, *, happened: bool) -> list[str]:
    """A step that is done has happened, one that waits has not; of the others nobody says so."""
    state = _state(run, word)
    untrue = (state is StepState.DONE and not happened) or (state is StepState.WAITING and happened)
    return [f"“{word} …” is {state}, and it has {'' if happened else 'not '}happened"] if untrue else []


async def _lost(on: Ground, run: Run) -> list[float]:
    """When the writes were acknowledged that are nowhere any more; a restore keeps the old database."""
    there = await titles(on.practice.database())
    for kept in (f"{DATABASE}_before_run_{run.number}", f"{DATABASE}_run_{run.number}"):
        there |= await titles(on.practice.env["DATABASE_URL"], kept)
    return [one.at for one in on.written if one.title not in there]


def _too_much(point: RunPoint, begun: Before, run: Run, lost: list[float], on: Ground) -> list[str]:
    if not on.written:
        return ["no customer could write anything at all"]
    if point.of != "failover":
        return [f"{len(lost)} of {len(on.written)} writes are lost"] if lost else []
    if run.plan is None:
        return []
    # A standby that has replayed nothing since its start does not know how old its data is, and the plan says so.
    known = run.plan.loss_seconds is not None
    # The look that estimates the loss is somewhat later than the question.
    after = run.requested_at.timestamp() - (run.plan.loss_seconds or 0.0) if known else 0.0
    beyond = [at for at in lost if not after <= at <= begun.broken_at + 0.5]
    told = f"{run.plan.loss_seconds:.1f} s" if run.plan.loss_seconds is not None else "unknown"
    times = ", ".join(f"{begun.broken_at - at:.2f}" for at in beyond)
    asked = run.requested_at.timestamp() - begun.broken_at
    return (
        [
            f"writes {times} s before the end are lost, outside of the estimate ({told}, asked for {asked:.2f} s after the end)"
        ]
        if beyond
        else []
    )


async def _unhealthy(on: Ground) -> list[str]:
    """Asked again for a while: the application gives each of its own questions a second, and a busy machine needs more."""
    end = time.monotonic() + _WELL_WITHIN
    while (wrong := await _ailing(on)) and time.monotonic() < end:  # noqa: ASYNC110  it is elsewhere
        await asyncio.sleep(0.1)
    return wrong


async def _ailing(on: Ground) -> list[str]:
    async with on.customer() as session:
        async with session.get(f"{on.practice.env['API_URL']}/health/ready") as answer:
            status = answer.status
        wrong = [] if status == 200 else [f"it says succeeded, and the application answers {status}"]
        return (
            wrong
            if await on.write(session, "Crash after all")
            else [*wrong, "it says succeeded, and no write is taken"]
        )


def _generation(on: Ground) -> int:
    assert on.practice.cluster is not None
    store = on.practice.cluster.store
    return int(
        next(d["metadata"]["generation"] for d in store.list(DEPLOYMENTS) if d["metadata"]["name"] == "api-server")
    )


def _promotions(on: Ground) -> int:
    log = on.practice.home / "replica.log"
    return log.read_text(errors="replace").count(_ASKED_FOR_PROMOTION) if log.exists() else 0


async def _timeline_of(url: str) -> tuple[int, bool]:
    query = "select case when pg_is_in_recovery() then 1 else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int end"
    async with await psycopg.AsyncConnection.connect(url) as conn:
        row: Any = await (await conn.execute(f"{query}, pg_is_in_recovery()")).fetchone()
    return int(row[0]), bool(row[1])


async def _databases(on: Ground) -> dict[str, tuple[int, str]]:
    """(oid, comment) of every database of the platform by its name."""
    assert on.practice.postgres is not None
    query = (
        "select datname, oid, coalesce(shobj_description(oid, 'pg_database'), '') from pg_database"
        " where datname like 'valuecanvas%'"
    )
    async with await psycopg.AsyncConnection.connect(on.practice.postgres.admin_url) as conn:
        return {str(n): (int(oid), str(said)) for n, oid, said in await (await conn.execute(query)).fetchall()}
