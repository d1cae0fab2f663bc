"""The board: one message, edited in place, that says everything and carries the buttons."""

import asyncio
import itertools
from typing import Any

import pytest

from sandbox.slack import FaultSpec, posting
from tests.stories.scene import Json, Scene, eventually, find_action, scene, whole

ways_in = pytest.mark.parametrize("http", [False, True], ids=["socket", "http"])


def pins(it: Scene, room: str) -> list[str]:
    return list(it.practice.slack.channels[room].pins)


def edits(it: Scene, ts: str) -> list[float]:
    """The instants at which a message was edited."""
    return [at for at, method, args, _ in it.practice.slack.calls if method == "chat.update" and args["ts"] == ts]


async def test_the_board_says_what_somebody_who_woke_up_must_see(database: str) -> None:
    """What, severity, status, since, scenario, RTO bar, commander, acknowledgements, rungs with instants, readings."""
    async with scene(database) as it:
        await it.ana.types("/incident declare")
        window = await it.ana.window("incident_declare")
        await it.ana.submits(
            window, title="Redis is slow", severity="P0", scenario="redis", services=["redis", "api"], started="4m ago",
            seen="timeouts",
        )  # fmt: skip
        room = await it.channel("inc-1")
        board = await it.board(room, "*API health*")
        text = whole(board)
        for words in (
            "P0  Redis is slow", "*INC-1*", "Investigating", "(4 min", "*Seen:* timeouts", "*Commander*\n_nobody yet_",
            "Redis Cache: 4 min", "of 5 min", "API Services: 4 min", "*Acknowledged by:* _nobody yet_",
            "*Rung now:* 1 On-Call Engineer", "*Next:* 2 Engineering Manager at <!date^", "*Redis*", "*API health*",
        ):  # fmt: skip
            assert words in text, words


async def test_it_is_edited_in_place_at_most_once_a_second(database: str) -> None:
    """A storm of changes is one message; its edits are a second apart and the last one shows the newest state."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        first = await it.board(room)
        await it.quiet()
        people = [it.ana, it.ben, it.chloe, it.dev, it.eva]
        await asyncio.gather(*(someone.types("/incident ack", room) for someone in people))
        for severity in ("P0", "P2", "P1"):
            await it.ana.types(f"/incident severity {severity}", room)
            await it.ana.reads(room, f"→ *{severity}*")
        last = await it.board(room, "P1  checkout is down")
        await it.quiet()
        last = await it.board(room, "P1  checkout is down")
        assert all(f"<@{someone.id}>" in whole(last) for someone in people)
        assert last["ts"] == first["ts"]
        assert pins(it, room) == [first["ts"]]
        at = edits(it, first["ts"])
        assert min(b - a for a, b in itertools.pairwise(at)) > 0.95


async def test_a_board_deleted_by_hand_comes_back(database: str) -> None:
    """Deleted by somebody, it is posted and pinned once more without being asked, and is then the one that is edited."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        await it.quiet()
        old = await it.board(room)
        channel = it.practice.slack.channels[room]
        posting.delete(it.practice.slack, channel.messages[old["ts"]])

        async def another() -> Json | None:
            board = next((m for m in await it.ana.sees(room) if m.get("pinned")), None)
            return board if board and board["ts"] != old["ts"] else None

        new = await eventually(another, what="a new board")
        await it.ana.clicks(new, "incident_ack")
        await it.board(room, "*Acknowledged by:* <@U0ANA>")
        await it.quiet()
        assert pins(it, room) == [new["ts"]]
        assert "deleted by hand" in [e for e in await it.timeline(1) if e.kind == "board"][1].text


@pytest.mark.parametrize("by", ["button", "command"])
async def test_what_failed_is_on_the_board_with_a_retry_that_works(database: str, by: str) -> None:
    """An effect that Slack refuses is shown with its reason; once the reason is gone, Retry does it and clears it."""
    async with scene(database) as it:
        it.practice.slack.faults.fail["bookmarks.add"] = FaultSpec("refused", code="too_many_bookmarks")
        room = await it.declares("P1 checkout is down")
        board = await it.board(room, "*Bookmarks* failed")
        assert "too_many_bookmarks" in whole(board)
        assert "too_many_bookmarks" in (await it.entry(1, "effect_failed")).text
        it.practice.slack.faults.clear()
        await it.quiet()
        if by == "button":
            while "*Bookmarks* failed" in whole(board := await it.board(room)):
                await it.ana.clicks(board, "incident_retry")
                await it.quiet()
        else:
            await it.ana.types("/incident retry", room)
        await it.entry(1, "retried")
        await it.gone(room, "*Bookmarks* failed")
        assert it.practice.slack.channels[room].bookmarks


async def test_what_is_late_is_on_the_board_until_it_is_done(database: str) -> None:
    """While Slack fails a call, the board says so; when it works again, the trouble goes by itself."""
    async with scene(database) as it:
        it.practice.slack.faults.fail["conversations.setTopic"] = FaultSpec("internal_error")
        room = await it.declares("P1 checkout is down")
        await it.board(room, "*Topic of the room* is late")
        it.practice.slack.faults.clear()
        await it.gone(room, "*Topic of the room* is late")
        assert it.practice.slack.channels[room].topic.value


@ways_in
async def test_the_commander_takes_command_by_button(database: str, http: bool) -> None:
    """Take command makes whoever clicks commander, said in the room; the button is gone then."""
    async with scene(database, http=http) as it:
        room = await it.declares("P1 checkout is down")
        await it.eva.clicks(await it.board(room), "incident_command")
        await it.ana.reads(room, "<@U0EVA> is *commander*")
        board = await it.board(room, "*Commander*\n<@U0EVA>")
        with pytest.raises(AssertionError):
            find_action(board, "incident_command")


async def test_the_bar_grows_by_itself(database: str) -> None:
    """Nobody does anything: the bar of an affected service fills with time until its RTO is over, in *over*."""
    async with scene(database, seconds_per_minute=0.5) as it:
        await it.ana.types("/incident declare P1 redis is slow")
        room = await it.channel("inc-1")
        first = await it.board(room, "Redis Cache")

        async def grown() -> bool:
            return "*over*, RTO 5 min" in whole(await it.board(room))

        await eventually(grown, what="a budget that is used up")
        assert (await it.board(room))["ts"] == first["ts"]


async def test_the_board_of_each_status_has_the_buttons_that_make_sense(database: str) -> None:
    """Open: everything; held: resume instead of hold; monitoring: no escalation; resolved: close and reopen."""

    def buttons(board: Any) -> set[str]:
        return {
            str(element["action_id"]).removeprefix("incident_")
            for block in board["blocks"]
            for element in [*block.get("elements", []), *([block["accessory"]] if "accessory" in block else [])]
            if "action_id" in element
        }

    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        await it.quiet()
        everything = {"ack", "command", "assess", "note", "more", "status", "escalate", "hold", "resolve"}
        assert buttons(await it.board(room)) == everything
        await it.ana.types("/incident hold 30m the vendor is on it", room)
        assert buttons(await it.board(room, "*Held* until")) == everything - {"hold"} | {"resume"}
        await it.ana.types("/incident status monitoring", room)
        assert buttons(await it.board(room, "Monitoring")) == everything - {"hold", "escalate"}
        await it.ana.types("/incident resolve", room)
        assert buttons(await it.board(room, "Resolved")) == {"close", "reopen", "timeline"}
        await it.ana.types("/incident close", room)
        assert buttons(await it.board(room, "Closed")) == {"reopen", "timeline"}
