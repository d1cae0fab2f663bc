"""A dump into one database through several sessions of psql: all but the rows in the first, the rows of a table in all of
them side by side. Statements keep their order, and a statement sees all that came before it.

The first session is in a transaction. It is committed before rows that others are to load, and for the last time by `commit`;
so a load is never half: until that last commit says that all is well, nobody takes the database for anything.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, Self

from bot.clients.dump import Kind, Piece
from bot.clients.psql import Gone, Psql, find

SESSIONS = 3

P = ParamSpec("P")

_END = b"\\.\n"


class Loading:
    """Its sessions, and the one thread that feeds them, since psql takes what it is fed as slowly as the server does."""

    def __init__(self, url: str, sessions: int = SESSIONS) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="psql")
        self._psqls = [Psql(url) for _ in range(max(1, sessions))]
        self._first, self._helpers = self._psqls[0], self._psqls[1:]
        self._copy = b""  # the statement whose rows are being shared out; empty when none are
        self._busy: list[Psql] = []
        self._rest = b""
        self._fresh = False
        self._turn = 0

    async def __aenter__(self) -> Self:
        """Start them. Raises Refused."""
        try:
            program = await asyncio.to_thread(find)
            for psql in self._psqls:
                await psql.start(program)
        except BaseException:  # whatever it was: none may stay behind, and it goes on
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for psql in self._psqls:
            psql.kill()
        for psql in self._psqls:
            await psql.ended()
        self._thread.shutdown()  # all are gone, so a write that waited for one has ended
        for psql in self._psqls:
            psql.hang_up()

    @property
    def left_out(self) -> tuple[str, ...]:
        return tuple(self._first.left_out)

    async def run(self, work: Callable[P, None], *args: P.args, **keywords: P.kwargs) -> None:
        """Do work that may `take`, in the thread. Raises what it raises, or what psql said when it is gone."""
        doing = asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *args, **keywords))
        try:
            await asyncio.shield(doing)
        except asyncio.CancelledError:
            for psql in self._psqls:  # a write that waits for one of them ends with it
                psql.kill()
            await asyncio.wait([doing])
            raise
        except Gone as gone:
            raise await gone.psql.reason() from None

    def begin(self) -> None:
        """Open the transaction. What a dump may hold besides SQL is sorted out before it comes here; should psql see it in
        another way, it still runs no command of its own."""
        for psql in self._psqls:
            psql.write(f"\\restrict {secrets.token_hex(16)}\n".encode())
        self._first.write(b"BEGIN READ WRITE;\n")

    def take(self, pieces: Sequence[Piece]) -> None:
        """Blocks until psql has them, in order."""
        plain: list[bytes | memoryview] = []
        for kind, piece in pieces:
            if self._copy or kind is Kind.COPY or kind is Kind.SETTING:
                if plain:
                    self._first.write(*plain)
                    plain = []
                self._shared(kind, piece)
            else:
                plain.append(piece)
        if plain:
            self._first.write(*plain)

    async def commit(self, last: str) -> None:
        """Run the statement `last`, commit, and wait until psql has ended. Raises Unavailable or Refused."""
        await self.run(self._first.write, f"\n{last};\nCOMMIT;\n".encode())
        self._first.hang_up()
        if await self._first.ended() != 0:
            raise await self._first.reason()

    def _shared(self, kind: Kind, piece: bytes | memoryview) -> None:
        if kind is Kind.SETTING:
            for psql in self._psqls:
                psql.write(piece, b"\n")
        elif kind is Kind.COPY and self._helpers:
            self._first.write(b"\nCOMMIT; BEGIN READ WRITE;\n")
            self._first.reach()  # the table is there for all to see
            self._copy, self._rest, self._fresh = bytes(piece), b"", True
        elif kind is Kind.COPY:
            self._first.write(piece)
        else:
            self._rows(bytes(piece), last=kind is Kind.LAST_ROWS)

    def _rows(self, data: bytes, *, last: bool) -> None:
        """Whole lines, to the next session. The first byte of all ends the statement's own line."""
        data = self._rest + data
        if self._fresh:
            data, self._fresh = data[1:], False
        cut = len(data) - len(_END) if last else data.rfind(b"\n") + 1
        self._rest = data[cut:]
        if cut > 0:
            psql = self._helpers[self._turn % len(self._helpers)]
            self._turn += 1
            if psql not in self._busy:
                self._busy.append(psql)
                psql.write(self._copy, b"\n", memoryview(data)[:cut])
            else:
                psql.write(memoryview(data)[:cut])
        if last:
            for psql in self._busy:
                psql.write(_END)
            for psql in self._busy:
                psql.reach()
            self._copy, self._rest, self._busy = b"", b"", []
