"""
How evenly and how fast one replica empties: ``python -m tests.bench.drain [CLIENTS] [WINDOW_SECONDS]``.

Starts a Redis and a replica of its own, connects the clients and ten that never read, sends SIGTERM, and prints what
came of it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections import Counter

from tests.support.redis import Server
from tests.support.replica import Replica, token

DEAF = 10
PARTS = 10
AT_ONCE = 100
OPEN_SECONDS = 60.0


def request(user: str) -> bytes:
    return (
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Authorization: Bearer {token(user)}\r\n\r\n"
    ).encode()


class Ear(asyncio.Protocol):
    """One client: it notes the close that it hears, and answers it."""

    def __init__(self, hello: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._hello = hello
        self.greeted: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[tuple[int, float]] = loop.create_future()
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        self._heard = self._heard[-4096:] + data
        if not self.greeted.done() and b"connection_established" in self._heard:
            self.greeted.set_result(None)
        at = self._heard.find(b"drain: ") - 4
        if at >= 0 and not self.ended.done():
            self.ended.set_result((int.from_bytes(self._heard[at + 2 : at + 4]), time.monotonic()))
            self._transport.write(b"\x88\x82\0\0\0\0\x10\x68")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result((1006, time.monotonic()))


async def connect(port: int, count: int) -> list[Ear]:
    """That many greeted clients."""
    loop, gate = asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE)

    async def one(at: int) -> Ear:
        async with gate:
            _, ear = await loop.create_connection(lambda: Ear(request(f"u{at}")), "127.0.0.1", port)
            await ear.greeted
        return ear

    async with asyncio.timeout(OPEN_SECONDS):
        return await asyncio.gather(*(one(at) for at in range(count)))


def deaf(port: int, user: str) -> socket.socket:
    """A client that never reads."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    one.connect(("127.0.0.1", port))
    one.sendall(request(user))
    return one


async def measure(replica: Replica, count: int, window: float) -> None:
    ears = await connect(replica.port, count)
    silent = [deaf(replica.port, f"deaf{at}") for at in range(DEAF)]
    began = time.monotonic()
    os.kill(replica.pid, signal.SIGTERM)
    async with asyncio.timeout(window + 10):
        ends = await asyncio.gather(*(ear.ended for ear in ears))
        assert replica.process is not None
        status = await asyncio.to_thread(replica.process.wait, 15)
    took = time.monotonic() - began
    for one in silent:
        one.close()
    first = min(at for _, at in ends)
    parts = Counter(min(PARTS - 1, int((at - first) / window * PARTS)) for _, at in ends)
    shares = [round(parts[part] / (count / PARTS), 2) for part in range(PARTS)]
    print(f"codes {dict(Counter(code for code, _ in ends))}, exit status {status} after {took:.2f} s")
    print(f"closes in each tenth of the window, of an even share: {shares}")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    window = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    with (
        Server() as server,
        Replica(server.url, "drain", drain_linger_seconds=0, drain_seconds=window) as replica,
    ):
        asyncio.run(measure(replica, count, window))


if __name__ == "__main__":
    main()
