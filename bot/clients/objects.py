"""Objects of S3: listings, access logs, and uploads in parts. Address and credentials come from AWS_*."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from bot.clients.aws import ERRORS, Aws, code_of, meaning
from bot.errors import NotFound
from bot.tools import StoredObject

PART = 8 << 20
"""Bytes of one part; what is smaller than one is a single request."""
LONGEST = 64 << 10
"""Bytes of a line of a log, or of a small object, that are looked at."""
_PIECE = 256 << 10


class S3Objects:
    """An Objects; each call has a client of its own."""

    def __init__(self, part: int = PART) -> None:
        self._part = part
        self._aws = Aws()

    async def listing(self, bucket: str) -> AsyncGenerator[StoredObject, None]:
        async with self._client(bucket) as s3:
            async for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for item in page.get("Contents", ()):
                    yield StoredObject(item["Key"], item["Size"], item["LastModified"], item.get("ETag", ""))

    async def logged_in(self, bucket: str) -> tuple[str, str] | None:
        async with self._client(bucket) as s3:
            said = (await s3.get_bucket_logging(Bucket=bucket)).get("LoggingEnabled")
        return (str(said["TargetBucket"]), str(said.get("TargetPrefix", ""))) if said else None

    async def access(self, bucket: str, prefix: str, since: datetime) -> AsyncGenerator[str, None]:
        async with self._client(bucket) as s3:
            files: list[tuple[datetime, str]] = []
            # A file is named after the instant of its delivery, which is later than what it tells of.
            start = f"{prefix}{since - timedelta(seconds=1):%Y-%m-%d-%H-%M-%S}"
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, StartAfter=start)
            async for page in pages:
                files += [(item["LastModified"], item["Key"]) for item in page.get("Contents", ())]
            for _, key in sorted(files):
                answer = await s3.get_object(Bucket=bucket, Key=key)
                async with answer["Body"]:
                    async for line in _lines(answer["Body"]):
                        yield line

    async def put(self, bucket: str, key: str, chunks: AsyncIterator[bytes]) -> str:
        async with self._client(bucket, key) as s3:
            locked, rule = await _lock(s3, bucket)
            extra = {"ObjectLockLegalHoldStatus": "ON"} if locked and not rule else {}
            await _upload(s3, bucket, key, chunks, extra, self._part)
            return _protection(await s3.head_object(Bucket=bucket, Key=key)) if locked else ""

    async def text(self, bucket: str, key: str) -> str | None:
        try:
            async with self._client(bucket, key) as s3:
                answer = await s3.get_object(Bucket=bucket, Key=key)
                async with answer["Body"]:
                    return str((await answer["Body"].read(LONGEST)).decode(errors="replace"))
        except NotFound:
            # A bucket that is not there has no such object either; who writes to it hears of it.
            return None

    @asynccontextmanager
    async def _client(self, bucket: str, key: str = "") -> AsyncIterator[Any]:
        async with self._aws.client("s3") as s3:
            try:
                yield s3
            except ERRORS as error:
                what = f"bucket {bucket}" if code_of(error) == "NoSuchBucket" or not key else key
                raise meaning(error, "S3", what) from error


async def _lines(body: Any) -> AsyncIterator[str]:
    held = b""
    while piece := await body.read(_PIECE):
        *whole, held = (held + piece).split(b"\n")
        held = held[:LONGEST]
        for line in whole:
            yield line.decode(errors="replace")
    if held:
        yield held.decode(errors="replace")


async def _lock(s3: Any, bucket: str) -> tuple[bool, bool]:
    """(object lock is on, it has a rule for everything that is put there)."""
    try:
        said = (await s3.get_object_lock_configuration(Bucket=bucket))["ObjectLockConfiguration"]
    except ERRORS as error:
        if code_of(error).startswith(("ObjectLockConfigurationNotFound", "AccessDenied", "MethodNotAllowed")):
            return False, False
        raise
    return said.get("ObjectLockEnabled") == "Enabled", bool((said.get("Rule") or {}).get("DefaultRetention"))


async def _upload(
    s3: Any, bucket: str, key: str, chunks: AsyncIterator[bytes], extra: Mapping[str, str], size: int
) -> None:
    held, parts, upload = bytearray(), list[dict[str, Any]](), ""
    place = {"Bucket": bucket, "Key": key}
    try:
        async for chunk in chunks:
            held += chunk
            while len(held) >= size:
                upload = upload or str((await s3.create_multipart_upload(**place, **extra))["UploadId"])
                parts.append(await _part(s3, place, upload, len(parts) + 1, bytes(held[:size])))
                del held[:size]
        if not upload:
            await s3.put_object(**place, **extra, Body=bytes(held))
            return
        if held:
            parts.append(await _part(s3, place, upload, len(parts) + 1, bytes(held)))
        await s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
    except BaseException:  # also when cancelled: parts of an upload that was begun are paid for until it is aborted
        if upload:
            with contextlib.suppress(*ERRORS):
                await s3.abort_multipart_upload(**place, UploadId=upload)
        raise


async def _part(s3: Any, place: Mapping[str, str], upload: str, number: int, body: bytes) -> dict[str, Any]:
    said = await s3.upload_part(**place, UploadId=upload, PartNumber=number, Body=body)
    sums = {name: said[name] for name in ("ChecksumCRC32", "ChecksumCRC64NVME") if said.get(name)}
    return {"ETag": said["ETag"], "PartNumber": number, **sums}


def _protection(said: Mapping[str, Any]) -> str:
    words = []
    if until := said.get("ObjectLockRetainUntilDate"):
        words.append(f"locked until {until:%Y-%m-%d} ({str(said.get('ObjectLockMode', '')).lower()})")
    if said.get("ObjectLockLegalHoldStatus") == "ON":
        words.append("under legal hold")
    return ", ".join(words)
