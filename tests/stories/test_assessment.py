"""The assessment: real servers are broken, and what is read is bad, unknown or green, and never more than is known."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg import sql

from sandbox.practice import Part, Practice
from sandbox.slack.faults import FaultSpec
from tests.stories.again import assessed
from tests.stories.scene import Json, Scene, eventually, scene, whole

EVERYTHING: tuple[Part, ...] = ("postgres", "redis", "app")


async def card(it: Scene, room: str, words: str) -> Json:
    """The newest assessment that says `words`."""

    async def look() -> Json | None:
        return next((m for m in reversed(await it.said(room, "*Assessment*")) if words in whole(m)), None)

    return await eventually(look, what=f"an assessment that says {words!r}")


async def thread(it: Scene, room: str, card: Json) -> list[Json]:
    """A card and its details, once they are there."""

    async def look() -> list[Json] | None:
        found = await it.ana.sees(room, thread=card["ts"])
        return found if len(found) == 2 else None

    return await eventually(look, what="details in the thread")


async def recovered(it: Scene) -> list[str]:
    return [e.text for e in await it.timeline(1) if e.kind == "recovered"]


async def test_a_healthy_estate_is_all_green_with_versions_and_latency(database: str) -> None:
    """Health, LLM, Postgres (version, role) and Redis, each with its latency; the thread holds the details."""
    async with scene(database, parts=EVERYTHING) as it:
        room = await it.declares("P2 somebody complains")
        seen = await assessed(it, room, "4 ok, 0 bad, 0 unknown")
        text = whole(seen)
        for words in (
            "Nothing is bad",
            "*API health*: HTTP 200",
            "*LLM health*: HTTP 200",
            "primary, no standby",
            "PONG",
            " ms",
        ):
            assert words in text, words
        assert "in_recovery" in whole((await thread(it, room, seen))[1])

        async def green() -> bool:
            return whole(await it.board(room, "PONG")).count(":large_green_circle:") == 4

        await eventually(green, what="four green readings on the board")


async def test_redis_breaks_and_recovers(database: str) -> None:
    """Redis stopped: it is named with its evidence, the API that stands on it is bad too; green again, the time is recorded."""
    async with scene(database, parts=EVERYTHING, seconds_per_minute=4) as it:
        assert it.practice.redis is not None
        await it.practice.redis.stop()
        room = await it.declares("P1 pages load slowly")
        seen = await card(it, room, "Most likely scenario: *redis*")
        assert "redis: no answer to PING" in whole(seen)
        await it.ana.reads(room, "*Redis Cache* is bad")
        await it.board(room, "readings say *redis*")
        await it.practice.redis.start()
        await it.ana.reads(room, "*Redis Cache* is green again after")
        assert "RTO 5 min" in next(text for text in await recovered(it) if "Redis" in text)
        await it.board(room, "until green again")


async def test_postgres_breaks_and_recovers(database: str) -> None:
    """Postgres stopped explains everything that stands on it: the database is named, not the API."""
    async with scene(database, parts=EVERYTHING, seconds_per_minute=4) as it:
        assert it.practice.postgres is not None
        await it.practice.postgres.stop()
        room = await it.declares("P1 everything is slow")
        seen = await card(it, room, "Most likely scenario: *database*")
        assert "postgres-primary: no connection" in whole(seen)
        await it.practice.postgres.start()
        await it.ana.reads(room, "*Database* is green again after")
        await it.ana.reads(room, "*API Services* is green again after")
        assert len([text for text in await recovered(it) if text.startswith("Database")]) == 1


async def test_a_failing_llm_provider_is_seen(database: str) -> None:
    """Together.ai fails: the health endpoint still answers 200 but is degraded, and that is bad."""
    async with scene(database, parts=EVERYTHING) as it:
        assert it.practice.app is not None
        await it.practice.app.fail("together")

        async def degraded() -> bool:
            room = it.practice.slack.names.get("inc-1-answers-are-odd")
            if room is None:
                return False
            await it.ana.types("/incident assess", room)
            await it.quiet()
            return bool(await it.said(room, "Most likely scenario: *llm*"))

        await it.declares("P2 answers are odd")
        await eventually(degraded, what="the llm is named")


async def set_password(it: Scene, password: str | None) -> None:
    """Change the application's password on the server; None: back to what the estate knows."""
    assert it.practice.postgres is not None
    known = psycopg.conninfo.conninfo_to_dict(it.practice.postgres.url)
    async with await psycopg.AsyncConnection.connect(it.practice.postgres.admin_url, autocommit=True) as conn:
        await conn.execute(
            sql.SQL("alter role {} password {}").format(
                sql.Identifier(str(known["user"])), sql.Literal(password or known["password"])
            )
        )


async def test_unknown_is_not_green(database: str) -> None:
    """Bad, then a server that refuses our password: nobody knows, so nothing is recorded as recovered until it is seen."""
    async with scene(database, parts=("postgres",)) as it:
        assert it.practice.postgres is not None
        # Before it stops: nobody may look at it while it answers.
        await set_password(it, "another")
        await it.practice.postgres.stop()
        room = await it.declares("P1 somebody complains")
        await it.ana.reads(room, "*Database* is bad")
        await it.practice.postgres.start()
        await it.ana.types("/incident assess", room)
        await it.board(room, ":grey_question: *Postgres primary*: the server refuses our password")
        await it.quiet()
        assert await recovered(it) == []
        await set_password(it, None)
        await it.ana.types("/incident assess", room)
        await it.ana.reads(room, "*Database* is green again after")


class Silence:
    """Somebody who takes connections and never says a word. `most`: how many there were at once."""

    address = ""
    now = most = 0


@contextlib.asynccontextmanager
async def silence() -> AsyncIterator[Silence]:
    """Listening."""
    it = Silence()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        it.now += 1
        it.most = max(it.most, it.now)
        await reader.read()
        it.now -= 1
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    it.address = f"{host}:{port}"
    try:
        yield it
    finally:
        server.close()


async def test_all_probes_at_once_each_with_its_deadline(database: str) -> None:
    """Four parts that never answer are asked side by side and are unknown; the page and the board do not wait."""
    async with silence() as nobody:
        address = nobody.address
        environ = {
            "API_URL": f"http://{address}", "REDIS_URL": f"redis://{address}/0",
            "DATABASE_URL": f"postgresql://u@{address}/d",
        }  # fmt: skip
        async with scene(database, environ=environ) as it:
            await it.quiet(but=["assess"])
            nobody.most = 0
            room = await it.declares("P1 all is quiet")
            seen = await card(it, room, "0 ok, 0 bad, 4 unknown")
            assert nobody.most >= 4
            assert whole(seen).count("no answer within 5 s") >= 4
            assert "Most likely scenario: *outage*" in whole(seen)
            assert (await it.entry(1, "board")).at < (await it.entry(1, "assessed")).at
            assert (await it.entry(1, "paged")).at < (await it.entry(1, "assessed")).at


@pytest.mark.parametrize("by", ["button", "command"])
async def test_asked_again_it_looks_again(database: str, by: str) -> None:
    """`assess` posts a new card with what is there now."""
    async with scene(database, parts=("redis",)) as it:
        room = await it.declares("P1 checkout is down")
        await card(it, room, "1 ok, 3 bad")
        assert it.practice.redis is not None
        await it.practice.redis.stop()
        if by == "button":
            await it.ana.clicks(await it.board(room), "incident_assess")
        else:
            await it.ana.types("/incident assess", room)
        await card(it, room, "0 ok, 4 bad")
        assert len(await it.said(room, "*Assessment*")) == 2


async def test_a_card_whose_details_were_put_off_stands_once(database: str) -> None:
    """Slack asks us to wait between the card and its thread: the card is not posted again, the details follow."""

    def slow(practice: Practice) -> None:
        practice.slack.faults.fail["chat.postMessage"] = FaultSpec("ratelimited", times=2, having="thread_ts")

    async with scene(database, before=slow) as it:
        room = await it.declares("P1 checkout is down")
        await thread(it, room, await it.ana.reads(room, "*Assessment*"))
        assert len(await it.said(room, "*Assessment*")) == 1
