"""The log: one line a record on stderr, secrets hidden whatever wrote them."""

from __future__ import annotations

import logging
from collections.abc import Callable

import aiohttp
from slack_sdk.errors import SlackClientError

NETWORK = (OSError, TimeoutError, aiohttp.ClientError, SlackClientError)


class _Redacting(logging.Formatter):
    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, NETWORK) and record.name.startswith("slack_"):
            # The SDK writes a traceback for each try while Slack is away; one line says as much.
            record.exc_info, record.exc_text = None, None
        return self._redact(super().format(record))


def set_up(redact: Callable[[str], str], level: str = "INFO") -> None:
    """Log to stderr. Libraries that tell each step are held to warnings."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Redacting(redact))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("procrastinate", "slack_bolt", "slack_sdk", "aiohttp.access", "psycopg.pool", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
