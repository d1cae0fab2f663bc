"""A dump of 500 MB restored three ways, each into an empty database of one server: by the bot, by the runbook's lines, and
by psql from a file as the limit. Beside it, how much the bot's process grows.

The server is durable and ready for a standby, S3 is moto's in a process of its own; both use the same two cores as all else.
`python -m benchmarks.restore URL …` is the bot's side, in a process of its own for its memory's sake.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # the runbook's client, not ours
import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks.figure import Figure, median
from benchmarks.process import peak, resident
from bot.clients.backups import S3Backups
from bot.clients.psql import find
from bot.clients.restore import PsqlRestorer
from bot.store.embedded import EmbeddedPostgres

SIZE = 500_000_000  # bytes of SQL
ROUNDS = 3
BUCKET, KEY, RUN, OLD = "backups", "backups/valuecanvas.sql.gz", "RUN-1", "valuecanvas"
SERVER = {"wal_level": "replica", "max_wal_senders": "4", "shared_buffers": "256MB", "max_wal_size": "2GB"}

_HEAD = """--
-- PostgreSQL database dump
--

SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: users; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.users (id bigint NOT NULL, email text NOT NULL, created_at timestamptz NOT NULL);

--
-- Name: canvases; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.canvases (
    id bigint NOT NULL, owner_id bigint NOT NULL, title text NOT NULL, document text NOT NULL, updated_at timestamptz NOT NULL
);

"""
_TAIL = """
ALTER TABLE ONLY public.users ADD CONSTRAINT users_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.users ADD CONSTRAINT users_email_key UNIQUE (email);
ALTER TABLE ONLY public.canvases ADD CONSTRAINT canvases_pkey PRIMARY KEY (id);
CREATE INDEX canvases_owner ON public.canvases USING btree (owner_id);
ALTER TABLE ONLY public.canvases ADD CONSTRAINT canvases_owner_fkey FOREIGN KEY (owner_id) REFERENCES public.users(id);

--
-- PostgreSQL database dump complete
--
"""
_USERS = 200_000
_WORDS = (
    "canvas",
    "node",
    "edge",
    "shape",
    "layer",
    "text",
    "group",
    "style",
    "fill",
    "stroke",
    "frame",
    "vector",
    "image",
)

_RUNBOOK = """set -e
cd "$WORK"
"$PYTHON" -c 'import boto3, sys; boto3.client("s3").download_file(*sys.argv[1:])' "$BUCKET" "$KEY" "$FILE"
"$PYTHON" -c 'import boto3, sys; boto3.client("s3").download_file(*sys.argv[1:])' "$BUCKET" "$KEY.sha256" "$FILE.sha256"
sha256sum -c "$FILE.sha256"
gunzip -c "$FILE" | "$PSQL" "$DATABASE_URL"
"""


@dataclass(frozen=True)
class _Bot:
    """What the bot's process measured: seconds, and megabytes before and at most."""

    seconds: float
    swap: float
    before: float
    peak: float


def dump() -> Iterator[bytes]:
    """The dump's text, piece by piece; the same each time."""
    yield _HEAD.encode()
    yield _of("users") + b"COPY public.users (id, email, created_at) FROM stdin;\n"
    for start in range(0, _USERS, 10_000):
        rows = range(start + 1, start + 10_001)
        yield "".join(f"{n}\tuser{n}@customers.example\t2026-01-01 00:00:00+00\n" for n in rows).encode()
    yield b"\\.\n" + _of("canvases")
    yield b"COPY public.canvases (id, owner_id, title, document, updated_at) FROM stdin;\n"
    written, number = 0, 0
    while written < SIZE:
        rows = range(number + 1, number + 5_001)
        piece = "".join(_row(n) for n in rows).encode()
        number, written = number + 5_000, written + len(piece)
        yield piece
    yield b"\\.\n" + _TAIL.encode()


def _of(table: str) -> bytes:
    return f"\n--\n-- Data for Name: {table}; Type: TABLE DATA; Schema: public; Owner: -\n--\n\n".encode()


def _row(number: int) -> str:
    seed = number * 2654435761 % 4294967296
    words = " ".join(f"{_WORDS[(seed >> shift) % 13]}-{(seed >> shift) % 1000:03d}" for shift in range(24))
    return f"{number}\t{1 + seed % _USERS}\tCanvas {number}\t{words}\t2026-01-01 00:00:{seed % 60:02d}+00\n"


async def figures() -> list[Figure]:
    """Medians of some rounds, one way after the other in each, so that a busy minute of the machine meets all."""
    with tempfile.TemporaryDirectory(prefix="restore-") as folder:
        work = Path(folder)
        os.chmod(folder, 0o711)  # noqa: PTH101, S103  # the server's user passes through
        async with _s3() as environment, _server(work) as url:
            await asyncio.to_thread(_prepare, work, environment)
            bot: list[_Bot] = []
            runbook: list[float] = []
            limit: list[float] = []
            for number in range(ROUNDS):
                bot.append(await asyncio.to_thread(_by_bot, url, environment, number))
                runbook.append(await asyncio.to_thread(_by_runbook, url, work, environment, f"runbook_{number}"))
                limit.append(await asyncio.to_thread(_by_psql, url, work, f"limit_{number}"))
    ours, theirs, best = median([one.seconds for one in bot]), median(runbook), median(limit)
    how = f"median of {ROUNDS}, {SIZE // 1_000_000} MB of SQL"
    growth = max(one.peak - one.before for one in bot)
    stopped = median([one.swap for one in bot])
    return [
        Figure("Restore", ours, "s", None, f"S3 to a loaded database, {how}", 1),
        Figure("Restore by the runbook's lines", theirs, "s", None, "download, sha256sum, gunzip | psql", 1),
        Figure("Restore against the runbook's lines", ours / theirs, "", 0.6, how, 2),
        Figure("Restore against psql < file", ours / best, "", None, f"{best:.1f} s, the limit", 2),
        Figure("Writers stopped, against the runbook's", stopped / theirs, "", 0.1, f"the swap, {stopped:.2f} s", 3),
        Figure("The bot's memory during a restore", growth, "MB more", 64, f"{bot[0].before:.0f} MB before", 0),
    ]


@asynccontextmanager
async def _s3() -> AsyncIterator[dict[str, str]]:
    """moto's S3 in another process; the environment for its clients."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port = asked.getsockname()[1]
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = await asyncio.create_subprocess_exec(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            await asyncio.sleep(0.1)
        yield {
            **os.environ,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "practice",
            "AWS_SECRET_ACCESS_KEY": "practice",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        server.terminate()
        await server.wait()


@asynccontextmanager
async def _server(work: Path) -> AsyncIterator[str]:
    server = EmbeddedPostgres(work / "server", options=SERVER)
    url = await server.start()
    try:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(f"create database {OLD}".encode())
        yield url
    finally:
        await server.stop()


def _prepare(work: Path, environment: dict[str, str]) -> None:
    """The dump as a file and as a backup with its checksum."""
    packer, digest = zlib.compressobj(6, wbits=31), hashlib.sha256()
    with (work / "dump.sql").open("wb") as plain, (work / "dump.sql.gz").open("wb") as zipped:
        for piece in dump():
            plain.write(piece)
            digest.update(squeezed := packer.compress(piece))
            zipped.write(squeezed)
        digest.update(squeezed := packer.flush())
        zipped.write(squeezed)
    s3 = _client(environment)
    s3.create_bucket(Bucket=BUCKET)
    s3.upload_file(str(work / "dump.sql.gz"), BUCKET, KEY)
    s3.put_object(Bucket=BUCKET, Key=f"{KEY}.sha256", Body=f"{digest.hexdigest()}  {Path(KEY).name}\n".encode())


def _client(environment: dict[str, str]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )


def _by_bot(url: str, environment: dict[str, str], number: int) -> _Bot:
    words = [
        sys.executable,
        "-m",
        "benchmarks.restore",
        make_conninfo(url, dbname=OLD),
        f"new_{number}",
        f"kept_{number}",
    ]
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, check=True)
    _drop(url, f"kept_{number}")
    return _Bot(**json.loads(done.stdout))


def _by_runbook(url: str, work: Path, environment: dict[str, str], name: str) -> float:
    to = _empty(url, name)
    script = {"WORK": str(work), "PYTHON": sys.executable, "BUCKET": BUCKET, "KEY": KEY, "FILE": Path(KEY).name}
    began = time.monotonic()
    more = {"DATABASE_URL": to, "PSQL": str(find())}
    subprocess.run(
        ["bash", "-c", _RUNBOOK], env={**environment, **script, **more}, stdout=subprocess.DEVNULL, check=True
    )
    took = time.monotonic() - began
    _drop(url, name)
    return took


def _by_psql(url: str, work: Path, name: str) -> float:
    to = _empty(url, name)
    began = time.monotonic()
    with (work / "dump.sql").open("rb") as file:
        subprocess.run([find(), "-q", to], stdin=file, stdout=subprocess.DEVNULL, check=True)
    took = time.monotonic() - began
    _drop(url, name)
    return took


def _empty(url: str, name: str) -> str:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"create database {name} template template0".encode())
        admin.execute("checkpoint")
    return make_conninfo(url, dbname=name)


def _drop(url: str, name: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)".encode())
        admin.execute("checkpoint")  # so that the next one does not pay for this one's dirty pages


async def _restore(url: str, new: str, kept: str) -> _Bot:
    """What the bot does, in this process."""
    backups, restorer = S3Backups(), PsqlRestorer()
    backup = (await backups.list(BUCKET, "backups/", ".sha256"))[0]
    before = resident(os.getpid())
    began = time.monotonic()
    await restorer.create(url, new, RUN)
    await restorer.load(url, new, RUN, backups.stream(BUCKET, backup), backup.checksum, lambda _: None)
    loaded = time.monotonic()
    await restorer.swap(url, new, kept, RUN)
    swapped = time.monotonic()
    return _Bot(swapped - began, swapped - loaded, before, peak(os.getpid()))


if __name__ == "__main__":
    print(json.dumps(vars(asyncio.run(_restore(*sys.argv[1:])))))
