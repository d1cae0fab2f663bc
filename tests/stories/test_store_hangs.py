"""The bot's own store takes what it is told and answers no more, as behind a frozen disk or a host that has vanished."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from slack_bolt.async_app import AsyncAck

from bot.clock import wall_clock
from bot.store import Store
from handlers.intake import Intake


@asynccontextmanager
async def behind_a_wire(database: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """(the same database, by a wire that carries only while the event is set; the event)."""
    socket = f"{conninfo_to_dict(database)['host']}/.s.PGSQL.5432"
    carries, at_work = asyncio.Event(), set[asyncio.Task[None]]()
    carries.set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await carries.wait()
            writer.write(data)
        writer.close()

    async def both(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(socket)
        for one in (carry(reader, server_writer), carry(server_reader, writer)):
            at_work.add(asyncio.create_task(one))

    server = await asyncio.start_server(both, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield make_conninfo(database, host="127.0.0.1", port=port, sslmode="disable"), carries
        carries.set()
        await asyncio.gather(*at_work, return_exceptions=True)


async def test_whoever_asks_hears_at_once_that_nothing_is_stored(database: str) -> None:
    """Slack does not deliver a click again, and waits three seconds: who asked is told whom to call, while the store still hangs."""
    async with behind_a_wire(database) as (conninfo, carries):
        store = Store(conninfo, wall_clock)
        await store.open()
        intake = Intake(store, None, wall_clock, "Primary On-Call +1")  # type: ignore[arg-type]  # nobody is asked
        body = {
            "trigger_id": "t",
            "command": "/incident",
            "user_id": "U0ANA",
            "channel_id": "C0GENERAL",
            "text": "declare",
        }
        ack = AsyncAck()  # type: ignore[no-untyped-call]  # Bolt's
        carries.clear()
        async with asyncio.timeout(40):
            await intake.command(ack, body)
        assert ack.response is not None
        assert "nothing was stored and nothing was done" in ack.response.body
        assert "Primary On-Call +1" in ack.response.body
        carries.set()
        await intake.quiet(40)
        await store.close()
    async with await psycopg.AsyncConnection.connect(database) as conn:
        assert (await (await conn.execute("select count(*) from effect")).fetchall()) == [(0,)]
