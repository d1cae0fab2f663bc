"""Everything the environment says, read once and typed. Names and defaults are docs/install.md's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.clock import Pace
from bot.errors import ConfigError
from bot.store.embedded import default_data_dir


@dataclass(frozen=True)
class Settings:
    """The bot's own settings; what differs per installation of the estate stands in the estate file."""

    host: str
    port: int
    slack_bot_token: str
    slack_app_token: str
    slack_signing_secret: str
    slack_api_url: str
    pagerduty_api_key: str
    pagerduty_from: str
    pagerduty_api_url: str
    pagerduty_webhook_secret: str
    database_url: str
    data_dir: Path
    estate: Path
    pace: Pace
    environ: Mapping[str, str]

    @property
    def socket_mode(self) -> bool:
        return bool(self.slack_app_token)

    @property
    def secrets(self) -> frozenset[str]:
        """What must never be shown."""
        values = (
            self.slack_bot_token, self.slack_app_token, self.slack_signing_secret, self.pagerduty_api_key,
            self.pagerduty_webhook_secret, self.database_url,
        )  # fmt: skip
        return frozenset(value for value in values if value)


def read(environ: Mapping[str, str], *, practice: bool = False) -> Settings:
    """Raises ConfigError naming every variable that is missing or wrong, all at once."""
    wrong: list[str] = []

    def needed(name: str, why: str) -> str:
        value = environ.get(name, "").strip()
        if not value:
            wrong.append(f"{name} is not set: {why}")
        return value

    host, _, port = environ.get("BOT_HTTP", "127.0.0.1:8080").rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        wrong.append("BOT_HTTP must be host:port, such as 127.0.0.1:8080")
        host, port = "127.0.0.1", "8080"
    bot_token = needed("SLACK_BOT_TOKEN", "the bot token (xoxb-…) of the Slack app, from OAuth & Permissions")
    if bot_token and not bot_token.startswith("xoxb-"):
        wrong.append("SLACK_BOT_TOKEN must begin with xoxb-")
    app_token = environ.get("SLACK_APP_TOKEN", "").strip()
    if app_token and not app_token.startswith("xapp-"):
        wrong.append("SLACK_APP_TOKEN must begin with xapp-")
    signing_secret = environ.get("SLACK_SIGNING_SECRET", "").strip()
    if not app_token and not signing_secret:
        wrong.append("neither SLACK_APP_TOKEN (xapp-…, Socket Mode) nor SLACK_SIGNING_SECRET (HTTP) is set")
    settings = Settings(
        host=host.strip("[]"),
        port=int(port),
        slack_bot_token=bot_token,
        slack_app_token=app_token,
        slack_signing_secret=signing_secret,
        slack_api_url=environ.get("SLACK_API_URL", "").strip() or "https://slack.com/api/",
        pagerduty_api_key=needed("PAGERDUTY_API_KEY", "a REST API key of PagerDuty"),
        pagerduty_from=needed("PAGERDUTY_FROM", "the address of the PagerDuty user in whose name the bot acts"),
        pagerduty_api_url=environ.get("PAGERDUTY_API_URL", "").strip(),
        pagerduty_webhook_secret=environ.get("PAGERDUTY_WEBHOOK_SECRET", "").strip(),
        database_url=environ.get("BOT_DATABASE_URL", "").strip(),
        data_dir=Path(environ["BOT_DATA_DIR"]) if environ.get("BOT_DATA_DIR") else default_data_dir(environ),
        estate=Path(environ.get("BOT_ESTATE") or "estate.yml"),
        pace=_pace(environ, wrong, practice=practice),
        environ=environ,
    )
    if wrong:
        raise ConfigError("The settings are not complete:\n" + "\n".join(f"  - {line}" for line in wrong))
    return settings


def _pace(environ: Mapping[str, str], wrong: list[str], *, practice: bool) -> Pace:
    text = environ.get("BOT_SECONDS_PER_MINUTE", "60")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.01 <= seconds <= 3600:
        wrong.append(f"BOT_SECONDS_PER_MINUTE must be a number of seconds from 0.01 to 3600, not {text!r}")
        return Pace()
    if seconds != 60.0 and not practice:
        wrong.append(
            f"BOT_SECONDS_PER_MINUTE is {text}: only a practice may run at another pace than 60. Start with --practice, or unset it"
        )
    return Pace(seconds)
