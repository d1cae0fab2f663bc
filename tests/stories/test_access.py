"""Who may: anyone declares, acknowledges and notes; everything else needs a responder, and nobody knowing means no."""

import pytest

from handlers.verbs import VERBS
from sandbox.slack import FaultSpec
from tests.stories.scene import ANNOUNCE, GENERAL, Scene, scene, whole

ways_in = pytest.mark.parametrize("http", [False, True], ids=["socket", "http"])
NEEDS = sorted(name for name, verb in VERBS.items() if verb.responder)


def test_anyone_may_acknowledge_and_note_and_nothing_else() -> None:
    """The verbs that are open to everybody, once and for all."""
    assert set(VERBS) - set(NEEDS) == {"ack", "note"}


@ways_in
async def test_anyone_declares_acknowledges_and_notes(database: str, http: bool) -> None:
    """Grace of support is no responder, and is heard all the same."""
    async with scene(database, http=http) as it:
        room = await it.declares("P1 checkout is down", who="grace")
        await it.grace.types("/incident ack", room)
        await it.grace.reads(room, "<@U0GRACE> acknowledged here")
        await it.grace.types("/incident note three customers called", room)
        await it.grace.reads(room, "three customers called")
        assert {e.actor for e in await it.timeline(1) if e.kind in ("declared", "acknowledged", "note")} == {"U0GRACE"}


async def test_everything_else_is_refused_to_a_stranger(database: str) -> None:
    """Each verb, by command, by button and by window: refused with the reason, and nothing is changed."""
    words = {
        "hold": "15m because",
        "status": "identified",
        "severity": "P0",
        "assign": "scribe",
        "reopen": "because",
        "update": "x",
    }
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down", who="grace")
        await it.quiet()
        before = await deeds(it)
        for verb in NEEDS:
            await it.grace.types(f"/incident {verb} {words.get(verb, '')}".strip(), room)
        board = await it.board(room)
        await it.grace.clicks(board, "incident_command")
        await it.grace.clicks(board, "incident_assess")
        await it.grace.clicks(board, "incident_resolve")
        await it.grace.submits(await it.grace.window("incident_resolve"), reason="enough")
        await it.quiet()
        refusals = [m for m in await it.grace.sees(room) if "Only responders may do that" in whole(m)]
        assert len(refusals) == len(NEEDS) + 3
        assert all(m["ephemeral"] for m in refusals)
        assert await deeds(it) == before


async def deeds(it: Scene) -> list[str]:
    """What Grace has done, as the timeline has it."""
    return [entry.text for entry in await it.timeline(1) if entry.actor == "U0GRACE"]


async def test_an_unreadable_group_is_a_refusal_with_its_reason(database: str) -> None:
    """Nobody can say who is a responder: refused, said why; when the group can be read again, it works."""
    async with scene(database) as it:
        it.practice.slack.faults.fail["usergroups.users.list"] = FaultSpec("internal_error")
        room = await it.declares("P1 checkout is down")
        await it.ana.types("/incident severity P0", room)
        refusal = await it.ana.reads(room, "Refused: I could not read who belongs to the responders")
        assert "internal_error" in whole(refusal)
        it.practice.slack.faults.clear()
        await it.ana.types("/incident severity P0", room)
        await it.ana.reads(room, "P1 → *P0*")


async def test_responders_may_be_listed_by_name(database: str) -> None:
    """Users in the estate file need no group, and are known even while Slack does not answer."""
    async with scene(database, environ={"SLACK_RESPONDERS": "U0GRACE, U0ANA"}) as it:
        room = await it.declares("P1 checkout is down", who="grace")
        await it.joined(room, "U0ANA")
        await it.grace.types("/incident severity P0", room)
        await it.grace.reads(room, "P1 → *P0*")
        await it.post("/ui/invite", user="U0GRACE", channel=room, users=["U0BEN"])
        await it.ben.types("/incident severity P2", room)
        await it.ben.reads(room, "Only responders may do that")


async def test_a_private_incident_does_not_exist_for_strangers(database: str) -> None:
    """From outside its room Grace learns nothing: no timeline, no list, no join, no home, not even that it is there."""
    async with scene(database) as it:
        await it.ana.types("/incident declare P1 data breach by an intruder")
        await it.board(await it.channel("inc-1"))
        for words in ("timeline INC-1", "status INC-1", "note INC-1 hello", "ack INC-1"):
            await it.grace.types(f"/incident {words}")
        await it.grace.types("/incident join INC-1")
        await it.grace.types("/incident list")
        await it.quiet()
        answers = [whole(m) for m in await it.grace.sees(GENERAL)]
        assert sum("There is no INC-1 that you can see" in answer for answer in answers) == 5
        seen = "\n".join(answers)
        assert "breach" not in seen
        assert "breach" not in "\n".join(whole(m) for m in await it.grace.sees(ANNOUNCE))
        await it.ben.types("/incident timeline INC-1")
        await it.ben.reads(GENERAL, "*Timeline of INC-1*")
        assert "U0GRACE" not in {e.actor for e in await it.timeline(1)}
