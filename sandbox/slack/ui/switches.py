"""For tests and the panel: what the app has called, and what goes wrong on purpose."""

from ..errors import PersonError
from ..faults import FaultSpec
from ..model import Json
from ..workspace import Workspace

_PLAIN = ("latency", "down", "socket_silent", "ghost")


def calls(ws: Workspace, given: Json) -> Json:
    """The recorded Web API calls, oldest first; `since_ts` in Unix seconds."""
    since = float(given.get("since_ts") or 0)
    return {"calls": [call._asdict() for call in ws.calls if call.at >= since]}


def faults(ws: Workspace, given: Json) -> Json:
    """Set faults: any of latency, down, socket_silent, ghost, rate_limits, and `fail` {method: {kind, ...} | null}."""
    for name in _PLAIN:
        if name in given:
            setattr(ws.faults, name, given[name])
    if "rate_limits" in given:
        ws.set_rate_limits(bool(given["rate_limits"]))
    for method, spec in (given.get("fail") or {}).items():
        if spec is None:
            ws.faults.fail.pop(method, None)
            continue
        try:
            ws.faults.fail[method] = FaultSpec(**spec)
        except TypeError as error:
            raise PersonError(f"No such fault: {error}") from None
    return {"ok": True}
