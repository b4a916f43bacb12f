"""The page of ``fairlead dev`` in a real browser: two people on two replicas see each other."""

from __future__ import annotations

import pytest

import fairlead
from tests.browser.conftest import STATES, both_connected
from tests.support.browser import BINARY, Page
from tests.support.replica import Replica

pytestmark = pytest.mark.skipif(BINARY is None, reason="chromium is not installed")

SAY = """(index, text) => {
  const form = document.querySelectorAll(".seat .say")[index];
  form.text.value = text;
  form.requestSubmit();
}"""
LINES = """(index, kind) => [...document.querySelectorAll(".seat")[index].querySelectorAll(`.said .${kind}`)]
  .map((line) => line.firstChild.textContent)"""


async def said(page: Page, index: int, kind: str, text: str) -> None:
    await page.until(f"({LINES})({index}, '{kind}').includes({text!r})")


async def test_each_sees_on_the_other_replica_what_the_other_says(page: Page, pair: list[Replica]) -> None:
    await page.open(f"{pair[0].http}/")
    await both_connected(page)
    replicas = await page.evaluate("[...document.querySelectorAll('[data-fact=replica]')].map((e) => e.textContent)")

    await page.evaluate(f"({SAY})(0, 'hello ben')")
    await said(page, 1, "theirs", "hello ben")
    await page.evaluate(f"({SAY})(1, 'hello ada')")
    await said(page, 0, "theirs", "hello ada")

    assert await page.evaluate(f"({LINES})(0, 'mine').length") == 1
    assert [name.startswith(replica.name) for name, replica in zip(replicas, pair, strict=True)] == [True, True]
    assert page.complaints == []


async def test_a_message_of_a_backend_is_shown_as_text_whatever_it_holds(
    page: Page, pair: list[Replica], redis_url: str, page_prefix: str
) -> None:
    evil = "<img src=x onerror=document.title='owned'>"
    await page.open(f"{pair[1].http}/demo")
    await both_connected(page)

    async with fairlead.connect(redis_url, prefix=page_prefix) as backend:
        await backend.send_to_session("lobby", {"type": "new_message", "content": evil})
    await said(page, 0, "theirs", evil)

    assert await page.evaluate("document.title") == "fairlead"
    assert page.complaints == []


async def test_a_client_finds_back_when_its_replica_is_killed(page: Page, pair: list[Replica]) -> None:
    await page.open(f"{pair[0].http}/")
    await both_connected(page)

    pair[1].kill()
    await page.until(f"!{STATES}.endsWith('connected') && {STATES}.startsWith('connected')")
    for number in range(3):
        await page.evaluate(f"({SAY})(0, 'missed {number}')")
    pair[1].start()
    await both_connected(page)
    await page.evaluate(f"({SAY})(0, 'welcome back')")

    await said(page, 1, "theirs", "welcome back")
    heard = await page.evaluate(f"({LINES})(1, 'theirs')")
    assert heard[-4:] == ["missed 0", "missed 1", "missed 2", "welcome back"]
    assert "skipped" not in await page.evaluate(f"({LINES})(0, 'theirs')")


async def test_a_token_that_is_not_ours_is_refused_for_good_and_said_so(page: Page, pair: list[Replica]) -> None:
    await page.open(f"{pair[0].http}/")
    await both_connected(page)

    await page.evaluate(
        """(() => {
          const form = document.querySelector(".seat .enter");
          form.token.value = "a.b.c";
          form.requestSubmit();
        })()"""
    )

    await page.until(f"{STATES}.startsWith('stopped: 4403')")


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True), (320, False)])
async def test_the_page_fits_the_window(page: Page, pair: list[Replica], width: int, dark: bool) -> None:
    await page.open(f"{pair[0].http}/", width=width, dark=dark)
    await both_connected(page)

    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    tops = await page.evaluate("[...document.querySelectorAll('.seat')].map((seat) => seat.offsetTop)")
    assert len(set(tops)) == (1 if width > 600 else 2)
