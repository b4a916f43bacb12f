"""The pulse: pings after silence, and the end after silence that lasts."""

from __future__ import annotations

import asyncio

from fairlead.client.pulse import Pulse

SECONDS = 5.0


class Noted:
    def __init__(self) -> None:
        self.pings = 0
        self.lost = asyncio.Event()
        self.pinged = asyncio.Event()

    def ping(self) -> None:
        self.pings += 1
        self.pinged.set()


async def within(event: asyncio.Event) -> None:
    async with asyncio.timeout(SECONDS):
        await event.wait()
    event.clear()


async def test_who_is_silent_is_asked_and_then_lost() -> None:
    noted = Noted()
    pulse = Pulse(0.02, 0.03, noted.ping, noted.lost.set)
    await within(noted.lost)
    pulse.stop()

    assert noted.pings == 1


async def test_who_answers_is_asked_again_after_the_next_silence() -> None:
    noted = Noted()
    began = asyncio.get_running_loop().time()
    pulse = Pulse(0.02, 60.0, noted.ping, noted.lost.set)
    for _ in range(3):
        await within(noted.pinged)
        pulse.heard()
    pulse.stop()

    assert noted.pings == 3
    assert asyncio.get_running_loop().time() - began < SECONDS


async def test_whatever_is_heard_puts_the_ping_off() -> None:
    noted = Noted()
    pulse = Pulse(1.0, 60.0, noted.ping, noted.lost.set)
    for _ in range(30):
        pulse.heard()
        await asyncio.sleep(0.05)
    pulse.stop()

    assert noted.pings == 0


async def test_a_check_asks_at_once_also_without_an_interval() -> None:
    noted = Noted()
    pulse = Pulse(0.0, 0.02, noted.ping, noted.lost.set)
    await asyncio.sleep(0.05)
    before = noted.pings
    pulse.check()
    await within(noted.lost)

    assert (before, noted.pings) == (0, 1)


async def test_a_loop_that_was_held_up_looks_a_second_time() -> None:
    noted = Noted()
    pulse = Pulse(0.0, 0.01, noted.ping, noted.lost.set)
    pulse.check()
    loop = asyncio.get_running_loop()
    loop.call_later(0.02, pulse.heard)
    await asyncio.sleep(0.2)
    pulse.stop()

    assert not noted.lost.is_set()
