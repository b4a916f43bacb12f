"""What every socket promises, whoever carries its bytes: our protocol, or any ASGI server behind the adapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from fairlead_gateway.edge.adapter import AsgiSocket, take_socket
from fairlead_gateway.edge.protocol import WebSocketProtocol
from fairlead_gateway.wire.frames import binary_frame, text_frame
from fairlead_gateway.wire.limits import WireLimits
from tests.conformance.server import Attaching, Recorder, Served, serving, until

LIMITS = WireLimits(max_message_bytes=100_000, max_outbox_bytes=1_000_000, closing_seconds=0.3)

CARRIERS: dict[str, dict[str, Any]] = {
    "ours": {},
    "sansio": {"http": HttpToolsProtocol, "ws": "websockets-sansio", "ws_per_message_deflate": False},
    "wsproto": {"http": HttpToolsProtocol, "ws": "wsproto", "ws_per_message_deflate": False},
}

Dial = Callable[[Attaching], AbstractAsyncContextManager[tuple[ClientConnection, Served]]]


@pytest.fixture(params=CARRIERS)
def dial(request: pytest.FixtureRequest) -> Dial:
    """Serves an application on one of the carriers and connects to it."""

    @asynccontextmanager
    async def dialled(app: Attaching) -> AsyncIterator[tuple[ClientConnection, Served]]:
        async with serving(app, LIMITS, **CARRIERS[request.param]) as served:
            url = f"ws://127.0.0.1:{served.port}/"
            async with connect(url, proxy=None, max_size=None, close_timeout=1) as client:
                yield client, served

    return dialled


def attaching() -> Attaching:
    return Attaching(limits=LIMITS)


async def test_each_carrier_is_what_it_is_called(dial: Dial, request: pytest.FixtureRequest) -> None:
    app = attaching()
    ours = "ours" in request.node.name.replace("sansio", "")
    async with dial(app):
        assert isinstance(await app.socket(), WebSocketProtocol if ours else AsgiSocket)


async def test_messages_are_heard_in_order_as_text_or_binary(dial: Dial) -> None:
    app = attaching()
    async with dial(app) as (client, _):
        for number in range(100):
            await client.send(f"nümber {number}" if number % 2 else bytes([number]))

        await until(lambda: len(app.recorder.heard) == 100)

    assert app.recorder.heard[:100] == [
        ("text", f"nümber {number}".encode()) if number % 2 else ("binary", bytes([number])) for number in range(100)
    ]


async def test_finished_frames_are_read_as_the_messages_they_hold(dial: Dial) -> None:
    app = attaching()
    async with dial(app) as (client, _):
        socket = await app.socket()
        socket.write(text_frame("öne".encode()) + binary_frame(b"two") + text_frame(b""))
        socket.write(text_frame(b"x" * 70_000))

        async with asyncio.timeout(5):
            assert [await client.recv() for _ in range(4)] == ["öne", b"two", "", "x" * 70_000]


async def test_the_servers_close_is_read_with_code_and_reason_after_all_that_was_written(dial: Dial) -> None:
    app = attaching()
    async with dial(app) as (client, _):
        socket = await app.socket()
        for _ in range(10):
            socket.write(text_frame(b"before"))
        socket.close(4003, "kicked: go away")
        socket.write(text_frame(b"after"))
        socket.close(1000)

        async with asyncio.timeout(5):
            assert [await client.recv() for _ in range(10)] == ["before"] * 10
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert (client.close_code, client.close_reason) == (4003, "kicked: go away")
        assert await app.recorder.event("closed") == ("closed", 4003, "kicked: go away")
    assert app.recorder.kinds() == ["closed"]


async def test_the_clients_close_is_told_with_code_and_reason(dial: Dial) -> None:
    app = attaching()
    async with dial(app) as (client, _):
        await app.socket()
        await client.close(4001, "bye")

        assert await app.recorder.event("closed") == ("closed", 4001, "bye")
    assert app.recorder.kinds() == ["closed"]


async def test_a_client_that_vanishes_is_told_once(dial: Dial) -> None:
    app = attaching()
    async with dial(app) as (client, served):
        await app.socket()
        client.transport.abort()

        # uvicorn's own protocols cannot tell a reset from an empty close frame.
        assert (await app.recorder.event("closed"))[1] in (1005, 1006)
        await until(lambda: not served.state.tasks)
    assert app.recorder.kinds() == ["closed"]


async def test_an_abort_ends_the_connection(dial: Dial) -> None:
    app = attaching()
    async with dial(app) as (client, served):
        socket = await app.socket()
        socket.abort()

        await asyncio.wait_for(client.wait_closed(), 5)
        assert await app.recorder.event("closed") == ("closed", 1006, "")
        await until(lambda: not served.state.connections)
        socket.write(text_frame(b"?"))
        socket.close(1000)
        socket.abort()
    assert app.recorder.kinds() == ["closed"]


async def test_a_paused_socket_says_nothing_until_it_is_resumed(dial: Dial) -> None:
    app = attaching()
    app.recorder.react = lambda socket, payload: socket.pause_reading()
    async with dial(app) as (client, _):
        for number in range(3):
            await client.send(str(number))
        socket = await app.socket()
        for number in range(3):
            await until(lambda: app.recorder.heard[-1:] == [("text", b"%d" % number)])  # noqa: B023 (awaited here)
            await client.ping()
            await asyncio.sleep(0.01)
            assert len(app.recorder.heard) == number + 1
            socket.resume_reading()


async def test_a_message_that_is_too_large_ends_the_connection_with_1009(dial: Dial) -> None:
    app = attaching()
    async with dial(app) as (client, _):
        await client.send("x" * 100_001)

        await asyncio.wait_for(client.wait_closed(), 5)
        assert client.close_code == 1009
        assert (await app.recorder.event("closed"))[1] == 1009
    assert app.recorder.kinds() == ["closed"]


async def test_a_client_that_does_not_read_is_slow_and_can_be_cut(dial: Dial) -> None:
    app = attaching()
    async with dial(app) as (client, served):
        socket = await app.socket()
        client.transport.pause_reading()
        while "slow" not in app.recorder.kinds():
            socket.write(text_frame(b"x" * 50_000))
            await asyncio.sleep(0)
        for _ in range(100):
            socket.write(text_frame(b"x"))
        socket.close(4100, "slow_consumer")

        assert await app.recorder.event("closed") == ("closed", 4100, "slow_consumer")
        await until(lambda: not served.state.tasks)
        client.transport.abort()
    assert app.recorder.kinds() == ["slow", "closed"]


async def test_room_for_a_large_replay_is_not_taken_back_by_a_small_one(dial: Dial) -> None:
    app, size = attaching(), 40_000_000
    async with dial(app) as (client, _):
        socket = await app.socket()
        client.transport.pause_reading()
        for room in (size, 10):
            socket.make_room(room)
            socket.write(text_frame(b"x" * room))
            await asyncio.sleep(0.01)
        assert app.recorder.kinds() == []

        for _ in range(2):
            socket.write(text_frame(b"x" * size))
        assert app.recorder.kinds() == ["slow"]
        client.transport.abort()


async def test_one_listener_after_another_may_be_attached(dial: Dial) -> None:
    app, second = attaching(), Recorder()
    async with dial(app) as (client, _):
        socket = await app.socket()
        await client.send("to the first")
        await app.recorder.event("text")
        second.owners.append(socket)
        socket.attach(second, socket)
        await client.send("to the second")
        assert await second.event("text") == ("text", b"to the second")
        await client.close(1000)
        await second.event("closed")

    assert app.recorder.kinds() == ["text"]


async def test_whoever_attaches_after_the_end_is_told_so(dial: Dial) -> None:
    app, late = attaching(), Recorder()
    async with dial(app) as (client, _):
        socket = await app.socket()
        await client.close(4001, "bye")
        await app.recorder.event("closed")
        late.owners.append(socket)
        socket.attach(late, socket)

        assert await late.event("closed") == ("closed", 4001, "bye")


async def test_a_code_that_may_not_be_sent_is_the_callers_mistake(dial: Dial) -> None:
    app = attaching()
    async with dial(app):
        with pytest.raises(ValueError, match="1006"):
            (await app.socket()).close(1006)


# -- where the adapter must differ -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("subprotocol", "question"),
    [("fairlead.v1.json", '{"type":"ping"}'), ("fairlead.v1.msgpack", b"\x81\xa4type\xa4ping")],
)
async def test_the_adapter_asks_for_a_pong_in_the_clients_own_language(subprotocol: Any, question: str | bytes) -> None:
    app = attaching()
    async with serving(app, LIMITS, **CARRIERS["sansio"]) as served:
        url = f"ws://127.0.0.1:{served.port}/"
        async with connect(url, subprotocols=[subprotocol], proxy=None) as client:
            (await app.socket()).ping(b"ignored")

            assert await asyncio.wait_for(client.recv(), 5) == question


async def test_a_connection_that_is_refused_after_the_accept_is_closed_with_its_code(dial: Dial) -> None:
    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        socket = take_socket(scope, receive, send, LIMITS)
        socket.close(4403, "forbidden")
        if isinstance(socket, AsgiSocket):
            await socket.run()

    async with dial(refusing) as (client, served):  # type: ignore[arg-type]
        await asyncio.wait_for(client.wait_closed(), 5)

        assert (client.close_code, client.close_reason) == (4403, "forbidden")
        await until(lambda: not served.state.tasks)


def test_starlettes_test_client_is_a_carrier_too() -> None:
    app = attaching()
    app.recorder.react = lambda socket, payload: socket.write(text_frame(b"heard " + payload))

    with TestClient(app).websocket_connect("/", subprotocols=["chat"]) as client:
        client.send_text("hello")
        assert client.receive_text() == "heard hello"
        app.sockets[0].close(4000, "enough")  # type: ignore[attr-defined]
        with pytest.raises(WebSocketDisconnect) as end:
            client.receive_text()

    assert (end.value.code, end.value.reason) == (4000, "enough")
    assert app.sockets[0].subprotocol == client.accepted_subprotocol == "chat"
    assert app.sockets[0].remote == "testclient"
    assert app.recorder.kinds() == ["text", "closed"]
