"""What a load of sockets can be told, and what it answers."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from enum import Enum

from fairlead_gateway.bench.worker import Order


class Role(Enum):
    """What becomes of a socket once it is open."""

    COUNTED = "its bytes are counted and discarded by the kernel"
    SAMPLED = "its messages are read, to know how late they are"
    STALLED = "it never reads again"
    ECHOING = "it says something whenever it was answered"
    ANSWERING = "it says yes to every question"


@dataclass(frozen=True, slots=True)
class Step:
    """Say something, then wait for a frame that contains something; either may be empty."""

    say: bytes = b""
    hear: bytes = b""


@dataclass(frozen=True, slots=True)
class Opening:
    """One socket to open: the upgrade request, what follows it, and what then becomes of it."""

    request: bytes
    steps: tuple[Step, ...] = ()
    role: Role = Role.COUNTED


@dataclass(frozen=True, slots=True)
class Opened:
    """How long each socket took from ``connect`` to its last step, in nanoseconds, and all together."""

    latencies: array[int]
    seconds: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What has arrived since `Begin`."""

    counts: list[int]
    """Messages by socket, in the order of opening."""

    stray_bytes: int
    """Bytes that were counted but are no whole message."""

    closed: Counter[str]
    """Sockets that the server ended, by close code."""

    latencies: array[int]
    """Nanoseconds from sending to reading, of the sockets that read."""

    last_ns: int
    """Monotonic time of the last bytes."""


@dataclass(frozen=True, slots=True)
class Open(Order[Opened]):
    """Open sockets on a port of this machine, *in_flight* at a time."""

    port: int
    openings: list[Opening]
    in_flight: int = 64


@dataclass(frozen=True, slots=True)
class Begin(Order[None]):
    """Count from nought. Every message to come has *frame_bytes* on the wire."""

    frame_bytes: int


@dataclass(frozen=True, slots=True)
class Count(Order["list[int]"]):
    """Messages by socket since `Begin`."""


@dataclass(frozen=True, slots=True)
class Tell(Order[Heard]):
    """Everything since `Begin`."""


@dataclass(frozen=True, slots=True)
class Echo(Order[None]):
    """Every echoing socket says this, and says it again whenever it was answered."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Hush(Order[None]):
    """Say nothing more."""
