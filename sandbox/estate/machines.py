"""EC2 in front of moto: the machines that the practice cluster's first nodes run on, and who starts new ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import urlencode
from xml.etree import ElementTree

from sandbox.estate.s3 import S3

Answer = Iterable[bytes]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Answer]

REGION = "us-east-1"
ZONE = f"{REGION}a"
GROUP = "valuecanvas-nodes"
_TYPE, _IMAGE = "t3.large", "ami-12c6146b"
_XML = "{*}"  # moto answers calls with different versions of EC2's


class Machine(NamedTuple):
    """One instance: its id, its private address, and what EC2 calls its state."""

    id: str
    address: str
    state: str = "running"

    @property
    def provider(self) -> str:
        """As a node names it in `spec.providerID`."""
        return f"aws:///{ZONE}/{self.id}"


MACHINES = {f"node-{n}": Machine(f"i-0a51c0de0000000{n}", f"172.31.0.1{n}") for n in (1, 2, 3)}
"""Of the nodes that are there at first."""


def seeded(inner: Wsgi) -> Wsgi:
    """`inner`, and the machines are there as soon as somebody asks for any: moto's EC2 takes seconds to load."""
    once, done = threading.Lock(), threading.Event()

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        if not done.is_set() and "/ec2/" in environ.get("HTTP_AUTHORIZATION", ""):
            with once:
                if not done.is_set():
                    _seed()
                    done.set()
        return inner(environ, start)

    return answer


def _seed() -> None:
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.ec2.models import ec2_backends

    backend: Any = ec2_backends[DEFAULT_ACCOUNT_ID][REGION]
    for name, machine in MACHINES.items():
        made = backend.run_instances(
            _IMAGE, 1, "", [], instance_type=_TYPE, placement=ZONE, private_ip=machine.address,
            is_instance_type_default=False, ebs_optimized=False, associate_public_ip=False, security_group_ids=[],
        )  # fmt: skip
        # One that is known before it is there.
        made.instances[0].id = machine.id
        made.instances[0].add_tags({"Name": name, "aws:autoscaling:groupName": GROUP})


class Ec2:
    """What the autoscaling group asks of EC2. Raises CannotDo."""

    def __init__(self, aws: S3) -> None:
        self._aws = aws

    async def machines(self) -> list[Machine]:
        """All that EC2 still knows, also those that are terminated."""
        return _machines(await self.ask({"Action": "DescribeInstances"}))

    async def launch(self, name: str) -> Machine:
        """A new one."""
        asked = {"Action": "RunInstances", "ImageId": _IMAGE, "MinCount": "1", "MaxCount": "1", "InstanceType": _TYPE}
        asked |= {"Placement.AvailabilityZone": ZONE, "TagSpecification.1.ResourceType": "instance"}
        for number, (key, value) in enumerate((("Name", name), ("aws:autoscaling:groupName", GROUP)), start=1):
            asked |= {f"TagSpecification.1.Tag.{number}.Key": key, f"TagSpecification.1.Tag.{number}.Value": value}
        return _machines(await self.ask(asked))[0]

    async def ask(self, asked: dict[str, str]) -> bytes:
        """Any call of EC2's API: its action and parameters; the XML."""
        body = urlencode({"Version": "2016-11-15", **asked}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self._aws.ask("POST", "", body, headers, service="ec2")


def _machines(answer: bytes) -> list[Machine]:
    tree = ElementTree.fromstring(answer)  # noqa: S314 - our own server's words
    return [
        Machine(
            item.findtext(f"{_XML}instanceId", ""),
            item.findtext(f"{_XML}privateIpAddress", ""),
            item.findtext(f"{_XML}instanceState/{_XML}name", ""),
        )
        for items in tree.findall(f".//{_XML}instancesSet")
        for item in items
    ]
