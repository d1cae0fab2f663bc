"""The command line, and the one place where every part is built and joined."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from aiohttp import web

import actions
import handlers
from bot import cli, logs
from bot import estate as estates
from bot.access import Access
from bot.catalogue import Catalogue
from bot.clients.kubernetes import Kubernetes
from bot.clients.pagerduty import PagerDuty
from bot.clients.probes import client_session
from bot.clients.toolbox import toolbox
from bot.clock import wall_clock
from bot.desk import Desk
from bot.effects.look import LookEffects
from bot.effects.memory import StoredReadings
from bot.effects.page import PageEffects
from bot.effects.planning import PlanEffects
from bot.effects.record import RecordEffects
from bot.effects.reply import ReplyEffects
from bot.effects.room import RoomEffects
from bot.effects.running import RunEffects
from bot.ending import ended
from bot.engine import NOT_ASKED, Engine, Performer
from bot.errors import NeighbourError, RecoveryError, StoreUnavailable
from bot.estate import Estate
from bot.hearing import Hearing
from bot.owed import Owed
from bot.recovery import Recovery
from bot.redact import redact
from bot.roster import Roster
from bot.rules import rules_of, run_rules_of
from bot.settings import Settings, read
from bot.store import Store
from bot.store.embedded import EmbeddedPostgres
from bot.web import Web, webhook_performer
from handlers.declare import Declaring
from handlers.gateway import Gateway, slack_session, web_client
from handlers.intake import Intake
from handlers.notice import Notice
from handlers.recover import Recovering
from handlers.slack import SlackChat, Windows
from handlers.story import Story

log = logging.getLogger("bot")


@dataclass(frozen=True)
class Parts:
    """What one replica is made of, joined but not started."""

    chat: SlackChat
    intake: Intake
    gateway: Gateway
    engine: Engine


async def serve(settings: Settings, stopped: asyncio.Event) -> None:
    """Run one replica until `stopped`: the store first, then everything that stands on it; neighbours whenever they answer."""
    estate = estates.load(settings.estate, settings.environ)
    secrets = settings.secrets | estate.secrets()
    logs.set_up(partial(redact, secrets=secrets))
    if settings.pace.practice:
        log.warning("PRACTICE: a minute of the rules takes %g seconds", settings.pace.seconds_per_minute)
    async with AsyncExitStack() as stack:
        store = Store(await _database(settings, stack), wall_clock, partial(redact, secrets=secrets))
        stack.push_async_callback(store.close)
        parts = await _join(settings, estate, store, partial(redact, secrets=secrets), stack)
        site = Web(
            store,
            wall_clock,
            lambda: _neighbours(settings, parts.engine, parts.gateway),
            settings.pagerduty_webhook_secret,
        )
        await _listen(settings, site, parts.gateway, stack)
        await _open(store, stopped)
        await parts.engine.start()
        stack.push_async_callback(parts.engine.stop)
        await _standing(store, stopped)
        tasks = [
            asyncio.create_task(parts.gateway.learn_who_we_are(), name="who we are"),
            asyncio.create_task(
                _learn_names(parts.chat, [*estate.slack.responders, *estate.slack.approvers]), name="names"
            ),
        ]
        if settings.socket_mode:
            tasks.append(asyncio.create_task(parts.gateway.keep_sockets(), name="sockets"))
            stack.push_async_callback(parts.gateway.close)
        site.ready = True
        log.info("ready on http://%s:%s", settings.host, settings.port)
        await stopped.wait()
        log.info("stopping: no new clicks, what is under way ends")
        site.ready = False
        await parts.intake.quiet(3.0)
        await ended(*tasks)


async def _join(
    settings: Settings, estate: Estate, store: Store, hide: Callable[[str], str], stack: AsyncExitStack
) -> Parts:
    """Build every part and give each what it needs; nothing is started and nobody is called."""
    rules = rules_of(estate, settings.pace)
    session = await stack.enter_async_context(slack_session())
    slack = web_client(settings.slack_bot_token, settings.slack_api_url, session)
    chat, windows = SlackChat(slack, session, hide), Windows(slack)
    pager = PagerDuty(
        settings.pagerduty_api_key, settings.pagerduty_from, estate.pagerduty.service, settings.pagerduty_api_url
    )
    stack.callback(pager.close)
    cluster = Kubernetes(settings.environ)
    stack.push_async_callback(cluster.aclose)
    session = await stack.enter_async_context(client_session())
    tools = toolbox(estate, cluster, session, wall_clock, settings.data_dir, settings.environ)
    tools = replace(tools, memory=StoredReadings(store, estate, tools.databases.place))
    hearing = Hearing(store, pager, chat, rules)
    roster = Roster(estate, pager, chat, store)
    desk = Desk(store, Access(chat, estate), estate, rules, wall_clock)
    intake = Intake(store, chat, wall_clock, ", ".join(f"{c.title} {c.phone}" for c in estate.contacts[:2]))
    gateway = Gateway(slack, settings.slack_signing_secret, settings.slack_app_token)
    catalogue, run_rules = Catalogue(actions.CATALOGUE), run_rules_of(estate, settings.pace)
    handlers.register(
        gateway.app,
        intake,
        Declaring(desk, windows),
        Story(desk, chat, windows),
        Notice(desk, chat, windows),
        Recovering(desk, Recovery(desk, catalogue, run_rules), windows, tools),
    )
    webhooks = bool(settings.pagerduty_webhook_secret)
    performers = _performers(
        RoomEffects(chat, store, estate, rules, roster, wall_clock),
        PageEffects(pager, chat, store, estate, rules, roster, hearing, wall_clock, webhooks=webhooks),
        LookEffects(tools.prober, chat, store, estate, rules, wall_clock, catalogue),
        RecordEffects(chat, store, rules, wall_clock, estate.slack.status, estate.name),
        ReplyEffects(chat),
        intake,
        hearing,
    ) | _run_performers(
        PlanEffects(chat, store, tools, catalogue, rules, run_rules, wall_clock),
        RunEffects(store, tools, catalogue, run_rules),
    )
    engine = Engine(store, performers, wall_clock, f"{socket.gethostname()}-{os.getpid()}")
    return Parts(chat, intake, gateway, engine)


def _performers(
    room: RoomEffects, page: PageEffects, look: LookEffects, record: RecordEffects, reply: ReplyEffects, intake: Intake,
    hearing: Hearing,
) -> dict[str, Performer]:  # fmt: skip
    """Every kind of effect and what does it: a kind that is not listed cannot be done."""
    return {
        "room.create": room.create,
        "room.describe": room.describe,
        "room.invite": room.invite,
        "room.bookmarks": room.bookmarks,
        "room.pin": room.pin,
        "room.archive": room.archive,
        "board": room.board,
        "announce": room.announce,
        "say": room.say,
        "page.open": page.open,
        "page.add": page.add,
        "page.ack": page.acknowledge,
        "page.resolve": page.resolve,
        "page.proof": page.proof,
        "tell.rung": page.tell,
        "tell": page.tell_one,
        "watch": page.watch,
        "roster": page.refresh_roster,
        "assess": look.card,
        "assess.post": look.post,
        "assess.all": look.round,
        "update": record.update,
        "report.post": record.post,
        "report.export": record.export,
        "ladder": record.climb,
        "remind": record.remind,
        "notice": record.notice,
        "notice.draft": record.draft,
        "sweep": record.sweep,
        "reply": reply.reply,
        "intake.command": intake.perform,
        "intake.action": intake.perform,
        "intake.view": intake.perform,
        "intake.shortcut": intake.perform,
        "intake.event": intake.perform,
        "intake.webhook": webhook_performer(hearing),
    }


def _run_performers(plan: PlanEffects, run: RunEffects) -> dict[str, Performer]:
    return {
        "run.plan": plan.plan,
        "run.card": plan.card,
        "run.watch": plan.watch,
        "observe": plan.observe,
        "run": run.run,
    }


async def _database(settings: Settings, stack: AsyncExitStack) -> str:
    """The store's connection string: as given, or of the embedded server, which is started and watched."""
    if settings.database_url:
        return settings.database_url
    server = EmbeddedPostgres(settings.data_dir)
    conninfo = await server.start()
    stack.push_async_callback(server.stop)
    watching = asyncio.create_task(server.supervise(), name="embedded postgres")

    async def stop_watching() -> None:
        await ended(watching)

    stack.push_async_callback(stop_watching)
    return conninfo


async def _open(store: Store, stopped: asyncio.Event) -> None:
    """Wait for the store: nothing can be promised without it."""
    while not stopped.is_set():
        try:
            await store.open()
        except StoreUnavailable as error:
            log.error("%s; trying again", error)
            await asyncio.sleep(1)
        else:
            return


async def _standing(store: Store, stopped: asyncio.Event) -> None:
    """Rows that every installation has: the roster, the sweep, the round of probes, the poll of pages.

    Each by itself: replicas that start and take over at the same time must not wait for each other in a circle.
    """
    for kind in ("roster", "sweep", "assess.all", "watch"):
        key = {"assess.all": "estate/assess", "watch": "estate/watch"}.get(kind, f"estate/{kind}")
        while not stopped.is_set():
            try:
                async with store.tx() as tx:
                    await tx.owe(Owed(kind, key, key, standing=True))
            except StoreUnavailable as error:
                log.error("%s; trying again", error)
                await asyncio.sleep(1)
            else:
                break


async def _learn_names(chat: SlackChat, groups: Sequence[str]) -> None:
    """What the people who use the bot are called, before the first of them clicks."""
    try:
        for person in sorted(await chat.members(groups)):
            await chat.name_of(person)
    except NeighbourError as error:
        log.info("names are learned as people click: %s", error)


async def _listen(settings: Settings, site: Web, gateway: Gateway, stack: AsyncExitStack) -> None:
    runner = web.AppRunner(site.app(None if settings.socket_mode else gateway.http_route()), access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        raise RecoveryError(
            f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}). Set BOT_HTTP to a free address."
        ) from error


def _neighbours(settings: Settings, engine: Engine, gateway: Gateway) -> Mapping[str, str]:
    """What `/readyz` says of the neighbours: by the last call, and before the first one by who answered at the start."""
    seen = dict(engine.health())
    if seen["slack"] == NOT_ASKED:
        seen["slack"] = "ok" if gateway.known else "does not answer"
    if settings.socket_mode:
        seen["slack_socket"] = "ok" if gateway.connected else "not connected"
    return seen


async def _run(settings: Settings) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    await serve(settings, stopped)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("recovery-bot", description="Turns a disaster-recovery runbook into buttons.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="start the bot")
    run.add_argument("--practice", action="store_true", help="allow another pace than 60 seconds a minute")
    run.set_defaults(do=lambda o: asyncio.run(_run(read(os.environ, practice=o.practice))))
    check = commands.add_parser("check", help="check settings, estate file and store")
    check.set_defaults(do=lambda _: cli.check(print))
    estate = commands.add_parser("estate", help="the estate file").add_subparsers(required=True, metavar="WHAT")
    estate_check = estate.add_parser("check", help="validate an estate file")
    estate_check.add_argument("file", nargs="?", type=Path, default=Path(os.environ.get("BOT_ESTATE", "estate.yml")))
    estate_check.set_defaults(do=lambda o: cli.estate_check(o.file, print))
    estate.add_parser("schema", help="its JSON schema").set_defaults(do=lambda _: cli.estate_schema(print))
    timeline = commands.add_parser("timeline", help="the record of an incident").add_subparsers(
        required=True, metavar="WHAT"
    )
    verify = timeline.add_parser("verify", help="prove that it was not changed")
    verify.add_argument("incident", metavar="INC-n")
    verify.set_defaults(do=lambda o: cli.timeline_verify(o.incident, print))
    export = timeline.add_parser("export", help="write it to stdout")
    export.add_argument("incident", metavar="INC-n")
    export.add_argument("--format", choices=("markdown", "json"), default="markdown")
    export.set_defaults(do=lambda o: cli.timeline_export(o.incident, o.format, print))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status; what went wrong is a sentence on stderr."""
    options = _parser().parse_args(argv)
    try:
        return int(options.do(options) or 0)
    except RecoveryError as error:
        print(f"recovery-bot: {error}", file=sys.stderr)
        return 2
