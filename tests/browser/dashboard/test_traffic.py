"""Messages, tasks and questions on the dashboard, while they happen."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.backend.backend import Backend
from tests.browser.dashboard.conftest import Dashboard
from tests.support.browser import BINARY
from tests.support.client import connected
from tests.support.replica import Replica

pytestmark = pytest.mark.skipif(BINARY is None, reason="chromium is not installed")

SHOWN = "[...document.querySelectorAll('.stream b')].map((place) => place.textContent)"


async def test_messages_appear_are_filtered_and_held_back(
    dashboard: Dashboard, fleet: list[Replica], fl: Backend
) -> None:
    page = dashboard.page
    async with connected(fleet[1].url, "ada"):
        await dashboard.open(fleet[0], "live")
        await dashboard.write("[name=events]", "")
        await dashboard.write("[name=types]", "price_* notice")
        await until_shown(dashboard, fl, "notice")

        await dashboard.click(".head button", "Pause")
        await fl.send_to_user("ada", {"type": "price_low", "content": 1})
        await fl.send_to_user("ada", {"type": "other", "content": 2})
        await dashboard.shows("waiting)", ".head")
        assert "price_low" not in await page.evaluate(SHOWN)
        await dashboard.click(".head button", "Go on")
        await page.until(f"{SHOWN}[0] === 'price_low'")
        assert "other" not in await page.evaluate(SHOWN)

        await dashboard.click(".stream button", "price_low")
        await dashboard.shows("user:ada", ".sheet")
        assert '"content": 1' in await dashboard.text(".sheet pre")
        assert page.complaints == []


async def test_more_than_was_asked_for_is_left_out_and_counted(
    dashboard: Dashboard, fleet: list[Replica], fl: Backend
) -> None:
    async with connected(fleet[1].url, "ada") as ada:
        reading = asyncio.create_task(ada.until(lambda frame: frame.get("content") == "the last"))
        await dashboard.open(fleet[0], "live")
        await dashboard.write("[name=events]", "")
        await dashboard.write("[name=types]", "notice")
        await dashboard.write("[type=range]", "1")
        await dashboard.shows("At most 1 a second")
        await until_shown(dashboard, fl, "notice")
        for _ in range(40):
            await fl.send_to_user("ada", {"type": "notice"})
        await fl.send_to_user("ada", {"type": "notice", "content": "the last"})
        await asyncio.wait_for(reading, 10)

        await dashboard.page.until("parseInt(document.querySelector('[data-dropped]').textContent) > 20")


async def until_shown(dashboard: Dashboard, fl: Backend, kind: str) -> None:
    """Say something until it is shown: from then on the filter holds on every replica."""
    async with asyncio.timeout(15):
        while kind not in await dashboard.page.evaluate(SHOWN):
            await fl.send_to_user("ada", {"type": kind, "content": "hello"})
            await asyncio.sleep(0.2)


async def test_a_question_is_answered_as_admin(dashboard: Dashboard, fleet: list[Replica], fl: Backend) -> None:
    asking = asyncio.create_task(fl.ask("ada", "Deploy?", severity="danger", timeout=60, on_timeout="stop"))
    await dashboard.open(fleet[0], "questions")
    await dashboard.shows("Deploy?", ".question:has(.bad)")
    await dashboard.shows("stops by itself in", ".question:has(.bad)")
    await dashboard.click(".question:has(.bad) button", "Answer")
    await dashboard.shows("kept in the audit", ".sheet")
    await dashboard.write(".sheet [name=feedback]", "seen to")
    await dashboard.click(".sheet .answer button")
    answer = await asyncio.wait_for(asking, 10)

    assert (answer.proceed, answer.responded_by, answer.feedback) == (True, "ops", "seen to")
    await dashboard.page.until("!document.querySelector('.question .bad')")


async def test_a_task_shows_how_far_it_is_and_is_cancelled(
    dashboard: Dashboard, fleet: list[Replica], fl: Backend
) -> None:
    await fl.update_task("upgrade", status="running", progress=40, current_device="switch-7", message="copying")
    await dashboard.open(fleet[0], "tasks")
    await dashboard.shows("40 %", "[data-task=upgrade]")
    await fl.update_task("upgrade", progress=55)
    await dashboard.shows("55 %", "[data-task=upgrade]")
    await dashboard.click("[data-task=upgrade] button", "Cancel…")
    await dashboard.click(".box button", "Cancel the task")

    await dashboard.page.until("!document.querySelector('[data-task=upgrade]')")


async def test_the_playground_is_a_client_like_any_other(
    dashboard: Dashboard, fleet: list[Replica], fl: Backend
) -> None:
    frames = "[...document.querySelectorAll('.frames-list li')].map((line) => [line.className, line.textContent])"
    await dashboard.open(fleet[0], "playground")
    await dashboard.click(".playground button", "Connect")
    await dashboard.shows("open", ".head .badge")
    await dashboard.click(".playground button", "Send")
    await dashboard.shows("pong", ".frames-list")
    await dashboard.click(".playground button", "Close")
    await dashboard.shows("closed", ".head .badge")
    await fl.send_to_user("ops", {"type": "notice", "content": "while you were away"})
    await dashboard.click(".playground button", "Connect")

    await dashboard.shows("while you were away", ".frames-list")
    assert {kind for kind, _ in await dashboard.page.evaluate(frames)} == {"in", "out", "note"}
