"""What the actions of a security incident share: the estate's section, and the server that takes writes."""

from __future__ import annotations

from actions.databases import look_at, servers
from bot.action import Tools
from bot.errors import NotFound, NotNow
from bot.estate import Estate
from bot.estate_places import Database, Security
from bot.tools import ServerState


def section(estate: Estate) -> Security:
    """Raises NotFound."""
    if estate.security is None:
        raise NotFound("The estate file has no `security`, so there is nothing that this could work on.")
    return estate.security


async def writable(tools: Tools, database: Database) -> tuple[str, str]:
    """(name, connection string) of the server that takes writes now. Raises NotNow when it is none, or more than one."""
    found = [
        (name, url)
        for name, url in servers(database).items()
        if isinstance(state := await look_at(tools, url), ServerState) and not state.recovering and not state.read_only
    ]
    if len(found) != 1:
        how = "More than one server" if found else "No server"
        raise NotNow(f"{how} of `{database.name}` takes writes now; `/recover database.assess` says more.")
    return found[0]
