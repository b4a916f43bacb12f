"""redis-py's asyncio connections, with another way to limit the time of a write."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection


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


class TimedSSLConnection(_Timed, SSLConnection):
    """Over TLS."""


class TimedUnixConnection(_Timed, UnixDomainSocketConnection):
    """Over a Unix socket."""


TIMED: Final[dict[type[AbstractConnection], type[AbstractConnection]]] = {
    Connection: TimedConnection,
    SSLConnection: TimedSSLConnection,
    UnixDomainSocketConnection: TimedUnixConnection,
}
