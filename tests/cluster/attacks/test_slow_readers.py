"""Who does not read is closed in good time; who reads loses nothing meanwhile (RT-7, 4100 of §2.7)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import fairlead
from tests.cluster.attacks.attacker import Attacker, attacking, someone, unharmed
from tests.conformance.client import HANDSHAKE, RawClient, request
from tests.support.client import Client, connected
from tests.support.replica import Replica, token, wait_until

STALLED = READERS = 10
MESSAGES = 800
CONTENT = "x" * 16_000
AHEAD = 20
"""How many messages the readers may be behind before the next is published."""


@asynccontextmanager
async def stalled(replica: Replica) -> AsyncIterator[tuple[Attacker, str]]:
    """A subscriber who reads nothing more, with as little room for what it does not read as there can be; its id."""
    plug = socket.socket()
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plug.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plug, ("127.0.0.1", replica.port))
    raw = RawClient(*await asyncio.open_connection(sock=plug, limit=4096))
    try:
        await raw.send(request("/ws", {**HANDSHAKE, "Authorization": f"Bearer {token(someone())}"}))
        await raw.head()
        attacker = Attacker(raw)
        connection_id = (await attacker.message())["connection_id"]
        await attacker.say(action="subscribe", channels=["topic:busy"], id="s")
        await attacker.answer("s")
        yield attacker, connection_id
    finally:
        raw.leave()


async def test_ten_who_do_not_read_are_closed_with_4100_and_ten_who_do_lose_nothing(
    attacked_fleet: list[Replica], redis_url: str
) -> None:
    replica = attacked_fleet[0]
    async with unharmed(replica, grows_kb=48 * 1024), AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(connected(replica.url, someone())) for _ in range(READERS)]
        for reader in readers:
            await reader.ask("subscribe", channels=["topic:busy"])
        deaf = [await stack.enter_async_context(stalled(replica)) for _ in range(STALLED)]
        heard = [Heard(reader) for reader in readers]
        reading = [asyncio.create_task(one.listen()) for one in heard]

        async with fairlead.connect(redis_url, prefix="attacked") as backend:
            for number in range(MESSAGES):
                await backend.send_to_topic("busy", {"type": "tick", "n": number, "content": CONTENT})
                await keeping_up(heard, number - AHEAD)
        async with asyncio.timeout(20):
            await asyncio.gather(*reading)

        assert [one.numbers for one in heard] == [list(range(MESSAGES))] * READERS
        ids = {connection_id for _, connection_id in deaf}
        await asyncio.to_thread(wait_until, lambda: closed_as_slow(replica) >= ids, 5, "the deaf are closed with 4100")
        assert all([await attacker.end() in (4100, 1006) for attacker, _ in deaf])


async def test_a_slow_reader_that_is_closed_may_come_back_at_once(
    attacked_fleet: list[Replica], redis_url: str
) -> None:
    replica, user = attacked_fleet[0], someone()
    async with unharmed(replica), AsyncExitStack() as stack:
        for _ in range(5):
            one = await stack.enter_async_context(attacking(replica, user))
            one.writer.transport.pause_reading()  # type: ignore[attr-defined]
        async with fairlead.connect(redis_url, prefix="attacked") as backend:
            async with asyncio.timeout(20):
                while await backend.is_online(user):
                    await backend.send_to_user(user, {"type": "tick", "content": CONTENT})

        async with connected(replica.url, user) as again:
            assert (await again.ask("ping"))["type"] == "pong"


class Heard:
    """The numbers that one reader has heard so far."""

    def __init__(self, reader: Client) -> None:
        self._reader = reader
        self.numbers: list[int] = []

    async def listen(self) -> None:
        while len(self.numbers) < MESSAGES:
            frame: dict[str, Any] = await self._reader.until("tick", 20)
            self.numbers.append(frame["n"])
            self._reader.frames[-1]["content"] = None


async def keeping_up(heard: list[Heard], number: int) -> None:
    """Return when everybody has heard that many."""
    async with asyncio.timeout(10):
        while any(len(one.numbers) < number for one in heard):
            await asyncio.sleep(0.001)


def closed_as_slow(replica: Replica) -> set[object]:
    closed = [event for event in replica.events() if event["event"] == "connection closed"]
    return {event["connection_id"] for event in closed if event["code"] == 4100}
