"""How an estate file is read: variables, durations, and what a wrong file is told."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.estate import Approvals, Estate, EstateError, IncidentRules, load
from bot.estate_types import format_duration, parse_duration

_SMALL = """\
name: Shop
slack: {announce: C0AAA, status: C0BBB, responders: S0AAA, approvers: [U0AAA, U0BBB]}
pagerduty: {service: PSVC}
services:
  - {name: web, title: Web, rto: 5m, priority: P0}
ladder:
  - level: 1
    title: On call
    after: 0
    why: Declared.
"""


@pytest.fixture
def problems(tmp_path: Path) -> Any:
    """Loads a text that must fail; the error's lines without the file's name."""

    def failing(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
        path = tmp_path / "estate.yml"
        path.write_text(text)
        with pytest.raises(EstateError) as caught:
            load(path, environ or {})
        lines = str(caught.value).splitlines()
        assert all(line.startswith(f"{path}:") for line in lines)
        return [line.removeprefix(f"{path}:") for line in lines]

    return failing


def _loaded(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Estate:
    path = folder / "small.yml"
    path.write_text(text)
    return load(path, environ or {})


def test_a_small_estate_is_enough(tmp_path: Path) -> None:
    """Only name, places, one service and one rung are required; the rules have the design's defaults."""
    small = _loaded(tmp_path, _SMALL)
    assert small.incident == IncidentRules()
    assert small.approvals == Approvals()
    assert (small.probes, small.databases, small.cluster) == ((), (), None)


def test_all_problems_are_told_at_once_each_with_its_line(problems: Any) -> None:
    """Unknown key, missing key, bad value and missing variable in one reading, in the order of the file."""
    text = _SMALL.replace("rto: 5m", "rtoo: 5m").replace("status: C0BBB", "status: '#status'")
    text += "    pagerduty: ${NOBODY}\nincident: {ack_timeout: 5 min}\n"
    channel = "a Slack channel id such as C0123ABCD (at the foot of the channel's details)"
    duration = "a number and a unit: 60s, 5m, 1h30m, 2d, or 0"
    assert problems(text) == [
        f"2: slack.status: `#status`: this does not fit; expected {channel}",
        f"5: services[0].rto: `rto` is missing; expected {duration}",
        "5: services[0].rtoo: the key `rtoo` is not known; expected `rto`?",
        "11: ladder[0].pagerduty: the environment variable NOBODY is not set; set it, or write ${NOBODY:-default}",
        f"12: incident.ack_timeout: `5 min`: this is not a duration; expected {duration}",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1: the file is empty"),
        ("# only a comment", "1: the file is empty"),
        ("[1, 2]", "1: this does not fit; expected keys with their values"),
        ("name: [", "1: this is not YAML"),
        ("name: a\n\tb: c", "2: this is not YAML"),
        ("name: a\nb: \x07", "2: this is not YAML"),
    ],
)
def test_a_file_that_is_no_yaml_says_where(problems: Any, text: str, expected: str) -> None:
    """The parser's complaint comes with its line, like every other."""
    (found,) = problems(text)
    assert found.startswith(expected)


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        ("Shop", "${}", "1: name: a `${` that is not ${NAME}"),
        ("Shop", "${A:-${B}}", "1: name: a `${` that is not ${NAME}"),
        ("Shop", '""', "1: name: ``: this is empty; expected the platform, as people call it"),
        ("Shop", "[a, b]", "1: name: this does not fit; expected the platform, as people call it"),
        ("U0BBB", "bbb", "2: slack.approvers[1]: `bbb`: this does not fit; expected a Slack user group S0123ABCD, or"),
        ("[U0AAA, U0BBB]", '""', "2: slack.approvers: ``: the list is empty; expected at least one"),
        ("P0", "P9", "5: services[0].priority: `P9`: this is not a choice; expected 'P0', 'P1' or 'P2'"),
        ("ladder:", "  - {name: web, title: W, rto: 1h, priority: P0}\nladder:", "6: services[1].name: `web` is taken"),
        ("after: 0", "after: 5m", "9: ladder[0].after: the first rung has `after: 5m`; expected 0"),
        ("level: 1", "level: 2", "7: ladder[0].level: the first rung has `level: 2`; expected 1"),
        ("level: 1", "level: first", "7: ladder[0].level: `first`: this does not fit; expected a whole number"),
    ],
)
def test_a_wrong_value_says_where_and_what_was_expected(problems: Any, right: str, wrong: str, expected: str) -> None:
    """One sentence with the line, the place in the file, what is wrong and what would be right."""
    (found,) = problems(_SMALL.replace(right, wrong))
    assert found.startswith(expected)


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("---\nname: more\n", "11: this is not YAML: but found another document"),
        ("name: Again\n", "11: name: `name` stands here a second time; it is already on line 1"),
        ("probes: &a [*a]\n", "11: probes[0]: an alias that contains itself"),
        ("? [a, b]\n: c\n", "11: a key must be a plain word"),
        ("links: !!python/object:os.system x\n", "11: this is not YAML: could not determine a constructor"),
        (
            "    contacts: ops, cto\ncontacts: [{name: cto, title: C, phone: '1'}]\n",
            "11: ladder[0].contacts[0]: there is",
        ),
        (
            "  - {level: 2, title: B, after: 0, why: x}\n",
            "11: ladder[1].after: `after: 0` does not come after the rung",
        ),
        ("  - {level: 1, title: B, after: 1m, why: x}\n", "11: ladder[1].level: `1` is taken"),
        ("vendors: [{name: X}]", "11: vendors[0]: this vendor cannot be reached; expected `phone` or `email`"),
        ("approvals: {high: {quorum: 0, group: approvers}}", "11: approvals: `high` or `critical` needs no second"),
        ("incident: {private_scenarios: [fire]}", "11: incident.private_scenarios[0]: `fire`: this is not a choice"),
        ("incident: later", "11: incident: `later`: this does not fit; expected keys with their values"),
        ("drills: {tests: [{name: x, title: X, service: wbe, target: t}]}", "11: drills.tests[0].service: there is no"),
    ],
)
def test_a_wrong_section_says_where_and_what_was_expected(problems: Any, added: str, expected: str) -> None:
    """Also for what parts of the file say about each other."""
    (found,) = problems(_SMALL + added)
    assert found.startswith(expected)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("service: wbe, kind: redis, url: 'redis://h'", ".service: there is no service `wbe`; expected `web`?"),
        ("service: web, url: x", ": `kind` is missing; expected http, postgres or redis"),
        ("service: web, kind: ping", ".kind: `ping`: this is not a choice; expected 'http', 'postgres', 'redis'"),
        (
            "service: web, kind: http, url: ftp://x",
            ".url: `ftp://x`: this does not fit; expected an address that begins",
        ),
        ("service: web, kind: redis, url: '${EMPTY:-}'", ": `url` is empty; expected an address, or `optional: true`"),
        (
            "service: web, kind: http, url: 'http://x', deadline: 1",
            ".deadline: `1`: this is not a duration; expected a",
        ),
        ("service: web, kind: http, url: 'http://x', expect_status: no", ".expect_status: `no`: this does not fit;"),
        ("service: web, kind: http, url: 'http://x', expectstatus: 1", ".expectstatus: the key `expectstatus` is not"),
    ],
)
def test_a_wrong_probe_says_where_and_what_was_expected(problems: Any, entry: str, expected: str) -> None:
    """The kind decides which keys a probe may have."""
    (found,) = problems(f"{_SMALL}probes:\n  - {{name: x, title: X, scenario: llm, {entry}}}\n")
    assert found.startswith("12: probes[0]" + expected)


def test_an_unreadable_file_is_a_sentence_too(tmp_path: Path) -> None:
    """No file, or no text in it, is told like every other problem."""
    with pytest.raises(EstateError, match=r"none\.yml:1: the file cannot be read: No such file"):
        load(tmp_path / "none.yml", {})
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EstateError, match="the file is not UTF-8 text"):
        load(tmp_path / "binary.yml", {})


@settings(deadline=None)  # it reads a file each time
@given(value=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_variable_is_one_value_and_never_yaml(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    """Whatever a variable holds, it arrives as that text; it opens no list, comment, alias or further variable."""
    folder = tmp_path_factory.getbasetemp()
    text = _SMALL + "infrastructure: {repository: '<${VALUE}>', manifests: k8s}\n"
    infrastructure = _loaded(folder, text, {"VALUE": value}).infrastructure
    assert infrastructure is not None
    assert infrastructure.repository == f"<{value}>"


@pytest.mark.parametrize(
    ("written", "environ", "read"),
    [
        ("${A}", {"A": "x"}, "x"),
        ("a-${A}-${B:-c}", {"A": "x"}, "a-x-c"),
        ("${A:-b}", {"A": ""}, "b"),
        ("${A:-http://x:1/y?z#w}", {}, "http://x:1/y?z#w"),
        ("$${A}", {"A": "x"}, "${A}"),
        ("$A $$ costs", {"A": "x"}, "$A $$ costs"),
        ("${A}", {"A": "${B}", "B": "x"}, "${B}"),
    ],
)
def test_variables_are_filled_in_as_a_shell_would(
    tmp_path: Path, written: str, environ: dict[str, str], read: str
) -> None:
    """NAME, NAME with a default for unset or empty, and the escape."""
    assert _loaded(tmp_path, _SMALL.replace("Shop", f'"{written}"'), environ).name == read


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("60s", 60), ("5m", 300), ("1h", 3600), ("24h", 86400), ("1h30m", 5400), ("2d", 172800)],
)
def test_durations_are_read(text: str, seconds: int) -> None:
    """A number and a unit, several in a row."""
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert parse_duration(format_duration(parse_duration(text))) == parse_duration(text)


@pytest.mark.parametrize("text", ["", "5", "5 m", "-5m", "m", "5M", "1.5h", "P1D", "5m ago", "٣m"])
def test_other_durations_are_refused(text: str) -> None:
    """A number without a unit would be a guess."""
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)
