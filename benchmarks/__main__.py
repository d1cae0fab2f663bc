"""`python -m benchmarks [NAME ...]`: measure, and print one table in Markdown. Nothing is left out: misses say **no**."""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from benchmarks import acks, catch_up, declare, failover, idle, restore, rungs, start
from benchmarks.figure import HEAD, Figure, load

PARTS: Mapping[str, Callable[[], Awaitable[list[Figure]]]] = {
    "start": start.figures,
    "declare": declare.figures,
    "acks": acks.figures,
    "catch-up": catch_up.figures,
    "rungs": rungs.figures,
    "failover": failover.figures,
    "restore": restore.figures,
    "idle": idle.figures,
    "crowd": idle.crowded,
}


async def measure(names: list[str]) -> None:
    """Run the parts one after the other and print the table."""
    print(
        f"Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}, {load()} at the beginning.\n\n{HEAD}",
        flush=True,
    )
    for name in names:
        try:
            for figure in await PARTS[name]():
                print(figure, flush=True)
        except (TimeoutError, AssertionError) as error:
            # A figure that could not be taken is a miss of its own; the others are still wanted.
            print(f"| {name} | not measured | | **no** | {error} |", flush=True)
    print(f"\nAt the end: {load()}.")


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks", description="Every figure of docs/benchmarks.md.")
    parser.add_argument(
        "names", nargs="*", choices=[*PARTS, []], metavar="NAME", help=f"of {', '.join(PARTS)}; all when none"
    )
    asyncio.run(measure(parser.parse_args().names or list(PARTS)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
