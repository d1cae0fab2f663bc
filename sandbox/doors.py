"""Listening addresses of this machine: one is kept while its server comes and goes."""

import socket

from aiohttp import web

from sandbox.estate.children import free_port


def listen(port: int = 0) -> socket.socket:
    """A listening socket of 127.0.0.1; port 0: a free one, which nobody else is given while its server is away. Raises OSError
    when taken."""
    return socket.create_server(("127.0.0.1", port or free_port()), backlog=128, reuse_port=False)


def listen_near(port: int) -> socket.socket:
    """Like `listen`, but when the port is taken the next free one of the following twenty, else any."""
    for candidate in range(port, port + 21) if port else ():
        try:
            return listen(candidate)
        except OSError:
            continue
    return listen()


class Door:
    """One application behind one address that can be closed (connections are refused) and opened again."""

    def __init__(self, app: web.Application, opened: socket.socket) -> None:
        self.app = app
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        self._socket: socket.socket | None = opened
        self._site: web.SockSite | None = None
        self.port: int = opened.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def open(self) -> bool:
        """Whether somebody listens."""
        return self._site is not None

    async def start(self) -> None:
        """Serve; after `shut`, again on the same port."""
        if self._site is not None:
            return
        if self._runner.server is None:
            await self._runner.setup()
        self._site = web.SockSite(self._runner, self._socket or listen(self.port))
        self._socket = None
        await self._site.start()

    async def shut(self) -> None:
        """Refuse new connections; the application lives on. Open connections are the application's to cut."""
        if self._site is not None:
            await self._site.stop()
            self._site = None

    async def close(self) -> None:
        """End the application and give the port back."""
        await self._runner.cleanup()
        self._site = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
