"""Secrets in AWS Secrets Manager. Needs secretsmanager:DescribeSecret and secretsmanager:RotateSecret, and no reading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore import exceptions as botocore

from bot.clients.aws import Aws, meaning
from bot.tools import Secret

_SERVICE = "Secrets Manager"


class AwsSecrets:
    """A Secrets. Nothing is touched before the first call."""

    def __init__(self) -> None:
        self._aws = Aws()

    async def describe(self, name: str) -> Secret:
        async with self._aws.client("secretsmanager") as client:
            try:
                return _secret(await client.describe_secret(SecretId=name))
            except botocore.ClientError as error:
                raise meaning(error, _SERVICE, f"secret {name}") from error

    async def rotate(self, name: str, token: str) -> None:
        async with self._aws.client("secretsmanager") as client:
            try:
                await client.rotate_secret(SecretId=name, ClientRequestToken=token, RotateImmediately=True)
            except botocore.ClientError as error:
                raise meaning(error, _SERVICE, f"secret {name}") from error


def _secret(said: Mapping[str, Any]) -> Secret:
    stages: Mapping[str, list[str]] = said.get("VersionIdsToStages") or {}
    current = next((v for v, on in stages.items() if "AWSCURRENT" in on), "")
    # A finished rotation may leave the label on the version that is in use now.
    pending = next((v for v, on in stages.items() if "AWSPENDING" in on and v != current), "")
    return Secret(
        name=str(said["Name"]),
        identity=str(said["ARN"]),
        rotates=bool(said.get("RotationEnabled")),
        deleted=said.get("DeletedDate") is not None,
        current=current,
        pending=pending,
        versions=frozenset(stages),
        rotated_at=said.get("LastRotatedDate"),
    )
