"""The provider behind practice's Terraform: what it made and is gone, and the making of it."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection

from aiohttp import web

from sandbox.doors import Door, listen
from sandbox.estate.children import CannotDo


class Cloud:
    """Serves at `url`. `gone`: the names of resources that are not there any more; `make` makes one, and may raise CannotDo.

    `fails`: by the name of a resource, how often its making fails from now on. `ready`: while it is not set nothing gets made.
    """

    def __init__(self, gone: Callable[[], Collection[str]], make: Callable[[str], Awaitable[None]]) -> None:
        self._gone, self._make = gone, make
        self.fails: dict[str, int] = defaultdict(int)
        self.ready = asyncio.Event()
        self.ready.set()
        app = web.Application()
        app.add_routes([web.get("/gone", self._look), web.post("/{name}", self._order)])
        self._door = Door(app, listen())
        self.url = self._door.url

    async def start(self) -> None:
        """Serve."""
        await self._door.start()

    async def stop(self) -> None:
        """Give the address back."""
        await self._door.close()

    async def _look(self, _request: web.Request) -> web.Response:
        return web.json_response(sorted(self._gone()))

    async def _order(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        await self.ready.wait()
        if self.fails[name] > 0:
            self.fails[name] -= 1
            return web.json_response({"error": "InsufficientCapacity: practice has told this to fail"}, status=503)
        try:
            await self._make(name)
        except CannotDo as error:
            return web.json_response({"error": str(error)}, status=500)
        return web.json_response({})
