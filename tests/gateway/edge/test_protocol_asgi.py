"""An ordinary ASGI endpoint on our protocol: it must not notice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from structlog.testing import capture_logs
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from fairlead_gateway.wire.limits import WireLimits
from tests.conformance.client import HANDSHAKE, dialled, masked, request, text, upgraded
from tests.conformance.server import serving, until

Endpoint = Callable[[WebSocket], Awaitable[None]]


def app_of(endpoint: Endpoint) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await endpoint(WebSocket(scope, receive, send))

    return app


async def answer_to(endpoint: Endpoint) -> tuple[int, bytes, bytes]:
    """Status, head and body of a handshake that does not succeed."""
    async with serving(app_of(endpoint)) as served, dialled(served.port) as client:
        await client.send(request())
        head = await client.head()
        return int(head.split(b" ", 2)[1]), head.lower(), await client.rest()


# -- before the accept -----------------------------------------------------------------------------


async def test_a_close_instead_of_an_accept_is_403() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.close(4000)

    assert (await answer_to(endpoint))[0] == 403


async def test_an_endpoint_that_returns_without_an_accept_is_403() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.receive()

    assert (await answer_to(endpoint))[0] == 403


async def test_an_endpoint_that_fails_before_the_accept_is_500_and_logged() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        raise LookupError("ours")

    with capture_logs() as logged:
        status, _, body = await answer_to(endpoint)

    assert (status, body) == (500, b"")
    assert [entry["event"] for entry in logged] == ["the application failed in a WebSocket"]


async def test_a_denial_response_is_sent_as_it_is() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        denial = JSONResponse({"code": "replica_full"}, 503, headers={"retry-after": "7"})
        await websocket.send_denial_response(denial)

    status, head, body = await answer_to(endpoint)

    assert (status, body) == (503, b'{"code":"replica_full"}')
    assert b"\r\nretry-after: 7\r\n" in head
    assert head.count(b"content-length:") == 1


async def test_a_denial_response_may_come_in_parts() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.send({"type": "websocket.http.response.start", "status": 418, "headers": []})
        await websocket.send({"type": "websocket.http.response.body", "body": b"I'm ", "more_body": True})
        await websocket.send({"type": "websocket.http.response.body", "body": b"a teapot"})

    assert (await answer_to(endpoint))[::2] == (418, b"I'm a teapot")


async def test_an_accept_header_that_would_break_out_of_its_line_is_500() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept(headers=[(b"x", b"a\r\nset-cookie: b=c")])

    with capture_logs():
        status, head, _ = await answer_to(endpoint)

    assert status == 500
    assert b"set-cookie" not in head


async def test_websockets_understands_a_denial() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.close()

    async with serving(app_of(endpoint)) as served:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{served.port}/", proxy=None)

    assert refused.value.response.status_code == 403


async def test_a_client_that_leaves_before_the_accept_is_noticed() -> None:
    heard: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append(await receive())
        heard.append(await receive())

    async with serving(app) as served, dialled(served.port) as client:
        await client.send(request())
        await until(lambda: heard)
        client.leave()
        await until(lambda: len(heard) == 2)

    assert [message["type"] for message in heard] == ["websocket.connect", "websocket.disconnect"]
    assert heard[1]["code"] == 1006


async def test_the_scope_says_what_was_asked() -> None:
    scopes: list[Scope] = []

    async def endpoint(websocket: WebSocket) -> None:
        scopes.append(websocket.scope)
        await websocket.close()

    async with serving(app_of(endpoint), root_path="/root") as served, dialled(served.port) as client:
        await client.send(
            request("/caf%C3%A9/x?a=%31&b", {**HANDSHAKE, "X-Mine": "1", "Sec-WebSocket-Protocol": "a, b"})
        )
        await client.head()
        peer = client.writer.get_extra_info("sockname")

    scope = scopes[0]
    assert {name: scope[name] for name in ("type", "scheme", "http_version", "path", "raw_path", "query_string")} == {
        "type": "websocket",
        "scheme": "ws",
        "http_version": "1.1",
        "path": "/root/café/x",
        "raw_path": b"/root/caf%C3%A9/x",
        "query_string": b"a=%31&b",
    }
    assert scope["subprotocols"] == ["a", "b"]
    assert scope["client"] == peer
    assert scope["server"] == ("127.0.0.1", served.port)
    assert (b"x-mine", b"1") in scope["headers"]
    assert {"fairlead.socket", "websocket.http.response"} <= set(scope["extensions"])


async def test_neither_path_nor_query_is_ever_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        raise LookupError("ours")

    # Not below: at its own level "trace" uvicorn logs every scope, whatever the protocol.
    with caplog.at_level("DEBUG"), caplog.at_level("DEBUG", "uvicorn.error"), capture_logs() as logged:
        async with serving(app_of(endpoint)) as served, upgraded(served.port, "/canary?token=canary") as client:
            await client.frame()

    assert "canary" not in caplog.text
    assert "canary" not in str([{**entry, "exc_info": ""} for entry in logged])


# -- after it --------------------------------------------------------------------------------------


async def test_messages_go_both_ways() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept("chat")
        await websocket.send_text(f"text {await websocket.receive_text()}")
        await websocket.send_bytes(b"bytes " + await websocket.receive_bytes())
        await websocket.close(4001, "done")

    async with serving(app_of(endpoint)) as served:
        async with connect(f"ws://127.0.0.1:{served.port}/", subprotocols=["chat"], proxy=None) as client:  # type: ignore[list-item]
            await client.send("hellö")
            assert await client.recv() == "text hellö"
            await client.send(b"\xff")
            assert await client.recv() == b"bytes \xff"
            await client.wait_closed()

        assert (client.subprotocol, client.close_code, client.close_reason) == ("chat", 4001, "done")


@pytest.mark.parametrize("window_bits", [9, 12, 15])
async def test_messages_are_compressed_where_that_was_agreed(window_bits: int) -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        async for message in websocket.iter_text():
            await websocket.send_text(message * 2)

    offer = f"permessage-deflate; server_max_window_bits={window_bits}"
    async with serving(app_of(endpoint), WireLimits(compression=True)) as served:
        async with connect(f"ws://127.0.0.1:{served.port}/", proxy=None) as client:
            await client.send("compressible " * 1000)
            assert await client.recv() == "compressible " * 2000
        async with upgraded(served.port, Sec_WebSocket_Extensions=offer) as raw:
            await raw.send(text("x" * 10_000))
            frame = await raw.frame()
            assert frame.first == 0xC1
            assert len(frame.payload) < 200


async def test_an_endpoint_that_returns_closes_with_1000() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()

    async with serving(app_of(endpoint)) as served, upgraded(served.port) as client:
        assert (await client.frame()).closing == (1000, "")


async def test_an_endpoint_that_fails_closes_with_1011() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json({"a": object()})

    with capture_logs() as logged:
        async with serving(app_of(endpoint)) as served, upgraded(served.port) as client:
            assert (await client.frame()).closing == (1011, "")

    assert len(logged) == 1


@pytest.mark.parametrize(
    ("said", "code", "reason"),
    [
        (masked(0x88, b"\x0f\xa0bye"), 4000, "bye"),
        (masked(0x88), 1005, ""),
        (b"\x83\x80\0\0\0\0", 1002, "reserved opcode"),
    ],
)
async def test_a_disconnect_has_its_code_and_reason_and_is_told_as_often_as_it_is_asked_for(
    said: bytes, code: int, reason: str
) -> None:
    heard: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        heard.extend([await receive(), await receive()])
        with pytest.raises(OSError, match="the client has left"):
            await send({"type": "websocket.send", "text": "too late"})

    async with serving(app) as served, upgraded(served.port) as client:
        await client.send(said)
        await client.frame()
        client.leave()
        await until(lambda: len(heard) == 2)

    assert heard == [{"type": "websocket.disconnect", "code": code, "reason": reason}] * 2


async def test_a_client_that_leaves_while_it_is_written_to_is_no_failure() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        with pytest.raises(WebSocketDisconnect):
            while True:
                await websocket.send_bytes(bytes(100_000))
        ended.set()

    ended = asyncio.Event()
    async with serving(app_of(endpoint)) as served, upgraded(served.port) as client:
        await client.frame()
        client.leave()
        await asyncio.wait_for(ended.wait(), 5)


async def test_sending_waits_for_a_client_that_does_not_read() -> None:
    sent = 0

    async def endpoint(websocket: WebSocket) -> None:
        nonlocal sent
        await websocket.accept()
        while sent < 200:
            await websocket.send_bytes(bytes(100_000))
            sent += 1
        await websocket.receive()

    limits = WireLimits(max_outbox_bytes=1_000_000)
    async with serving(app_of(endpoint), limits) as served, upgraded(served.port) as client:
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        socket = next(iter(served.state.connections))
        await until(lambda: not socket.is_writable)  # type: ignore[union-attr]
        stopped_at = sent
        await asyncio.sleep(0)
        assert stopped_at == sent < 200
        client.reader._transport.resume_reading()  # type: ignore[attr-defined]

        for _ in range(200):
            assert len((await client.frame()).payload) == 100_000


async def test_an_endpoint_that_does_not_receive_holds_the_client_back_and_misses_nothing() -> None:
    may_receive = asyncio.Event()
    heard: list[Any] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await may_receive.wait()
        while len(heard) < 3000:
            heard.append(await websocket.receive_text())

    async with serving(app_of(endpoint), WireLimits(max_message_bytes=8000)) as served, upgraded(served.port) as client:
        sending = asyncio.create_task(client.send(*(text(f"{number:08000}") for number in range(3000))))
        await until(lambda: client.writer.transport.get_write_buffer_size() > 1_000_000)
        socket = next(iter(served.state.connections))
        await until(lambda: not socket._transport.is_reading())  # type: ignore[union-attr]
        may_receive.set()

        await sending
        await until(lambda: len(heard) == 3000)

    assert [int(message[-9:]) for message in heard] == list(range(3000))


async def test_pings_are_answered_while_the_endpoint_waits_for_a_message() -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive()

    async with serving(app_of(endpoint)) as served, upgraded(served.port) as client:
        await client.send(masked(0x89, b"there?"))

        assert await client.frame() == (0x8A, b"there?")


@pytest.mark.parametrize(
    ("before", "wrong"),
    [
        ([], {"type": "websocket.send", "text": "too early"}),
        ([{"type": "websocket.accept"}], {"type": "websocket.accept"}),
        ([{"type": "websocket.accept"}], {"type": "websocket.http.response.start", "status": 200}),
        ([{"type": "websocket.accept"}, {"type": "websocket.close"}], {"type": "websocket.send", "text": "too late"}),
        ([{"type": "websocket.close"}], {"type": "websocket.accept"}),
    ],
)
async def test_a_message_out_of_turn_is_the_applications_mistake(before: list[Message], wrong: Message) -> None:
    mistakes: list[RuntimeError] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in before:
            await send(message)
        with pytest.raises(RuntimeError) as mistake:
            await send(wrong)
        mistakes.append(mistake.value)

    async with serving(app) as served, dialled(served.port) as client:
        await client.send(request())
        await client.head()
        await until(lambda: mistakes)

    assert wrong["type"] in str(mistakes[0])


async def test_a_reused_receive_after_a_timeout_loses_no_message() -> None:
    heard: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0.01)
        await send({"type": "websocket.send", "text": "now"})
        heard.append(await receive())

    async with serving(app) as served, upgraded(served.port) as client:
        await client.frame()
        await client.send(text("hello"))
        await until(lambda: heard)

    assert heard == [{"type": "websocket.receive", "text": "hello"}]
