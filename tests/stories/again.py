"""Asking again: an answer is of the instant at which it was asked for, and the world of a story still moves."""

from __future__ import annotations

from collections.abc import Sequence

from tests.stories.scene import Json, Scene, eventually, whole


async def sees(it: Scene, room: str, words: str, *say: str) -> Json:
    """Ana looks again until the answer of an observation has all of this."""
    card = f"`{words.split()[0]}` by"
    last = ""

    async def cards() -> list[Json]:
        return [m for m in await it.said(room) if card in whole(m)]

    async def look() -> Json | None:
        nonlocal last
        before = len(await cards())
        await it.ana.types(f"/recover {words}", room)

        async def answer() -> Json | None:
            return next(iter((await cards())[before:]), None)

        seen = await eventually(answer, what=f"an answer of {words}")
        last = whole(seen)
        return seen if all(one in last for one in say) else None

    try:
        return await eventually(look, 60, f"{words} shows {say}")
    except AssertionError as error:
        raise AssertionError(f"{error}; its last answer:\n{last}") from error


async def assessed(it: Scene, room: str, *say: str, lacks: Sequence[str] = ()) -> Json:
    """The newest assessment, once one has all of this and nothing of what it `lacks`; Ana asks for another until then."""

    async def newest() -> Json | None:
        cards = await it.said(room, "*Assessment*")
        return cards[-1] if cards else None

    async def look() -> Json | None:
        seen = await eventually(newest, what="an assessment")
        if all(one in whole(seen) for one in say) and not any(one in whole(seen) for one in lacks):
            return seen
        count = len(await it.said(room, "*Assessment*"))
        await it.ana.types("/incident assess", room)

        async def another() -> bool:
            return len(await it.said(room, "*Assessment*")) > count

        await eventually(another, what="another assessment")
        return None

    return await eventually(look, 60, f"an assessment that says {say}, and nothing of {lacks}")
