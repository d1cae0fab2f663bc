"""The way to a Redis or a Sentinel, which fails at a chosen command when told to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

HOWS = (
    "reset",
    "silent",
    "lost",
    "-BUSY Redis is busy running a script.",
    "-LOADING Redis is loading the dataset in memory",
)
"""How one command fails so that it may be asked for again. "reset": the connection breaks before the server hears of it; "silent": it
is done, and no answer ever comes; "lost": it is done, and the connection breaks instead of the answer; else that is the answer, and
it is not done."""


@dataclass
class RedisWire:
    """Stands before the server that `to` leads to; `url` leads here. `passed`: the commands that came to the server.

    `faults`: what happens to the next commands that begin with these words, in order, "" being nothing; `hit` is called when
    something does.
    """

    to: str
    url: str = ""
    faults: dict[str, list[str]] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list)
    hit: Callable[[], None] = lambda: None
    _server: asyncio.Server | None = None
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    def breaks(self, command: str, *hows: str) -> None:
        """From now on; what came before is forgotten."""
        self.faults[command] = list(hows)
        self.passed.clear()

    @property
    def waiting(self) -> bool:
        """Whether something is still to go wrong."""
        return any(self.faults.values())

    def count(self, command: str) -> int:
        """How often it came to the server."""
        return sum(_begins(one, command) for one in self.passed)

    async def listen(self) -> None:
        """At the same port each time."""
        parts = urlsplit(self.url or self.to)
        port = parts.port if self.url else 0
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        port = self._server.sockets[0].getsockname()[1]
        at = parts.netloc.rpartition("@")
        self.url = parts._replace(netloc=f"{at[0]}{at[1]}127.0.0.1:{port}").geturl()

    async def refuse(self) -> None:
        """Nobody listens any more, and whoever was here is cut off."""
        assert self._server is not None
        self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        behind: asyncio.StreamWriter | None = None
        try:
            parts = urlsplit(self.to)
            answers, behind = await asyncio.open_connection(parts.hostname, parts.port)
            await self._carry(reader, writer, answers, behind)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            if behind is not None:
                behind.transport.abort()
            self._open.discard(task)

    async def _carry(
        self, asked: asyncio.StreamReader, back: asyncio.StreamWriter,
        answers: asyncio.StreamReader, on: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        """Both ways, until one of them ends."""
        back_again = asyncio.create_task(_pipe(answers, back))
        try:
            while True:
                raw, words = await _command(asked)
                how = self._fault(words)
                if how == "reset":
                    return
                if how.startswith("-"):
                    back.write(f"{how}\r\n".encode())
                    continue
                if how:
                    await _over(back_again)
                self.passed.append(" ".join(words))
                on.write(raw)
                if how:
                    await answers.read(1)  # it is done when the server begins to answer
                    if how == "silent":
                        await asked.read()  # until the client hangs up
                    return
        finally:
            await _over(back_again)

    def _fault(self, words: Sequence[str]) -> str:
        command = " ".join(words)
        hows = next((hows for key, hows in self.faults.items() if hows and _begins(command, key)), None)
        how = hows.pop(0) if hows else ""
        if how:
            self.hit()
        return how


def _begins(command: str, words: str) -> bool:
    return f"{command} ".upper().startswith(f"{words} ".upper())


async def _over(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await source.read(1 << 16):
        sink.write(piece)
    sink.transport.abort()


async def _command(reader: asyncio.StreamReader) -> tuple[bytes, list[str]]:
    """One command as it was sent, and its words. Raises IncompleteReadError at the end."""
    raw = await reader.readuntil(b"\r\n")
    words = []
    for _ in range(int(raw[1:])):
        size = await reader.readuntil(b"\r\n")
        body = await reader.readexactly(int(size[1:]) + 2)
        raw += size + body
        words.append(body[:-2].decode(errors="replace"))
    return raw, words


@asynccontextmanager
async def redis_wire(to: str) -> AsyncIterator[RedisWire]:
    """Listening."""
    wire = RedisWire(to)
    await wire.listen()
    try:
        yield wire
    finally:
        await wire.refuse()
