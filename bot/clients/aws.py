"""What all clients of AWS share: sessions, deadlines, and what an error means. Address and credentials come from AWS_*."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from botocore import exceptions as botocore
from botocore.parsers import ResponseParserError

from bot.errors import NeighbourError, NotFound, Refused, Unavailable
from bot.failures import why

_CONNECT, _READ = 5.0, 20.0  # seconds
_LATER = (
    "SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling", "RequestLimitExceeded",
    "PriorRequestNotComplete", "InternalServiceError",
)  # fmt: skip

_BROKEN = (
    botocore.HTTPClientError,
    botocore.ConnectionError,
    botocore.IncompleteReadError,
    ResponseParserError,  # whoever stands before AWS and answers in its place
    aiohttp.ClientError,
    TimeoutError,
    OSError,
)
ERRORS = (botocore.BotoCoreError, botocore.ClientError, *_BROKEN)
"""Whatever a call can raise."""


class Aws:
    """Clients of AWS services. Nothing is touched before the first call. `read`: seconds for which an answer is waited for."""

    def __init__(self, read: float = _READ) -> None:
        self._session: Any = None
        self._read = read

    @asynccontextmanager
    async def client(
        self, service: str, *, region: str | None = None, connections: int = 10, attempts: int = 2
    ) -> AsyncIterator[Any]:
        """A client for one piece of work; `attempts`: how often the library itself makes each call. Raises NeighbourError or
        NotFound, also for what happens inside of the block."""
        # Half a second of importing that the start of the bot has no use for.
        import aioboto3
        from botocore.config import Config

        if self._session is None:
            self._session = aioboto3.Session()
        config = Config(
            connect_timeout=_CONNECT,
            read_timeout=self._read,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=connections,
        )
        try:
            async with self._session.client(service, region_name=region, config=config) as made:
                yield made
        except ERRORS as error:
            raise meaning(error, TITLES.get(service, service)) from error


TITLES = {
    "s3": "S3",
    "ec2": "EC2",
    "route53": "Route 53",
    "secretsmanager": "Secrets Manager",
}


def meaning(error: Exception, service: str, what: str = "") -> NeighbourError | NotFound:
    """What an error means: later, no, or not there; `what` names the thing asked for. botocore's texts hold no secret."""
    if isinstance(error, botocore.ClientError):
        return _refusal(error.response, service, what)
    if isinstance(error, _BROKEN):
        return Unavailable(f"{service} does not answer ({why(error)})")
    return Refused(f"{service} cannot be asked: {str(error).splitlines()[0][:200]}")


def code_of(error: BaseException | None) -> str:
    """AWS's own word for an error, empty for anything else."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, botocore.ClientError) else ""


def _refusal(response: Any, service: str, what: str) -> NeighbourError | NotFound:
    said = response.get("Error", {})
    code, status = str(said.get("Code", "")), int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if status == 404 or code.startswith("NoSuch") or "NotFound" in code or code == "404":
        return NotFound(f"There is no {what or 'such thing'} in {service}.")
    if status >= 500 or status == 429 or any(code.startswith(word) for word in _LATER):
        return Unavailable(f"{service} says {code or status}: try later")
    return Refused(f"{service} says {code or status}: {str(said.get('Message', ''))[:200]}", code)
