"""Between the position that a client is told and what it hears live nothing is lost, however busy the channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.gateway.running import Client, Gateway, new_session, new_user

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def busy(gateway: Gateway, channel: str) -> AsyncIterator[None]:
    """A channel that is published to all the time."""

    async def publish() -> None:
        while True:
            await asyncio.gather(*(gateway.manager.send(channel, {"type": "tick"}) for _ in range(5)))

    publishing = asyncio.create_task(publish())
    try:
        yield
    finally:
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)


async def offsets_after(client: Client, position: int, count: int = 40) -> list[int]:
    """The first offsets that come live beyond the position."""
    found: list[int] = []
    while len(found) < count:
        offset = (await client.hear("tick"))["offset"]
        if offset > position:
            found.append(offset)
    return found


async def test_what_comes_live_follows_the_position_in_the_greeting_without_a_gap(gateway: Gateway) -> None:
    user = new_user()

    async with busy(gateway, f"user:{user}"):
        for _ in range(8):
            client = await gateway.connect(user)
            position = client.greeting["channels"][f"user:{user}"]["offset"]
            offsets = await offsets_after(client, position)
            await client.leave()

            assert offsets == list(range(position + 1, position + 41))


async def test_what_comes_live_follows_the_position_in_the_reply_without_a_gap(gateway: Gateway) -> None:
    client = await gateway.connect()

    for _ in range(8):
        name = new_session()
        async with busy(gateway, f"session:{name}"):
            reply = await client.ask("join_session", session_id=name)
            position = reply["channels"][f"session:{name}"]["offset"]
            offsets = await offsets_after(client, position)
            await client.ask("leave_session", session_id=name)
        await client.heard()

        assert offsets == list(range(position + 1, position + 41))
