"""Whether the gateway is still there: rules H1 and H2."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.clients.drivers import Driver
from tests.clients.scripted import Line, Scripted, note

AT_ONCE = 2.5
"""Seconds in which a client lets go of a socket without waiting for its end, which takes longer by default."""


async def opened(client: Driver, gateway: Scripted, interval: float = 30.0, **options: Any) -> Line:
    await client.make(gateway.url, **options)
    connecting = client.begin("connect")
    line = await gateway.greeted(interval=interval)
    await connecting
    return line


@pytest.mark.rules("H1")
@pytest.mark.parametrize("by", ["the gateway", "an option"])
async def test_after_a_silence_it_says_ping(client: Driver, gateway: Scripted, by: str) -> None:
    del gateway.manners["ping"]
    line = await opened(client, gateway, **({"interval": 0.3} if by == "the gateway" else {"heartbeat": 0.3}))
    loop = asyncio.get_running_loop()

    for _ in range(3):
        since = loop.time()
        await line.say({"type": "tick", "channel": "topic:t"})
        ping = await line.hears("ping", seconds=5)
        assert loop.time() - since >= 0.25, "what was heard puts it off"
        await line.reply(ping, type="pong")

    assert await client.get("state") == "open"
    assert len(gateway.knocks) == 1


@pytest.mark.rules("H2")
async def test_a_gateway_that_stays_silent_is_left(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, interval=0.1, pong_timeout=0.3)
    line.freeze()

    told = await client.until("state", state="waiting")
    loop = asyncio.get_running_loop()
    since = loop.time()
    await gateway.greeted()
    await client.until("state", state="open", attempt=2)

    assert told["word"] == "half_open"
    assert told["retry_in"] <= 0.04
    assert gateway.knocks[1] - since < AT_ONCE


@pytest.mark.rules("H2", "R3")
async def test_after_check_it_waits_three_seconds_and_no_longer(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway)
    line.freeze()
    since = asyncio.get_running_loop().time()
    await client.do("check")

    told = await client.until("state", state="waiting")

    assert told["word"] == "half_open"
    assert 2.9 <= asyncio.get_running_loop().time() - since < 8


@pytest.mark.rules("H2")
async def test_what_comes_late_from_a_socket_that_was_left_is_not_told(client: Driver, gateway: Scripted) -> None:
    line = await opened(client, gateway, interval=0.1, pong_timeout=0.3)
    await client.hear()
    line.freeze()
    await client.until("state", state="waiting")
    back = await gateway.greeted()
    await client.until("state", state="open", attempt=2)

    await line.say_late(note(1, "late"))
    await back.say(note(1, "in time"))

    assert (await client.message())["content"] == "in time"
