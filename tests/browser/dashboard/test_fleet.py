"""The dashboard shows the fleet as it is, and what is done there happens on every replica."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack

import pytest

from fairlead.state.statistics import TEN
from tests.browser.dashboard.conftest import LEASE_SECONDS, Dashboard
from tests.support.browser import BINARY
from tests.support.client import connected
from tests.support.replica import Replica
from tests.support.rest import rest

pytestmark = pytest.mark.skipif(BINARY is None, reason="chromium is not installed")

FIGURES = """Object.fromEntries([...document.querySelectorAll("[data-figure]")].map((place) =>
  [place.dataset.figure, Number(place.dataset.value ?? place.textContent.replaceAll(",", ""))]))"""


async def test_the_figures_are_those_of_the_interface(dashboard: Dashboard, fleet: list[Replica]) -> None:
    async with AsyncExitStack() as stack:
        for number in range(9):
            url = fleet[number % 3].url + ("/chat/session/lobby" if number % 2 else "")
            await stack.enter_async_context(connected(url, f"user-{number % 5}"))
        await dashboard.open(fleet[0])
        interface = await stack.enter_async_context(rest(fleet[1]))

        async with asyncio.timeout(20):
            while True:
                shown = await dashboard.page.evaluate(FIGURES)
                told = await interface.get("/stats")
                if shown == {name: told[name] for name in TEN} and shown["total_connections"] == 10:
                    break
                await asyncio.sleep(0.1)

        assert (shown["active_users"], shown["active_sessions"], shown["total_session_connections"]) == (6, 1, 4)
        assert await dashboard.text("nav a[aria-current=page]") == "Overview"
        assert await dashboard.text(".head .about") == "10 connections of 6 users on 3 replicas"
        assert dashboard.page.complaints == []


async def test_whoever_is_disconnected_there_is_gone_on_another_replica(
    dashboard: Dashboard, fleet: list[Replica]
) -> None:
    async with connected(fleet[2].url, "mallory") as mallory, connected(fleet[1].url, "ben"):
        await dashboard.open(fleet[0], "connections")
        await dashboard.write(".search", "mall")
        await dashboard.page.until("document.querySelectorAll('tbody tr').length === 1")
        await dashboard.click("tbody tr", "mallory")
        await dashboard.click(".sheet button", "Disconnect…")
        await dashboard.write(".box [name=reason]", "stolen token")
        await dashboard.click(".box button", "Disconnect")

        assert await mallory.closed() == (4003, "kicked: stolen token")
        await dashboard.shows("Nobody is like that", "main")
        assert await dashboard.page.evaluate("document.querySelectorAll('dialog').length") == 0
    await dashboard.go("history?user_id=mallory")
    await dashboard.shows("stolen token", "tbody")
    await dashboard.go("history?what=audit")
    await dashboard.shows("ops", "tbody")


async def test_a_ping_is_a_round_trip_and_a_message_arrives(dashboard: Dashboard, fleet: list[Replica]) -> None:
    async with connected(fleet[1].url, "carla") as carla:
        await dashboard.open(fleet[0], "users/carla")
        await dashboard.click(".sheet button", "Ping all now")
        await dashboard.shows("1 of 1 answered.", ".toasts")
        await dashboard.write(".sheet [name=message]", json.dumps({"type": "notice", "content": "hello carla"}))
        await dashboard.click(".sheet form button", "Send")

        assert (await carla.until("notice"))["content"] == "hello carla"
        await dashboard.shows("Sent;", ".sheet output")


async def test_the_state_of_an_instance_is_a_tree(dashboard: Dashboard, fleet: list[Replica]) -> None:
    async with connected(fleet[1].url + "/instance/counter", "dora"), rest(fleet[0], role="operator") as interface:
        await interface.post("/instances/counter/patch", {"patch": {"state.count": 41, "state.name": "ü"}})
        await dashboard.open(fleet[2], "instances")
        await dashboard.click("tbody tr", "counter")

        await dashboard.shows("count 41", ".sheet .tree")
        await dashboard.shows("Readers1", ".sheet .facts")


async def test_a_killed_replica_turns_red_and_its_connections_go(dashboard: Dashboard, fleet: list[Replica]) -> None:
    dead = "document.querySelector('.fleet li.dead')?.dataset.replica"
    async with connected(fleet[0].url, "ada"), connected(fleet[2].url, "ben"), connected(fleet[2].url, "emre"):
        await dashboard.open(fleet[0])
        await dashboard.page.until(f"({FIGURES}).total_connections === 4")
        killed = time.monotonic()
        fleet[2].kill()
        try:
            await dashboard.page.until(dead)
            seconds = time.monotonic() - killed
            name = await dashboard.page.evaluate(dead)
            await dashboard.page.until(f"({FIGURES}).total_connections === 2")
            await dashboard.go("connections")
            await dashboard.page.until("document.querySelectorAll('tbody tr').length === 2")
        finally:
            fleet[2].start()

    assert name.startswith(fleet[2].name)
    assert seconds < LEASE_SECONDS + 2


async def test_a_lost_replica_is_said_to_be_lost_and_found_again(dashboard: Dashboard, fleet: list[Replica]) -> None:
    await dashboard.open(fleet[1])

    fleet[1].kill()
    await dashboard.shows("Connection lost", ".line")
    fleet[1].start()

    await dashboard.page.until("!!document.querySelector('.line.open')")
