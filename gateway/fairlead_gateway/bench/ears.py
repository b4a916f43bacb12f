"""What an open socket of the load does when there is something to read, one class a role."""

from __future__ import annotations

import re
import socket
import time
from abc import ABC, abstractmethod
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from fairlead_gateway.bench.frames import CLOSE, PING, PONG, TEXT, Frame, Walker, masked
from fairlead_gateway.bench.orders import Heard, Role
from fairlead_gateway.bench.stamps import STAMP, stamp

READ_BYTES: Final = 1 << 18

_SINK: Final = bytearray(1 << 22)
"""The kernel is told to discard (MSG_TRUNC); this is only named as the room for it, and never written to."""


_ASKED: Final = re.compile(rb'"callback_id":"([^"]+)"')


@dataclass(slots=True)
class Ledger:
    """What each socket heard, by its number."""

    frame_bytes: int = 1
    unread: list[int] = field(default_factory=list)
    """Bytes that were counted without reading."""

    read: list[int] = field(default_factory=list)
    """Messages that were taken apart."""

    deaf: set[int] = field(default_factory=set)
    """Sockets that are not counted, because they never read."""

    latencies: array[int] = field(default_factory=lambda: array("q"))
    closed: Counter[str] = field(default_factory=Counter)
    last_ns: int = 0

    def make_room(self, sockets: int) -> int:
        """Lines for so many more sockets; the number of the first."""
        first = len(self.read)
        self.unread.extend([0] * sockets)
        self.read.extend([0] * sockets)
        return first

    def clear(self, frame_bytes: int) -> None:
        self.frame_bytes = frame_bytes
        self.unread[:] = [0] * len(self.unread)
        self.read[:] = [0] * len(self.read)
        del self.latencies[:]
        self.closed.clear()

    def counts(self) -> list[int]:
        size, lines = self.frame_bytes, enumerate(zip(self.unread, self.read, strict=True))
        return [unread // size + read for number, (unread, read) in lines if number not in self.deaf]

    def heard(self) -> Heard:
        stray = sum(unread % self.frame_bytes for unread in self.unread)
        return Heard(self.counts(), stray, Counter(self.closed), self.latencies[:], self.last_ns)


@dataclass(slots=True)
class Seat:
    """One open socket, its number, and where it is written down."""

    number: int
    link: socket.socket
    ledger: Ledger
    lost: Callable[[socket.socket, str], None]
    """Told, once, when the server has ended it, and why."""


class Ear(Protocol):
    """Called when a socket is readable."""

    def __call__(self) -> None: ...


class Counting:
    """Discards and counts bytes: all messages have one size, and nobody pings within the time of a run."""

    __slots__ = ("_receive", "_seat", "_unread")

    def __init__(self, seat: Seat) -> None:
        self._seat, self._unread, self._receive = seat, seat.ledger.unread, seat.link.recv_into

    def __call__(self) -> None:
        try:
            size = self._receive(_SINK, 0, socket.MSG_TRUNC)
        except BlockingIOError:
            return
        except ConnectionError:
            size = 0
        if size:
            self._unread[self._seat.number] += size
        else:
            self._seat.lost(self._seat.link, "unread")


class _Reading(ABC):
    """Takes frames apart, answers pings, and gives texts on."""

    __slots__ = ("_seat", "_walker")

    def __init__(self, seat: Seat) -> None:
        self._seat, self._walker = seat, Walker()

    def __call__(self) -> None:
        try:
            data = self._seat.link.recv(READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if data:
            self._take(self._walker.feed(data))
        else:
            self._seat.lost(self._seat.link, "without a close frame")

    def _take(self, frames: list[Frame]) -> None:
        self._heard([payload for opcode, payload in frames if opcode == TEXT])
        for opcode, payload in frames:
            if opcode == PING:
                self._seat.link.send(masked(payload, PONG))
            elif opcode == CLOSE:
                self._seat.lost(self._seat.link, str(int.from_bytes(payload[:2], "big")))
                return

    @abstractmethod
    def _heard(self, texts: list[bytes]) -> None:
        """What to do with the messages of one read."""


class Sampling(_Reading):
    """Reads how late messages are."""

    __slots__ = ()

    def _heard(self, texts: list[bytes]) -> None:
        now, latencies = stamp(), self._seat.ledger.latencies
        self._seat.ledger.read[self._seat.number] += len(texts)
        for text in texts:
            if found := STAMP.search(text):
                latencies.append(now - int(found[1]))


class Echoing(_Reading):
    """Says one thing again and again, once it was answered each time."""

    __slots__ = ("_frame", "_said_ns")

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self._frame = b""
        self._said_ns = 0

    def say(self, frame: bytes) -> None:
        """Say *frame* now and after every answer; nothing more if it is empty."""
        self._frame = frame
        if frame:
            self._said_ns = time.monotonic_ns()
            self._seat.link.send(frame)

    def _heard(self, texts: list[bytes]) -> None:
        now = time.monotonic_ns()
        for _ in texts:
            self._seat.ledger.latencies.append(now - self._said_ns)
            self._seat.ledger.read[self._seat.number] += 1
            self.say(self._frame)


class Answering(_Reading):
    """Says yes to every question, as quickly as nobody can."""

    __slots__ = ()

    def _heard(self, texts: list[bytes]) -> None:
        for text in texts:
            if b'"task_step_result"' in text and (found := _ASKED.search(text)):
                self._seat.ledger.read[self._seat.number] += 1
                self._seat.link.send(masked(b'{"action":"confirm","callback_id":"%b","proceed":true}' % found[1]))


EARS: Final[dict[Role, Callable[[Seat], Ear]]] = {
    Role.COUNTED: Counting,
    Role.SAMPLED: Sampling,
    Role.ECHOING: Echoing,
    Role.ANSWERING: Answering,
}
"""Who listens, by role; a stalled socket has no ear."""
