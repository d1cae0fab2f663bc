"""Declaring: from a line of text or a window to one incident, however often and by however many it is said."""

import asyncio
from collections import Counter

import pytest

from sandbox.slack import FaultSpec, payloads
from tests.stories.scene import ANNOUNCE, GENERAL, Json, Scene, eventually, scene, whole

ways_in = pytest.mark.parametrize("http", [False, True], ids=["socket", "http"])


async def incidents(it: Scene) -> list[int]:
    return [row["number"] for row in await it.sql("select number from incident order by number")]


@ways_in
async def test_one_line_declares_and_everything_follows(database: str, http: bool) -> None:
    """`/incident declare P1 …` makes one room with a pinned board as its first message, pages, announces and assesses."""
    async with scene(database, http=http) as it:
        await it.ana.types("/incident declare P1 checkout is down")
        room = await it.channel("inc-1-checkout-is-down")
        board = await it.board(room)
        assert "checkout is down" in whole(board)
        assert "P1" in whole(board)
        await it.ana.reads(ANNOUNCE, "checkout is down")
        await it.ana.reads(room, "Rung 1: On-Call Engineer")
        await it.ana.reads(room, "Assessment")
        assert (await it.said(room))[0]["ts"] == board["ts"]
        await it.ana.reads(GENERAL, "*INC-1* is declared")
        await it.quiet()
        (page,) = it.pages()
        assert (page.key, page.urgency) == ("INC-1", "high")
        assert (await it.entry(1, "declared")).actor == "U0ANA"


@ways_in
async def test_the_window_declares_too(database: str, http: bool) -> None:
    """`/incident declare` opens a window; what is filled in is what is declared, and a message says where to go."""
    async with scene(database, http=http) as it:
        await it.ben.types("/incident declare")
        window = await it.ben.window("incident_declare")
        answer = await it.ben.submits(
            window, title="Redis is slow", severity="P2", scenario="redis", services=["redis"],
            seen="timeouts in the log", started="20m ago",
        )  # fmt: skip
        assert answer["ok"], answer
        board = await it.board(await it.channel("inc-1-redis-is-slow", user="U0BEN"), "Redis Cache")
        assert all(words in whole(board) for words in ("P2", "timeouts in the log", "(20 min)"))
        await it.ben.window("incident_declared", blocks=1)
        await it.ben.reads(await it.ben.direct(), "*INC-1* is declared")


async def test_a_loading_view_comes_before_anything_slow(database: str) -> None:
    """The first call after the click opens a small view; the form follows, so the trigger cannot run out meanwhile."""
    async with scene(database) as it:

        async def started() -> bool:
            """What the bot asks by itself when it starts is asked: two links, and what five people are called."""
            asked = Counter(call.method for call in it.practice.slack.calls)
            return (asked["apps.connections.open"], asked["users.info"]) == (2, 5) and asked["auth.test"] > 0

        await eventually(started)
        await it.quiet()
        it.practice.slack.calls.clear()
        await it.ana.types("/incident declare")
        await it.ana.window("incident_declare")
        assert [call.method for call in it.practice.slack.calls][:2] == ["views.open", "views.update"]
        assert len(it.calls("views.open")[0]["view"]["blocks"]) == 1


@pytest.mark.parametrize("fault", ["http_500", "hang", "drop"])
async def test_an_expired_trigger_leaves_a_button_to_try_again(database: str, fault: str) -> None:
    """When no window can be opened in time, the person is told privately, and the button opens one by a fresh trigger."""
    async with scene(database) as it:
        it.practice.slack.faults.fail["views.open"] = FaultSpec(fault, times=1)  # type: ignore[arg-type]
        await it.ana.types("/incident declare")
        offer = await it.ana.reads(GENERAL, "The window could not be opened")
        assert offer["ephemeral"]
        await it.ana.clicks(offer, "incident_open_form")
        await it.ana.window("incident_declare")
        assert await incidents(it) == []


@pytest.mark.parametrize(
    ("field", "given", "complaint"),
    [("title", "   \n ", "empty"), ("started", "a while ago", "cannot read that time"), ("started", "2999-01-01 10:00", "past")],
)  # fmt: skip
async def test_what_is_wrong_is_said_under_its_field(database: str, field: str, given: str, complaint: str) -> None:
    """Bad input keeps the window open with the complaint under its field; put right, it declares."""
    async with scene(database) as it:
        await it.ana.types("/incident declare")
        window = await it.ana.window("incident_declare")
        good = {"title": "Checkout is down", "started": "now"}
        answer = await it.ana.submits(window, **{**good, field: given})
        assert complaint in answer["errors"][field]
        assert await incidents(it) == []
        assert "errors" not in await it.ana.submits(window, **good)
        await it.channel("inc-1-checkout-is-down")


@pytest.mark.parametrize("by", ["button", "command"])
async def test_the_same_incident_is_shown_first_and_can_be_joined(database: str, by: str) -> None:
    """A declaration that looks like an open incident makes none: it offers to join, and joining leads into that room."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        await it.grace.types("/incident declare P1 checkout answers 500")
        offer = await it.grace.reads(GENERAL, "looks like an incident that is open already")
        assert offer["ephemeral"]
        if by == "button":
            await it.grace.clicks(offer, "incident_join")
        else:
            await it.grace.types("/incident join INC-1")
        assert await it.channel("inc-1", user="U0GRACE")
        await it.joined(room, "U0GRACE")
        assert (await it.entry(1, "joined")).actor == "U0GRACE"
        assert await incidents(it) == [1]


@pytest.mark.parametrize("by", ["button", "command"])
async def test_declaring_anyway_makes_one_more(database: str, by: str) -> None:
    """Whoever knows better declares anyway, by button or by command; a second click finds what the first one made."""
    async with scene(database) as it:
        await it.declares("P1 checkout is down")
        await it.ben.types("/incident declare P0 checkout answers 500")
        offer = await it.ben.reads(GENERAL, "looks like an incident that is open already")
        if by == "button":
            await asyncio.gather(*(it.ben.clicks(offer, "incident_declare_anyway") for _ in range(2)))
        else:
            await it.ben.types("/incident declare anyway P0 checkout answers 500")
        await it.board(await it.channel("inc-2-checkout-answers-500"), "P0")
        await it.quiet()
        assert await incidents(it) == [1, 2]


async def test_the_window_shows_the_same_incident_first_too(database: str) -> None:
    """A submitted window that looks like an open incident leads to the same choice, in a direct message."""
    async with scene(database) as it:
        await it.declares("P1 redis is down")
        await it.ben.types("/incident declare")
        window = await it.ben.window("incident_declare")
        assert "INC-1" in whole(window)
        await it.ben.submits(window, title="Sessions are lost", scenario="redis")
        offer = await it.ben.reads(await it.ben.direct(), "looks like an incident that is open already")
        await it.ben.clicks(offer, "incident_declare_anyway")
        assert "Sessions are lost" in whole(await it.board(await it.channel("inc-2-sessions-are-lost", "U0BEN")))


async def test_an_old_or_private_or_other_incident_is_not_the_same(database: str) -> None:
    """Only open, public incidents of the last half hour (by the rules' clock) that share a service, scenario or words."""
    async with scene(database) as it:
        # One after the other: commands are carried out side by side, and the numbers matter.
        for words in ("P1 security breach of the api", "P1 redis is down", "P2 llm answers nonsense"):
            await it.declares(words)
        await it.sql("update incident set declared_at = declared_at - interval '31 min' where number = 2")
        await it.ana.types("/incident declare P1 redis is down")
        await it.channel("inc-4-redis-is-down")
        await it.ana.types("/incident declare P1 api is down")
        await it.channel("inc-5-api-is-down")
        assert await incidents(it) == [1, 2, 3, 4, 5]


async def test_a_second_click_on_submit_is_the_same_declaration(database: str) -> None:
    """The same window sent twice at once declares one incident."""
    async with scene(database) as it:
        await it.ana.types("/incident declare")
        window = await it.ana.window("incident_declare")
        slack = it.practice.slack
        view = slack.views[window["id"]]
        view.values = {"title": {"title": {"type": "plain_text_input", "value": "Checkout is down"}}}
        payload = payloads.submission(slack, slack.users["U0ANA"], view)
        await asyncio.gather(*(slack.delivery.road.send("interactive", payload, None) for _ in range(2)))
        await it.channel("inc-1-checkout-is-down")
        await it.quiet()
        assert await incidents(it) == [1]
        assert len(it.calls("conversations.create")) == 1


@ways_in
async def test_a_redelivered_command_is_the_same_declaration(database: str, http: bool) -> None:
    """The same envelope delivered three times is one incident and one answer."""
    async with scene(database, http=http) as it:
        slack = it.practice.slack
        payload = payloads.command(
            slack, slack.users["U0ANA"], slack.channels[GENERAL], "/incident", "declare P1 checkout is down"
        )
        for _ in range(3):
            reply = await slack.delivery.road.send("slash_commands", payload, None)
            assert not reply.error
        await it.channel("inc-1-checkout-is-down")
        await it.quiet()
        assert await incidents(it) == [1]
        answers = [m for m in await it.ana.sees(GENERAL) if "INC-1" in whole(m)]
        assert len(answers) == 1


async def test_two_people_in_the_same_second_get_one_incident_and_one_question(database: str) -> None:
    """Of two who declare the same at once, one declares; the other is shown it first."""
    async with scene(database) as it:
        await asyncio.gather(
            it.ana.types("/incident declare P1 checkout is down"), it.ben.types("/incident declare P1 checkout is dead")
        )
        await it.quiet()
        assert await incidents(it) == [1]

        async def both() -> bool:
            seen: list[Json] = [*await it.ana.sees(GENERAL), *await it.ben.sees(GENERAL)]
            texts = "\n".join(map(whole, seen))
            return "*INC-1* is declared" in texts and "looks like an incident that is open" in texts

        await eventually(both, what="one is told it is declared, the other is asked")


async def test_the_shortcut_and_the_home_tab_open_the_same_window(database: str) -> None:
    """The global shortcut and the button of the Home tab are further ways to the window."""
    async with scene(database) as it:
        await it.post("/ui/shortcut", user="U0EVA", callback_id="incident_declare")
        await it.eva.window("incident_declare")
        await it.post("/ui/home", user="U0FRANK", tab="home")

        async def home() -> Json | None:
            view: Json | None = (await it.post("/ui/home", user="U0FRANK", tab="home"))["view"]
            return view

        view = await eventually(home, what="a Home tab")
        await it.frank.clicks(view, "incident_declare")
        await it.frank.window("incident_declare")


async def test_nonsense_is_answered_in_words(database: str) -> None:
    """An unknown word and an endless title change nothing and are explained privately."""
    async with scene(database) as it:
        await it.ana.types("/incident explode")
        await it.ana.reads(GENERAL, "I do not know `/incident explode`")
        await it.ana.types("/incident declare P1 " + "x" * 151)
        await it.ana.reads(GENERAL, "151 characters; 150 are the most")
        await it.ana.types("/incident declare P2")
        await it.ana.reads(GENERAL, "The title is empty")
        assert await incidents(it) == []
