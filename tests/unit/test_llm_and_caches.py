"""What the LLM and cache actions read out of answers, and how they judge it: tables in, values out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from actions.cache_raise import Raise, refuse, since
from actions.caches import bytes_of, check_of, rate, size
from actions.llm import breaker_of, provider_of, succeeded_of
from actions.llm_looks import about_llm
from actions.redis_assess import describe, stands_out
from actions.redis_failover import can_hold, freshest
from bot.clients.caches import _state
from bot.errors import NotNow
from bot.tools import CacheState, LogLine
from tests.unit.given import estate

WELL = _state({"redis_version": "7.4.0", "role": "master", "master_replid": "a"}, timedelta(milliseconds=1))
LLM = estate().llm
assert LLM is not None


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"circuit_breaker": "OPEN"}, "open"),
        ({"circuit_breaker": {"state": "half_open"}}, "half-open"),
        ({"circuitBreaker": {"state": "closed"}}, "closed"),
        ({"circuit_breaker_state": "closed"}, "closed"),
        ({"status": "healthy"}, ""),
        ({"circuit_breaker": {"failures": 3}}, ""),
    ],
)
def test_the_breaker_is_found_in_every_usual_shape(fields: Mapping[str, Any], state: str) -> None:
    """A text or an object; what does not say it is unknown, and never closed."""
    assert breaker_of(fields) == state


@pytest.mark.parametrize(
    ("providers", "count"),
    [
        ({"together": {"calls": 7, "errors": 3}}, 4),
        ({"together": {"requests": 7, "failures": 3}}, 4),
        ({"together": {"successes": 5, "calls": 9}}, 5),
        ({"together": {"calls": 7}}, None),
        ({"openai": {"calls": 7, "errors": 0}}, None),
        ([], None),
    ],
)
def test_calls_that_went_well_are_counted_or_unknown(providers: Any, count: int | None) -> None:
    """Of the provider that is asked for; figures that are not there are no zero."""
    assert LLM is not None
    assert succeeded_of({"providers": providers}, LLM.providers[0]) == count


def test_who_answered_and_what_is_about_the_llm() -> None:
    """By name or title; a line of the log by any of the words that belong to it."""
    assert LLM is not None
    found = [provider_of({"provider": said}, LLM) for said in ("openai", "OpenAI", "Together.ai", "cache", "")]
    assert [one.name if one else None for one in found] == ["openai", "openai", "together", None, None]
    lines = ("Together.ai call failed", "LLM cache hit", "POST /api/canvases 201")
    assert [about_llm(LogLine("pod", "app", text), LLM) for text in lines] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "count"), [("4gb", 4 << 30), ("4g", 4 * 10**9), ("512MB", 512 << 20), ("1k", 1000), ("100", 100)]
)
def test_sizes_are_read_as_redis_reads_them(text: str, count: int) -> None:
    """With a `b` in powers of two, without it in powers of ten."""
    assert bytes_of(text) == count


@pytest.mark.parametrize("words", [{"maxmemory": "lots"}, {"maxmemory": "-1gb"}, {"policy": "lru"}, {"watch": "-1"}])
def test_what_redis_would_not_take_is_refused_when_it_is_typed(words: dict[str, str]) -> None:
    """Before there is a plan."""
    with pytest.raises(ValidationError):
        Raise.model_validate(words)


def test_sizes_and_rates_are_said_plainly() -> None:
    """A rate without a look-up is none."""
    assert [size(n) for n in (100, 64 << 20, 4 << 30, 3 << 29)] == ["100 bytes", "64 MiB", "4 GiB", "1.5 GiB"]
    assert (rate(1, 3), rate(0, 0)) == ("25.0 % of 4 look-ups", "no look-up")


def test_a_rate_since_a_look_is_of_what_came_after_it() -> None:
    """Counters that began anew, by a restart or a reset, say nothing."""
    first = replace(WELL, uptime=timedelta(seconds=9), hits=10, misses=10)
    assert since(first, replace(first, hits=13, misses=11)) == "75.0 % of 4 look-ups"
    assert since(first, first) == "no look-up"
    for anew in ({"uptime": timedelta(0), "hits": 99, "misses": 99}, {"hits": 3}, {"misses": 3}):
        assert since(first, replace(first, **anew)).startswith("unknown")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"role": "replica", "leader": "other:6379"}, "is a replica of other:6379"),
        ({"max_memory": 0}, "takes what it needs already"),
        ({"max_memory": 8 << 30}, "would evict keys"),
        ({"max_memory": 4 << 30, "policy": "allkeys-lru"}, "already"),
        ({"host_memory": 0}, "nobody knows"),
        ({"host_memory": 2 << 30}, "more than the 2 GiB"),
    ],
)
def test_a_raise_that_is_none_or_too_much_is_refused(changed: dict[str, Any], says: str) -> None:
    """Also when the server does not tell what its host has."""
    state = replace(WELL, **{"max_memory": 1 << 30, "host_memory": 16 << 30, **changed})
    with pytest.raises(NotNow, match=says):
        refuse("redis", state, 4 << 30, "allkeys-lru")
    refuse("redis", replace(WELL, max_memory=1 << 30, host_memory=16 << 30), 4 << 30, "allkeys-lru")


def test_the_freshest_replica_is_chosen() -> None:
    """Of those that share the primary's history the one that received most; of others only when there is none of these."""
    follower = replace(WELL, role="replica", linked=True)
    one, two = replace(follower, offset=10), replace(follower, offset=20)
    stranger = replace(follower, history="b", offset=99)
    seen: dict[str, CacheState | str] = {"redis": WELL, "one": one, "two": two, "stranger": stranger}
    assert freshest("redis", seen) == ("two", two)
    assert freshest("redis", {"redis": WELL, "stranger": stranger})[0] == "stranger"
    assert freshest("redis", {"redis": "no answer", "one": one, "two": "gone"})[0] == "one"
    with pytest.raises(NotNow, match=r"one: is no replica; two: gone\)"):
        freshest("redis", {"redis": "no answer", "one": WELL, "two": "gone."})


def test_old_servers_cannot_let_writes_wait() -> None:
    """Since 6.2; what is no version cannot either."""
    assert [can_hold(v) for v in ("6.2.14", "7.0.0", "8.1", "6.0.16", "5.0", "?")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_what_stands_out_is_said_and_nothing_else() -> None:
    """A healthy server has nothing; each fault its words; a server that does not answer is one, too."""
    assert stands_out(WELL) == []
    bad = replace(
        WELL, loading=True, latency=timedelta(seconds=1), max_memory=100, used_memory=99, evicted=1, rejected=2,
        max_clients=10, clients=10, snapshots=False, appends=True, appended=False, role="replica",
    )  # fmt: skip
    assert len(stands_out(bad)) == 9
    assert stands_out("no answer") == ["a server does not answer"]
    text = "\n".join(describe("redis", bad))
    for words in (
        "LOADING",
        "HEARS NOTHING",
        "THE LAST SNAPSHOT FAILED",
        "ITS LAST WRITE FAILED",
        "2 connections refused",
    ):
        assert words in text


def test_the_check_of_a_cache_is_found_by_its_name() -> None:
    """As an object with a status, a plain word or a truth; no check of that name is no news."""
    checks: list[Any] = [
        {"redis": {"status": "Up"}},
        {"cache": "ok"},
        {"redis": {"ok": False}},
        {"database": "up"},
        None,
    ]
    assert [check_of({"checks": one}, ("redis", "cache")) for one in checks] == ["up", "ok", "false", "", ""]
