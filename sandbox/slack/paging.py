"""Cursors: opaque, and resting on an id rather than a position, so that new items shift nothing."""

import base64
import binascii
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from .errors import SlackError
from .model import Json


def encode(value: str) -> str:
    return base64.b64encode(f"next:{value}".encode()).decode()


def decode(cursor: str) -> str:
    """Raises invalid_cursor."""
    try:
        kind, _, value = base64.b64decode(cursor, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise SlackError("invalid_cursor") from None
    if kind != "next":
        raise SlackError("invalid_cursor")
    return value


def limit(args: Json, default: int, maximum: int) -> int:
    """The page size. Raises invalid_limit."""
    size: int = args.get("limit") or default
    if not 1 <= size <= maximum:
        raise SlackError("invalid_limit")
    return size


def page(keys: Sequence[str], args: Json, default: int, maximum: int = 1000) -> tuple[list[str], Json]:
    """One page of an ordered list of ids, and the answer's response_metadata."""
    size = limit(args, default, maximum)
    start = 0
    if cursor := args.get("cursor"):
        key = decode(cursor)
        if key not in keys:
            raise SlackError("invalid_cursor")
        start = list(keys).index(key)
    rest = keys[start + size : start + size + 1]
    return list(keys[start : start + size]), {"next_cursor": encode(rest[0]) if rest else ""}


def window(stamps: Sequence[str], args: Json) -> tuple[int, int]:
    """The half-open range of positions between `oldest` and `latest` (strings of ts), ends excluded by default."""
    oldest, latest, inclusive = args.get("oldest") or "0", args.get("latest"), args.get("inclusive", False)
    low = bisect_left(stamps, _pad(oldest)) if inclusive else bisect_right(stamps, _pad(oldest))
    if latest is None:
        return low, len(stamps)
    return low, bisect_right(stamps, _pad(latest)) if inclusive else bisect_left(stamps, _pad(latest))


def _pad(ts: str) -> str:
    """ "1700000000" and "1700000000.12" in the fixed width of a ts, so that text order is time order."""
    seconds, _, micros = ts.partition(".")
    if not seconds.isdigit() or (micros and not micros.isdigit()):
        raise SlackError("invalid_ts_oldest")
    return f"{int(seconds):010d}.{micros[:6]:0<6}"
