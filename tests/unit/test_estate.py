"""The shipped estate is the runbook's, and a file that is wrong says where and what was expected."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import redis
import yaml
from psycopg.conninfo import conninfo_to_dict
from pydantic import ValidationError

from bot.estate import (
    Estate,
    EstateError,
    HttpProbe,
    KubernetesProbe,
    PostgresProbe,
    RedisProbe,
    describe,
    load,
    schema,
)
from bot.estate_yaml import variables
from bot.redact import redact

_ROOT = Path(__file__).parents[2]
_SHIPPED = _ROOT / "estate.yml"
_ENVIRONMENT: Mapping[str, str] = {
    "SLACK_ANNOUNCE_CHANNEL": "C0INCIDENTS",
    "SLACK_STATUS_CHANNEL": "C0STATUS",
    "SLACK_RESPONDERS": "S0RESPOND",
    "SLACK_APPROVERS": "U0CHLOE, U0DEV,U0EVA",
    "PAGERDUTY_SERVICE": "PSERVICE",
    "PAGERDUTY_RUNG_1": "PONCALL",
    "PAGERDUTY_RUNG_2": "PMANAGER",
    "PAGERDUTY_RUNG_3": "PCTO,PINFRA",
    "PAGERDUTY_RUNG_4": "",
    "DATABASE_URL": "postgresql://app:p%40ss%2Fw%3Ard@db.internal:5432/valuecanvas?sslmode=require",
    "REDIS_URL": "redis://:r%40dis@cache.internal:6379/0",
}
# The rest of what an installation may set, all with a default.
_OPTIONAL = {
    "API_URL", "API_TOKEN", "ADMIN_TOKEN", "REPLICA_DATABASE_URL", "BACKUP_BUCKET", "EVIDENCE_BUCKET", "HOSTED_ZONE_ID",
    "DR_SITE_IP", "DR_URL", "DNS_RESOLVERS", "TOGETHER_STATUS_URL", "OPENAI_STATUS_URL", "AWS_STATUS_URL",
    "INFRASTRUCTURE_REPOSITORY",
}  # fmt: skip


def _shipped(**environ: str) -> Estate:
    return load(_SHIPPED, {**_ENVIRONMENT, **environ})


def test_the_objectives_are_the_runbooks() -> None:
    """RTO, priority and RPO of every service and kind of data are the runbook's figures."""
    estate = _shipped()
    assert [(s.title, s.rto, s.priority) for s in estate.services] == [
        ("Database", timedelta(minutes=5), "P0"),
        ("API Services", timedelta(minutes=10), "P0"),
        ("LLM Services", timedelta(minutes=15), "P1"),
        ("Redis Cache", timedelta(minutes=5), "P1"),
        ("Frontend", timedelta(minutes=10), "P2"),
        ("Monitoring", timedelta(minutes=30), "P2"),
    ]
    assert [(d.title, d.rpo, d.backup) for d in estate.data] == [
        ("User Data", timedelta(hours=1), "Continuous (WAL)"),
        ("Canvas Data", timedelta(hours=1), "Continuous (WAL)"),
        ("LLM Usage Logs", timedelta(hours=24), "Daily"),
        ("System Logs", timedelta(hours=1), "Real-time streaming"),
        ("Configuration", timedelta(), "Git commits (version controlled)"),
    ]


def test_the_escalation_path_is_the_runbooks() -> None:
    """Four rungs at 0, 15, 30 and 60 minutes, with the people the runbook names."""
    ladder = _shipped().ladder
    assert [(r.level, r.title, r.after / timedelta(minutes=1)) for r in ladder] == [
        (1, "On-Call Engineer", 0),
        (2, "Engineering Manager", 15),
        (3, "CTO + Infrastructure Team", 30),
        (4, "CEO + All Hands", 60),
    ]
    assert [r.pagerduty for r in ladder] == [("PONCALL",), ("PMANAGER",), ("PCTO", "PINFRA"), ()]
    assert all(r.why for r in ladder)


def test_contacts_vendors_backups_and_dashboards_are_the_runbooks() -> None:
    """Every number and address of the runbook's lists stands in the file."""
    estate = _shipped()
    assert {c.title for c in estate.contacts} >= {"Primary On-Call", "Secondary On-Call", "Engineering Manager", "CTO"}
    assert {c.phone for c in estate.contacts} == {"+1-XXX-XXX-XXXX"}
    assert [(v.name, v.phone or v.email) for v in estate.vendors] == [
        ("AWS Support", "1-866-947-7829"),
        ("Supabase Support", "support@supabase.io"),
        ("Together.ai Support", "support@together.ai"),
        ("OpenAI Support", "support@openai.com"),
    ]
    assert {b.where for b in estate.backups} >= {"s3://valuecanvas-backups/backups/", "AWS Secrets Manager"}
    assert [link.url for link in estate.links][:3] == [
        f"https://grafana.valuecanvas.com/d/{name}" for name in ("system-health", "llm-metrics", "cost-tracking")
    ]
    assert estate.cluster is not None
    assert estate.cluster.namespace == "production"
    assert [w.name for w in (*estate.cluster.deployments, *estate.cluster.statefulsets)] == [
        "api-server",
        "frontend",
        "redis",
    ]


def test_the_rules_are_the_designs() -> None:
    """The clocks and quorums that the design fixes."""
    estate = _shipped()
    rules = estate.incident
    assert rules.private_scenarios == ("security",)
    assert not rules.archive_on_close
    assert [rules.similar_within, rules.ack_timeout] == [timedelta(minutes=30)] * 2
    assert (rules.assess_every, rules.proof_within) == (timedelta(seconds=30), timedelta(seconds=60))
    assert (rules.report_due, rules.postmortem_due) == (timedelta(hours=24), timedelta(hours=48))
    approvals = estate.approvals
    assert [approvals.observe.quorum, approvals.low.quorum, approvals.high.quorum, approvals.critical.quorum] == [
        0,
        1,
        1,
        2,
    ]
    assert [approvals.low.requester, approvals.high.requester, approvals.critical.requester] == [True, False, False]
    assert (approvals.expiry, approvals.break_glass_after) == (timedelta(minutes=10), timedelta(minutes=3))


def test_the_first_assessment_probes_all_that_is_configured() -> None:
    """API, LLM, Postgres, Redis and the cluster, 5 s each; the replica only when there is one."""
    assert [p.name for p in _shipped().probes] == [
        "api-health", "llm-health", "postgres-primary", "redis", "cluster",
    ]  # fmt: skip
    probes = _shipped(API_URL="http://127.0.0.1:8000/", REPLICA_DATABASE_URL="host=replica").probes
    kinds = [HttpProbe, HttpProbe, PostgresProbe, PostgresProbe, RedisProbe, KubernetesProbe]
    assert [type(p) for p in probes] == kinds
    assert {p.deadline for p in probes} == {timedelta(seconds=5)}
    assert isinstance(probes[0], HttpProbe)
    assert probes[0].url == "http://127.0.0.1:8000/health/ready"
    assert isinstance(probes[3], PostgresProbe)
    assert (probes[3].role, probes[3].url.get_secret_value()) == ("standby", "host=replica")


def test_the_variables_are_the_documented_ones() -> None:
    """Only what differs per installation and cannot be guessed must be set; everything else has a default."""
    asked = variables(_SHIPPED.read_text())
    assert {name for name, default in asked.items() if default is None} - {"NAME"} == set(_ENVIRONMENT)
    assert asked.keys() >= _OPTIONAL
    guide = (_ROOT / "docs" / "estate.md").read_text()
    assert [name for name in asked if f"`{name}`" not in guide and name != "NAME"] == []


def test_escaped_passwords_reach_the_clients_as_they_are() -> None:
    """The file and its variables change nothing in a connection string: psycopg and redis-py read the password."""
    estate = _shipped()
    postgres, cache = estate.probes[2], estate.probes[3]
    assert isinstance(postgres, PostgresProbe)
    assert isinstance(cache, RedisProbe)
    parsed = conninfo_to_dict(postgres.url.get_secret_value())
    assert (parsed["password"], parsed["sslmode"]) == ("p@ss/w:rd", "require")
    assert redis.connection.parse_url(cache.url.get_secret_value())["password"] == "r@dis"  # type: ignore[no-untyped-call]
    for text in ("host=db password='it''s # 100% ${SAFE} \\' : [a]' dbname=x", "postgresql://a:%24%7B@h1,h2:5433/d"):
        again = _shipped(DATABASE_URL=text).probes[2]
        assert isinstance(again, PostgresProbe)
        assert again.url.get_secret_value() == text


def test_no_secret_is_printed() -> None:
    """Neither repr nor description nor an error shows a password or token, and `secrets` knows them all."""
    estate = _shipped(API_TOKEN="tok-en-value", ADMIN_TOKEN="adm-in-value")
    shown = repr(estate) + describe(estate) + estate.model_dump_json()
    for secret in ("p%40ss%2Fw%3Ard", "p@ss/w:rd", "r%40dis", "tok-en-value", "adm-in-value"):
        assert secret not in shown
        assert secret not in redact(f"<{secret}>", estate.secrets())
    with pytest.raises(EstateError) as caught:
        _shipped(SLACK_STATUS_CHANNEL="xoxb-oops")
    assert "xoxb-oops" not in str(caught.value)
    assert "${SLACK_STATUS_CHANNEL}" in str(caught.value)


def test_the_estate_is_frozen() -> None:
    """Nobody changes the estate after it is read, and it can be a key."""
    estate = _shipped()
    with pytest.raises(ValidationError):
        estate.services[0].rto = timedelta()
    assert estate.service("redis").title == "Redis Cache"
    assert estate.contact("cto").title == "CTO"


def test_the_description_names_what_counts() -> None:
    """The check's summary shows objectives, ladder and probes."""
    text = describe(_shipped())
    assert text.startswith("ValueCanvas: 6 services, 5 kinds of data, 1 databases with 0 standbys, 3 drills\n")
    assert "Database 5m (P0)" in text
    assert "LLM Usage Logs 24h" in text
    assert "rung 2   after 15m: Engineering Manager, pages PMANAGER; by hand: engineering-manager" in text
    assert "rung 4   after 1h: CEO + All Hands, pages nobody through PagerDuty" in text


def test_the_published_schema_is_the_models() -> None:
    """docs/estate.schema.json is what `schema()` says; write it anew with `recovery-bot estate schema`."""
    assert json.loads((_ROOT / "docs" / "estate.schema.json").read_text()) == schema()
    assert _SHIPPED.read_text().startswith("# yaml-language-server: $schema=docs/estate.schema.json\n")


def test_an_editor_accepts_the_shipped_file_and_refuses_mistakes() -> None:
    """The schema holds for the file as it is written, variables included, and still catches wrong keys and values."""
    validator = jsonschema.Draft202012Validator(schema())
    jsonschema.Draft202012Validator.check_schema(schema())
    written = yaml.safe_load(_SHIPPED.read_text())
    assert [error.message for error in validator.iter_errors(written)] == []
    changes: list[dict[str, Any]] = [
        {"colour": "red"},
        {"slack": {**written["slack"], "status": "#status"}},
        {"services": []},
        {"incident": {"ack_timeout": "5 min"}},
    ]
    for change in changes:
        assert list(validator.iter_errors({**written, **change}))


def test_the_guide_explains_every_key() -> None:
    """docs/estate.md has a section per section of the file, with each of its keys."""
    guide = (_ROOT / "docs" / "estate.md").read_text()
    missing = [key for key in _keys(schema()) if not re.search(rf"`{key}`", guide)]
    assert missing == []


def _keys(published: dict[str, Any]) -> Iterator[str]:
    for part in (published, *published["$defs"].values()):
        yield from part.get("properties", {})
