"""Tasks that are told to end."""

import asyncio

from bot.ending import ended


async def test_a_lost_cancellation_is_not_the_last() -> None:
    """A task that swallows its first cancellation is cancelled again; what it ended with is told, a cancellation is not."""
    lost = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.set()
        await asyncio.Event().wait()

    async def broken() -> None:
        raise LookupError("at once")

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(broken())]
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        errors = await ended(*tasks)
    assert lost.is_set()
    assert tasks[0].cancelled()
    assert [type(error) for error in errors] == [LookupError]
