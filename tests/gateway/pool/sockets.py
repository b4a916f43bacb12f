"""A socket that writes down what it is told, for what is pure; and connections on such sockets."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from fairlead_gateway.access.identity import Identity
from fairlead_gateway.pool import Connection, Format
from fairlead_gateway.pool.meter import Meter
from fairlead_gateway.pool.socket import Listener, Owner_contra

_numbers = count(1)


class RecordingSocket:
    """Keeps each write as it came."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.write: Callable[[bytes], None] = self.writes.append
        self.subprotocol: str | None = None
        self.deflates = False
        self.heard_at = 0.0
        self.remote = "192.0.2.1"
        self.echoes_pings = True
        self.outbox_bytes = 0
        self.pings: list[bytes] = []
        self.closes: list[tuple[int, str]] = []
        self.is_reading = True
        self.room = 0

    @property
    def bytes_written(self) -> bytes:
        return b"".join(self.writes)

    def attach(self, listener: Listener[Owner_contra], owner: Owner_contra) -> None:
        """Nobody speaks here."""

    def ping(self, payload: bytes) -> None:
        self.pings.append(payload)

    def make_room(self, size: int) -> None:
        self.room = size

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def close(self, code: int, reason: str = "") -> None:
        self.closes.append((code, reason))

    def abort(self) -> None:
        self.closes.append((1006, ""))


def connection(user_id: str = "42", *, id: str = "", format: Format = Format.JSON) -> Connection:
    """A connection on a `RecordingSocket`, live from the start."""
    return Connection(
        id or f"c{next(_numbers)}", Identity(user_id), RecordingSocket(), format, Meter(), 1_700_000_000.0
    )


def socket_of(connection: Connection) -> RecordingSocket:
    """The socket of a connection that was made here."""
    assert isinstance(connection.socket, RecordingSocket)
    return connection.socket
