"""The environment that the bot is given: what production would give it, with the practice estate behind each name."""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.pagerduty import RUNG_IDS, SERVICE_ID

# Taken from our own environment: what any program needs, nothing that leads to a real platform.
INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TERM", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "SSL_CERT_FILE")
# Port 9 of this machine, "discard": nobody listens, so what is not part of the practice estate fails at once.
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Secrets:
    """The tokens of the ValueCanvas application."""

    api_token: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    admin_token: str = field(default_factory=lambda: secrets.token_urlsafe(18))


@dataclass(frozen=True)
class Addresses:
    """Where everything of the practice estate answers. Empty strings for what is not part of it."""

    slack: str
    pagerduty: str
    bot_http: str
    app: str = ""
    primary: str = ""
    database: str = ""
    replica: str = ""
    redis: str = ""
    redis_replica: str = ""
    aws: str = ""
    kubeconfig: str = ""
    dr: str = ""
    resolvers: str = ""
    code: str = ""
    programs: str = ""


def bot_environment(
    at: Addresses,
    *,
    slack: dict[str, str],
    pagerduty_key: str,
    webhook_secret: str,
    tokens: Secrets,
    data: Path,
    estate: Path,
    seconds_per_minute: float,
) -> dict[str, str]:
    """Every variable of the bot's outside interface. `slack`: the tokens of the chosen way in."""
    dead = "postgresql://nobody@127.0.0.1:9/none"
    return slack | {
        "SLACK_API_URL": f"{at.slack}/api/",
        "SLACK_ANNOUNCE_CHANNEL": "C0INCIDENTS",
        "SLACK_STATUS_CHANNEL": "C0STATUS",
        "SLACK_RESPONDERS": "S0RESPOND",
        "SLACK_APPROVERS": "S0APPROVE",
        "PAGERDUTY_API_KEY": pagerduty_key,
        "PAGERDUTY_FROM": "ana@valuecanvas.example",
        "PAGERDUTY_API_URL": at.pagerduty,
        "PAGERDUTY_WEBHOOK_SECRET": webhook_secret,
        "PAGERDUTY_SERVICE": SERVICE_ID,
        **{f"PAGERDUTY_RUNG_{n}": policy for n, policy in enumerate(RUNG_IDS, start=1)},
        "BOT_HTTP": at.bot_http,
        "BOT_DATA_DIR": str(data),
        "BOT_ESTATE": str(estate),
        "BOT_SECONDS_PER_MINUTE": f"{seconds_per_minute:g}",
        "API_URL": at.app or NOWHERE,
        # Its name stays with the primary site: only the API's is led to the disaster recovery site.
        "SITE_URL": at.primary or NOWHERE,
        "PRIMARY_URL": at.primary or NOWHERE,
        "API_TOKEN": tokens.api_token,
        "ADMIN_TOKEN": tokens.admin_token,
        "DATABASE_URL": at.database or dead,
        "REPLICA_DATABASE_URL": at.replica,
        "REDIS_URL": at.redis or "redis://127.0.0.1:9/0",
        "REPLICA_REDIS_URL": at.redis_replica,
        "BACKUP_BUCKET": "valuecanvas-backups",
        "EVIDENCE_BUCKET": "valuecanvas-evidence",
        "HOSTED_ZONE_ID": "Z0PRACTICE",
        "DR_SITE_IP": "127.0.0.2" if at.resolvers else "",
        "DR_URL": at.dr or NOWHERE,
        "DNS_RESOLVERS": at.resolvers or "127.0.0.1:9",
        "TOGETHER_STATUS_URL": f"{at.slack}/vendors/together/api/v2/status.json",
        "OPENAI_STATUS_URL": f"{at.slack}/vendors/openai/api/v2/status.json",
        "TOGETHER_API_URL": f"{at.slack}/vendors/together/v1/models",
        "OPENAI_API_URL": f"{at.slack}/vendors/openai/v1/models",
        "AWS_STATUS_URL": f"{at.slack}/vendors/aws/",
        "INFRASTRUCTURE_REPOSITORY": at.code or str(data.parent / "infrastructure.git"),
        **({"PATH": f"{at.programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"} if at.programs else {}),
        # A file that is not there is a cluster that cannot be reached; without a name the person's own would be read.
        "KUBECONFIG": at.kubeconfig or str(data.parent / "no-cluster"),
        "AWS_ENDPOINT_URL": at.aws or NOWHERE,
        "AWS_ACCESS_KEY_ID": "practice",
        "AWS_SECRET_ACCESS_KEY": "practice",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def around(environment: dict[str, str], home: Path) -> dict[str, str]:
    """The whole environment of the bot's process: the bot's own, and as little else as a program can live with.

    The person's home, cloud credentials and cluster configuration stay out, so that practice never reaches them.
    """
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    fenced = {"HOME": str(home), "PYTHONUNBUFFERED": "1"}
    return inherited | fenced | environment


def write(environment: dict[str, str], path: Path) -> None:
    """Write KEY=VALUE lines, readable by this user alone."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in sorted(environment.items()))
