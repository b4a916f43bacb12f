"""The demonstration page at every width, light and dark, for the keyboard and for whoever hears it read aloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.demo.window import Card, Window, disconnected
from tests.support.browser import BINARY, Page
from tests.support.replica import Replica

pytestmark = pytest.mark.skipif(BINARY is None, reason="chromium is not installed")

CONTRAST = (Path(__file__).parents[1] / "contrast.js").read_text()
WIDTHS = (1440, 1024, 768, 390, 320)
STANDS_STILL = "document.getAnimations().every((one) => !['slide-in', 'rise'].includes(one.animationName))"
FOCUS = "(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()"
UNNAMED = """
[...document.querySelectorAll("button, a, input, select, progress, [role=log], section, form[role]")]
  .filter((one) => one.checkVisibility())
  .filter((one) => !(one.ariaLabel || one.labels?.length || one.textContent.trim() || one.ariaHidden))
  .map((one) => one.outerHTML)
"""


@pytest.mark.parametrize("dark", [False, True])
async def test_it_fits_and_can_be_read(page: Page, pair: list[Replica], dark: bool) -> None:
    ada = Window(page, "ada")
    for width in WIDTHS:
        await page.open(f"{pair[0].http}/demo?user=ada", width=width, dark=dark)
        await ada.settled()
        await ada.say("W" * 300)
        for kind in ("info", "warning", "urgent"):
            await ada.notify(kind)
        await ada.press("Ask everybody")
        await ada.until("root.querySelectorAll('.notice').length === 3 && !!root.querySelector('.question')")
        await ada.evaluate("{ root.querySelector('.frames').open = true }")

        await page.until(STANDS_STILL)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert await page.evaluate(CONTRAST) == [], width
        assert await page.evaluate(UNNAMED) == [], width
        await ada.press("Stop")
        await Card(ada).shown(0)
    assert page.complaints == []


async def test_a_wide_page_has_both_and_needs_no_scrolling(page: Page, pair: list[Replica]) -> None:
    await page.open(f"{pair[0].http}/", width=1440, height=900)
    for user in ("ada", "ben"):
        await Window(page, user).settled()

    assert await page.evaluate("document.documentElement.scrollHeight") <= 900
    tops = await page.evaluate("[...document.querySelectorAll('.window')].map((one) => one.offsetTop)")
    assert len(tops) == 2 and len(set(tops)) == 1


async def test_the_end_of_a_conversation_stays_in_sight_until_somebody_scrolls_up(
    page: Page, pair: list[Replica]
) -> None:
    await page.open(f"{pair[0].http}/demo?user=fay", width=390)
    fay = Window(page, "fay")
    await fay.settled()
    place = "root.querySelector('.scroll')"
    last = "root.querySelector('.said li:last-child').getBoundingClientRect()"
    in_sight = f"{last}.bottom <= {place}.getBoundingClientRect().bottom"

    for number in range(30):
        await fay.say(f"line {number}")
    await fay.marked("line 29", "sent")
    assert await fay.evaluate(f"{place}.scrollHeight > {place}.clientHeight && {in_sight}")
    await page.command("Emulation.setDeviceMetricsOverride", width=390, height=500, deviceScaleFactor=1, mobile=True)
    await fay.until(in_sight)

    await fay.evaluate(f"{{ {place}.scrollTop = -{place}.scrollHeight }}")
    await fay.break_it("away")
    await fay.hears("Message 20 of 20")
    assert not await fay.evaluate(in_sight)
    await fay.say("to the end")
    await fay.hears("to the end", "mine")
    await fay.until(in_sight)


async def test_a_narrow_page_asks_who_one_is_and_leads_to_one_window(page: Page, pair: list[Replica]) -> None:
    await page.open(f"{pair[0].http}/", width=390)
    await page.until("document.querySelectorAll('.choose a').length === 2")
    assert await page.evaluate("document.querySelectorAll('.window').length") == 0

    await page.evaluate("void document.querySelectorAll('.choose a')[1].click()")
    ben = Window(page, "ben")
    await page.until("location.search === '?user=ben&replica=2'")
    await ben.settled()

    assert (await ben.evaluate(ben.replica)) == pair[1].name
    assert await page.evaluate("document.querySelectorAll('.window').length") == 1


async def test_whoever_wants_stays_with_the_address_of_the_page(page: Page, pair: list[Replica]) -> None:
    await page.open(f"{pair[0].http}/demo?user=ben&replica=2&via=here", width=1440)
    ben = Window(page, "ben")
    await ben.settled()

    assert (await ben.evaluate(ben.replica)) == pair[0].name
    assert await ben.evaluate("root.querySelectorAll('[data-act=kill]').length") == 0


@pytest.mark.parametrize("width", [1440, 320])
async def test_whoever_was_sent_away_reads_why_at_every_width(page: Page, pair: list[Replica], width: int) -> None:
    await page.open(f"{pair[0].http}/demo?user=eve", width=width)
    eve = Window(page, "eve")
    await eve.settled()
    await disconnected(pair[0], "eve", "W" * 60)
    await eve.until("root.querySelector('.state.stopped')?.textContent.includes('4003 kicked WWW')")

    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert await page.evaluate(CONTRAST) == []
    await eve.until("root.querySelector('.crew .gone')?.textContent.includes('not connected')")


async def test_the_keyboard_reaches_and_works_everything(page: Page, pair: list[Replica]) -> None:
    await page.open(f"{pair[0].http}/demo?user=ada", width=1440)
    ada = Window(page, "ada")
    await ada.settled()
    await page.evaluate("void document.querySelector('.say input').focus()")
    await page.command("Input.insertText", text="by keyboard")
    await page.press("Enter", code=13)
    await ada.hears("by keyboard", "mine")

    reached = []
    for _ in range(40):
        await page.press("Tab", code=9)
        reached.append(await page.evaluate(FOCUS))
    await page.evaluate("void document.querySelector('[role=tab][aria-selected=true]').focus()")
    await page.press("ArrowRight", code=39)

    for name in ("Drop connection", "Kill replica", "One more", "moss", "Start a task", "Ask everybody", "Notify"):
        assert name in reached, reached
    assert await page.evaluate("document.activeElement.id") == "ada-network-tab"
    assert await ada.text("[role=tab][aria-selected=true]") == "# network"


async def test_the_theme_that_is_chosen_stays(page: Page, pair: list[Replica]) -> None:
    await page.open(f"{pair[0].http}/demo?user=ada")
    await Window(page, "ada").connected()
    await page.evaluate("void document.querySelector('[aria-label=Dark]').click()")
    await page.until("document.documentElement.dataset.theme === 'dark'")

    await page.open(f"{pair[0].http}/demo?user=ada")

    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"


async def test_what_goes_over_the_wire_can_be_read_and_holds_no_token(page: Page, pair: list[Replica]) -> None:
    await page.open(f"{pair[0].http}/demo?user=ada")
    ada = Window(page, "ada")
    await ada.settled()
    await ada.evaluate("{ root.querySelector('.frames').open = true }")
    await ada.say("for the log")
    frames = "[...root.querySelectorAll('.frames li')].map((line) => line.textContent)"
    await ada.until(f"{frames}.some((line) => line.startsWith('out: ') && line.includes('for the log'))")

    shown = await ada.evaluate(frames)
    assert any("connection_established" in line for line in shown)
    assert not any("eyJ" in line for line in shown)
