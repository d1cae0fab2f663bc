"""What the tests of clients share."""

from collections.abc import Iterator

import pytest

from tests.clients.production import Production, made
from tests.postgres import TestPostgres


@pytest.fixture
def production(postgres: TestPostgres) -> Iterator[Production]:
    """An application's database of one's own, and nothing of it afterwards."""
    with made(postgres) as production:
        yield production
