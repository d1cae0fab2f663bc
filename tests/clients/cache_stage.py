"""Real Redis servers, a Sentinel that watches over them, and the tools that the bot would have on them."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
from redis.asyncio import Redis as Client
from redis.exceptions import RedisError

from bot.action import Tools
from bot.clients.kubernetes import Kubernetes
from bot.clients.toolbox import toolbox
from bot.clock import wall_clock
from bot.estate_places import Cache
from sandbox.estate.cache import Redis
from sandbox.estate.children import Child, Unprivileged, free_port
from sandbox.estate.wheels import give, make_home, redis_program
from tests.unit.given import estate


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Path, Redis, Redis]]:
    """A folder, a Redis, and its replica, linked."""
    user = Unprivileged.when_root()
    home = make_home(user)
    primary = Redis(home, user)
    replica = Redis(home, user, primary)
    try:
        await primary.start()
        await replica.start()
        yield home, primary, replica
    finally:
        await asyncio.gather(primary.end(), replica.end())
        shutil.rmtree(home)


@asynccontextmanager
async def sentinel_of(home: Path, primary: Redis, name: str) -> AsyncIterator[str]:
    """The address of a Sentinel that calls `primary` by that name, and decides alone."""
    user, port = Unprivileged.when_root(), free_port()
    folder = give(home / "sentinel", user)
    file = folder / "sentinel.conf"
    lines = (
        "bind 127.0.0.1", f"port {port}", f"sentinel monitor {name} 127.0.0.1 {primary.port} 1",
        f'sentinel auth-pass {name} "{primary.password}"', f"sentinel down-after-milliseconds {name} 5000",
    )  # fmt: skip
    file.write_text("\n".join(lines) + "\n")
    if user is not None:
        shutil.chown(file, user.uid, user.gid)
    argv = [str(redis_program(home, user)), str(file), "--sentinel"]
    child = Child("Sentinel", argv, env={"LC_ALL": "C"}, log=home / "sentinel.log", cwd=folder, user=user)
    await child.start()
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        await child.kill()


async def replica_known(url: str, name: str) -> None:
    """Wait until a Sentinel that was just started has found the one replica, and heard from it."""
    client: Any = Client.from_url(url)
    async with asyncio.timeout(40), client:
        while True:
            with suppress(RedisError):  # it does not listen yet
                known = await client.sentinel_slaves(name)
                if known and known[0]["flags"] == "slave" and known[0]["master-link-status"] == "ok":
                    return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def tools_on(**changed: object) -> AsyncIterator[Tools]:
    """The bot's tools on the shipped estate, whose one cache is changed so; no application that could be asked."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        cluster = Kubernetes({})
        stack.push_async_callback(cluster.aclose)
        shipped = estate()
        cache = Cache.model_validate({"name": "redis", "service": "redis", **changed})
        changed_estate = shipped.model_copy(update={"caches": (cache,), "application": None})
        yield replace(toolbox(changed_estate, cluster, session, wall_clock), run="RUN-1")
