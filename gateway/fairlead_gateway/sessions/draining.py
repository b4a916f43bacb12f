"""How a replica empties: each client is sent elsewhere in its turn, once what it asked for was answered (DEP-4)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Final, Protocol

from fairlead import codes
from fairlead_gateway.pool import Connection
from fairlead_gateway.pool.moves import Move, moves
from fairlead_gateway.sessions import leaving
from fairlead_gateway.sessions.replica import Replica

TICK_SECONDS: Final = 0.01
"""How exactly turns are kept; whoever's turn has come meanwhile leaves together."""


class Movable(Protocol):
    """A client that can be sent elsewhere."""

    @property
    def is_gone(self) -> bool:
        """Whether it has left by itself."""

    @property
    def is_busy(self) -> bool:
        """Whether something that it asked for has yet to be answered."""

    def close(self, close: codes.Close, text: str) -> None:
        """Close it for this reason."""


class Seated:
    """A connection, as somebody who can be moved."""

    __slots__ = ("_connection", "_replica")

    def __init__(self, replica: Replica, connection: Connection) -> None:
        self._replica = replica
        self._connection = connection

    @property
    def is_gone(self) -> bool:
        return not self._connection.joined

    @property
    def is_busy(self) -> bool:
        return self._connection.inbox is not None

    def close(self, close: codes.Close, text: str) -> None:
        leaving.end(self._replica, self._connection, close, text)


async def move(everybody: Sequence[Movable], window_seconds: float, random: Random) -> None:
    """
    Close each with 4200 and a delay of its own, evenly over the window; return when all have left.

    A busy one waits for its answers, no longer than to the end of the window. All turns are fixed at the beginning, so
    that a loop that was held up catches up instead of running late.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    coming = moves(everybody, window_seconds, random)[::-1]
    late: list[Move[Movable]] = []
    while coming or late:
        passed = loop.time() - began
        while coming and (coming[-1].at <= passed or coming[-1].who.is_gone):
            late.append(coming.pop())
        for turn in late:
            if not turn.who.is_gone and (not turn.who.is_busy or passed >= window_seconds):
                turn.who.close(codes.DRAIN, str(turn.delay_ms))
        late = [turn for turn in late if not turn.who.is_gone and turn.who.is_busy and passed < window_seconds]
        if coming or late:
            await asyncio.sleep(TICK_SECONDS)
