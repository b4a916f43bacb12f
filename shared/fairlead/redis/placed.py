"""Connections that ask where their server is when they connect, and can all be dropped when it is elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from redis.connection import Connection, SSLConnection

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from fairlead.redis.address import HostPort


class Place:
    """Where a server is, and which of our connections lead there."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._opened: WeakKeyDictionary[AbstractConnection, HostPort] = WeakKeyDictionary()

    async def locate(self) -> HostPort:
        """Where to connect to."""
        return self.host, self.port

    def locate_sync(self) -> HostPort:
        """As `locate`, blocking."""
        return self.host, self.port

    def opened(self, connection: AbstractConnection, at: HostPort) -> None:
        """*connection* leads to *at* now."""
        self._opened[connection] = at

    def drop(self, but: HostPort | None = None) -> None:
        """End every connection at once, *but* those that lead there: what waits for an answer gets none."""
        for connection, at in list(self._opened.items()):
            if connection._writer is not None and at != but:
                connection._writer.transport.abort()


class PlacedConnection(Connection):
    """Over TCP, blocking."""

    def __init__(self, *, place: Place, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._place = place

    def _connect(self) -> Any:
        self.host, self.port = self._place.locate_sync()
        return super()._connect()  # type: ignore[no-untyped-call]


class PlacedSSLConnection(PlacedConnection, SSLConnection):
    """Over TLS, blocking."""
