"""The record: messages that people put on it, what they can read of it, and the command line that proves it."""

import asyncio
import json
import sys
from typing import Any

import pytest

from tests.stories.scene import GENERAL, Scene, eventually, scene, whole

ways_in = pytest.mark.parametrize("http", [False, True], ids=["socket", "http"])


async def pins(someone: Any, channel: str, ts: str, *, name: str = "pushpin") -> None:
    answer = await someone.scene.post("/ui/react", user=someone.id, channel=channel, ts=ts, name=name, add=True)
    assert answer.get("ok"), answer


async def kinds(it: Scene, kind: str) -> list[str]:
    return [e.text for e in await it.timeline(1) if e.kind == kind]


@ways_in
async def test_a_pushpin_puts_a_message_on_the_timeline_and_its_fate_is_followed(database: str, http: bool) -> None:
    """Anyone's :pushpin: records message and author once; an edit and a deletion join it, and nothing is overwritten."""
    async with scene(database, http=http) as it:
        room = await it.declares("P1 checkout is down")
        await it.grace.joins(room)
        ts = await it.ben.says(room, "it began at noon")
        await pins(it.grace, room, ts)
        pinned = await it.entry(1, "pinned")
        assert (pinned.text, pinned.actor) == ("Ben Adler: it began at noon", "U0GRACE")
        await pins(it.ana, room, ts)
        await it.post("/ui/edit", user="U0BEN", channel=room, ts=ts, text="it began at one")
        assert "it began at one" in (await it.entry(1, "pin_edited")).text
        await it.post("/ui/delete", user="U0BEN", channel=room, ts=ts)
        assert "It said: it began at one" in (await it.entry(1, "pin_deleted")).text
        await it.quiet()
        assert await kinds(it, "pinned") == ["Ben Adler: it began at noon"]


async def test_a_reply_in_a_thread_can_be_pinned_and_another_reaction_means_nothing(database: str) -> None:
    """Threads count; other reactions, messages elsewhere and edits of what is not pinned leave no trace."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        parent = await it.ben.says(room, "what do we know?")
        reply = await it.ana.says(room, "the disk is full", thread=parent)
        elsewhere = await it.ben.says(GENERAL, "lunch?")
        await pins(it.ben, room, parent, name="eyes")
        await pins(it.ben, GENERAL, elsewhere)
        await it.post("/ui/edit", user="U0BEN", channel=room, ts=parent, text="what do we know so far?")
        await pins(it.ben, room, reply)
        assert (await it.entry(1, "pinned")).text == "Ana Ortiz: the disk is full"
        await it.quiet()
        assert len(await kinds(it, "pinned")) == 1
        assert await kinds(it, "pin_edited") == []


async def test_an_event_that_is_delivered_twice_is_one(database: str) -> None:
    """A reaction whose acknowledgement Slack did not see comes again: one entry."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        slack = it.practice.slack
        ts = await it.ben.says(room, "it began at noon")
        sent = []
        road = slack.delivery.road

        class Forgetful:
            """A road that delivers, and then does not know that it did."""

            connected = True

            async def send(self, kind: Any, payload: Any, retry: Any) -> Any:
                reply = await road.send(kind, payload, retry)
                if kind == "events_api" and payload["event"]["type"] == "reaction_added":
                    sent.append(retry)
                    if len(sent) < 3:
                        return type(reply)(error="operation_timeout", reason="timeout")
                return reply

        slack.delivery.road = Forgetful()
        slack.seconds_per_minute = 0.1
        await pins(it.ben, room, ts)

        async def redelivered() -> bool:
            return len(sent) == 3

        await eventually(redelivered, what="two redeliveries")
        await it.quiet()
        assert len(await kinds(it, "pinned")) == 1


@ways_in
async def test_timeline_list_status_and_help_are_read_privately(database: str, http: bool) -> None:
    """Only the one who asks sees them; every button of the board has a command in the help."""
    async with scene(database, http=http) as it:
        room = await it.declares("P1 checkout is down")
        await it.ana.types("/incident note the disk is full", room)
        await it.entry(1, "note")
        await it.ana.types("/incident timeline", room)
        shown = await it.ana.reads(room, "*Timeline of INC-1*")
        assert "the disk is full" in whole(shown)
        await it.ana.clicks(await it.board(room), "incident_more", value="timeline:1")
        await it.ana.types("/incident timeline INC-1")
        await it.ana.reads(GENERAL, "*Timeline of INC-1*")
        await it.ana.types("/incident status INC-1")
        await it.ana.reads(GENERAL, "INC-1 P1 investigating: checkout is down")
        await it.ana.types("/incident list")
        assert f"<#{room}>" in whole(await it.ana.reads(GENERAL, "*Open incidents*"))
        await it.ana.types("/incident help")
        helped = whole(await it.ana.reads(GENERAL, "every button has a command"))
        for word in (
            "declare",
            "join",
            "retry",
            "timeline",
            "list",
            "ack",
            "escalate",
            "hold",
            "resume",
            "close",
            "update",
        ):
            assert f"/incident {word}" in helped, word
        await it.ana.types("/incident resolve", room)
        await it.entry(1, "resolved")
        await it.ana.types("/incident list")
        await it.ana.reads(GENERAL, "No incident is open")
        await it.ana.types("/incident list all")
        await it.ana.reads(GENERAL, "*Newest incidents*")
        assert all("*Timeline of" not in whole(m) for m in await it.ben.sees(room))


async def test_outside_a_room_the_incident_must_be_named(database: str) -> None:
    """Without INC-n elsewhere than in a room, and with a number that is none, the person is told how to say it."""
    async with scene(database) as it:
        await it.ana.types("/incident ack")
        await it.ana.reads(GENERAL, "Name the incident")
        await it.ana.types("/incident ack INC-99")
        await it.ana.reads(GENERAL, "There is no INC-99")


async def recovery_bot(it: Scene, *words: str) -> tuple[int, str]:
    """The command line, as an operator starts it: (exit status, everything it said)."""
    environment = {**it.practice.env, "BOT_DATABASE_URL": it.database, "PATH": ""}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        *words,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return int(process.returncode or 0), said.decode()


async def tamper(it: Scene, statement: str) -> None:
    """Change the record as somebody with every right could: not without taking the trigger away first."""
    async with it.store.pool.connection() as conn:
        await conn.execute("alter table timeline disable trigger all")
        await conn.execute(statement.encode())
        await conn.execute("alter table timeline enable trigger all")


async def test_the_command_line_proves_and_exports_the_timeline(database: str) -> None:
    """`timeline verify` holds on a true record; `timeline export` gives the report and the entries."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        await it.ana.types("/incident resolve rolled back", room)
        await it.ana.reads(room, "Incident Report")
        await it.quiet()
        count = len(await it.timeline(1))
        status, said = await recovery_bot(it, "timeline", "verify", "INC-1")
        assert (status, f"INC-1: {count} entries, unbroken" in said) == (0, True), said
        status, said = await recovery_bot(it, "timeline", "export", "INC-1")
        assert status == 0
        assert said.startswith("# Incident Report: checkout is down")
        status, said = await recovery_bot(it, "timeline", "export", "INC-1", "--format", "json")
        assert len(json.loads(said)["timeline"]) == count
        status, said = await recovery_bot(it, "timeline", "verify", "INC-7")
        assert (status, "There is no INC-7" in said) == (2, True), said


@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        ("update timeline set text = 'nothing happened' where seq = 2", "BROKEN at entry 2: its content is not"),
        ("update timeline set actor = 'U0BEN' where seq = 3", "BROKEN at entry 3: its content is not"),
        ("delete from timeline where seq = 4", "BROKEN at entry 4: entry 4 is missing"),
        ("delete from timeline where seq = (select max(seq) from timeline)", "the timeline was cut"),
    ],
    ids=["text", "actor", "removed", "cut"],
)
async def test_a_changed_timeline_is_found_out(database: str, statement: str, verdict: str) -> None:
    """Whatever is changed, removed or cut off, `timeline verify` fails and names the first broken entry."""
    async with scene(database) as it:
        await it.declares("P1 checkout is down")
        await it.quiet()
        await tamper(it, statement)
        status, said = await recovery_bot(it, "timeline", "verify", "INC-1")
        assert (status, verdict in said) == (1, True), said


async def test_the_database_itself_refuses_to_change_the_record(database: str) -> None:
    """Without taking the trigger away, no statement changes or removes an entry."""
    async with scene(database) as it:
        await it.declares("P1 checkout is down")
        for statement in ("update timeline set text = ''", "delete from timeline", "truncate timeline"):
            with pytest.raises(Exception, match="append-only"):
                await it.sql(statement)


async def test_the_estate_and_the_settings_are_checked_on_the_command_line(database: str) -> None:
    """`estate check` describes a good file and names line and key of a bad one; `check` says whether the bot could run."""
    async with scene(database, bot=False) as it:
        status, said = await recovery_bot(it, "estate", "check", "estate.yml")
        assert (status, "ValueCanvas" in said) == (0, True), said
        bad = it.practice.home / "bad.yml"
        bad.write_text("name: X\nslack: {}\ncolour: blue\n")
        status, said = await recovery_bot(it, "estate", "check", str(bad))
        assert status == 2
        assert "bad.yml:3" in said
        assert "colour" in said
        status, said = await recovery_bot(it, "check")
        assert (status, "Store: answers" in said) == (0, True), said
