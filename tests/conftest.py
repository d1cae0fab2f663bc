"""A database of its own for each test that asks: a clone of a template that our migrations made once."""

from collections.abc import Iterator

import pytest

from bot.clock import wall_clock
from bot.store import Store
from tests.postgres import TestPostgres


async def migrate(conninfo: str) -> None:
    """Bring the template up to the newest schema."""
    store = Store(conninfo, wall_clock)
    try:
        await store.open()
    finally:
        await store.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[TestPostgres]:
    """One server for this test process."""
    with TestPostgres() as server:
        yield server


@pytest.fixture
def database(postgres: TestPostgres) -> Iterator[str]:
    """The connection string of an empty, migrated store."""
    with postgres.clone(migrate) as conninfo:
        yield conninfo
