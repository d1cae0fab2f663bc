"""One short session with a PostgreSQL server: a deadline for connecting, one for everything else, and errors as sentences."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row

from bot.errors import NeighbourError, Refused, Silent, Unavailable
from bot.redact import redact

APPLICATION = "recovery-bot"
CONNECT = 5.0
"""Seconds that a server (each of them, when a connection string names several) gets to take the connection."""

Connection = psycopg.AsyncConnection[DictRow]


@asynccontextmanager
async def session(url: str, *, within: float, connect: float = CONNECT, options: str = "") -> AsyncIterator[Connection]:
    """A session that commits each statement by itself, and is cut off after `within` seconds.

    `options` are added to those of the connection string (`-c name=value`). Raises Unavailable or Refused, also for what
    happens inside of the block.
    """
    place, conninfo, hosts = _prepared(url, connect, within, options)
    opened = False
    late = asyncio.Event()
    try:
        async with asyncio.timeout(connect * hosts + 1):
            connection = await psycopg.AsyncConnection.connect(conninfo, autocommit=True, row_factory=dict_row)
        opened = True
        # Not a cancellation: psycopg would first wait for the server to confirm it, and a frozen server never does.
        cut = asyncio.get_running_loop().call_later(within, _hang_up, connection, late)
        try:
            yield connection
        finally:
            cut.cancel()
            await connection.close()
    except psycopg.Error as error:
        if late.is_set():
            raise Unavailable(f"{place} did not answer within {within:g} s") from None
        raise answer(error, place, url, untried=not opened) from None
    except TimeoutError:
        if opened:
            raise
        raise Silent(f"{place} did not take a connection within {connect:g} s") from None


def named(url: str) -> str:
    """The name of the database that the connection string leads to. Raises Refused."""
    parts = _parsed(url)
    return str(parts.get("dbname") or parts.get("user") or "")


def role_of(url: str) -> str:
    """The role that the connection string names. Raises Refused."""
    return str(_parsed(url).get("user") or "")


def at(url: str, name: str) -> str:
    """The same server and user, but the database of that name. Raises Refused."""
    _parsed(url)
    return make_conninfo(url, dbname=name)


def place_of(url: str) -> str:
    """The server and database in words, without user and password. Raises Refused."""
    parts = _parsed(url)
    host = str(parts.get("host") or parts.get("hostaddr") or "this machine")
    port = str(parts.get("port") or 5432)
    where = "this machine" if host.startswith("/") else ", ".join(
        f"{one}:{number}" for one, number in zip(host.split(","), _ports(port, host), strict=False)
    )  # fmt: skip
    return f"PostgreSQL at {where} ({named(url)})"


def answer(error: psycopg.Error, place: str, url: str, *, untried: bool = False) -> NeighbourError:
    """What the error means for who asked: later, or no. The server's own sentence, and no secret in it."""
    code = error.sqlstate or ""
    said = error.diag.message_primary or _line(str(error))
    detail = error.diag.message_detail
    text = redact(f"{place}: {said}" + (f" ({detail})" if detail else ""), [url])
    if code:
        return Unavailable(text) if _passing(code) else Refused(text, code)
    if isinstance(error, psycopg.OperationalError):
        # libpq hands on the words alone of a server that refuses a connection.
        no = "fe_sendauth" in str(error) or ("FATAL:" in str(error) and not any(w in str(error) for w in _LATER))
        if no:
            return Refused(text)
        return Silent(text) if untried and _silent(str(error)) else Unavailable(text, untried=untried)
    return Refused(text)


_LATER = ("the database system is ", "too many c", "remaining connection slots", "terminating connection")
"""What a server says that will take a connection another time: starting, shutting down, full."""

_SILENCE = (
    *("Connection refused", "timeout expired", "Connection timed out", "Connection reset", "No route to host"),
    *("Network is unreachable", "Host is down", "closed the connection unexpectedly", "No such file or directory"),
    *("Cannot assign requested address", "failed to resolve host", "could not translate host name"),
)
"""What libpq and psycopg say of a connection that nobody took. Of words that they may find tomorrow we know no such thing."""


def _silent(said: str) -> bool:
    """Whether none of the addresses that were tried, each in a paragraph of its own, gave any answer."""
    return "FATAL:" not in said and all(any(word in one for word in _SILENCE) for one in said.split("\n- "))


_PASSING_CODES = ("55P03", "57014", "57P01", "57P02", "57P03", "57P05", "53300", "25P03", "25P04")


def _passing(code: str) -> bool:
    """Connection exceptions, deadlocks and conflicts, locks and deadlines, a server that comes or goes."""
    return code in _PASSING_CODES or code.startswith(("08", "40"))


def _prepared(url: str, connect: float, within: float, options: str) -> tuple[str, str, int]:
    parts = _parsed(url)
    milliseconds = int(within * 1000)
    given = f"{parts.get('options') or ''} -c statement_timeout={milliseconds} -c lock_timeout={milliseconds} {options}"
    conninfo = make_conninfo(
        url,
        connect_timeout=max(2, round(connect)),  # libpq takes no less
        application_name=APPLICATION,
        options=given.strip(),
        tcp_user_timeout=milliseconds,
    )
    return place_of(url), conninfo, str(parts.get("host") or "").count(",") + 1


def _parsed(url: str) -> dict[str, Any]:
    try:
        return conninfo_to_dict(url)
    except psycopg.ProgrammingError:  # its text quotes the string, password and all
        raise Refused("The connection string of the database cannot be read.") from None


def _ports(port: str, host: str) -> list[str]:
    ports = port.split(",")
    return ports if len(ports) > 1 else ports * (host.count(",") + 1)


def _line(text: str) -> str:
    """The line that says why, without what libpq puts before it: the server's own word where there is one."""
    lines = text.strip().splitlines() or ["no reason given"]
    found = (line for word in ("FATAL:", "failed: ") for line in reversed(lines) if word in line)
    why = next(found, lines[0]).rpartition("failed: ")[2]
    return why.removeprefix("FATAL:").removeprefix("ERROR:").strip()[:300]


def _hang_up(connection: Connection, late: asyncio.Event) -> None:
    late.set()
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
