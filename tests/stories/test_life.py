"""The life of an incident: every verb by command and by button, over to the report, the export and a new round."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.incident import Status
from bot.timeline import verify
from handlers.verbs import VERBS
from sandbox.slack import FaultSpec
from tests.stories.scene import GENERAL, Json, Scene, eventually, find_action, scene, whole

SHIPPED = Path("estate.yml").read_text()


@dataclass(frozen=True)
class Sample:
    """One way to use a verb: the words of the command, the same in its window, what must be so before, what the room reads."""

    words: str = ""
    window: Mapping[str, Any] = field(default_factory=dict)
    before: str = ""
    says: str = ""


SAMPLES = {
    "ack": Sample(says="<@U0BEN> acknowledged here"),
    "assign": Sample("scribe <@U0EVA>", {"role": "scribe", "person": "U0EVA"}, says="<@U0EVA> is *scribe*"),
    "note": Sample("it began with the deploy", {"text": "it began with the deploy"}, says="<@U0BEN>: it began with"),
    "assess": Sample(says="*Assessment*"),
    "status": Sample("identified a bad deploy", {"status": "identified", "reason": "a bad deploy"}, says="*identified*: a bad"),
    "severity": Sample("P0 all of them", {"severity": "P0", "reason": "all of them"}, says="P1 → *P0*: all of them"),
    "update": Sample("we are on it", {"text": "we are on it"}),
    "escalate": Sample("it grows", {"reason": "it grows"}, says="Ben Adler escalated: it grows"),
    "hold": Sample("15m a fix is on its way", {"minutes": "15m", "reason": "a fix is on its way"}, says="holds the ladder"),
    "resume": Sample(says="resumed the ladder"),
    "resolve": Sample("rolled back", {"reason": "rolled back"}, says="*Resolved* by <@U0BEN> after"),
    "reopen": Sample("it is back", {"reason": "it is back"}, says="*Reopened* by <@U0BEN>: it is back"),
    "close": Sample(before="resolve"),
}  # fmt: skip
"""In an order in which each finds what it needs."""
TOLD_ELSEWHERE = {"scenario", "aware", "notice", "notified"}
"""The verbs of a security incident: tests/stories/test_security.py."""


async def state(it: Scene, number: int, after: int) -> Json:
    """What a verb has made of an incident: its own entries on the timeline (after `after`), and the incident."""
    async with it.store.tx() as tx:
        case = await tx.case(number)
    entries = (await it.timeline(number))[after:]
    return {
        "entries": [
            (e.kind, re.sub(r"after (\d+ min ?)?(\d+ s)?", "after a while", e.text), e.actor_name)
            for e in entries
            if e.actor == "U0BEN" or e.kind == "rung"
        ],
        "severity": case.incident.severity,
        "status": case.incident.status,
        "roles": case.incident.roles,
        "acks": [(a.who, a.via) for a in case.incident.acks],
        "held": case.hold is not None and (case.hold.why, case.hold.who),
        "rungs": [(rung.level, rung.state) for rung in case.ladder.rungs],
        "round": case.incident.round,
    }


async def press(it: Scene, room: str, number: int, verb: str, window: Mapping[str, Any]) -> None:
    """The verb by its button on the board, or by the board's menu, and its window if it has one."""
    await it.quiet()
    board = await it.board(room)
    try:
        find_action(board, f"incident_{verb}")
    except AssertionError:
        await it.ben.clicks(board, "incident_more", value=f"{verb}:{number}")
    else:
        await it.ben.clicks(board, f"incident_{verb}")
    if window:
        answer = await it.ben.submits(await it.ben.window(f"incident_{verb}"), **window)
        assert "errors" not in answer, answer


def test_every_verb_has_a_sample() -> None:
    """A verb that is added without a story here is found out."""
    assert set(SAMPLES) | TOLD_ELSEWHERE == set(VERBS)


@pytest.mark.parametrize(
    ("verbs", "http"),
    [
        pytest.param(tuple(SAMPLES), False, id="socket"),
        pytest.param(("ack", "assign", "hold", "close"), True, id="http"),
    ],
)
async def test_a_command_a_command_from_outside_and_a_button_do_the_same(
    database: str, verbs: Sequence[str], http: bool
) -> None:
    """Typed in the room, typed elsewhere with INC-n, and clicked: the same timeline, the same incident, said in the room."""
    async with scene(database, http=http) as it:
        rooms = []
        for number, title in enumerate(("alpha", "bravo", "delta"), start=1):
            await it.ana.types(f"/incident declare P1 {title}")
            rooms.append(await it.channel(f"inc-{number}-{title}"))
        for room in rooms:
            await it.board(room)
            await it.joined(room, "U0BEN")
        for verb in verbs:
            await use(it, rooms, verb)


async def use(it: Scene, rooms: Sequence[str], verb: str) -> None:
    """One verb in the three ways, one on each of the incidents, which are alike before and must be after."""
    sample = SAMPLES[verb]
    if sample.before:
        for room in rooms:
            await it.ana.types(f"/incident {sample.before}", room)
    await it.quiet()
    marks = [len(await it.timeline(number)) for number in (1, 2, 3)]
    await it.ben.types(f"/incident {verb} {sample.words}".strip(), rooms[0])
    await it.ben.types(f"/incident {verb} INC-2 {sample.words}".strip(), GENERAL)
    await press(it, rooms[2], 3, verb, sample.window)
    for number, room in enumerate(rooms, start=1):
        where = GENERAL if number == 2 else room
        await it.ben.reads(where, VERBS[verb].done.format(id=f"INC-{number}"))
        if sample.says:
            await it.ben.reads(room, sample.says)
    await it.quiet()
    first, *others = [await state(it, number, mark) for number, mark in zip((1, 2, 3), marks, strict=True)]
    assert first["entries"], verb
    assert others == [first, first], verb


async def test_a_window_says_what_is_wrong_under_its_field(database: str) -> None:
    """A hold without a proper time or reason keeps its window open, with the complaint under the field."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        await it.ana.clicks(await it.board(room), "incident_hold")
        window = await it.ana.window("incident_hold")
        answer = await it.ana.submits(window, minutes="soon", reason="because")
        assert "is not a time to hold for" in answer["errors"]["minutes"]
        answer = await it.ana.submits(window, minutes="20m", reason="  ")
        assert "Say why the ladder is held" in answer["errors"]["reason"]
        await it.ana.submits(window, minutes="20m", reason="because")
        await it.ana.reads(room, "holds the ladder until")


async def test_resolving_and_closing_need_nobody(database: str) -> None:
    """With Slack's API and PagerDuty both failing, the incident is resolved and closed; all that is owed is done later, once."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        await it.entry(1, "paged")
        await it.ana.types("/incident status identified", room)
        await it.ana.reads(room, "*identified*")
        await it.quiet()
        it.practice.slack.faults.fail["*"] = FaultSpec("http_503")
        it.practice.pagerduty.faults.down = True
        await it.ana.types("/incident resolve rolled back", room)
        await it.entry(1, "resolved")
        await it.ana.types("/incident close", room)
        await it.entry(1, "closed")
        it.practice.slack.faults.clear()
        it.practice.pagerduty.faults.clear()
        await it.ana.reads(room, "Incident Report")
        await it.entry(1, "exported")
        await it.entry(1, "page_resolved")
        await it.quiet()
        assert it.pages()[0].status == "resolved"
        assert len(await it.said(room, "Incident Report")) == 1
        assert len(await it.said(room, "*Resolved* by")) == 1


async def files(it: Scene, room: str) -> dict[str, str]:
    """The files in a room by name, with what is in them."""

    async def look() -> dict[str, Json] | None:
        found = {f["name"]: f for m in await it.ana.sees(room) for f in m.get("files") or []}
        return found if len(found) == 2 else None

    found = await eventually(look, what="two files")
    async with aiohttp.ClientSession() as client:
        texts = {}
        for name, file in found.items():
            async with client.get(file["url"]) as answer:
                texts[name] = await answer.text()
    return texts


async def test_closing_exports_the_record_as_markdown_and_json(database: str) -> None:
    """The report in the runbook's shape with all that is known, and a timeline whose chain anybody can check."""
    async with scene(database) as it:
        room = await it.declares("P1 redis is down")
        await it.ana.types("/incident assign commander <@U0EVA>", room)
        await it.ana.types("/incident note it began with *the* deploy", room)
        await it.entry(1, "role")
        await it.entry(1, "note")
        await it.ana.types("/incident resolve rolled back", room)
        await it.ana.reads(room, "Incident Report: redis is down")
        await it.ana.clicks(await it.board(room, "Resolved"), "incident_close")
        texts = await files(it, room)
        markdown = texts["INC-1-report.md"]
        for words in (
            "# Incident Report: redis is down", "**Severity**: P1", "**Commander**: Eva Lind", "## Timeline", "## Root Cause",
            "## Resolution", "## Impact", "## Action Items", "## Lessons Learned", "\\*the\\* deploy", "rolled back",
        ):  # fmt: skip
            assert words in markdown, words
        exported = json.loads(texts["INC-1-timeline.json"])
        entries = await it.timeline(1)
        known = [e.hash for e in entries]
        assert [e["hash"] for e in exported["timeline"]] == known[: len(exported["timeline"])]
        assert exported["head"] == exported["timeline"][-1]["hash"]
        assert exported["incident"]["status"] == "closed"
        assert verify(entries).holds
        await it.entry(1, "exported")


async def test_reopening_begins_a_new_round(database: str) -> None:
    """A resolved incident that comes back has a new ladder from now, pages anew, and forgets the old acknowledgements."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        await it.entry(1, "paged")
        await it.ana.types("/incident ack", room)
        await it.entry(1, "acknowledged")
        await it.ana.types("/incident resolve", room)
        await it.entry(1, "page_resolved")
        await it.ana.types("/incident reopen", room)
        await it.ana.reads(room, "The reason is empty")
        await it.ana.types("/incident reopen it is back", room)
        await it.board(room, "*Acknowledged by:* _nobody yet_")
        await it.quiet()
        assert [(page.key, page.status) for page in it.pages()] == [("INC-1", "resolved"), ("INC-1.2", "triggered")]
        assert len(await it.said(room, "Rung 1: On-Call Engineer* is called now")) == 2
        begun = (await it.entry(1, "reopened")).at
        waits = [
            row["due_at"] - begun for row in await it.sql("select due_at from rung where round = 2 order by level")
        ]
        assert [round(wait.total_seconds() / 60) for wait in waits] == [0, 15, 30, 60]
        await it.ana.types("/incident resolve for good", room)
        await it.quiet()
        assert [page.status for page in it.pages()] == ["resolved", "resolved"]
        assert len(await it.said(room, "Incident Report:")) == 2


async def test_where_rooms_are_archived_the_export_comes_first(database: str, tmp_path: Path) -> None:
    """The estate may say so: everything is written into the room, then it is archived. Reopened, the incident has a new one."""
    estate = tmp_path / "estate.yml"
    estate.write_text(SHIPPED.replace("archive_on_close: false", "archive_on_close: true"))
    async with scene(database, environ={"BOT_ESTATE": str(estate)}) as it:
        room = await it.declares("P1 checkout is down")
        await it.ana.types("/incident resolve", room)
        await it.entry(1, "resolved")
        await it.ana.types("/incident close", room)
        channel = it.practice.slack.channels[room]

        async def archived() -> bool:
            return channel.archived

        await eventually(archived, what="the room is archived")
        assert len(await files(it, room)) == 2
        assert await it.said(room, "Incident Report")
        await it.ana.types("/incident reopen INC-1 it is back")
        again = await it.channel("inc-1-checkout-is-down-2")
        board = await it.board(again, "Investigating")
        assert (await it.said(again))[0]["ts"] == board["ts"]
        await it.ana.reads(again, "*Reopened* by <@U0ANA>: it is back")
        await it.joined(again, "U0CHLOE")
        await it.ana.types("/incident ack", again)
        await it.ana.reads(again, "acknowledged here")
        await it.quiet()
        assert "failed" not in whole(await it.board(again))


async def test_an_update_goes_to_the_status_channel(database: str) -> None:
    """In the shape of the runbook's template: incident, status, impact, times, text, and when the next one is due."""
    async with scene(database, seconds_per_minute=0.05) as it:
        room = await it.declares("P1 redis is down")
        await it.ana.types("/incident update we are restarting it", room)
        posted = whole(await it.ana.reads("C0STATUS", "we are restarting it"))
        for words in (
            "*Incident*: INC-1 redis is down",
            "*Status*: Investigating",
            "Redis Cache",
            "*Next Update*",
            "PRACTICE",
        ):
            assert words in posted, words
        await it.ana.reads(room, "The next status update is due")


async def test_after_closing_only_reopening_is_left(database: str) -> None:
    """A sealed record takes nothing more; each refusal says why."""
    async with scene(database) as it:
        room = await it.declares("P3 checkout is odd")
        await it.ana.types("/incident close", room)
        await it.entry(1, "exported")
        await it.quiet()
        count = len(await it.timeline(1))
        for words, refusal in {
            "note too late": "its timeline is sealed", "ack": "nothing to acknowledge", "severity P0": "reopen it first",
            "assign scribe": "is closed", "status identified": "Use `reopen", "resolve": "is closed already", "close": "closed already",
        }.items():  # fmt: skip
            await it.ana.types(f"/incident {words}", room)
            await it.ana.reads(room, refusal)
        assert len(await it.timeline(1)) == count
        async with it.store.tx() as tx:
            assert (await tx.case(1)).incident.status is Status.CLOSED
