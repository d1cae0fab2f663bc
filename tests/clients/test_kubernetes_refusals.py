"""The bot's Kubernetes client when the cluster says no, says nothing, or gets stuck."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from bot.clients.kubernetes import Kubernetes
from bot.errors import NeighbourError, Refused, Unavailable
from bot.tools import Rollout
from sandbox.cluster import Fault
from sandbox.cluster.kinds import DEPLOYMENTS, NODES, PODS, SECRETS, STATEFUL_SETS, Object
from tests.clients.kubernetes_stage import HERE, Stage, practice

SECRET = 'postgresql://app:t0p"secret@standby/canvas'


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A practice cluster with the bot's client."""
    async with practice(tmp_path) as stage:
        yield stage


def edit(stage: Stage, name: str, change: Callable[[Object], None]) -> None:
    """Somebody else changes a deployment."""
    stage.cluster.store.edit(DEPLOYMENTS, HERE, name, change)


def image(name: str) -> Callable[[Object], None]:
    """A change to another image."""

    def change(changed: Object) -> None:
        changed["spec"]["template"]["spec"]["containers"][0]["image"] = name

    return change


async def stuck(stage: Stage, name: str) -> Rollout:
    """The rollout of what was just changed, once it will not go on."""
    generation = stage.cluster.store.get(DEPLOYMENTS, HERE, name)["metadata"]["generation"]
    return await stage.finished("deployment", name, generation)


async def test_building_touches_nothing_and_a_dead_cluster_is_a_sentence(stage: Stage) -> None:
    """A cluster that is gone, or has no configuration, is Unavailable and surely untried, at the call."""
    url, config = stage.cluster.url, stage.cluster.kubeconfig.read_text()
    elsewhere = stage.cluster.kubeconfig.with_name("elsewhere")
    elsewhere.write_text(config.replace(url, "https://127.0.0.1:9"))
    for file, why in ((str(elsewhere), "cannot be reached"), ("/nonexistent", "configuration cannot be used")):
        async with aclosing(Kubernetes({"KUBECONFIG": file}, deadline=5)) as bot:
            with pytest.raises(Unavailable, match=why) as refusal:
                await bot.pods(HERE)
            assert refusal.value.untried
    async with aclosing(Kubernetes({}, deadline=5)) as bot:
        with pytest.raises(Unavailable, match="configuration cannot be used"):
            await bot.pods(HERE)


async def test_a_cluster_that_goes_down_and_comes_back(stage: Stage) -> None:
    """Unavailable while it is away; the same client works again afterwards."""
    assert await stage.bot.pods(HERE)
    stage.cluster.faults.down = True
    for call in (stage.bot.pods(HERE), stage.bot.workload("deployment", HERE, "api-server")):
        with pytest.raises(Unavailable):
            await call
    stage.cluster.faults.clear()
    assert await stage.bot.pods(HERE)


async def test_a_silent_cluster_is_given_up(tmp_path: Path) -> None:
    """After the deadline, with what it was."""
    async with practice(tmp_path) as stage:
        assert await stage.bot.pods(HERE)
        stage.cluster.faults.slow, stage.bot.connection.deadline = 60, 1
        with pytest.raises(Unavailable, match="did not answer within 1 s"):
            await stage.bot.pods(HERE)


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        (Fault(403, "pods is forbidden", "Forbidden"), Refused, "Forbidden"),
        (Fault(409, "too late", "Conflict"), Refused, "Conflict"),
        (Fault(422, "nonsense", "Invalid"), Refused, "Invalid"),
        (Fault(418, "teapot", "Teapot"), Refused, "418"),
        (Fault(500, "etcdserver: request timed out"), Unavailable, 0),
        (Fault(503, "no leader"), Unavailable, 0),
        (Fault(410, "too old", "Expired"), Unavailable, 0),
    ],
)
async def test_each_no_is_one_of_ours(stage: Stage, fault: Fault, error: type[NeighbourError], code: str) -> None:
    """A clear no is Refused with its code, trouble of its own is Unavailable; both say what the cluster said."""
    stage.cluster.faults.fail["list pods"] = fault
    with pytest.raises(error, match=fault.message) as refusal:
        await stage.bot.pods(HERE)
    assert isinstance(refusal.value, Unavailable) or getattr(refusal.value, "code", None) == code


async def test_a_busy_cluster_says_when(stage: Stage) -> None:
    """429 is Unavailable with the seconds to wait."""
    stage.cluster.faults.fail["*"] = Fault(429, "too many requests", "TooManyRequests", retry_after=7)
    with pytest.raises(Unavailable, match="asks us to wait") as refusal:
        await stage.bot.services(HERE)
    assert refusal.value.retry_after == 7


async def test_a_token_that_ran_out_is_read_again(stage: Stage) -> None:
    """The kubeconfig is read anew when the cluster does not know us, once; a wrong one is Refused."""
    right = stage.cluster.kubeconfig.read_text()
    stage.cluster.kubeconfig.write_text(right.replace(stage.cluster.token, "old"))
    async with aclosing(Kubernetes({"KUBECONFIG": str(stage.cluster.kubeconfig)}, deadline=20)) as bot:
        with pytest.raises(Refused) as refusal:
            await bot.pods(HERE)
        assert refusal.value.code == "Unauthorized"
        stage.cluster.kubeconfig.write_text(right)
        found = await asyncio.gather(*(bot.pods(HERE) for _ in range(4)))
        assert [len(pods) for pods in found] == [6] * 4


async def test_the_autoscaler_that_may_not_be_seen_is_no_none(stage: Stage) -> None:
    """Without the right to list autoscalers a workload is Refused, not "without an autoscaler"."""
    stage.cluster.faults.fail["list horizontalpodautoscalers"] = Fault(403, "is forbidden", "Forbidden")
    with pytest.raises(Refused, match="forbidden"):
        await stage.bot.workload("deployment", HERE, "api-server")


async def test_no_secret_is_in_a_refusal(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the cluster repeats of what it was sent stays out of the sentence, its causes and the log."""
    caplog.set_level(logging.DEBUG)
    said = f"cannot handle {json.dumps({'value': SECRET})} nor {SECRET}"
    stage.cluster.faults.fail["writes"] = Fault(422, said, "Invalid")
    seen = await stage.bot.workload("deployment", HERE, "api-server")
    for call in (
        stage.bot.set_env(seen, "DATABASE_URL", SECRET),
        stage.bot.set_secret(HERE, "valuecanvas-secrets", "url", SECRET),
    ):
        with pytest.raises(Refused, match=r"\[hidden\]") as refusal:
            await call
        assert "secret" not in str(refusal.value)
        assert refusal.value.__cause__ is None
        assert refusal.value.__suppress_context__
    assert "t0p" not in caplog.text


async def test_a_secret_that_does_not_change_is_refused(stage: Stage) -> None:
    """An immutable secret is Refused as Invalid; one that is no text as Unreadable."""

    def closed(changed: Object) -> None:
        changed["data"], changed["immutable"] = {"key": "/w=="}, True

    stage.cluster.store.edit(SECRETS, HERE, "valuecanvas-secrets", closed)
    for call, code in (
        (stage.bot.set_secret(HERE, "valuecanvas-secrets", "key", "x"), "Invalid"),
        (stage.bot.secret_value(HERE, "valuecanvas-secrets", "key"), "Unreadable"),
    ):
        with pytest.raises(Refused) as refusal:
            await call
        assert refusal.value.code == code


async def test_what_would_do_nothing_is_refused(stage: Stage) -> None:
    """A paused deployment and an OnDelete stateful set are not restarted, and nothing is written to them."""

    def on_delete(changed: Object) -> None:
        changed["spec"]["updateStrategy"] = {"type": "OnDelete"}

    edit(stage, "api-server", lambda changed: changed["spec"].update(paused=True))
    stage.cluster.store.edit(STATEFUL_SETS, HERE, "redis", on_delete)
    before = stage.cluster.store.get(DEPLOYMENTS, HERE, "api-server")["spec"]
    with pytest.raises(Refused, match="paused"):
        await stage.bot.restart("deployment", HERE, "api-server", "RUN-1")
    with pytest.raises(Refused, match="only replaces pods that somebody deletes"):
        await stage.bot.restart("statefulset", HERE, "redis", "RUN-1")
    assert stage.cluster.store.get(DEPLOYMENTS, HERE, "api-server")["spec"] == before
    seen = await stage.bot.workload("deployment", HERE, "api-server")
    assert seen.paused
    found = await stage.finished("deployment", "api-server", await stage.bot.set_env(seen, "A", "1"))
    assert (found.done, found.stuck) == (False, "the deployment is paused")


async def test_an_image_that_cannot_be_had_is_told_early(stage: Stage) -> None:
    """The rollout is stuck long before its deadline, the old pods serve on, and the line says what is waited for."""
    edit(stage, "api-server", image("valuecanvas/api-server:missing"))
    found = await stuck(stage, "api-server")
    assert (found.done, found.ready, found.wanted) == (False, 0, 3)
    assert "ImagePullBackOff" in found.stuck
    assert "valuecanvas/api-server:missing" in found.stuck
    assert found.detail == "0 of 3 new pods ready, 3 old left (ImagePullBackOff)"
    assert sum(pod.ready for pod in await stage.bot.pods(HERE, "app=api-server")) == 3
    edit(stage, "api-server", image("valuecanvas/api-server:1.8.1"))
    assert (await stuck(stage, "api-server")).done


async def test_a_container_that_keeps_crashing_is_stuck(stage: Stage) -> None:
    """Not after one crash, but after three."""
    stage.cluster.faults.crashing.add("frontend")
    edit(stage, "frontend", image("valuecanvas/frontend:2"))
    found = await stuck(stage, "frontend")
    assert "CrashLoopBackOff" in found.stuck
    assert max(pod.restarts for pod in await stage.bot.pods(HERE, "app=frontend")) >= 3


async def test_a_missing_secret_is_stuck(stage: Stage) -> None:
    """The line names what the container waits for."""

    def needs(changed: Object) -> None:
        ref = {"secretKeyRef": {"name": "nothing", "key": "url"}}
        changed["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "URL", "valueFrom": ref}]

    edit(stage, "frontend", needs)
    assert 'secret "nothing" not found' in (await stuck(stage, "frontend")).stuck


async def test_a_passed_deadline_is_stuck(stage: Stage) -> None:
    """The cluster's own word for it counts once it is about this generation."""
    for node in ("node-1", "node-2", "node-3"):
        stage.cluster.store.edit(NODES, "", node, lambda changed: changed["spec"].update(unschedulable=True))

    def short(changed: Object) -> None:
        changed["spec"]["progressDeadlineSeconds"] = 1
        image("valuecanvas/frontend:2")(changed)

    edit(stage, "frontend", short)
    found = await stuck(stage, "frontend")
    assert (found.done, found.stuck) == (False, 'Deployment "frontend" has timed out progressing.')
    pods = await stage.bot.pods(HERE, "app=frontend")
    (waiting,) = [pod for pod in pods if not pod.ready]
    assert waiting.state == "Pending"
    assert waiting.why.startswith("0/3 nodes are available: 3 node(s) were unschedulable.")
    assert await stage.bot.last_warning(waiting) == waiting.why


async def test_a_rollout_that_somebody_else_took_over(stage: Stage) -> None:
    """Another generation is not ours to wait for."""
    generation = await stage.bot.restart("deployment", HERE, "frontend", "RUN-1")
    edit(stage, "frontend", image("valuecanvas/frontend:2"))
    with pytest.raises(Refused, match="Somebody changed the deployment frontend meanwhile") as refusal:
        await stage.bot.rollout("deployment", HERE, "frontend", generation)
    assert refusal.value.code == "Changed"


async def test_scaling_what_somebody_changed_is_refused(stage: Stage) -> None:
    """The number that was looked at may be another one now."""
    seen = await stage.bot.workload("deployment", HERE, "api-server")
    edit(stage, "api-server", lambda changed: changed["spec"].update(replicas=5))
    with pytest.raises(Refused, match="since it was looked at"):
        await stage.bot.scale(seen, 0, "note")
    assert stage.cluster.store.get(DEPLOYMENTS, HERE, "api-server")["spec"]["replicas"] == 5


async def test_a_write_that_lost_a_race_is_decided_anew(stage: Stage) -> None:
    """A conflict is read again and repeated; without an end it is Refused."""
    stage.cluster.faults.fail["patch deployments"] = Fault(409, "too late", "Conflict", times=2)
    await stage.bot.restart("deployment", HERE, "frontend", "RUN-1")
    stage.cluster.faults.fail["patch deployments"] = Fault(409, "too late", "Conflict")
    with pytest.raises(Refused, match="changes too fast"):
        await stage.bot.restart("deployment", HERE, "frontend", "RUN-2")


async def test_a_pod_that_does_not_end_is_still_left(stage: Stage) -> None:
    """A rollout is not done while an old pod is ending on a node that does not answer."""
    waits = "2 of 2 new pods ready, 1 ending"
    pod = (await stage.bot.pods(HERE, "app=frontend"))[0]
    stage.cluster.set_node(pod.node, ready=False)
    generation = await stage.bot.restart("deployment", HERE, "frontend", "RUN-1")
    async with asyncio.timeout(40):
        with stage.cluster.store.listening() as changed:
            while (found := await stage.bot.rollout("deployment", HERE, "frontend", generation)).detail != waits:
                assert not found.done
                await changed.wait()
                changed.clear()
    assert (found.done, found.stuck) == (False, "")
    states = {one.name: one.state for one in await stage.bot.pods(HERE, "app=frontend")}
    assert states[pod.name] == "Terminating"
    stage.cluster.store.remove(PODS, HERE, pod.name)
    assert (await stage.finished("deployment", "frontend", generation)).done
