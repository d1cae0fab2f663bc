"""Why somebody could not be reached, in words for people: errors have the names of classes, and differ by library."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import aiohttp

_WORDS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((socket.gaierror, aiohttp.ClientConnectorDNSError), "its name cannot be resolved"),
    ((ssl.SSLCertVerificationError, aiohttp.ClientConnectorCertificateError), "its TLS certificate is not trusted"),
    ((ssl.SSLError, aiohttp.ClientConnectorSSLError), "no TLS connection comes about"),
    ((ConnectionRefusedError,), "the connection is refused"),
    ((TimeoutError,), "no answer in time"),
    ((ConnectionError, aiohttp.ClientPayloadError, EOFError), "the connection broke off"),
    ((aiohttp.ServerDisconnectedError,), "the connection broke off"),
    ((aiohttp.InvalidURL,), "its address is not a URL"),
    ((aiohttp.TooManyRedirects,), "it redirects without end"),
    ((aiohttp.ClientResponseError, ValueError, LookupError), "what comes back cannot be read"),
)
"""The first line that fits any part of an error says it."""

_SAID = (
    ("NameResolution", "its name cannot be resolved"),
    ("resolve host", "its name cannot be resolved"),
    ("translate host name", "its name cannot be resolved"),
    ("Connection refused", "the connection is refused"),
    ("authentication failed", "it refuses our password"),
    ("Timeout", "no answer in time"),
    ("timeout expired", "no answer in time"),
    ("timed out", "no answer in time"),
    ("SSLError", "no TLS connection comes about"),
    ("ConnectionClosed", "the connection broke off"),
    ("IncompleteRead", "the connection broke off"),
    ("ConnectionError", "the connection broke off"),
    ("closed the connection", "the connection broke off"),
    ("terminating connection", "the connection broke off"),
    ("Parser", "what comes back cannot be read"),
)
"""Where only the name or the text of an error says it: libpq's, and those of libraries that not everybody has use for."""


def why(error: BaseException) -> str:
    """What is wrong with a connection, without an end: `the connection is refused`."""
    parts = list(_parts(error))
    for kinds, words in _WORDS:
        if any(isinstance(part, kinds) for part in parts):
            return words
    for word, words in _SAID:
        if any(word in f"{type(part).__name__}: {part}" for part in parts):
            return words
    said = next((part.strerror for part in parts if isinstance(part, OSError) and part.strerror), "")
    return said.lower() or "the connection failed"


def _parts(error: BaseException) -> Iterator[BaseException]:
    """The error, and whatever it was made of: libraries wrap each other's."""
    seen: set[int] = set()
    left: list[object] = [error]
    while left:
        part = left.pop(0)
        if not isinstance(part, BaseException) or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        left += [part.__cause__, part.__context__, getattr(part, "reason", None), *part.args]
