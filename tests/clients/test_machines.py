"""Machines in EC2, asked of the practice estate's over HTTP."""

from pathlib import Path

import pytest

from bot.clients.machines import Ec2Machines
from bot.errors import NotFound, Refused, Unavailable
from sandbox.estate.machines import GROUP, MACHINES, REGION, ZONE, Ec2
from sandbox.estate.s3 import S3


async def test_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one is, that ending it twice is the same, what is refused, and that an unknown one, or nobody's answer, is said."""
    aws, machines = S3(tmp_path), Ec2Machines()
    await aws.start()
    try:
        for name, value in {"ENDPOINT_URL": aws.url, "ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        id_ = MACHINES["node-2"].id
        found = await machines.find(REGION, id_)
        assert found is not None
        assert (found.id, found.zone, found.state, found.address) == (id_, ZONE, "running", "172.31.0.12")
        assert (found.kind, found.group, found.ends) == ("t3.large", GROUP, False)
        assert await machines.find(REGION, "i-0123456789abcdef0") is None
        for _ in range(2):
            await machines.terminate(REGION, id_)
        found = await machines.find(REGION, id_)
        assert found is not None
        assert found.ends
        made = await Ec2(aws).launch("node-4")
        assert {machine.id for machine in await Ec2(aws).machines() if machine.state == "running"} == {
            made.id,
            *(MACHINES[name].id for name in ("node-1", "node-3")),
        }
        with pytest.raises(NotFound, match="no instance i-0123456789abcdef0 in EC2"):
            await machines.terminate(REGION, "i-0123456789abcdef0")
        protect = {"Action": "ModifyInstanceAttribute", "DisableApiTermination.Value": "true"}
        await Ec2(aws).ask({**protect, "InstanceId": made.id})
        with pytest.raises(Refused, match="OperationNotPermitted"):
            await machines.terminate(REGION, made.id)
        await aws.shut()
        with pytest.raises(Unavailable, match="EC2 does not answer"):
            await machines.find(REGION, id_)
    finally:
        await aws.stop()
