"""`python -m sandbox` as a person starts it: what it says, what it gives the bot, and that nothing is left of it."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import yaml

from sandbox.estate.leftovers import descendants
from sandbox.practice import ALL
from tests.sandbox.processes import gone
from tests.sandbox.test_panel import MANIFEST

STAND_IN = str(Path(__file__).with_name("stand_in.py"))
REPOSITORY = Path(__file__).parents[2]
READY = "Ctrl-C stops everything."
# The outside interface, by name; nothing else may reach the bot but what any program needs.
INTERFACE = {
    *("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_API_URL", "SLACK_ANNOUNCE_CHANNEL", "SLACK_STATUS_CHANNEL"),
    *("SLACK_RESPONDERS", "SLACK_APPROVERS", "PAGERDUTY_API_KEY", "PAGERDUTY_FROM", "PAGERDUTY_API_URL"),
    *("PAGERDUTY_WEBHOOK_SECRET", "PAGERDUTY_SERVICE", *(f"PAGERDUTY_RUNG_{n}" for n in range(1, 5))),
    *("BOT_HTTP", "BOT_DATA_DIR", "BOT_ESTATE", "BOT_SECONDS_PER_MINUTE", "API_URL", "API_TOKEN", "ADMIN_TOKEN"),
    *("SITE_URL", "PRIMARY_URL", "REPLICA_REDIS_URL", "TOGETHER_API_URL", "OPENAI_API_URL"),
    *("DATABASE_URL", "REPLICA_DATABASE_URL", "REDIS_URL", "BACKUP_BUCKET", "EVIDENCE_BUCKET", "HOSTED_ZONE_ID"),
    *("DR_SITE_IP", "DR_URL", "DNS_RESOLVERS", "TOGETHER_STATUS_URL", "OPENAI_STATUS_URL", "AWS_STATUS_URL"),
    *("INFRASTRUCTURE_REPOSITORY", "KUBECONFIG", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    *("AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED"),
}


# For what has nothing to do with the platform's servers.
LIGHT = [f"--without={part}" for part in ALL]


class Demo:
    """A running `python -m sandbox`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""

    async def until(self, words: str) -> str:
        """Read what it says up to and with these words."""
        assert self.process.stdout is not None
        async with asyncio.timeout(120):
            while words not in self.said:
                line = await self.process.stdout.readline()
                assert line, f"it ended before it said {words!r}:\n{self.said}"
                self.said += line.decode()
        return self.said

    def interrupt(self) -> None:
        """Ctrl-C; nobody hears it when it has ended already."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)

    async def end(self) -> int:
        """Wait for its end; returns the status and keeps all it said."""
        assert self.process.stdout is not None
        async with asyncio.timeout(120):
            self.said += (await self.process.stdout.read()).decode()
            return await self.process.wait()

    def url(self) -> str:
        """The page's address."""
        return next(word for word in self.said.split() if word.startswith("http://"))


Start = Callable[..., Awaitable[Demo]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """`await start("--http", command=["note", "file"])`; the temporary files of all lie below tmp_path / "tmp"."""
    demos: list[Demo] = []
    manifest = tmp_path / "manifest.yml"
    manifest.write_text(yaml.safe_dump(MANIFEST))
    # Below the system's temporary folder, because the database runs as another user when we are root.
    temporary = tmp_path / "tmp"
    temporary.mkdir()

    async def go(*options: str, command: list[str] | None = None) -> Demo:
        stand_in = [] if command is None else ["--", sys.executable, STAND_IN, *command]
        arguments = ["--port", "0", "--manifest", str(manifest), *options, *stand_in]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sandbox",
            *arguments,
            cwd=REPOSITORY,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        demos.append(Demo(process))
        return demos[-1]

    yield go
    for demo in demos:
        with contextlib.suppress(ProcessLookupError):
            demo.process.terminate()
        await demo.end()


def exists(path: str) -> bool:
    """Whether there is such a file."""
    return Path(path).exists()


def sentences(demo: Demo) -> list[str]:
    """What it said, without the progress and the guide, which are indented."""
    return [line for line in demo.said.splitlines() if not line.startswith("  ")]


def commands(pids: list[int]) -> str:
    """The command lines of these processes, in one text."""
    return " ".join(command(pid) for pid in pids)


def command(pid: int) -> str:
    """The command line of a process, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
async def test_it_starts_says_what_to_do_and_leaves_nothing(start: Start, tmp_path: Path) -> None:
    """Every part starts and is said, the bot gets exactly its interface, and Ctrl-C leaves no process and no file."""
    note, env, data = tmp_path / "note", tmp_path / "env", tmp_path / "data"
    demo = await start(
        "--env", str(env), "--data", str(data), "--seconds-per-minute", "15", command=["note", str(note), "orphan"]
    )
    said = await demo.until(READY)
    for part in (
        "Slack",
        "PagerDuty",
        "Redis",
        "Postgres",
        "Postgres standby",
        "S3",
        "ValueCanvas",
        "Bot ready",
        "/incident declare P1",
    ):
        assert part in said
    up = ["postgres", "standby", "redis", "redis-replica", "s3", "cluster", "llm", "api", "pagerduty", "slack", "bot"]
    up += ["outage", "dr", "nodes"]
    normal = {
        **dict.fromkeys(up, "up"),
        "data": "ok",
        "queries": "normal",
        "writer": "normal",
        "intruder": "normal",
        "workloads": "normal",
        "dns": "normal",
        "terraform": "free",
    }
    async with aiohttp.ClientSession(demo.url()) as client:
        for _ in range(100):  # a busy machine may answer one of the panel's questions late
            async with client.get("/panel/state") as response:
                states = {part["name"]: part["state"] for part in (await response.json())["parts"]}
            if states == normal:
                break
            await asyncio.sleep(0.2)
    assert states == normal

    given = json.loads(note.read_text())
    written = dict(line.split("=", 1) for line in env.read_text().splitlines())
    assert set(written) == INTERFACE | {"PATH"}, "its terraform is on it"
    assert {name: given[name] for name in written} == written
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert (given["BOT_SECONDS_PER_MINUTE"], given["BOT_DATA_DIR"]) == ("15", str(data / "bot"))
    assert given["HOME"] != os.environ.get("HOME")

    below = descendants(demo.process.pid)
    servers = ("postgres", "replica", "redis-server", "sandbox.estate.aws", "sandbox.valuecanvas", "sleep(600)")
    assert all(name in commands(below) for name in servers)
    home = given["HOME"]
    assert exists(home)
    demo.interrupt()
    assert await demo.end() == 0
    await gone(below)
    assert not exists(home)


async def test_the_demo_itself_starts_and_stops(start: Start) -> None:
    """What `make demo` runs: the real bot with the real manifest gets ready, also again after kill -9, and all ends."""
    bot = str(Path(sys.executable).with_name("recovery-bot"))
    demo = await start("--manifest", str(REPOSITORY / "manifest.yml"), "--", bot, "run", "--practice")
    assert "Bot ready" in await demo.until(READY)
    below = descendants(demo.process.pid)
    async with aiohttp.ClientSession(demo.url()) as client:
        for action in ("kill", "start"):
            async with client.post("/panel/do", json={"part": "bot", "action": action}) as response:
                assert await response.json() == {"ok": True}
        below += descendants(demo.process.pid)
    demo.process.terminate()
    assert await demo.end() == 0
    await gone(below)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@pytest.mark.parametrize("moment", ["initdb", "pg_basebackup"])
async def test_ctrl_c_during_the_start_ends_it_cleanly(start: Start, moment: str) -> None:
    """Whatever is under way when Ctrl-C comes is ended, with status 0 and not a word of complaint.

    On a machine that looks away too long the moment may be over: then it is what comes after.
    """
    demo = await start("--without=cluster", "--without=s3", "--without=app")
    started = asyncio.create_task(demo.until(READY))
    while moment not in commands(descendants(demo.process.pid)) and not started.done():  # noqa: ASYNC110 - nobody tells us
        await asyncio.sleep(0.001)
    below = descendants(demo.process.pid)
    demo.interrupt()
    await asyncio.gather(started, return_exceptions=True)  # it ends before it is ready
    assert await demo.end() == 0
    await gone(below)
    said = [sentence for sentence in sentences(demo) if sentence]
    assert said == ["Starting the practice estate:", "Stopping ..."]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
async def test_a_second_ctrl_c_waits_for_nobody(start: Start) -> None:
    """Twice Ctrl-C ends it at once, still with status 0, nothing left and not a word of complaint."""
    demo = await start("--without=cluster", "--without=s3", "--without=app")
    await demo.until(READY)
    below = descendants(demo.process.pid)
    demo.interrupt()
    await demo.until("Stopping ...")
    demo.interrupt()
    assert await demo.end() == 0
    await gone(below)
    assert sentences(demo) == ["Starting the practice estate:", "", "", "", "", "Stopping ..."]


async def test_ctrl_c_while_its_files_are_removed_changes_nothing(start: Start, tmp_path: Path) -> None:
    """They are removed to the last, with status 0 and not a word of complaint."""
    note = tmp_path / "note"
    demo = await start(*LIGHT, command=["note", str(note)])
    await demo.until(READY)
    home = Path(json.loads(note.read_text())["HOME"])
    files = [home / str(number) for number in range(20_000)]
    for file in files:
        file.touch()
    demo.interrupt()
    async with asyncio.timeout(120):
        while all(file.exists() for file in files[::100]):  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0)
    demo.interrupt()
    assert await demo.end() == 0
    assert not exists(str(home))
    assert sentences(demo) == ["Starting the practice estate:", "", "", "", "", "Stopping ..."]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the kernel's death signal")
@pytest.mark.parametrize("victim", ["the first process", "the supervisor"])
async def test_even_kill_9_leaves_no_process(start: Start, victim: str) -> None:
    """Whichever of its two processes is killed, the other ends everything, orphans of the bot too."""
    demo = await start("--without=cluster", "--without=standby", command=["orphan"])
    await demo.until(READY)
    below = descendants(demo.process.pid)
    os.kill(demo.process.pid if victim == "the first process" else below[0], signal.SIGKILL)
    await demo.end()
    await gone(below)


async def test_a_taken_port_is_left_alone(start: Start) -> None:
    """When the port is taken the page goes to another one and says so; SIGTERM ends it with 0."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = await start("--port", str(port), *LIGHT)
        said = await demo.until(READY)
    assert f"Port {port} is taken" in said
    async with aiohttp.ClientSession() as client, client.get(demo.url()) as response:
        assert response.status == 200
    demo.process.terminate()
    assert await demo.end() == 0


async def test_http_mode_gives_a_signing_secret(start: Start, tmp_path: Path) -> None:
    """With --http the bot gets a signing secret and no app token."""
    env = tmp_path / "env"
    await (await start("--http", "--env", str(env), *LIGHT)).until(READY)
    names = {line.split("=")[0] for line in env.read_text().splitlines()}
    assert names == INTERFACE - {"SLACK_APP_TOKEN"} | {"SLACK_SIGNING_SECRET"}


async def test_a_bot_that_does_not_start_ends_it(start: Start) -> None:
    """A COMMAND that ends at once ends the practice estate with 1 and the command's own last words."""
    demo = await start(*LIGHT, command=["fail"])
    assert await demo.end() == 1
    assert "The stand-in was told to fail." in demo.said
    assert "Traceback" not in demo.said


async def test_a_missing_manifest_is_a_sentence(start: Start, tmp_path: Path) -> None:
    """What cannot be read is said in a sentence, with status 1."""
    demo = await start("--manifest", str(tmp_path / "nowhere.yml"))
    assert await demo.end() == 1
    assert "The manifest cannot be read" in demo.said
    assert "Traceback" not in demo.said


@pytest.mark.parametrize(
    "option", [("--seconds-per-minute", "0"), ("--port", "70000"), ("--colour", "red"), ("--without", "slack")]
)
async def test_nonsense_on_the_command_line_is_refused(start: Start, option: tuple[str, str]) -> None:
    """Wrong options end with status 2 before anything starts."""
    demo = await start(*option)
    assert await demo.end() == 2
    assert "Starting" not in demo.said
