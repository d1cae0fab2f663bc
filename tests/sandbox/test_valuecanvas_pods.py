"""ValueCanvas as the pods of a cluster: each instance with its own environment, and writes that must not get lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest

from sandbox.application import Application
from sandbox.cluster import Cluster
from sandbox.cluster.kinds import DEPLOYMENTS, Object
from sandbox.environment import Secrets
from sandbox.estate.children import CannotStart
from sandbox.valuecanvas.host import CannotRun, Host
from sandbox.valuecanvas.writes import Ledger, Write
from tests.postgres import TestPostgres

TOKENS = Secrets()
API = {"Authorization": f"Bearer {TOKENS.api_token}"}
NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
TABLES = (
    "create table users (id bigint generated always as identity primary key, email text);"
    "create table canvases (id bigint generated always as identity primary key, owner_id bigint references users,"
    " title text, updated_at timestamptz); insert into users (email) values ('one@customers.example')"
)


async def tables(conninfo: str) -> None:
    """ValueCanvas's tables, as far as it writes to them."""
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await connection.execute(TABLES)


@pytest.fixture
def canvas_database(postgres: TestPostgres) -> Iterator[str]:
    """The connection string of a database of ValueCanvas's."""
    with postgres.clone(tables) as conninfo:
        yield conninfo


@pytest.fixture
def host() -> Host:
    """A host without instances."""
    return Host(api_token=TOKENS.api_token, admin_token=TOKENS.admin_token)


@pytest.fixture
async def service(host: Host, serve: Any) -> AsyncIterator[aiohttp.ClientSession]:
    """The Service in front of it."""
    async with aiohttp.ClientSession(await serve(host.public())) as client:
        yield client


async def ask(client: aiohttp.ClientSession, path: str, method: str = "GET", **more: Any) -> tuple[int, Any, str]:
    """(status, body, who served it)."""
    async with client.request(method, path, headers=API, **more) as response:
        return response.status, await response.json(), response.headers.get("X-Served-By", "")


async def until(check: Callable[[], Awaitable[bool]]) -> None:
    """Ask again until it is so."""
    async with asyncio.timeout(40):
        while not await check():  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.02)


async def connected(client: aiohttp.ClientSession) -> None:
    """Wait until its database has answered: a first connection may take longer than the second that it is given."""

    async def up() -> bool:
        return bool((await ask(client, "/health/ready"))[1]["checks"]["database"]["status"] == "up")

    await until(up)


async def test_the_service_takes_its_instances_in_turn(host: Host, service: aiohttp.ClientSession) -> None:
    """Each in turn; 503 with a sentence when there is none."""
    assert await ask(service, "/health/live") == (503, {"error": "No pod of api-server is ready."}, "")
    for name in ("one", "two"):
        await host.add(name, NOWHERE)
    assert sorted([(await ask(service, "/health/live"))[2] for _ in range(4)]) == ["one", "one", "two", "two"]
    await host.remove("one")
    assert [(await ask(service, "/health/live"))[2] for _ in range(2)] == ["two", "two"]


async def test_each_instance_has_its_own_database(
    host: Host, service: aiohttp.ClientSession, canvas_database: str
) -> None:
    """Of two instances the one with the right address is well, the other one is not."""
    await host.add("old", NOWHERE)
    await host.add("new", NOWHERE | {"DATABASE_URL": canvas_database})
    seen: dict[str, str] = {}

    async def both() -> bool:
        _, body, who = await ask(service, "/health/ready")
        seen[who] = body["checks"]["database"]["status"]
        return seen == {"old": "down", "new": "up"}

    await until(both)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL must be set"),
        ({"DATABASE_URL": "postgresql://u:geheim@h:no/x y"}, "cannot be used"),
        ({"REDIS_URL": "http://somewhere"}, "cannot be used"),
    ],
)
async def test_an_instance_with_a_bad_environment_crashes(host: Host, change: dict[str, str], why: str) -> None:
    """It says why without repeating the address, and does not serve."""
    with pytest.raises(CannotRun, match=why) as crash:
        await host.add("bad", NOWHERE | change)
    assert "geheim" not in str(crash.value)
    assert host.names == []


async def test_the_breaker_is_shared(host: Host, service: aiohttp.ClientSession) -> None:
    """Failures that one instance saw are known to the others, as if its state lay in the cache."""
    for name in ("one", "two"):
        await host.add(name, NOWHERE)
    host.llm.providers["together"].up = False
    for _ in range(4):
        await ask(service, "/api/llm/chat", "POST", json={"prompt": "x"})
    states = {(await ask(service, "/api/llm/health"))[1]["circuit_breaker"]["state"] for _ in range(2)}
    assert states == {"open"}
    await host.close()


async def test_lost_writes_are_noticed(host: Host, service: aiohttp.ClientSession, canvas_database: str) -> None:
    """What was acknowledged and is gone is counted, also when its id was used again; what failed is not."""
    await host.add("one", NOWHERE | {"DATABASE_URL": canvas_database})
    await connected(service)
    written = [(await ask(service, "/api/canvases", "POST", json={}))[1]["id"] for _ in range(3)]
    status, body, _ = await ask(service, "/api/canvases", "POST", json={"title": "Mine"})
    assert (status, body["title"]) == (201, "Mine")
    assert (await ask(service, "/api/writes"))[1] == {"acknowledged": 4, "failed": 0, "missing": 0, "examples": []}
    async with await psycopg.AsyncConnection.connect(canvas_database) as connection:
        await connection.execute("delete from canvases where id = %s", (written[0],))
        await connection.execute("update canvases set title = 'Another' where id = %s", (written[1],))
    _, body, _ = await ask(service, "/api/writes")
    assert (body["missing"], [one["id"] for one in body["examples"]]) == (2, written[:2])
    await host.add("one", NOWHERE)
    assert (await ask(service, "/api/canvases", "POST", json={}))[0] == 503
    assert (await ask(service, "/api/writes"))[0] == 503
    await host.add("one", NOWHERE | {"DATABASE_URL": canvas_database})
    await connected(service)
    assert (await ask(service, "/api/writes"))[1]["failed"] == 1
    async with service.get("/api/writes") as response:
        assert response.status == 401


def test_acknowledged_writes_survive_a_restart(tmp_path: Path) -> None:
    """They stand in a file; half a line at its end is left out."""
    file = tmp_path / "writes"
    Ledger(file).acknowledged(Write(7, "Note 7"))
    Ledger(file).acknowledged(Write(8, "Note 8"))
    file.write_text(file.read_text() + "9")
    assert Ledger(file).writes == [Write(7, "Note 7"), Write(8, "Note 8")]


async def test_alone_it_is_one_instance(tmp_path: Path, canvas_database: str) -> None:
    """With addresses of its own it needs no cluster; the periodic writer is told to write, and stays told."""
    app = Application(tmp_path, database=canvas_database, redis=NOWHERE["REDIS_URL"], tokens=TOKENS)
    await app.write(on=True)
    await app.start()
    try:
        async with aiohttp.ClientSession(app.url) as client:
            assert (await ask(client, "/health/live"))[0::2] == (200, "api-server")

            await connected(client)

            async def written() -> bool:
                return bool((await ask(client, "/api/writes"))[1]["acknowledged"])

            await until(written)
            await app.write(on=False)
    finally:
        await app.stop()


async def test_a_new_address_in_the_cluster_heals_it(tmp_path: Path, canvas_database: str) -> None:
    """Pods are instances: a rollout to the right database turns readiness green without a moment of 503 from the Service."""
    app = Application(tmp_path, tokens=TOKENS)
    cluster = Cluster(tmp_path, env=NOWHERE, run={"api-server": app.pods}, pod_start=0.02)
    try:
        await asyncio.gather(app.start(), cluster.start())
        await cluster.settled()
        async with aiohttp.ClientSession(app.url) as client:
            assert (await ask(client, "/health/ready"))[1]["checks"]["database"]["status"] == "down"
            _change(cluster, canvas_database)
            served: list[tuple[int, Any, str]] = []

            async def healed() -> bool:
                served.append(await ask(client, "/health/live"))
                checks = [(await ask(client, "/health/ready"))[1]["checks"]["database"]["status"] for _ in range(3)]
                return checks == ["up"] * 3

            await until(healed)
            assert {status for status, _, _ in served} == {200}
            name = (await ask(client, "/health/live"))[2]
            await app.stop()
            assert not app.pods.ready(name)
            with pytest.raises(CannotStart):
                await app.pods.start("late", NOWHERE)
            assert f"{name} serves" in app.pods.log(name).read_text()
    finally:
        await cluster.stop()
        await app.stop()


def _change(cluster: Cluster, url: str) -> None:
    def change(changed: Object) -> None:
        env = changed["spec"]["template"]["spec"]["containers"][0]["env"]
        next(entry for entry in env if entry["name"] == "DATABASE_URL")["value"] = url

    cluster.store.edit(DEPLOYMENTS, "production", "api-server", change)


async def test_the_control_address_needs_the_admin_token(host: Host, serve: Any) -> None:
    """Starting and ending instances is not for everybody."""
    address = await serve(host.control())
    async with aiohttp.ClientSession(address) as client:
        for headers in ({}, API):
            async with client.put("/instances/x", json={"env": NOWHERE}, headers=headers) as response:
                assert response.status == 403
        admin = {"Authorization": f"Bearer {TOKENS.admin_token}"}
        async with client.put("/instances/x", json={"env": NOWHERE}, headers=admin) as response:
            assert (response.status, await response.json()) == (201, {"instances": ["x"]})
        async with client.put("/instances/x", json={"env": {}}, headers=admin) as response:
            assert (response.status, (await response.json())["error"]) == (
                422,
                "DATABASE_URL and REDIS_URL must be set",
            )
    await host.close()
