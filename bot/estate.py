"""The estate: the platform being looked after, as one typed file says it. `load` reads it, `schema` helps editors.

Who is told and when stands here; what recovery works on stands in `bot.estate_places`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, SecretStr, model_validator

from bot import estate_file
from bot.estate_file import EstateError
from bot.estate_places import (
    Application,
    Backup,
    Buckets,
    Cache,
    Cluster,
    Database,
    Dns,
    Drills,
    Infrastructure,
    Llm,
    Omittable,
    Region,
    Security,
    StatusPage,
    present,
)
from bot.estate_types import (
    ChannelId,
    Duration,
    MaybeText,
    MaybeUserId,
    Members,
    PageTargets,
    Part,
    Priority,
    Scenario,
    Severity,
    Slug,
    Text,
    Texts,
    UrlOrBlank,
    UserIds,
    format_duration,
    parse_duration,
)

__all__ = ["Estate", "EstateError", "describe", "load", "schema"]


class Service(Part):
    """A service with its recovery time objective."""

    name: Slug
    title: Text
    rto: Duration
    priority: Priority
    scenario: Scenario = Field(default="other", description="the runbook's scenario when this service is down")
    keywords: Texts = Field(default=(), description="words by which the service is recognised in what people type")


class DataSet(Part):
    """A kind of data with its recovery point objective."""

    name: Slug
    title: Text
    rpo: Duration
    backup: Text = Field(description="how it is backed up, in words")


class RungSpec(Part):
    """One level of escalation, due at a fixed time after the declaration."""

    level: int = Field(ge=1, description="a whole number: 1, 2, 3 ...")
    title: Text = Field(description="who is called, as people say it")
    after: Duration = Field(description="time after the declaration: 0, 15m, 1h")
    pagerduty: PageTargets = ()
    slack: UserIds = ()
    contacts: Texts = Field(default=(), description="names of contacts of this file")
    why: Text = Field(description="said in the room when the rung is reached")


class Contact(Part):
    """A person or rota, for the second way out when PagerDuty is silent."""

    name: Slug
    title: Text
    phone: Text
    slack: MaybeUserId = None
    email: MaybeText = None


class Vendor(Part):
    """Somebody outside who can help."""

    name: Text
    phone: MaybeText = None
    email: MaybeText = None
    note: MaybeText = None

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not (self.phone or self.email):
            raise ValueError("this vendor cannot be reached; `phone` or `email`")
        return self


class SlackPlaces(Part):
    """Where in Slack, and who may."""

    announce: ChannelId
    status: ChannelId
    responders: Members
    approvers: Members


class PagerDutyPlaces(Part):
    """Where in PagerDuty."""

    service: Text = Field(description="id of the PagerDuty service, such as PIJ90N7")


class IncidentRules(Part):
    """How incidents are led."""

    private_scenarios: tuple[Scenario, ...] = ("security",)
    archive_on_close: bool = False
    similar_within: Duration = parse_duration("30m")
    assess_every: Duration = parse_duration("30s")
    proof_within: Duration = parse_duration("60s")
    ack_timeout: Duration = parse_duration("30m")
    report_due: Duration = parse_duration("24h")
    postmortem_due: Duration = parse_duration("48h")


class Quorum(Part):
    """Who approves a plan of one risk."""

    quorum: int = Field(ge=0, le=5, description="a whole number: how many people must approve")
    group: Literal["responders", "approvers"]
    requester: bool = Field(default=False, description="whether the requester counts")


class Approvals(Part):
    """Approval per risk, and its clocks."""

    observe: Quorum = Quorum(quorum=0, group="responders", requester=True)
    low: Quorum = Quorum(quorum=1, group="responders", requester=True)
    high: Quorum = Quorum(quorum=1, group="approvers")
    critical: Quorum = Quorum(quorum=2, group="approvers")
    expiry: Duration = parse_duration("10m")
    break_glass_after: Duration = parse_duration("3m")
    break_glass_severities: tuple[Severity, ...] = ("P0", "P1")

    @model_validator(mode="after")
    def _another_person(self) -> Self:
        for risk in (self.high, self.critical):
            if risk.quorum < 1 or risk.requester:
                raise ValueError(
                    "`high` or `critical` needs no second person; a quorum of 1 or more and no `requester: true`"
                )
        return self


class ProbeSpec(Omittable):
    """One read-only check with a deadline."""

    name: Slug
    title: Text
    service: Slug = Field(description="name of a service of this file")
    scenario: Scenario = Field(description="the runbook's scenario that a bad reading speaks for")
    deadline: Duration = parse_duration("5s")


class HttpProbe(ProbeSpec):
    """GET of an address."""

    kind: Literal["http"]
    url: UrlOrBlank
    expect_status: int = Field(default=200, ge=100, le=599, description="a whole number: the status of a good answer")
    expect: dict[str, str | int | bool] = Field(
        default={}, description="fields of the JSON answer: dotted path to the value of a good answer"
    )
    bad_when: dict[str, tuple[str | int | bool, ...]] = Field(
        default={}, description="fields of the JSON answer: dotted path to the values of a bad one; absent is not bad"
    )


class PostgresProbe(ProbeSpec):
    """A connection and a few questions; the connection string goes to psycopg as it is."""

    kind: Literal["postgres"]
    url: SecretStr = Field(description="a connection string as libpq takes it")
    role: Literal["primary", "standby"] = "primary"
    max_lag: Duration = Field(default=parse_duration("5s"), description="replication lag that is still good: 5s")


class RedisProbe(ProbeSpec):
    """PING; the address goes to redis-py as it is."""

    kind: Literal["redis"]
    url: SecretStr = Field(description="an address as redis-py takes it: redis://host:6379/0")
    role: Literal["primary", "standby"] = "primary"


class KubernetesProbe(ProbeSpec):
    """Pods and services of one namespace; left out where no cluster is configured."""

    kind: Literal["kubernetes"]
    namespace: Slug

    def is_blank(self) -> bool:
        return False


Probe = Annotated[HttpProbe | PostgresProbe | RedisProbe | KubernetesProbe, Field(discriminator="kind")]


class Link(Omittable):
    """A bookmark of the room."""

    title: Text
    url: UrlOrBlank
    emoji: Text = Field(default=":link:", pattern=r"^:[a-z0-9_+-]+:$", description="a Slack emoji such as :bar_chart:")


class Estate(Part):
    """The whole file."""

    name: Text = Field(description="the platform, as people call it")
    slack: SlackPlaces
    pagerduty: PagerDutyPlaces
    services: tuple[Service, ...] = Field(min_length=1)
    data: tuple[DataSet, ...] = ()
    ladder: tuple[RungSpec, ...] = Field(min_length=1)
    contacts: tuple[Contact, ...] = ()
    vendors: tuple[Vendor, ...] = ()
    incident: IncidentRules = IncidentRules()
    approvals: Approvals = Approvals()
    probes: Annotated[tuple[Probe, ...], AfterValidator(present)] = ()
    links: Annotated[tuple[Link, ...], AfterValidator(present)] = ()
    application: Application | None = None
    llm: Llm | None = None
    databases: tuple[Database, ...] = ()
    backups: tuple[Backup, ...] = ()
    buckets: Buckets = Buckets()
    cluster: Cluster | None = None
    caches: tuple[Cache, ...] = ()
    dns: Dns | None = None
    regions: Annotated[tuple[Region, ...], AfterValidator(present)] = ()
    infrastructure: Infrastructure | None = None
    security: Security | None = None
    status_pages: Annotated[tuple[StatusPage, ...], AfterValidator(present)] = ()
    drills: Drills = Drills()

    def service(self, name: str) -> Service:
        """The service of that name; KeyError when there is none."""
        return {service.name: service for service in self.services}[name]

    def contact(self, name: str) -> Contact:
        """The contact of that name; KeyError when there is none."""
        return {contact.name: contact for contact in self.contacts}[name]

    def secrets(self) -> frozenset[str]:
        """Every token and connection string of the file, for `bot.redact`."""
        return frozenset(_secrets(self))


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        if value.get_secret_value():
            yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _secrets(item)


def load(path: Path, environ: Mapping[str, str]) -> Estate:
    """Read the estate file, filling `${NAME}` from `environ`; EstateError names every problem with its line."""
    return estate_file.read(path, environ, Estate)


def schema() -> dict[str, Any]:
    """The JSON schema of the file, for editors. `${NAME}` is accepted wherever a value is."""
    return estate_file.editor_schema(Estate)


def describe(estate: Estate) -> str:
    """The estate in a few lines for a person at a terminal, without any secret."""
    standbys = sum(len(database.standbys) for database in estate.databases)
    size = f"{len(estate.services)} services, {len(estate.data)} kinds of data, {len(estate.databases)} databases"
    who = f"responders {', '.join(estate.slack.responders)}; approvers {', '.join(estate.slack.approvers)}"
    lines = [
        f"{estate.name}: {size} with {standbys} standbys, {len(estate.drills.tests)} drills",
        "",
        "RTO      " + ", ".join(f"{s.title} {format_duration(s.rto)} ({s.priority})" for s in estate.services),
        "RPO      " + ", ".join(f"{d.title} {format_duration(d.rpo)}" for d in estate.data),
        *(_describe_rung(rung) for rung in estate.ladder),
        "probes   " + ", ".join(f"{p.title} ({p.kind}, {format_duration(p.deadline)})" for p in estate.probes),
        f"Slack    announces in {estate.slack.announce}, status in {estate.slack.status}; {who}",
        f"paging   PagerDuty service {estate.pagerduty.service}",
    ]
    return "\n".join(lines)


def _describe_rung(rung: RungSpec) -> str:
    pages = ", ".join(rung.pagerduty) or "nobody through PagerDuty"
    others = f"; by hand: {', '.join(rung.contacts)}" if rung.contacts else ""
    return f"rung {rung.level}   after {format_duration(rung.after)}: {rung.title}, pages {pages}{others}"
