"""The commands that look and do not run: the estate file, the settings, the timeline."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bot import estate as estates
from bot import report
from bot.clock import Pace, wall_clock
from bot.errors import BadInput, DataDirectoryBusy
from bot.failures import why
from bot.incident import parse_number
from bot.rules import rules_of
from bot.settings import Settings, read
from bot.store import Store
from bot.store.conninfo import noticing
from bot.store.embedded import EmbeddedPostgres, default_data_dir
from bot.store.embedded_home import running
from bot.timeline import verify

Say = Callable[[str], None]


def estate_check(path: Path, say: Say) -> int:
    """Validate an estate file; 0 when it is good. Raises EstateError naming every problem and its line."""
    say(estates.describe(estates.load(path, os.environ)))
    return 0


def estate_schema(say: Say) -> int:
    """The JSON schema of the file, for editors."""
    say(json.dumps(estates.schema(), indent=2))
    return 0


def check(say: Say) -> int:
    """Settings, estate file and store, without starting: 0 when the bot could run. Warns about a store inside the blast radius."""
    settings = read(os.environ, practice=True)
    estate = estates.load(settings.estate, os.environ)
    say(estates.describe(estate))
    say(f"Slack: {'Socket Mode' if settings.socket_mode else 'HTTP at /slack/events'}, {settings.slack_api_url}")
    say(f"PagerDuty: {'webhooks and API' if settings.pagerduty_webhook_secret else 'API only, polled'}")
    if not settings.database_url:
        say(f"Store: embedded PostgreSQL in {settings.data_dir}")
        return 0
    try:
        with psycopg.connect(noticing(settings.database_url)):
            say("Store: answers")
    except psycopg.Error as error:
        say(f"Store: does not answer ({why(error)}). The bot would wait for it and serve nothing until then.")
        return 1
    for warning in blast_radius(settings, estate):
        say(f"WARNING: {warning}")
    return 0


def blast_radius(settings: Settings, estate: estates.Estate) -> list[str]:
    """Why the store would go down with what the bot is to repair; empty when nothing says so."""
    if not settings.database_url:
        return []
    ours = str(conninfo_to_dict(settings.database_url).get("host") or "")
    theirs = {
        str(conninfo_to_dict(p.url.get_secret_value()).get("host") or "") for p in estate.probes if p.kind == "postgres"
    }
    found = []
    if ours and ours in theirs:
        found.append(
            f"BOT_DATABASE_URL is on {ours}, a database server of the estate: it would be gone when you need the bot."
        )
    if ours.endswith((".svc", ".cluster.local")):
        found.append(
            f"BOT_DATABASE_URL is on {ours}, inside a cluster: keep the store outside of what the bot repairs."
        )
    hosts = {urlsplit(p.url).hostname for p in estate.probes if p.kind == "http"}
    if ours and ours in hosts - {"127.0.0.1", "localhost"}:
        found.append(f"BOT_DATABASE_URL is on {ours}, which also serves the application.")
    return found


@asynccontextmanager
async def _store() -> AsyncIterator[Store]:
    """The bot's own store, whether the bot runs or not."""
    # What is wrong with the store is said once, as a sentence.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    database_url = os.environ.get("BOT_DATABASE_URL", "")
    server: EmbeddedPostgres | None = None
    if not database_url:
        folder = Path(os.environ["BOT_DATA_DIR"]) if os.environ.get("BOT_DATA_DIR") else default_data_dir(os.environ)
        server = EmbeddedPostgres(folder)
        try:
            database_url = await server.start()
        except DataDirectoryBusy:
            database_url, server = running(folder), None
    store = Store(database_url, wall_clock)
    try:
        await store.open()
        yield store
    finally:
        await store.close()
        if server is not None:
            await server.stop()


def timeline_verify(incident: str, say: Say) -> int:
    """0 when the chain holds, 1 and the first broken entry when not."""

    async def prove() -> int:
        async with _store() as store, store.tx() as tx:
            number = _number(incident)
            seq, head = await tx.timeline_head(number)
            verdict = verify(await tx.entries(number))
        if not verdict.holds:
            say(f"INC-{number}: BROKEN at entry {verdict.broken_at}: {verdict.why}.")
            return 1
        if (verdict.entries, verdict.head) != (seq, head):
            say(
                f"INC-{number}: BROKEN at entry {verdict.entries + 1}: the timeline was cut; {seq} entries were written."
            )
            return 1
        say(f"INC-{number}: {verdict.entries} entries, unbroken. Head {verdict.head}.")
        return 0

    return _run(prove())


def timeline_export(incident: str, form: str, say: Say) -> int:
    """The report of an incident as Markdown or its timeline as JSON, on stdout."""

    async def export() -> int:
        estate = estates.load(Path(os.environ.get("BOT_ESTATE", "estate.yml")), os.environ)
        rules = rules_of(estate, Pace(float(os.environ.get("BOT_SECONDS_PER_MINUTE", "60"))))
        async with _store() as store, store.tx() as tx:
            number = _number(incident)
            made = report.build(await tx.case(number, lock=False), await tx.entries(number), rules, wall_clock())
        say(report.as_json(made) if form == "json" else report.markdown(made))
        return 0

    return _run(export())


def _number(incident: str) -> int:
    number = parse_number(incident)
    if number is None:
        raise BadInput(f"{incident!r} is no incident. Say INC-7.")
    return number


def _run(work: Coroutine[Any, Any, int]) -> int:
    return asyncio.run(work)
