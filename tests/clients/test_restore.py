"""A backup into a new database: what is loaded, and what is refused with production untouched."""

# ruff: noqa: S608  # SQL put together from text is what a dump is

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from bot.clients.psql import find
from bot.clients.restore import PsqlRestorer
from bot.errors import Refused
from tests.clients.production import PASSWORD, Production, chunks, made, packed, sha256, unheard
from tests.clients.standby import program
from tests.postgres import TestPostgres

RUN = "RUN-7"
SIMPLE = "create table users (id int);\ninsert into users select generate_series(1, 5);\n"
ROWS = "".join(f"{n}\tuser {n}\n" for n in range(1, 20_001))
COPIED = f"create table users (id int, email text);\ncopy users from stdin;\n{ROWS}\\.\n\nalter table users add primary key (id);\n"
PG_DUMP = "--\n-- PostgreSQL database dump\n--\n\n"


@pytest.fixture(scope="module")
def untouched(postgres: TestPostgres) -> Iterator[Production]:
    """One production for all that must not touch it."""
    with made(postgres) as production:
        yield production


@pytest.fixture
def restorer() -> PsqlRestorer:
    return PsqlRestorer()


async def load(restorer: PsqlRestorer, production: Production, backup: bytes, checksum: str = "") -> None:
    """Create and load; the SHA-256 is the true one unless another is given."""
    new = f"{production.name}_new"
    await restorer.create(production.url, new, RUN)
    await restorer.load(production.url, new, RUN, chunks(backup), checksum or sha256(backup), unheard)


async def test_a_dump_is_loaded(restorer: PsqlRestorer, production: Production) -> None:
    """Every row of a whole dump is there, progress tells of each byte, and the old database is as it was."""
    heard: list[int] = []
    new, backup = f"{production.name}_new", packed(COPIED)
    await restorer.create(production.url, new, RUN)
    assert not await restorer.loaded(production.url, new, RUN)
    loaded = await restorer.load(production.url, new, RUN, chunks(backup, 5000), sha256(backup).upper(), heard.append)
    assert (loaded.size, loaded.unpacked, loaded.left_out) == (len(backup), len(COPIED), ())
    assert heard == sorted(heard)
    assert heard[-1] == len(backup)
    assert production.users(new) == 20_000
    assert production.users() == 3
    assert await restorer.loaded(production.url, new, RUN)
    assert not await restorer.loaded(production.url, new, "RUN-8")


async def test_what_pg_dump_writes_is_loaded_by_the_applications_role(
    restorer: PsqlRestorer, production: Production
) -> None:
    """Owners, grants and comments that the role may not set are left out and told; tables, functions and rows are all there."""
    production.ask(f"""
        create role {production.name}_reader;
        alter table users owner to current_user;
        grant select on users to {production.name}_reader;
        create function words() returns text language plpgsql as $body$ begin return 'ALTER TABLE x OWNER TO y;'; end $body$;
        create function twice() returns int language sql begin atomic select 1; select 2; end;
        insert into users values (4, E'tab\\there \\\\. back\\\\slash\\nnew ''line''');
        comment on extension plpgsql is 'as it was; with a semicolon';
    """)
    sql = _pg_dump(production)
    production.ask(f"alter table users owner to {production.name}; drop owned by {production.name}_reader")
    production.ask(f"drop role {production.name}_reader")
    new, backup = f"{production.name}_new", packed(sql)
    await restorer.create(production.url, new, RUN)
    loaded = await restorer.load(production.url, new, RUN, chunks(backup), sha256(backup), unheard)
    assert production.ask("select * from users order by id", new) == production.ask("select * from users order by id")
    assert production.ask("select words(), twice()", new) == [{"words": "ALTER TABLE x OWNER TO y;", "twice": 2}]
    assert {sentence.split(":")[0] for sentence in loaded.left_out} >= {
        "ALTER TABLE public.users OWNER TO recovery_bot",
        f"GRANT SELECT ON TABLE public.users TO {production.name}_reader",
    }


def _pg_dump(production: Production) -> str:
    """By the pg_dump of the server's own version, as a superuser."""
    parts = conninfo_to_dict(production.admin)
    words = [str(program("pg_dump")), "-h", str(parts["host"]), "-U", str(parts["user"]), "-d", production.name]
    done = subprocess.run(words, env={"PGPASSWORD": str(parts["password"])}, capture_output=True, text=True, check=True)
    return done.stdout


BAD = {
    "empty": (b"", "empty"),
    "not gzip": (SIMPLE.encode(), "not a gzip file"),
    "empty inside": (packed(""), "no statement"),
    "truncated": (packed(COPIED)[:-20_000], "truncated"),
    "without the last bytes": (packed(COPIED)[:-4], "truncated"),
    "corrupt": (packed(COPIED)[:30_000] + b"????" + packed(COPIED)[30_004:], "damaged|psql stopped|truncated"),
    "damaged at its end": (packed(COPIED)[:-6] + b"????" + packed(COPIED)[-2:], "damaged"),
    "with garbage behind": (packed(SIMPLE) + b"garbage", "damaged"),
    "custom format": (packed(b"PGDMP\x01\x0e\x00" + b"\0" * 100), "custom format"),
    "wrong SQL": (
        packed(SIMPLE + "insert into nothing values (1);"),
        'psql stopped: relation "nothing" does not exist',
    ),
    "wrong rows": (
        packed("create table a (id int); copy a from stdin;\nx\n\\.\n"),
        "psql stopped: invalid input syntax",
    ),
    "ends in its rows": (packed(SIMPLE + "copy users from stdin;\n1\n2\n"), "middle of a table's rows"),
    "ends in a statement": (packed(SIMPLE + "insert into users values (1"), "middle of a statement"),
    "ends in a string": (packed(SIMPLE + "insert into users values ('1"), "middle of a statement"),
    "ends too early": (packed(PG_DUMP + SIMPLE), "before the line"),
    "runs a program": (packed(SIMPLE + "\\! touch /tmp/never\n"), r"the psql command \\!"),
    "leaves for another database": (
        packed(SIMPLE + "\\connect postgres\ndrop table users;\n"),
        r"psql command \\connect",
    ),
    "drops a database": (packed(SIMPLE + "drop database canvas;"), "psql stopped: DROP DATABASE cannot run"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_backup_changes_nothing(kind: str, restorer: PsqlRestorer, untouched: Production) -> None:
    """Each kind is refused with its own sentence; the new database stays empty, can be dropped, and the old one is whole."""
    backup, sentence = BAD[kind]
    with pytest.raises(Refused, match=sentence) as refusal:
        await load(restorer, untouched, backup)
    assert PASSWORD not in str(refusal.value)
    new = f"{untouched.name}_new"
    assert untouched.ask("select relname from pg_class where relnamespace = 'public'::regnamespace", new) == []
    assert not await restorer.loaded(untouched.url, new, RUN)
    assert untouched.users() == 3
    await restorer.drop(untouched.url, new, RUN)
    assert untouched.names() == {untouched.name}


async def test_another_checksum_refuses_a_backup_that_loads_well(
    restorer: PsqlRestorer, production: Production
) -> None:
    """All statements went well, but nothing is committed, since the bytes are not those that were backed up."""
    with pytest.raises(Refused, match=r"SHA-256 is .* says 0000"):
        await load(restorer, production, packed(COPIED), "0" * 64)
    assert not await restorer.loaded(production.url, f"{production.name}_new", RUN)
    assert production.ask("select 1 from pg_class where relname = 'users'", f"{production.name}_new") == []


async def test_without_a_checksum_nothing_is_begun(restorer: PsqlRestorer, production: Production) -> None:
    """A backup whose checksum nobody knows is refused before its first byte is read."""
    stream = chunks(packed(SIMPLE))
    with pytest.raises(Refused, match="no SHA-256"):
        await restorer.load(production.url, production.name, RUN, stream, "", unheard)
    await stream.aclose()


async def test_only_the_runs_own_new_database_is_loaded_into(restorer: PsqlRestorer, production: Production) -> None:
    """Neither production, nor another run's database, nor one that is loaded already takes a backup."""
    backup, new = packed(SIMPLE), f"{production.name}_new"
    await restorer.create(production.url, new, "RUN-8")
    for name in (production.name, new):
        with pytest.raises(Refused, match="not an empty database that RUN-7 made"):
            await restorer.load(production.url, name, RUN, chunks(backup), sha256(backup), unheard)
    assert production.users() == 3
    await restorer.load(production.url, new, "RUN-8", chunks(backup), sha256(backup), unheard)
    with pytest.raises(Refused, match="not an empty database that RUN-8 made"):
        await restorer.load(production.url, new, "RUN-8", chunks(backup), sha256(backup), unheard)
    assert production.users(new) == 5


async def test_a_failed_load_can_be_repeated(restorer: PsqlRestorer, production: Production) -> None:
    """After a refusal, creating makes the database anew, also when the dump committed by itself on its way."""
    with pytest.raises(Refused):
        await load(restorer, production, packed(SIMPLE + "commit; select 1/0;"))
    assert production.users(f"{production.name}_new") == 5
    await load(restorer, production, packed(SIMPLE))
    assert production.users(f"{production.name}_new") == 5


async def test_several_members_are_one_backup(restorer: PsqlRestorer, production: Production) -> None:
    """gzip files one after the other, and zeros behind them, are what gunzip takes them for."""
    await load(restorer, production, packed(COPIED[:5000]) + packed(COPIED[5000:]) + b"\0" * 512)
    assert production.users(f"{production.name}_new") == 20_000


async def test_no_secret_is_in_the_arguments(restorer: PsqlRestorer, production: Production) -> None:
    """The password goes through the environment: no list of processes shows it."""
    seen: list[str] = []

    def look(_: int) -> None:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                words = _arguments(entry)
                if "psql" in words and str(os.getpid()) == _parent(entry):
                    seen.append(words)

    backup, new = packed(COPIED), f"{production.name}_new"
    await restorer.create(production.url, new, RUN)
    await restorer.load(production.url, new, RUN, chunks(backup), sha256(backup), look)
    assert seen
    assert not any("p@ss" in words or "password" in words for words in seen)


def _arguments(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _parent(entry: Path) -> str:
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return ""


def test_psql_can_be_kept_from_running_programs() -> None:
    """The psql that is found knows `\\restrict`."""
    words = [str(find()), "-X", "-c", "\\restrict x", "-d", "host=/nowhere"]
    assert "invalid command" not in subprocess.run(words, capture_output=True, text=True, check=False).stderr
