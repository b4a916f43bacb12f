"""What a workload has to know of a server, whichever it is: how it starts, how one comes in, how messages reach it."""

from __future__ import annotations

from typing import Protocol

from fairlead_gateway.bench.ground import Ground, Server
from fairlead_gateway.bench.orders import Opening, Role
from fairlead_gateway.bench.publisher import Sender


class Target(Protocol):
    """A server that can fan one topic out to many sockets."""

    @property
    def name(self) -> str: ...

    def start(self, ground: Ground) -> Server:
        """Start it; return when it is ready."""

    def listener(self, port: int, number: int, role: Role) -> Opening:
        """How socket *number* comes in and joins the topic."""

    def sender(self, ground: Ground, size: int) -> Sender:
        """What publishes messages of *size* bytes on the topic."""

    def frame_bytes(self, size: int) -> int:
        """How long a message of *size* bytes is when it arrives, with its frame."""
