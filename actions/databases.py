"""What the actions of databases share: finding them in the estate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic

from pydantic import Field

from actions.consumers import used
from bot.action import Action, Facts, Tools
from bot.errors import NeighbourError, NotFound
from bot.estate import Estate
from bot.estate_places import Database
from bot.incident import Scenario
from bot.tools import ServerState

PROMOTION = "who takes the writes"
"""The lock that promotion and DNS failover share: two of them at once would send writes to two places."""

DATABASE = Field(default="", description="which database of the estate; the first one when left out")
"""The parameter `database` of every action that works on one."""


class MovesWrites(Action[Facts], Generic[Facts]):
    """An action that changes which database takes the writes: nothing else may work on it meanwhile, nor move writes."""

    scenario: ClassVar[Scenario] = Scenario.DATABASE
    service: ClassVar[str] = "database"

    database: str = DATABASE

    def target(self, estate: Estate) -> str:
        return f"database {find(estate, self.database).name}"

    def locks(self, estate: Estate) -> Sequence[str]:
        return (self.target(estate), PROMOTION)


def find(estate: Estate, name: str) -> Database:
    """The database of that name, or the first one. Raises NotFound."""
    if not estate.databases:
        raise NotFound("The estate file has no `databases`, so there is nothing that this could work on.")
    found = next((d for d in estate.databases if d.name == name.lower()), None) if name else estate.databases[0]
    if found is None:
        known = ", ".join(f"`{d.name}`" for d in estate.databases)
        raise NotFound(f"There is no database `{name}` in the estate file. It has {known}.")
    return found


def servers(database: Database) -> Mapping[str, str]:
    """Every server's connection string by its name in the estate file, the primary first."""
    return {s.name: s.url.get_secret_value() for s in (database.primary, *database.standbys)}


async def in_use(tools: Tools, database: Database) -> str:
    """The name of the server that the application is sent to, which after a failover is not the estate file's primary.

    Where the estate file names one server only, or its vendor fails it over, it is that one. Raises NotNow when the
    application is sent to none of them, NotFound, and NeighbourError when nobody can tell.
    """
    if database.provider != "postgres" or not database.standbys:
        return database.primary.name
    return await used(tools, database.application, servers(database), tools.databases.place, database.name)


async def look_at(tools: Tools, url: str) -> ServerState | NeighbourError:
    """A server as it is now; the error when it cannot be asked, which is an answer too: Silent when nobody is there."""
    try:
        return await tools.databases.state(url)
    except NeighbourError as error:
        return error
