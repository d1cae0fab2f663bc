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
from bot.action import Action, NotVerified, digest
from bot.catalogue import Catalogue
from bot.clients.kubernetes import Kubernetes
from bot.clients.toolbox import toolbox
from bot.clock import wall_clock
from bot.errors import NotFound, NotNow
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
    action = Catalogue([*CATALOGUE, example.Cordon]).make("node.cordon", words)
    assert isinstance(action, Action)
    return action


def test_it_has_all_that_an_action_has(example: ModuleType) -> None:
    """Found by its name beside those that ship, explained, nothing abstract is left; the file and its name are as said."""
    assert "node.cordon" not in {p.name for p in CATALOGUE}
    action = made(example, node="node-1")
    assert action.words() == {"node": "node-1"}
    assert Catalogue([example.Cordon]).action(action.name, action.model_dump(mode="json")) == action
    assert "`node=` which node" in help_one(type(action))


def test_the_page_names_what_is_there() -> None:
    """Every file that the page names exists, but the one that the reader makes."""
    named = set(re.findall(r"(?:actions|bot|tests)/[\w/]*\w+\.py", PAGE.read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == ["actions/node_cordon.py"]


async def test_it_cordons_a_node(example: ModuleType) -> None:
    """Planned twice alike, run step by step, verified, and undone twice; what is not in the cluster and what is cordoned already
    is refused."""
    parts: tuple[Part, ...] = ("cluster",)
    async with Practice(parts=parts) as practice, aiohttp.ClientSession() as session:
        cluster = Kubernetes(practice.env)
        tools = toolbox(load(ROOT / "estate.yml", practice.env), cluster, session, wall_clock)
        try:
            with pytest.raises(NotFound):
                await made(example, node="nothing").plan(tools)
            (name, said), *_ = await example.Cordon.choices("node", tools)
            assert said == f"{name}: Ready"
            action = made(example, node=name)
            facts = (await action.plan(tools)).facts
            assert digest(action, facts) == digest(action, (await action.plan(tools)).facts)
            (step,) = action.steps(facts, replace(tools, run="RUN-1"))
            assert step.done is not None
            assert step.undo is not None
            assert not await step.done()
            with pytest.raises(NotVerified):
                await action.verify(facts, tools)
            await step.do(lambda _detail: None)
            assert await step.done()
            assert await action.verify(facts, tools) == f"{name} is Ready, cordoned"
            with pytest.raises(NotNow):
                await action.plan(tools)
            for _ in range(2):
                await step.undo(lambda _detail: None)
            assert not await step.done()
        finally:
            await cluster.aclose()
