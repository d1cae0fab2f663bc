"""A dead primary, healed: by the runbook's lines of 1.2 in a shell script, and by a click on Approve. Both on one kind of
estate, each from its beginning until the application is healthy; and how soon a click has its first effect."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable

import aiohttp

from benchmarks.figure import Figure, median
from benchmarks.stage import Stage, stage, until
from bot.clients.psql import find
from sandbox.practice import Part

PARTS: tuple[Part, ...] = ("postgres", "standby", "redis", "app", "cluster")
ROUNDS = 3
_RUNBOOK = """
set -eu
"$PSQL" "$REPLICA" -qAtc "SELECT pg_promote()" >/dev/null
kubectl -n production set env deployment/api-server DATABASE_URL="$REPLICA" >/dev/null
kubectl -n production rollout restart deployment/api-server >/dev/null
kubectl -n production rollout status deployment/api-server --timeout=120s >/dev/null
until curl -fs -o /dev/null "$HEALTH"; do sleep 0.2; done
"""
"""The runbook's own lines; `pg_ctl promote` is said in SQL, as the standby is not on this shell's machine."""


async def figures() -> list[Figure]:
    by_bot, first = [], []
    for _ in range(ROUNDS):
        took, effect = await _by_bot()
        by_bot.append(took)
        first.append(effect)
    found = [Figure("Failover, approval to healthy", median(by_bot), "s", None, f"median of {ROUNDS}", 2)]
    if shutil.which("kubectl") and shutil.which("curl"):
        by_script = [await _by_script() for _ in range(ROUNDS)]
        found.append(Figure("Failover, the runbook's lines", median(by_script), "s", None, "psql, kubectl, curl", 2))
        ratio = median(by_bot) / median(by_script)
        found.append(Figure("Failover, bot against the runbook's lines", ratio, "of its time", 0.5, "", 2))
    clicks = [await _click() for _ in range(1)]
    return [*found, Figure("Click to first effect, p50", median(clicks[0]), "ms", 50, "20 requests for a plan"),
            Figure("Approval to the promoted standby", median(first) * 1000, "ms", None, f"median of {ROUNDS}")]  # fmt: skip


async def _broken(it: Stage) -> str:
    """A declared incident whose primary was killed; its room."""
    assert it.practice.postgres is not None
    await it.practice.postgres.kill()
    await it.types("/incident declare P1 the database is down")
    return await _room(it)


async def _room(it: Stage) -> str:
    room = ""

    async def look() -> bool:
        nonlocal room
        channels = (await it.get("/ui/boot", user="U0ANA"))["channels"]
        room = next((c["id"] for c in channels if c["name"].startswith("inc-") and c["pins"]), "")
        return bool(room)

    await until(look)
    return room


async def _command(it: Stage, user: str, room: str, text: str) -> None:
    await it.post("/ui/command", user=user, channel=room, command="/recover", text=text)


async def _state(it: Stage, wanted: Callable[[str], bool]) -> None:
    async def look() -> bool:
        rows = await it.sql("select state from run order by number desc limit 1")
        return bool(rows) and wanted(rows[0]["state"])

    await until(look, 60)


async def _healthy(url: str) -> None:
    async with aiohttp.ClientSession() as session:

        async def look() -> bool:
            async with session.get(url) as answer:
                return answer.status == 200

        await until(look, 120)


async def _by_bot() -> tuple[float, float]:
    """(seconds from the approval to a healthy application, to the promoted standby)."""
    async with stage(parts=PARTS) as it:
        room = await _broken(it)
        await _command(it, "U0ANA", room, "database.failover")
        await _state(it, lambda state: state == "proposed")
        began = time.monotonic()
        approving = asyncio.create_task(_command(it, "U0CHLOE", room, "approve RUN-1"))
        await _promoted(it)
        promoted = time.monotonic() - began
        await _healthy(f"{it.practice.env['API_URL']}/health/ready")
        took = time.monotonic() - began
        await approving
        await _state(it, lambda state: state == "succeeded")
        return took, promoted


async def _promoted(it: Stage) -> None:
    standby = it.practice.standby
    assert standby is not None

    async def look() -> bool:
        return not (await standby.look()).recovering

    await until(look, 60)


async def _by_script() -> float:
    """Seconds of the script, started in the moment in which the bot's approver would click."""
    async with stage(parts=PARTS, warm=False) as it:
        assert it.practice.postgres is not None
        await it.practice.postgres.kill()
        environment = {
            **os.environ, "PSQL": str(find()), "REPLICA": it.practice.env["REPLICA_DATABASE_URL"],
            "KUBECONFIG": it.practice.env["KUBECONFIG"], "HEALTH": f"{it.practice.env['API_URL']}/health/ready",
        }  # fmt: skip
        began = time.monotonic()
        await asyncio.to_thread(subprocess.run, ["bash", "-c", _RUNBOOK], env=environment, check=True)
        return time.monotonic() - began


async def _click() -> list[float]:
    """Milliseconds from a click that asks for a plan to the plan's first look at the estate."""
    async with stage(parts=PARTS) as it:
        await it.types("/incident declare P1 the database is slow")
        room = await _room(it)
        for _ in range(20):
            await _command(it, "U0ANA", room, "database.failover mode=switchover")
            await _state(it, lambda state: state == "proposed")
        rows = await it.sql(
            "select extract(epoch from p.begun_at - c.created_at) * 1000 as ms from effect p"
            " join run r on p.key = 'RUN-' || r.number || '/run.plan' join effect c on c.key = r.key"
        )
        return [float(row["ms"]) for row in rows]
