"""The address that people know the platform by: it leads where its name in DNS leads."""

from collections.abc import Mapping

import aiohttp
from aiohttp import web

from sandbox.doors import Door, listen
from sandbox.estate.children import CannotDo
from sandbox.estate.dns import API, Dns

WITHIN = aiohttp.ClientTimeout(total=30)
_KEPT = ("Authorization", "Content-Type", "User-Agent")


class Front:
    """Stands for every client that resolves the name and connects: the first resolver is asked at each call, with all that it
    keeps. `sites`: by address of a record, the site that answers there. A site that does not answer is a broken connection.
    """

    def __init__(self, dns: Dns, sites: Mapping[str, str]) -> None:
        self._dns, self._sites = dns, sites
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._pass)
        self._door = Door(app, listen())
        self.url = self._door.url

    async def start(self) -> None:
        """Answer."""
        await self._door.start()

    async def stop(self) -> None:
        """Give the address back."""
        await self._door.close()

    async def _pass(self, request: web.Request) -> web.Response:
        headers = {name: request.headers[name] for name in _KEPT if name in request.headers}
        try:
            site = next(self._sites[there] for there in await self._dns.resolved(API) if there in self._sites)
            async with (
                aiohttp.ClientSession(timeout=WITHIN) as client,
                client.request(
                    request.method, site + request.path_qs, headers=headers, data=await request.read()
                ) as answer,
            ):
                body = await answer.read()
                return web.Response(body=body, status=answer.status, content_type=answer.content_type)
        except (aiohttp.ClientError, TimeoutError, CannotDo, StopIteration):
            if request.transport is not None:
                request.transport.abort()
            raise web.HTTPServiceUnavailable from None
