"""From submit to the page leaving, to the board, to the assessment; each call to a neighbour takes 100 ms longer."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.figure import Figure, median
from benchmarks.stage import LATENCY, Stage, stage, until
from sandbox.practice import ALL
from sandbox.slack.model import Message

ROUNDS = 7


async def figures() -> list[Figure]:
    """Medians over several declarations by the window."""
    async with stage(parts=ALL) as it:
        await it.quiet()
        it.latency(LATENCY)
        rounds = [await _declare(it, number) for number in range(1, ROUNDS + 1)]
    page, board, card, trips = (median([one[place] for one in rounds]) for place in range(4))
    how = f"median of {ROUNDS}; 100 ms added to each Slack and PagerDuty call"
    return [
        Figure("Submit to the page leaving for PagerDuty", page * 1000, "ms", 150, how),
        Figure("Submit to the board visible", board * 1000, "ms", 500, how),
        Figure("Round trips to Slack before the board is visible", trips, "", 5, "at most 4 are the goal"),
        Figure(
            "Submit to the first full assessment card", card * 1000, "ms", None, f"{how}; 4 probes of a live estate"
        ),
    ]


async def _declare(it: Stage, number: int) -> tuple[float, float, float, int]:
    """(page, board, assessment) in seconds after the submit, and the calls to Slack that the board had to wait for."""
    await it.types("/incident declare")
    window: dict[str, object] = {}

    async def filled() -> bool:
        views = (await it.get("/ui/views", user="U0ANA"))["views"]
        window.update(views[-1] if views else {})
        return bool(views) and len(views[-1]["blocks"]) > 1

    await until(filled)
    values = {"title": {"title": {"type": "plain_text_input", "value": f"Station{number} silent"}}}
    began = time.time()
    answer = await it.post("/ui/view/submit", user="U0ANA", view_id=window["id"], values=values)
    assert answer["ok"], answer
    board = await _message(it, lambda key: key == f"INC-{number}/board")
    details = await _message(it, lambda key: key.startswith(f"INC-{number}/assess") and key.endswith("/details"))
    page = next(p for p in it.practice.pagerduty.incidents.values() if p.key == f"INC-{number}")
    left = next(
        c.at
        for c in it.practice.pagerduty.calls
        if c.route == "/incidents" and (c.body or {}).get("incident", {}).get("incident_key") == page.key
    )
    room = it.practice.slack.channels[board.channel]
    seen = float(board.ts)
    trips = sum(
        1
        for call in it.practice.slack.calls
        if began < call.at <= seen and (call.args.get("channel") == room.id or call.args.get("name") == room.name)
    )
    await it.quiet()
    await it.types(f"/incident resolve INC-{number}")
    await it.quiet()
    return left - began, seen - began, float(details.ts) - began, trips


async def _message(it: Stage, wanted: Callable[[str], bool]) -> Message:
    """The message of an effect, once it is there."""
    found: list[Message] = []

    async def look() -> bool:
        for channel in it.practice.slack.channels.values():
            for message in channel.messages.values():
                if wanted(str(((message.metadata or {}).get("event_payload") or {}).get("key", ""))):
                    found.append(message)
                    return True
        return False

    await until(look)
    return found[0]
