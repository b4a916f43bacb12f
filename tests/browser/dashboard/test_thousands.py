"""The dashboard before a fleet of some size: it shows what the clients have counted, and steers it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator

import pytest

import fairlead
from tests.browser.dashboard.conftest import Dashboard
from tests.browser.dashboard.test_fleet import FIGURES
from tests.support.browser import BINARY
from tests.support.recorder import Recorder, recording, talk, until_quiet
from tests.support.replica import Replica, replicas

pytestmark = pytest.mark.skipif(BINARY is None, reason="chromium is not installed")

CLIENTS = 2_000 if os.environ.get("FAIRLEAD_TEST_SCALE") else 150
ROOMS = 25
TOGETHER = 50
LEASE_SECONDS = 10.0
OWN_MESSAGES = 100
"""What the page itself may have been told meanwhile: its figures, each second."""

SEEN_SECONDS = 12.0
"""How long a replica that was killed may look alive."""


@pytest.fixture
def trio(redis_url: str, prefix: str) -> Iterator[list[Replica]]:
    with replicas(3, redis_url, prefix, lease_seconds=LEASE_SECONDS, rate_messages_per_second=0) as fleet:
        yield fleet


async def fill(recorder: Recorder, fleet: list[Replica]) -> None:
    """Everybody sits down, replica by replica and room by room."""
    for start in range(0, CLIENTS, TOGETHER):
        numbers = range(start, min(start + TOGETHER, CLIENTS))
        await asyncio.gather(*(recorder.sit(fleet[n % 3], f"user-{n:04}", f"room-{n % ROOMS}") for n in numbers))


@pytest.mark.timeout(400)
async def test_what_it_shows_is_what_clients_have_counted_and_what_it_does_is_done(
    dashboard: Dashboard, trio: list[Replica], redis_url: str, prefix: str
) -> None:
    async with recording() as recorder, fairlead.connect(redis_url, prefix=prefix) as fl:
        await fill(recorder, trio)
        await talk(recorder, 1)
        counted = await until_quiet(recorder, trio[1])
        assert counted["messages_sent"] > CLIENTS * CLIENTS // ROOMS // 2

        await dashboard.open(trio[0], width=1440, height=900)
        for _ in range(5):
            await asyncio.gather(*(fl.send_to_session(f"room-{n}", {"type": "tick"}) for n in range(ROOMS)))
        await recorder.read_everything()
        await shows_what_is_counted(dashboard, recorder)

        (victim,) = (seat for seat in recorder.seats if seat.user == "user-0001")
        assert victim.replica is trio[1]
        await disconnect(dashboard, victim.user)
        assert (await victim.client.closed())[0] == 4003

        killed = time.monotonic()
        trio[2].kill()
        await dashboard.go("overview")
        await dashboard.page.until("!!document.querySelector('.fleet li.dead')", SEEN_SECONDS)
        assert time.monotonic() - killed < SEEN_SECONDS
        alive = sum(seat.replica is not trio[2] for seat in recorder.seats)
        await dashboard.page.until(f"({FIGURES}).total_connections === {alive}", 30)
        assert dashboard.page.complaints == []


async def disconnect(dashboard: Dashboard, user: str) -> None:
    await dashboard.go("connections")
    await dashboard.write(".search", user)
    await dashboard.click("tbody tr", user)
    await dashboard.click(".sheet button", "Disconnect…")
    await dashboard.write(".box [name=reason]", "enough")
    await dashboard.click(".box button", "Disconnect")


async def shows_what_is_counted(dashboard: Dashboard, recorder: Recorder) -> None:
    """Wait until the page shows what clients have counted, and itself: it is a connection, and its figures messages."""
    told = recorder.ten
    for name in ("total_connections", "active_connections", "active_users", "total_user_connections"):
        told[name] += 1
    heard = told.pop("messages_sent")
    deadline = time.monotonic() + 20
    while True:
        shown = await dashboard.page.evaluate(FIGURES)
        extra = shown.pop("messages_sent") - heard
        if shown == told and 0 < extra < OWN_MESSAGES:
            return
        assert time.monotonic() < deadline, f"shown {shown} and {extra} messages more, counted {told}"
        await asyncio.sleep(0.1)
