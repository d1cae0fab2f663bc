"""The environment, read once: every error sentence, all at once, and what is taken by default."""

from pathlib import Path

import pytest

from bot.clock import Pace
from bot.errors import ConfigError
from bot.settings import read

GOOD = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_APP_TOKEN": "xapp-1",
    "PAGERDUTY_API_KEY": "key",
    "PAGERDUTY_FROM": "ana@valuecanvas.example",
    "BOT_DATA_DIR": "data",
}


def refused(practice: bool = False, **changed: str) -> list[str]:
    """The lines of the error."""
    with pytest.raises(ConfigError) as error:
        read({**GOOD, **changed}, practice=practice)
    head, *lines = str(error.value).split("\n")
    assert head == "The settings are not complete:"
    return [line.removeprefix("  - ") for line in lines]


def test_four_variables_are_enough() -> None:
    """With the tokens and an address for PagerDuty the bot starts: Socket Mode, an embedded store, the real services."""
    settings = read(GOOD)
    assert (settings.host, settings.port, settings.socket_mode) == ("127.0.0.1", 8080, True)
    assert (settings.slack_api_url, settings.pagerduty_api_url) == ("https://slack.com/api/", "")
    assert (settings.database_url, settings.data_dir, settings.estate) == ("", Path("data"), Path("estate.yml"))
    assert settings.pace == Pace(60.0)


def test_everything_missing_is_named_at_once() -> None:
    """An empty environment is told in one go, with what each variable is and where it comes from."""
    with pytest.raises(ConfigError) as error:
        read({})
    assert str(error.value).split("\n") == [
        "The settings are not complete:",
        "  - SLACK_BOT_TOKEN is not set: the bot token (xoxb-…) of the Slack app, from OAuth & Permissions",
        "  - neither SLACK_APP_TOKEN (xapp-…, Socket Mode) nor SLACK_SIGNING_SECRET (HTTP) is set",
        "  - PAGERDUTY_API_KEY is not set: a REST API key of PagerDuty",
        "  - PAGERDUTY_FROM is not set: the address of the PagerDuty user in whose name the bot acts",
    ]


@pytest.mark.parametrize("address", ["8080", ":8080", "host:", "host:x", "host:70000", "", "host:-1"])
def test_an_address_is_host_and_port(address: str) -> None:
    """Anything else is refused with an example."""
    assert refused(BOT_HTTP=address) == ["BOT_HTTP must be host:port, such as 127.0.0.1:8080"]


def test_an_ipv6_address_is_taken_in_brackets() -> None:
    """`[::1]:9000` listens on ::1; port 0 asks the system."""
    settings = read({**GOOD, "BOT_HTTP": "[::1]:0"})
    assert (settings.host, settings.port) == ("::1", 0)


def test_a_user_token_is_no_bot_token() -> None:
    """The prefix tells which token was pasted."""
    assert refused(SLACK_BOT_TOKEN="xoxp-1") == ["SLACK_BOT_TOKEN must begin with xoxb-"]


def test_an_app_token_is_recognised() -> None:
    """A signing secret pasted as the app token is found at the start, not when the socket fails."""
    assert refused(SLACK_APP_TOKEN="8f742231b10e8888abcd99yyyzzz85a5") == ["SLACK_APP_TOKEN must begin with xapp-"]


def test_http_needs_only_the_signing_secret() -> None:
    """Without an app token Slack delivers over HTTP."""
    settings = read({**GOOD, "SLACK_APP_TOKEN": " ", "SLACK_SIGNING_SECRET": "s3cret"})
    assert not settings.socket_mode


@pytest.mark.parametrize("pace", ["0", "-1", "nan", "inf", "abc", "3601", "0.001"])
def test_a_pace_is_a_number_of_seconds(pace: str) -> None:
    """Nothing that would stand still, run backwards or never come."""
    assert refused(practice=True, BOT_SECONDS_PER_MINUTE=pace) == [
        f"BOT_SECONDS_PER_MINUTE must be a number of seconds from 0.01 to 3600, not {pace!r}"
    ]


def test_another_pace_needs_practice() -> None:
    """Production runs at 60; a practice says so on the command line."""
    assert refused(BOT_SECONDS_PER_MINUTE="6") == [
        "BOT_SECONDS_PER_MINUTE is 6: only a practice may run at another pace than 60. Start with --practice, or unset it"
    ]
    assert read({**GOOD, "BOT_SECONDS_PER_MINUTE": "6"}, practice=True).pace == Pace(6.0)
    assert read({**GOOD, "BOT_SECONDS_PER_MINUTE": "60.0"}).pace == Pace()


def test_the_secrets_are_known() -> None:
    """Every token and connection string is on the list of what must not be shown; empty ones are not."""
    settings = read({**GOOD, "BOT_DATABASE_URL": "postgresql://u:p@h/d", "PAGERDUTY_WEBHOOK_SECRET": "hook"})
    assert settings.secrets == {"xoxb-1", "xapp-1", "key", "hook", "postgresql://u:p@h/d"}
