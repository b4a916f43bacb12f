"""Clients that do not read, do not stop, or send too much are cut, and memory stays flat meanwhile."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from fairlead_gateway.pool.socket import Socket
from fairlead_gateway.wire.deflate import deflate
from fairlead_gateway.wire.frames import text_frame
from fairlead_gateway.wire.limits import WireLimits
from tests.conformance.client import RawClient, masked, text, upgraded
from tests.conformance.server import Attaching, Recorder, serving, until

PING = masked(0x89, b"x" * 100)


class Strict(Recorder):
    """Ends whoever is slow or floods, as the gateway does."""

    def slow(self, owner: Any) -> None:
        super().slow(owner)
        owner.close(4100, "slow_consumer")

    def flooded(self, owner: Any) -> None:
        super().flooded(owner)
        owner.close(4129, "flooding")


def deaf(client: RawClient) -> None:
    """Have *client* read nothing more."""
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]


async def test_as_many_pings_as_are_allowed_are_answered() -> None:
    app = Attaching()
    limits = WireLimits(control_frames_burst=50, control_frames_per_second=0.001)
    async with serving(app, limits) as served, upgraded(served.port) as client:
        await client.send(*[PING] * 50)
        for _ in range(50):
            assert (await client.frame()).opcode == 0xA
        assert app.recorder.heard == []


@pytest.mark.parametrize("frame", [PING, masked(0x8A)], ids=["pings", "pongs"])
async def test_one_control_frame_too_many_is_a_flood_told_once(frame: bytes) -> None:
    app = Attaching()
    limits = WireLimits(control_frames_burst=50, control_frames_per_second=0.001)
    async with serving(app, limits) as served, upgraded(served.port) as client:
        await client.send(*[frame] * 80, text("after it"))
        await app.recorder.event("text")

    assert app.recorder.kinds().count("flooded") == 1
    assert app.recorder.kinds().count("pong") in (0, 50)


async def test_the_allowance_for_control_frames_comes_back() -> None:
    app = Attaching()
    limits = WireLimits(control_frames_burst=5, control_frames_per_second=100)
    async with serving(app, limits) as served, upgraded(served.port) as client:
        for _ in range(4):
            await client.send(*[PING] * 5)
            for _ in range(5):
                await client.frame()
            await asyncio.sleep(0.1)

    assert "flooded" not in app.recorder.kinds()


async def test_a_client_that_pings_and_never_reads_is_cut_and_memory_stays_flat() -> None:
    app = Attaching(Strict())
    async with serving(app, WireLimits(closing_seconds=0.2)) as served, upgraded(served.port) as client:
        await app.socket()
        deaf(client)
        tracemalloc.start()
        while "closed" not in app.recorder.kinds():
            client.writer.write(PING * 100)
            await asyncio.sleep(0)
            if client.writer.transport.get_write_buffer_size() > 1_000_000:
                await until(lambda: "closed" in app.recorder.kinds())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert app.recorder.heard == [("flooded",), ("closed", 4129, "flooding")]
    assert peak < 8_000_000


async def test_pings_are_not_answered_while_the_client_does_not_read() -> None:
    app = Attaching()
    limits = WireLimits(max_outbox_bytes=100_000, control_frames_burst=1000)
    async with serving(app, limits) as served, upgraded(served.port) as client:
        socket = await app.socket()
        deaf(client)
        while "slow" not in app.recorder.kinds():
            socket.write(text_frame(bytes(50_000)))
            await asyncio.sleep(0)
        transport = socket._transport  # type: ignore[attr-defined]
        waiting = transport.get_write_buffer_size()
        await client.send(*[PING] * 500, text("heard"))
        await app.recorder.event("text")

        assert transport.get_write_buffer_size() <= waiting


async def test_a_client_that_does_not_read_is_told_slow_once_and_cut() -> None:
    app = Attaching(Strict())
    limits = WireLimits(max_outbox_bytes=100_000, closing_seconds=0.2)
    async with serving(app, limits) as served, upgraded(served.port) as client:
        socket = await app.socket()
        deaf(client)
        while "slow" not in app.recorder.kinds():
            socket.write(text_frame(bytes(50_000)))
            await asyncio.sleep(0)
        started = asyncio.get_running_loop().time()
        for _ in range(100):
            socket.write(text_frame(bytes(50_000)))
        await app.recorder.event("closed")

        assert asyncio.get_running_loop().time() - started < 2
    assert app.recorder.heard == [("slow",), ("closed", 4100, "slow_consumer")]


async def test_slow_is_said_once_and_writes_still_arrive() -> None:
    app = Attaching()
    limits = WireLimits(max_outbox_bytes=100_000)
    async with serving(app, limits) as served, upgraded(served.port) as client:
        socket = await app.socket()
        sent = 0
        for _ in range(2):
            deaf(client)
            while socket.is_writable:  # type: ignore[attr-defined]
                socket.write(text_frame(b"x" * 50_000))
                sent += 1
                await asyncio.sleep(0)
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            while sent:
                assert len((await client.frame()).payload) == 50_000
                sent -= 1
            await until(lambda: socket.is_writable)  # type: ignore[attr-defined]

    assert app.recorder.kinds()[:-1] == ["slow"]


async def test_a_slow_client_does_not_hold_up_the_others() -> None:
    app = Attaching()
    limits = WireLimits(max_outbox_bytes=100_000)
    async with serving(app, limits) as served, upgraded(served.port) as slow:
        await until(lambda: len(app.sockets) == 1)
        deaf(slow)
        async with upgraded(served.port) as quick:
            await until(lambda: len(app.sockets) == 2)
            while "slow" not in app.recorder.kinds():
                for socket in app.sockets:
                    socket.write(text_frame(b"x" * 50_000))
                assert len((await quick.frame()).payload) == 50_000


async def test_a_message_that_is_too_large_is_1009() -> None:
    app = Attaching()
    limits = WireLimits(max_message_bytes=1000, closing_seconds=0.2)
    async with serving(app, limits) as served, upgraded(served.port) as client:
        await client.send(masked(0x82, bytes(1_000_000)))

        assert (await client.frame()).closing == (1009, "message is larger than 1000 bytes")
        assert (await app.recorder.event("closed"))[1] == 1009


async def test_bombs_are_1009_and_cost_nothing() -> None:
    app = Attaching()
    limits = WireLimits(max_message_bytes=64 * 1024, compression=True, closing_seconds=0.2)
    bomb = masked(0xC2, deflate(bytes(30_000_000), 15))
    offer = "permessage-deflate"
    async with serving(app, limits) as served, upgraded(served.port, Sec_WebSocket_Extensions=offer) as client:
        await app.socket()
        tracemalloc.start()
        await client.send(bomb)
        assert (await client.frame()).closing[0] == 1009
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 1_000_000


async def test_a_client_that_sends_without_end_into_a_paused_socket_is_held_back() -> None:
    app = Attaching()
    app.recorder.react = lambda socket, payload: socket.pause_reading()
    async with serving(app, WireLimits(max_message_bytes=1000)) as served, upgraded(served.port) as client:
        sending = asyncio.create_task(client.send(*[masked(0x82, bytes(1000))] * 20_000))
        await until(lambda: app.recorder.heard)
        await until(lambda: client.writer.transport.get_write_buffer_size() > 0)

        assert len(app.recorder.heard) == 1
        assert (await app.socket())._parser.pending < 600_000  # type: ignore[attr-defined]
        sending.cancel()


async def test_an_idle_connection_costs_little() -> None:
    count = 100

    class Quiet:
        def message(self, owner: Socket, payload: bytes, is_text: bool) -> None: ...
        def pong(self, owner: Socket, payload: bytes) -> None: ...
        def slow(self, owner: Socket) -> None: ...
        def flooded(self, owner: Socket) -> None: ...
        def closed(self, owner: Socket, code: int, reason: str) -> None: ...

    listener = Quiet()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        socket = scope["extensions"]["fairlead.socket"]
        socket.attach(listener, socket)

    async with serving(app) as served:
        tracemalloc.start(5)
        clients = [upgraded(served.port, X_Padding="x" * 4000) for _ in range(count)]
        for client in clients:
            await client.__aenter__()
        await until(lambda: not served.state.tasks)
        ours = tracemalloc.take_snapshot().filter_traces(
            [tracemalloc.Filter(True, "*/fairlead_gateway/*", all_frames=True)]
        )
        tracemalloc.stop()
        for client in clients:
            await client.__aexit__(None, None, None)

    held = sum(trace.size for trace in ours.traces)
    assert held / count < 2000


async def test_ten_thousand_pings_a_second_do_not_slow_another_client() -> None:
    app = Attaching(Strict())
    app.recorder.react = lambda socket, payload: socket.write(text_frame(payload))
    async with serving(app) as served, upgraded(served.port) as other:
        started = time.monotonic()
        for _ in range(5):
            async with upgraded(served.port) as flooder:
                await flooder.send(PING * 10_000)
                await other.send(text("still there?"))
                assert (await other.frame()).payload == b"still there?"

        assert time.monotonic() - started < 5
    assert app.recorder.kinds().count("flooded") == 5
