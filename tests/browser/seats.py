"""Somebody at the page: opening it, writing, looking, clicking; and the whole stage around them."""

import asyncio
from typing import Any, Literal

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect
from slack_bolt.async_app import AsyncApp

from sandbox.practice import Practice
from tests.browser.counterpart import Heard
from tests.sandbox import slack_stage

PATIENCE_MS = 40_000


class Seat:
    """One person's browser window."""

    def __init__(self, page: Page, user: str) -> None:
        self.page, self.user = page, user
        self.composer = page.get_by_test_id("composer")
        self.modal = page.get_by_test_id("modal")
        self.messages = page.locator("#messages article.message")
        self.thread = page.get_by_test_id("thread").locator("article.message")
        self.sidebar = page.get_by_test_id("sidebar")

    async def say(self, text: str) -> None:
        """Type into the composer and press Enter."""
        await self.composer.fill(text)
        await self.composer.press("Enter")

    def message(self, text: str) -> Locator:
        """The messages of the open channel that contain this text."""
        return self.messages.filter(has_text=text)

    def action(self, action_id: str) -> Locator:
        """The control of the app with this action_id."""
        return self.page.locator(f'[data-action-id="{action_id}"]:not(.boxes input)')

    def channel(self, id_: str) -> Locator:
        """A channel's row in the left column."""
        return self.sidebar.locator(f'[data-channel="{id_}"]')

    async def deed(self, message: Locator, name: str) -> None:
        """Use a button of a message's toolbar."""
        await message.hover()
        await message.locator(f'[data-deed="{name}"]').click()

    async def choose(self, action_id: str, *options: str) -> None:
        """Pick rows of one of the app's selects by their text."""
        box = self.action(action_id)
        for option in options:
            await box.click()
            await self.page.get_by_role("option", name=option).first.click()


class Hall:
    """Everybody's windows on one practice estate. `problems` is what their consoles complained about."""

    def __init__(self, practice: Practice, browser: Browser) -> None:
        self.practice = practice
        self.problems: list[str] = []
        self.forgiven: tuple[str, ...] = ()
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    async def sit(
        self,
        user: str = "U0ANA",
        channel: str = "C0GENERAL",
        *,
        width: int = 1280,
        height: int = 820,
        colours: Literal["light", "dark"] = "light",
        sharpness: float = 1,
    ) -> Seat:
        """Open the page as this person at this channel and wait until it is live."""
        context = await self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=colours,
            reduced_motion="reduce",
            device_scale_factor=sharpness,
        )
        context.set_default_timeout(PATIENCE_MS)
        self._contexts.append(context)
        page = await context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        page.on("request", lambda request: self._local(request.url))
        await page.goto(f"{self.practice.url}/?user={user}&channel={channel}")
        await expect(page.locator('body[data-connected="true"]')).to_be_attached()
        return Seat(page, user)

    async def leave(self) -> None:
        """Close every window; what their consoles said stays in `problems`."""
        await asyncio.gather(*(context.close() for context in self._contexts))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(part in message.text for part in self.forgiven):
            self.problems.append(f"console: {message.text}")

    def _local(self, url: str) -> None:
        if not url.startswith((self.practice.url, "data:", "blob:")):
            self.problems.append(f"asked elsewhere: {url}")


class Stage(Hall):
    """The hall, with an app of the tests' own: its tokens, and what it has heard."""

    def __init__(self, practice: Practice, app: slack_stage.Stage, browser: Browser, heard: Heard) -> None:
        super().__init__(practice, browser)
        self.app, self.heard = app, heard

    @property
    def bolt(self) -> AsyncApp:
        return self.heard.app

    async def post(self, channel: str, **message: Any) -> str:
        """The app posts a message; its ts."""
        answer = await self.app.web().chat_postMessage(channel=channel, **message)
        return str(answer["ts"])
