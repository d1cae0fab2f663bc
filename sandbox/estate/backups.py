"""Backups of ValueCanvas's database as its nights leave them in S3: gzipped SQL, each with a `.sha256` beside it."""

import asyncio
import gzip
import hashlib
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from sandbox.estate.children import CannotDo, Child, Unprivileged
from sandbox.estate.s3 import BACKUPS, S3, Stored
from sandbox.estate.wheels import postgres_programs

PREFIX = "backups/"
NIGHTS, HOUR = 4, 2
# How many canvases fewer there were each night before.
GROWTH = 20
_PG_DUMP = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password", "PGDATABASE": "dbname"}


class Backups:
    """Takes backups of the database at `database()` into `s3`. `clock` gives seconds since 1970."""

    def __init__(
        self, home: Path, user: Unprivileged | None, s3: S3, database: Callable[[], str], clock: Callable[[], float]
    ) -> None:
        self._home, self._user, self._s3, self._database, self._clock = home, user, s3, database, clock
        self._digests: dict[str, str] = {}

    async def nights(self, dump: Path) -> None:
        """Store those of the last nights: `dump` for the newest, and with fewer canvases for those before."""
        newest = last_night(datetime.fromtimestamp(self._clock(), UTC))
        content = await asyncio.to_thread(dump.read_bytes)
        for age in range(NIGHTS):
            night = newest - timedelta(days=age)
            earlier = await asyncio.to_thread(shortened, content, age * GROWTH) if age else content
            await self._store(f"{PREFIX}valuecanvas-{night:%Y-%m-%d}.sql.gz", earlier, night)

    async def take(self) -> str:
        """Take one now; its key. Raises CannotDo."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        dump = await self.dump()
        try:
            key = f"{PREFIX}valuecanvas-{now:%Y-%m-%dT%H%M%SZ}.sql.gz"
            await self._store(key, dump, now)
        finally:
            dump.unlink()
        return key

    async def dump(self) -> Path:
        """A new file that holds the database as gzipped plain SQL. Raises CannotDo."""
        file = self._home / f"dump-{secrets.token_hex(4)}.sql.gz"
        file.touch(mode=0o600)
        known = conninfo_to_dict(self._database())
        environment = {name: str(known[key]) for name, key in _PG_DUMP.items() if key in known}
        programs = await asyncio.to_thread(postgres_programs, self._home, self._user)
        # No role is named in it: whoever restores it owns what is in it.
        argv = [str(programs / "pg_dump"), "--no-owner", "--no-privileges", "--no-sync", "--no-password"]
        argv += ["--compress=gzip:6", f"--file={file}"]
        child = Child("pg_dump", argv, env={"LC_ALL": "C", **environment}, log=self._home / "backups.log")
        try:
            status = await child.run()
        except BaseException:
            file.unlink()
            raise
        if status != 0:
            file.unlink()
            raise CannotDo(f"The database could not be dumped: {child.said(3)}")
        return file

    async def corrupt_newest(self) -> str:
        """Cut the newest backup in half and leave its checksum as it is; its key. Raises CannotDo."""
        dumps = await self.listed()
        if not dumps:
            raise CannotDo("There is no backup.")
        content = await self._s3.get(BACKUPS, dumps[0].key)
        await self._s3.put(BACKUPS, dumps[0].key, content[: len(content) // 2], dumps[0].at)
        return dumps[0].key

    async def listed(self) -> list[Stored]:
        """The backups without their checksums, newest first. Raises CannotDo."""
        stored = await self._s3.listed(BACKUPS, PREFIX)
        return [one for one in reversed(stored) if one.key.endswith(".gz")]

    async def sound(self, backup: Stored) -> bool:
        """Whether its checksum holds; each content is read once. Raises CannotDo."""
        if backup.etag not in self._digests:
            content = await self._s3.get(BACKUPS, backup.key)
            self._digests[backup.etag] = await asyncio.to_thread(sha256, content)
        line = await self._s3.get(BACKUPS, f"{backup.key}.sha256")
        return line.decode().split()[:1] == [self._digests[backup.etag]]

    async def _store(self, key: str, content: bytes | Path, at: datetime) -> None:
        digest = await asyncio.to_thread(sha256, content)
        await self._s3.put(BACKUPS, key, content, at)
        line = f"{digest}  {key.removeprefix(PREFIX)}\n"
        await self._s3.put(BACKUPS, f"{key}.sha256", line.encode(), at)


def last_night(now: datetime) -> datetime:
    """The last time before `now` that the nightly backup was due."""
    today = now.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return today if today <= now else today - timedelta(days=1)


def shortened(dump: bytes, rows: int) -> bytes:
    """A gzipped plain SQL dump without the last `rows` rows of canvases."""

    def lines() -> Iterator[bytes]:
        held: list[bytes] = []
        inside = False
        for line in gzip.decompress(dump).splitlines(keepends=True):
            inside = inside and line != b"\\.\n"
            if inside:
                held.append(line)
                continue
            yield from held[: max(0, len(held) - rows)]
            held.clear()
            yield line
            inside = line.startswith(b"COPY public.canvases ")

    return gzip.compress(b"".join(lines()), 6, mtime=0)


def sha256(content: bytes | Path) -> str:
    """The checksum in hex."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
