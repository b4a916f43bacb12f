"""A replica that is asked to end moves its clients elsewhere, evenly and in time (DEP-4, ADM-5)."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import fairlead
from tests.support.client import client, connected
from tests.support.redis import Server
from tests.support.replica import Replica, token, wait_until

CLIENTS = 300
WINDOW_SECONDS = 3.0
BUCKETS = 6
READERS_SECONDS = 20.0
WAITING = 100


async def test_sockets_move_evenly_with_a_pause_each_and_nothing_is_left(redis_url: str, prefix: str) -> None:
    with Replica(redis_url, prefix, drain_linger_seconds=0.5, drain_seconds=WINDOW_SECONDS) as replica:
        async with AsyncExitStack() as stack, fairlead.connect(redis_url, prefix=prefix) as backend:
            clients = [await stack.enter_async_context(connected(replica.url, f"u{at}")) for at in range(CLIENTS)]
            visitor = await stack.enter_async_context(client(f"{replica.url}?wait=connect", "visitor"))

            async def end(one: int) -> tuple[int, str, float]:
                return *await clients[one].closed(READERS_SECONDS), time.monotonic()

            ends = [asyncio.create_task(end(at)) for at in range(CLIENTS)]
            last = asyncio.create_task(visitor.closed(READERS_SECONDS))
            os.kill(replica.pid, signal.SIGTERM)
            while await asyncio.to_thread(replica.status, "/readyz") != 503:
                await asyncio.sleep(0.02)
            assert await asyncio.to_thread(replica.status, "/healthz") == 200
            sent = await backend.broadcast({"type": "notice", "content": "before the first close"})
            closed = await asyncio.gather(*ends)
            moved = await last
            assert replica.process is not None
            assert await asyncio.to_thread(replica.process.wait, 10) == 0
            assert await backend.online_users() == set()

    assert sent
    assert {code for code, _, _ in closed} == {4200} and moved[0] == 4200
    assert all(re.fullmatch(r"drain: \d+", reason) for _, reason, _ in closed)
    delays = [int(reason.partition(": ")[2]) for _, reason, _ in closed]
    assert max(delays) < WINDOW_SECONDS / 10 * 1000 and len(set(delays)) > CLIENTS / 4
    assert all(any(frame.get("content") == "before the first close" for frame in one.frames) for one in clients)
    first = min(at for _, _, at in closed)
    counts = [0] * BUCKETS
    for _, _, at in closed:
        counts[min(BUCKETS - 1, int((at - first) / WINDOW_SECONDS * BUCKETS))] += 1
    assert all(abs(count - CLIENTS / BUCKETS) <= 0.2 * CLIENTS / BUCKETS for count in counts), counts


async def test_clients_that_never_read_do_not_hold_up_the_end(redis_url: str, prefix: str) -> None:
    outbox = 64 * 1024 * 1024
    with Replica(redis_url, prefix, drain_linger_seconds=0, drain_seconds=1, max_outbox_bytes=outbox) as replica:
        sockets = [_deaf(replica.port, at) for at in range(10)]
        async with connected(replica.url, "reader") as reader, fairlead.connect(redis_url, prefix=prefix) as backend:
            for _ in range(100):
                await backend.broadcast({"type": "notice", "content": "x" * 50_000})
            await backend.broadcast({"type": "last", "content": ""})
            await reader.until("last")
        began = time.monotonic()

        assert await asyncio.to_thread(replica.stop) == 0
        took = time.monotonic() - began

        for one in sockets:
            one.close()
    assert took < 1 + 5


async def test_a_drain_while_redis_hangs_ends_in_time(own_server: Server, prefix: str) -> None:
    with Replica(own_server.url, prefix, drain_linger_seconds=0, drain_seconds=1) as replica:
        async with connected(replica.url, "u") as one:
            own_server.freeze()
            began = time.monotonic()

            assert await asyncio.to_thread(replica.stop) == 0
            took = time.monotonic() - began

            assert (await one.closed())[0] == 4200
    assert took < 1 + 5


async def test_while_it_lingers_it_lets_in_and_delivers_as_ever(redis_url: str, prefix: str) -> None:
    with Replica(redis_url, prefix, drain_linger_seconds=2, drain_seconds=0.5) as replica:
        async with connected(replica.url, "u") as one, fairlead.connect(redis_url, prefix=prefix) as backend:
            os.kill(replica.pid, signal.SIGTERM)
            while (said := await asyncio.to_thread(_readiness, replica))["open"]:
                await asyncio.sleep(0.02)
            assert said == {"redis": True, "hears_itself": True, "revocations": True, "open": False}
            assert await asyncio.to_thread(replica.status, "/readyz") == 503
            async with connected(replica.url, "u") as other:
                await backend.send_to_user("u", {"type": "notice", "content": "still here"})

                for each in (one, other):
                    assert (await each.until("notice"))["content"] == "still here"
                    assert (await each.ask("ping"))["type"] == "pong"
                for each in (one, other):
                    assert (await each.closed())[0] == 4200
        assert replica.process is not None
        assert await asyncio.to_thread(replica.process.wait, 10) == 0


async def test_who_waits_to_be_accepted_when_the_door_shuts_is_let_in_and_moved(redis_url: str, prefix: str) -> None:
    with Replica(redis_url, prefix, drain_linger_seconds=0, drain_seconds=1) as replica:
        replica.freeze()
        # The kernel tells them that they are connected; the replica has yet to hear of it.
        waiting = [asyncio.create_task(_answer(replica.port, _upgrade(f"w{number}"))) for number in range(WAITING)]
        everybody = partial(wait_until, lambda: _unaccepted(replica.port) >= WAITING, 20, "all wait to be accepted")
        await asyncio.to_thread(everybody)
        os.kill(replica.pid, signal.SIGTERM)
        replica.thaw()
        answers = await asyncio.gather(*waiting)
        assert replica.process is not None
        assert await asyncio.to_thread(replica.process.wait, 10) == 0

    assert all(b"connection_established" in answer and b"drain: " in answer for answer in answers)


def test_a_second_signal_ends_a_drain_now(redis_url: str, prefix: str) -> None:
    with Replica(redis_url, prefix, drain_linger_seconds=60) as replica:
        os.kill(replica.pid, signal.SIGTERM)
        wait_until(lambda: not replica.is_ready(), 20, "it is not ready")
        began = time.monotonic()
        os.kill(replica.pid, signal.SIGTERM)

        assert replica.process is not None
        assert replica.process.wait(timeout=10) == 128 + signal.SIGTERM
    assert time.monotonic() - began < 20


def _readiness(replica: Replica) -> dict[str, bool]:
    """The checks that ``/readyz`` tells."""
    try:
        with urllib.request.urlopen(f"{replica.http}/readyz", timeout=5) as answer:
            said = json.load(answer)
    except urllib.error.HTTPError as error:
        said = json.load(error)
    checks: dict[str, bool] = said["checks"]
    return checks


async def _answer(port: int, request: bytes) -> bytes:
    """All that is said to *request* until the close."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        said = b""
        async with asyncio.timeout(READERS_SECONDS):
            while b"drain: " not in said and (more := await reader.read(4096)):
                said += more
        return said
    finally:
        writer.close()


def _upgrade(user: str) -> bytes:
    return (
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Authorization: Bearer {token(user)}\r\n\r\n"
    ).encode()


def _unaccepted(port: int) -> int:
    """How many connections to *port* the kernel holds that nobody has accepted."""
    listens = "0A"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues = line.split()[:5]
        if state == listens and int(local.partition(":")[2], 16) == port:
            return int(queues.partition(":")[2], 16)
    return 0


def _deaf(port: int, number: int) -> socket.socket:
    """A client that reads nothing, though a reply larger than its buffer waits for it."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    one.connect(("127.0.0.1", port))
    one.sendall(_upgrade(f"deaf-{number}"))
    return one
