"""The way to a Kubernetes API server: found when it is first needed, one deadline a call, and errors that are sentences."""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bot.errors import NotFound, Refused, Unavailable
from bot.failures import why

_SERVICE_HOST = "KUBERNETES_SERVICE_HOST"
_CODES = {400: "Invalid", 401: "Unauthorized", 403: "Forbidden", 409: "Conflict", 422: "Invalid"}


class Connection:
    """One connection to one cluster, shared by all calls. Building it touches neither disk nor network.

    `environ`: `KUBECONFIG` names the configuration (several files as kubectl joins them); without it the pod's own service
    account, else `~/.kube/config`. `deadline`: seconds for each call, the connection's own setting up included; `page`:
    how many things of a list are asked for at a time.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, *, deadline: float = 10.0, page: int = 500) -> None:
        self._environ, self.deadline, self._page = environ, deadline, page
        self._library: Any = None
        self._config: Any = None
        self._client: Any = None
        self._retired: Any = None
        self._building = asyncio.Lock()

    def known(self) -> bool:
        """Whether there is a configuration at all: a file that is there, or a pod's own service account."""
        given = self._environ.get("KUBECONFIG", "")
        files = given.split(os.pathsep) if given else [f"{self._environ.get('HOME', '')}/.kube/config"]
        return bool(self._environ.get(_SERVICE_HOST)) or any(Path(file).is_file() for file in files if file)

    async def aclose(self) -> None:
        """Close every connection; the next call opens a new one."""
        clients = [client for client in (self._client, self._retired) if client is not None]
        self._client = self._retired = None
        for client in clients:
            await client.close()

    async def call(self, ask: Callable[[Any, Any], Awaitable[Any]], *, hide: tuple[str, ...] = ()) -> dict[str, Any]:
        """The JSON that `await ask(library, client)` answers with; texts in `hide` are left out of errors.

        `ask` passes `_preload_content=False`: the library's own objects refuse lists that a real cluster leaves null, and
        cost more than all the rest of a call. Raises Unavailable, NotFound and Refused (`code`: Invalid, Unauthorized,
        Forbidden, Conflict, Unreadable).
        """
        client = self._client
        try:
            return await self._once(ask)
        except _Failed as failed:
            if failed.status != 401 or client is None:
                raise failed.said(hide) from None
        # A token that has run out: the configuration may hold, or make, a new one.
        await self._retire(client)
        try:
            return await self._once(ask)
        except _Failed as failed:
            raise failed.said(hide) from None

    async def every(self, listing: Callable[[Any, Any], Any], *where: str, **options: Any) -> list[dict[str, Any]]:
        """All pages of the list that `listing(library, client)(*where, **options)` begins. A list whose pages ran out under
        us is Unavailable: ask again. Raises as `call` does."""
        items: list[dict[str, Any]] = []
        token: str | None = ""
        while token is not None:
            more = {
                "limit": self._page,
                "_preload_content": False,
                **options,
                **({"_continue": token} if token else {}),
            }
            page = await self.call(_asked(listing, where, more))
            items += page.get("items") or []
            token = (page.get("metadata") or {}).get("continue") or None
        return items

    async def _retire(self, client: Any) -> None:
        """Let the next call connect anew. Others may be using this connection: it is closed when its successor retires."""
        if client is None or self._client is not client:
            return
        retired, self._retired, self._client = self._retired, client, None
        if retired is not None:
            await retired.close()

    async def stream(
        self, ask: Callable[[Any, Any], Awaitable[Any]], take: Callable[[bytes], None], *, within: float
    ) -> None:
        """Hand each piece of a long answer to `take` as it comes, so that no more of it is held than `take` keeps.

        The whole of it may last `within` seconds. Raises as `call` does, also half way through.
        """
        library, client = await self._connected()
        try:
            with _speaking(library, within):
                async with asyncio.timeout(within):
                    response = await ask(library, client)
                    try:
                        # Not line by line: the reader gives up at a line that is longer than its buffer.
                        async for piece in response.content.iter_any():
                            take(piece)
                    finally:
                        response.close()
        except _Failed as failed:
            raise failed.said(()) from None

    async def page(self, path: str, **query: str) -> str:
        """What a page says that is no JSON, such as `/readyz`; also one that says that something fails (5xx).

        Raises Unavailable, NotFound and Refused as `call` does.
        """
        library, client = await self._connected()
        try:
            with _speaking(library, self.deadline):
                async with asyncio.timeout(self.deadline):
                    answer = await client.call_api(
                        path, "GET", query_params=list(query.items()), auth_settings=["BearerToken"],
                        _preload_content=False, _return_http_data_only=True,
                    )  # fmt: skip
                    return str((await answer.read()).decode(errors="replace"))
        except _Failed as failed:
            if failed.status < 500:
                raise failed.said(()) from None
            return failed.text

    async def _once(self, ask: Callable[[Any, Any], Awaitable[Any]]) -> dict[str, Any]:
        library, client = await self._connected()
        try:
            with _speaking(library, self.deadline):
                async with asyncio.timeout(self.deadline):
                    answer = json.loads(await (await ask(library, client)).read())
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Refused("The cluster's answer cannot be read.", "Unreadable")
        return answer

    async def _connected(self) -> tuple[Any, Any]:
        async with self._building:
            if self._library is None:
                # The better part of a second, so not on the loop, and only for who has a cluster.
                self._library = await asyncio.to_thread(importlib.import_module, "kubernetes_asyncio.client")
                # At its lowest level it writes whole answers into the log, secrets too.
                logging.getLogger("kubernetes_asyncio").setLevel(logging.INFO)
                self._config = await asyncio.to_thread(importlib.import_module, "kubernetes_asyncio.config")
            if self._client is None:
                try:
                    async with asyncio.timeout(self.deadline):
                        made = await self._configured()
                    self._client = _client_class(self._library)(made, self.deadline)
                except TimeoutError as error:
                    raise Unavailable("The way into the cluster was not found in time.", untried=True) from error
                # Whatever a configuration of many shapes, with programs in it, makes the library trip over.
                except Exception as error:
                    why = f"The cluster's configuration cannot be used ({type(error).__name__})."
                    raise Unavailable(why, untried=True) from error
            return self._library, self._client

    async def _configured(self) -> Any:
        made = self._library.Configuration()
        given = self._environ.get("KUBECONFIG", "")
        if not given and self._environ.get(_SERVICE_HOST):
            self._config.load_incluster_config(client_configuration=made)
            return made
        file = given or f"{self._environ.get('HOME', '')}/.kube/config"
        await self._config.load_kube_config(config_file=file, client_configuration=made, persist_config=False)
        return made


def _asked(
    listing: Callable[[Any, Any], Any], where: tuple[str, ...], options: Mapping[str, Any]
) -> Callable[[Any, Any], Awaitable[Any]]:
    return lambda library, client: listing(library, client)(*where, **options)


@contextmanager
def _speaking(library: Any, within: float) -> Iterator[None]:
    """What goes wrong inside, as an error of ours."""
    try:
        yield
    except library.ApiException as error:
        # Never chained: its text is the whole answer, which may repeat what was sent.
        raise _Failed(error) from None
    except aiohttp.ClientConnectorError as error:
        raise Unavailable(f"The cluster cannot be reached: {why(error)}.", untried=True) from error
    except TimeoutError as error:
        raise Unavailable(f"The cluster did not answer within {within:g} s.") from error
    except (aiohttp.ClientError, OSError) as error:
        raise Unavailable(f"The cluster does not answer: {why(error)}.") from error


class _Failed(Exception):
    """What the API server said no with."""

    def __init__(self, error: Any) -> None:
        super().__init__(error.status)
        self.status: int = error.status
        self._body, self._headers = error.body, error.headers

    @property
    def text(self) -> str:
        """The whole answer."""
        return self._body.decode(errors="replace") if isinstance(self._body, bytes) else str(self._body or "")

    def said(self, hide: tuple[str, ...]) -> Unavailable | Refused | NotFound:
        """As an error of ours."""
        reason = self._message(hide)
        if self.status == 404:
            return NotFound(f"The cluster has no such thing: {reason}.")
        if self.status == 429:
            return Unavailable(f"The cluster asks us to wait: {reason}.", retry_after=self._retry_after())
        if self.status >= 500 or self.status == 410:
            return Unavailable(f"The cluster failed: {reason}.", retry_after=self._retry_after())
        return Refused(f"The cluster refused: {reason}.", _CODES.get(self.status, str(self.status)))

    def _message(self, hide: tuple[str, ...]) -> str:
        try:
            message = str(json.loads(self._body)["message"])
        except (ValueError, TypeError, KeyError):
            message = f"HTTP {self.status}"
        for secret in hide:
            for text in (secret, json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode()):
                message = message.replace(text, "[hidden]") if text else message
        return " ".join(message.split()).rstrip(".")[:300]

    def _retry_after(self) -> float | None:
        text = (self._headers or {}).get("Retry-After", "")
        return float(text) if text.isdigit() else None


def _client_class(library: Any) -> Any:
    rest = importlib.import_module("kubernetes_asyncio.client.rest")

    class Api(library.ApiClient):  # type: ignore[misc]
        """Raises for every bad status, also of answers that are read by hand, and gives every call its deadline."""

        def __init__(self, configuration: Any, deadline: float) -> None:
            super().__init__(configuration)
            self._deadline = deadline

        async def request(self, method: str, url: str, **options: Any) -> Any:
            options["_request_timeout"] = options.get("_request_timeout") or self._deadline
            response = await super().request(method, url, **options)
            if not 200 <= response.status <= 299:
                raise library.ApiException(http_resp=rest.RESTResponse(response, await response.read()))
            return response

    return Api
