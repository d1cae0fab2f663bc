"""The platform on the panel: its databases, its backups, its cluster, and the application."""

from typing import Protocol

import aiohttp

from sandbox.application import Application
from sandbox.cluster import Cluster
from sandbox.estate.backups import PREFIX, Backups
from sandbox.estate.cache import Redis
from sandbox.estate.children import CannotDo
from sandbox.estate.damage import Blockade, Contents
from sandbox.estate.intruder import ADDRESS, ROLE, Intruder
from sandbox.estate.postgres import Postgres
from sandbox.estate.s3 import S3
from sandbox.estate.standby import Standby
from sandbox.panel_parts import Action, Part, Seen


class Server(Protocol):
    """Something that is stopped and started."""

    port: int

    @property
    def running(self) -> bool: ...

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


def server(name: str, title: str, of: Server) -> Part:
    """Up or down."""
    return Part(name, title, lambda: _running(of), (_stop(title, of), _start(title, of)))


def primary(title: str, of: Postgres) -> Part:
    """Up or down, by a stop or by kill -9."""
    kill = Action("kill", "kill -9", "down", of.kill)
    return Part("postgres", title, lambda: _running(of), (_stop(title, of), kill, _start(title, of)))


def standby(of: Standby) -> Part:
    """Up, lagging, down, or promoted."""

    async def look() -> Seen:
        if not of.running:
            return "down", "stopped"
        try:
            replay = await of.look()
        except CannotDo as error:
            return "down", str(error)
        if not replay.recovering:
            return "promoted", f"port {of.port}, takes writes"
        if replay.paused:
            return "lagging", f"replays nothing; {replay.waiting:,} bytes wait"
        return (
            "up",
            f"port {of.port}, {'follows the primary' if replay.streaming else 'hears nothing from the primary'}",
        )

    lag = Action("lag", "Let it lag", "lagging", of.pause, {"up"})
    catch_up = Action("resume", "Catch up", "up", of.resume, {"lagging"})
    return Part("standby", of.title, look, (_stop("the standby", of), _start("the standby", of), lag, catch_up))


def cache(of: Redis) -> Part:
    """Up, hanging, or down. In a cluster it is a pod: a new pod heals both."""

    async def look() -> Seen:
        if of.frozen:
            return "frozen", "takes connections and answers nothing"
        return await _running(of)

    freeze = Action("freeze", "Freeze Redis", "frozen", of.freeze, {"up"})
    thaw = Action("thaw", "Thaw Redis", "up", of.thaw, {"frozen"})
    return Part("redis", of.title, look, (freeze, thaw, _stop(of.title, of), _start(of.title, of)))


def cache_replica(of: Redis) -> Part:
    """Up, down, or promoted."""

    async def look() -> Seen:
        if not of.running:
            return "down", "stopped"
        try:
            role = await of.role()
        except CannotDo as error:
            return "down", str(error)
        if role == "slave":
            return "up", f"port {of.port}, follows a primary"
        return "promoted", f"port {of.port}, takes writes"

    return Part("redis-replica", of.title, look, (_stop("the replica", of), _start("the replica", of)))


def data(contents: Contents) -> Part:
    """The tables: dropped here, put back by a recovery."""

    async def look() -> Seen:
        try:
            missing = await contents.missing()
        except CannotDo:
            return "unknown", "the database does not answer"
        return ("missing", f"no table {' and no table '.join(missing)}") if missing else ("ok", "all tables are there")

    return Part("data", "Data", look, (Action("drop", "Drop the canvases table", "missing", contents.drop_canvases),))


def blockade(of: Blockade) -> Part:
    """A long query that everybody waits for."""

    async def look() -> Seen:
        if of.waiting:
            return "blocking", "a report holds users, and others wait for it"
        return "normal", "nobody waits"

    block = Action("block", "Block with a long query", "blocking", of.start)
    release = Action("release", "End the query", "normal", of.stop)
    return Part("queries", "Queries", look, (block, release))


def intruder(of: Intruder) -> Part:
    """Somebody who is in, until what is done about it has shut them out."""

    async def look() -> Seen:
        if not of.active:
            return "normal", "nobody"
        queries = f"queries as {ROLE}" if of.querying else f"the session of {ROLE} is ended"
        return ("inside" if of.inside else "out"), f"from {ADDRESS}: {of.traffic or 'comes in'}; {queries}"

    start = Action("start", "Let an intruder in", "inside", of.start, {"normal"})
    stop = Action("stop", "Take the intruder away", "normal", of.stop)
    return Part("intruder", "Intruder", look, (start, stop))


def storage(s3: S3, backups: Backups | None) -> Part:
    """S3, and the backups in it."""

    async def look() -> Seen:
        if not s3.open:
            return "down", "connections are refused"
        if backups is None:
            return "up", f"port {s3.port}"
        try:
            listed = await backups.listed()
            sound = bool(listed) and await backups.sound(listed[0])
        except CannotDo as error:
            return "unknown", str(error)
        if not listed:
            return "empty", "no backup is there"
        told = f"{len(listed)} backups, newest {listed[0].key.removeprefix(PREFIX)}"
        return ("up", told) if sound else ("corrupt", f"{told}, not what its checksum says")

    actions = [Action("down", "S3 down", "down", s3.shut), Action("up", "S3 up", "up", s3.reopen, {"down"})]
    if backups is not None:
        actions.append(Action("corrupt", "Corrupt the newest backup", "corrupt", backups.corrupt_newest, {"up"}))
        actions.append(Action("take", "Take a backup", "", backups.take, {"up", "corrupt", "empty"}))
    return Part("s3", "S3", look, actions)


def cluster(of: Cluster) -> Part:
    """The Kubernetes API: the pods go on without it."""

    async def look() -> Seen:
        return ("up", of.url) if of.running else ("down", "connections are cut")

    async def down() -> None:
        of.faults.down = True

    async def up() -> None:
        of.faults.down = False

    actions = (Action("down", "Kubernetes API down", "down", down), Action("up", "Kubernetes API up", "up", up))
    return Part("cluster", "Kubernetes", look, actions)


def providers(app: Application) -> Part:
    """The LLM providers behind the application."""

    async def look() -> Seen:
        state = {frozenset[str](): "up", frozenset({"together"}): "failing"}.get(app.failing, "down")
        return state, f"{' and '.join(sorted(app.failing))} failing" if app.failing else "both providers work"

    actions = (
        Action("fail", "Fail Together.ai", "failing", lambda: app.fail("together")),
        Action("fail_all", "Fail both providers", "down", lambda: app.fail("together", "openai")),
        Action("recover", "Recover", "up", app.fail),
    )
    return Part("llm", "LLM providers", look, actions)


def writer(app: Application, token: str) -> Part:
    """Somebody who stores canvases all the time, and whether the database still has all that it acknowledged."""

    async def look() -> Seen:
        if not app.writing:
            return "normal", "stores nothing"
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as client,
                client.get(f"{app.url}/api/writes", headers={"Authorization": f"Bearer {token}"}) as response,
            ):
                told = await response.json() if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError):
            told = None
        if told is None:
            return "unknown", "nobody can tell what is lost"
        counts = f"{told['acknowledged']:,} acknowledged, {told['failed']:,} refused"
        return (
            ("losing", f"{counts}, {told['missing']:,} lost")
            if told["missing"]
            else ("running", f"{counts}, none lost")
        )

    on = Action("start", "Write all the time", "running", lambda: app.write(on=True))
    off = Action("stop", "Stop writing", "normal", lambda: app.write(on=False))
    return Part("writer", "Writer", look, (on, off))


async def _running(of: Server) -> Seen:
    return ("up", f"port {of.port}") if of.running else ("down", "stopped")


def _stop(title: str, of: Server) -> Action:
    return Action("stop", f"Stop {title}", "down", of.stop)


def _start(title: str, of: Server) -> Action:
    return Action("start", f"Start {title}", "up", of.start, {"down"})
