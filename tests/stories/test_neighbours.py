"""When neighbours fail: everything that is owed is done later, in order, once; and nobody is left without a word."""

import asyncio
import contextlib
import re
import signal
from collections import Counter
from typing import Any

import aiohttp
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sandbox.slack import FaultSpec
from tests.stories.scene import ANNOUNCE, GENERAL, Json, Scene, eventually, scene, whole
from tests.stories.test_record import pins

ways_in = pytest.mark.parametrize("http", [False, True], ids=["socket", "http"])


async def asked(it: Scene, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as client, client.get(f"http://{it.practice.env['BOT_HTTP']}{path}") as answer:
        return answer.status, await answer.text()


def effects_said(it: Scene, channel: str) -> Counter[str]:
    """How often each effect stands in a channel: by the mark that every message of ours carries."""
    found: Counter[str] = Counter()
    for message in it.practice.slack.channels[channel].messages.values():
        if message.metadata and message.subtype is None:
            found[str(message.metadata["event_payload"]["key"])] += 1
    return found


def rooms(it: Scene) -> list[str]:
    return [c.id for c in it.practice.slack.channels.values() if c.name.startswith("inc-")]


async def test_it_starts_with_every_neighbour_down(database: str) -> None:
    """Slack, PagerDuty, and the estate's Postgres, Redis and API all dead: ready, degraded by name; then all is well."""

    def dead(practice: Any) -> None:
        practice.slack.faults.down = True
        practice.pagerduty.faults.down = True

    async with scene(database, process=True, wait=False, before=dead) as it:
        assert await it.practice.bot.ready(60)
        status, text = await asked(it, "/readyz")
        assert status == 200
        assert '"slack_socket": "not connected"' in text
        assert (await asked(it, "/healthz"))[0] == 200
        assert "recovery_bot_neighbour_up" in (await asked(it, "/metrics"))[1]
        it.practice.slack.faults.clear()
        it.practice.pagerduty.faults.clear()
        await it.connected()
        room = await it.declares("P1 checkout is down")
        await it.entry(1, "paged")
        assert len(rooms(it)) == 1
        await it.board(room)


@pytest.mark.parametrize("kind", ["ratelimited", "http_500", "internal_error", "drop", "lost"])
async def test_whatever_slack_does_there_is_one_room_and_one_of_each_message(database: str, kind: str) -> None:
    """Calls refused, failed, cut off, or done with the answer lost: looked for before they are repeated."""
    async with scene(database) as it:
        await it.quiet()
        for method, times in (
            ("conversations.create", 1),
            ("chat.postMessage", 4),
            ("conversations.invite", 1),
            ("pins.add", 1),
        ):
            it.practice.slack.faults.fail[method] = FaultSpec(kind, times=times)  # type: ignore[arg-type]
        room = await it.declares("P1 checkout is down")
        await it.ana.reads(room, "*Assessment*")
        await it.quiet()
        assert rooms(it) == [room]
        assert set(effects_said(it, room).values()) == {1}
        assert set(effects_said(it, ANNOUNCE).values()) == {1}
        assert len(it.practice.slack.channels[room].pins) == 1
        assert len(it.pages()) == 1


async def test_every_answer_is_lost_for_a_while(database: str) -> None:
    """The first nine calls are all done and none of them is answered: still one of everything, in order."""
    async with scene(database) as it:
        await it.quiet()
        it.practice.slack.faults.fail["*"] = FaultSpec("lost", times=9)
        await it.ana.types("/incident declare P1 checkout is down")
        room = await it.channel("inc-1")
        await it.board(room, "Latest readings")
        await it.joined(room, "U0EVA")
        await it.quiet()
        assert rooms(it) == [room]
        said = effects_said(it, room)
        assert set(said.values()) == {1}
        first = (await it.said(room))[0]
        assert first.get("pinned")


async def test_a_lost_upload_is_not_repeated(database: str) -> None:
    """The export's answer is lost after the file is there: one file of each name."""
    async with scene(database) as it:
        room = await it.declares("P3 checkout is odd")
        it.practice.slack.faults.fail["files.completeUploadExternal"] = FaultSpec("lost", times=1)
        await it.ana.types("/incident close", room)
        await it.entry(1, "exported")
        names = [f["name"] for m in await it.ana.sees(room) for f in m.get("files") or []]
        assert sorted(names) == ["INC-1-report.md", "INC-1-timeline.json"]


async def test_a_wish_to_wait_is_kept(database: str) -> None:
    """429 with Retry-After: the call comes again, and not before."""
    async with scene(database) as it:
        await it.quiet()
        it.practice.slack.faults.fail["conversations.create"] = FaultSpec("ratelimited", times=1, retry_after=2)
        await it.declares("P1 checkout is down")
        first, second = (call.at for call in it.practice.slack.calls if call.method == "conversations.create")
        assert second - first >= 2.0


async def test_one_failing_call_holds_back_nothing_else(database: str) -> None:
    """Topic, bookmarks and the announcement fail for good: room, page, board, lines, resolve and close do not notice."""
    async with scene(database) as it:
        faults = it.practice.slack.faults.fail
        for method in ("conversations.setTopic", "bookmarks.list", "usergroups.users.list"):
            faults[method] = FaultSpec("http_503")
        await it.sql("select 1")
        room = await it.declares("P1 checkout is down")
        await it.entry(1, "paged")
        await it.ana.reads(room, "*Assessment*")
        await it.board(room, "*Topic of the room* is late")
        await it.ana.types("/incident ack", room)
        await it.ana.reads(room, "acknowledged here")


async def test_a_silent_socket_is_built_anew(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connected, but nothing comes and no ping is answered: the links are built anew, and commands flow again."""
    monkeypatch.setattr("handlers.link.SILENT_FOR", 2.0)
    async with scene(database) as it:
        slack = it.practice.slack
        old = list(slack.sockets.connections)
        slack.faults.socket_silent = True

        async def rebuilt() -> bool:
            return bool(slack.sockets.connections) and not any(c in old for c in slack.sockets.connections)

        await eventually(rebuilt, what="other links than before")
        slack.faults.socket_silent = False

        async def heard() -> bool:
            answer = await it.post("/ui/command", user="U0ANA", channel=GENERAL, command="/incident", text="help")
            return bool(answer["ok"])

        await eventually(heard, what="a command that is heard")
        await it.ana.reads(GENERAL, "every button has a command")


@ways_in
async def test_sigterm_drains_and_leaves_with_zero(database: str, http: bool) -> None:
    """Stopped in the middle of a declaration: exit status 0, and the next process ends what was begun, once."""
    async with scene(database, process=True, http=http) as it:
        it.practice.slack.faults.latency = 0.2
        await it.ana.types("/incident declare P1 checkout is down")
        await it.practice.bot.stop()
        assert it.practice.bot.returncode == 0
        it.practice.slack.faults.latency = 0
        await it.practice.bot.start()
        await it.connected()
        room = await it.channel("inc-1")
        await it.board(room, "Latest readings")
        await it.quiet()
        assert rooms(it) == [room]
        assert set(effects_said(it, room).values()) == {1}
        assert len(it.pages()) == 1


async def test_killed_at_once_it_forgets_nothing_that_was_acknowledged(database: str) -> None:
    """kill -9 right after Slack got its acknowledgement: the declaration is carried out by the next process."""
    async with scene(database, process=True) as it:
        await it.ana.types("/incident declare P1 checkout is down")
        await it.practice.bot.kill()
        assert it.practice.bot.returncode == -signal.SIGKILL
        await it.practice.bot.start()
        room = await it.channel("inc-1")
        await it.board(room, "Latest readings")
        await it.quiet()
        assert set(effects_said(it, room).values()) == {1}
        assert len(it.pages()) == 1


class Store:
    """The server of the bot's own store, seen by its operator."""

    def __init__(self, it: Scene) -> None:
        self._name = str(conninfo_to_dict(it.database)["dbname"])
        self._operator = make_conninfo(it.database, dbname="postgres")

    async def allow(self, *, yes: bool) -> None:
        """Let connections in, or none and end those that are there."""
        statement = sql.SQL("alter database {} with allow_connections {}").format(
            sql.Identifier(self._name), sql.SQL("true" if yes else "false")
        )
        async with await psycopg.AsyncConnection.connect(self._operator, autocommit=True) as conn:
            await conn.execute(statement)
        if not yes:
            await self.cut()

    async def cut(self) -> None:
        """End every connection, as a restart does, and wait until it has ended."""
        async with await psycopg.AsyncConnection.connect(self._operator, autocommit=True) as conn:
            await conn.execute(
                "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = %s", [self._name]
            )


async def test_what_cannot_be_stored_is_said_at_once(database: str) -> None:
    """Its own store is gone: the person is told that nothing was done and whom to call; not ready; then it works again."""
    async with scene(database) as it:
        store = Store(it)
        await store.allow(yes=False)
        await it.ana.types("/incident declare P1 checkout is down")
        told = whole(await it.ana.reads(GENERAL, "nothing was stored and nothing was done"))
        assert "Primary On-Call +1" in told
        assert (await asked(it, "/readyz"))[0] == 503
        await store.allow(yes=True)
        await it.connected()
        await it.declares("P1 checkout is down")
        assert len(rooms(it)) == 1


@ways_in
async def test_an_event_that_cannot_be_stored_comes_again(database: str, http: bool) -> None:
    """It is not acknowledged, so that Slack delivers it later: a pin that is set while the store is gone is not lost."""
    async with scene(database, http=http) as it:
        room = await it.declares("P1 checkout is down")
        ts = await it.ben.says(room, "it began at noon")
        slack, store, refused = it.practice.slack, Store(it), asyncio.Event()
        road = slack.delivery.road

        class Watched:
            """The road, and whether the first delivery is refused."""

            connected = True

            async def send(self, kind: Any, payload: Any, retry: Any) -> Any:
                reply = await road.send(kind, payload, retry)
                if reply.error and retry is None:
                    refused.set()
                return reply

        slack.delivery.road = Watched()
        slack.seconds_per_minute = 6
        await store.allow(yes=False)
        await pins(it.ben, room, ts)
        async with asyncio.timeout(40):
            await refused.wait()
        await store.allow(yes=True)

        async def pinned() -> bool:
            with contextlib.suppress(psycopg.Error):
                return any(entry.kind == "pinned" for entry in await it.timeline(1))
            return False

        await eventually(pinned, 80, "the pin is on the timeline")


async def test_sigterm_ends_it_even_while_its_store_is_gone(database: str) -> None:
    """Nothing can be written down, and the process ends all the same, by itself and with 0."""
    async with scene(database, process=True) as it:
        await it.declares("P1 checkout is down")
        store = Store(it)
        await store.allow(yes=False)

        async def noticed() -> bool:
            return (await asked(it, "/readyz"))[0] == 503

        await eventually(noticed, what="it is not ready")
        await it.practice.bot.stop()
        assert it.practice.bot.returncode == 0
        await store.allow(yes=True)


async def test_a_store_that_restarts_under_load_loses_nothing(database: str) -> None:
    """All connections are cut in the middle of each wave of notes: what was taken is done once, the rest was said."""
    async with scene(database) as it:
        store, room = Store(it), await it.declares("P1 checkout is down")

        async def notes(numbers: range) -> list[Json]:
            texts = [f"note seen {n:02d}" for n in numbers]
            return await asyncio.gather(
                *(it.post("/ui/command", user="U0ANA", channel=room, command="/incident", text=text) for text in texts)
            )

        answers: list[Json] = []
        for wave in range(4):
            said, _ = await asyncio.gather(notes(range(wave * 5, wave * 5 + 5)), store.cut())
            answers += said
        unheard = sum(not answer["ok"] for answer in answers)

        async def settled() -> bool:
            with contextlib.suppress(psycopg.Error):
                await it.quiet()
                return True
            return False

        await eventually(settled, what="the store is back")

        async def told() -> bool:
            lost = sum("nothing was stored" in whole(m) for m in await it.ana.sees(room))
            return sum(e.kind == "note" for e in await it.timeline(1)) + lost + unheard >= 20

        await eventually(told, what="each note is stored or refused")
        noted = Counter(e.text for e in await it.timeline(1) if e.kind == "note")
        assert set(noted.values()) <= {1}
        assert set(effects_said(it, room).values()) == {1}


async def test_nobody_is_mentioned_by_what_people_type(database: str) -> None:
    """A title, a note and a reason full of mentions, links and formatting ring nobody and lead nowhere."""
    from sandbox.slack import payloads

    async with scene(database) as it:
        slack = it.practice.slack
        room = await it.declares("P1 checkout is down")
        for words in ("declare P2 <!channel> llm", "note INC-1 <!here> <@U0FRANK|frank> <https://evil.example|bank>",
                      "escalate INC-1 <!everyone> &lt;!channel&gt;", "update INC-1 <!channel> <!subteam^S0RESPOND>"):  # fmt: skip
            payload = payloads.command(slack, slack.users["U0ANA"], slack.channels[GENERAL], "/incident", words)
            assert not (await slack.delivery.road.send("slash_commands", payload, None)).error
        await it.channel("inc-2")
        await it.ana.reads(room, "@frank")
        await it.ana.reads("C0STATUS", "*Current Status*")
        await it.quiet()
        sent = " ".join(str(args) for _, method, args, _ in slack.calls if method.startswith("chat."))
        for mention in ("<!channel", "<!here", "<!everyone", "<!subteam", "<@U0FRANK", "<https://evil"):
            assert mention not in sent, mention
        assert "U0FRANK" not in slack.channels[room].mentioned


async def test_no_secret_leaves_the_store(database: str) -> None:
    """A password in a title, note, reason, update or pinned message is hidden in Slack, PagerDuty, timeline and export."""
    secret = "hunter2-XyZ-77"
    async with scene(database) as it:
        await it.ana.types(f"/incident declare P1 postgres://app:{secret}@db.example/main refuses us")
        room = await it.channel("inc-1")
        await it.board(room)
        await it.joined(room, "U0ANA")
        for words in (f"note password={secret}", f"escalate api_key={secret}", f"hold 15m token={secret}", f"update password={secret}",
                      f"note the key is {it.practice.env['PAGERDUTY_API_KEY']}"):  # fmt: skip
            await it.ana.types(f"/incident {words}", room)
        await it.entry(1, "held")
        before = len(it.practice.slack.calls)
        ts = await it.ben.says(room, f"try --password {secret}")
        await it.post("/ui/react", user="U0BEN", channel=room, ts=ts, name="pushpin", add=True)
        assert "[hidden]" in (await it.entry(1, "pinned")).text
        await it.ana.types(f"/incident resolve password={secret}", room)
        await it.entry(1, "resolved")
        await it.ana.types("/incident close", room)
        await it.entry(1, "exported")
        await it.quiet()
        assert before
        out = [str(list(it.practice.slack.calls)), str([f.content for f in it.practice.slack.files.values()])]
        out += [str(it.practice.pagerduty.calls), str(await it.timeline(1))]
        for text in out:
            assert secret not in text
            assert secret.lower() not in text
            assert it.practice.env["PAGERDUTY_API_KEY"] not in text
        assert re.search(r"\[hidden\]", out[0])
