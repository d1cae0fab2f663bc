"""The new database takes the old one's place, and gives it back."""

import asyncio

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from bot.clients.databases import PostgresDatabases
from bot.clients.restore import PsqlRestorer
from bot.errors import Refused
from tests.clients.production import Production, chunks, packed, sha256, unheard

RUN = "RUN-7"
BACKUP = packed("create table users (id int); insert into users select generate_series(1, 5);")


@pytest.fixture
def restorer() -> PsqlRestorer:
    return PsqlRestorer()


@pytest.fixture
async def new(restorer: PsqlRestorer, production: Production) -> str:
    """The name of a loaded new database."""
    name = f"{production.name}_new"
    await restorer.create(production.url, name, RUN)
    await restorer.load(production.url, name, RUN, chunks(BACKUP), sha256(BACKUP), unheard)
    return name


async def test_there_and_back(restorer: PsqlRestorer, production: Production, new: str) -> None:
    """A swap renames both at once, its undo restores what was; each may be asked for twice; and each can be looked up."""
    url, kept = production.url, f"{production.name}_kept"
    assert await restorer.swapped(url, new, kept, RUN) is False
    for _ in range(2):
        await restorer.swap(url, new, kept, RUN)
        assert await restorer.swapped(url, new, kept, RUN) is True
        assert (production.users(), production.users(kept)) == (5, 3)
        assert production.names() == {production.name, kept}
    for _ in range(2):
        await restorer.swap_back(url, new, kept, RUN)
        assert await restorer.swapped(url, new, kept, RUN) is False
        assert (production.users(), production.users(new)) == (3, 5)
    await restorer.swap(url, new, kept, RUN)
    assert production.users() == 5


async def test_sessions_are_ended_and_new_ones_find_the_new_one(
    restorer: PsqlRestorer, production: Production, new: str
) -> None:
    """Clients that stay connected, idle or in a transaction, are cut off; who connects all the while never meets half a swap."""
    stay = [psycopg.connect(production.url), psycopg.connect(production.url, autocommit=True)]
    stay[0].execute("insert into users values (9, 'written too late')")
    swapping = asyncio.create_task(restorer.swap(production.url, new, f"{production.name}_kept", RUN))
    seen = set()
    while not swapping.done():
        try:
            connection = await psycopg.AsyncConnection.connect(production.url)
            async with connection:
                seen.add((await (await connection.execute("select count(*) from users")).fetchone() or (0,))[0])
        except psycopg.OperationalError:
            continue  # ended, or renamed away while it waited
    await swapping
    assert seen <= {3, 5}
    for connection_ in stay:
        with pytest.raises(psycopg.OperationalError):
            connection_.execute("select 1")
        connection_.close()
    assert (production.users(), production.users(f"{production.name}_kept")) == (5, 3)


async def test_who_may_not_be_ended_stops_the_swap(restorer: PsqlRestorer, production: Production, new: str) -> None:
    """A superuser's session is not ours to end: the swap is refused, says why, and nothing is renamed."""
    with (
        psycopg.connect(make_conninfo(production.admin, dbname=production.name)),
        pytest.raises(Refused, match="permission denied to terminate process"),
    ):
        await restorer.swap(production.url, new, f"{production.name}_kept", RUN)
    assert await restorer.swapped(production.url, new, f"{production.name}_kept", RUN) is False
    assert production.users() == 3


async def test_only_a_loaded_database_is_swapped_in(restorer: PsqlRestorer, production: Production) -> None:
    """One that is empty, another run's, or not there takes nobody's place."""
    name, kept = f"{production.name}_new", f"{production.name}_kept"
    with pytest.raises(Refused, match="completely loaded"):
        await restorer.swap(production.url, name, kept, RUN)
    await restorer.create(production.url, name, RUN)
    with pytest.raises(Refused, match="completely loaded"):
        await restorer.swap(production.url, name, kept, RUN)
    await restorer.load(production.url, name, RUN, chunks(BACKUP), sha256(BACKUP), unheard)
    with pytest.raises(Refused, match="completely loaded"):
        await restorer.swap(production.url, name, kept, "RUN-8")
    production.ask(f"create database {kept} template template0", "postgres")
    assert await restorer.swapped(production.url, name, kept, RUN) is None
    with pytest.raises(Refused, match="exists already"):
        await restorer.swap(production.url, name, kept, RUN)
    with pytest.raises(Refused, match="not as the swap left them"):
        await restorer.swap_back(production.url, name, kept, RUN)
    assert production.users() == 3


async def test_what_others_made_is_neither_taken_nor_dropped(restorer: PsqlRestorer, production: Production) -> None:
    """A name that is taken is refused; production, another run's database and a foreign one are never dropped."""
    name, other = f"{production.name}_new", f"{production.name}_other"
    production.ask(f"create database {other} owner {production.name} template template0", "postgres")
    with pytest.raises(Refused, match="that RUN-7 did not make"):
        await restorer.create(production.url, other, RUN)
    await restorer.create(production.url, name, "RUN-8")
    with pytest.raises(Refused, match="that RUN-7 did not make"):
        await restorer.create(production.url, name, RUN)
    for foreign in (production.name, other, name):
        with pytest.raises(Refused, match="not a database that RUN-7 made"):
            await restorer.drop(production.url, foreign, RUN)
    assert production.names() == {production.name, name, other}


async def test_in_use_is_not_dropped(restorer: PsqlRestorer, production: Production, new: str) -> None:
    """After the swap our mark is on production itself, and still nothing drops it, nor the one that was kept."""
    kept = f"{production.name}_kept"
    await restorer.swap(production.url, new, kept, RUN)
    for name in (production.name, kept):
        with pytest.raises(Refused, match="not a database that RUN-7 made"):
            await restorer.drop(production.url, name, RUN)
    await restorer.swap_back(production.url, new, kept, RUN)
    for _ in range(2):
        await restorer.drop(production.url, new, RUN)
    assert production.names() == {production.name}


async def test_an_interrupted_making_is_made_anew(restorer: PsqlRestorer, production: Production) -> None:
    """Between making and marking a database is closed and bare: the next try, or a drop, takes it for what it is."""
    name = f"{production.name}_new"
    bare = f"create database {name} owner {production.name} template template0 allow_connections false"
    production.ask(bare, "postgres")
    await restorer.create(production.url, name, RUN)
    await restorer.load(production.url, name, RUN, chunks(BACKUP), sha256(BACKUP), unheard)
    await restorer.create(production.url, name, RUN)
    assert production.users(name) == 5, "what is loaded stays"
    await restorer.drop(production.url, name, RUN)
    production.ask(bare, "postgres")
    await restorer.drop(production.url, name, RUN)
    assert production.names() == {production.name}


async def test_the_new_one_is_like_the_old_one(restorer: PsqlRestorer, production: Production) -> None:
    """Owner, encoding, locale, limit, settings and grants are the old one's; a fence is not handed on."""
    one = f'"{production.name}"'
    production.ask(f"""
        alter database {one} set search_path = 'strange name', public;
        alter database {one} set work_mem = '7MB';
        alter database {one} connection limit 33;
        revoke connect on database {one} from public;
        grant connect on database {one} to pg_monitor with grant option;
    """)
    await PostgresDatabases().fence(production.url, closed=True)
    name = f"{production.name}_new"
    await restorer.create(production.url, name, RUN)
    look = """
        select datdba, encoding, datcollate, datctype, datlocprovider, datlocale, datconnlimit, datallowconn,
               (select array_agg(a::text order by a::text) from unnest(datacl) a) as acl,
               (select array_agg(s order by s) from pg_db_role_setting, unnest(setconfig) s
                where setdatabase = oid and s not like '%read_only%') as settings
        from pg_database where datname = '{}'
    """
    assert production.ask(look.format(name)) == production.ask(look.format(production.name))


async def test_a_run_without_a_sensible_name_marks_nothing(restorer: PsqlRestorer, production: Production) -> None:
    """What is to be a mark cannot be SQL."""
    with pytest.raises(Refused, match="cannot mark"):
        await restorer.create(production.url, f"{production.name}_new", "RUN'; drop table users")
    assert production.names() == {production.name}
