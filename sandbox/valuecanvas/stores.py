"""The database and the cache, each asked with a short deadline."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import redis.asyncio
from psycopg import Error as PostgresError
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from redis.exceptions import RedisError

from sandbox.valuecanvas.writes import Write

DEADLINE = 1.0
CACHE_SECONDS = 60


class Stores:
    """Connects when it is first asked, and again after every failure.

    Raises psycopg.ProgrammingError or ValueError for addresses that are none.
    """

    def __init__(self, database_url: str, redis_url: str) -> None:
        conninfo_to_dict(database_url)
        self._pool = AsyncConnectionPool(
            database_url,
            min_size=0,
            max_size=4,
            timeout=DEADLINE,
            # Shorter than the deadline: a dead attempt must not be what the next question waits for.
            reconnect_timeout=DEADLINE / 2,
            check=AsyncConnectionPool.check_connection,
            kwargs={
                "connect_timeout": 2,
                "application_name": "api-server",
                "options": f"-c statement_timeout={int(DEADLINE * 1000)}",
            },
            open=False,
        )
        # Any: its hints say both "awaitable" and "not", differently with and without types-redis.
        self._redis: Any = redis.asyncio.Redis.from_url(
            redis_url, socket_connect_timeout=DEADLINE, socket_timeout=DEADLINE, decode_responses=True
        )

    async def open(self) -> None:
        """Get ready; does not need anything to be up."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Let go of every connection."""
        await self._pool.close()
        await self._redis.aclose()

    async def check_database(self) -> dict[str, Any]:
        """Ask Postgres something: `{"status": "up"|"down", "latency_ms", "error"?}`."""
        return await _timed(self._ask_database)

    async def check_cache(self) -> dict[str, Any]:
        """Ask Redis something: the same shape."""
        return await _timed(self._redis.ping)

    async def canvases(self, limit: int) -> list[dict[str, Any]]:
        """The canvases changed last. Raises PostgresError or PoolTimeout."""
        query = (
            "SELECT c.id, c.title, u.email AS owner, c.updated_at::text FROM canvases c JOIN users u ON u.id = owner_id"
            " ORDER BY c.updated_at DESC LIMIT %s"
        )
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return await (await cursor.execute(query, (limit,))).fetchall()

    async def write(self, title: str) -> Write:
        """Store a new canvas; it is committed when this returns. Raises PostgresError or PoolTimeout."""
        query = (
            "INSERT INTO canvases (owner_id, title, updated_at) VALUES ((SELECT min(id) FROM users), %s, now())"
            " RETURNING id"
        )
        async with self._pool.connection() as connection:
            row = await (await connection.execute(query, (title,))).fetchone()
        if row is None:
            raise PostgresError("the new canvas has no id")
        return Write(row[0], title)

    async def signed_in(self, session: str) -> bool:
        """Whether a session is one that was begun and not ended. Raises PostgresError or PoolTimeout."""
        query = "SELECT EXISTS (SELECT FROM auth.sessions WHERE id::text = %s)"
        async with self._pool.connection() as connection:
            return await (await connection.execute(query, (session,))).fetchone() == (True,)

    async def missing(self, writes: Sequence[Write]) -> list[Write]:
        """Those that the database does not have (any more). Raises PostgresError or PoolTimeout."""
        query = (
            "SELECT a.id, a.title FROM unnest(%s::bigint[], %s::text[]) AS a (id, title)"
            " WHERE NOT EXISTS (SELECT FROM canvases c WHERE c.id = a.id AND c.title = a.title) ORDER BY a.id"
        )
        given = [write.id for write in writes], [write.title for write in writes]
        async with self._pool.connection() as connection:
            return [Write(*row) for row in await (await connection.execute(query, given)).fetchall()]

    async def remembered(self, prompt: str) -> str | None:
        """A cached answer; None when there is none or no cache: the platform goes on, only dearer."""
        try:
            answer: str | None = await self._redis.get(f"llm:{prompt}")
        except RedisError:
            return None
        return answer

    async def remember(self, prompt: str, answer: str) -> bool:
        """Cache an answer; False when there is no cache."""
        try:
            await self._redis.set(f"llm:{prompt}", answer, ex=CACHE_SECONDS)
        except RedisError:
            return False
        return True

    async def _ask_database(self) -> None:
        async with self._pool.connection() as connection:
            await connection.execute("SELECT 1 FROM users LIMIT 1")


async def _timed(ask: Callable[[], Awaitable[object]]) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        await ask()
    except (PostgresError, PoolTimeout, RedisError) as error:
        return {"status": "down", "latency_ms": _since(started), "error": type(error).__name__}
    return {"status": "up", "latency_ms": _since(started)}


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
