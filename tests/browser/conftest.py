"""A real Chromium on the real page of a practice estate, with a small bolt app as the counterpart.

async def test_something(stage: Stage) -> None:
    ana = await stage.sit("U0ANA", "C0GENERAL")
    await ana.say("Hello")
"""

import os
import shutil
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from sandbox.practice import Practice
from tests.browser.counterpart import described, listen
from tests.browser.seats import PATIENCE_MS, Stage
from tests.sandbox import slack_stage

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str:
    """The installed browser. Skips the test without one, or fails it when REQUIRE_BROWSER=1."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found:
        return found
    sentence = "no Chromium is installed (for example `apt install chromium`): the page is not tested"
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(sentence)
    pytest.skip(sentence)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for the tests of a file; each person in each test has a profile of their own."""
    path = find_chromium()
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="module")
async def stage(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """Slack, PagerDuty and the app, all fresh. An error on the console of any page fails the test."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SLACK_"):
            monkeypatch.delenv(name)
    async with Practice(manifest=described()) as practice, aiohttp.ClientSession() as session:
        practice.slack.set_rate_limits(False)
        app = slack_stage.Stage(practice.slack, practice.url, session)
        heard = listen(app.bolt())
        async with slack_stage.connected(app, heard.app):
            stage = Stage(practice, app, browser, heard)
            try:
                yield stage
            finally:
                await stage.leave()
    assert not stage.problems, "\n".join(stage.problems)
