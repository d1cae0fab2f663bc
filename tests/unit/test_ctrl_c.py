"""Ctrl-C at the command line."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture
def heard() -> Iterator[None]:
    """What is started hears Ctrl-C, also where a shell has put this run into the background and let it ignore that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
async def test_a_command_that_waits_is_left_without_a_complaint() -> None:
    """It ends with the status that shells know, and no traceback reaches the person."""
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server, asyncio.timeout(120):
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "timeline", "verify", "INC-1"),
            env=os.environ | {"BOT_DATABASE_URL": f"postgresql://bot@127.0.0.1:{port}/bot?sslmode=disable"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        await asked.wait()
        process.send_signal(signal.SIGINT)
        said, _ = await process.communicate()
    assert (process.returncode, said) == (130, b"")
