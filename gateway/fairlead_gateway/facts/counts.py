"""How many are in each instance here, written down for whoever asks about all replicas (ADM-3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import orjson
import structlog

from fairlead.errors import Unavailable
from fairlead.names import Names, id_of
from fairlead_gateway.facts.lane import Lane

log = structlog.get_logger(__name__)

BEAT_SECONDS: Final = 2.0
"""How old what is written down may be."""

KEPT_SECONDS: Final = 15
"""How long it outlives a replica that does not say it again."""

_BEATS_UNSAID: Final = 3
"""Beats after which it is said again, though nothing has changed."""


class InstanceCounts:
    """
    Says how many are in each instance: one command a beat while something changes, whatever the number of connections.

    :param count: channels of instances with somebody in them here, and how many.
    """

    def __init__(self, lane: Lane, names: Names, replica: str, count: Callable[[], Iterable[tuple[str, int]]]) -> None:
        self._lane = lane
        self._key = names.replica_instances(replica)
        self._count = count
        self._said: dict[str, int] = {}
        self._unsaid = 0

    async def run(self) -> None:
        """Beat until cancelled; while Redis is away nobody could read it either."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self.beat()
            except Unavailable as error:
                log.debug("instances not counted", why=error.message)

    async def beat(self) -> None:
        """
        Write down what has changed.

        :raises Unavailable: Redis cannot be reached.
        """
        counts = {id_of(name): count for name, count in self._count()}
        self._unsaid += 1
        if counts == self._said and (not counts or self._unsaid < _BEATS_UNSAID):
            return
        if counts:
            await self._lane.call("SET", self._key, orjson.dumps(counts), "EX", KEPT_SECONDS)
        else:
            await self._lane.call("DEL", self._key)
        self._said, self._unsaid = counts, 0

    async def end(self) -> None:
        """Nobody is here any more."""
        await self._lane.call("DEL", self._key)
