"""The disaster recovery site: the platform's health at another address, and how old its data is."""

import socket

from aiohttp import web

from sandbox.estate.dns import DR

FRESH, STALE = 45, 3 * 3600
"""Seconds."""


class DrSite:
    """Serves at `url`. `down`: connections are cut. `age`: of its data, in seconds."""

    def __init__(self) -> None:
        self.down, self.age = False, FRESH
        self._socket = socket.create_server((DR, 0))
        self.url = f"http://{DR}:{self._socket.getsockname()[1]}"
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)

    async def start(self) -> None:
        """Serve."""
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()

    async def stop(self) -> None:
        """Give the address back."""
        await self._runner.cleanup()
        self._socket.close()

    async def _answer(self, request: web.Request) -> web.Response:
        if self.down:
            if request.transport is not None:
                request.transport.abort()
            raise web.HTTPServiceUnavailable
        return web.json_response({"status": "healthy", "site": "disaster recovery", "data_age_seconds": self.age})
