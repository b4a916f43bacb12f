"""Soundings: round trips that somebody waits for, beside those of the heartbeat and without disturbing them."""

from __future__ import annotations

import asyncio
import time
from secrets import token_bytes
from typing import Final
from weakref import WeakKeyDictionary

from fairlead_gateway.pool import Connection

GAP_SECONDS: Final = 0.1
"""Within so long one ping serves all who ask; a client that answered more of them would count as flooding us."""

_MARK: Final = b"fl?"


class _Sounding:
    """One ping that is to be answered."""

    def __init__(self) -> None:
        self.payload = _MARK + token_bytes(8)
        # Not the loop's time, which uvloop tells in whole milliseconds.
        self.began = time.monotonic()
        self.heard: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.waiting = 0

    def settle(self) -> None:
        if not self.heard.done():
            self.heard.set_result(time.monotonic())


class Soundings:
    """The pings that are under way, by connection."""

    def __init__(self) -> None:
        self._latest: WeakKeyDictionary[Connection, _Sounding] = WeakKeyDictionary()
        self._under_way: dict[Connection, set[_Sounding]] = {}

    async def round_trip_ms(self, connection: Connection, seconds: float) -> float | None:
        """Ping *connection* now; None if it does not answer within *seconds*."""
        sounding = self._latest.get(connection)
        if sounding is None or time.monotonic() - sounding.began >= GAP_SECONDS:
            sounding = self._latest[connection] = _Sounding()
            connection.socket.ping(sounding.payload)
        some = self._under_way.setdefault(connection, set())
        some.add(sounding)
        sounding.waiting += 1
        try:
            await asyncio.wait([sounding.heard], timeout=seconds)
        finally:
            sounding.waiting -= 1
            if not sounding.waiting:
                some.discard(sounding)
            if not some:
                self._under_way.pop(connection, None)
        return round((sounding.heard.result() - sounding.began) * 1000, 3) if sounding.heard.done() else None

    def heard(self, connection: Connection, payload: bytes) -> None:
        """A pong has come that carried *payload*."""
        for sounding in self._under_way.get(connection, ()):
            if sounding.payload == payload:
                sounding.settle()

    def heard_plain(self, connection: Connection) -> None:
        """A pong has come that does not say what it answers; on a socket whose pongs do, it answers nothing."""
        if not connection.socket.echoes_pings:
            for sounding in self._under_way.get(connection, ()):
                sounding.settle()
