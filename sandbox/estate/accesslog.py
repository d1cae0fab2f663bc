"""S3's server access logs in front of moto: who asked for the backups, delivered some moments later as objects of LOGS.

moto's own ones know neither the object nor who asked. Only what asks for an object is logged, not listings and not ours.
"""

import contextlib
import re
import secrets
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

Answer = Iterable[bytes]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Answer]

WATCHED, LOGS, PREFIX = "valuecanvas-backups", "valuecanvas-logs", "s3/valuecanvas-backups/"
DELIVERED_AFTER = 0.2
"""Seconds; AWS takes hours."""
OWNER = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
_ACCESS_KEY = re.compile(r"Credential=([^/\s]+)/")
_CONFIGURATION = (
    '<?xml version="1.0" encoding="UTF-8"?><BucketLoggingStatus xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    f"<LoggingEnabled><TargetBucket>{LOGS}</TargetBucket><TargetPrefix>{PREFIX}</TargetPrefix></LoggingEnabled>"
    "</BucketLoggingStatus>"
).encode()


def logged(inner: Wsgi) -> Wsgi:
    """`inner`, and reads of WATCHED leave a line."""
    waiting: list[str] = []
    lock = threading.Lock()

    def deliver() -> None:
        with lock:
            lines = waiting.copy()
            waiting.clear()
        name = f"{datetime.now(UTC):%Y-%m-%d-%H-%M-%S}-{secrets.token_hex(8).upper()}"
        with contextlib.suppress(Exception):  # as AWS: delivery is not promised, and the bucket may not be there
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(LOGS, PREFIX + name, "".join(lines).encode())

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
        if bucket == WATCHED and not key and environ.get("QUERY_STRING") == "logging":
            start("200 OK", [("Content-Type", "application/xml"), ("Content-Length", str(len(_CONFIGURATION)))])
            return [_CONFIGURATION]
        if bucket != WATCHED or not key or environ["REQUEST_METHOD"] != "GET":
            return inner(environ, start)
        status, size = "-", "-"

        def begin(said: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            nonlocal status, size
            status = said.partition(" ")[0]
            size = next((v for n, v in headers if n.lower() == "content-length"), "-")
            return start(said, headers, *rest)

        body = inner(environ, begin)
        with lock:
            if not waiting:
                threading.Timer(DELIVERED_AFTER, deliver).start()
            waiting.append(_line(environ, bucket, key, status, size))
        return body

    return answer


def _line(environ: dict[str, Any], bucket: str, key: str, status: str, size: str) -> str:
    """One record in the format of AWS."""
    address = environ.get("HTTP_X_FORWARDED_FOR") or environ.get("REMOTE_ADDR", "-")
    found = _ACCESS_KEY.search(environ.get("HTTP_AUTHORIZATION", ""))
    who = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:user/{found[1]}" if found else "-"
    at = f"{datetime.now(UTC):%d/%b/%Y:%H:%M:%S} +0000"
    agent = environ.get("HTTP_USER_AGENT", "-").replace('"', "")
    return (
        f"{OWNER} {bucket} [{at}] {address} {who} {secrets.token_hex(8).upper()} REST.GET.OBJECT {key}"
        f' "GET /{bucket}/{key} HTTP/1.1" {status} - {size} {size} 12 11 "-" "{agent}" - {secrets.token_hex(16)} SigV4'
        " ECDHE-RSA-AES128-GCM-SHA256 AuthHeader s3.us-east-1.amazonaws.com TLSv1.2 - -\n"
    )
