"""Questions on the page of ``fairlead dev``: the same for a person everywhere, answered once, and never markup."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

import fairlead
from fairlead.backend import Backend
from tests.browser.conftest import both_connected
from tests.support.browser import BINARY, Page
from tests.support.replica import Replica

pytestmark = pytest.mark.skipif(BINARY is None, reason="chromium is not installed")

CARDS = "[...document.querySelectorAll('.seat')].map((seat) => seat.querySelectorAll('.question').length)"
ADA, BEN = 0, 1

HOSTILE = "<img src=x onerror=document.title='owned'>'\"`${1}</script><script>document.title='owned'</script>"

FORM = {
    "type": "object",
    "properties": {
        "vlan": {"type": "integer", "exclusiveMinimum": 1, "title": "VLAN"},
        "site": {"type": "string", "enum": ["fra", "muc"], "enumNames": ["Frankfurt", "Munich"]},
        "mail": {"type": "string", "format": "email"},
        "dry": {"type": "boolean", "default": True},
        "at": {"type": "string", "format": "date"},
        "share": {"type": "number", "default": 0.5},
    },
    "required": ["vlan", "site"],
}


@pytest.fixture
async def fl(redis_url: str, page_prefix: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix=page_prefix) as backend:
        yield backend


@pytest.fixture
async def other_page() -> AsyncIterator[Page]:
    async with Page() as tab:
        yield tab


class Card:
    """The first question of a seat."""

    def __init__(self, page: Page, seat: int = ADA) -> None:
        self._page = page
        self._seat = f"document.querySelectorAll('.seat')[{seat}]"

    async def shown(self, count: int = 1) -> None:
        await self._page.until(f"{self._seat}.querySelectorAll('.question').length === {count}")

    async def gone(self, told: str) -> None:
        """No question is left, and the seat says what became of one."""
        await self.shown(0)
        said = f"[...{self._seat}.querySelectorAll('.said .event')].map((line) => line.textContent)"
        await self._page.until(f"{said}.includes({json.dumps(told)})")

    async def text(self, selector: str) -> Any:
        return await self._page.evaluate(f"{self._part(selector)}.textContent")

    async def write(self, selector: str, value: object) -> None:
        await self._page.evaluate(f"void ({self._part(selector)}.value = {json.dumps(value)})")

    async def click(self, label: str) -> None:
        buttons = f"[...{self._part('.choices')}.children]"
        await self._page.evaluate(f"{buttons}.find((button) => button.textContent === {json.dumps(label)}).click()")

    async def until(self, selector: str, condition: str) -> None:
        await self._page.until(f"{self._part(selector)}.{condition}")

    def _part(self, selector: str) -> str:
        return f"{self._seat}.querySelector('.question').querySelector({json.dumps(selector)})"


async def as_ada_on_the_other_replica(page: Page, pair: list[Replica]) -> None:
    """Ada sits in ben's place, too."""
    await page.open(f"{pair[1].http}/")
    await both_connected(page)
    await page.evaluate(
        """(() => {
          const [ada, ben] = document.querySelectorAll(".seat .enter");
          ben.token.value = ada.token.value;
          ben.requestSubmit();
        })()"""
    )
    await page.until("document.querySelectorAll('.seat h2')[1].textContent === 'ada'")
    await both_connected(page)


async def test_an_answer_on_one_replica_closes_the_same_question_on_the_other(
    page: Page, other_page: Page, pair: list[Replica], fl: Backend
) -> None:
    await page.open(f"{pair[0].http}/")
    await both_connected(page)
    await as_ada_on_the_other_replica(other_page, pair)
    here, there = Card(page, ADA), Card(other_page, BEN)

    asking = asyncio.create_task(fl.ask("ada", "Deploy?", severity="danger", timeout=60))
    await here.shown()
    await there.shown()
    about = await there.text(".about"), await there.text(".message")
    countdown = await there.text(".countdown")
    await here.write(".feedback input", "carefully")
    await here.click("Proceed")
    answer = await asyncio.wait_for(asking, 5)

    await here.gone("“Deploy?” was answered by you: Proceed")
    await there.gone("“Deploy?” was answered by you")
    assert (answer.proceed, answer.feedback, answer.choice) == (True, "carefully", "proceed")
    assert about == ("danger", "Deploy?")
    assert countdown in ("stops by itself in 1:00", "stops by itself in 0:59")
    assert await page.evaluate(CARDS) == [0, 0]
    assert page.complaints == other_page.complaints == []


async def test_whoever_was_faster_is_named(page: Page, pair: list[Replica], fl: Backend) -> None:
    await page.open(f"{pair[0].http}/")
    await both_connected(page)

    asking = asyncio.create_task(fl.ask(["ada", "ben"], "Who?"))
    await Card(page, ADA).shown()
    await Card(page, BEN).shown()
    await Card(page, BEN).click("Stop")

    await Card(page, ADA).gone("“Who?” was answered by ben")
    assert (await asyncio.wait_for(asking, 5)).responded_by == "ben"


async def test_what_a_question_holds_is_shown_as_text(page: Page, pair: list[Replica], fl: Backend) -> None:
    schema = {
        "type": "object",
        "title": HOSTILE,
        "properties": {
            HOSTILE: {"type": "string", "title": HOSTILE, "description": HOSTILE, "default": HOSTILE},
            "__proto__": {"type": "string", "enum": [HOSTILE], "enumNames": [HOSTILE]},
        },
    }
    choices = [{"value": "go", "label": HOSTILE}, {"value": "stop", "label": "Stop", "proceed": False}]
    await page.open(f"{pair[0].http}/")
    await both_connected(page)

    begun = await fl.begin_ask("ada", HOSTILE, schema=schema, choices=choices)
    shown = fl.notify_user({"step": HOSTILE, "result": {HOSTILE: HOSTILE}}, "ben", "t-1", HOSTILE, message=HOSTILE)
    task = asyncio.create_task(shown)
    card, other = Card(page, ADA), Card(page, BEN)
    await card.shown()
    await other.shown()
    texts = [await card.text(part) for part in (".message", ".form label span", ".form small", ".choices button")]
    result = await other.text(".result pre")
    await card.click(HOSTILE)
    await card.gone(f"“{HOSTILE}” was answered by you: {HOSTILE}")
    await other.click("Stop")
    await asyncio.wait_for(task, 5)
    answer = await fl.answer_to(begun.callback_id)

    assert texts == [HOSTILE, f"{HOSTILE} (optional)", HOSTILE, HOSTILE]
    assert json.loads(result) == {HOSTILE: HOSTILE}
    assert answer is not None and answer.content == {HOSTILE: HOSTILE}
    assert await page.evaluate("document.title") == "fairlead"
    assert page.complaints == []


async def test_a_form_says_what_is_wrong_until_it_is_right(page: Page, pair: list[Replica], fl: Backend) -> None:
    await page.open(f"{pair[0].http}/")
    await both_connected(page)
    card = Card(page)

    asking = asyncio.create_task(fl.ask("ada", "Which?", schema=FORM))
    await card.shown()
    await card.click("Proceed")  # what is required is empty: the browser says so, and nothing is sent
    assert await page.evaluate("document.activeElement === document.querySelector('.question .form input')")
    await card.write(".form label:nth-child(1) input", 1)
    await card.write(".form select", "muc")
    await card.click("Proceed")
    await card.until(".errors", "textContent.startsWith('VLAN: ')")
    await card.write(".form label:nth-child(1) input", 7)
    await card.write(".form label:nth-child(5) input", "2026-12-01")
    await card.click("Proceed")
    answer = await asyncio.wait_for(asking, 5)

    assert answer.content == {"vlan": 7, "site": "muc", "dry": True, "at": "2026-12-01", "share": 0.5}
    await card.gone("“Which?” was answered by you: Proceed")


async def test_whoever_stops_need_not_fill_in_the_form_but_say_why_if_asked_to(
    page: Page, pair: list[Replica], fl: Backend
) -> None:
    await page.open(f"{pair[0].http}/")
    await both_connected(page)
    card = Card(page)

    asking = asyncio.create_task(fl.ask("ada", "Which?", schema=FORM, feedback="required_on_stop"))
    await card.shown()
    await card.click("Stop")
    assert await page.evaluate("document.activeElement === document.querySelector('.question .feedback input')")
    await card.write(".feedback input", "not today")
    await card.click("Stop")
    answer = await asyncio.wait_for(asking, 5)

    assert (answer.proceed, answer.feedback, answer.content) == (False, "not today", None)


async def test_a_question_that_nobody_answers_closes_itself(page: Page, pair: list[Replica], fl: Backend) -> None:
    await page.open(f"{pair[0].http}/")
    await both_connected(page)

    asking = asyncio.create_task(fl.ask("ada", "Now?", timeout=2, feedback="none"))
    await Card(page).shown()
    hidden = await page.evaluate("document.querySelector('.question .feedback').offsetHeight")
    countdown = await Card(page).text(".countdown")

    assert (hidden, countdown) == (0, "goes on by itself in 0:02")
    await Card(page).gone("“Now?” was not answered in time")
    assert (await asking).status == "timed_out"


async def test_questions_survive_the_replica_and_are_shown_once(page: Page, pair: list[Replica], fl: Backend) -> None:
    await page.open(f"{pair[0].http}/")
    await both_connected(page)
    card = Card(page, BEN)
    begun = [await fl.begin_ask("ben", text) for text in ("Stays?", "Goes?")]
    await card.shown(2)
    await card.write(".feedback input", "half a sentence")

    pair[1].kill()
    await card.until("fieldset", "disabled")
    assert await fl.cancel_ask(begun[1].callback_id)
    pair[1].start()
    await both_connected(page)

    await card.shown(1)
    await card.until("fieldset", "disabled === false")
    assert await page.evaluate("document.querySelector('.question .feedback input').value") == "half a sentence"
    await card.click("Proceed")
    await card.gone("“Stays?” was answered by you: Proceed")
    await card.gone("“Goes?” was taken back")
    answer = await fl.answer_to(begun[0].callback_id)
    assert answer is not None and answer.feedback == "half a sentence"


async def test_a_page_that_is_loaded_later_shows_what_is_open(page: Page, pair: list[Replica], fl: Backend) -> None:
    begun = await fl.begin_ask("ada", "Waiting for you?")
    await page.open(f"{pair[0].http}/")
    await both_connected(page)

    await Card(page).shown()
    assert await fl.cancel_ask(begun.callback_id)
    await Card(page).gone("“Waiting for you?” was taken back")


async def test_a_keyboard_is_enough(page: Page, pair: list[Replica], fl: Backend) -> None:
    await page.open(f"{pair[0].http}/")
    await both_connected(page)

    asking = asyncio.create_task(fl.ask("ada", "Keys?"))
    await Card(page).shown()
    await page.evaluate("document.querySelector('.question .feedback input').focus()")
    await page.command("Input.insertText", text="typed")
    await press(page, "Enter", 13, "\r")  # which is not yet an answer
    await press(page, "Tab", 9)
    await press(page, "Tab", 9)
    assert await page.evaluate("document.activeElement.textContent") == "Stop"
    await press(page, "Enter", 13, "\r")
    answer = await asyncio.wait_for(asking, 5)

    assert (answer.proceed, answer.feedback) == (False, "typed")
    await Card(page).gone("“Keys?” was answered by you: Stop")
    assert await page.evaluate("document.activeElement.name") == "text"


async def press(page: Page, key: str, code: int, text: str = "") -> None:
    for kind in ("keyDown", "keyUp"):
        facts = {"key": key, "code": key, "windowsVirtualKeyCode": code, "text": text if kind == "keyDown" else ""}
        await page.command("Input.dispatchKeyEvent", type=kind, **facts)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True), (320, False)])
async def test_questions_fit_the_window(page: Page, pair: list[Replica], fl: Backend, width: int, dark: bool) -> None:
    long = "W" * 300
    schema = {"type": "object", "properties": {long: {"type": "string", "enum": [long]}}}
    begun = await fl.begin_ask("ada", long, schema=schema, choices=[{"value": "go", "label": long[:256]}])
    await page.open(f"{pair[0].http}/", width=width, dark=dark)
    await both_connected(page)
    await Card(page).shown()

    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    rights = "[...document.querySelectorAll('.question *')].map((part) => part.getBoundingClientRect().right)"
    assert await page.evaluate(f"Math.max(...{rights})") <= width
    assert await fl.cancel_ask(begun.callback_id)
    await Card(page).shown(0)


async def test_the_task_that_a_question_is_about_is_watched_until_it_ends(
    page: Page, pair: list[Replica], fl: Backend
) -> None:
    await page.open(f"{pair[0].http}/")
    await both_connected(page)
    await fl.update_task("t-7", owner="ada", progress=20, current_device=HOSTILE, total_devices=5, completed_devices=1)
    begun = await fl.begin_ask("ada", "Go on with it?", task_id="t-7")
    row = "document.querySelector('.seat .task')"
    await page.until(f"{row}?.querySelector('.percent').textContent === '20 %'")
    how = await page.evaluate(f"{row}.querySelector('.how').textContent")

    pair[0].kill()
    await fl.update_task("t-7", progress=60)
    pair[0].start()
    await both_connected(page)
    await page.until(f"{row}.querySelector('.percent').textContent === '60 %'")
    await Card(page).shown()
    await page.evaluate(f"{row}.querySelector('button').click()")
    await Card(page).gone("“Go on with it?” was taken back")

    assert how == f"at {HOSTILE} · 1 of 5 devices"
    await Card(page).gone("task t-7 was cancelled by ada")
    assert await page.evaluate(f"{row}") is None
    outcome = await fl.answer_to(begun.callback_id)
    assert outcome is not None and outcome.status == "cancelled"
    assert await page.evaluate("document.title") == "fairlead"
