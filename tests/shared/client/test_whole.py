"""What is asked where a channel is not whole, and where a frame has no room for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fairlead import Client, Position, Recovery
from tests.clients.scripted import OWN, Scripted, at, note

pytestmark = pytest.mark.usefixtures("nothing_left")

SECONDS = 15.0


async def until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not check():
            await asyncio.sleep(0.005)


def client(gateway: Scripted, **options: Any) -> Client:
    return Client(gateway.url, token="t", **{"backoff_min": 0.02, "backoff_max": 0.2, **options})


async def test_channels_beyond_the_first_frame_are_asked_for_without_those_that_are_not_allowed(
    gateway: Scripted,
) -> None:
    names = [f"device:{number}" for number in range(150)]
    told: dict[str, Recovery] = {}
    one = client(gateway, positions={name: Position(1, "e.1") for name in names})
    one.on_recovered(lambda recovery: told.update({recovery.channel: recovery}))
    connecting = asyncio.create_task(one.connect())
    line = await gateway.next()
    first = (await line.hears("connect"))["recover"]
    await line.greet(channels={name: at(1, recovered=True) for name in first})
    refused = await line.hears("subscribe")
    await line.fail(refused, "forbidden", channels=["device:120"])
    asked = await line.hears("subscribe")
    await line.reply(asked, channels={name: at(1, recovered=True) for name in asked["channels"]})
    await connecting
    await until(lambda: len(told) == 150)

    assert (list(first), refused["channels"]) == (names[:100], names[100:])
    assert set(asked["channels"]) == {*names[100:]} - {"device:120"}
    assert set(asked["recover"]) == set(asked["channels"])
    assert told.pop("device:120") == Recovery("device:120", recovered=False, code="forbidden")
    assert all(recovery.recovered for recovery in told.values())
    await one.close()


@pytest.mark.parametrize("channel", ["role:ops", "connection:c1"])
async def test_a_hole_that_cannot_be_asked_for_is_filled_by_coming_back(gateway: Scripted, channel: str) -> None:
    heard: list[int] = []
    one = client(gateway)
    one.on("note", lambda message: heard.append(message["offset"]))
    connecting = asyncio.create_task(one.connect())
    line = await gateway.greeted(channels={channel: at(4)})
    await connecting
    await line.say(note(5, channel=channel), note(7, channel=channel))
    back = await gateway.next()
    first = await back.hears("connect")
    missed = [note(6, channel=channel), note(7, channel=channel)]
    await back.greet(*missed, channels={channel: at(7, recovered=True)})
    await until(lambda: heard == [5, 6, 7])

    assert first["recover"][channel]["offset"] == 5
    await one.close()


@pytest.mark.parametrize("code", ["forbidden", "unavailable"])
async def test_a_hole_that_is_not_filled_when_asked_for_is_filled_by_coming_back(gateway: Scripted, code: str) -> None:
    heard: list[int] = []
    one = client(gateway)
    one.on("note", lambda message: heard.append(message["offset"]))
    connecting = asyncio.create_task(one.connect())
    line = await gateway.greeted()
    await connecting
    await line.say(note(2))
    await line.fail(await line.hears("subscribe"), code)
    back = await gateway.greeted(note(1), note(2))
    await until(lambda: heard == [1, 2])

    assert back.actions("connect")[0]["recover"] == {OWN: {"offset": 0, "epoch": "e.1"}}
    await one.close()


async def test_a_hole_where_nothing_proves_the_position_is_no_reason_to_come_back_for_ever(gateway: Scripted) -> None:
    heard: list[int] = []
    one = client(gateway)
    one.on("note", lambda message: heard.append(message["offset"]))
    connecting = asyncio.create_task(one.connect())
    line = await gateway.greeted()
    await connecting
    await line.say(note(1, channel="task:t1"), note(3, channel="task:t1"))
    back = await gateway.greeted()
    await back.say(note(3, channel="task:t1"), note(4, channel="task:t1"))
    await until(lambda: heard == [1, 3, 4])

    assert len(gateway.lines) == 2
    await one.close()
