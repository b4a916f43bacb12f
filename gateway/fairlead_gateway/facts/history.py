"""History: what durable channels have said, as Redis keeps it."""

from __future__ import annotations

import asyncio
from random import getrandbits
from typing import Any, Final

import orjson

from fairlead.errors import InvalidJson, InvalidMessage
from fairlead.format import past
from fairlead.format.envelope import unseal
from fairlead.format.past import Page, Past
from fairlead.format.position import Position
from fairlead.names import Names
from fairlead.redis.scripts import load
from fairlead_gateway.facts.lane import SCRIPTS, Lane

_READ: Final = load("read")
_FIND: Final = load("find", SCRIPTS)

PAGE: Final = 100
"""Messages in one answer, so that no answer holds up Redis, or everything behind it."""

MOST_FOUND: Final = 1024
"""Messages that one is looked for among, where nothing says at which offset it is."""


class History:
    """
    Asks where channels stand, what was said since, and by whom.

    :param history_seconds: how long messages are kept, as publishers have it.
    """

    def __init__(self, lane: Lane, names: Names, history_seconds: int) -> None:
        self._lane = lane
        self._names = names
        self._history_seconds = history_seconds

    def ask(self, channel: str, since: Position | None) -> asyncio.Future[Any]:
        """What `fairlead.format.position.span` reads; *since* None asks for the top alone. As `Lane.run`."""
        offset, epoch, id_ = since or (0, "", "")
        args = (self._history_seconds, f"{getrandbits(48):012x}", epoch, offset, id_, PAGE)
        return self._lane.run(_READ, self._names.of_durable(channel), args)

    async def page(self, channel: str, limit: int, before: int | None) -> Page:
        """
        What a durable *channel* has said before an offset, or last.

        :raises InvalidMessage: as `fairlead.format.past.read`.
        :raises Unavailable: Redis cannot be reached.
        """
        return past.page(await self._lane.run(*past.read(self._names, channel, limit, before)), before)

    async def said_in(self, channel: str) -> int:
        """
        How many messages have been said in a durable *channel*, since Redis knows of it.

        :raises Unavailable: Redis cannot be reached.
        """
        top = await self._lane.call("HGET", self._names.meta(channel), "o")
        return int(top) if top is not None and top.isdigit() and len(top) < 20 else 0

    async def frame(self, channel: str, message_id: str) -> dict[str, Any] | None:
        """
        A message as clients got it, without its offset; None when it is not in the history of *channel* (any more).

        :raises Unavailable: Redis cannot be reached.
        """
        log, _, seen, _ = self._names.of_durable(channel)
        data = await self._lane.run(_FIND, (log, seen), (message_id, MOST_FOUND))
        if data is None:
            return None
        try:
            frame = orjson.loads(unseal(data).envelope.frame)
        except (InvalidMessage, orjson.JSONDecodeError):
            return None
        return frame if isinstance(frame, dict) else None

    async def sender(self, channel: str, message_id: str) -> str | None:
        """Who said a message, such as ``user:42``; otherwise as `frame`."""
        frame = await self.frame(channel, message_id)
        sender = frame.get("from") if frame is not None else None
        return sender if isinstance(sender, str) else None

    async def offset(self, channel: str, message_id: str) -> int:
        """Where a message stands in *channel*; 0 when that is not remembered (any more). Raises as `frame`."""
        offset = await self._lane.call("ZSCORE", self._names.seen(channel), message_id)
        return int(float(offset)) if offset is not None else 0


def told(page: Page, reader: str = "") -> Past:
    """*page* as `fairlead.format.past.past` tells it, several times as fast: of a page a client may ask for many."""
    return past.past(page, reader, _parsed)


def _parsed(data: bytes) -> object:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(str(error)) from error
