"""The quiet are asked, the silent are closed, and the answer measures the way."""

from __future__ import annotations

import asyncio
import base64
import os

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


async def test_a_silent_client_is_closed_with_4101_and_one_that_answers_stays(redis_url: str) -> None:
    settings = settings_for(redis_url, heartbeat_interval_seconds=0.5, heartbeat_timeout_seconds=1.5)
    async with serving(settings) as gateway:
        user = new_user()
        answering = await gateway.connect()
        reader, writer = await raw_client(gateway, user)

        await until(lambda: gateway.told("disconnection", user_id=user), 5)
        async with asyncio.timeout(5):
            heard = await reader.readuntil(b"heartbeat_timeout: silent for")
        writer.close()

        (event,) = gateway.told("disconnection", user_id=user)
        assert event["code"] == 4101
        assert b"\x89\x02fl" in heard
        assert (4101).to_bytes(2, "big") + b"heartbeat_timeout: silent for" in heard
        assert (await answering.ask("ping"))["type"] == "pong"
        connection = gateway.manager.pool.get(answering.id)
        assert connection is not None
        assert connection.round_trip_ms is not None
        assert 0 <= connection.round_trip_ms < 1000


async def test_whatever_a_client_sends_is_a_sign_of_life(redis_url: str) -> None:
    settings = settings_for(redis_url, heartbeat_interval_seconds=0.5, heartbeat_timeout_seconds=1.5)
    async with serving(settings) as gateway:
        user = new_user()
        _, writer = await raw_client(gateway, user)
        began = asyncio.get_running_loop().time()

        while asyncio.get_running_loop().time() - began < 3:
            writer.write(b"\x81\x80\x00\x00\x00\x00")
            await asyncio.sleep(0.3)

        assert not gateway.told("disconnection", user_id=user)
        writer.close()
