"""The documents say what the code does: their tables are compared with it, their links are followed."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from slack_bolt.async_app import AsyncApp

import handlers
from bot.clock import wall_clock
from bot.errors import ConfigError
from bot.settings import read
from handlers.declare import Declaring, form
from handlers.intake import Intake
from handlers.notice import Notice
from handlers.recover import Recovering
from handlers.story import Story, help_text
from handlers.verbs import VERBS
from tests.unit import given

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
HOSTS = {"127.0.0.1", "api.slack.com", "procrastinate.readthedocs.io", "keepachangelog.com", "semver.org"}
# Examples and defaults of what is looked after, and of what an operator's own proxy is called.
EXAMPLES = re.compile(r"^(?:<your name>|(?:\w+\.)*(?:valuecanvas\.com|pagerduty\.com))$")

Row = list[str]


def table(document: str, heading: str) -> list[Row]:
    """The cells of the first table after `heading` (a line of its own, or the words before the table), without its head."""
    text = (ROOT / document).read_text(encoding="utf-8")
    after = text[re.search(rf"^.*{re.escape(heading)}.*$", text, re.MULTILINE).end() :]  # type: ignore[union-attr]
    lines = re.search(r"(?:^ *\|.*\n)+", after, re.MULTILINE)
    assert lines is not None, f"no table after {heading!r} in {document}"
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]] for line in lines[0].splitlines()]
    return rows[2:]


def codes(cell: str) -> list[str]:
    """What stands between backquotes."""
    return [code.replace("\\|", "|") for code in re.findall(r"`([^`]+)`", cell)]


def first_codes(rows: list[Row]) -> list[str]:
    return [code for row in rows for code in codes(row[0])]


def registered(kind: str) -> set[str]:
    """The names of all ways in of a kind."""
    absent: Any = None
    intake = Intake(absent, absent, wall_clock, "")
    app = AsyncApp(token="xoxb-1", signing_secret="s")
    handlers.register(
        app, intake, Declaring(absent, absent), Story(absent, absent, absent), Notice(absent, absent, absent),
        Recovering(absent, absent, absent, absent),
    )  # fmt: skip
    return {name for of, name in intake.ways if of == kind}


def manifest() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "manifest.yml").read_text(encoding="utf-8")))


class Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default


def of_the_estate() -> dict[str, bool]:
    """The variables of the shipped estate file, and whether each must be set."""
    text = (ROOT / "estate.yml").read_text(encoding="utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found = re.findall(r"\$\{([A-Z0-9_]+)(:-[^}]*)?\}", text)
    return {name: any(n == name and not default for n, default in found) for name, _ in found}


def of_the_bot() -> tuple[set[str], set[str]]:
    """(all variables that the settings read, those without which nothing starts)."""
    asked = Asked()
    with pytest.raises(ConfigError) as refusal:
        read(asked)
    ours = {name for name in asked.names if name.startswith(("SLACK_", "PAGERDUTY_", "BOT_"))}
    return ours, set(re.findall(r"([A-Z_]+) is not set", str(refusal.value)))


def test_every_command_is_described() -> None:
    """docs/commands.md has each verb with its usage, and exactly the commands of `/incident help`."""
    described = [row[0] for row in table("docs/commands.md", "## Commands")]
    usages = {code.removeprefix("/incident ") for cell in described for code in codes(cell)}
    assert {verb.usage for verb in VERBS.values()} <= usages
    helped = {word for code in codes(help_text()) for word in re.findall(r"^/incident (\w+)", code)}
    assert {usage.split()[0] for usage in usages} == helped


def test_who_may_is_told() -> None:
    """docs/commands.md says `anyone` exactly for the verbs that need no responder (and `status`, which also shows)."""
    who = {codes(row[0])[0].split()[1]: row[2] for row in table("docs/commands.md", "## Commands")}
    for verb in VERBS.values():
        assert (who[verb.name] == "responders") == (verb.responder and verb.name != "status"), verb.name


def test_every_button_is_described() -> None:
    """docs/commands.md has exactly the registered action ids, each once."""
    described = first_codes(table("docs/commands.md", "## Buttons"))
    assert sorted(described) == sorted(registered("action"))


def test_every_window_is_described() -> None:
    """docs/commands.md has exactly the registered windows, with the names of their fields."""
    described = {codes(row[0])[0]: codes(row[1]) for row in table("docs/commands.md", "## Windows")}
    windows = {f"incident_{v.name}": list(v.window(given.declared())) for v in VERBS.values() if v.window is not None}
    windows["incident_declare"] = form(given.estate(), (), "C1")["blocks"]
    assert set(described) == registered("view")
    # A window of an action has its parameters; the other two ask for a reason.
    recovery = {"recover_start": [], "recover_reject": ["reason"], "recover_override": ["reason"]}
    assert described == recovery | {
        name: [b["element"]["action_id"] for b in blocks if b["type"] == "input"] for name, blocks in windows.items()
    }


def test_every_shortcut_is_described() -> None:
    """docs/commands.md has exactly the registered shortcuts."""
    assert set(first_codes(table("docs/commands.md", "## Shortcuts"))) == registered("shortcut")


def test_every_setting_is_described() -> None:
    """docs/install.md has exactly the variables that the bot reads, and says which must be set."""
    rows = table("docs/install.md", "Settings of the bot")
    every, needed = of_the_bot()
    assert set(first_codes(rows)) == every
    assert {codes(row[0])[0] for row in rows if row[1] == "must be set"} == needed


@pytest.mark.parametrize(
    ("document", "headings"),
    [
        ("docs/install.md", ["Variables of the shipped estate file"]),
        ("docs/estate.md", ["| must be set | what |", "| may be set | else |"]),
    ],
)
def test_every_variable_of_the_estate_is_described(document: str, headings: list[str]) -> None:
    """Both documents have exactly the variables of the shipped estate file."""
    if document == "docs/install.md":
        rows = table(document, headings[0])
        required = {codes(row[0])[0] for row in rows if row[1] == "must be set"}
        every = set(first_codes(rows))
    else:
        required, optional = (set(names_under(document, heading)) for heading in headings)
        every = required | optional
    estate = of_the_estate()
    assert every == set(estate)
    assert required == {name for name, must in estate.items() if must}


def names_under(document: str, head: str) -> Iterator[str]:
    """The variables in the first column of the table that has this head."""
    text = (ROOT / document).read_text(encoding="utf-8").partition(head)[2]
    for line in text.splitlines()[2:]:
        if not line.startswith("|"):
            return
        yield from codes(line.split("|")[1])


def test_the_readme_names_what_must_be_set() -> None:
    """The table of the README has every variable without which nothing starts, and no other."""
    named = set(first_codes(table("README.md", "**Environment.**")))
    _, needed = of_the_bot()
    required = {name for name, must in of_the_estate().items() if must}
    assert named == needed | required | {"SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"}


def test_every_scope_and_event_has_a_reason() -> None:
    """docs/permissions.md has exactly the scopes and events of the manifest."""
    app = manifest()
    assert (
        first_codes(table("docs/permissions.md", "The bot token has these scopes"))
        == app["oauth_config"]["scopes"]["bot"]
    )
    events = app["settings"]["event_subscriptions"]["bot_events"]
    assert first_codes(table("docs/permissions.md", "Events it hears")) == events


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Each relative link names a file of the repository, and each anchor a heading of it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.is_file(), f"{document.name} links to {target}"
        assert not anchor or anchor in anchors(path), f"{document.name} links to {target}"


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_document_speaks_of_a_machine(document: Path) -> None:
    """No path of somebody's machine, and no host but the few that a reader needs."""
    text = document.read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w.:/])/(?:home|root|Users|tmp|mnt|work|workspace|private)/\S*", text)
    hosts = {re.split(r"[/:#]", rest)[0] for rest in re.findall(r"https?://([^\s)`\"'|,;]+(?: name>)?)", text)}
    assert {host for host in hosts if not EXAMPLES.match(host)} <= HOSTS


def test_make_knows_what_the_documents_call() -> None:
    """Each `make something` of a document is a target."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        called = set(re.findall(r"(?:^    |`)make ([a-z]+)", text, re.MULTILINE))
        assert called <= targets, document.name


def test_pictures_are_there_and_light() -> None:
    """What the README shows is a PNG under 400 kB."""
    shown = re.findall(r'<img src="([^"]+)"', (ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown
    for name in shown:
        picture = (ROOT / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 400_000, name
