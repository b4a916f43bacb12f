"""Who is in the middle of something when a replica drains: answered first, or sent elsewhere in words they can read."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from fairlead_gateway import WebSocketManager
from tests.gateway.patience import until
from tests.gateway.running import Client, Gateway, Message, new_user, serving, serving_app, settings_for
from tests.support.redis import Server
from tests.support.replica import token

WINDOW_SECONDS = 1.0
CLIENTS = 20


@pytest_asyncio.fixture(params=["ours", "websockets-sansio"])
async def gateway(request: pytest.FixtureRequest, own_server: Server) -> AsyncIterator[Gateway]:
    """A replica of this test's own, for it drains but once; behind our own protocol, or behind one of uvicorn's."""
    settings = settings_for(own_server.url, drain_seconds=WINDOW_SECONDS)
    manager = WebSocketManager(settings)
    carried = serving(settings) if request.param == "ours" else serving_app(manager.app, manager, request.param)
    async with carried as gateway:
        yield gateway


async def moved(client: Client) -> None:
    """Fail unless *client* is sent elsewhere, with a pause of its own."""
    code, reason = await client.closed()
    assert code == 4200 and re.fullmatch(r"drain: \d+", reason), (code, reason)


# -- actions -----------------------------------------------------------------------------------------------------------


async def test_an_action_that_is_being_done_is_answered_before_the_close(gateway: Gateway) -> None:
    begun, may_end = [], asyncio.Event()

    async def slow(message: Message, context: object) -> Message:
        begun.append(message)
        await may_end.wait()
        return {"done": True}

    gateway.manager.register_handler("slow", slow)
    clients = [await gateway.connect() for _ in range(CLIENTS)]
    for client in clients:
        await client.say("slow", id="s")
    await until(lambda: len(begun) == CLIENTS)

    draining = asyncio.create_task(gateway.manager.drain())
    await asyncio.sleep(0.6 * WINDOW_SECONDS)
    assert len(gateway.manager.pool) == CLIENTS, "nobody is closed who waits for an answer"
    may_end.set()
    await until(lambda: len(gateway.manager.pool) <= CLIENTS / 2, 0.2, "whose turn is over leaves at once")

    for client in clients:
        await moved(client)
        assert [message["done"] for message in client.unheard if message.get("ref") == "s"] == [True]
    await draining


async def test_an_action_that_takes_too_long_holds_up_nothing_beyond_the_window(gateway: Gateway) -> None:
    may_end = asyncio.Event()

    async def endless(message: Message, context: object) -> None:
        await may_end.wait()

    gateway.manager.register_handler("endless", endless)
    client = await gateway.connect()
    await client.say("endless", id="e")
    await client.ask("ping")

    async with asyncio.timeout(WINDOW_SECONDS + 0.5):
        await gateway.manager.drain()

    await moved(client)
    assert client.unheard == []
    may_end.set()


# -- those who are coming in -------------------------------------------------------------------------------------------


async def test_an_opening_that_is_under_way_ends_elsewhere(gateway: Gateway, own_server: Server) -> None:
    own_server.freeze()
    opening = asyncio.create_task(gateway.open(bearer=token(new_user())))
    await until(lambda: len(gateway.manager.pool) == 1)
    draining = asyncio.create_task(gateway.manager.drain())
    await asyncio.sleep(0)

    own_server.thaw()

    client = await opening
    await moved(client)
    assert client.unheard == [], "it was never greeted"
    await draining
    assert len(gateway.manager.pool) == 0


async def test_visitors_are_sent_elsewhere_whether_they_have_said_connect_or_not(
    gateway: Gateway, own_server: Server
) -> None:
    silent = await gateway.open("/ws?wait=connect", bearer=token(new_user()))
    entering = await gateway.open("/ws?wait=connect", bearer=token(new_user()))
    own_server.freeze()
    await entering.say("connect")
    await until(lambda: len(gateway.manager.pool) == 1)
    draining = asyncio.create_task(gateway.manager.drain())
    await asyncio.sleep(0)

    own_server.thaw()

    for client in (silent, entering):
        await moved(client)
        assert client.unheard == []
    await draining
    assert len(gateway.manager.pool) == 0


async def test_who_says_connect_during_the_drain_is_sent_elsewhere_at_once(gateway: Gateway) -> None:
    visitors = [await gateway.open("/ws?wait=connect", bearer=token(new_user())) for _ in range(CLIENTS)]
    draining = asyncio.create_task(gateway.manager.drain())
    await asyncio.sleep(0)

    for visitor in visitors:
        await visitor.say("connect")
    async with asyncio.timeout(WINDOW_SECONDS / 2):
        for visitor in visitors:
            await moved(visitor)

    await draining


# -- connections that are open already ---------------------------------------------------------------------------------


async def test_on_a_kept_connection_the_replica_is_alive_not_ready_and_lets_nobody_in(gateway: Gateway) -> None:
    clients = [await gateway.connect() for _ in range(CLIENTS)]
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)

    async def get(path: str) -> tuple[int, Message]:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        return int(head.split()[1]), json.loads(await reader.readexactly(int(length[1])))

    async with asyncio.timeout(5):
        assert (await get("/readyz"))[0] == 200
        draining = asyncio.create_task(gateway.manager.drain())
        await asyncio.sleep(0)

        status, said = await get("/readyz")
        assert (status, said["checks"]["open"]) == (503, False)
        assert await get("/healthz") == (200, {"status": "alive"})
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Authorization: Bearer " + token(new_user()).encode() + b"\r\n\r\n"
        )
        head = await reader.readuntil(b"\r\n\r\n")
        fin_and_close, size = await reader.readexactly(2)
        payload = await reader.readexactly(size)
        writer.close()

    assert head.startswith(b"HTTP/1.1 101 ") and fin_and_close == 0x88
    assert int.from_bytes(payload[:2]) == 4200 and re.fullmatch(rb"drain: \d+", payload[2:])
    for client in clients:
        await moved(client)
    await draining
