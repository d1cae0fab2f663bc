"""Secrets Manager's rotation in front of moto: a rotation is asked for, and done some moments later, as by a function of AWS.

moto itself finishes a rotation at once, or wants a function that it runs in a container.
"""

import contextlib
import io
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.secretsmanager.models import secretsmanager_backends

from sandbox.estate.s3 import SECRET

Answer = Iterable[bytes]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Answer]

REGION = "us-east-1"
TAKES = 0.6
"""Seconds that a rotation takes."""
FUNCTION = f"arn:aws:lambda:{REGION}:{DEFAULT_ACCOUNT_ID}:function:rotate-valuecanvas"
_TARGET = "secretsmanager.RotateSecret"


def seed() -> None:
    """ValueCanvas's secret, with a rotation every 30 days."""
    backend = secretsmanager_backends[DEFAULT_ACCOUNT_ID][REGION]
    nothing: dict[str, Any] = {
        "secret_binary": None,
        "tags": [],
        "kms_key_id": None,
        "client_request_token": None,
        "replica_regions": [],
    }
    backend.create_secret(name=SECRET, secret_string=_value(), description="", force_overwrite=False, **nothing)
    secret: Any = backend.secrets[SECRET]
    secret.rotation_requested = secret.rotation_enabled = True
    secret.rotation_lambda_arn, secret.auto_rotate_after_days = FUNCTION, 30
    secret.last_rotation_date = int(time.time()) - 12 * 86400


def rotating(inner: Wsgi) -> Wsgi:
    """`inner`, and RotateSecret takes its time. A token that is known is a rotation that was asked for already."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        if environ.get("HTTP_X_AMZ_TARGET") != _TARGET:
            return inner(environ, start)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        asked = json.loads(body)
        secret: Any = secretsmanager_backends[DEFAULT_ACCOUNT_ID][REGION].secrets.get(asked.get("SecretId", ""))
        if secret is None or secret.is_deleted() or not secret.rotation_enabled:
            # What AWS says to these moto says as well, but for a secret without a rotation.
            if secret is not None and not secret.is_deleted():
                return _refused(start, "You must specify a rotation function.")
            return inner({**environ, "wsgi.input": io.BytesIO(body)}, start)
        token = str(asked.get("ClientRequestToken") or secrets.token_hex(16))
        pending = next((v for v, one in secret.versions.items() if "AWSPENDING" in one["version_stages"]), token)
        if pending not in (token, secret.default_version_id):
            return _refused(start, "A previous rotation isn't complete. That rotation will be reattempted.")
        if token not in secret.versions:
            secret.versions[token] = _version(token)
            threading.Timer(TAKES, _finish, (secret, token)).start()
        said = {"ARN": secret.arn, "Name": secret.name, "VersionId": token}
        return _said(start, "200 OK", said)

    return answer


def _version(token: str) -> dict[str, Any]:
    value = {"secret_string": _value(), "createdate": int(time.time()), "version_id": token}
    return {**value, "version_stages": ["AWSPENDING"]}


def _finish(secret: Any, token: str) -> None:
    """What a rotation function does last: the new version is the one in use."""
    with contextlib.suppress(KeyError):  # the secret was taken away meanwhile
        secret.reset_default_version(secret.versions[token], token)
        secret.versions[token]["version_stages"] = ["AWSCURRENT"]
        secret.last_rotation_date = int(time.time())


def _refused(start: Callable[..., Any], why: str) -> Answer:
    return _said(start, "400 Bad Request", {"__type": "InvalidRequestException", "message": why})


def _said(start: Callable[..., Any], status: str, body: dict[str, Any]) -> Answer:
    text = json.dumps(body).encode()
    start(status, [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(text)))])
    return [text]


def _value() -> str:
    return json.dumps({"API_TOKEN": secrets.token_urlsafe(18), "SESSION_KEY": secrets.token_urlsafe(32)})
