"""redis-py's asyncio connections, with another way to limit the time of a write, and a place that may change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection

if TYPE_CHECKING:
    from fairlead.redis.placed import Place


class _Timed(AbstractConnection):
    """
    Writes under `asyncio.timeout` rather than `asyncio.wait_for`.

    Before Python 3.12 ``wait_for`` swallows a cancellation that comes when the write has just been done, so that a
    task which asks Redis again and again could not be cancelled at times; and it costs a task for every write.
    """

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        seconds, self.socket_timeout = self.socket_timeout, None
        try:
            async with asyncio.timeout(seconds):
                await super().send_packed_command(command, check_health)
        finally:
            self.socket_timeout = seconds


class TimedConnection(_Timed, Connection):
    """Over TCP."""

    def __init__(self, *, place: Place | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._place = place

    async def _connect(self) -> None:
        if self._place is not None:
            self.host, self.port = await self._place.locate()
        await super()._connect()  # type: ignore[no-untyped-call]
        if self._place is not None:
            self._place.opened(self, (self.host, self.port))

    def cut(self) -> None:
        """See `fairlead.redis.placed.Cuttable`."""
        if self._writer is not None:
            self._writer.transport.abort()


class TimedSSLConnection(TimedConnection, SSLConnection):
    """Over TLS."""


class TimedUnixConnection(_Timed, UnixDomainSocketConnection):
    """Over a Unix socket."""


TIMED: Final[dict[type[AbstractConnection], type[AbstractConnection]]] = {
    Connection: TimedConnection,
    SSLConnection: TimedSSLConnection,
    UnixDomainSocketConnection: TimedUnixConnection,
}
