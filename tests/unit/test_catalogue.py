"""The catalogue: names, parameters as people type them, and refusals that say what to do."""

from datetime import timedelta
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from actions import CATALOGUE
from bot.action import Action, Findings, Observation, Risk, Tools, digest, moved, spell
from bot.catalogue import Catalogue, Parameter, parameters, spelled, split
from bot.errors import BadInput, NotFound
from bot.incident import Scenario
from handlers.recover import help_all, help_one, input_of
from tests.store.levers import LeverFacts, Pull
from tests.unit.given import estate

SHIPPED = Catalogue(CATALOGUE)


class Everything(Observation):
    """Has a parameter of each kind."""

    name: ClassVar[str] = "test.everything"
    scenario: ClassVar[Scenario] = Scenario.OTHER
    usual: ClassVar[timedelta] = timedelta(seconds=1)

    text: str = Field(description="any text")
    number: int = Field(default=3, ge=1, description="a number")
    span: timedelta = Field(default=timedelta(seconds=5), description="a span")
    mode: Literal["slow", "fast"] = Field(default="slow", description="how")
    really: bool = Field(default=False, description="whether")

    async def look(self, tools: Tools) -> Findings:
        return Findings("")


KNOWN = Catalogue([Everything])


def test_names_are_unique_and_well_formed() -> None:
    """Each procedure is `<what>.<verb>`, has a title, a duration and a scenario, and is found by its name."""
    names = [p.name for p in CATALOGUE]
    assert len(set(names)) == len(names)
    for procedure in CATALOGUE:
        assert SHIPPED.find(procedure.name.upper()) is procedure
        assert procedure.title()
        assert procedure.usual > timedelta(0)
        assert "." in procedure.name


@pytest.mark.parametrize("procedure", CATALOGUE, ids=lambda p: p.name)
def test_an_observation_observes_and_an_action_risks(procedure: Any) -> None:
    """Whatever changes anything has a risk that needs an approval."""
    assert issubclass(procedure, Action) == (procedure.risk is not Risk.OBSERVE)


@pytest.mark.parametrize(
    "words",
    [
        {"text": "a b"},
        {"text": "x", "number": "7", "span": "1.5h", "mode": "fast", "really": "yes"},
        {"text": 'quo"te', "span": "90s"},
    ],
)
def test_parameters_go_round(words: dict[str, str]) -> None:
    """Typed, read, spelled and read again: the same procedure."""
    made = KNOWN.make("test.everything", words)
    again = KNOWN.make("test.everything", split(spelled(made.words())))
    assert made == again
    assert Everything.model_validate(made.model_dump(mode="json")) == made


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "needs `text=`"),
        ("text=x nope=1", "does not know `nope`"),
        ("text=x number=many", "`number=` is wrong"),
        ("text=x number=0", "greater than or equal to 1"),
        ("text=x span=5", "is not a duration such as 5s"),
        ("text=x mode=sideways", "is none of `slow`, `fast`"),
        ("text=x really=perhaps", "is none of `yes`, `no`"),
        ("text=x text=y", "is given twice"),
        ("plain words", "is no `key=value`"),
        ('text="open', "quotation mark"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    """A sentence that names the parameter and what it takes."""
    with pytest.raises(BadInput, match=says):
        KNOWN.make("test.everything", split(text))


@pytest.mark.parametrize("text", ["; drop table users", "$(reboot)", "`id`", "a' or '1'='1", "x && y | z"])
def test_sql_and_shell_are_text(text: str) -> None:
    """What looks like a command is kept as the text that it is, or refused as no `key=value`; nothing evaluates it."""
    made = KNOWN.make("test.everything", {"text": text})
    assert made.text == text.strip()  # type: ignore[attr-defined]
    with pytest.raises(BadInput):
        SHIPPED.make("database.cancel", {"pid": text, "started_at": "2026-01-01T00:00:00Z"})


def test_a_typing_error_is_met_with_the_name_that_was_meant() -> None:
    """`database.failver` asks whether database.failover was meant."""
    with pytest.raises(NotFound, match=r"Did you mean `database\.failover`"):
        SHIPPED.find("database.failver")


def test_the_scenario_comes_first() -> None:
    """In a Redis incident the Redis actions stand before the others, each group in the catalogue's order."""
    catalogue = Catalogue([Everything, Pull, *CATALOGUE])
    for scenario in (Scenario.REDIS, Scenario.DATABASE):
        first = [p for p in CATALOGUE if p.scenario is scenario]
        assert list(catalogue.ordered(scenario))[: len(first)] == first


@pytest.mark.parametrize("procedure", [*CATALOGUE, Everything], ids=lambda p: p.name)
def test_help_names_every_parameter(procedure: Any) -> None:
    """Each parameter with what it means, and an example that is read without complaint when its gaps are filled."""
    text = help_one(procedure)
    for parameter in parameters(procedure):
        assert f"`{parameter.name}=`" in text
        assert parameter.help
    assert procedure.name in help_all(Catalogue([procedure]))


def test_a_value_that_no_list_takes_is_named_beside_it() -> None:
    """Slack takes values of 75 characters and 100 of them. What is cut is another value: the rest is named, to be typed."""
    parameter = Parameter("backup", "text", "which one", "", required=True)
    long = "backups/" + "x" * 80
    shown = input_of(Everything, parameter, [(long, "newest"), ("short", "older"), *[(str(n), "") for n in range(100)]])
    assert [one["value"] for one in shown["element"]["options"]] == ["short", *map(str, range(99))]
    assert "initial_option" not in shown["element"], "an older one is not chosen for anybody"
    assert shown["hint"]["text"] == f"which one There is more, for /recover {Everything.name} backup=…: {long}, 99"
    typed_in = input_of(Everything, parameter, [(long, "newest")])
    assert typed_in["element"]["type"] == "plain_text_input"
    assert long in typed_in["hint"]["text"]
    assert typed_in["element"]["max_length"] >= len(long)


def test_the_digest_covers_action_parameters_and_facts() -> None:
    """Change any of the three and it is another plan."""
    facts = LeverFacts(name="first", levers=["a"])
    same = digest(Pull(), facts)
    assert digest(Pull(), LeverFacts(name="first", levers=["a"])) == same
    assert len({same, digest(Pull(levers="a"), facts), digest(Pull(), LeverFacts(name="second", levers=["a"]))}) == 3


def test_what_moved_is_named() -> None:
    """Only what differs, old and new."""
    assert moved({"a_b": 1, "c": 2}, {"a_b": 3, "c": 2, "d": 4}) == ["a b: 1 → 3", "d: nothing → 4"]


def test_targets_come_from_the_estate() -> None:
    """What is locked is named as people call it, and two that must not meet share a lock."""
    failover: Any = SHIPPED.make("database.failover", {})
    restore: Any = SHIPPED.make("database.restore", {})
    assert failover.target(estate()) == restore.target(estate()) == "database valuecanvas"
    assert set(failover.locks(estate())) == set(restore.locks(estate()))


def test_spelling() -> None:
    """Durations, truth and plain values as they are typed."""
    assert [spell(v) for v in (timedelta(minutes=2), True, 3, "x")] == ["120s", "yes", "3", "x"]
