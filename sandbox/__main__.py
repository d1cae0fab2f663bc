"""`python -m sandbox [options] [-- COMMAND ...]`: the practice estate in a terminal, and COMMAND in it."""

import argparse
import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.environment import write
from sandbox.estate.children import CannotStart, Unprivileged
from sandbox.estate.wheels import make_home
from sandbox.guardian import guarded
from sandbox.practice import ALL, Part, Practice

READY_PATIENCE = 60.0
ANA, ANSWERS_AFTER = "PANAORT", 45.0


@dataclass(frozen=True)
class Options:
    """The command line."""

    port: int
    manifest: Path
    seconds_per_minute: float
    data: Path | None
    http: bool
    env: Path | None
    parts: frozenset[Part]
    command: tuple[str, ...]


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; everything after `--` is COMMAND. Leaves with status 2 and a sentence when it is wrong."""
    ours, command = _split(arguments)
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=3000, help="of the page (default 3000; another when it is taken)")
    parser.add_argument("--manifest", type=Path, default=Path("manifest.yml"), help="the Slack app's manifest")
    parser.add_argument(
        "--seconds-per-minute", type=float, default=6.0, help="how long a practice minute lasts (default 6)"
    )
    parser.add_argument("--data", type=Path, help="where the bot keeps its data (default: removed at the end)")
    parser.add_argument("--http", action="store_true", help="deliver Slack events over HTTP instead of Socket Mode")
    parser.add_argument("--env", type=Path, help="write the bot's environment to this file, KEY=VALUE")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=sorted(ALL),
        metavar="PART",
        help=f"leave a part out, to be light: {', '.join(sorted(ALL))}; may be given again",
    )
    read = parser.parse_args(ours)
    if not 0.1 <= read.seconds_per_minute <= 60:
        parser.error("a practice minute lasts between 0.1 and 60 seconds")
    if not 0 <= read.port <= 65535:
        parser.error("a port is between 0 and 65535")
    return Options(
        port=read.port,
        manifest=read.manifest,
        seconds_per_minute=read.seconds_per_minute,
        data=read.data,
        http=read.http,
        env=read.env,
        parts=ALL - set(read.without),
        command=tuple(command),
    )


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What is ours, and what follows the first `--`."""
    if "--" not in arguments:
        return arguments, ()
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def say(sentence: str) -> None:
    """One line on the terminal, at once."""
    print(sentence, flush=True)


class Progress:
    """Tells what is up, and after how long."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, what: str) -> None:
        say(f"  {time.monotonic() - self._started:5.1f} s  {what}")


async def serve(options: Options, home: Path) -> None:
    """Run the estate until cancelled. Raises CannotStart."""
    progress = Progress()
    say("Starting the practice estate:")
    practice = Practice(
        parts=options.parts,
        command=options.command,
        manifest=options.manifest,
        http=options.http,
        port=options.port,
        seconds_per_minute=options.seconds_per_minute,
        data=options.data,
        home=home,
        progress=progress,
    )
    async with practice:
        if options.port and practice.door.port != options.port:
            say(f"Port {options.port} is taken, so the page is on port {practice.door.port}.")
        practice.pagerduty.people[ANA].behave("acks", ANSWERS_AFTER)
        if options.env is not None:
            write(practice.env, options.env)
            say(f"The bot's environment is in {options.env}: set -a; . {shlex.quote(str(options.env))}; set +a")
        if options.command:
            await _wait_for_bot(practice, progress)
        _guide(practice, options)
        await asyncio.Event().wait()


async def _wait_for_bot(practice: Practice, progress: Progress) -> None:
    if await practice.bot.ready(READY_PATIENCE):
        progress(f"Bot ready            http://{practice.env['BOT_HTTP']}")
    else:
        progress(f"Bot not ready yet after {READY_PATIENCE:.0f} s; it says so in {practice.bot.log}")


def _guide(practice: Practice, options: Options) -> None:
    minute = f"{options.seconds_per_minute:g} seconds"
    say("")
    say(f"  Open {practice.url} and be Ana. Type in any channel:")
    say("")
    say("      /incident declare P1 checkout is down")
    say("")
    say(f"  A practice minute lasts {minute}. Ana answers her phone after {ANSWERS_AFTER:g} practice seconds.")
    say(
        "  The panel on the page breaks the databases, Redis, S3, the LLM, PagerDuty, Slack and the bot, and turns the clock."
    )
    if options.command:
        say(f"  The bot's log is {practice.bot.log}")
    say("  Ctrl-C stops everything.")
    say("")


async def until_stopped(options: Options, home: Path) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP; a second one does not wait for anybody. Returns the exit status."""
    serving = asyncio.create_task(serve(options, home), name="sandbox")
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if serving.cancelling():
            # The guardian ends whatever is left of us.
            os._exit(0)
        say("Stopping ...")
        serving.cancel()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        await serving
    except asyncio.CancelledError:
        return 0
    except CannotStart as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    finally:
        # All has ended and only its files are left to be removed: who is impatient now is not to interrupt that.
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    return 0


def main() -> int:
    """The command line."""
    options = parse(sys.argv[1:])
    try:
        home = make_home(Unprivileged.when_root())
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    return guarded(lambda: asyncio.run(until_stopped(options, home)), home)


if __name__ == "__main__":
    sys.exit(main())
