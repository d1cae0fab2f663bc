"""Forward-only migrations: ours by number, procrastinate's schema as its pinned version ships it."""

from __future__ import annotations

from importlib import metadata, resources

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from bot.errors import ConfigError
from bot.store.sql import load_migrations

PROCRASTINATE = "3.10.0"
"""The version whose schema and composite type our wake-ups are written against."""

_JOB_TYPE = (
    "queue_name", "task_name", "priority", "lock", "queueing_lock", "args", "scheduled_at",
)  # fmt: skip


async def migrate(conn: AsyncConnection[DictRow]) -> list[str]:
    """Bring the schema up to this version; the names of what was done. One bot at a time, all or nothing.

    Raises ConfigError when the store was written by a newer bot, or procrastinate is another version than expected.
    """
    installed = metadata.version("procrastinate")
    if installed != PROCRASTINATE:
        raise ConfigError(f"procrastinate {installed} is installed; this version needs {PROCRASTINATE}.")
    async with conn.transaction():
        await conn.execute("select pg_advisory_xact_lock(hashtextextended('recovery-bot migrations', 0))")
        await conn.execute(
            "create table if not exists migration (number integer primary key, name text not null,"
            " at timestamptz not null default now())"
        )
        cursor = await conn.execute("select coalesce(max(number), 0) as standing from migration")
        row = await cursor.fetchone()
        standing = int(row["standing"]) if row else 0
        migrations = load_migrations()
        if standing > len(migrations):
            raise ConfigError(
                f"The store is at migration {standing}, this bot knows {len(migrations)}: it was used by a newer version."
                " Start that version, or point BOT_DATABASE_URL at another database."
            )
        if not standing:
            schema = resources.files("procrastinate").joinpath("sql/schema.sql").read_text(encoding="utf-8")
            await conn.execute(schema.encode())
        done = []
        for number, name, statements in migrations[standing:]:
            await conn.execute(statements.encode())
            await conn.execute("insert into migration (number, name) values (%s, %s)", (number, name))
            done.append(f"{number:04}_{name}")
    await _check_job_type(conn)
    return done


async def _check_job_type(conn: AsyncConnection[DictRow]) -> None:
    """The composite type that `wake()` fills must have the columns it was written for."""
    cursor = await conn.execute(
        "select array_agg(attname order by attnum) as columns from pg_attribute"
        " where attrelid = 'procrastinate_job_to_defer_v1'::regclass and attnum > 0 and not attisdropped"
    )
    row = await cursor.fetchone()
    if row is None or tuple(row["columns"]) != _JOB_TYPE:
        raise ConfigError(f"procrastinate_job_to_defer_v1 has other columns than expected: {row and row['columns']}")
