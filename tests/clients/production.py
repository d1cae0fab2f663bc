"""An application's database as production has it: a role that owns it, may make databases, and is nothing else."""

import gzip
import hashlib
import itertools
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier, Literal

from tests.postgres import TestPostgres

PASSWORD = "p@ss/w'o:rd %\\"
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Production:
    """A database `name` with 3 users; `admin` is a superuser's connection string, `url` the application's."""

    name: str
    url: str
    admin: str

    def ask(self, query: str, database: str = "") -> list[dict[str, Any]]:
        """The rows of a query by the superuser."""
        conninfo = make_conninfo(self.admin, dbname=database or self.name)
        with psycopg.connect(conninfo, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def names(self) -> set[str]:
        """The databases whose names begin with ours."""
        rows = self.ask("select datname from pg_database", "postgres")
        return {row["datname"] for row in rows if row["datname"].startswith(self.name)}

    def users(self, database: str = "") -> int:
        return int(self.ask("select count(*) as n from users", database)[0]["n"])


@contextmanager
def made(postgres: TestPostgres) -> Iterator[Production]:
    """Such a database, and nothing of it afterwards."""
    name = f"canvas_{next(_NUMBERS)}"
    here = Production(
        name, make_conninfo(postgres.conninfo, user=name, password=PASSWORD, dbname=name), postgres.conninfo
    )
    role = Identifier(name)
    with psycopg.connect(postgres.conninfo, autocommit=True) as admin:
        admin.execute(SQL("create role {} login createdb password {}").format(role, Literal(PASSWORD)))
        admin.execute(SQL("create database {} owner {} strategy file_copy").format(role, role))
    with psycopg.connect(here.url) as connection:
        connection.execute("create table users (id bigint primary key, email text not null unique)")
        connection.execute("insert into users select n, 'user' || n from generate_series(1, 3) n")
    yield here
    with psycopg.connect(postgres.conninfo, autocommit=True) as admin:
        for left in here.names():
            admin.execute(SQL("drop database {} with (force)").format(Identifier(left)))
        admin.execute(SQL("drop role {}").format(role))


def packed(sql: str | bytes) -> bytes:
    """The dump as a backup holds it."""
    return gzip.compress(sql.encode() if isinstance(sql, str) else sql, 1)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def chunks(data: bytes, size: int = 10_000) -> AsyncGenerator[bytes, None]:
    """The bytes as a stream."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def unheard(_: int) -> None:
    """A listener to progress who does not care."""
