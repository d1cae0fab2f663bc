"""The vendors: their status pages, in the shape that Statuspage gives them all, and the LLM providers' own APIs."""

from collections.abc import Callable, Collection

from aiohttp import web

PROVIDERS = ("together", "openai")


def routes(failing: Callable[[], Collection[str]]) -> list[web.RouteDef]:
    """`/vendors/<name>/api/v2/status.json` and `/vendors/<name>/v1/models` for together and openai, and a page for AWS.

    `failing`: the providers that are down now; page and API both tell the truth about it.
    """

    def known(request: web.Request) -> str:
        name = request.match_info["name"]
        if name not in PROVIDERS:
            raise web.HTTPNotFound
        return name

    async def status(request: web.Request) -> web.Response:
        name = known(request)
        said = ("major", "Partial System Outage") if name in failing() else ("none", "All Systems Operational")
        page = {"id": name, "name": name, "url": str(request.url.origin()), "time_zone": "Etc/UTC"}
        return web.json_response({"page": page, "status": {"indicator": said[0], "description": said[1]}})

    async def models(request: web.Request) -> web.Response:
        if known(request) in failing():
            return web.json_response({"error": {"message": "The service is overloaded."}}, status=503)
        return web.json_response({"error": {"message": "You did not provide an API key."}}, status=401)

    async def aws(_request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>AWS status</title>Service is operating normally")

    return [
        web.get("/vendors/{name}/api/v2/status.json", status),
        web.get("/vendors/{name}/v1/models", models),
        web.get("/vendors/aws/", aws),
    ]
