"""Scenario 6, told whole: an intruder is found, shut out and written down; who must be told is told in time."""

import gzip
import hashlib
import io
import json
import tarfile
from typing import Any

from sandbox.estate.s3 import EVIDENCE
from sandbox.practice import Part
from tests.stories.again import sees
from tests.stories.scene import Scene, eventually, find_action, scene, whole

PARTS: tuple[Part, ...] = ("postgres", "redis", "app", "cluster", "s3")


async def ended(it: Scene, number: int, state: str = "succeeded") -> str:
    """Wait for the end of a run, after an undo for the end of that; its outcome."""

    async def look() -> dict[str, Any] | None:
        rows = await it.sql("select state, outcome from run where number = %s and ended_at is not null", number)
        undoing = state == "undone" and rows and rows[0]["state"] == "succeeded"
        return rows[0] if rows and not undoing else None

    run = await eventually(look, 120, f"RUN-{number} ends")
    assert run["state"] == state, run
    return str(run["outcome"])


async def planned(it: Scene, room: str, number: int) -> str:
    """The plan of a run as the card shows it."""

    async def look() -> str | None:
        cards = [whole(m) for m in await it.ana.sees(room) if f"RUN-{number} " in whole(m) + " "]
        return next((text for text in cards if "What changes" in text), None)

    return await eventually(look, what=f"the plan of RUN-{number}")


async def offered(it: Scene, room: str, message: dict[str, Any], label: str) -> None:
    """Press the button beside a finding that begins with `label`."""
    for block in message["blocks"]:
        for element in [*block.get("elements", []), *([block["accessory"]] if "accessory" in block else [])]:
            if label in str((element.get("text") or {}).get("text", "")):
                await it.ana.clicks(message, element["action_id"], value=element["value"])
                return
    raise AssertionError(f"no {label} in {whole(message)[:500]}")


async def test_an_intruder_is_found_shut_out_and_reported(database: str) -> None:
    """Private from the start; seen, blocked, signed out, secrets rotated, evidence kept, clocks stopped; undo opens again."""
    async with scene(database, parts=PARTS, process=True) as it:
        intruder, slack = it.practice.intruder, it.practice.slack
        assert intruder is not None
        await intruder.start()
        room = await it.declares("P1 unauthorized access to the database")
        assert slack.channels[room].is_private
        board = await it.board(room, "To be notified")
        assert "left, until" in whole(board)

        seen = await sees(it, room, "access.review", "UNEXPECTED backdoor", "roles that may log in")
        await offered(it, room, seen, "Terminate")
        await planned(it, room, 1)
        await it.chloe.types("/recover approve RUN-1", room)
        await ended(it, 1)

        seen = await sees(it, room, "exfiltration.review", "from 203.0.113.66")
        await eventually(_is(lambda: intruder.inside), what="the intruder is inside")
        await offered(it, room, seen, "Block 203.0.113.66")
        assert "may not reach app=api-server: nobody → 203.0.113.66/32" in (await planned(it, room, 2)).replace("*", "")
        await it.chloe.types("/recover approve RUN-2", room)
        assert "read back: 203.0.113.66/32" in await ended(it, 2)
        await eventually(_is(lambda: intruder.traffic == "refused" and not intruder.inside), what="the intruder is out")

        await it.ana.types("/recover sessions.revoke", room)
        assert "5,003 sessions end" in await planned(it, room, 3)
        await it.chloe.types("/recover approve RUN-3", room)
        assert "is left; 0 newer ones" in await ended(it, 3)

        await it.ana.types("/recover secrets.rotate", room)
        plan = await planned(it, room, 4)
        assert "point of no return" in plan
        await it.chloe.types("/recover approve RUN-4", room)
        assert "1 secret has its new version in use; every pod of api-server is new" in await ended(it, 4)

        await it.ana.types("/recover audit.enable", room)
        await planned(it, room, 5)
        await it.ana.types("/recover approve RUN-5", room)
        assert "AUDIT_LOG_LEVEL=debug" in await ended(it, 5)

        # Of a pod that goes there may be nothing left to collect.
        assert it.practice.cluster is not None
        await it.practice.cluster.settled()
        await it.ana.types("/recover evidence.collect", room)
        stored = whole(await it.ana.reads(room, "stored: s3://"))
        assert "protection: locked until" in stored
        assert "NOT COLLECTED" not in stored
        await _is_sound(it, stored)

        await it.chloe.types("/recover undo RUN-2", room)
        await ended(it, 2, "undone")
        await eventually(
            _is(lambda: intruder.traffic == "signed out"), what="nobody is blocked, and nobody is signed in"
        )
        await eventually(_is(lambda: not intruder.inside), what="the intruder stays out")
        await _tells(it, room)


async def _is_sound(it: Scene, stored: str) -> None:
    """The archive has the hash that was said, every file has the one of its manifest, and what matters is in it."""
    key = stored.partition(f"s3://{EVIDENCE}/")[2].partition(",")[0]
    assert key.startswith("evidence/INC-1/INC-1-")
    assert it.practice.s3 is not None
    body = await it.practice.s3.get(EVIDENCE, key)
    digest = hashlib.sha256(body).hexdigest()
    assert digest in stored
    assert (await it.practice.s3.get(EVIDENCE, f"{key}.sha256")).decode().startswith(digest)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(body))) as archive:
        files = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}  # type: ignore[union-attr]
    for line in files["MANIFEST.sha256"].decode().splitlines():
        wanted, _, name = line.partition("  ")
        assert hashlib.sha256(files[name]).hexdigest() == wanted
    assert b"203.0.113.66" in files["s3/valuecanvas-backups-access.log"]
    assert b"valuecanvas-" in files["s3/valuecanvas-backups-objects.jsonl"]
    assert json.loads(files["timeline.json"])["incident"]["id"] == "INC-1"
    assert any(name.startswith("logs/api-server-") for name in files)
    assert {"events/production.jsonl", "pg_stat_activity/valuecanvas-primary.jsonl"} <= set(files)


async def _tells(it: Scene, room: str) -> None:
    """Drafts come into the room, what was sent is recorded by button and by command, and only then is it closed."""
    board = await it.board(room, "To be notified")
    await it.ana.clicks(board, "incident_notice", value="1:gdpr")

    async def drafted() -> str | None:
        files = [f for m in await it.ana.sees(room) for f in m.get("files") or []]
        return next((str(f["name"]) for f in files if "gdpr-draft" in f["name"]), None)

    assert await eventually(drafted, what="a draft in the room")
    await it.ana.types("/incident close", room)
    await it.ana.reads(room, "notification clock of INC-1 still runs")
    await it.ana.clicks(board, "incident_notified", value="1:gdpr")
    window = await it.ana.window("incident_notified")
    await it.ana.submits(window, text="form 33 to the authority, reference 4711")
    await it.ana.reads(room, "recorded a notification: form 33")
    await it.ana.types("/incident notified ccpa not required: nobody lives in California", room)
    told = whole(await it.board(room, "not required: nobody lives"))
    assert told.count(": told") == 2
    await it.ana.types("/incident resolve the intruder is out", room)
    await it.entry(1, "resolved")
    await it.ana.reads(room, "Incident Report")
    await it.ana.types("/incident close", room)
    kinds = [e.kind for e in await it.timeline(1)]
    assert {"aware", "drafted", "notified", "observed", "run_ended"} <= set(kinds)
    await it.entry(1, "closed")


def _is(condition: Any) -> Any:
    async def look() -> bool:
        return bool(condition())

    return look


async def test_awareness_moves_backwards_and_reminders_come(database: str) -> None:
    """Corrected by 39.5 hours the half of GDPR's limit has passed: the room is told at once, once, with buttons."""
    async with scene(database) as it:
        room = await it.declares("P2 unauthorized access to the api")
        await it.ana.types("/incident aware 2370m ago", room)
        due = await it.ana.reads(room, "1 d 8 h left")
        find_action(due, "incident_notice", "1:gdpr")
        await it.ana.types("/incident aware 1h ago", room)
        await it.ana.reads(room, "only be corrected to an earlier instant")
        await it.quiet()
        assert len(await it.said(room, "*GDPR* notification")) == 1
        await it.ana.types("/incident notified hipaa sent", room)
        await it.ana.reads(room, "no notification of the estate file")


async def test_an_incident_becomes_security(database: str) -> None:
    """The clocks start then, and everybody reads that the room is public."""
    async with scene(database) as it:
        room = await it.declares("P2 the api is slow")
        await it.ana.types("/incident notified gdpr sent", room)
        await it.ana.reads(room, "No notification clock of INC-1 runs")
        await it.ana.types("/incident scenario security sessions from nowhere", room)
        await it.ana.reads(room, "This room is public.")
        await it.board(room, "To be notified")
