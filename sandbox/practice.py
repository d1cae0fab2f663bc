"""The practice estate as one thing that is started and stopped, by `python -m sandbox`, by tests and by benchmarks.

    async with Practice() as practice:                                  # Slack and PagerDuty, in a few milliseconds
        ...
    async with Practice(parts=ALL, command=["recovery-bot", "run", "--practice"]) as practice:
        await practice.bot.ready(30)

`practice.env` is the bot's environment, `.slack` the Workspace, `.pagerduty` the PagerDuty, `.url` the public address.
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import psycopg
import yaml
from aiohttp import web

from sandbox import page, pagerduty, slack, vendors
from sandbox.application import Application
from sandbox.cluster import Cluster, Runner
from sandbox.cluster.environment import Unresolved
from sandbox.cluster.errors import ApiError
from sandbox.command import Command
from sandbox.doors import Door, listen, listen_near
from sandbox.environment import Addresses, Secrets, bot_environment
from sandbox.estate.backups import Backups
from sandbox.estate.cache import CachePods, Redis
from sandbox.estate.children import CannotDo, CannotStart, Unprivileged, free_port
from sandbox.estate.damage import Blockade, Contents
from sandbox.estate.dns import DR, PRIMARY, Dns
from sandbox.estate.drsite import DrSite
from sandbox.estate.fleet import Fleet
from sandbox.estate.front import Front
from sandbox.estate.intruder import Intruder
from sandbox.estate.leftovers import descendants_in, end_leftovers, everybody_in
from sandbox.estate.machines import MACHINES, Ec2
from sandbox.estate.postgres import DATABASE, Postgres
from sandbox.estate.s3 import S3
from sandbox.estate.standby import Standby
from sandbox.estate.wheels import make_home
from sandbox.panel import Panel
from sandbox.primary import PrimarySite
from sandbox.terraform.cloud import Cloud
from sandbox.terraform.repository import Code

Part = Literal["postgres", "standby", "redis", "redis-replica", "app", "s3", "cluster", "dns", "infrastructure"]
ALL: frozenset[Part] = frozenset(
    {"postgres", "standby", "redis", "redis-replica", "app", "s3", "cluster", "dns", "infrastructure"}
)


class Practice:
    """The chosen parts on free ports of this machine.

    `parts`: what runs beside Slack and PagerDuty. A standby wants its Postgres, a replica its Redis; with a cluster, the
    application and Redis run as its pods, and the application connects to what its deployment says. `command`: the bot;
    not started when empty, see `.bot`.
    `manifest`: the app's manifest, or the file it is in. `http`: events over HTTP instead of Socket Mode.
    `port`: of the page; 0 is any. `data`: where the bot keeps its data; a folder of its own that is removed at the end
    when not given. `estate`: the bot's estate file. `webhooks`: whether PagerDuty tells the bot (else it must poll).
    `progress`: told in a sentence about each part that is up. Everybody lets the phone ring until told otherwise.
    """

    def __init__(
        self,
        *,
        parts: Collection[Part] = (),
        command: Sequence[str] = (),
        manifest: Mapping[str, Any] | Path = Path("manifest.yml"),
        http: bool = False,
        port: int = 0,
        seconds_per_minute: float = 60.0,
        data: Path | None = None,
        home: Path | None = None,
        estate: Path = Path("estate.yml"),
        webhooks: bool = True,
        clock: Callable[[], float] = time.time,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.parts = frozenset(parts)
        self.seconds_per_minute = seconds_per_minute
        self._command, self._manifest, self._http, self._port = tuple(command), manifest, http, port
        self._data, self._home, self._estate = data, home, estate
        self._webhooks, self._clock, self._progress = webhooks, clock, progress
        self._secrets = Secrets()
        self._telling: set[str] = set()

    async def __aenter__(self) -> "Practice":
        """Start it. Raises CannotStart, with nothing left running."""
        with contextlib.ExitStack() as undo:
            self._prepare(undo)
            undo.pop_all()
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    def _prepare(self, undo: contextlib.ExitStack) -> None:
        """Build everything that needs no waiting; the addresses of all parts are known from here on."""
        manifest = self._read_manifest()
        user = Unprivileged.when_root()
        self.home = self._home or make_home(user)
        if self._home is None:
            undo.callback(shutil.rmtree, self.home)
        self.data = (self._data or self.home / "data").resolve()
        bot_http = f"127.0.0.1:{free_port()}"
        public = undo.enter_context(listen_near(self._port))
        self.url = f"http://127.0.0.1:{public.getsockname()[1]}"
        self.slack = slack.build(
            manifest,
            public_url=self.url,
            events_url=f"http://{bot_http}/slack/events" if self._http else None,
            clock=self._clock,
            seconds_per_minute=self.seconds_per_minute,
        )
        behind = undo.enter_context(listen())
        self.pagerduty_url = f"http://127.0.0.1:{behind.getsockname()[1]}"
        self.pagerduty = pagerduty.build(
            webhook_url=f"http://{bot_http}/pagerduty/webhook" if self._webhooks else None,
            url=self.pagerduty_url,
            html_url=f"{self.url}/pagerduty",
            clock=self._clock,
            seconds_per_minute=self.seconds_per_minute,
            on_change=lambda: self.tell("phone"),
        )
        self._build_databases(user)
        self.redis = redis = Redis(self.home, user) if "redis" in self.parts else None
        self.redis_replica = Redis(self.home, user, redis) if redis and "redis-replica" in self.parts else None
        self.app = self._application() if "app" in self.parts else None
        self.dns = Dns(self.s3, lambda: self.seconds_per_minute) if self.s3 and "dns" in self.parts else None
        self.dr = DrSite() if self.dns else None
        self.front = Front(self.dns, self._sites()) if self.dns else None
        self.cluster = self._cluster() if "cluster" in self.parts else None
        self.primary = PrimarySite(self.postgres, self.standby, redis, self.cluster, self.app)
        cloud = Cloud(self.primary.gone, self.primary.make) if "infrastructure" in self.parts else None
        self.code = Code(self.home, cloud) if cloud else None
        self.fleet = Fleet(self.cluster, Ec2(self.s3) if self.s3 else None) if self.cluster else None
        self.intruder = self._intruder(self.postgres) if self.postgres and self.app else None
        self.env = self._environment(bot_http)
        self.bot = Command(
            self._command,
            self.env,
            self.home,
            self.data / "bot.log",
            on_change=lambda: self.tell("panel"),
            report=self._progress,
        )
        self.door = Door(self._site(), public)
        self.pagerduty_door = Door(self.pagerduty.app(), behind)

    def _build_databases(self, user: Unprivileged | None) -> None:
        """Postgres, what copies it, what backs it up and what harms it: each None when it is not among the parts."""
        self.postgres = postgres = Postgres(self.home, user) if "postgres" in self.parts else None
        self.s3 = S3(self.home) if "s3" in self.parts else None
        self.standby = Standby(self.home, user, postgres) if postgres and "standby" in self.parts else None
        self.contents = Contents(self.database) if postgres else None
        self.blockade = Blockade(self.database, lambda: self.tell("panel")) if postgres else None
        self.backups = Backups(self.home, user, self.s3, self.database, self._clock) if postgres and self.s3 else None

    def _intruder(self, postgres: Postgres) -> Intruder:
        app = self.app.url if self.app else ""
        admin = psycopg.conninfo.make_conninfo(postgres.admin_url, dbname=DATABASE)
        return Intruder(self.database, lambda: admin, app, self.s3, lambda: self.tell("panel"))

    def database(self) -> str:
        """The connection string of the database that the application is told to use now. Raises CannotDo."""
        if self.cluster is None:
            return self._stores()["DATABASE_URL"]
        try:
            return self.cluster.env_of("api-server")["DATABASE_URL"]
        except (ApiError, Unresolved, KeyError) as error:
            raise CannotDo("The application is told of no database.") from error

    def _stores(self) -> dict[str, str]:
        """What the application is told at first."""
        return {
            "DATABASE_URL": self.postgres.url if self.postgres else "postgresql://nobody@127.0.0.1:9/none",
            "REDIS_URL": self.redis.url if self.redis else "redis://127.0.0.1:9/0",
        }

    def _sites(self) -> dict[str, str]:
        """By the address of a record, the site that it leads to."""
        primary = {PRIMARY: self.app.url} if self.app else {}
        return primary | ({DR: self.dr.url} if self.dr else {})

    def _read_manifest(self) -> Mapping[str, Any]:
        if not isinstance(self._manifest, Path):
            return self._manifest
        try:
            manifest = yaml.load(self._manifest.read_text(), Loader=yaml.CSafeLoader)
        except (OSError, yaml.YAMLError) as error:
            raise CannotStart(f"The manifest cannot be read: {error}.") from error
        if not isinstance(manifest, dict):
            raise CannotStart(f"{self._manifest} is not a Slack app manifest.")
        return manifest

    def _application(self) -> Application:
        if "cluster" in self.parts:
            return Application(self.home, tokens=self._secrets)
        stores = self._stores()
        return Application(self.home, database=stores["DATABASE_URL"], redis=stores["REDIS_URL"], tokens=self._secrets)

    def _cluster(self) -> Cluster:
        run: dict[str, Runner] = {"api-server": self.app.pods} if self.app else {}
        run |= {"redis": CachePods(self.redis)} if self.redis else {}
        admit = self.app.admit if self.app else None
        machines = {name: (one.provider, one.address) for name, one in MACHINES.items()} if self.s3 else {}
        return Cluster(self.home, env=self._stores(), run=run, admit=admit, clock=self._clock, machines=machines)

    def _environment(self, bot_http: str) -> dict[str, str]:
        tokens = {"SLACK_BOT_TOKEN": self.slack.bot_token}
        if self._http:
            tokens["SLACK_SIGNING_SECRET"] = self.slack.signing_secret
        else:
            tokens["SLACK_APP_TOKEN"] = self.slack.app_token
        addresses = Addresses(
            slack=self.url,
            pagerduty=self.pagerduty_url,
            bot_http=bot_http,
            app=self.front.url if self.front else self.app.url if self.app else "",
            primary=self.app.url if self.app else "",
            database=self.postgres.url if self.postgres else "",
            replica=self.standby.url if self.standby else "",
            redis=self.redis.url if self.redis else "",
            redis_replica=self.redis_replica.url if self.redis_replica else "",
            aws=self.s3.url if self.s3 else "",
            dr=self.dr.url if self.dr else "",
            resolvers=self.dns.addresses if self.dns else "",
            code=self.code.url if self.code else "",
            programs=str(self.code.bin) if self.code else "",
            kubeconfig=str(self.cluster.kubeconfig) if self.cluster else "",
        )
        return bot_environment(
            addresses,
            slack=tokens,
            pagerduty_key=self.pagerduty.api_key,
            webhook_secret=self.pagerduty.webhook_secret,
            tokens=self._secrets,
            data=self.data / "bot",
            estate=self._estate.resolve(),
            seconds_per_minute=self.seconds_per_minute,
        )

    def _site(self) -> web.Application:
        app = web.Application(client_max_size=64 * 2**20)
        app.add_routes(slack.routes(self.slack))
        app.add_routes(self.pagerduty.phone_routes())
        app.add_routes(self.pagerduty.page_routes())
        app.add_routes(Panel(self).routes())
        app.add_routes(vendors.routes(lambda: self.app.failing if self.app else ()))
        app.add_routes(page.routes())
        return app

    async def _start(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        await self.door.start()
        await self.pagerduty_door.start()
        self._progress(f"Slack and its page   {self.url}")
        self._progress(f"PagerDuty            {self.pagerduty_url}")
        starts: list[tuple[str, Awaitable[None]]] = []
        if self.redis and not self.cluster:  # else it is a pod of the cluster's
            starts.append((f"Redis                127.0.0.1:{self.redis.port}", self.redis.start()))
        if self.redis_replica:
            starts.append((f"Redis replica        127.0.0.1:{self.redis_replica.port}", self.redis_replica.start()))
        s3 = asyncio.create_task(self.s3.start(), name="s3") if self.s3 else None
        if self.s3 and s3:
            starts.append((f"S3                   {self.s3.url}", s3))
        if self.dns and self.dr and self.front and s3:
            starts.append(
                (f"DNS resolvers        {self.dns.addresses}", self._names((self.dns, self.dr, self.front), s3))
            )
        if self.code:
            starts.append((f"Infrastructure       {self.code.url}", self.code.start()))
        if self.postgres:
            starts.append(("", self._databases(self.postgres, s3)))
        if self.cluster:
            starts.append((f"Kubernetes           {self.cluster.url}", self._cluster_up(self.cluster)))
        elif self.app:
            starts.append((f"ValueCanvas          {self.app.url}", self.app.start()))
        if self._command:
            starts.append((f"Bot started          {' '.join(self._command)}", self.bot.start()))
        await self._all(starts)
        if self.redis_replica:
            await self.redis_replica.linked()

    async def _cluster_up(self, cluster: Cluster) -> None:
        if self.app:
            await self.app.start()
            self._progress(f"ValueCanvas          {self.app.url}")
        await cluster.start()
        try:
            await cluster.settled()
        except TimeoutError as error:
            raise CannotStart("The pods of the practice cluster did not get ready.") from error
        if self.fleet:
            await self.fleet.start()
        if self.redis:
            self._progress(f"Redis                127.0.0.1:{self.redis.port}")

    async def _names(self, parts: Sequence[Dns | DrSite | Front], aws: Awaitable[None]) -> None:
        await aws
        for part in parts:
            await part.start()

    async def _databases(self, postgres: Postgres, s3: Awaitable[None] | None) -> None:
        await postgres.make()
        starts = [(f"Postgres             127.0.0.1:{postgres.port}", self._fill(postgres, s3))]
        if self.standby:
            starts.append((f"Postgres standby     127.0.0.1:{self.standby.port}", self.standby.create()))
        await self._all(starts)
        if self.standby:
            await self.standby.caught_up()

    async def _fill(self, postgres: Postgres, s3: Awaitable[None] | None) -> None:
        await postgres.fill()
        if self.backups and s3:
            dump = await self.backups.dump()
            await s3
            await self.backups.nights(dump)
            dump.unlink()

    async def _all(self, starts: Sequence[tuple[str, Awaitable[None]]]) -> None:
        async def one(title: str, start: Awaitable[None]) -> None:
            await start
            if title:
                self._progress(title)

        results = await asyncio.gather(*(one(*start) for start in starts), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _stop(self) -> None:
        await self.bot.stop()
        await slack.close(self.slack)
        await self.pagerduty.close()
        if self.intruder:
            await self.intruder.stop()
        if self.blockade:
            await self.blockade.stop()
        for part in (self.front, self.dns, self.dr, self.fleet):
            if part:
                await part.stop()
        if self.code:
            await self.code.stop()
        if self.cluster:
            await self.cluster.stop()
        parts = (self.app, self.redis, self.redis_replica, self.postgres, self.standby, self.s3)
        servers = [part.stop() for part in parts if part is not None]
        await asyncio.gather(self.door.close(), self.pagerduty_door.close(), *servers)
        # What the bot leaves by design when it is killed: its own database.
        own, home, data = self._home is None, self.home, self.data
        await end_leftovers(lambda: everybody_in(home) if own else descendants_in(data))
        if own:
            await asyncio.to_thread(shutil.rmtree, self.home, ignore_errors=True)

    async def set_seconds_per_minute(self, seconds: float) -> None:
        """Turn the practice clock for everybody; the bot, which reads it once, is restarted when it runs."""
        self.seconds_per_minute = seconds
        self.pagerduty.set_seconds_per_minute(seconds)
        self.slack.seconds_per_minute = seconds
        self.env["BOT_SECONDS_PER_MINUTE"] = f"{seconds:g}"
        if self.bot.state == "running":
            await self.bot.restart()
        self.tell("panel")

    def tell(self, what: str) -> None:
        """Tell every open page, once for a burst of changes, that the "phone" or the "panel" is to be fetched again."""
        if what in self._telling:
            return
        self._telling.add(what)

        def push() -> None:
            self._telling.discard(what)
            self.slack.hub.push({"type": what})

        asyncio.get_running_loop().call_soon(push)
