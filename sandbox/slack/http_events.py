"""Delivery over HTTP: signed requests to the app's request URL."""

import asyncio
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from urllib.parse import urlencode

import aiohttp

from .delivery import EnvelopeKind, Reply, Retry
from .faults import Faults
from .model import Json

REDIRECTS = 2
FORM = "application/x-www-form-urlencoded"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Slack's v0 signature over the exact bytes that are sent."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


class HttpRoad:
    """Posts to `url`. The first request of its life is Slack's url_verification; `timeout` in seconds."""

    def __init__(
        self, url: str, secret: str, clock: Callable[[], float], faults: Faults, on_change: Callable[[], None]
    ) -> None:
        self.url = url
        self.timeout = 3.0
        self._secret = secret
        self._clock = clock
        self._faults = faults
        self._on_change = on_change
        self._verified = False
        self._verifying = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    @property
    def connected(self) -> bool:
        return self._verified

    async def send(self, kind: EnvelopeKind, payload: Json, retry: Retry | None) -> Reply:
        if self._faults.down or not await self.verify():
            return Reply(error="dispatch_failed", reason="connection_failed")
        if kind == "events_api":
            return await self._post(json.dumps(payload).encode(), "application/json", retry)
        form = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
        return await self._post(urlencode(form).encode(), FORM, retry)

    async def verify(self) -> bool:
        """Ask the URL to echo a challenge, once; true when it has ever done so."""
        async with self._verifying:
            if not self._verified:
                challenge = secrets.token_urlsafe(32)
                body = {"token": "local", "challenge": challenge, "type": "url_verification"}
                reply = await self._post(json.dumps(body).encode(), "application/json", None)
                said = reply.body.get("challenge") if isinstance(reply.body, dict) else reply.body
                self._verified = not reply.error and said == challenge
                if self._verified:
                    self._on_change()
            return self._verified

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def _post(self, body: bytes, content_type: str, retry: Retry | None) -> Reply:
        timestamp = str(int(self._clock()))
        headers = {
            "Content-Type": content_type,
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature(self._secret, timestamp, body),
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        }
        if retry:
            headers |= {"X-Slack-Retry-Num": str(retry.number), "X-Slack-Retry-Reason": retry.reason}
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False)
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        try:
            # aiohttp refuses at the n-th redirect, so one more than Slack follows.
            async with self._session.post(
                self.url, data=body, headers=headers, timeout=timeout, max_redirects=REDIRECTS + 1
            ) as answer:
                return _reply(answer.status, await answer.text(), answer.headers.get("x-slack-no-retry") == "1")
        except TimeoutError:
            return Reply(error="operation_timeout", reason="http_timeout")
        except aiohttp.TooManyRedirects:
            return Reply(error="dispatch_failed", reason="too_many_redirects")
        except aiohttp.ClientSSLError:
            return Reply(error="dispatch_failed", reason="ssl_error")
        except aiohttp.ClientConnectionError:
            return Reply(error="dispatch_failed", reason="connection_failed")
        except aiohttp.ClientError:
            return Reply(error="dispatch_failed", reason="unknown_error")


def _reply(status: int, text: str, no_retry: bool) -> Reply:
    if not 200 <= status < 300:
        return Reply(error="dispatch_failed", reason="http_error", no_retry=no_retry)
    if not text.strip():
        return Reply()
    try:
        body = json.loads(text)
    except ValueError:
        return Reply(body=text)
    return Reply(body=body if isinstance(body, dict) else text)
