"""The room: made once under a name of its own, described, filled, never somebody else's, never public when it is private."""

import pytest

from sandbox.slack import FaultSpec
from tests.stories.scene import ANNOUNCE, Json, Scene, eventually, scene, whole

ways_in = pytest.mark.parametrize("http", [False, True], ids=["socket", "http"])
RESPONDERS = {"U0ANA", "U0BEN", "U0CHLOE", "U0DEV", "U0EVA"}


def seen(it: Scene, room: str) -> set[str]:
    return set(it.practice.slack.channels[room].members)


async def public_channels(it: Scene) -> set[str]:
    """What somebody who was invited nowhere can see."""
    return {c["name"] for c in (await it.get("/ui/boot", user="U0GRACE"))["channels"] if not c["is_im"]}


@ways_in
async def test_the_room_is_described_and_everybody_is_in_it(database: str, http: bool) -> None:
    """Topic, purpose, bookmarks (dashboards, runbook, PagerDuty), the responders and the on-call; the board is pinned."""
    async with scene(database, http=http) as it:
        room = await it.declares("P1 checkout is down")
        await it.quiet()
        channel = it.practice.slack.channels[room]
        assert channel.topic.value == "INC-1 P1 investigating: checkout is down"
        assert "INC-1" in channel.purpose.value
        titles = [b.title for b in channel.bookmarks.values()]
        assert sorted(titles) == ["Cost Tracking", "LLM Metrics", "PagerDuty", "Runbook", "System Health"]
        assert next(b.link for b in channel.bookmarks.values() if b.title == "PagerDuty").endswith(it.pages()[0].id)
        assert seen(it, room) == RESPONDERS | {"U0BOT"}
        assert len(channel.pins) == 1


async def test_the_topic_names_the_commander_alone(database: str) -> None:
    """Severity, status and commander are in the topic as they change; another role is not."""
    async with scene(database) as it:
        room = await it.declares("P1 checkout is down")
        await it.ana.types("/incident assign scribe <@U0BEN>", room)
        await it.ana.types("/incident assign commander <@U0EVA>", room)
        await it.ana.types("/incident severity P0 everything", room)

        async def topic() -> bool:
            return (
                it.practice.slack.channels[room].topic.value
                == "INC-1 P0 investigating: checkout is down | commander Eva Lind"
            )

        await eventually(topic, what="the topic follows")


async def test_whoever_is_on_call_is_invited_though_no_responder(database: str) -> None:
    """Rung 1's people, as PagerDuty knows them, are invited even when no group lists them."""
    async with scene(database) as it:
        it.practice.slack.usergroups["S0RESPOND"].users[:] = ["U0BEN"]
        await it.grace.types("/incident declare P1 checkout is down")
        room = await it.channel("inc-1", user="U0GRACE")
        await it.quiet()
        assert {"U0ANA", "U0BEN", "U0GRACE"} <= seen(it, room)


async def test_a_taken_name_gets_a_suffix_and_the_foreign_channel_is_left_alone(database: str) -> None:
    """Other people's channels of that name (one of them archived) are never adopted; ours is called -3."""
    async with scene(database) as it:
        for name in ("inc-1-checkout-is-down", "inc-1-checkout-is-down-2"):
            foreign = await it.post("/ui/channel", user="U0FRANK", name=name, is_private=name.endswith("2"))
        await it.post("/ui/archive", user="U0FRANK", channel=foreign["id"])
        await it.ana.types("/incident declare P1 checkout is down")
        room = await it.channel("inc-1-checkout-is-down-3")
        await it.board(room)
        await it.quiet()
        for channel in it.practice.slack.channels.values():
            if channel.creator == "U0FRANK":
                assert "U0BOT" not in channel.members
                assert not channel.pins


async def test_who_cannot_be_invited_is_named_and_stops_nobody(database: str) -> None:
    """Bad ids are reported in the room and on the timeline; the others are invited all the same."""
    async with scene(database) as it:
        it.practice.slack.usergroups["S0RESPOND"].users.extend(["U0GONE", "U0LEFT"])
        it.practice.slack.users["U0CHLOE"].deleted = True
        room = await it.declares("P1 checkout is down")
        line = await it.ana.reads(room, "Could not be invited")
        assert "U0GONE" in whole(line)
        assert "user_not_found" in whole(line)
        assert RESPONDERS - {"U0CHLOE"} <= seen(it, room)
        assert "U0GONE" in (await it.entry(1, "not_invited")).text
        assert "Invite people" not in whole(await it.board(room))


async def test_many_are_invited_in_chunks(database: str) -> None:
    """Slack takes a hundred at once: 250 responders are three calls, and one bad id among them costs nobody else the room."""
    async with scene(database) as it:
        ana = it.practice.slack.users["U0ANA"]
        names = [f"U0P{n:03d}" for n in range(250)]
        for name in names:
            it.practice.slack.users[name] = type(ana)(name, name.lower(), name, f"{name}@x.example", "", "000000")
        it.practice.slack.usergroups["S0RESPOND"].users[:] = ["U0ANA", *names[:120], "U0GONE", *names[120:]]
        room = await it.declares("P1 checkout is down")
        await it.quiet()
        assert set(names) <= seen(it, room)
        assert max(len(call["users"].split(",")) for call in it.calls("conversations.invite")) <= 100


async def test_a_security_incident_is_private_everywhere(database: str) -> None:
    """Private room, no line in the announce channel, no title in PagerDuty; the page goes out."""
    async with scene(database) as it:
        await it.ana.types("/incident declare P1 customer data breach by an intruder")
        room = await it.channel("inc-1")
        await it.board(room, "customer data breach")
        await it.quiet()
        assert it.practice.slack.channels[room].is_private
        assert seen(it, room) == RESPONDERS | {"U0BOT"}
        assert await public_channels(it) == {"general", "incidents", "status", "engineering"}
        assert await it.said(ANNOUNCE) == []
        (page,) = it.pages()
        assert "breach" not in f"{page.title} {page.details}"
        assert page.urgency == "high"


@pytest.mark.parametrize("code", ["restricted_action", "missing_scope"])
async def test_a_private_room_that_is_refused_is_never_made_public(database: str, code: str) -> None:
    """No private room: the declarer is told in a direct message that has the board, the page goes, nothing is public."""
    async with scene(database) as it:
        it.practice.slack.faults.fail["conversations.create"] = FaultSpec("refused", code=code)
        await it.ana.types("/incident declare P0 data breach")
        direct = await it.ana.direct()
        await it.ana.reads(direct, "never replaced by a public one")
        await it.ana.reads(direct, "data breach")
        await it.ana.types("/incident note INC-1 the door was open")
        await it.ana.reads(direct, "the door was open")
        await it.ana.types("/incident status INC-1 identified")
        await it.ana.reads(direct, "*identified*")
        await it.quiet()
        assert all(call["is_private"] == "1" for call in it.calls("conversations.create"))
        assert await public_channels(it) == {"general", "incidents", "status", "engineering"}
        for channel in (ANNOUNCE, "C0GENERAL", "C0STATUS"):
            assert await it.said(channel, "INC-1") == []
        assert len(it.pages()) == 1
        assert "could not be made" in (await it.entry(1, "no_room")).text


async def test_without_a_room_the_incident_goes_on_in_the_announce_channel(database: str) -> None:
    """A workspace that forbids channels: board and lines in the announce channel, whose topic and members stay as they are."""
    async with scene(database, seconds_per_minute=0.05) as it:
        announce = it.practice.slack.channels[ANNOUNCE]
        members, topic = set(announce.members), announce.topic.value
        it.practice.slack.faults.fail["conversations.create"] = FaultSpec("refused")
        await it.ana.types("/incident declare P1 checkout is down")
        board = await it.board(ANNOUNCE, "checkout is down")
        await it.ana.reads(ANNOUNCE, "No room could be made")
        await it.ana.reads(ANNOUNCE, "Rung 2: Engineering Manager")
        await it.ana.clicks(board, "incident_ack")
        await it.ana.reads(ANNOUNCE, "acknowledged here")
        await it.ana.types("/incident assign INC-1 commander <@U0EVA>")
        await it.board(ANNOUNCE, "<@U0EVA>")
        await it.ana.types("/incident resolve INC-1 restarted")
        await it.ana.reads(ANNOUNCE, "Incident Report")
        await it.quiet()
        assert (set(announce.members), announce.topic.value) == (members, topic)
        assert not announce.bookmarks
        assert it.pages()[0].status == "resolved"


async def test_the_announcement_is_one_line_that_follows(database: str) -> None:
    """One message in the announce channel, edited with severity, status and commander; Join leads into the room."""
    async with scene(database) as it:
        room = await it.declares("P2 checkout is slow")
        line = await it.ana.reads(ANNOUNCE, f"checkout is slow · <#{room}>")
        await it.grace.clicks(line, "incident_join")
        await it.joined(room, "U0GRACE")
        await it.ana.types("/incident severity P0", room)
        await it.ana.types("/incident assign commander", room)
        # Commands are carried out side by side, and what is resolved gets no other severity.
        await it.entry(1, "severity")
        await it.ana.types("/incident resolve cache warmed", room)

        async def followed() -> Json | None:
            (only,) = await it.said(ANNOUNCE)
            ready = all(words in whole(only) for words in ("P0 *resolved*", "<@U0ANA>", "took"))
            return only if ready else None

        last = await eventually(followed, what="the line follows")
        assert last["ts"] == line["ts"]


async def test_a_long_title_in_any_script_gives_a_legal_name(database: str) -> None:
    """At most 80 characters, only what Slack allows; a title without a Latin letter still has a room."""
    async with scene(database) as it:
        await it.ana.types("/incident declare P3 Überlast: " + "lang " * 28)
        await it.board(await it.channel("inc-1-uberlast-lang"))
        await it.ana.types("/incident declare P3 チェックアウト 🔥")
        await it.board(await it.channel("inc-2"), "チェックアウト 🔥")
        assert all(len(name) <= 80 for name in it.practice.slack.names)
