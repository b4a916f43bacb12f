"""The quiet are asked, the silent are closed, and the answer measures the way."""

from __future__ import annotations

import asyncio
import base64
import os
import time

import pytest

from tests.gateway.patience import until
from tests.gateway.running import Gateway, new_user, serving, settings_for
from tests.support.replica import token

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def raw_client(gateway: Gateway, user: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that has upgraded and does nothing by itself, not even answer pings."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\nAuthorization: Bearer {token(user)}\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def keep_saying(writer: asyncio.StreamWriter, frame: bytes) -> None:
    while True:
        writer.write(frame)
        await asyncio.sleep(0.3)


async def test_who_is_quiet_is_held_and_not_active_and_answers_are_measured(redis_url: str) -> None:
    settings = settings_for(redis_url, heartbeat_interval_seconds=1, heartbeat_timeout_seconds=5)
    async with serving(settings) as gateway:
        counters = gateway.manager._parts.replica.counters
        _, writer = await raw_client(gateway, new_user())
        answering = await gateway.connect()
        listening = asyncio.create_task(answering.closed(60))
        figures = ("total_connections", "active_connections")

        def held_and_active() -> tuple[int, ...]:
            stats = gateway.manager.get_stats()
            return tuple(stats[name] for name in figures)

        assert held_and_active() == (2, 2)
        await until(lambda: held_and_active() == (2, 1), 5, "the quiet one is noticed")
        writer.write(b"\x8a\x82\x00\x00\x00\x00fl")
        await until(lambda: held_and_active() == (2, 2), 5, "it has answered")
        measured = sum(counters.round_trip_ms.counts)
        writer.write(b"\x8a\x82\x00\x00\x00\x00fl" * 3)
        await until(lambda: sum(counters.round_trip_ms.counts) > measured, 5, "the next answer of the other one")
        assert counters.round_trip_ms.micros > 500_000, "one of them took its time"
        listening.cancel()
        writer.transport.abort()
        await until(lambda: held_and_active() == (1, 1), 5, "gone")


async def test_only_a_silent_client_is_closed_and_the_pong_measures_the_way(redis_url: str) -> None:
    settings = settings_for(redis_url, heartbeat_interval_seconds=0.5, heartbeat_timeout_seconds=1.5)
    async with serving(settings) as gateway:
        silent, talkative, answering = new_user(), new_user(), await gateway.connect()
        reader, writer = await raw_client(gateway, silent)
        _, talking = await raw_client(gateway, talkative)
        # An empty text message, which is wrong, and yet a sign of life; pings are never answered.
        saying = asyncio.create_task(keep_saying(talking, b"\x81\x80\x00\x00\x00\x00"))

        async with asyncio.timeout(5):
            heard = await reader.readuntil(b"heartbeat_timeout: silent for")
        closed_at = time.monotonic()
        await until(lambda: time.monotonic() - closed_at > 0.7)
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)

        assert [event["code"] for event in gateway.told("disconnection")] == [4101]
        assert gateway.told("disconnection", user_id=silent)
        assert b"\x89\x02fl" in heard
        connection = gateway.manager.pool.get(answering.id)
        assert connection is not None
        assert connection.round_trip_ms is not None
        assert 0 <= connection.round_trip_ms < 1000
        for one in (writer, talking):
            one.close()
