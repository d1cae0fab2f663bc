"""Restore a backup beside the database it is of, and swap the two: PostgreSQL renames, psql loads, nothing touches a disk
of ours.

A comment on the new database is the run's mark: `recovery-bot RUN-7 new`, then `loaded` (written in the transaction of the
data), then `in use` (written in the transaction of the swap). What is to be done is decided by the marks alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from bot.clients.databases import end_sessions
from bot.clients.dump import Dump, Piece
from bot.clients.loading import Loading
from bot.clients.sessions import Connection, at, named, place_of, session
from bot.errors import Refused, Unavailable
from bot.tools import Loaded

STATEMENT = 30.0
"""Seconds for one call, the loading apart; making a database copies a template."""

_BITE = 1 << 18  # bytes of the backup that are taken in at a time
_UNPACKED = 1 << 20  # bytes that are unpacked at a time
_DOORS = ("postgres", "template1")
"""Databases to stand in while others are renamed."""

_BETWEEN = 0.05  # seconds

_NEW, _LOADED, _IN_USE = "new", "loaded", "in use"


@dataclass(frozen=True)
class _Found:
    """A database as the catalogue has it."""

    oid: int
    comment: str
    open: bool
    row: dict[str, Any]


class PsqlRestorer:
    """A Restorer. `statement` is the deadline of each call but `load`, in seconds."""

    def __init__(self, statement: float = STATEMENT) -> None:
        self._statement = statement

    def at(self, url: str, name: str) -> str:
        return at(url, name)

    async def create(self, url: str, name: str, run: str) -> None:
        old, begun = named(url), _mark(run, _NEW)
        async with self._door(url, name) as connection:
            found = await _found(connection, old, name)
            if old not in found:
                raise Refused(f"{place_of(url)}: there is no database {old}")
            there = found.get(name)
            if there is not None and there.comment in (_mark(run, _LOADED), _mark(run, _IN_USE)):
                return
            # It is made closed, so that one without a comment that is closed can only be ours, from an interrupted try.
            if there is not None and there.comment != begun and (there.comment or there.open):
                raise Refused(f"{place_of(url)}: a database {name} exists that {run} did not make")
            if there is not None:
                await connection.execute(SQL("drop database {} with (force)").format(Identifier(name)))
            await connection.execute(_create(name, found[old].row))
            async with connection.transaction():
                await _copy_settings(connection, found[old], name)
                await connection.execute(_comment(name, run, _NEW))
                await connection.execute(SQL("alter database {} allow_connections true").format(Identifier(name)))

    async def load(
        self,
        url: str,
        name: str,
        run: str,
        chunks: AsyncGenerator[bytes, None],
        checksum: str,
        progress: Callable[[int], None],
    ) -> Loaded:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", checksum):
            raise Refused("The backup has no SHA-256 checksum, so nobody can tell whether it is whole.")
        into = at(url, name)
        async with session(into, within=self._statement) as connection:
            there = (await _found(connection, name)).get(name)
            if there is None or there.comment != _mark(run, _NEW):
                raise Refused(f"{place_of(into)} is not an empty database that {run} made")
            if await end_sessions(connection, name, patience=self._statement / 2):  # a psql whose bot died
                raise Unavailable(f"{place_of(into)} is being used by somebody else")
        async with Loading(into) as loading, aclosing(chunks):
            intake = _Intake(loading.take)
            await loading.run(loading.begin)
            async for chunk in chunks:
                for start in range(0, len(chunk), _BITE):
                    await loading.run(intake.take, memoryview(chunk)[start : start + _BITE])
                    progress(intake.size)
            await loading.run(intake.finish, checksum.lower())
            await loading.commit(_comment(name, run, _LOADED).as_string())
        # psql ends well also when a dump swallowed the last lines as rows: what counts is what the server has.
        if not await self.loaded(url, name, run):
            raise Refused("The backup ends in a way that left its loading uncommitted.")
        return Loaded(intake.size, intake.unpacked, loading.left_out)

    async def loaded(self, url: str, name: str, run: str) -> bool:
        async with self._door(url, name) as connection:
            there = (await _found(connection, name)).get(name)
        return there is not None and there.comment == _mark(run, _LOADED)

    async def swap(self, url: str, new: str, kept: str, run: str) -> None:
        old = named(url)
        async with self._door(url, new, kept) as connection:
            found = await _found(connection, old, new, kept)
            if _swapped(found, old, new, kept, run):
                return
            if old not in found or new not in found or found[new].comment != _mark(run, _LOADED):
                raise Refused(f"{place_of(url)}: {old} and a completely loaded {new} are not both there")
            if kept in found:
                raise Refused(f"{place_of(url)}: a database {kept} exists already")
            await self._rename(url, connection, [(old, kept), (new, old)], _comment(old, run, _IN_USE))

    async def swapped(self, url: str, new: str, kept: str, run: str) -> bool | None:
        async with self._door(url, new, kept) as connection:
            return _swapped(await _found(connection, named(url), new, kept), named(url), new, kept, run)

    async def swap_back(self, url: str, new: str, kept: str, run: str) -> None:
        old = named(url)
        async with self._door(url, new, kept) as connection:
            found = await _found(connection, old, new, kept)
            now = _swapped(found, old, new, kept, run)
            if now is None:
                raise Refused(f"{place_of(url)}: {old}, {new} and {kept} are not as the swap left them")
            if now:
                await self._rename(url, connection, [(old, new), (kept, old)], _comment(new, run, _LOADED))

    async def drop(self, url: str, name: str, run: str) -> None:
        async with self._door(url, name) as connection:
            there = (await _found(connection, name)).get(name)
            if there is None:
                return
            if there.comment not in (_mark(run, _NEW), _mark(run, _LOADED)) and (there.comment or there.open):
                raise Refused(f"{place_of(url)}: {name} is not a database that {run} made and nobody uses")
            await connection.execute(SQL("drop database {} with (force)").format(Identifier(name)))

    async def _rename(self, url: str, connection: Connection, pairs: list[tuple[str, str]], comment: Composed) -> None:
        """All in one transaction. From its renaming on a database is locked: who connects waits, and then finds the other."""
        async with self._door(url, *(name for pair in pairs for name in pair)) as second:
            names = [name for name, _ in pairs]
            for name in names:  # once before: who may not be ended is told at once, and by name of the rule
                await end_sessions(second, name, patience=0.0)
            ending = asyncio.create_task(_keep_ending(second, names), name="end sessions for a swap")
            try:
                async with connection.transaction():
                    for name, other in pairs:
                        # PostgreSQL waits five seconds for those who are still connected to go.
                        rename = SQL("alter database {} rename to {}").format(Identifier(name), Identifier(other))
                        await connection.execute(rename)
                    await connection.execute(comment)
                    ending.cancel()  # nobody who comes after the swap is to be ended
                    await asyncio.wait([ending])
            finally:
                ending.cancel()
                await asyncio.wait([ending])

    @asynccontextmanager
    async def _door(self, url: str, *others: str) -> AsyncIterator[Connection]:
        """A session in a database that none of the names means."""
        doors = [name for name in _DOORS if name not in (named(url), *others)]
        async with AsyncExitStack() as stack:
            for name in doors:
                try:
                    # That writing is fenced off is no reason not to repair.
                    door = session(
                        at(url, name), within=self._statement, options="-c default_transaction_read_only=off"
                    )
                    connection = await stack.enter_async_context(door)
                    break
                except Refused:
                    if name == doors[-1]:
                        raise
            yield connection


class _Intake:
    """What happens to the bytes of a backup, in psql's thread: SHA-256, gunzip, sorting out, writing."""

    def __init__(self, take: Callable[[Sequence[Piece]], None]) -> None:
        self._write = take
        self._hash = hashlib.sha256()
        self._dump = Dump()
        self._zip = zlib.decompressobj(wbits=31)
        self._begun = False
        self.size = self.unpacked = 0

    def take(self, bite: memoryview) -> None:
        """Raises Refused, and what taking raises."""
        self._hash.update(bite)
        for piece in self._unpack(bytes(bite)):
            if not self.unpacked and piece.startswith(b"PGDMP"):
                raise Refused("The backup is in pg_dump's custom format, not the plain text that psql reads.")
            self.unpacked += len(piece)
            self._write(self._dump.feed(piece))
        self.size += len(bite)

    def finish(self, checksum: str) -> None:
        """Raises Refused unless the backup was whole and has that SHA-256 (lower-case hex)."""
        if not self.size:
            raise Refused("The backup is empty.")
        if self._hash.hexdigest() != checksum:
            raise Refused(f"The backup's SHA-256 is {self._hash.hexdigest()}, but its checksum file says {checksum}.")
        if self._begun and not self._zip.eof:
            raise Refused("The backup is truncated: gzip's end is missing.")
        self._write(self._dump.finish())

    def _unpack(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._zip.eof:  # gzip allows several members in a row, and zeros behind the last
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._zip = zlib.decompressobj(wbits=31)
            self._begun = True
            try:
                piece = self._zip.decompress(data, _UNPACKED)
            except zlib.error:
                what = f"damaged after {self.unpacked} unpacked bytes" if self.unpacked else "not a gzip file"
                raise Refused(f"The backup is {what}.") from None
            data = self._zip.unused_data if self._zip.eof else self._zip.unconsumed_tail
            if piece:
                yield piece


async def _found(connection: Connection, *names: str) -> dict[str, _Found]:
    cursor = await connection.execute(_DATABASES, [list(names)])
    return {
        row["name"]: _Found(row["oid"], row["comment"], row["open"], dict(row["row"]))
        for row in await cursor.fetchall()
    }


_DATABASES = """
select oid, datname as name, coalesce(shobj_description(oid, 'pg_database'), '') as comment, datallowconn as open,
       to_jsonb(d) || jsonb_build_object('owner', pg_get_userbyid(datdba), 'encoding', pg_encoding_to_char(encoding),
         'tablespace', (select spcname from pg_tablespace t where t.oid = dattablespace and spcname <> 'pg_default')) as row
from pg_database d where datname = any(%s)
"""


def _swapped(found: dict[str, _Found], old: str, new: str, kept: str, run: str) -> bool | None:
    if old in found and found[old].comment == _mark(run, _IN_USE):
        return True if kept in found and new not in found else None
    return False if old in found and kept not in found else None


def _mark(run: str, state: str) -> str:
    if not re.fullmatch(r"[\w-]{1,60}", run):
        raise Refused(f"{run!r} cannot mark a database.")
    return f"recovery-bot {run} {state}"


def _comment(name: str, run: str, state: str) -> Composed:
    return SQL("comment on database {} is {}").format(Identifier(name), Literal(_mark(run, state)))


def _create(name: str, like: dict[str, Any]) -> Composed:
    """Closed, and as the other one: owner, encoding, locale, place, limit. What a server is too old for is not in its row."""
    options: list[tuple[LiteralString, str]] = [("owner", like["owner"]), ("encoding", like["encoding"])]
    options += [("lc_collate", like["datcollate"]), ("lc_ctype", like["datctype"])]
    provider, locale = like.get("datlocprovider"), like.get("datlocale") or like.get("daticulocale")
    if provider == "i":
        options += [("locale_provider", "icu"), ("icu_locale", str(locale))]
    elif provider == "b":
        options += [("locale_provider", "builtin"), ("builtin_locale", str(locale))]
    if like["tablespace"]:
        options.append(("tablespace", like["tablespace"]))
    words = [SQL("{} = {}").format(SQL(word), _value(word, value)) for word, value in options]
    head = SQL("create database {} template template0 allow_connections false connection limit {} ").format(
        Identifier(name), Literal(like["datconnlimit"])
    )
    return head + SQL(" ").join(words)


def _value(option: str, value: str) -> Identifier | Literal:
    return Identifier(value) if option in ("owner", "tablespace") else Literal(value)


async def _copy_settings(connection: Connection, old: _Found, name: str) -> None:
    """What was set for the old database as a whole: parameters (but no fence) and grants. Those of single roles stay."""
    cursor = await connection.execute(_SETTINGS, [old.oid])
    for row in await cursor.fetchall():
        setting, _, value = row["setting"].partition("=")
        if setting == "default_transaction_read_only":
            continue
        with suppress(psycopg.errors.InsufficientPrivilege):  # a superuser's setting; ours works without
            async with connection.transaction():
                await connection.execute("select set_config(%s, %s, true)", [setting, value])
                keep = SQL("alter database {} set {} from current")
                await connection.execute(keep.format(Identifier(name), Identifier(*setting.split("."))))
    if old.row["datacl"] is None:
        return
    await connection.execute(SQL("revoke all on database {} from public").format(Identifier(name)))
    for row in await (await connection.execute(_GRANTS, [old.oid])).fetchall():
        grantee = Identifier(row["grantee"]) if row["grantee"] else SQL("public")
        query = SQL("grant {} on database {} to {}").format(SQL(row["privilege"]), Identifier(name), grantee)
        await connection.execute(query + SQL(" with grant option" if row["grantable"] else ""))


_SETTINGS = "select unnest(setconfig) as setting from pg_db_role_setting where setdatabase = %s and setrole = 0"
_GRANTS = """
select a.privilege_type as privilege, a.is_grantable as grantable, r.rolname as grantee
from pg_database d, aclexplode(d.datacl) a left join pg_roles r on r.oid = a.grantee
where d.oid = %s and a.grantee <> d.datdba
"""


async def _keep_ending(connection: Connection, names: list[str]) -> None:
    """End whoever connects, again and again."""
    with suppress(psycopg.Error):
        while True:
            for name in names:
                await end_sessions(connection, name, patience=0.0)
            await asyncio.sleep(_BETWEEN)
