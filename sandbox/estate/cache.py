"""ValueCanvas's cache: a real redis-server that keeps nothing on the disk, and its replica."""

import asyncio
import contextlib
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis.asyncio
from redis.exceptions import RedisError

from sandbox.estate.children import CannotDo, CannotStart, Child, Unprivileged, free_port
from sandbox.estate.wheels import give, redis_program

PATIENCE = 30.0


class Redis:
    """One Redis below `home`, on a port that stays the same over stops and starts. `of`: the one that it is a replica of."""

    def __init__(self, home: Path, user: Unprivileged | None, of: "Redis | None" = None) -> None:
        self._home, self._user, self._of = home, user, of
        self._name = "redis-replica" if of else "redis"
        self.title = "Redis replica" if of else "Redis"
        self.password: str = of.password if of else f"{secrets.token_urlsafe(12)}@/:{secrets.token_urlsafe(4)}%"
        self.port = free_port()
        self._child: Child | None = None
        self._starting = asyncio.Lock()
        self.frozen = False
        self.held = False
        """Stopped by somebody who wants it to stay so: its pod does not get it up again, only a new pod does."""

    @property
    def url(self) -> str:
        """The application's connection string."""
        return f"redis://:{quote(self.password, safe='')}@127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        """Whether the server process lives."""
        return self._child is not None and self._child.running

    async def start(self) -> None:
        """Start it and wait until it answers. Raises CannotStart."""
        self.held = False
        async with self._starting:
            if self.running:
                return
            if self._child is None:
                self._child = await self._made()
            self.frozen = False
            await self._child.start(self._configuration())
            await self._answering(self._child)

    async def stop(self) -> None:
        """Stop it; what it held is gone."""
        self.held = True
        await self.end()

    async def end(self) -> None:
        """End its process."""
        if self._child is not None:
            await self._child.stop()
        self.frozen = False

    async def freeze(self) -> None:
        """Let it hang: connections are taken, and nothing is answered any more. Raises CannotDo."""
        self._signal(signal.SIGSTOP)
        self.frozen = True

    async def thaw(self) -> None:
        """Go on. Raises CannotDo."""
        self._signal(signal.SIGCONT)
        self.frozen = False

    async def role(self) -> str:
        """What it calls itself: "master" or "slave". Raises CannotDo when it does not answer."""
        try:
            async with self._client() as client:
                role: Any = await client.info("replication")
        except RedisError as error:
            raise CannotDo(f"{self.title} does not answer.") from error
        return str(role["role"])

    async def linked(self) -> None:
        """Wait until this replica follows its primary. Raises CannotDo when it does not get there."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        async with self._client() as client:
            while asyncio.get_running_loop().time() < deadline:
                with contextlib.suppress(RedisError):
                    if (await client.info("replication")).get("master_link_status") == "up":
                        return
                await asyncio.sleep(0.02)
        raise CannotDo(f"{self.title} did not get linked within {PATIENCE:.0f} seconds.")

    def _signal(self, number: signal.Signals) -> None:
        if self._child is None or not self.running:
            raise CannotDo(f"{self.title} does not run.")
        self._child.signal(number)

    async def _made(self) -> Child:
        program = await asyncio.to_thread(redis_program, self._home, self._user)
        folder = give(self._home / self._name, self._user)
        return Child(
            self.title,
            # "-": the configuration comes on standard input, so that the password is on no command line.
            [str(program), "-"],
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", "HOME": str(folder)},
            log=self._home / f"{self._name}.log",
            cwd=folder,
            user=self._user,
            # It keeps nothing that could be lost, and a frozen process hears no other.
            order=signal.SIGKILL,
        )

    def _configuration(self) -> bytes:
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f'requirepass "{self.password}"',
            f'masterauth "{self.password}"',
            'save ""',
            "appendonly no",
            "maxmemory 64mb",
            "maxmemory-policy noeviction",
            "repl-diskless-sync yes",
            "repl-diskless-sync-delay 0",
            "daemonize no",
        ]
        if self._of is not None:
            lines.append(f"replicaof 127.0.0.1 {self._of.port}")
        return "\n".join(lines).encode() + b"\n"

    def _client(self) -> Any:
        return redis.asyncio.Redis.from_url(self.url, socket_connect_timeout=1, socket_timeout=1)

    async def _answering(self, child: Child) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        async with self._client() as client:
            while asyncio.get_running_loop().time() < deadline and child.running:
                try:
                    await client.ping()
                except RedisError:
                    await asyncio.sleep(0.02)
                    continue
                return
        said = child.said(5)
        await self.end()
        raise CannotStart(f"{self.title} did not start: {said or 'it said nothing.'}")


class CachePods:
    """What a cluster needs to really run a Redis as its one pod."""

    def __init__(self, of: Redis) -> None:
        self._redis = of

    async def start(self, _name: str, _env: Mapping[str, str]) -> None:
        """Start it; it answers when this returns. Raises CannotStart, also as long as it was told to stay stopped."""
        if self._redis.held:
            raise CannotStart("Redis was told to stay stopped.")
        await self._redis.start()

    async def stop(self, _name: str) -> None:
        """End it. The next pod starts with nothing of what held this one."""
        await self._redis.end()
        self._redis.held = False

    def runs(self, _name: str) -> bool:
        """Whether its process lives, frozen or not: nothing but a probe finds that out."""
        return self._redis.running

    def ready(self, _name: str) -> bool:
        """Whether it answers."""
        return self._redis.running and not self._redis.frozen

    def log(self, _name: str) -> Path | None:
        """None: what it writes has no instants in front."""
        return None
