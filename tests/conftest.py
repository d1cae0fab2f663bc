"""What all tests share: their order, and a database for each that asks, cloned from a template that was migrated once."""

import gc
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from bot.clock import wall_clock
from bot.store import Store
from tests.postgres import TestPostgres

SLOWEST = Path(__file__).parent / "crash"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays until the end: the garbage collector need not look at it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits longest begins first; begun last, it would go on alone when all else has ended."""
    items.sort(key=lambda item: not item.path.is_relative_to(SLOWEST))


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
