"""The panel that breaks things: what there is, how it is, and what can be done to it."""

import asyncio
from typing import Any, Protocol

from aiohttp import web

from sandbox import pagerduty, panel_estate, slack
from sandbox.application import Application
from sandbox.cluster import Cluster
from sandbox.command import Command
from sandbox.doors import Door
from sandbox.estate.backups import Backups
from sandbox.estate.cache import Redis
from sandbox.estate.children import CannotDo
from sandbox.estate.damage import Blockade, Contents
from sandbox.estate.dns import Dns
from sandbox.estate.drsite import DrSite
from sandbox.estate.fleet import Fleet
from sandbox.estate.intruder import Intruder
from sandbox.estate.postgres import Postgres
from sandbox.estate.s3 import S3
from sandbox.estate.standby import Standby
from sandbox.panel_cluster import workloads
from sandbox.panel_nodes import nodes
from sandbox.panel_outage import disaster, dr_site, names, terraform
from sandbox.panel_parts import Part, chat, pager, robot
from sandbox.primary import PrimarySite
from sandbox.terraform.repository import Code

CHOICES = (60, 15, 6, 1)


class Estate(Protocol):
    """What the panel looks at and changes."""

    slack: slack.Workspace
    pagerduty: pagerduty.PagerDuty
    pagerduty_door: Door
    pagerduty_url: str
    url: str
    postgres: Postgres | None
    standby: Standby | None
    contents: Contents | None
    blockade: Blockade | None
    intruder: Intruder | None
    s3: S3 | None
    backups: Backups | None
    redis: Redis | None
    redis_replica: Redis | None
    cluster: Cluster | None
    primary: PrimarySite
    fleet: Fleet | None
    app: Application | None
    dns: Dns | None
    dr: DrSite | None
    code: Code | None
    bot: Command
    env: dict[str, str]
    seconds_per_minute: float

    async def set_seconds_per_minute(self, seconds: float) -> None: ...
    def tell(self, what: str) -> None: ...


class Panel:
    """`/panel/*`. Errors are HTTP 400 `{"error": sentence}`."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._one_at_a_time = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """For the public port."""
        return [
            web.get("/panel/state", self._state),
            web.post("/panel/do", self._do),
            web.post("/panel/clock", self._clock),
        ]

    async def _state(self, _request: web.Request) -> web.Response:
        estate = self._estate
        state = {
            "parts": await asyncio.gather(*(_shown(part) for part in self._parts())),
            "clock": {"seconds_per_minute": estate.seconds_per_minute, "choices": list(CHOICES)},
            "bot": {"state": estate.bot.state, "pid": estate.bot.pid},
            "links": self._links(),
        }
        return web.json_response(state)

    async def _do(self, request: web.Request) -> web.Response:
        body = await _body(request)
        part = next((part for part in self._parts() if part.name == body.get("part")), None)
        action = next((action for action in part.actions if action.name == body.get("action")), None) if part else None
        if action is None:
            return _error("There is no such part, or it cannot do that.")
        async with self._one_at_a_time:
            try:
                await action.do()
            except CannotDo as error:
                return _error(str(error))
            finally:
                self._estate.tell("panel")
        return web.json_response({"ok": True})

    async def _clock(self, request: web.Request) -> web.Response:
        seconds = (await _body(request)).get("seconds_per_minute")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0.1 <= seconds <= 60:
            return _error("A practice minute lasts between 0.1 and 60 seconds.")
        async with self._one_at_a_time:
            try:
                await self._estate.set_seconds_per_minute(float(seconds))
            except CannotDo as error:
                return _error(str(error))
        return web.json_response({"ok": True})

    def _links(self) -> list[dict[str, str]]:
        links = [{"title": "PagerDuty incidents", "url": f"{self._estate.url}/pagerduty"}]
        if self._estate.app is not None:
            links += [
                {"title": "ValueCanvas health", "url": f"{self._estate.app.url}/health/ready"},
                {"title": "ValueCanvas LLM health", "url": f"{self._estate.app.url}/api/llm/health"},
            ]
        return links

    def _parts(self) -> list[Part]:
        it = self._estate
        parts: list[Part] = []
        if it.postgres is not None:
            parts.append(panel_estate.primary("Postgres primary" if it.standby else "Postgres", it.postgres))
        if it.standby is not None:
            parts.append(panel_estate.standby(it.standby))
        if it.contents is not None:
            parts.append(panel_estate.data(it.contents))
        if it.blockade is not None:
            parts.append(panel_estate.blockade(it.blockade))
        if it.intruder is not None:
            parts.append(panel_estate.intruder(it.intruder))
        if it.redis is not None:
            parts.append(panel_estate.cache(it.redis))
        if it.redis_replica is not None:
            parts.append(panel_estate.cache_replica(it.redis_replica))
        if it.s3 is not None:
            parts.append(panel_estate.storage(it.s3, it.backups))
        if it.cluster is not None and it.fleet is not None:
            parts += [panel_estate.cluster(it.cluster), nodes(it.fleet, it.cluster), workloads(it.cluster)]
        if it.app is not None:
            parts += [panel_estate.providers(it.app), panel_estate.server("api", "ValueCanvas", it.app)]
            parts.append(panel_estate.writer(it.app, it.env["API_TOKEN"]))
        parts += [disaster(it.primary)] if it.dns else []
        parts += [names(it.dns), dr_site(it.dr)] if it.dns and it.dr else []
        parts += [terraform(it.code)] if it.code else []
        parts += [pager(it), chat(it.slack)]
        if it.bot.argv:
            parts.append(robot(it.bot))
        return parts


async def _shown(part: Part) -> dict[str, Any]:
    state, detail = await part.look()
    offered = [{"name": a.name, "title": a.title} for a in part.actions if a.offered_in(state)]
    return {"name": part.name, "title": part.title, "state": state, "detail": detail, "actions": offered}


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _error(sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=400)
