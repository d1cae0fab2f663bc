"""What is hidden, and what is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.redact import HIDDEN, redact

_PAGERDUTY = "y_NbAk" + "Kc66ryYTWUXYEu"
_SLACK = "xoxb-" + "2345678901-abcDEFghi"
_AWS = "AKIA" + "IOSFODNN7EXAMPLE"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("postgresql://app:s3cret@db:5432/app", "postgresql://app:[hidden]@db:5432/app"),
        ("at redis://:p%40ss@cache:6379/0 now", "at redis://:[hidden]@cache:6379/0 now"),
        ("postgres://u:p@ss@db/x", "postgres://u:[hidden]@db/x"),
        ("host=db password=hunter2 dbname=app", "host=db password=[hidden] dbname=app"),
        ("host=db password='two words' dbname=app", "host=db password=[hidden] dbname=app"),
        (r"password='it\'s' dbname=app", "password=[hidden] dbname=app"),
        ("https://x.test/cb?token=abc123&page=2", "https://x.test/cb?token=[hidden]&page=2"),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=[hidden] psql"),
        ("ADMIN_TOKEN = abc", "ADMIN_TOKEN = [hidden]"),
        ('{"password": "hunter2", "user": "app"}', '{"password": [hidden], "user": "app"}'),
        ("{'api_key': 'k'}", "{'api_key': [hidden]}"),
        ("password: hunter2hunter2", "password: [hidden]"),
        ("psql --password hunter2 -h db", "psql --password [hidden] -h db"),
        ("ALTER ROLE app PASSWORD 'hunter2'", "ALTER ROLE app PASSWORD [hidden]"),
        ("Authorization: Bearer abcdef", "Authorization: Bearer [hidden]"),
        (f"Authorization: Token token={_PAGERDUTY}", "Authorization: Token [hidden]"),
        ('"Authorization": "Basic dXNlcjpwYXNz"', '"Authorization": "Basic [hidden]"'),
        ("curl with bearer abc123def456 failed", "curl with bearer [hidden] failed"),
        (f"the key {_PAGERDUTY} works", "the key [hidden] works"),
        (f"sent {_SLACK}.", "sent [hidden]."),
        ("xapp-1-A0BOT-" + "1234567-abcdef", "[hidden]"),
        ("https://hooks.slack.com/services/T0/B0/" + "abcdefgh", "https://hooks.slack.com/services/[hidden]"),
        (f"with {_AWS} and", "with [hidden] and"),
        ("aws_secret_access_key=wJalrXUt/K7MDENG+x", "aws_secret_access_key=[hidden]"),
        ("ghp_" + "a1" * 18, "[hidden]"),
        ("sk-" + "proj-a1b2c3d4e5f6g7h8", "[hidden]"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", "[hidden]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nafter", "[hidden]\nafter"),
        ("-----BEGIN PRIVATE KEY-----\ncut off", "[hidden]"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, clean: str) -> None:
    """A secret is hidden by its shape or its place, and what stands around it stays readable."""
    assert redact(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "Checkout is down since 10:32, 500s from api-server",
        "Forgot the password: ask Eva in #engineering",
        "The password for the database was rotated; tokens are next",
        "a token of thanks, the bearer certificate, bearer authentication",
        "max_tokens=4096 temperature=0.7",
        "https://grafana.valuecanvas.com/d/system-health?orgId=1",
        "http://localhost:8080/users/@ana and ana@valuecanvas.example",
        "git@github.com:valuecanvas/infrastructure.git at 3f2b8c1d9e0a7b6c5d4e3f2a1b0c9d8e7f6a5b4c",
        "internationalization of the AKIA prefix",
        "if token == expected: restart",
        'FATAL: password authentication failed for user "app"',
        "PWD=/var/lib/recovery-bot",
        "P0 INC-12: RTO 5m, lag 0.4 s, <@U0ANA> is commander :fire:",
        "secret/valuecanvas was rotated",
        "",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    """What people and machines write in an incident comes through unchanged."""
    assert redact(text) == text


@pytest.mark.parametrize(
    ("secret", "text", "clean"),
    [
        ("opaque-value", "got opaque-value back", "got [hidden] back"),
        ("postgresql://app:p%40ss%2Fw@db/app", "refused p@ss/w from db", "refused [hidden] from db"),
        ("postgresql://app:p%40ss%2Fw@db/app", "raw p%40ss%2Fw here", "raw [hidden] here"),
        ("postgresql://app:p%40ss%2Fw@db/app", "cannot reach db/app", "cannot reach db/app"),
        ("postgresql://db/app?user=a&password=hunter2", "said hunter2", "said [hidden]"),
        ("host=db password='two words' user=app", "it is two words", "it is [hidden]"),
        ("redis://cache:6379/0", "cannot reach redis://cache:6379/0", "cannot reach redis://cache:6379/0"),
        ("postgresql://postgres:postgres@db/app", "postgres-primary is down", "postgres-primary is down"),
        ("abc", "abcdef", "abcdef"),
        ("", "nothing", "nothing"),
    ],
)
def test_given_secrets_are_hidden_wherever_they_stand(secret: str, text: str, clean: str) -> None:
    """A known secret needs no shape; of a connection string the password goes, in every spelling."""
    assert redact(text, [secret]) == clean


def test_the_longest_secret_wins() -> None:
    """A secret that contains another leaves no rest of itself behind."""
    assert redact("x-longer-secret", ["x-longer", "x-longer-secret"]) == HIDDEN


@given(st.text(), st.lists(st.text(min_size=4, alphabet=st.characters(exclude_characters="[]hiden://=")), max_size=3))
def test_no_given_secret_survives_and_hiding_twice_changes_nothing(text: str, secrets: list[str]) -> None:
    """Whatever the text, a given secret is gone afterwards, and the result is stable."""
    once = redact(text + "".join(secrets), secrets)
    assert not any(secret in once for secret in secrets)
    assert redact(once, secrets) == once


def test_a_long_line_takes_no_long_time() -> None:
    """No pattern runs away on a megabyte without spaces."""
    for piece in ("a", "a-", "password", "eyJ.", "http://", "x:", "'"):
        redact(piece * (300_000 // len(piece)))
