"""Many incidents at once: one is declared for real, its rows are copied."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from benchmarks.stage import Stage
from sandbox.slack import posting, rooms

_INCIDENTS = """
insert into incident select (jsonb_populate_record(i, jsonb_build_object(
    'number', n, 'declaration', 'copy/' || n, 'room_name', 'inc-' || n || '-copy', 'title', 'Copy ' || n,
    'declared_at', %(declared)s::timestamptz + (n - 2) * %(apart)s::interval, 'timeline_seq', 0, 'timeline_head', repeat('0', 64)))).*
from incident i, generate_series(2, %(count)s + 1) n where i.number = 1"""
_RUNGS = """
insert into rung select (jsonb_populate_record(r, jsonb_build_object('incident', i.number,
    'due_at', i.declared_at + (r.due_at - t.declared_at)))).*
from incident i, rung r join incident t on t.number = 1 where i.number > 1 and r.incident = 1"""
_EFFECTS = """
insert into effect (incident, kind, lane, key, args, state, attempts, due_at, begun_at, result, created_at, done_at)
select i.number, e.kind, replace(e.lane, 'INC-1/', i.id), replace(e.key, 'INC-1/', i.id), e.args, e.state, 0,
       case when e.kind = 'ladder' then (select min(due_at) from rung where incident = i.number and state = 'waiting') else e.due_at end,
       e.begun_at, e.result, e.created_at, e.done_at
from (select number, 'INC-' || number || '/' as id from incident where number > 1) i, effect e
where e.incident = 1 and e.key like 'INC-1/%%'"""


async def crowd(it: Stage, count: int, due: datetime, apart: timedelta, *, places: bool) -> None:
    """`count` open incidents, INC-2 and on, whose rung 2 falls due from `due` on, one every `apart`. The bot is killed for it.

    `places`: each has a room, a board and a page of its own in the practice Slack and PagerDuty.
    """
    await it.types("/incident declare P1 station silent")
    await it.quiet()
    await it.sql(
        "update effect set state = 'done', done_at = now() where incident = 1 and state = 'waiting' and kind <> 'ladder'"
    )
    await it.kill()
    declared = due - timedelta(minutes=15)
    await it.sql(_INCIDENTS, count=count, declared=declared, apart=apart)
    await it.sql(_RUNGS)
    await it.sql(_EFFECTS)
    await it.sql("update incident set status = 'resolved', resolved_at = now() where number = 1")
    await it.sql("update effect set state = 'done', done_at = now() where incident = 1")
    if places:
        await _places(it, count)
    await it.sql("analyze")


async def _places(it: Stage, count: int) -> None:
    slack, pagerduty = it.practice.slack, it.practice.pagerduty
    ana = pagerduty.people["PANAORT"]
    values = []
    for number in range(2, count + 2):
        room = rooms.create(slack, f"inc-{number}-copy", slack.bot_user, private=False)
        board = posting.post(slack, room, "Board", user=slack.bot_user, bot_id=slack.bot_id)
        page = pagerduty.account.trigger(slack.clock(), ana, title="Copy", key=f"INC-{number}")
        values.append(f"({number}, '{room.id}', '{board.ts}', '{page.id}')")
    await it.sql(
        "update incident set room = v.room, board_ts = v.board,"  # noqa: S608  ids of our own making
        " pages = jsonb_build_object('1', jsonb_build_object('id', v.page, 'url', ''))"
        f" from (values {', '.join(values)}) as v (number, room, board, page) where incident.number = v.number"
    )


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
