"""Our HTTP: late, endless and broken request heads end; upgrades are handed over whole."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fairlead_gateway.edge.door import door_class
from tests.conformance.client import dialled, masked, request, text, upgraded
from tests.conformance.server import Attaching, serving, until

HASTY = {"http": door_class(0.1)}


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"hello {len(await request.body())}")


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for message in websocket.iter_text():
        await websocket.send_text(message)


app = Starlette(routes=[Route("/", hello, methods=["GET", "POST"]), WebSocketRoute("/ws", echo)])
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("said", [b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\n", request("/ws")[:-2]])
async def test_half_a_request_head_is_answered_408(said: bytes) -> None:
    async with serving(app, **HASTY) as served, dialled(served.port) as client:
        await client.send(said)

        assert (await client.rest()).startswith(b"HTTP/1.1 408 ")
        await until(lambda: not served.state.connections)


async def test_who_says_nothing_is_cut_off_without_a_word() -> None:
    async with serving(app, **HASTY) as served, dialled(served.port) as client:
        assert await client.rest() == b""


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_who_comes_when_few_files_are_left_is_hung_up_on_and_the_next_is_not() -> None:
    async with serving(app, http=door_class(5.0, files=_open_files() + 20)) as served, AsyncExitStack() as crowd:
        clients = [await crowd.enter_async_context(dialled(served.port)) for _ in range(30)]
        await clients[-1].send(GET)

        assert await clients[-1].rest() == b""
        await clients[0].send(GET)
        assert (await clients[0].head()).startswith(b"HTTP/1.1 200 ")
        await crowd.aclose()
        await until(lambda: not served.state.connections)
        async with dialled(served.port) as newcomer:
            await newcomer.send(GET)
            assert (await newcomer.head()).startswith(b"HTTP/1.1 200 ")


async def test_a_head_that_trickles_in_does_not_move_the_deadline() -> None:
    async with serving(app, http=door_class(0.3)) as served, dialled(served.port) as client:
        started = asyncio.get_running_loop().time()
        answer = asyncio.create_task(client.rest())
        while not answer.done():
            client.writer.write(b"x")
            await asyncio.sleep(0.02)
            assert asyncio.get_running_loop().time() - started < 3

        assert (await answer).startswith(b"HTTP/1.1 40")


async def test_a_request_that_is_there_in_time_may_take_longer_to_answer() -> None:
    may_answer = asyncio.Event()

    async def slow(request: Request) -> PlainTextResponse:
        await may_answer.wait()
        return PlainTextResponse("at last")

    async with serving(Starlette(routes=[Route("/", slow)]), **HASTY) as served, dialled(served.port) as client:
        await client.send(GET)
        asyncio.get_running_loop().call_later(0.3, may_answer.set)

        assert (await client.head()).startswith(b"HTTP/1.1 200 ")
        assert await client.reader.readexactly(7) == b"at last"


async def test_the_next_request_of_a_connection_has_a_deadline_of_its_own() -> None:
    async with serving(app, **HASTY) as served, dialled(served.port) as client:
        await client.send(GET)
        await client.head()
        assert await client.reader.readexactly(7) == b"hello 0"
        await client.send(b"GET / HT")

        assert (await client.rest()).startswith(b"HTTP/1.1 408 ")


async def test_a_kept_connection_may_be_quiet_between_requests() -> None:
    async with serving(app, **HASTY) as served, dialled(served.port) as client:
        for _ in range(2):
            await client.send(GET)
            assert (await client.head()).startswith(b"HTTP/1.1 200 ")
            assert await client.reader.readexactly(7) == b"hello 0"
            await asyncio.sleep(0.25)


@pytest.mark.parametrize("behind", [b"GET / HT", request("/ws")], ids=["late head", "upgrade"])
async def test_what_goes_wrong_behind_a_request_says_nothing_into_its_answer(behind: bytes) -> None:
    started, may_go_on = asyncio.Event(), asyncio.Event()

    async def parts() -> Any:
        yield b"first"
        started.set()
        await may_go_on.wait()
        yield b"second"

    async def slow(request: Request) -> StreamingResponse:
        return StreamingResponse(parts())

    async with serving(Starlette(routes=[Route("/", slow)]), **HASTY) as served, dialled(served.port) as client:
        await client.send(GET)
        await asyncio.wait_for(started.wait(), 5)
        await client.send(behind)

        answer = await client.rest()
        may_go_on.set()

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_an_endless_head_is_refused() -> None:
    async with serving(app) as served, dialled(served.port) as client:
        await client.send(b"GET / HTTP/1.1\r\n")
        client.writer.write(b"".join(b"x-%d: %b\r\n" % (number, b"y" * 1000) for number in range(2000)))

        answer = await client.rest()

    assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""


async def test_a_head_of_moderate_size_in_many_pieces_is_fine() -> None:
    headers = b"".join(b"x-%d: %b\r\n" % (number, b"y" * 1000) for number in range(20))
    async with serving(app) as served, dialled(served.port) as client:
        head = b"GET / HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n"
        await client.trickle(head, range(500, len(head), 500))

        assert (await client.head()).startswith(b"HTTP/1.1 200 ")


async def test_a_long_body_is_not_a_long_head() -> None:
    async with serving(app) as served, dialled(served.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n" + bytes(300_000))

        assert (await client.head()).startswith(b"HTTP/1.1 200 ")
        assert await client.reader.readexactly(12) == b"hello 300000"


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/9.9\r\n\r\n", b"\xff" * 50]
)
async def test_what_is_not_http_is_400_and_not_worth_a_line_in_the_log(
    garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with serving(app) as served, dialled(served.port) as client:
            await client.send(garbage)

            assert (await client.rest()).startswith(b"HTTP/1.1 400 ")

    assert not caplog.records


async def test_an_upgrade_to_something_else_is_answered_as_if_it_had_not_been_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        async with serving(app) as served, dialled(served.port) as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")

            assert (await client.head()).startswith(b"HTTP/1.1 200 ")

    assert not caplog.records


async def test_what_follows_an_upgrade_in_the_same_segment_is_heard() -> None:
    attaching = Attaching()
    async with serving(attaching) as served, dialled(served.port) as client:
        await client.send(request() + text("one") + masked(0x89, b"two"))
        await client.head()

        assert await client.frame() == (0x8A, b"two")
        assert attaching.recorder.heard == [("text", b"one")]


async def test_an_upgrade_after_other_requests_of_the_same_connection_works() -> None:
    async with serving(app) as served, dialled(served.port) as client:
        await client.send(GET)
        await client.head()
        assert await client.reader.readexactly(7) == b"hello 0"
        await client.send(request("/ws") + text("hello"))

        assert (await client.head()).startswith(b"HTTP/1.1 101 ")
        assert await client.frame() == (0x81, b"hello")


@pytest.mark.parametrize("http", [HttpToolsProtocol, H11Protocol])
async def test_our_websocket_protocol_works_behind_uvicorns_own_http(http: type) -> None:
    async with serving(app, http=http) as served, upgraded(served.port, "/ws?x=1") as client:
        await client.send(text("hello"))

        assert await client.frame() == (0x81, b"hello")


async def test_a_websocket_protocol_of_uvicorns_works_behind_our_http() -> None:
    async with serving(app, ws="websockets-sansio") as served, upgraded(served.port, "/ws") as client:
        await client.send(text("hello"))

        assert await client.frame() == (0x81, b"hello")


async def test_a_path_where_nothing_listens_is_refused() -> None:
    async with serving(app) as served, dialled(served.port) as client:
        await client.send(request("/nowhere"))

        assert (await client.head()).startswith(b"HTTP/1.1 403 ")
