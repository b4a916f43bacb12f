"""One process that publishes prepared messages at a given rate, over one socket, without waiting for each answer."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final, Protocol

from fairlead_gateway.bench.worker import Order, WorkerFailed

_TICK_SECONDS: Final = 100e-6
"""The shortest sleep: messages due within it go out together."""

_BATCH: Final = 64
_PATIENCE_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Published:
    """How many were sent, when the first was (monotonic), and how long it took to send all."""

    count: int
    first_ns: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Publish(Order[Published]):
    """*count* messages, *rate* a second (0: as fast as they are taken)."""

    count: int
    rate: float


class Sender(Protocol):
    """Gets messages to a server, or to what stands before it. Made in one process, used in another."""

    def connect(self) -> None: ...

    def send(self, count: int) -> None:
        """Send so many more, and return when no more than a few are unanswered."""

    def finish(self) -> None:
        """Return when all are answered."""


class SocketSender:
    """
    Whole requests on one TCP connection; the peer answers every one.

    :param messages: makes the request with the given number.
    :param greeting: sent first, answered by one line (``AUTH`` …); may be empty.
    :param answer: what occurs exactly once in the answer to a message.
    :param window: how many messages may be unanswered.
    """

    def __init__(
        self,
        host: str,
        port: int,
        messages: Callable[[int], bytes],
        *,
        answer: bytes = b"\r\n",
        greeting: bytes = b"",
        window: int = 512,
    ) -> None:
        self._address, self._greeting = (host, port), greeting
        self._message, self._next = messages, 0
        self._answer, self._window = answer, window
        self._unanswered = 0
        self._tail = b""
        self._link: socket.socket

    def connect(self) -> None:
        self._link = socket.create_connection(self._address, timeout=_PATIENCE_SECONDS)
        self._link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A timeout of Python's own would wait before each receive, even one with MSG_DONTWAIT.
        self._link.settimeout(None)
        self._link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _PATIENCE_SECONDS, 0))
        if self._greeting:
            self._link.sendall(self._greeting)
            if (said := self._link.recv(4096)).startswith(b"-"):
                raise WorkerFailed(f"refused: {said!r}")

    def send(self, count: int) -> None:
        first, self._next = self._next, self._next + count
        self._link.sendall(b"".join(map(self._message, range(first, self._next))))
        self._unanswered += count
        self._hear(socket.MSG_DONTWAIT)
        while self._unanswered > self._window:
            self._hear()

    def finish(self) -> None:
        while self._unanswered:
            self._hear()

    def _hear(self, flags: int = 0) -> None:
        try:
            data = self._link.recv(1 << 16, flags)
        except BlockingIOError as error:
            if flags:
                return
            raise WorkerFailed(f"no answer to a message within {_PATIENCE_SECONDS} s") from error
        if not data or data.startswith(b"-"):
            raise WorkerFailed(f"publishing was refused: {data[:200]!r}")
        data = self._tail + data
        self._unanswered -= data.count(self._answer)
        self._tail = unfinished(data, self._answer)


def unfinished(data: bytes, mark: bytes) -> bytes:
    """The end of *data* that may be the beginning of *mark*."""
    longest = min(len(mark) - 1, len(data))
    return next((data[-size:] for size in range(longest, 0, -1) if mark.startswith(data[-size:])), b"")


class Publisher:
    """The work of the publishing worker; picklable, because it is made elsewhere."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def __call__(self, pipe: Connection) -> None:
        self._sender.connect()
        while True:
            order: Publish = pipe.recv()
            pipe.send(self._publish(order.count, order.rate))

    def _publish(self, count: int, rate: float) -> Published:
        since = time.monotonic_ns()
        sent = 0
        while sent < count:
            due = messages_due(time.monotonic_ns() - since, count, rate)
            if due > sent:
                batch = min(due - sent, _BATCH)
                self._sender.send(batch)
                sent += batch
            else:
                time.sleep(max(_TICK_SECONDS, (since + sent / rate * 1e9 - time.monotonic_ns()) / 1e9))
        seconds = (time.monotonic_ns() - since) / 1e9
        self._sender.finish()
        return Published(count, since, seconds)


def messages_due(elapsed_ns: int, count: int, rate: float) -> int:
    """How many messages should have been sent by now; the first is due at once."""
    return min(count, 1 + int(elapsed_ns * rate / 1e9)) if rate else count
