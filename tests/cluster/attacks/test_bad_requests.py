"""Whatever comes to the port that is no good request: refused or cut in time, and never taken for two requests."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from tests.cluster.attacks.attacker import someone
from tests.cluster.attacks.conftest import DEADLINE_SECONDS
from tests.conformance.client import HANDSHAKE, RawClient, dialled, request, text
from tests.support.client import connected
from tests.support.replica import Replica, token

HALF_A_HEAD = request("/ws")[:60]

UPGRADE = request("/ws", {**HANDSHAKE, "Authorization": "Bearer x"})

GARBAGE: dict[str, bytes] = {
    "zeros": b"\0" * 4096,
    "ones": b"\xff" * 4096,
    "every byte": bytes(range(256)) * 20,
    "a TLS greeting": bytes.fromhex("160301020001000" + "1fc0303") + b"\x55" * 512,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0",
    "Redis": b"*1\r\n$8\r\nFLUSHALL\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.0\r\n",
    "SOCKS": b"\x05\x01\x00",
    "a frame without a handshake": text('{"action":"ping"}'),
    "a line without an end": b"GET /" + b"a" * 200_000,
    "a header without an end": b"GET /ws HTTP/1.1\r\nHost: " + b"a" * 200_000,
    "20,000 headers": b"GET /ws HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
    "a header in a header": b"GET /ws HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "a NUL in a header": b"GET /healthz HTTP/1.1\r\nHost: local\0host\r\n\r\n",
    "a version of nobody": b"GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n",
}

SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

BODIES: dict[str, dict[str, str]] = {
    "a length": {"Content-Length": str(len(SMUGGLED))},
    "chunks": {"Transfer-Encoding": "chunked"},
    "a length and chunks": {"Content-Length": "5", "Transfer-Encoding": "chunked"},
    "a coding of nobody": {"Transfer-Encoding": "xchunked"},
    "a length below zero": {"Content-Length": "-1"},
    "a length with a plus": {"Content-Length": "+5"},
    "a length in hex": {"Content-Length": "0x5"},
    "two lengths": {"Content-Length": "0", "content-length": "42"},
}

SMUGGLING: dict[str, bytes] = {
    "a length and chunks": (
        b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "two lengths": b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n",
    "a length of two numbers": b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0, 44\r\n\r\n",
    "chunks of a wrong size": (
        b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n"
    ),
    "chunks spelt oddly": (
        b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"
    ),
    "a space before the colon": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length : 44\r\n\r\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n",
    "line feeds alone": b"GET /ws HTTP/1.1\nHost: localhost\nUpgrade: websocket\nConnection: Upgrade\n\n",
    "a bare carriage return": b"GET /healthz HTTP/1.1\r\nHost: localhost\rContent-Length: 44\r\n\r\n",
}

NOT_UPGRADES: dict[str, tuple[bytes, int]] = {
    "POST": (request("/ws", method="POST"), 405),
    "HTTP/1.0": (request("/ws", version="1.0"), 400),
    "no key": (request("/ws", {**HANDSHAKE, "Sec-WebSocket-Key": ""}), 400),
    "a short key": (request("/ws", {**HANDSHAKE, "Sec-WebSocket-Key": "c2hvcnQ="}), 400),
    "two keys": (request("/ws", {**HANDSHAKE, "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA=="}), 400),
    "version 8": (request("/ws", {**HANDSHAKE, "Sec-WebSocket-Version": "8"}), 426),
    "two hosts": (request("/ws", {**HANDSHAKE, "host": "evil.example"}), 400),
    "no host": (request("/ws", {name: value for name, value in HANDSHAKE.items() if name != "Host"}), 400),
    "a subprotocol that is none": (request("/ws", {**HANDSHAKE, "Sec-WebSocket-Protocol": "a b,,"}), 400),
    "another path": (request("/ws/../../etc/passwd"), 403),
    "a path of nothing": (request("/nothing"), 403),
}


@pytest.mark.parametrize("what", GARBAGE)
async def test_garbage_on_the_port_is_refused_or_cut_in_time(target: Replica, what: str) -> None:
    async with dialled(target.port) as raw:
        answer = await said_to(raw, GARBAGE[what])

    assert answer == b"" or status_of(answer) in (400, 408, 431), answer[:200]


@pytest.mark.parametrize("what", BODIES)
async def test_an_upgrade_with_a_body_is_refused_and_what_follows_is_no_request(target: Replica, what: str) -> None:
    async with dialled(target.port) as raw:
        answer = await said_to(raw, request("/ws", {**HANDSHAKE, **BODIES[what]}) + SMUGGLED)

    assert status_of(answer) == 400 and answer.count(b"HTTP/1.1 ") == 1, answer


@pytest.mark.parametrize("what", SMUGGLING)
async def test_what_two_servers_could_read_differently_is_refused(target: Replica, what: str) -> None:
    async with dialled(target.port) as raw:
        answer = await said_to(raw, SMUGGLING[what] + SMUGGLED)

    assert b"alive" not in answer and answer.count(b"HTTP/1.1 ") <= 1, answer


@pytest.mark.parametrize("what", NOT_UPGRADES)
async def test_what_is_no_upgrade_gets_an_http_error(target: Replica, what: str) -> None:
    asked, status = NOT_UPGRADES[what]
    async with dialled(target.port) as raw:
        answer = await said_to(raw, asked)

    assert status_of(answer) == status, answer


async def test_a_request_behind_an_upgrade_is_no_request(target: Replica) -> None:
    bearer = {"Authorization": f"Bearer {token(someone())}"}
    async with dialled(target.port) as raw:
        answer = await said_to(raw, request("/ws", {**HANDSHAKE, **bearer}) + SMUGGLED)

    assert answer.startswith(b"HTTP/1.1 101 ") and answer.count(b"HTTP/1.1 ") == 1
    assert (1002).to_bytes(2, "big") in answer


async def test_an_upgrade_while_an_answer_is_still_due_is_no_upgrade(target: Replica) -> None:
    async with dialled(target.port) as raw:
        answer = await said_to(raw, SMUGGLED * 5 + UPGRADE)

    assert b" 101 " not in answer


@pytest.mark.parametrize("said", [b"", b"G", HALF_A_HEAD], ids=["nothing", "a letter", "half a head"])
async def test_half_a_handshake_is_cut_when_its_time_is_up(target: Replica, said: bytes) -> None:
    began = time.monotonic()
    async with dialled(target.port) as raw:
        answer = await said_to(raw, said)

    assert answer == b"" or status_of(answer) == 408
    assert time.monotonic() - began < DEADLINE_SECONDS + 1


async def test_a_head_that_drips_is_cut_as_if_it_had_stopped(target: Replica) -> None:
    began = time.monotonic()
    async with dialled(target.port) as raw:
        dripping = asyncio.create_task(drip(raw))
        answer = await raw.rest()
        dripping.cancel()

    assert answer == b"" or status_of(answer) == 408
    assert time.monotonic() - began < DEADLINE_SECONDS + 1


async def test_three_hundred_half_handshakes_keep_nobody_out(target: Replica) -> None:
    async with AsyncExitStack() as stack:
        halves = await asyncio.gather(*(stack.enter_async_context(dialled(target.port)) for _ in range(300)))
        for number, raw in enumerate(halves):
            await raw.send(HALF_A_HEAD[: number % 60])
        async with connected(target.url, someone()) as newcomer:
            assert (await newcomer.ask("ping"))["type"] == "pong"

        answers = await asyncio.gather(*(raw.rest() for raw in halves))

    assert all(answer == b"" or status_of(answer) == 408 for answer in answers)


async def test_who_sends_requests_without_end_and_reads_no_answer_is_cut(target: Replica) -> None:
    async with AsyncExitStack() as stack:
        deaf = [await stack.enter_async_context(dialled(target.port)) for _ in range(50)]
        for raw in deaf:
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
            raw.writer.write(b"GET /a HTTP/1.1\r\n\r\n" * 20_000)

        async with asyncio.timeout(DEADLINE_SECONDS + 2):
            while not all(raw.writer.transport.is_closing() for raw in deaf):
                for raw in deaf:
                    raw.writer.write(b"\r\n")
                await asyncio.sleep(0.02)


async def test_a_few_requests_in_one_breath_are_answered_in_order(target: Replica) -> None:
    async with dialled(target.port) as raw:
        answer = await said_to(raw, SMUGGLED * 16 + SMUGGLED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    assert answer.count(b"HTTP/1.1 200 ") == answer.count(b"alive") == 17


async def said_to(raw: RawClient, data: bytes) -> bytes:
    """All that is answered to *data* until the server ends the connection, which it must."""
    raw.writer.write(data)
    return await raw.rest()


async def drip(raw: RawClient) -> None:
    for byte in b"GET /ws HTTP/1.1\r\n" + b"X: y\r\n" * 1000:
        raw.writer.write(bytes((byte,)))
        await asyncio.sleep(0.02)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
