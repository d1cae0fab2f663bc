"""What a connection that failed means is said in words for people, whatever library it went wrong in."""

import socket
import ssl

import aiohttp
import psycopg
import pytest
import redis.exceptions
import requests
from aiohttp.client_reqrep import ConnectionKey
from botocore.exceptions import ReadTimeoutError
from botocore.parsers import ResponseParserError

from bot.failures import why

TO = ConnectionKey("site", 443, True, True, None, None, None)
UNTRUSTED = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (aiohttp.ClientConnectorDNSError(TO, socket.gaierror(-2, "unknown")), "its name cannot be resolved"),
        (aiohttp.ClientConnectorError(TO, ConnectionRefusedError(111, "no")), "the connection is refused"),
        (aiohttp.ClientConnectorCertificateError(TO, UNTRUSTED), "its TLS certificate is not trusted"),
        (aiohttp.ClientConnectorSSLError(TO, ssl.SSLError(1, "wrong version")), "no TLS connection comes about"),
        (aiohttp.ClientConnectorError(TO, OSError(113, "No route to host")), "no route to host"),
        (aiohttp.ServerTimeoutError(), "no answer in time"),
        (aiohttp.ServerDisconnectedError(), "the connection broke off"),
        (ConnectionResetError(104, "Connection reset by peer"), "the connection broke off"),
        (aiohttp.ClientPayloadError("not completed"), "the connection broke off"),
        (aiohttp.InvalidURL("x"), "its address is not a URL"),
        (LookupError("unknown encoding: x"), "what comes back cannot be read"),
        (requests.exceptions.ReadTimeout("Read timed out."), "no answer in time"),
        (requests.exceptions.ConnectionError(), "the connection broke off"),
        (redis.exceptions.TimeoutError("Timeout reading"), "no answer in time"),
        (redis.exceptions.ConnectionError("Connection closed by server."), "the connection broke off"),
        (ReadTimeoutError(endpoint_url="http://aws"), "no answer in time"),
        (ResponseParserError("no XML"), "what comes back cannot be read"),
        (psycopg.OperationalError("failed to resolve host 'db': unknown"), "its name cannot be resolved"),
        (psycopg.OperationalError("connection failed: Connection refused\n\tIs it running?"), "the connection is refused"),
        (psycopg.OperationalError('password authentication failed for user "u"'), "it refuses our password"),
        (Exception(), "the connection failed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)  # fmt: skip
def test_every_library_says_it_in_our_words(error: Exception, words: str) -> None:
    """Never the name of a class, nor an address or a password that stands in the error's own text."""
    assert why(error) == words


def test_what_an_error_was_made_of_counts() -> None:
    """As its cause, its context, its reason or an argument."""
    refused = ConnectionRefusedError(111, "no")
    for wrapped in (Exception("x", refused), Exception("x")):
        wrapped.__cause__ = refused
        assert why(wrapped) == "the connection is refused"
    loop = Exception("x")
    loop.__context__ = Exception(loop)
    assert why(loop) == "the connection failed"
