"""Ada and ben in two browsers, behind a real Nginx and three replicas: what one does the other sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import pytest_asyncio

import fairlead
from tests.browser.demo.window import Card, Window, disconnected
from tests.support import nginx
from tests.support.browser import BINARY, Page
from tests.support.nginx import Nginx
from tests.support.redis import free_port
from tests.support.replica import Replica

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(BINARY is None, reason="chromium is not installed"),
    pytest.mark.skipif(nginx.BINARY is None, reason="nginx is not installed"),
]

Pair = tuple[Window, Window]


class Harbour:
    """Three replicas behind Nginx; all that a browser is told of is the address of Nginx."""

    def __init__(self, stack: ExitStack, redis_url: str) -> None:
        self.prefix = f"t{uuid4().hex[:12]}"
        ports = [free_port() for _ in range(3)]
        self.nginx = Nginx(ports)
        origin = self.nginx.http
        self.replicas = [
            Replica(
                redis_url,
                self.prefix,
                name=f"r{at}",
                port=port,
                demo=f"http://127.0.0.1:{port}",
                allowed_origins=origin,
            )
            for at, port in enumerate(ports, 1)
        ]
        for replica in self.replicas:
            stack.callback(replica.close)
            replica.launch()
        for replica in self.replicas:
            replica.wait_ready()
        stack.enter_context(self.nginx)

    def of(self, name: str) -> Replica:
        (found,) = [replica for replica in self.replicas if replica.name == name]
        return found


@pytest.fixture(scope="module")
def harbour(redis_url: str) -> Iterator[Harbour]:
    with ExitStack() as stack:
        yield Harbour(stack, redis_url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browsers(harbour: Harbour) -> AsyncIterator[Pair]:
    """Ada and ben, each in a browser of their own, who see each other."""
    async with Page() as one, Page() as other:
        ada, ben = Window(one, "ada"), Window(other, "ben")
        for window in (ada, ben):
            await window.page.open(f"{harbour.nginx.http}/demo?user={window.user}")
            await window.settled()
        await ada.until("root.querySelectorAll('.crew .here').length === 2")
        yield ada, ben


@pytest_asyncio.fixture(loop_scope="module")
async def windows(browsers: Pair, harbour: Harbour) -> AsyncIterator[Pair]:
    """The two, connected, in the lobby, on two replicas."""
    ada, ben = browsers
    for window in browsers:
        window.page.complaints.clear()
        await window.settled()
        await window.show("lobby")
    async with asyncio.timeout(30):
        while await ada.evaluate(ada.replica) == await ben.evaluate(ben.replica):
            # Nginx takes the one with the fewest connections; once more, until that is another one.
            await ben.break_it("drop")
            await ben.lost()
            await ben.connected()
    yield ada, ben
    for window in browsers:
        asked = {urlsplit(url).netloc for url in window.page.requests if not url.startswith("about:")}
        assert asked == {urlsplit(harbour.nginx.http).netloc}, "it has asked somebody else"


async def test_what_is_said_is_seen_marked_and_counted(windows: Pair) -> None:
    ada, ben = windows

    await ada.say("hello ben")
    await ben.hears("hello ben")
    await ada.marked("hello ben", "read")
    await ben.show("network")
    await ada.say("are you there?")
    await ada.marked("are you there?", "sent")
    await ben.until("root.querySelector('[id$=lobby-tab] .count')?.firstChild.textContent === '1'")
    await ben.show("lobby")

    await ada.marked("are you there?", "read")
    await ben.until("!root.querySelector('.count')")
    assert await ada.lines("mine") == await ben.lines("theirs")
    assert ada.page.complaints == ben.page.complaints == []


async def test_whoever_types_is_seen_typing_until_it_is_said(windows: Pair) -> None:
    ada, ben = windows
    typing = "root.querySelector('.typing').textContent"

    await ada.type("well…")
    await ben.until(f"{typing}.includes('ada is typing')")
    await ada.say("well…")

    await ben.hears("well…")
    await ben.until(f"{typing}.trim() === ''")


async def test_a_question_that_one_answers_closes_for_the_other(windows: Pair) -> None:
    ada, ben = windows

    await ada.press("Ask everybody")
    for window in windows:
        await Card(window).shown()
    countdown = await Card(ben).text(".countdown")
    await Card(ben).click("Proceed")

    await Card(ada).gone("“Deploy to production?” was answered by ben")
    await Card(ben).gone("“Deploy to production?” was answered by you: Proceed")
    await ada.until("root.querySelector('.notice.success')?.textContent.includes('ben said go on')")
    assert countdown in ("stops by itself in 0:20", "stops by itself in 0:19")


async def test_both_count_at_once_and_no_step_is_lost(windows: Pair) -> None:
    ada, ben = windows
    count = "Number(root.querySelector('[data-fact=count]').textContent)"
    version = "root.querySelector('[data-fact=version]').textContent"
    before = await ada.evaluate(count)

    more = "for (let n = 0; n < 5; n += 1) root.querySelector('[aria-label=\"One more\"]').click()"
    await asyncio.gather(*(window.evaluate(f"{{ {more} }}") for window in windows))
    for window in windows:
        await window.until(f"{count} === {before + 10}")
    await ben.press("moss")

    await ada.until("!!root.querySelector('output.moss')")
    assert await ada.evaluate(version) == await ben.evaluate(version)
    assert ada.page.complaints == ben.page.complaints == []


async def test_a_task_is_seen_by_both_and_cancelled_by_whom_it_is_for(windows: Pair) -> None:
    ada, ben = windows

    await ada.press("Start a task")
    for window in windows:
        await window.until("root.querySelector('.task .how')?.textContent.includes('switch-0')")
        await Card(window).shown()
    assert await ben.evaluate("root.querySelectorAll('.task button').length") == 0
    await ada.press("Cancel")

    for window in windows:
        await window.until("root.querySelector('.task .badge')?.textContent === 'cancelled'")
        await Card(window).gone("was taken back")


async def test_notifications_are_as_loud_as_they_are_urgent_and_go_when_they_may(windows: Pair) -> None:
    ada = windows[0]
    shown = "[...root.querySelectorAll('.notice')].map((one) => one.classList[1])"

    for kind in ("info", "success", "warning", "error", "urgent"):
        await ada.notify(kind)
        await ada.until(f"{shown}.includes('{kind}')")
    loud = await ada.evaluate("[...root.querySelectorAll('[role=alert] .notice')].map((one) => one.classList[1])")
    link = await ada.evaluate("root.querySelector('.notice.urgent a').getAttribute('href')")
    await ada.until(f"!{shown}.includes('info') && !{shown}.includes('success')", 15)

    assert sorted(loud) == ["error", "urgent"]
    assert link == "/demo"
    for title in ("Link down in Frankfurt", "switch-05 does not answer", "Disk is filling up"):
        await ada.press(f"Close “{title}”")
    await ada.until(f"{shown}.length === 0")


async def test_what_a_backend_says_is_shown_as_text_whatever_it_holds(
    windows: Pair, harbour: Harbour, redis_url: str
) -> None:
    ada = windows[0]
    evil = "<img src=x onerror=document.title='owned'>"

    async with fairlead.connect(redis_url, prefix=harbour.prefix) as backend:
        await backend.send_to_session("lobby", {"type": "new_message", "content": evil})
    await ada.hears(evil)

    assert await ada.page.evaluate("document.title") == "Fairlead: the demonstration"
    assert ada.page.complaints == []


async def test_when_its_replica_is_killed_a_window_is_back_on_another_and_has_everything_in_order(
    windows: Pair, harbour: Harbour
) -> None:
    ada, ben = windows
    victim = harbour.of(await ben.evaluate(ben.replica))
    texts = [f"number {number}" for number in range(40)]

    async def talk() -> None:
        for text in texts:
            await ada.say(text)
            await asyncio.sleep(0.02)

    talking = asyncio.create_task(talk())
    await ben.hears(texts[5])
    victim.kill()
    await ben.lost()
    await ben.say("I am still here")
    await talking
    await ben.connected()

    await ben.hears(texts[-1])
    await ada.hears("I am still here")
    told = await ben.told("all here, in order")
    heard = [line for line in await ben.lines("theirs") if line.startswith("number ")]
    back = await ben.evaluate(ben.replica)
    victim.start()
    assert heard == texts
    assert back != victim.name and told.startswith(f"Back on {back} after ")
    assert ada.page.complaints == []
    refused = [line for line in ben.page.complaints if "WebSocket connection" not in line]
    assert refused == [], "nothing but the end of the socket may be complained of"


async def test_whoever_is_disconnected_for_good_is_told_why_and_can_come_again(windows: Pair, harbour: Harbour) -> None:
    ben = windows[1]

    await disconnected(harbour.replicas[0], "ben", "for a test")
    await ben.until("root.querySelector('.state.stopped')?.textContent.includes('4003 kicked for a test')")
    await ben.press("Connect again")

    await ben.connected()
    await windows[0].say("welcome back")
    await ben.hears("welcome back")


async def test_a_page_that_is_loaded_again_goes_on_where_it_was(windows: Pair, harbour: Harbour) -> None:
    ada, ben = windows
    await ada.say("before")
    await ben.hears("before")

    await ben.page.open(f"{harbour.nginx.http}/healthz")
    await ada.say("meanwhile")
    await ada.marked("meanwhile", "sent")
    await ben.page.open(f"{harbour.nginx.http}/demo?user=ben")

    await ben.settled()
    await ben.hears("meanwhile")
    assert (await ben.lines("theirs"))[-2:] == ["before", "meanwhile"]


async def test_who_comes_later_is_shown_what_was_said_before(windows: Pair, harbour: Harbour) -> None:
    ada, ben = windows
    for number in range(3):
        await ada.say(f"before you came {number}")
        await ben.hears(f"before you came {number}")

    async with Page() as tab:
        cleo = Window(tab, "cleo")
        await tab.open(f"{harbour.nginx.http}/demo?user=cleo")
        await cleo.hears("before you came 2")
        await ada.say("and now?")
        await cleo.hears("and now?")
        shown = await cleo.lines()
        unread = await cleo.text("[id$=lobby-tab] .count")
        complaints = list(tab.complaints)

    said = [f"before you came {number}" for number in range(3)] + ["and now?"]
    assert [line for line in shown if line in said] == said, "in order, and each once"
    assert (unread, complaints) == ("", [])


async def test_what_both_say_at_once_has_the_same_order_in_both(windows: Pair) -> None:
    ada, ben = windows
    said = [f"at once {number}" for number in range(8)]
    for number, text in enumerate(said):
        await (ben if number % 2 else ada).say(text)
    for text in said[::2]:
        await ben.hears(text)
        await ada.marked(text, "read")
    for text in said[1::2]:
        await ada.hears(text)
        await ben.marked(text, "read")

    shown = "[...root.querySelectorAll('.said .text')].map((line) => line.textContent)"
    orders = [[text for text in await window.evaluate(shown) if text in said] for window in windows]

    assert orders[0] == orders[1]
    assert sorted(orders[0]) == said
