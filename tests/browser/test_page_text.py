"""Text as Slack shows it: mrkdwn, dates, Markdown, mentions and the words of a command's hint."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from sandbox.practice import Practice
from tests.browser.counterpart import described

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

MARKUP = [
    ("*bold* _it_ ~no~ `x*y*`", "<strong>bold</strong> <em>it</em> <s>no</s> <code>x*y*</code>"),
    ("*bold _both_*", "<strong>bold <em>both</em></strong>"),
    ("snake_case_name 2*3*4 a~b~c", "snake_case_name 2*3*4 a~b~c"),
    ("* not bold * _ nor _", "* not bold * _ nor _"),
    ("a *b\nc* d", "a *b<br>c* d"),
    ("(*x*), _y_.", "(<strong>x</strong>), <em>y</em>."),
    ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
    ("1 &lt; 2 &amp;&amp; 3 &gt; 2 &amp;lt;", "1 &lt; 2 &amp;&amp; 3 &gt; 2 &amp;lt;"),
    ("```\nx = *1*\n```", '<pre class="code-block">x = *1*</pre>'),
    ("before\n```code```\nafter", 'before<pre class="code-block">code</pre>after'),
    ("an odd ``` fence", "an odd ``` fence"),
    ("&gt; quoted\n&gt; *more*\nplain", "<blockquote>quoted<br><strong>more</strong></blockquote>plain"),
    ("`<https://a.example|label>`", "<code>label</code>"),
    ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
    (":no_such_code: 10:30:45", ":no_such_code: 10:30:45"),
]

SHOWN = [
    ("<https://a.example/x?a=1&amp;b=2|the page>", "the page"),
    ("<https://a.example/x?a=1&amp;b=2>", "https://a.example/x?a=1&b=2"),
    ("<mailto:a@b.example|a@b.example>", "a@b.example"),
    ("<@U0BEN> <@UNOBODY> <@UNOBODY|sam>", "@Ben Adler @UNOBODY @sam"),
    ("<#C0STATUS|old-name> <#CNONE|gone> <#CNONE|>", "#status #gone #private channel"),
    ("<!subteam^S0RESPOND> <!here> <!channel|@channel>", "@responders @here @channel"),
    (":fire: :+1: :white_check_mark:", "🔥 👍 ✅"),
    ("<!date^1392734382^{date_num} {time_secs}|then>", "2014-02-18 2:39:42 PM"),
    ("<!date^1392734382^{date} at {time}|then>", "February 18, 2014 at 2:39 PM"),
    ("<!date^1392734382^{date_short_pretty}^https://a.example|then>", "Feb 18, 2014"),
    ("<!date^nonsense^{date}|a long time ago>", "a long time ago"),
]

MARKDOWN = [
    ("## Title", '<h4 class="md-h2">Title</h4>'),
    ("**b** and *i* and ~~s~~", "<p><strong>b</strong> and <em>i</em> and <s>s</s></p>"),
    ("- one\n  - two\n- three", "<ul><li>one<ul><li>two</li></ul></li><li>three</li></ul>"),
    ("3. three\n4. four", '<ol start="3"><li>three</li><li>four</li></ol>'),
    ("> a\n> b", "<blockquote><p>a<br>b</p></blockquote>"),
    ("```py\n<b>\n```", '<pre class="code-block" data-language="py">&lt;b&gt;</pre>'),
    ("[x](javascript:alert(1))", "<p><span>[x](javascript:alert(1))</span></p>"),
    ("snake_case_word and 2 * 3 * 4", "<p>snake_case_word and 2 * 3 * 4</p>"),
    ("<img src=x onerror=alert(1)>", "<p><span>&lt;img src=x onerror=alert(1)&gt;</span></p>"),
]

HINTS = [
    ("[declare | status]", ["declare", "status"]),
    ("declare [title] | hold <minutes> <reason> | help", ["declare", "hold", "help"]),
    ("[declare [P0|P1] | ack]", ["declare", "ack"]),
    ("<name> [key=value …]", []),
    ("approve, reject", ["approve", "reject"]),
    ("", []),
]

TYPED = [
    ("hi @Ben Adler, see #status", "hi <@U0BEN>, see <#C0STATUS|status>"),
    ("@ben and @responders @here", "<@U0BEN> and <!subteam^S0RESPOND> <!here>"),
    ("mail ana@valuecanvas.example or @nobody", "mail ana@valuecanvas.example or @nobody"),
]

CHECKED = """async ([module, name, input]) => {
  const { [name]: make } = await import(`/page/js/${module}.js`);
  const made = make(input);
  const box = document.createElement("div");
  box.append(...[made].flat());
  return [module === "markdown" ? box.firstChild.innerHTML : box.innerHTML, box.textContent];
}"""
PLAIN = "async ([module, name, input]) => (await import(`/page/js/${module}.js`))[name](input)"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """The live page, as Ana, in a browser whose clock is in UTC."""
    async with Practice(manifest=described()) as practice:
        context = await browser.new_context(timezone_id="UTC")
        opened = await context.new_page()
        await opened.goto(f"{practice.url}/?user=U0ANA")
        await opened.locator('body[data-connected="true"]').wait_for(state="attached")
        yield opened
        await context.close()


@pytest.mark.parametrize(("typed", "html"), MARKUP)
async def test_mrkdwn_becomes_elements(page: Page, typed: str, html: str) -> None:
    """Styles, code and quotes as in Slack; whatever looks like HTML or is no token stays text."""
    assert (await page.evaluate(CHECKED, ["mrkdwn", "mrkdwn", typed]))[0] == html


@pytest.mark.parametrize(("typed", "words"), SHOWN)
async def test_tokens_are_shown_by_name(page: Page, typed: str, words: str) -> None:
    """People, channels, groups, links, dates and emoji are shown as people read them, unknown ones by their fallback."""
    shown = (await page.evaluate(CHECKED, ["mrkdwn", "mrkdwn", typed]))[1]
    assert shown.replace("\u202f", " ") == words


@pytest.mark.parametrize(("typed", "html"), MARKDOWN)
async def test_markdown_becomes_elements(page: Page, typed: str, html: str) -> None:
    """Standard Markdown, with nested lists; HTML and unsafe addresses stay text."""
    assert (await page.evaluate(CHECKED, ["markdown", "markdown", typed]))[0] == html


@pytest.mark.parametrize(("hint", "words"), HINTS)
async def test_a_hint_gives_its_first_words(page: Page, hint: str, words: list[str]) -> None:
    """The words of a command come from its usage hint, whatever brackets it has."""
    assert [one["word"] for one in await page.evaluate(PLAIN, ["completion", "wordsOf", hint])] == words


@pytest.mark.parametrize(("typed", "sent"), TYPED)
async def test_typed_names_travel_as_mentions(page: Page, typed: str, sent: str) -> None:
    """Known names become tokens; addresses and unknown names stay as they are."""
    assert await page.evaluate(PLAIN, ["mentions", "toWire", typed]) == sent


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "now"), (-59, "59 seconds ago"), (-3600, "1 hour ago"), (90, "in 1 minute"), (-172_800, "2 days ago")],
)
async def test_distances_in_time(page: Page, seconds: int, words: str) -> None:
    """{ago} counts in the largest whole unit, into the past and the future."""
    call = "async (seconds) => (await import('/page/js/dates.js')).ago(new Date(seconds * 1000), new Date(0))"
    assert await page.evaluate(call, seconds) == words


async def test_pretty_days(page: Page) -> None:
    """Near days have names, and a format that begins with one begins with a capital."""
    call = """async () => {
      const { formatDate, dayLabel } = await import('/page/js/dates.js');
      const now = Date.now() / 1000;
      const at = [0, -86400, 86400].map((away) => formatDate(now + away, "{date_pretty}", ""));
      return [...at, formatDate(now, "on {date_short_pretty}", ""), dayLabel(now)];
    }"""
    assert await page.evaluate(call) == ["Today", "Yesterday", "Tomorrow", "on today", "Today"]
