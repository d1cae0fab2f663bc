"""The bot's Kubernetes client against the practice cluster: what the pods have written lately."""

import tracemalloc
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.clients.kubernetes_logs import LONGEST, _Newest, _Reader
from bot.errors import Refused, Unavailable
from sandbox.cluster import Fault
from sandbox.cluster.kinds import PODS
from tests.clients.kubernetes_stage import HERE, Stage, practice

HOUR = timedelta(hours=1)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A practice cluster with the bot's client."""
    async with practice(tmp_path) as stage:
        yield stage


def write(stage: Stage, pod: str, lines: list[str]) -> None:
    """What a pod of the practice cluster has written, each line with its instant in front."""
    folder = stage.cluster.kubeconfig.parent / "logs"
    (folder / f"{pod}.log").write_text("".join(f"{line}\n" for line in lines))


async def test_lines_of_all_pods_in_the_order_in_which_they_were_written(stage: Stage) -> None:
    """The newest, oldest first, over all pods; a word narrows them; a line that is one JSON object stays as it was."""
    one, two, _ = [pod.name for pod in await stage.bot.pods(HERE, "app=api-server")]
    day = "2099-01-01T00:00:0"
    write(stage, one, [f"{day}1.000001Z llm call failed", f"{day}3.5Z llm call succeeded", f'{day}5Z {{"a": true}}'])
    write(stage, two, [f"{day}2Z llm: retry", f"{day}3.25Z ready"])

    async def texts(**options: list[str] | int) -> list[str]:
        found = await stage.bot.logs(HERE, "app=api-server", since=HOUR, **options)  # type: ignore[arg-type]
        assert {line.container for line in found} == {"api-server"}
        return [line.text for line in found if line.text != "api-server started"]

    everything = ["llm call failed", "llm: retry", "ready", "llm call succeeded", '{"a": true}']
    assert await texts() == everything
    assert await texts(most=2) == everything[-2:]
    assert await texts(contains=["llm"]) == ["llm call failed", "llm: retry", "llm call succeeded"]
    assert await texts(contains=["retry", "ready"]) == ["llm: retry", "ready"]
    assert await texts(contains=["llm"], most=1) == ["llm call succeeded"]
    assert await stage.bot.logs(HERE, "app=nobody", since=HOUR) == []


async def test_only_what_is_young_enough(stage: Stage) -> None:
    """`since` in whole seconds, and never none at all, which the API server refuses."""
    pod = (await stage.bot.pods(HERE, "app=redis"))[0].name
    write(stage, pod, ["2001-01-01T00:00:00Z old", "2099-01-01T00:00:00Z young"])
    assert [line.text for line in await stage.bot.logs(HERE, "app=redis", since=HOUR)] == ["young"]
    assert [line.text for line in await stage.bot.logs(HERE, "app=redis", since=timedelta(0))] == ["young"]


async def test_one_log_that_cannot_be_read_is_said_and_none_at_all_is_an_error(stage: Stage) -> None:
    """The others are shown; the missing one has a line of its own. A pod that has not started yet has no log."""
    stage.cluster.faults.fail["get pods/log"] = Fault(500, "the node does not answer", times=1)
    found = await stage.bot.logs(HERE, "app=api-server", since=HOUR)
    assert sum(line.text == "api-server started" for line in found) == 2
    assert "could not be read" in found[-1].text
    assert "the node does not answer" in found[-1].text
    stage.cluster.faults.fail["get pods/log"] = Fault(500, "the node does not answer")
    with pytest.raises(Unavailable, match="the node does not answer"):
        await stage.bot.logs(HERE, "app=api-server", since=HOUR)
    stage.cluster.faults.fail["get pods/log"] = Fault(403, "pods/log is forbidden", "Forbidden")
    with pytest.raises(Refused, match="forbidden"):
        await stage.bot.logs(HERE, "app=api-server", since=HOUR)
    stage.cluster.faults.clear()
    name = (await stage.bot.pods(HERE, "app=redis"))[0].name

    def waiting(changed: dict[str, object]) -> None:
        changed["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ContainerCreating"}}  # type: ignore[index]

    stage.cluster.store.edit(PODS, HERE, name, waiting)
    assert await stage.bot.logs(HERE, "app=redis", since=HOUR) == []


def test_a_stream_that_is_cut_anywhere_costs_no_memory() -> None:
    """A line over many pieces, a line of megabytes, a last one without an end: cut, kept in order, never all of it held."""
    newest = _Newest(3)
    reader = _Reader("pod", "app", 0, "", newest)
    tracemalloc.start()
    reader.take(b"2026-01-01T00:00:01Z one\n2026-01-01T00:0")
    reader.take(b"0:02Z tw")
    reader.take(b"o\nnot an instant\n2026-01-01T00:00:03Z ")
    for _ in range(1000):
        reader.take(b"x" * 10_000)
    reader.take(b"\n2026-01-01T00:00:04Z last")
    reader.end()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000
    texts = [line.text for line in newest.lines()]
    assert (texts[0], texts[2]) == ("not an instant", "last")
    assert texts[1].startswith("xxx")
    assert len(texts[1]) < LONGEST
