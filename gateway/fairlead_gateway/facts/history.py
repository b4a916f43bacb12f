"""History: what durable channels have said, as Redis keeps it."""

from __future__ import annotations

import asyncio
from random import getrandbits
from typing import Any, Final

from fairlead.names import Names
from fairlead.position import Position
from fairlead.redis.scripts import load
from fairlead_gateway.facts.lane import Lane

_READ: Final = load("read")

PAGE: Final = 100
"""Messages in one answer, so that no answer holds up Redis, or everything behind it."""


class History:
    """
    Asks where channels stand and what was said since.

    :param history_seconds: how long messages are kept, as publishers have it.
    """

    def __init__(self, lane: Lane, names: Names, history_seconds: int) -> None:
        self._lane = lane
        self._names = names
        self._history_seconds = history_seconds

    def ask(self, channel: str, since: Position | None) -> asyncio.Future[Any]:
        """What `fairlead.position.span` reads; *since* None asks for the top alone. As `Lane.run`."""
        offset, epoch, id_ = since or (0, "", "")
        args = (self._history_seconds, f"{getrandbits(48):012x}", epoch, offset, id_, PAGE)
        return self._lane.run(_READ, self._names.of_durable(channel), args)
