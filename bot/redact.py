"""Hide secrets in a text before it reaches Slack, the log, the timeline or a report. Pure."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html import escape
from urllib.parse import parse_qsl, quote, unquote, urlsplit

HIDDEN = "[hidden]"

_SHORTEST = 4  # anything shorter would eat ordinary words

_NAMES = r"(?:password|passwd|passphrase|secret|token|(?:api|access|private|secret|routing|integration)[_-]?key)"
_NOT_YET = r"(?!\[hidden\])"  # hiding twice changes nothing
_VALUE = r"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[^\s"',;&)}\]]+)"""

_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE if fold else 0)
    for fold, pattern in (
        # scheme://user:password@host
        (True, rf"(?P<keep>\b[a-z][a-z0-9+.-]{{0,20}}://[^\s:/@'\"]{{0,200}}:){_NOT_YET}[^\s/'\"<>]{{1,500}}(?=@)"),
        # Authorization: Bearer ..., and a bearer token in running text (which has a digit, as words have not)
        (True, rf"""(?P<keep>\bauthorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|token)\s+)?){_NOT_YET}[^\s"',]+"""),
        (True, rf"(?P<keep>\bbearer\s+){_NOT_YET}(?=\S*\d)[\w.~+/=-]{{8,}}"),
        # password=..., "password": "...", password: s3cret-with-digits, --password ..., PASSWORD '...' (SQL)
        (True, rf"(?P<keep>{_NAMES}[\"']?[ \t]*=(?!=)[ \t]*){_NOT_YET}{_VALUE}"),
        (True, rf"(?P<keep>{_NAMES}[\"'][ \t]*:[ \t]*){_NOT_YET}{_VALUE}"),
        (True, rf"(?P<keep>{_NAMES}:[ \t]*){_NOT_YET}(?=[^\s\d]*\d)[^\s\"',;&)}}\]]{{8,}}"),
        (True, rf"(?P<keep>--[\w-]{{0,40}}{_NAMES}[ \t]+){_NOT_YET}{_VALUE}"),
        (True, rf"(?P<keep>\b(?:password|identified by)\s+){_NOT_YET}'[^']*'"),
        # Tokens that are known by their shape: Slack, Slack web hooks, AWS, GitHub, OpenAI and its like, PagerDuty, JWT
        (False, r"\b(?:xoxe\.)?(?:xox[a-z]|xapp)-[A-Za-z0-9-]{6,}"),
        (False, r"(?P<keep>\bhooks\.slack\.com/(?:services|workflows|triggers)/)[\w/-]{8,}"),
        (False, r"\b(?:AKIA|ASIA|AIDA|AROA|ABIA|ACCA)[A-Z0-9]{16}\b"),
        (False, r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,})"),
        (False, r"\bsk-(?=[\w-]*\d)[\w-]{20,}"),
        (False, r"(?<![\w+-])(?:u\+|y_)[\w-]{18}(?![\w-])"),
        (False, r"\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*"),
        (False, r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
    )
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with every given secret, and everything that looks like one, replaced by `[hidden]`.

    Of a secret that is a connection string only the password is hidden: host and database may be read.
    """
    for part in _known(frozenset(secrets)):
        text = text.replace(part, HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(_hide, text)
    return text


@lru_cache(maxsize=4)  # every text that leaves is looked through for the same few secrets
def _known(secrets: frozenset[str]) -> tuple[str, ...]:
    """What is to be hidden, longest first."""
    known = {part for secret in secrets for part in _parts(secret) if len(part) >= _SHORTEST}
    known |= {escape(part, quote=False) for part in known}  # as Slack's markup spells it
    return tuple(sorted(known, key=len, reverse=True))


def _hide(match: re.Match[str]) -> str:
    return (match.groupdict().get("keep") or "") + HIDDEN


def _parts(secret: str) -> Iterator[str]:
    """What must not be seen of a secret, in each spelling in which it may turn up."""
    if "://" in secret:
        yield from _passwords(secret)
        return
    yield secret
    assigned = re.search(r"\bpassword\s*=\s*('(?:[^'\\]|\\.)*'|\S+)", secret)
    if assigned:
        yield re.sub(r"\\(.)", r"\1", assigned[1].strip("'"))


def _passwords(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:  # not an address after all
        yield url
        return
    user, colon, written = parts.netloc.rpartition("@")[0].partition(":")
    found = [unquote(written)] if colon and written != user else []  # a password that is the user name is none
    found += [value for name, value in parse_qsl(parts.query) if re.fullmatch(_NAMES, name, re.IGNORECASE)]
    for password in found:
        yield from {password, quote(password, safe=""), quote(password), written or password}
