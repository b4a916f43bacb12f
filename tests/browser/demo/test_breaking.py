"""``fairlead dev``: what the page can break, on two replicas side by side, and what recovery makes of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.browser.demo.window import Window
from tests.cli.test_dev import Dev, running
from tests.support.browser import BINARY, Page

pytestmark = pytest.mark.skipif(BINARY is None, reason="chromium is not installed")

Pair = tuple[Window, Window]


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    with running(tmp_path_factory.mktemp("runtime")) as it:
        yield it


@pytest.fixture
async def windows(dev: Dev, page: Page) -> AsyncIterator[Pair]:
    await page.open(dev.facts["pages"][0], width=1440)
    ada, ben = Window(page, "ada"), Window(page, "ben")
    for window in (ada, ben):
        await window.settled()
    yield ada, ben


async def test_each_is_on_a_replica_of_its_own_and_sees_the_other(windows: Pair, dev: Dev) -> None:
    ada, ben = windows
    ports = [page.rstrip("/").rpartition(":")[2] for page in dev.facts["pages"]]

    await ada.press("Say hello")
    await ada.page.until("document.querySelectorAll('.road .dot.word').length > 2")  # on its way, for all to see
    await ben.hears("Hello!")
    await ada.marked("Hello!", "read")

    assert [await window.evaluate(window.replica) for window in windows] == [f"dev-{port}" for port in ports]
    origins = {page.rstrip("/") for page in dev.facts["pages"]}
    origins |= {origin.replace("http", "ws") for origin in origins}
    assert {url.rsplit("/", url.count("/") - 2)[0] for url in ada.page.requests if "about:" not in url} <= origins
    assert ada.page.complaints == []


async def test_a_line_that_is_cut_is_mended_and_nothing_was_missed(windows: Pair) -> None:
    ben = windows[1]

    await ben.break_it("drop")

    told = await ben.told("Back after")
    await ben.connected()
    assert "nothing was missed" in told or "all here, in order" in told


async def test_what_is_written_without_the_network_goes_out_later_in_its_order(windows: Pair) -> None:
    ada, ben = windows
    await ben.break_it("offline")
    await ben.until("root.querySelector('.state').textContent.includes('offline')")

    for text in ("first", "second", "third"):
        await ben.say(text)
        await ben.marked(text, "waiting")
    assert "third" not in await ada.lines()
    await ada.hears("third")

    await ben.marked("third", "read")
    assert (await ada.lines())[-3:] == ["first", "second", "third"]
    assert await ben.evaluate("!!root.querySelector('.strand.loose')") is False


async def test_all_that_is_said_while_somebody_is_away_is_there_when_he_is_back(windows: Pair) -> None:
    ada, ben = windows
    await ben.break_it("away")
    await ben.lost()
    await ada.hears("Message 20 of 20")

    told = await ben.told("Back after")
    await ben.hears("Message 20 of 20")

    assert "20 messages" in told and told.endswith("missed, all here, in order.")
    said = [line for line in await ben.lines() if line.startswith("Message ")]
    assert said[-20:] == [f"Message {number} of 20" for number in range(1, 21)]


async def test_a_replica_that_is_killed_is_started_again_and_its_window_comes_back(windows: Pair, dev: Dev) -> None:
    ada, ben = windows
    before = dev.all_processes()
    refused = "try again in"
    deadline = time.monotonic() + 30

    await ben.break_it("kill")
    while "was killed" not in await ben.text(".news"):
        # It has only just begun, and says so.
        assert time.monotonic() < deadline
        if refused in await ben.text(".news"):
            await ben.break_it("kill")
    await ben.lost()
    for number in range(5):
        await ada.say(f"without you {number}")
    await ben.connected()

    await ben.told("5 messages missed, all here, in order.")
    assert (await ben.lines())[-5:] == [f"without you {number}" for number in range(5)]
    assert await ada.evaluate("!!root.querySelector('.state.open')")
    after = dev.all_processes()
    assert len(after) == len(before) and len(set(before) - set(after)) == 1
    assert dev.process.poll() is None
