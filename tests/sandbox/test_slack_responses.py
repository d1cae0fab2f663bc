"""Response URLs: how long, how often, and to whom."""

from typing import Any

from tests.sandbox.slack_stage import Clock, Stage, staged

BAD = [{"type": "banner"}]


async def _answer(slack: Stage, key: str, **payload: Any) -> tuple[int, str]:
    async with slack.session.post(f"{slack.url}/response/{key}", json=payload) as answer:
        return answer.status, (await answer.json()).get("error", "")


def _key(slack: Stage, original: str | None = None) -> str:
    return slack.ws.tickets.response("U0ANA", "C0GENERAL", original)


async def test_it_works_for_thirty_minutes_and_five_times() -> None:
    """Then it is 404: used_url or expired_url; a made-up one is 404 too."""
    clock = Clock()
    async with staged(clock=clock) as slack:
        first, second = _key(slack), _key(slack)
        assert [await _answer(slack, first, text="x") for _ in range(6)] == [(200, "")] * 5 + [(404, "used_url")]
        clock.now += 30 * 60
        assert await _answer(slack, second, text="x") == (200, "")
        clock.now += 1
        assert await _answer(slack, second, text="x") == (404, "expired_url")
        assert await _answer(slack, "made-up", text="x") == (404, "invalid_url")


async def test_it_speaks_to_the_person_alone_or_in_channel_where_the_bot_is_no_member() -> None:
    """Ephemeral is the default; in_channel needs no membership and reaches threads."""
    async with staged() as slack:
        ana, ben, key = slack.person("U0ANA"), slack.person("U0BEN"), _key(slack)
        parent = (await ana.post("message", channel="C0GENERAL", text="parent"))["ts"]
        await _answer(slack, key, text="only you")
        await _answer(slack, key, text="all of you", response_type="in_channel")
        await _answer(slack, key, text="in here", response_type="in_channel", thread_ts=parent, replace_original=False)
        assert [m["text"] for m in await ana.messages("C0GENERAL")] == ["parent", "only you", "all of you"]
        assert [m["text"] for m in await ben.messages("C0GENERAL")] == ["parent", "all of you"]
        assert [m["text"] for m in await ben.messages("C0GENERAL", thread_ts=parent)] == ["parent", "in here"]


async def test_what_is_wrong_with_an_answer_is_said() -> None:
    """Blocks are checked as everywhere; an original that is not there cannot be deleted."""
    async with staged() as slack:
        key = _key(slack)
        assert await _answer(slack, key, text="x", blocks=BAD) == (400, "invalid_blocks")
        assert await _answer(slack, key) == (400, "no_text")
        assert await _answer(slack, key, delete_original=True) == (400, "message_not_found")
        assert await _answer(slack, key, txt="x") == (400, "invalid_payload")


async def test_an_ephemeral_original_is_replaced_in_place() -> None:
    """The only way to change an ephemeral message is the response URL of a click on it."""
    async with staged() as slack:
        ana = slack.person()
        await _answer(slack, _key(slack), text="Sure?")
        (shown,) = await ana.messages("C0GENERAL")
        await _answer(slack, _key(slack, shown["ts"]), text="Done", replace_original=True)
        (after,) = await ana.messages("C0GENERAL")
        assert (after["ts"], after["text"], after["ephemeral"]) == (shown["ts"], "Done", True)
