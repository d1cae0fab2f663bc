"""A dump's statements and rows are told apart wherever its bytes are cut, and several sessions load what one would."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.clients.dump import Dump, Kind, Piece
from bot.clients.restore import PsqlRestorer
from bot.errors import Refused, Unavailable
from tests.clients.production import Production, chunks, packed, sha256, unheard

RUN = "RUN-7"
TRICKY = r"""--
-- PostgreSQL database dump
--

\restrict abc123

SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
/* a comment; /* with one */ inside */
CREATE FUNCTION public.f() RETURNS text LANGUAGE plpgsql AS $_$
begin -- COPY a FROM stdin;
  return 'it''s; \! $1 $$'; end $_$;
CREATE FUNCTION public.g() RETURNS text LANGUAGE sql AS $$select E'\';' || U&'\0041' || "a;b"::text from (select 1) as x("a;b")$$;
ALTER FUNCTION public.g() OWNER TO nobody;
CREATE TABLE public.a$b$c (t text, "odd; name" text DEFAULT '--');

--
-- Name: rows; Type: TABLE; Schema: public; Owner: x
--

CREATE TABLE public.rows (t text);

--
-- Data for Name: rows; Type: TABLE DATA; Schema: public; Owner: x
--

COPY public.rows (t) FROM stdin;

one
\\.
\.

COPY public.rows (t) FROM stdin;
\.
SELECT 1-1, 4/2, 3 --2;
;
GRANT ALL ON TABLE public.rows TO nobody;
INSERT INTO public.rows VALUES ('a long one, which begins to go out before its end; ' || $q$;'$q$);
--
-- PostgreSQL database dump complete
--

\unrestrict abc123
"""


def pieces(text: bytes, size: int) -> list[tuple[Kind, bytes]]:
    """What comes out, neighbours of one kind put together."""
    dump = Dump()
    found: list[Piece] = []
    for start in range(0, len(text), size):
        found += dump.feed(text[start : start + size])
    found += dump.finish()
    joined: list[tuple[Kind, bytes]] = []
    for kind, piece in found:
        before = joined.pop()[1] if joined and joined[-1][0] is kind else b""
        joined.append((kind, before + bytes(piece)))
    return joined


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_cuts_change_nothing(size: int) -> None:
    """Whatever the size of the pieces in which it arrives, the same goes out, and of the same kind."""
    out = pieces(TRICKY.encode(), size)
    rows = [(kind, piece) for kind, piece in out if kind in (Kind.ROWS, Kind.LAST_ROWS)]
    assert b"".join(piece for _, piece in rows) == b"\n\none\n\\\\.\n\\.\n" + b"\n\\.\n"
    assert [kind for kind, _ in out if kind in (Kind.COPY, Kind.COPY_ALONE)] == [Kind.COPY, Kind.COPY_ALONE]
    assert [kind for kind, _ in out].count(Kind.LAST_ROWS) == 2
    text = b"".join(piece for kind, piece in out if kind is Kind.TEXT)
    assert b"restrict" not in text
    assert text.count(b"left out: ") == 2
    for kept in (
        "return 'it''s; \\! $1 $$'; end $_$;",
        "select E'\\';' || U&'\\0041'",
        "inside */",
        "SELECT 1-1, 4/2, 3 --2;\n;",
    ):
        assert kept.encode() in text


@pytest.mark.parametrize("text", ["SELECT 1 \\gexec\n", "\\copy a from 'b'\n", "SELECT '\\'; \\! ls\n", "\\.\n"])
def test_psqls_commands_are_refused(text: str) -> None:
    """Nothing that psql itself would do is passed on."""
    with pytest.raises(Refused, match="psql command"):
        pieces(text.encode(), 5)


def dump_of(*tables: tuple[str, list[str]]) -> str:
    """As pg_dump would write them."""
    text = "--\n-- PostgreSQL database dump\n--\n\nSET client_min_messages = error;\nSET client_encoding = 'LATIN1';\n"
    for name, _ in tables:
        text += (
            f"--\n-- Name: {name}; Type: TABLE; Schema: public; Owner: x\n--\n\nCREATE TABLE public.{name} (t text);\n"
        )
    for name, rows in tables:
        text += f"--\n-- Data for Name: {name}; Type: TABLE DATA; Schema: public; Owner: x\n--\n\n"
        text += f"COPY public.{name} (t) FROM stdin;\n" + "".join(f"{row}\n" for row in rows) + "\\.\n\n"
    for name, _ in tables:
        text += f"CREATE INDEX ON public.{name} (t);\n"
    return text + "--\n-- PostgreSQL database dump complete\n--\n"


async def test_several_sessions_load_every_row_once(production: Production) -> None:
    """Small tables, an empty one, empty lines, and one of many pieces: each row is there as often as in the dump."""
    many = [f"row {n} \xe9 " + "x" * (n % 97) for n in range(60_000)]
    tables: tuple[tuple[str, list[str]], ...] = (
        ("users", many),
        ("nothing", []),
        ("blank", ["", "", "a\\nb", "\\\\."]),
        ("more", many[:5000]),
    )
    text = dump_of(*tables).encode("latin1")
    restorer, name, backup = PsqlRestorer(), f"{production.name}_new", packed(text)
    await restorer.create(production.url, name, RUN)
    loaded = await restorer.load(production.url, name, RUN, chunks(backup, 3001), sha256(backup), unheard)
    assert loaded.unpacked == len(text)
    for table, rows in tables:
        found = [row["t"] for row in production.ask(f"select t from {table}", name)]  # noqa: S608  # our own name
        assert sorted(found) == sorted(row.replace("\\n", "\n").replace("\\\\", "\\") for row in rows)


async def test_several_sessions_are_not_half_a_load(production: Production) -> None:
    """Rows that were committed on the way count for nothing: it is not loaded, is made anew, and production is whole."""
    restorer, name = PsqlRestorer(), f"{production.name}_new"
    bad = dump_of(("users", [f"{n}" for n in range(1000)]), ("other", ["fine"])).replace("fine\n", "not\tfine\n")
    for text, checksum, sentence in (
        (bad, sha256(packed(bad)), "psql stopped: extra data after last expected column"),
        (dump_of(("users", ["1"])), "0" * 64, "SHA-256"),
        (dump_of(("users", ["1"])).replace("complete", ""), "", "before the line"),
    ):
        backup = packed(text)
        await restorer.create(production.url, name, RUN)
        with pytest.raises(Refused, match=sentence):
            await restorer.load(production.url, name, RUN, chunks(backup), checksum or sha256(backup), unheard)
        assert not await restorer.loaded(production.url, name, RUN)
        with pytest.raises(Refused, match="completely loaded"):
            await restorer.swap(production.url, name, f"{production.name}_kept", RUN)
    good = packed(dump_of(("users", ["1"])))
    await restorer.create(production.url, name, RUN)
    await restorer.load(production.url, name, RUN, chunks(good), sha256(good), unheard)
    assert (production.users(name), production.users()) == (1, 3)


async def test_any_psql_that_dies_is_told(production: Production) -> None:
    """Also one that only helps: the load ends, and may be tried again."""
    restorer, name = PsqlRestorer(), f"{production.name}_new"
    backup = packed(dump_of(("users", [f"row {n}" for n in range(300_000)])))
    await restorer.create(production.url, name, RUN)
    killed: set[int] = set()

    def kill(_: int) -> None:
        if not killed:
            killed.add(max(_psqls(os.getpid())))
            os.kill(max(killed), signal.SIGKILL)

    with pytest.raises(Unavailable, match="killed by signal 9"):
        await restorer.load(production.url, name, RUN, chunks(backup), sha256(backup), kill)
    assert not await asyncio.to_thread(lambda: list(_psqls(os.getpid())))
    assert not await restorer.loaded(production.url, name, RUN)


def _psqls(parent: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        try:
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if name == "psql" and int(rest.split()[1]) == parent and rest.split()[0] != "Z":
            yield int(entry.name)
