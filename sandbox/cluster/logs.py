"""What the containers said: one file a pod, each line with its instant in front, as a kubelet keeps it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from sandbox.cluster.calls import Call
from sandbox.cluster.errors import ApiError, bad_request, invalid
from sandbox.cluster.kinds import PODS, Object
from sandbox.cluster.moments import micro, seconds
from sandbox.cluster.store import Store

LOOK_EVERY = 0.2


class Logs:
    """`elsewhere` tells the file of a pod whose container really runs; the others' are below `folder`."""

    def __init__(self, folder: Path, clock: Callable[[], float], elsewhere: Callable[[str], Path | None]) -> None:
        self._folder, self._clock, self._elsewhere = folder, clock, elsewhere

    def say(self, pod: str, text: str) -> None:
        """A line of a container that is only played."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f"{pod}.log").open("a", encoding="utf-8") as file:
            file.write(f"{micro(self._clock())} {text}\n")

    def forget(self, pod: str) -> None:
        """The pod is gone, and with it what it said."""
        (self._folder / f"{pod}.log").unlink(missing_ok=True)

    def read(self, pod: str, offset: int = 0) -> tuple[list[str], int]:
        """The whole lines from a byte on, and where they end."""
        path = self._elsewhere(pod) or self._folder / f"{pod}.log"
        try:
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            return [], offset
        whole = data[: data.rfind(b"\n") + 1]
        return whole.decode(errors="replace").splitlines(), offset + len(whole)


async def serve_log(request: web.Request, call: Call, store: Store, logs: Logs, now: float) -> web.StreamResponse:
    """GET /log with container, sinceSeconds, tailLines, timestamps, follow. Raises ApiError."""
    pod = store.get(PODS, call.namespace, call.name)
    _refuse(pod, call)
    since = call.number("sinceSeconds")
    if since is not None and since < 1:
        raise invalid(PODS, call.name, "sinceSeconds", f"Invalid value: {since}: must be greater than 0")
    lines, offset = logs.read(call.name)
    if since is not None:
        lines = [line for line in lines if _instant(line) >= now - since]
    if (tail := call.number("tailLines")) is not None:
        lines = lines[-tail:] if tail else []
    stream = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await stream.prepare(request)
    await _write(stream, lines, call)
    if call.flag("follow"):
        with contextlib.suppress(ConnectionResetError):
            while (there := store.find(PODS, call.namespace, call.name)) is not None and _runs(there):
                await asyncio.sleep(LOOK_EVERY)
                lines, offset = logs.read(call.name, offset)
                await _write(stream, lines, call)
    return stream


def _refuse(pod: Object, call: Call) -> None:
    names = [container["name"] for container in pod["spec"]["containers"]]
    container = call.query.get("container", "")
    if not container and len(names) > 1:
        raise bad_request(f"a container name must be specified for pod {call.name}, choose one of: {names}")
    if container and container not in names:
        raise bad_request(f"container {container} is not valid for pod {call.name}")
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    waiting = (statuses[0].get("state") or {}).get("waiting") if statuses else {"reason": "ContainerCreating"}
    began = statuses and statuses[0].get("restartCount", 0) > 0
    if (waiting and not began) or (call.flag("previous") and not began):
        reason = (waiting or {}).get("reason", "there was no container before")
        raise ApiError(400, "BadRequest", f'container "{names[0]}" in pod "{call.name}" is waiting to start: {reason}')


async def _write(stream: web.StreamResponse, lines: list[str], call: Call) -> None:
    if lines:
        shown = lines if call.flag("timestamps") else [line.partition(" ")[2] for line in lines]
        await stream.write("".join(f"{line}\n" for line in shown).encode())


def _instant(line: str) -> float:
    try:
        return seconds(line.partition(" ")[0])
    except ValueError:
        return 0.0


def _runs(pod: Object) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return bool(statuses) and "running" in (statuses[0].get("state") or {})
