"""`/recover` in Slack: the list, the help, and every refusal as the person reads it. No part of the platform is needed."""

import pytest

from tests.stories.scene import GENERAL, Scene, scene, whole


async def told(it: Scene, words: str, channel: str) -> None:
    """Ana reads an answer that only she sees."""
    await it.ana.reads(channel, words)


async def test_the_list_has_a_button_for_each_action(database: str) -> None:
    """In a room the scenario's come first, each with risk and duration; the button opens the window with the parameters."""
    async with scene(database) as it:
        room = await it.declares("P1 the database is down")
        await it.ana.types("/recover", room)
        shown = await it.ana.reads(room, "Recovery actions")
        text = whole(shown)
        assert "those for the scenario *database* first" in text
        assert text.index("database.assess") < text.index("database.failover")
        assert "critical, usually 15 min" in text
        await it.ana.types("/recover help database.failover", room)
        await told(it, "`mode=`", room)


async def test_outside_of_a_room_only_looking_is_offered(database: str) -> None:
    """Observations work anywhere, and answer the person alone; an action needs an incident."""
    async with scene(database) as it:
        await it.ana.types("/recover", GENERAL)
        assert "database.failover" not in whole(await it.ana.reads(GENERAL, "Recovery actions"))
        await it.ana.types("/recover database.failover", GENERAL)
        await told(it, "needs an incident", GENERAL)
        await it.ana.types("/recover database.assess", GENERAL)
        await told(it, "no answer", GENERAL)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("/recover database.failver", "Did you mean `database.failover`?"),
        ("/recover database.failover speed=fast", "does not know `speed`"),
        ("/recover database.failover mode=sideways", "is none of `failover`, `switchover`"),
        ("/recover database.failover $(reboot); drop table users", "is no `key=value`"),
        ("/recover database.cancel", "needs `pid=`"),
        ("/recover approve", "is no run"),
        ("/recover approve RUN-99", "There is no RUN-99"),
        ("/recover database.failover database=nothing", "There is no database `nothing`"),
    ],
)
async def test_what_is_wrong_is_said_in_a_sentence(database: str, typed: str, says: str) -> None:
    """Unknown names and parameters, and text that looks like SQL or a shell: refused, with what to do instead."""
    async with scene(database) as it:
        room = await it.declares("P1 the database is down")
        await it.ana.types(typed, room)
        await told(it, says, room)
        assert not await it.sql("select 1 from run where state not in ('refused', 'planning')")


async def test_who_may_not_is_told_why(database: str) -> None:
    """Not a responder; and nobody at all while Slack cannot say who the responders are."""
    async with scene(database) as it:
        room = await it.declares("P1 the database is down", who="grace")
        await it.grace.types("/recover database.failover", room)
        await it.grace.reads(room, "Only responders may do that")
        assert not await it.sql("select 1 from run")


async def test_a_plan_that_is_not_possible_is_on_its_card(database: str) -> None:
    """Nothing can be reached: the card says so, has no buttons, and a yes to it explains itself; another room's is refused."""
    async with scene(database) as it:
        room = await it.declares("P1 the database is down")
        await it.ana.types("/recover database.failover", room)
        card = await it.ana.reads(room, "Not possible now")
        assert "recover_approve" not in str(card["blocks"])
        await it.ana.types("/recover approve RUN-1", GENERAL)
        await told(it, "belongs to INC-1", GENERAL)
        await it.chloe.types("/recover approve RUN-1", room)
        await it.chloe.reads(room, "makes a new plan")
        assert "run_refused" in [e.kind for e in await it.timeline(1)]


async def test_a_closed_incident_takes_no_action(database: str) -> None:
    """Resolved or closed: the refusal names the command that opens it again."""
    async with scene(database) as it:
        room = await it.declares("P1 the database is down")
        await it.ana.types("/incident resolve it was the switch", room)
        await it.entry(1, "resolved")
        await it.ana.types("/recover database.failover", room)
        await told(it, "comes first", room)
