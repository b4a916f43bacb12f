"""Questions on the demonstration page: the same for a person everywhere, answered once, and never markup."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fairlead.backend.backend import Backend
from tests.browser.demo.window import Card, Window
from tests.support.browser import BINARY, Page
from tests.support.replica import Replica

pytestmark = pytest.mark.skipif(BINARY is None, reason="chromium is not installed")

HOSTILE = "<img src=x onerror=document.title='owned'>'\"`${1}</script><script>document.title='owned'</script>"
TITLE = "Fairlead: the demonstration"

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

Pair = tuple[Window, Window]


async def answered(asking: asyncio.Task[Any]) -> Any:
    return await asyncio.wait_for(asking, 5)


async def test_an_answer_on_one_replica_closes_the_same_question_on_the_other(
    side_by_side: Pair, other_page: Page, pair: list[Replica], fl: Backend
) -> None:
    await other_page.open(f"{pair[1].http}/demo?user=ada&replica=2")
    there = Window(other_page, "ada")
    await there.settled()
    here, cards = side_by_side[0], [Card(side_by_side[0]), Card(there)]

    asking = asyncio.create_task(fl.ask("ada", "Deploy?", severity="danger", timeout=60))
    for card in cards:
        await card.shown()
    about = await cards[1].text(".about"), await cards[1].text(".message")
    countdown = await cards[1].text(".countdown")
    await cards[0].write("[name=feedback]", "carefully")
    await cards[0].click("Proceed")
    answer = await answered(asking)

    await cards[0].gone("“Deploy?” was answered by you: Proceed")
    await cards[1].gone("“Deploy?” was answered by you")
    assert (answer.proceed, answer.feedback, answer.choice) == (True, "carefully", "proceed")
    assert about == ("danger", "Deploy?")
    assert countdown in ("stops by itself in 1:00", "stops by itself in 0:59")
    assert here.page.complaints == other_page.complaints == []


async def test_whoever_was_faster_is_named(side_by_side: Pair, fl: Backend) -> None:
    ada, ben = map(Card, side_by_side)

    asking = asyncio.create_task(fl.ask(["ada", "ben"], "Who?"))
    await ada.shown()
    await ben.shown()
    await ben.click("Stop")

    await ada.gone("“Who?” was answered by ben")
    assert (await answered(asking)).responded_by == "ben"


async def test_what_a_question_holds_is_shown_as_text(side_by_side: Pair, fl: Backend) -> None:
    schema = {
        "type": "object",
        "title": HOSTILE,
        "properties": {
            HOSTILE: {"type": "string", "title": HOSTILE, "description": HOSTILE, "default": HOSTILE},
            "__proto__": {"type": "string", "enum": [HOSTILE], "enumNames": [HOSTILE]},
        },
    }
    choices = [{"value": "go", "label": HOSTILE}, {"value": "stop", "label": "Stop", "proceed": False}]
    card, other = map(Card, side_by_side)

    begun = await fl.begin_ask("ada", HOSTILE, schema=schema, choices=choices)
    shown = fl.notify_user({"step": HOSTILE, "result": {HOSTILE: HOSTILE}}, "ben", "t-1", HOSTILE, message=HOSTILE)
    task = asyncio.create_task(shown)
    await card.shown()
    await other.shown()
    texts = [await card.text(part) for part in (".message", ".form label span", ".form small", ".choices button")]
    result = await other.text(".result")
    await card.click(HOSTILE)
    await card.gone(f"“{HOSTILE}” was answered by you: {HOSTILE}")
    await other.click("Stop")
    await answered(task)
    answer = await fl.answer_to(begun.callback_id)

    assert texts == [HOSTILE, f"{HOSTILE} (optional)", HOSTILE, HOSTILE]
    assert json.loads(result) == {HOSTILE: HOSTILE}
    assert answer is not None and answer.content == {HOSTILE: HOSTILE}
    page = side_by_side[0].page
    assert await page.evaluate("document.title") == TITLE
    assert page.complaints == []


async def test_a_form_says_what_is_wrong_until_it_is_right(side_by_side: Pair, fl: Backend) -> None:
    card, page = Card(side_by_side[0]), side_by_side[0].page

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
    answer = await answered(asking)

    assert answer.content == {"vlan": 7, "site": "muc", "dry": True, "at": "2026-12-01", "share": 0.5}
    await card.gone("“Which?” was answered by you: Proceed")


async def test_whoever_stops_need_not_fill_in_the_form_but_say_why_if_asked_to(side_by_side: Pair, fl: Backend) -> None:
    card, page = Card(side_by_side[0]), side_by_side[0].page

    asking = asyncio.create_task(fl.ask("ada", "Which?", schema=FORM, feedback="required_on_stop"))
    await card.shown()
    await card.click("Stop")
    assert await page.evaluate("document.activeElement === document.querySelector('.question [name=feedback]')")
    await card.write("[name=feedback]", "not today")
    await card.click("Stop")
    answer = await answered(asking)

    assert (answer.proceed, answer.feedback, answer.content) == (False, "not today", None)


async def test_a_question_that_nobody_answers_closes_itself(side_by_side: Pair, fl: Backend) -> None:
    ada = side_by_side[0]

    asking = asyncio.create_task(fl.ask("ada", "Now?", timeout=2, feedback="none"))
    await Card(ada).shown()
    hidden = await ada.evaluate("root.querySelector('.question [name=feedback]').offsetHeight")
    countdown = await Card(ada).text(".countdown")

    assert (hidden, countdown) == (0, "goes on by itself in 0:02")
    await Card(ada).gone("“Now?” was not answered in time")
    assert (await asking).status == "timed_out"


async def test_questions_survive_the_replica_and_are_shown_once(
    side_by_side: Pair, pair: list[Replica], fl: Backend
) -> None:
    ben = side_by_side[1]
    card = Card(ben)
    begun = [await fl.begin_ask("ben", text) for text in ("Stays?", "Goes?")]
    await card.shown(2)
    await card.write("[name=feedback]", "half a sentence")

    pair[1].kill()
    await ben.lost()
    assert await fl.cancel_ask(begun[1].callback_id)
    pair[1].start()
    await ben.connected()

    await card.shown(1)
    assert await ben.evaluate("root.querySelector('.question [name=feedback]').value") == "half a sentence"
    await card.click("Proceed")
    await card.gone("“Stays?” was answered by you: Proceed")
    assert await ben.told("“Goes?” ")
    answer = await fl.answer_to(begun[0].callback_id)
    assert answer is not None and answer.feedback == "half a sentence"


async def test_an_answer_that_is_given_while_the_connection_is_lost_counts_when_it_is_back(
    side_by_side: Pair, fl: Backend
) -> None:
    ada = side_by_side[0]
    asking = asyncio.create_task(fl.ask("ada", "Offline?"))
    await Card(ada).shown()

    await ada.break_it("offline")
    await ada.lost()
    await Card(ada).click("Stop")
    answer = await asyncio.wait_for(asking, 15)

    assert answer.proceed is False
    await Card(ada).gone("“Offline?” was answered by you: Stop")


async def test_a_page_that_is_loaded_later_shows_what_is_open(page: Page, pair: list[Replica], fl: Backend) -> None:
    begun = await fl.begin_ask("ada", "Waiting for you?")
    await page.open(f"{pair[0].http}/demo?user=ada")
    ada = Window(page, "ada")

    await Card(ada).shown()
    assert await fl.cancel_ask(begun.callback_id)
    await Card(ada).gone("“Waiting for you?” was taken back")


async def test_a_keyboard_is_enough(side_by_side: Pair, fl: Backend) -> None:
    card, page = Card(side_by_side[0]), side_by_side[0].page

    asking = asyncio.create_task(fl.ask("ada", "Keys?"))
    await card.shown()
    await page.evaluate("document.querySelector('.question [name=feedback]').focus()")
    await page.command("Input.insertText", text="typed")
    await page.press("Enter", code=13)  # which is not yet an answer
    await page.press("Tab", code=9)
    await page.press("Tab", code=9)
    assert await page.evaluate("document.activeElement.textContent") == "Stop"
    await page.press("Enter", code=13)
    answer = await answered(asking)

    assert (answer.proceed, answer.feedback) == (False, "typed")
    await card.gone("“Keys?” was answered by you: Stop")
    await page.until("document.activeElement.name === 'text'")


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True), (320, False)])
async def test_questions_fit_the_window(page: Page, pair: list[Replica], fl: Backend, width: int, dark: bool) -> None:
    long = "W" * 300
    schema = {"type": "object", "properties": {long: {"type": "string", "enum": [long]}}}
    begun = await fl.begin_ask("ada", long, schema=schema, choices=[{"value": "go", "label": long[:256]}])
    await page.open(f"{pair[0].http}/demo?user=ada", width=width, dark=dark)
    ada = Window(page, "ada")
    await Card(ada).shown()

    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    rights = "[...document.querySelectorAll('.question *')].map((part) => part.getBoundingClientRect().right)"
    assert await page.evaluate(f"Math.max(...{rights})") <= width
    assert await fl.cancel_ask(begun.callback_id)
    await Card(ada).shown(0)


async def test_the_task_that_a_question_is_about_is_watched_until_it_ends(
    side_by_side: Pair, pair: list[Replica], fl: Backend
) -> None:
    ada = side_by_side[0]
    await fl.update_task("t-7", owner="ada", progress=20, current_device=HOSTILE, total_devices=5, completed_devices=1)
    begun = await fl.begin_ask("ada", "Go on with it?", task_id="t-7")
    row = "root.querySelector('[data-task=t-7]')"
    await ada.until(f"{row}?.querySelector('.percent')?.textContent === '20 %'")
    how = await ada.text("[data-task=t-7] .how span")

    pair[0].kill()
    await fl.update_task("t-7", progress=60)
    pair[0].start()
    await ada.connected()
    await ada.until(f"{row}.querySelector('.percent').textContent === '60 %'")
    await Card(ada).shown()
    await ada.press("Cancel")
    await Card(ada).gone("“Go on with it?” was taken back")

    assert how == f"{HOSTILE} · 1 of 5"
    assert await ada.told("Task t-7 was cancelled")
    await ada.until(f"{row}.querySelector('.badge').textContent === 'cancelled'")
    outcome = await fl.answer_to(begun.callback_id)
    assert outcome is not None and outcome.status == "cancelled"
    assert await ada.page.evaluate("document.title") == TITLE
