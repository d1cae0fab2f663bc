"""Appendix C: the last lines of the pods that look like errors, as `kubectl logs -l … --since=1h | grep ERROR`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from pydantic import Field, field_validator

from actions.rollouts import cluster_of
from bot.action import Finding, Findings, Observation, Tools
from bot.clock import spoken
from bot.errors import NotFound
from bot.estate import Estate
from bot.incident import Scenario
from bot.redact import redact
from bot.tools import LogLine

MOST, LONGEST = 30, 200
MOST_WORDS = 10
LONGEST_SINCE = timedelta(days=7)


class Errors(Observation):
    """Show the last lines that the pods wrote about errors."""

    name: ClassVar[str] = "logs.errors"
    scenario: ClassVar[Scenario] = Scenario.KUBERNETES
    usual: ClassVar[timedelta] = timedelta(seconds=10)
    service: ClassVar[str] = "api"
    within: ClassVar[timedelta] = timedelta(seconds=60)
    """The logs of many pods are read to their end."""

    selector: str = Field(
        default="", max_length=200, description="label selector of the pods; the estate's application when left out"
    )
    since: timedelta = Field(default=timedelta(hours=1), gt=timedelta(0), le=LONGEST_SINCE, description="how far back")
    pattern: str = Field(
        default="ERROR", min_length=1, max_length=200,
        description="what a line has in it, as it is written; `|` between several, such as ERROR|FATAL",
    )  # fmt: skip

    @field_validator("pattern")
    @classmethod
    def _words(cls, value: str) -> str:
        if not 1 <= len(words_of(value)) <= MOST_WORDS:
            raise ValueError(f"between 1 and {MOST_WORDS} words, with `|` between them")
        return value

    async def look(self, tools: Tools) -> Findings:
        namespace, selector = cluster_of(tools.estate).namespace, self.selector or selector_of(tools.estate)
        words, span = words_of(self.pattern), spoken(self.since)
        pods = await tools.cluster.pods(namespace, selector)
        if not pods:
            raise NotFound(f"No pod in {namespace} has the labels `{selector}`.")
        found = await tools.cluster.logs(namespace, selector, since=self.since, contains=words, most=MOST + 1)
        return findings(found, words, f"the last {span}", _looked(selector, len(pods)), tools.estate)


def findings(found: Sequence[LogLine], words: Sequence[str], span: str, looked: str, estate: Estate) -> Findings:
    """The lines as they are shown, newest first: a card that is too long is cut at its end. A line without any of the words
    says that a log could not be read."""
    hits = [one for one in found if any(word in one.text for word in words)]
    # Before they are cut: half a secret is recognised by nobody.
    shown = [f"{one.pod}: {cut(redact(one.text, estate.secrets()))}" for one in reversed(hits[-MOST:])]
    unread = [f"unknown: {one.pod}: {cut(redact(one.text, estate.secrets()))}" for one in found if one not in hits]
    wanted = " or ".join(words)
    many = f"the newest {MOST} lines" if len(hits) > MOST else f"{len(hits)} line{'s' * (len(hits) != 1)}"
    headline = f"{many} with {wanted} in {span}, newest first" if hits else f"No line with {wanted} in {span}"
    headline += ", as far as the logs could be read" if unread else ""
    return Findings(headline, [Finding(f"looked at: {looked}"), *map(Finding, (*unread, *shown))])


def _looked(selector: str, pods: int) -> str:
    return f"{pods} pod{'s' * (pods != 1)} with {selector}"


def selector_of(estate: Estate) -> str:
    """That of the application's deployment. Raises NotFound."""
    deployments = cluster_of(estate).deployments
    if not deployments:
        raise NotFound("The estate file names no deployment: say which pods with `selector=`.")
    return next((d for d in deployments if d.service == "api"), deployments[0]).selector


def words_of(pattern: str) -> tuple[str, ...]:
    """The words of a pattern. They are plain text, so that no line can make the search slow."""
    return tuple(dict.fromkeys(word.strip() for word in pattern.split("|") if word.strip()))


def cut(text: str) -> str:
    """A line as it is shown."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]} …"
