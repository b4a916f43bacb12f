"""Connections that ask where their server is when they connect, and can all be dropped when it is elsewhere."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from redis.connection import Connection, SSLConnection

if TYPE_CHECKING:
    from fairlead.redis.address import HostPort


class Cuttable(Protocol):
    """A connection whose end another task or thread may decide."""

    def cut(self) -> None:
        """End it; what waits for an answer is told that there is none."""


class Place:
    """Where a server is, and which of our connections lead there."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._opened: WeakKeyDictionary[Cuttable, HostPort] = WeakKeyDictionary()
        self._lock = Lock()

    async def locate(self) -> HostPort:
        """Where to connect to."""
        return self.host, self.port

    def locate_sync(self) -> HostPort:
        """As `locate`, blocking."""
        return self.host, self.port

    def opened(self, connection: Cuttable, at: HostPort) -> None:
        """*connection* leads to *at* now."""
        with self._lock:
            self._opened[connection] = at

    def drop(self, but: HostPort | None = None) -> None:
        """End every connection at once, *but* those that lead there: what waits for an answer gets none."""
        with self._lock:
            elsewhere = [connection for connection, at in self._opened.items() if at != but]
        for connection in elsewhere:
            connection.cut()


class PlacedConnection(Connection):
    """Over TCP, blocking."""

    def __init__(self, *, place: Place, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._place = place

    def _connect(self) -> Any:
        self.host, self.port = self._place.locate_sync()
        sock = super()._connect()  # type: ignore[no-untyped-call]
        self._place.opened(self, (self.host, self.port))
        return sock

    def cut(self) -> None:
        """See `Cuttable`: not closed, since another thread may be reading."""
        if (sock := self._sock) is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class PlacedSSLConnection(PlacedConnection, SSLConnection):
    """Over TLS, blocking."""
