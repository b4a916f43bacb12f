"""Thousands of sockets in one process, over epoll."""

from __future__ import annotations

import select
import socket
import time
from array import array
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Final

from fairlead_gateway.bench.ears import EARS, READ_BYTES, Echoing, Ledger, Seat
from fairlead_gateway.bench.frames import CLOSE, Frame, Walker, masked
from fairlead_gateway.bench.orders import Begin, Count, Echo, Hush, Open, Opened, Opening, Role, Tell
from fairlead_gateway.bench.worker import Order, WorkerFailed

_STALLED_RECEIVE_BYTES: Final = 4096


class _Joining:
    """One socket on its way in."""

    def __init__(self, load: Load, number: int, port: int, opening: Opening) -> None:
        self._load, self._number, self._opening = load, number, opening
        self._steps = deque(opening.steps)
        self._walker: Walker | None = None
        self._last_heard = b""
        self._since_ns = time.monotonic_ns()
        self._link = _connecting(port, opening.role)
        load.watch(self._link, self._request, select.EPOLLOUT)

    def _request(self) -> None:
        self._link.sendall(self._opening.request)
        self._load.watch(self._link, self._read)

    def _read(self) -> None:
        data = self._link.recv(READ_BYTES)
        if not data:
            raise WorkerFailed(f"socket {self._number} ended while it opened; last heard: {self._last_heard[-200:]!r}")
        if self._walker:
            self._hear(self._walker.feed(data))
        else:
            self._answer(data)

    def _answer(self, data: bytes) -> None:
        """What the server says to the upgrade, and frames that came along with it."""
        self._last_heard += data
        head, ended, rest = self._last_heard.partition(b"\r\n\r\n")
        if not ended:
            return
        if not head.startswith(b"HTTP/1.1 101 "):
            raise WorkerFailed(f"the server refused the upgrade: {self._last_heard[:300]!r}")
        self._walker = Walker()
        self._say()
        self._hear(self._walker.feed(rest))

    def _hear(self, frames: list[Frame]) -> None:
        for opcode, payload in frames:
            self._last_heard = payload
            if opcode == CLOSE:
                raise WorkerFailed(f"socket {self._number} was closed while it opened: {payload!r}")
            if self._steps and self._steps[0].hear in payload:
                self._steps.popleft()
                self._say()

    def _say(self) -> None:
        """What the next steps say, until one of them has to wait."""
        while self._steps:
            if self._steps[0].say:
                self._link.sendall(masked(self._steps[0].say))
            if self._steps[0].hear:
                return
            self._steps.popleft()
        self._load.opened(self._number, self._link, self._opening.role, time.monotonic_ns() - self._since_ns)


class Load:
    """The far end of a worker: obeys orders, and listens to all its sockets meanwhile."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._ledger = Ledger()
        self._waiting: deque[tuple[int, int, Opening]] = deque()
        self._latencies: array[int] = array("q")
        self._missing = 0
        self._since_ns = 0
        self._echoing: list[Echoing] = []
        self._stalled: list[socket.socket] = []
        self._obeys: dict[type[Order[object]], Callable[..., object]] = {
            Begin: lambda order: self._ledger.clear(order.frame_bytes),
            Count: lambda order: self._ledger.counts(),
            Tell: lambda order: self._ledger.heard(),
            Echo: lambda order: self._say(order.frame),
            Hush: lambda order: self._say(b""),
        }

    def run(self) -> None:
        """Until the pipe is closed."""
        control = self._pipe.fileno()
        self._epoll.register(control, select.EPOLLIN)
        self._handlers[control] = self._obey
        poll, handlers, ledger = self._epoll.poll, self._handlers, self._ledger
        while True:
            events = poll()
            for fd, _ in events:
                handlers[fd]()
            if len(events) > 1 or events[0][0] != control:
                ledger.last_ns = time.monotonic_ns()

    def watch(self, link: socket.socket, handler: Callable[[], None], events: int = select.EPOLLIN) -> None:
        """Call *handler* when something of *events* is possible on *link*."""
        register = self._epoll.modify if link.fileno() in self._handlers else self._epoll.register
        self._handlers[link.fileno()] = handler
        register(link.fileno(), events)

    def opened(self, number: int, link: socket.socket, role: Role, latency_ns: int) -> None:
        """A socket is in; the next may come. After the last one, `Open` is answered."""
        self._seat(Seat(number, link, self._ledger, self._lost), role)
        self._latencies.append(latency_ns)
        self._missing -= 1
        self._open_next()
        if not self._missing:
            self._pipe.send(Opened(self._latencies, (time.monotonic_ns() - self._since_ns) / 1e9))

    def _obey(self) -> None:
        order = self._pipe.recv()
        if isinstance(order, Open):
            self._open(order)
        else:
            self._pipe.send(self._obeys[type(order)](order))

    def _open(self, order: Open) -> None:
        first = self._ledger.make_room(len(order.openings))
        self._waiting.extend((first + at, order.port, opening) for at, opening in enumerate(order.openings))
        self._missing = len(order.openings)
        self._latencies = array("q")
        self._since_ns = time.monotonic_ns()
        for _ in range(order.in_flight):
            self._open_next()

    def _open_next(self) -> None:
        if self._waiting:
            _Joining(self, *self._waiting.popleft())

    def _seat(self, seat: Seat, role: Role) -> None:
        if role is Role.STALLED:
            self._forget(seat.link)
            self._ledger.deaf.add(seat.number)
            self._stalled.append(seat.link)  # held, because a socket that nobody holds is closed
            return
        ear = EARS[role](seat)
        if isinstance(ear, Echoing):
            self._echoing.append(ear)
        self.watch(seat.link, ear)

    def _say(self, frame: bytes) -> None:
        for ear in self._echoing:
            ear.say(frame)

    def _lost(self, link: socket.socket, why: str) -> None:
        self._forget(link)
        self._ledger.closed[why] += 1
        link.close()

    def _forget(self, link: socket.socket) -> None:
        del self._handlers[link.fileno()]
        self._epoll.unregister(link.fileno())


def _connecting(port: int, role: Role) -> socket.socket:
    link = socket.socket()
    link.setblocking(False)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if role is Role.STALLED:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _STALLED_RECEIVE_BYTES)
    with suppress(BlockingIOError):
        link.connect(("127.0.0.1", port))
    return link


def load(pipe: Connection) -> None:
    """The work of one worker of the load."""
    Load(pipe).run()
