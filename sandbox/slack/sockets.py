"""Socket Mode: tickets, connections, envelopes and their acknowledgements."""

import asyncio
import contextlib
import json
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from .delivery import EnvelopeKind, Reply, Retry
from .faults import Faults
from .model import Json
from .tasks import Tasks

MAX_CONNECTIONS = 10
HOST = "applink-local-0"


@dataclass(slots=True, eq=False)
class Connection:
    """One WebSocket of the app."""

    socket: web.WebSocketResponse
    debug: bool = False


@dataclass(slots=True, eq=False)
class Sockets:
    """All connections of the app. Every envelope goes to any ONE of them, ghosts included.

    `ack_timeout`: seconds the app has to acknowledge. `lifetime`: None, or seconds after which a connection is
    refreshed. `acks_anywhere`: an acknowledgement may arrive on another connection than its envelope.
    """

    app_id: str
    faults: Faults
    tasks: Tasks
    minute: Callable[[], float]
    on_change: Callable[[], None]
    ack_timeout: float = 3.0
    lifetime: float | None = None
    acks_anywhere: bool = True
    connections: list[Connection] = field(default_factory=list)
    _tickets: set[str] = field(default_factory=set)
    _waiting: dict[str, tuple[asyncio.Future[Json | str | None], Connection | None]] = field(default_factory=dict)

    @property
    def connected(self) -> bool:
        return bool(self.connections)

    def ticket(self) -> str:
        """A ticket for one connection, good once."""
        ticket = str(uuid.uuid4())
        self._tickets.add(ticket)
        return ticket

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The app connects. 403 without an unused ticket."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=403, text="invalid ticket")
        self._tickets.discard(ticket)
        # autoping off: a silent connection must not even answer pings.
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        if len(self.connections) + self.faults.ghost >= MAX_CONNECTIONS:
            await self._frame(socket, _disconnect("too_many_websockets"))
            await socket.close()
            return socket
        connection = Connection(socket, debug=request.query.get("debug_reconnects") == "true")
        self.connections.append(connection)
        self.on_change()
        try:
            await self._frame(socket, self._hello())
            if (lifetime := 360.0 if connection.debug else self.lifetime) is not None:
                self.tasks.spawn(self._refresh(connection, lifetime))
            await self._listen(connection)
        finally:
            self._forget(connection)
        return socket

    async def send(self, kind: EnvelopeKind, payload: Json, retry: Retry | None) -> Reply:
        """One attempt: pick a connection, send, wait for the acknowledgement."""
        envelope: Json = {
            "envelope_id": str(uuid.uuid4()),
            "type": kind,
            "payload": payload,
            "accepts_response_payload": kind != "events_api",
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": retry.number if retry else 0, "retry_reason": retry.reason if retry else ""}
        answer: asyncio.Future[Json | str | None] = asyncio.get_running_loop().create_future()
        try:
            if not await self._hand_over(envelope, answer):
                return Reply(error="dispatch_failed", reason="timeout")
            async with asyncio.timeout(self.ack_timeout):
                return Reply(body=await answer)
        except TimeoutError:
            return Reply(error="operation_timeout", reason="timeout")
        finally:
            self._waiting.pop(envelope["envelope_id"], None)

    async def disconnect(self, reason: str, grace: float | None = None) -> None:
        """Tell every connection to go, cut it `grace` real seconds later (default: ten scaled seconds)."""
        grace = self.minute() / 6 if grace is None else grace
        for connection in list(self.connections):
            await self._frame(connection.socket, _disconnect(reason))
            self.tasks.spawn(self._cut_later(connection, grace))

    def cut(self) -> None:
        """Drop every connection without a word."""
        for connection in list(self.connections):
            self.tasks.spawn(self._cut_later(connection, 0))

    async def close(self) -> None:
        for connection in list(self.connections):
            self._forget(connection)
            await connection.socket.close()

    async def _listen(self, connection: Connection) -> None:
        async for message in connection.socket:
            if self.faults.socket_silent:
                continue
            if message.type is WSMsgType.PING:
                await connection.socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                self._acknowledge(connection, message.data)

    def _acknowledge(self, connection: Connection, text: str) -> None:
        try:
            frame = json.loads(text)
        except ValueError:
            return
        if not isinstance(frame, dict):
            return
        answer, sent_to = self._waiting.get(frame.get("envelope_id", ""), (None, None))
        if answer is None or answer.done():
            return
        if self.acks_anywhere or sent_to is connection:
            answer.set_result(frame.get("payload"))

    async def _hand_over(self, envelope: Json, answer: asyncio.Future[Json | str | None]) -> bool:
        """Give it to one connection chosen at random, perhaps a ghost; False when there is none."""
        data = json.dumps(envelope)
        while choices := [*self.connections, *([None] * self.faults.ghost)]:
            chosen = secrets.choice(choices)
            self._waiting[envelope["envelope_id"]] = (answer, chosen)
            if chosen is None or self.faults.socket_silent:
                return True
            try:
                await chosen.socket.send_str(data)
            except ConnectionError:
                self._forget(chosen)
            else:
                return True
        return False

    async def _frame(self, socket: web.WebSocketResponse, frame: Json) -> None:
        # The other side may be gone already; then there is nobody left to tell.
        if not socket.closed:
            with contextlib.suppress(ConnectionError):
                await socket.send_str(json.dumps(frame))

    async def _refresh(self, connection: Connection, lifetime: float) -> None:
        await asyncio.sleep(lifetime)
        if connection in self.connections:
            await self._frame(connection.socket, _disconnect("refresh_requested"))
            await self._cut_later(connection, self.minute() / 6)

    async def _cut_later(self, connection: Connection, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._forget(connection)
        await connection.socket.close()

    def _forget(self, connection: Connection) -> None:
        if connection in self.connections:
            self.connections.remove(connection)
            self.on_change()

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self.connections) + self.faults.ghost,
            "debug_info": {"host": HOST, "build_number": 54, "approximate_connection_time": 18060},
            "connection_info": {"app_id": self.app_id},
        }


def _disconnect(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": HOST}}
