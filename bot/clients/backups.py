"""Backups in S3: what is there, and the bytes of one, in parallel ranges. Address and credentials come from AWS_*."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import PurePosixPath
from typing import Any

from botocore import exceptions as botocore

from bot.clients.aws import ERRORS, Aws, code_of, meaning
from bot.errors import NeighbourError, NotFound, Refused, Unavailable
from bot.tools import Backup

RANGE = 8 << 20
"""Bytes of one request; with `AHEAD` of them under way, one handed out and one being put together, 32 MiB."""
AHEAD = 2
TRIES = 4
PAUSE = 0.2
"""Seconds before a range that broke is asked for again; twice as many each time."""

_READERS = 16  # checksum files read side by side
_CHECKSUM_FILE = 8192  # bytes of a checksum file that are looked at

_GNU = re.compile(r"\\?([0-9a-fA-F]{64})(?:\s+[ *]?(.+))?\s*")
_BSD = re.compile(r"\\?SHA2?-?256 ?\((.+)\) ?= ?([0-9a-fA-F]{64})\s*", re.IGNORECASE)

_Bodies = deque[asyncio.Task[bytes]]


class S3Backups:
    """A Backups. Nothing is touched before the first call; each call has a client of its own."""

    def __init__(self, part: int = RANGE, ahead: int = AHEAD, pause: float = PAUSE) -> None:
        self._part = part
        self._ahead = ahead
        self._pause = pause
        self._aws = Aws()

    async def list(self, bucket: str, prefix: str, checksum: str) -> Sequence[Backup]:
        found: dict[str, Mapping[str, Any]] = {}
        async with self._client(bucket) as s3:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            async for page in pages:
                found |= {item["Key"]: item for item in page.get("Contents", ()) if not item["Key"].endswith("/")}
            files = {
                key for key in found if checksum and key.endswith(checksum) and key.removesuffix(checksum) in found
            }
            backups = [item for key, item in found.items() if key not in files]
            sums = await _checksums(
                s3, bucket, [item["Key"] for item in backups if item["Key"] + checksum in files], checksum
            )
        listed = [
            Backup(item["Key"], item["Size"], item["LastModified"], item.get("ETag", ""), sums.get(item["Key"], ""))
            for item in backups
        ]
        return sorted(listed, key=lambda backup: (backup.at, backup.key), reverse=True)

    async def stream(self, bucket: str, backup: Backup) -> AsyncGenerator[bytes, None]:
        starts = iter(range(0, backup.size, self._part))
        under_way: _Bodies = deque()
        async with self._client(bucket) as s3:

            def more() -> None:
                start = next(starts, None)
                if start is not None:
                    end = min(start + self._part, backup.size)
                    name = f"bytes {start} of {backup.key}"
                    under_way.append(asyncio.create_task(self._range(s3, bucket, backup, start, end), name=name))

            try:
                for _ in range(self._ahead):
                    more()
                while under_way:
                    body = await under_way[0]
                    under_way.popleft()
                    more()
                    yield body
                    del body
            finally:
                await _cancel(under_way)

    async def _range(self, s3: Any, bucket: str, backup: Backup, start: int, end: int) -> bytes:
        """The bytes from start up to end; asked for again when the connection breaks."""
        for attempt in range(TRIES):
            try:
                answer = await s3.get_object(
                    Bucket=bucket, Key=backup.key, Range=f"bytes={start}-{end - 1}", **_version(backup)
                )
                async with answer["Body"]:
                    read: bytes = await answer["Body"].read()
            except ERRORS as error:
                said = _said(error, bucket, backup.key)
                if not isinstance(said, Unavailable) or attempt == TRIES - 1:
                    raise said from error
            else:
                total = int(str(answer.get("ContentRange", "")).rpartition("/")[2] or -1)
                if total not in (-1, backup.size) or len(read) > end - start:
                    raise Refused(f"{backup.key} was replaced while it was being read.")
                if len(read) == end - start:
                    return read
            await asyncio.sleep(self._pause * 2**attempt)
        raise Refused(f"S3 gives fewer bytes of {backup.key} than it says the backup has.")

    @asynccontextmanager
    async def _client(self, bucket: str) -> AsyncIterator[Any]:
        """Raises NeighbourError, also for what happens inside of the block."""
        async with self._aws.client("s3", connections=max(_READERS, self._ahead)) as s3:
            try:
                yield s3
            except ERRORS as error:
                raise _said(error, bucket) from error


async def _checksums(s3: Any, bucket: str, keys: Sequence[str], ending: str) -> Mapping[str, str]:
    """What the checksum files of these backups say."""
    turn = asyncio.Semaphore(_READERS)
    reading = [asyncio.create_task(_checksum(s3, turn, bucket, key, ending), name=f"checksum of {key}") for key in keys]
    try:
        return dict(zip(keys, await asyncio.gather(*reading), strict=True))
    finally:
        await _cancel(reading)


async def _checksum(s3: Any, turn: asyncio.Semaphore, bucket: str, key: str, ending: str) -> str:
    """The SHA-256 that the checksum file of the backup says; empty when it cannot be read, or is of something else."""
    async with turn:
        try:
            answer = await s3.get_object(Bucket=bucket, Key=key + ending)
            async with answer["Body"]:
                text = await answer["Body"].read(_CHECKSUM_FILE)
        except botocore.ClientError as error:
            if isinstance(_said(error, bucket), Unavailable):
                raise
            return ""
    return sha256_of(text.decode("utf-8-sig", errors="replace"), PurePosixPath(key).name)


def sha256_of(text: str, name: str) -> str:
    """The SHA-256 (lower-case hex) of the file `name` in what sha256sum, shasum or openssl wrote; empty without one. Pure.

    A line without a file's name is of that file; one with another name is not.
    """
    for line in text.splitlines():
        if match := _GNU.fullmatch(line.strip()):
            digest, of = match[1], match[2]
        elif match := _BSD.fullmatch(line.strip()):
            digest, of = match[2], match[1]
        else:
            continue
        if not of or PurePosixPath(of.strip()).name == name:
            return digest.lower()
    return ""


def _version(backup: Backup) -> Mapping[str, str]:
    return {"IfMatch": backup.etag} if backup.etag else {}


async def _cancel(tasks: Collection[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen: another range's is being told


def _said(error: Exception, bucket: str, key: str = "") -> NeighbourError | NotFound:
    """What the error means for a backup; the bucket is named where it is what is missing."""
    if isinstance(error, botocore.ClientError):
        code = code_of(error)
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code == "NoSuchBucket":
            return NotFound(f"There is no bucket {bucket}.")
        if status in (412, 416) or code == "PreconditionFailed":
            return Refused(f"{key} was replaced while it was being read.", code)
        if status == 404:
            return NotFound(f"There is no {key or 'such object'} in {bucket}.")
    return meaning(error, "S3", key)
