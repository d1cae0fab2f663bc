"""The small types that the estate file is made of: durations, names, ids, addresses, lists from one variable."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    StringConstraints,
    WithJsonSchema,
)

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:[0-9]+[smhd])+")
_DURATION_TEXT = "a number and a unit: 60s, 5m, 1h30m, 2d, or 0"


class Part(BaseModel):
    """One section of the estate: immutable, and a key it does not know is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def parse_duration(value: object) -> timedelta:
    """Read `60s`, `5m`, `1h30m`, `2d` or `0`; raise ValueError for anything else."""
    if isinstance(value, timedelta):
        return value
    text = str(value).strip()
    if text == "0" and not isinstance(value, bool):
        return timedelta()
    if not _DURATION.fullmatch(text):
        raise ValueError("this is not a duration")
    return timedelta(seconds=sum(int(n) * _SECONDS[unit] for n, unit in re.findall(r"([0-9]+)([smhd])", text)))


def format_duration(value: timedelta) -> str:
    """Write a duration as people say objectives: `5m`, `1h30m`, `24h`, `0`; never in days."""
    rest = int(value.total_seconds())
    parts = []
    for unit in "hms":
        count, rest = divmod(rest, _SECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0"


def _split(value: object) -> object:
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


def _nothing(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _tidy(url: str) -> str:
    """Undo the doubled slash that `${API_URL}/path` gives when the variable ends in one."""
    path = re.split(r"[?#]", url, maxsplit=1)[0]
    return re.sub(r"(?<!:)//+", "/", path) + url[len(path) :]


def _list_schema(item: dict[str, Any], description: str) -> WithJsonSchema:
    items = {**item, "description": description}
    either = [{"type": "array", "items": items}, {"type": "string"}]
    return WithJsonSchema({"anyOf": either, "description": description})


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": "^(0|([0-9]+[smhd])+)$"}, {"const": 0}], "description": _DURATION_TEXT}
    ),
]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
MaybeText = Annotated[Text | None, BeforeValidator(_nothing)]
Slug = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9-]*$"),
    Field(description="a short name: small letters, digits and dashes, such as api-server"),
]
Url = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^https?://\S+$"),
    AfterValidator(_tidy),
    Field(description="an address that begins with http:// or https://"),
]
MaybeUrl = Annotated[Url | None, BeforeValidator(_nothing)]
UrlOrBlank = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^(https?://\S+)?$"),
    AfterValidator(_tidy),
    Field(description="an address that begins with http:// or https://"),
]
MaybeSecret = Annotated[SecretStr | None, BeforeValidator(_nothing)]
ChannelId = Annotated[
    str,
    StringConstraints(pattern=r"^[CG][A-Z0-9]{2,}$"),
    Field(description="a Slack channel id such as C0123ABCD (at the foot of the channel's details)"),
]
UserId = Annotated[
    str,
    StringConstraints(pattern=r"^[UW][A-Z0-9]{2,}$"),
    Field(description="a Slack member id such as U0123ABCD"),
]
Texts = Annotated[
    tuple[Text, ...],
    BeforeValidator(_split),
    _list_schema({"type": "string", "minLength": 1}, "a list, or one text with commas"),
]

MaybeUserId = Annotated[UserId | None, BeforeValidator(_nothing)]
UserIds = Annotated[
    tuple[UserId, ...],
    BeforeValidator(_split),
    _list_schema({"type": "string", "pattern": r"^[UW][A-Z0-9]{2,}$"}, "Slack member ids such as U0123ABCD"),
]
Members = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=r"^[SUW][A-Z0-9]{2,}$")], ...],
    Field(min_length=1),
    BeforeValidator(_split),
    _list_schema(
        {"type": "string", "pattern": r"^[SUW][A-Z0-9]{2,}$"},
        "a Slack user group S0123ABCD, or member ids U0123ABCD, U0456EFGH",
    ),
]
PageTargets = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")], ...],
    BeforeValidator(_split),
    _list_schema(
        {"type": "string", "pattern": r"^[A-Za-z0-9_-]+$"},
        "ids of PagerDuty escalation policies or users, such as PT4KHLK",
    ),
]

Priority = Literal["P0", "P1", "P2"]
Severity = Literal["P0", "P1", "P2", "P3"]
Scenario = Literal["database", "llm", "redis", "kubernetes", "outage", "security", "other"]
