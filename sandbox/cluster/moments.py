"""Instants as Kubernetes writes them. Pure; seconds since the epoch in and out."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(now: float) -> str:
    """To the second, as in metadata and conditions."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro(now: float) -> str:
    """To the microsecond, as in leases and logs."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds(text: str) -> float:
    """The instant that a stamp of either kind means. Raises ValueError."""
    return datetime.fromisoformat(text).timestamp()
