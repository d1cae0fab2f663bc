"""Machines in EC2. Needs ec2:DescribeInstances and ec2:TerminateInstances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore import exceptions as botocore

from bot.clients.aws import Aws, meaning
from bot.errors import NotFound
from bot.tools import Machine

_GROUP = "aws:autoscaling:groupName"


class Ec2Machines:
    """A Machines. Nothing is touched before the first call."""

    def __init__(self) -> None:
        self._aws = Aws()

    async def find(self, region: str, instance: str) -> Machine | None:
        async with self._aws.client("ec2", region=region) as client:
            try:
                said = await client.describe_instances(InstanceIds=[instance])
            except botocore.ClientError as error:
                meant = meaning(error, "EC2", f"instance {instance}")
                if isinstance(meant, NotFound):
                    return None
                raise meant from error
        found = [one for reservation in said["Reservations"] for one in reservation["Instances"]]
        return _machine(found[0]) if found else None

    async def terminate(self, region: str, instance: str) -> None:
        async with self._aws.client("ec2", region=region) as client:
            try:
                await client.terminate_instances(InstanceIds=[instance])
            except botocore.ClientError as error:
                raise meaning(error, "EC2", f"instance {instance}") from error


def _machine(said: Mapping[str, Any]) -> Machine:
    tags = {tag["Key"]: tag["Value"] for tag in said.get("Tags") or []}
    return Machine(
        id=str(said["InstanceId"]),
        zone=str((said.get("Placement") or {}).get("AvailabilityZone") or ""),
        state=str(said["State"]["Name"]),
        address=str(said.get("PrivateIpAddress") or ""),
        kind=str(said.get("InstanceType") or ""),
        group=str(tags.get(_GROUP, "")),
    )
