"""The bot's HTTP client, against real servers of the odd kind: answers in pieces, and each way of not answering."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest

from bot.clients.site import HttpSite
from bot.errors import Unavailable

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(speak: Speak) -> AsyncIterator[str]:
    """The address of a server that speaks so after each request."""
    at_work = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_work.append(asyncio.current_task())
        await reader.readuntil(b"\r\n\r\n")
        await speak(reader, writer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await asyncio.gather(*filter(None, at_work))


async def in_pieces(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 429 Wait\r\nRetry-After: 7\r\nContent-Length: 17\r\n\r\n{"error":')
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.write(b' "slow"}')


async def half(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


async def nothing(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    pass


async def noise(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n")


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()  # until the client hangs up


async def test_an_answer_that_comes_in_pieces_is_read_to_its_end() -> None:
    """Its first packet alone would be no JSON; when it wants to be asked again is kept."""
    async with aiohttp.ClientSession() as session, served(in_pieces) as url:
        answer = await HttpSite(session).ask("GET", url)
    assert (answer.status, answer.fields, answer.retry_after) == (429, {"error": "slow"}, 7.0)


@pytest.mark.parametrize(
    ("speak", "says"),
    [
        (half, "does not answer (the connection broke off)"),
        (nothing, "does not answer (the connection broke off)"),
        (noise, "does not answer (what comes back cannot be read)"),
        (silence, "did not answer within 0.2 s"),
    ],
)
async def test_no_answer_is_a_sentence(speak: Speak, says: str) -> None:
    """It names who was asked, and not the class of an exception."""
    async with aiohttp.ClientSession() as session, served(speak) as url:
        within = timedelta(seconds=0.2 if speak is silence else 40)
        with pytest.raises(Unavailable) as error:
            await HttpSite(session).ask("GET", url, within=within)
        assert str(error.value) == f"{url.split('/')[2]} {says}"


async def test_nobody_there_is_said_too() -> None:
    """Port 9 of this machine."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(Unavailable, match=r"^127\.0\.0\.1:9 does not answer \(the connection is refused\)$"):
            await HttpSite(session).ask("GET", "http://127.0.0.1:9/")
