"""Scenario 5, told whole: everything is down, people are sent to the DR site, and the platform is rebuilt from its code."""

import json
import re
from contextlib import AsyncExitStack

import psycopg
import pytest

from sandbox.cluster.faults import Fault
from sandbox.estate.dns import DR, PRIMARY, TTL
from sandbox.practice import Part
from tests.stories.again import sees
from tests.stories.scene import Scene, scene, whole
from tests.stories.test_security import ended
from tests.stories.wire import CHANGE, wire_to

PARTS: tuple[Part, ...] = ("postgres", "redis", "app", "s3", "dns", "cluster", "infrastructure")
NAME = "api.valuecanvas.com"


async def test_everything_is_down_and_is_healed_by_dns_and_code(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The panel takes everything away. The DR site serves, and the API is green; Terraform makes the primary site anew, the
    manifests are applied, the newest backup is restored; people are led back. The report has each time against its RTO. Route 53
    changes the records without an answer, the provider fails half-way, the cluster fails once: nothing is done twice."""
    async with AsyncExitStack() as stack:
        it = await stack.enter_async_context(scene(database, parts=PARTS, seconds_per_minute=4, bot=False))
        wire = await stack.enter_async_context(wire_to(it.practice, monkeypatch))
        await stack.enter_async_context(it.bot())
        dns, code, cluster = it.practice.dns, it.practice.code, it.practice.cluster
        assert dns is not None and code is not None and cluster is not None  # noqa: PT018
        assert (await it.post("/panel/do", part="outage", action="down")) == {"ok": True}
        room = await it.declares("P0 complete outage, nothing answers")
        says = "operating normally", f"DNS {NAME}: {PRIMARY}", "DR site: healthy", "Region disaster recovery"
        seen = await sees(it, room, "outage.assess", "addresses do not answer well", *says)
        assert re.search(r"BAD: Site \S+: no answer \(the connection is refused\)", whole(seen))

        await it.ana.clicks(seen, "recover_start_0", value=_offer("dns.failover"))
        plan = whole(await it.ana.reads(room, "What changes"))
        for words in (
            f"A {PRIMARY}, TTL {TTL} s",
            f"A {DR}, TTL 60 s",
            f"for up to {TTL} s",
            "2 approvers other than Ana",
        ):
            assert words in plan
        wire.breaks("lost", CHANGE)
        await _approved(it, room, 1)
        done = whole(await it.ana.reads(room, "2 of 2 resolvers answer with the DR site"))
        assert "it is healthy (HTTP 200)" in done
        assert "the number of the change is not known any more" in done
        assert sum(CHANGE in call for call in wire.passed) == 1
        assert await dns.leads(NAME + ".") == [DR]
        await it.ana.reads(room, "*API Services* is green again after")

        await it.ana.types("/recover infrastructure.rebuild", room)
        plan = whole(await it.ana.reads(room, "to destroy"))
        for words in (
            "2 to add, 0 to change, 1 to destroy",
            "DESTROYS terraform_data.bastion",
            "as in backups/valuecanvas-",
        ):
            assert words in plan
        code.cloud.fails["database"] = 1
        await _approved(it, room, 2)
        failed = whole(await it.ana.reads(room, "*failed*"))
        for words in (
            "InsufficientCapacity",
            "terraform_data.cluster: Creation complete",
            "What Terraform has made stays",
        ):
            assert words in failed
        cluster.faults.fail["patch services"] = Fault(500, "etcd is slow", times=1)
        await it.ana.types("/recover infrastructure.rebuild", room)
        await it.ana.reads(room, "1 to add, 0 to change, 0 to destroy")
        await _approved(it, room, 3)
        await ended(it, 3)
        done = whole(await it.ana.reads(room, "a write was read back"))
        for words in ("1 added, 0 changed, 0 destroyed", "status-page: created", "the application is healthy"):
            assert words in done
        with psycopg.connect(it.practice.env["DATABASE_URL"]) as connection:
            assert connection.execute("select count(*) from users").fetchone() == (500,)
        for service in ("Database", "Redis Cache"):
            await it.ana.reads(room, f"*{service}* is green again after")

        await it.chloe.types("/recover undo RUN-1", room)
        await it.ana.reads(room, "*undone*")
        assert await dns.leads(NAME + ".") == [PRIMARY]
        await sees(it, room, "outage.assess", "all 4 addresses answer well from outside")
        await it.ana.types("/incident resolve the primary site is rebuilt", room)
        report = whole(await it.ana.reads(room, "Incident Report"))
        for service, goal in (("API Services", "10 min"), ("Database", "5 min"), ("Redis Cache", "5 min")):
            assert re.search(rf"{service} is green again after .* \(RTO {goal}: (kept|missed)\)", report)
        assert any("RUN-3 infrastructure.rebuild succeeded" in e.text for e in await it.timeline(1))


async def _approved(it: Scene, room: str, run: int) -> None:
    """By two others."""
    for who in (it.chloe, it.dev):
        await who.types(f"/recover approve RUN-{run}", room)


def _offer(name: str) -> str:
    return json.dumps({"name": name, "incident": "1", "words": {}}, separators=(",", ":"))
