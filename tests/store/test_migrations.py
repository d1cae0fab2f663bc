"""Forward-only migrations: from zero to the schema, again without effect, never onto a newer store."""

import ast
import asyncio
import re
from pathlib import Path

import psycopg
import pytest

import bot.store
from bot.errors import ConfigError
from bot.store.sql import load_migrations, load_queries
from tests.conftest import migrate
from tests.postgres import TestPostgres
from tests.store.schema import GOLDEN, dump


def numbers(conninfo: str) -> list[int]:
    with psycopg.connect(conninfo) as connection:
        return [row[0] for row in connection.execute("select number from migration order by number")]


def test_migrating_from_zero_makes_the_schema(database: str) -> None:
    """The migrations together are the schema as it is written down; `python -m tests.store.schema` writes it anew."""
    assert dump(database) == GOLDEN.read_text(encoding="utf-8")


async def test_migrating_again_changes_nothing(database: str) -> None:
    """A second start finds nothing to do."""
    before, done = dump(database), numbers(database)
    await migrate(database)
    assert (dump(database), numbers(database)) == (before, done)
    assert done == [number for number, _, _ in load_migrations()]


async def test_two_bots_migrate_one_store(postgres: TestPostgres) -> None:
    """Replicas that start in the same second on an empty store do not trip over each other."""
    conninfo = postgres.at(postgres.create())
    await asyncio.gather(*(migrate(conninfo) for _ in range(3)))
    assert numbers(conninfo) == [number for number, _, _ in load_migrations()]


async def test_a_store_of_a_newer_bot_is_refused(database: str) -> None:
    """An old version never works on a schema that it does not know, and says what to do."""
    with psycopg.connect(database) as connection:
        connection.execute("insert into migration (number, name) values (99, 'to_come')")
    known = len(load_migrations())
    with pytest.raises(
        ConfigError, match=f"The store is at migration 99, this bot knows {known}: it was used by a newer"
    ):
        await migrate(database)
    assert numbers(database)[-1] == 99


async def test_another_procrastinate_is_refused(database: str) -> None:
    """A job type with other columns than our wake-ups fill is found at the start, not at the first page."""
    with psycopg.connect(database) as connection:
        connection.execute("alter type procrastinate_job_to_defer_v1 add attribute more text")
    with pytest.raises(ConfigError, match="procrastinate_job_to_defer_v1 has other columns"):
        await migrate(database)


async def test_a_migration_is_done_whole_or_not_at_all(postgres: TestPostgres) -> None:
    """A migration that fails half-way leaves an empty database behind, and the next start succeeds."""
    conninfo = postgres.at(postgres.create())
    with psycopg.connect(conninfo) as connection:
        connection.execute("create table reading (in_the_way text)")
    with pytest.raises(psycopg.errors.DuplicateTable):
        await migrate(conninfo)
    with psycopg.connect(conninfo) as connection:
        connection.execute("drop table reading")
        tables = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
    assert tables == []
    await migrate(conninfo)


def test_every_statement_is_used_and_every_used_one_is_there() -> None:
    """No query is left over, and none is asked for that is not in the file."""
    folder = Path(bot.store.__file__).parent
    source = "\n".join((folder / name).read_text(encoding="utf-8") for name in ("__init__.py", "runs.py"))
    source = source.replace("from __future__ import annotations", "")
    strings = {n.value for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    calls = set(re.findall(r"(?:self|self\._tx|store)\.(?:one|all|do|row|cases|query)\(\s*\"(\w+)\"", source))
    assert calls
    assert set(load_queries()) <= strings
    assert calls <= set(load_queries())
