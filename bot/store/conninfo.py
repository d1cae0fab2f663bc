"""How the store is connected to: a server that has vanished is noticed, and not waited for as long as TCP itself would."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bot.errors import ConfigError

_NOTICED = {
    "connect_timeout": 5,  # seconds
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}


def noticing(conninfo: str) -> str:
    """`conninfo` with deadlines: 5 s to connect, and about 10 s until a link whose other end is silent counts as broken.

    What it sets itself stays. Raises ConfigError when it cannot be read.
    """
    try:
        return make_conninfo("", **{**_NOTICED, **conninfo_to_dict(conninfo)})
    except psycopg.ProgrammingError:  # its words may quote a password
        raise ConfigError(
            "The address of the store cannot be read. Write BOT_DATABASE_URL as postgresql://user:password@host:5432/name."
        ) from None
