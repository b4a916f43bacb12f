"""A socket that was attached: it lives on without its ASGI call and tells its listener everything."""

from __future__ import annotations

import asyncio
import gc

import pytest
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from fairlead_gateway.edge.asgi import SOCKET
from fairlead_gateway.edge.http import HttpProtocol
from fairlead_gateway.edge.protocol import WebSocketProtocol
from fairlead_gateway.pool.socket import Socket
from fairlead_gateway.wire.frames import text_frame
from fairlead_gateway.wire.limits import WireLimits
from tests.conformance.client import HANDSHAKE, dialled, masked, request, text, upgraded
from tests.conformance.server import Attaching, Recorder, serving, until

HASTY = WireLimits(closing_seconds=0.2)


class Late:
    """An application that accepts, and attaches when the test says so."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.accepted = asyncio.Event()
        self.may_attach = asyncio.Event()
        self.socket: WebSocketProtocol | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.socket = scope["extensions"][SOCKET]
        self.accepted.set()
        await self.may_attach.wait()
        self.recorder.owners.append(self.socket)
        self.socket.attach(self.recorder, self.socket)


async def test_an_attached_socket_needs_no_task() -> None:
    app = Attaching()
    async with serving(app) as served, upgraded(served.port) as client:
        await app.socket()

        await until(lambda: not served.state.tasks)
        await client.send(text("hello"), masked(0x82, b"\x00\x01"))

        assert await app.recorder.event("text") == ("text", b"hello")
        assert await app.recorder.event("binary") == ("binary", b"\x00\x01")
        assert len(served.state.connections) == 1


async def test_what_was_said_between_accept_and_attach_comes_first_and_in_order() -> None:
    app = Late()
    async with serving(app) as served, upgraded(served.port) as client:
        await client.send(*(text(str(number)) for number in range(100)))
        await asyncio.wait_for(app.accepted.wait(), 5)
        assert app.socket is not None
        await until(lambda: app.socket.heard_at)
        app.may_attach.set()
        await client.send(*(text(str(number)) for number in range(100, 200)))

        await until(lambda: len(app.recorder.heard) == 200)

        assert app.recorder.heard == [("text", str(number).encode()) for number in range(200)]


async def test_what_waits_for_an_attach_is_bounded() -> None:
    app = Late()
    limits = WireLimits(max_message_bytes=1000)
    async with serving(app, limits) as served, upgraded(served.port) as client:
        messages = 20_000
        sending = asyncio.create_task(client.send(*[masked(0x82, bytes(1000))] * messages))
        await asyncio.wait_for(app.accepted.wait(), 5)
        socket = app.socket
        assert socket is not None
        await until(lambda: not socket._transport.is_reading())
        assert socket._parser is not None
        assert socket._parser.pending <= 512 * 1024
        app.may_attach.set()

        await sending
        await until(lambda: len(app.recorder.heard) == messages)


async def test_what_is_said_before_the_accept_is_bounded_and_not_lost() -> None:
    recorder, may_accept = Recorder(), asyncio.Event()
    sockets: list[WebSocketProtocol] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        sockets.append(scope["extensions"][SOCKET])
        recorder.owners.append(sockets[0])
        await may_accept.wait()
        await receive()
        await send({"type": "websocket.accept"})
        sockets[0].attach(recorder, sockets[0])

    async with serving(app, WireLimits(max_message_bytes=1000)) as served, dialled(served.port) as client:
        await client.send(request())
        await until(lambda: sockets)
        sending = asyncio.create_task(client.send(*[masked(0x82, bytes(1000))] * 20_000))
        await until(lambda: not sockets[0]._transport.is_reading())
        may_accept.set()

        await client.head()
        await sending
        await until(lambda: len(recorder.heard) == 20_000)


async def test_a_paused_socket_says_nothing_more_not_even_what_it_has_read() -> None:
    app = Attaching()
    app.recorder.react = lambda socket, payload: socket.pause_reading()
    async with serving(app) as served, upgraded(served.port) as client:
        await client.send(*(text(str(number)) for number in range(5)))
        socket = await app.socket()
        for number in range(5):
            await until(lambda: app.recorder.heard[-1:] == [("text", b"%d" % number)])  # noqa: B023 (awaited here)
            await asyncio.sleep(0)
            assert len(app.recorder.heard) == number + 1

            socket.resume_reading()


async def test_pausing_and_resuming_inside_a_message_keeps_the_order() -> None:
    def blink(socket: Socket, payload: bytes) -> None:
        socket.pause_reading()
        socket.resume_reading()

    app = Attaching()
    app.recorder.react = blink
    async with serving(app) as served, upgraded(served.port) as client:
        await client.send(*(text(str(number)) for number in range(3000)))

        await until(lambda: len(app.recorder.heard) == 3000)

        assert app.recorder.heard == [("text", str(number).encode()) for number in range(3000)]


async def test_a_socket_may_be_given_to_another_listener() -> None:
    first, second = Attaching(), Recorder()
    async with serving(first) as served, upgraded(served.port) as client:
        socket = await first.socket()
        await client.send(text("to the first"))
        await first.recorder.event("text")

        second.owners.append(socket)
        socket.attach(second, socket)
        await client.send(text("to the second"))
        await second.event("text")
        client.leave()
        await second.event("closed")

    assert first.recorder.heard == [("text", b"to the first")]
    assert second.heard == [("text", b"to the second"), ("closed", 1006, "")]


async def test_whoever_attaches_after_the_client_has_left_is_told_so() -> None:
    app = Late()
    async with serving(app) as served:
        async with upgraded(served.port) as client:
            await client.send(masked(0x88, b"\x0f\xa0bye"))
            assert (await client.frame()).closing == (4000, "")
        await until(lambda: not served.state.connections)
        app.may_attach.set()

        await app.recorder.event("closed")

    assert app.recorder.heard == [("closed", 4000, "bye")]


async def test_frames_are_written_as_they_are() -> None:
    app = Attaching()
    async with serving(app) as served, upgraded(served.port) as client:
        (await app.socket()).write(text_frame(b"one") + text_frame(b"two"))

        assert await client.frame() == (0x81, b"one")
        assert await client.frame() == (0x81, b"two")


async def test_a_ping_is_heard_as_a_pong() -> None:
    app = Attaching()
    async with serving(app) as served, upgraded(served.port) as client:
        (await app.socket()).ping(b"12")
        assert await client.frame() == (0x89, b"12")
        await client.send(masked(0x8A, b"12"))

        assert await app.recorder.event("pong") == ("pong", b"12")


async def test_a_socket_knows_when_it_was_last_heard() -> None:
    app = Attaching()
    async with serving(app) as served, upgraded(served.port) as client:
        socket = await app.socket()
        before = asyncio.get_running_loop().time()
        await client.send(masked(0x8A))
        await app.recorder.event("pong")

        # uvloop's clock stands still within a turn of the loop and counts milliseconds.
        assert before - 0.01 <= socket.heard_at <= asyncio.get_running_loop().time()


async def test_the_remote_is_what_a_trusted_proxy_says() -> None:
    app = Attaching()
    trusting = serving(app, forwarded_allow_ips="127.0.0.1")
    async with trusting as served, upgraded(served.port, X_Forwarded_For="192.0.2.7"):
        assert (await app.socket()).remote == "192.0.2.7"


async def test_the_remote_is_the_peer_without_a_proxy() -> None:
    app = Attaching()
    async with serving(app) as served, upgraded(served.port):
        assert (await app.socket()).remote == "127.0.0.1"


async def test_the_chosen_subprotocol_is_answered_and_remembered() -> None:
    app = Attaching()
    async with serving(app) as served, dialled(served.port) as client:
        await client.send(request(headers={**HANDSHAKE, "Sec-WebSocket-Protocol": "fairlead.v1.msgpack, bearer.x"}))

        assert b"sec-websocket-protocol: fairlead.v1.msgpack\r\n" in await client.head()
        assert (await app.socket()).subprotocol == "fairlead.v1.msgpack"


@pytest.mark.parametrize(
    ("compression", "offer", "deflates"),
    [
        (True, "permessage-deflate", True),
        (True, "permessage-deflate; server_max_window_bits=10", False),
        (True, "x-other", False),
        (False, "permessage-deflate", False),
    ],
)
async def test_a_socket_knows_whether_frames_compressed_for_all_may_be_written(
    compression: bool, offer: str, deflates: bool
) -> None:
    app = Attaching()
    limits = WireLimits(compression=compression)
    async with serving(app, limits) as served, upgraded(served.port, Sec_WebSocket_Extensions=offer):
        assert (await app.socket()).deflates is deflates


# -- the end ---------------------------------------------------------------------------------------


async def test_a_close_is_said_finished_and_told_once() -> None:
    app = Attaching()
    async with serving(app) as served, upgraded(served.port) as client:
        socket = await app.socket()
        socket.close(4003, "kicked: go away")
        socket.close(1000, "too late")
        socket.write(text_frame(b"too late"))
        assert (await client.frame()).closing == (4003, "kicked: go away")
        await client.send(text("too late"), masked(0x88, b"\x03\xe8"))
        assert await client.rest() == b""

        assert await app.recorder.event("closed") == ("closed", 4003, "kicked: go away")
    assert app.recorder.kinds() == ["closed"]


async def test_a_client_that_does_not_finish_a_close_is_cut_off() -> None:
    app = Attaching()
    async with serving(app, HASTY) as served, upgraded(served.port) as client:
        (await app.socket()).close(4200, "drain")

        assert (await client.frame()).closing == (4200, "drain")
        assert await client.rest(2) == b""
        assert await app.recorder.event("closed") == ("closed", 4200, "drain")


async def test_a_close_is_heard_though_reading_was_paused() -> None:
    app = Attaching()
    async with serving(app, WireLimits(closing_seconds=60)) as served, upgraded(served.port) as client:
        socket = await app.socket()
        socket.pause_reading()
        await client.send(text("not to be heard"))
        socket.close(1000)
        assert (await client.frame()).closing == (1000, "")
        await client.send(masked(0x88, b"\x03\xe8"))

        assert await client.rest() == b""
        await app.recorder.event("closed")
    assert app.recorder.heard == [("closed", 1000, "")]


@pytest.mark.parametrize(
    ("payload", "told"), [(b"\x0f\xa0bye", (4000, "bye")), (b"\x03\xe8", (1000, "")), (b"", (1005, ""))]
)
async def test_the_clients_close_is_told_as_it_said_it(payload: bytes, told: tuple[int, str]) -> None:
    app = Attaching()
    async with serving(app) as served, upgraded(served.port) as client:
        await app.socket()
        await client.send(masked(0x88, payload))

        assert await app.recorder.event("closed") == ("closed", *told)


@pytest.mark.parametrize("leave", ["reset", "end"])
async def test_a_client_without_a_close_frame_left_with_1006(leave: str) -> None:
    app = Attaching()
    async with serving(app) as served, upgraded(served.port) as client:
        await app.socket()
        if leave == "end":
            client.writer.write_eof()
        else:
            client.leave()

        assert await app.recorder.event("closed") == ("closed", 1006, "")
    assert app.recorder.kinds() == ["closed"]


async def test_a_violation_is_told_with_the_code_that_was_sent() -> None:
    app = Attaching()
    async with serving(app, HASTY) as served, upgraded(served.port) as client:
        await app.socket()
        await client.send(b"\x83\x80\0\0\0\0")

        assert (await client.frame()).closing == (1002, "reserved opcode")
        assert await app.recorder.event("closed") == ("closed", 1002, "reserved opcode")


async def test_a_client_that_goes_on_after_its_violation_is_cut_off() -> None:
    app = Attaching()
    async with serving(app, HASTY) as served, upgraded(served.port) as client:
        await app.socket()
        await client.send(b"\x83\x80\0\0\0\0", text("more"))

        assert (await client.frame()).closing[0] == 1002
        await app.recorder.event("closed")
    assert app.recorder.kinds() == ["closed"]


async def test_an_abort_ends_at_once() -> None:
    app = Attaching()
    async with serving(app) as served, upgraded(served.port) as client:
        socket = await app.socket()
        socket.abort()
        socket.abort()

        assert await client.rest() == b""
        assert await app.recorder.event("closed") == ("closed", 1006, "")


async def test_nothing_that_is_done_after_the_end_matters() -> None:
    app = Attaching()
    async with serving(app) as served, upgraded(served.port) as client:
        socket = await app.socket()
        client.leave()
        await app.recorder.event("closed")

        socket.write(text_frame(b"?"))
        socket.ping(b"?")
        socket.pause_reading()
        socket.resume_reading()
        socket.close(1000)
        socket.abort()

    assert app.recorder.kinds() == ["closed"]


async def test_a_listener_may_end_the_socket_in_the_middle_of_what_was_read() -> None:
    app = Attaching()
    app.recorder.react = lambda socket, payload: socket.close(4000, "enough")
    async with serving(app) as served, upgraded(served.port) as client:
        await client.send(text("one"), text("two"), masked(0x89, b"three"))

        assert (await client.frame()).closing == (4000, "enough")
        client.leave()
        await app.recorder.event("closed")
    assert app.recorder.heard == [("text", b"one"), ("closed", 4000, "enough")]


async def test_a_server_that_stops_says_restart() -> None:
    app = Attaching()
    async with serving(app) as served, upgraded(served.port) as client:
        await app.socket()
        stopping = asyncio.create_task(served.server.shutdown())

        assert (await client.frame()).closing == (1012, "restart")
        await client.send(masked(0x88, b"\x03\xf4"))
        await asyncio.wait_for(stopping, 5)

    assert app.recorder.heard == [("closed", 1012, "restart")]


async def test_a_server_stops_though_a_client_does_not_read() -> None:
    app = Attaching()
    async with serving(app, HASTY) as served, upgraded(served.port):
        socket = await app.socket()
        socket.write(text_frame(bytes(30_000_000)))

        await asyncio.wait_for(served.server.shutdown(), 3)

        assert not served.state.connections


async def test_a_server_that_stops_refuses_who_has_not_been_accepted() -> None:
    asked = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        asked.set()
        assert (await receive())["type"] == "websocket.disconnect"

    async with serving(app) as served, dialled(served.port) as client:
        await client.send(request())
        await asyncio.wait_for(asked.wait(), 5)
        stopping = asyncio.create_task(served.server.shutdown())

        assert (await client.head()).startswith(b"HTTP/1.1 503 ")
        await asyncio.wait_for(stopping, 5)


async def test_an_application_that_fails_after_attaching_costs_the_client_its_connection() -> None:
    recorder = Recorder()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        socket = scope["extensions"][SOCKET]
        recorder.owners.append(socket)
        socket.attach(recorder, socket)
        raise LookupError("ours")

    with capture_logs() as logged:
        async with serving(app) as served, upgraded(served.port) as client:
            assert (await client.frame()).closing[0] == 1011
            client.leave()
            assert await recorder.event("closed") == ("closed", 1011, "")

    assert [entry["event"] for entry in logged] == ["the application failed in a WebSocket"]


async def test_a_connection_that_has_ended_leaves_nothing_for_the_collector() -> None:
    class Silent(Recorder):
        def _note(self, owner: object, *event: object) -> None:
            """Remember nothing."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        socket = scope["extensions"][SOCKET]
        socket.attach(listener, Owner(socket))

    class Owner:
        def __init__(self, socket: Socket) -> None:
            self.socket = socket

    listener = Silent()
    async with serving(app) as served:
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                async with upgraded(served.port) as client:
                    await client.send(text("hello"), masked(0x88))
                    await client.frame()
                await until(lambda: not served.state.connections)
            await asyncio.sleep(0)

            assert not [
                thing for thing in gc.get_objects() if isinstance(thing, WebSocketProtocol | HttpProtocol | Owner)
            ]
        finally:
            gc.enable()
