"""What recovery works on: databases, backups, cluster, caches, LLM providers, DNS, infrastructure, secrets, drills.

Every section is optional: an action whose section is missing says so and is not offered.
"""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, SecretStr, model_validator

from bot.estate_types import (
    Duration,
    MaybeSecret,
    MaybeText,
    MaybeUrl,
    Part,
    Slug,
    Text,
    Texts,
    Url,
    UrlOrBlank,
    parse_duration,
)


class Omittable(Part):
    """An entry that `optional: true` lets disappear when the variable behind its `url` is empty."""

    optional: bool = Field(default=False, description="leave this entry out when its url is empty")

    def is_blank(self) -> bool:
        """Whether the entry has no address at all."""
        url: object = getattr(self, "url", None)
        return not (url.get_secret_value() if isinstance(url, SecretStr) else url)

    @model_validator(mode="after")
    def _blank_only_if_optional(self) -> Self:
        if self.is_blank() and not self.optional:
            raise ValueError("`url` is empty; an address, or `optional: true` to leave the entry out")
        return self


Entry = TypeVar("Entry", bound=Omittable)


def present(items: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Without the optional entries whose address is empty."""
    return tuple(item for item in items if not item.is_blank())


class Application(Part):
    """The application itself, as its own API shows it."""

    url: Url = Field(description="the API's address, http:// or https://, without a path")
    site: MaybeUrl = Field(default=None, description="the public site's address, looked at from outside")
    token: MaybeSecret = Field(default=None, description="bearer token for ordinary calls")
    admin_token: MaybeSecret = Field(default=None, description="bearer token for administrative calls")
    health: Text = Field(default="/health/ready", description="path of the health endpoint")
    warmup: Text = Field(default="/api/admin/cache/warmup", description="path that warms the cache up (POST)")


class Provider(Part):
    """One LLM provider, in the order in which the application tries them."""

    name: Slug
    title: Text
    status: Url = Field(description="address of its Statuspage v2 status.json")
    probe: MaybeUrl = Field(default=None, description="address of its API that is asked directly, such as /v1/models")
    key: MaybeSecret = Field(
        default=None, description="API key for `probe`; without one any answer below 500 shows that the API is there"
    )


class Llm(Part):
    """How the application's LLM service is looked at and reset: paths below the application's address."""

    health: Text = Field(default="/api/llm/health", description="path of the circuit breaker's state")
    stats: Text = Field(default="/api/llm/stats", description="path of the breaker's statistics")
    chat: Text = Field(default="/api/llm/chat", description="path of a real request (POST)")
    reset: Text = Field(default="/api/llm/reset", description="path that resets the breaker (POST, administrative)")
    model: Text = Field(description="model asked in a test request")
    providers: tuple[Provider, ...] = Field(description="the normal provider first, then the fallbacks")
    success_log: Text = Field(default="call succeeded", description="log text that proves a successful call")


class Server(Omittable):
    """One database server. The connection string goes to psycopg as it is."""

    name: Slug
    url: SecretStr = Field(description="a connection string as libpq takes it")


class Sanity(Part):
    """A question a restored database must answer before it may be used."""

    table: Text = Field(description="table whose rows are counted")
    at_least: int = Field(default=1, ge=0, description="a whole number: the fewest rows it may have")


class Consumer(Part):
    """Where the application reads the connection string from."""

    deployment: Slug
    variable: Text = Field(default="DATABASE_URL", description="environment variable of the deployment")
    secret: MaybeText = Field(
        default=None, description="Kubernetes Secret that holds it; empty = set on the deployment"
    )


class Database(Part):
    """One database with its standbys."""

    name: Slug
    title: Text
    service: Slug = Field(description="name of a service of this file")
    provider: Literal["postgres", "supabase"] = "postgres"
    support: MaybeText = Field(default=None, description="name of the vendor who fails a managed database over")
    primary: Server
    standbys: Annotated[tuple[Server, ...], AfterValidator(present)] = ()
    application: Consumer
    sanity: tuple[Sanity, ...] = ()
    sessions: MaybeText = Field(default=None, description="table of the signed-in sessions")
    users: Texts = Field(default=(), description="database users that are expected to be connected")
    backup: Slug | None = Field(default=None, description="name of a backup of this file")
    practice: Text = Field(default="dr_test", description="name of the database a drill restores into")


class Backup(Part):
    """Where one kind of data is kept safe."""

    name: Slug
    title: Text
    where: Text = Field(description="in words, for people")
    bucket: MaybeText = Field(default=None, description="S3 bucket, when the bot can read it")
    prefix: str = Field(default="", description="what the keys begin with")
    checksum: str = Field(default=".sha256", description="what the name of a checksum file ends with")
    retention: Duration | None = None


class Buckets(Part):
    """Buckets that the bot itself writes to."""

    evidence: MaybeText = Field(default=None, description="S3 bucket for evidence of security incidents")


class Workload(Part):
    """A deployment or stateful set of the cluster."""

    name: Slug
    service: Slug = Field(description="name of a service of this file")
    selector: Text = Field(description="label selector of its pods, such as app=redis")
    replicas: int | None = Field(default=None, ge=0, description="a whole number: replicas in normal times")


class Cluster(Part):
    """The Kubernetes cluster; how to reach it comes from KUBECONFIG or from inside the cluster."""

    namespace: Slug
    deployments: tuple[Workload, ...] = ()
    statefulsets: tuple[Workload, ...] = ()
    rollout_within: Duration = Field(default=parse_duration("5m"), description="how long a rollout may take: 5m")
    drain_within: Duration = Field(
        default=parse_duration("10m"),
        description="how long a node may take to be empty, disruption budgets included: 10m",
    )
    node_within: Duration = Field(
        default=parse_duration("10m"), description="how long a new node may take to join: 10m"
    )


class CacheServer(Omittable):
    """A Redis that follows the cache's own one."""

    name: Slug
    url: SecretStr = Field(description="an address as redis-py takes it: redis://host:6379/0")


class CacheConsumer(Consumer):
    """Where the application reads the cache's address from."""

    variable: Text = Field(default="REDIS_URL", description="environment variable of the deployment")


class Sentinel(Part):
    """The Sentinels that choose the primary."""

    master: Text = Field(description="what they call the primary, such as mymaster")
    urls: tuple[SecretStr, ...] = Field(min_length=1, description="addresses of Sentinels: redis://host:26379")


class Cache(Part):
    """One Redis."""

    name: Slug
    service: Slug = Field(description="name of a service of this file")
    url: SecretStr = Field(min_length=1, description="an address as redis-py takes it: redis://host:6379/0")
    statefulset: MaybeText = Field(default=None, description="stateful set that runs it")
    raised_maxmemory: Text = Field(default="4gb", description="maxmemory while providers are down")
    raised_policy: Text = Field(default="allkeys-lru", description="maxmemory-policy while providers are down")
    replicas: Annotated[tuple[CacheServer, ...], AfterValidator(present)] = ()
    sentinel: Sentinel | None = Field(default=None, description="who fails it over, where Sentinels do")
    application: CacheConsumer | None = Field(default=None, description="where failover sends the application")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [self.name, *(replica.name for replica in self.replicas)]
        if len(names) != len(set(names)):
            raise ValueError("a replica has a name that is taken; another name for it")
        return self


class Record(Part):
    """A DNS record that is moved to the disaster recovery site."""

    name: Text
    type: Literal["A", "AAAA", "CNAME"] = "A"
    ttl: int = Field(default=60, ge=1, description="a whole number of seconds")
    failover: Texts = Field(description="addresses of the disaster recovery site")


class Dns(Part):
    """DNS: what is watched, and what failover changes."""

    zone: MaybeText = Field(default=None, description="Route 53 hosted zone id")
    records: tuple[Record, ...] = ()
    watch: Texts = Field(default=(), description="names that must resolve")
    resolvers: Texts = Field(default=(), description="host:port of the resolvers to ask; empty = the machine's own")
    site: MaybeUrl = Field(default=None, description="address of the disaster recovery site")


class Region(Omittable):
    """One region that the platform runs in, looked at from outside."""

    title: Text
    url: UrlOrBlank
    health: Text = Field(default="/health/ready", description="path of its health endpoint")


class Infrastructure(Part):
    """Infrastructure as code, for a rebuild."""

    repository: Text = Field(description="git address")
    commit: MaybeText = Field(default=None, description="commit to build from; empty = asked when the plan is made")
    terraform: Text = Field(default="terraform", description="folder of the Terraform code")
    manifests: Text = Field(description="folder of the Kubernetes manifests")
    restore: MaybeText = Field(default=None, description="name of the database that is restored afterwards")


class Audit(Part):
    """How audit logging is switched on."""

    deployment: Slug
    variable: Text = "AUDIT_LOG_LEVEL"
    value: Text = "debug"


class Notice(Part):
    """A duty to tell somebody about a breach."""

    name: Slug
    title: Text
    within: Duration | None = Field(default=None, description="from awareness: 72h; empty = without unreasonable delay")


class Security(Part):
    """What containment and evidence work on."""

    secrets: Texts = Field(default=(), description="ids of the secrets to rotate, in AWS Secrets Manager")
    selector: Text = Field(description="label selector of the pods to protect, such as app=api-server")
    restarts: Texts = Field(default=(), description="deployments that read the secrets; empty = the one of `audit`")
    own: Texts = Field(
        default=(), description="addresses that are never blocked, as CIDR: offices, gateways, balancers"
    )
    audit: Audit | None = None
    logs_since: Duration = Field(default=parse_duration("24h"), description="how far back evidence goes: 24h")
    notices: tuple[Notice, ...] = ()


class StatusPage(Omittable):
    """Somebody else's status page."""

    name: Slug
    title: Text
    url: UrlOrBlank
    kind: Literal["statuspage", "page"] = Field(default="statuspage", description="a status.json, or a page for people")


class Drill(Part):
    """A rehearsal that is scored against the objectives."""

    name: Slug
    title: Text
    service: Slug = Field(description="name of a service of this file, whose RTO is the target")
    target: Text = Field(description="what the drill works on, never production")
    check: MaybeUrl = Field(default=None, description="address that must answer at the end")


class Drills(Part):
    """The quarterly rehearsals."""

    schedule: Text = Field(default="0 9 * 1,4,7,10 1#1", description="cron: the first Monday of each quarter at nine")
    timezone: Text = Field(default="UTC", description="such as Europe/Berlin")
    tests: tuple[Drill, ...] = ()
