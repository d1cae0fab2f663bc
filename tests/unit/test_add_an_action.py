"""The example of docs/add-an-action.md keeps the contract, and does on the practice cluster what it says."""

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest

from actions import CATALOGUE
from bot.action import Action, digest
from bot.catalogue import Catalogue
from bot.clients.kubernetes import Kubernetes
from bot.clients.toolbox import toolbox
from bot.clock import wall_clock
from bot.errors import NotFound
from bot.estate import load
from handlers.recover import help_one
from sandbox.practice import Part, Practice

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "add-an-action.md"


@pytest.fixture
def example() -> Iterator[ModuleType]:
    """The page's code as a module; pydantic looks its names up by the module's name."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    module = ModuleType("the_example")
    sys.modules["the_example"] = module
    exec(compile(code, str(PAGE), "exec"), module.__dict__)  # noqa: S102  our own page
    yield module
    del sys.modules["the_example"]


def made(example: ModuleType, **words: str) -> Action[Any]:
    """The example from a catalogue, as a command makes it."""
    action = Catalogue([*CATALOGUE, example.Restart]).make("pods.restart", words)
    assert isinstance(action, Action)
    return action


def test_it_has_all_that_an_action_has(example: ModuleType) -> None:
    """Found by its name beside those that ship, explained, nothing abstract is left; the file and its name are as said."""
    assert "pods.restart" not in {p.name for p in CATALOGUE}
    action = made(example, deployment="frontend")
    assert action.words() == {"deployment": "frontend"}
    assert Catalogue([example.Restart]).action(action.name, action.model_dump(mode="json")) == action
    assert "`deployment=` which deployment" in help_one(type(action))


def test_the_page_names_what_is_there() -> None:
    """Every file that the page names exists, but the one that the reader makes."""
    named = set(re.findall(r"(?:actions|bot|tests)/[\w/]*\w+\.py", PAGE.read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == ["actions/pods_restart.py"]


async def test_it_restarts_the_pods_of_a_deployment(example: ModuleType) -> None:
    """Planned twice alike, run step by step, verified: the frontend's pods are others; what is not in the estate is refused."""
    parts: tuple[Part, ...] = ("cluster",)
    async with Practice(parts=parts) as practice, aiohttp.ClientSession() as session:
        cluster = Kubernetes(practice.env)
        tools = toolbox(load(ROOT / "estate.yml", practice.env), cluster, session, wall_clock)
        try:
            with pytest.raises(NotFound):
                await made(example, deployment="nothing").plan(tools)
            action = made(example, deployment="frontend")
            before = {pod.uid for pod in await cluster.pods("production", "app=frontend")}
            facts = (await action.plan(tools)).facts
            assert digest(action, facts) == digest(action, (await action.plan(tools)).facts)
            running = replace(tools, run="RUN-1")
            for step in action.steps(facts, running):
                assert step.done is not None
                assert not await step.done()
                await step.do(lambda _detail: None)
            first = action.steps(facts, running)[0]
            assert first.done is not None
            assert await first.done()
            assert await action.verify(facts, running) == "2 of 2 pods are new and ready"
            assert not before & {pod.uid for pod in await cluster.pods("production", "app=frontend")}
        finally:
            await cluster.aclose()
