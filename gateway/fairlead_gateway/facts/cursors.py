"""Cursors: how far each device of a user has acknowledged the user's own channel, so that it goes on there (RT-4)."""

from __future__ import annotations

from typing import Final

from fairlead.errors import Conflict
from fairlead.format.position import Position
from fairlead.names import Names, channel
from fairlead.redis.scripts import load
from fairlead_gateway.facts.lane import SCRIPTS, Lane

_CURSOR: Final = load("cursor", SCRIPTS)

KEPT_SECONDS: Final = 30 * 24 * 3600
"""How long the cursors of a user are kept after the last change of one of them."""

MAX_DEVICES: Final = 100
"""Devices of a user whose cursors are kept; clients choose their ids, and one more puts out another."""

_NO_ID: Final = "-"


class Cursors:
    """
    Reads and moves cursors; all raise `Unavailable` while Redis cannot be reached, and may be tried again.

    Within an epoch a cursor only moves forward. A position of another epoch takes its place, unless the cursor is in
    the epoch of now: then the other is one of before.
    """

    def __init__(self, lane: Lane, names: Names) -> None:
        self._lane = lane
        self._names = names

    async def read(self, user_id: str, device_id: str) -> Position | None:
        """Where the device stands; None for one that never came, or not for `KEPT_SECONDS`."""
        return _position(await self._lane.call("HGET", self._names.cursor(user_id), device_id))

    async def move(self, user_id: str, device_id: str, offset: int, epoch: str = "", id: str = "") -> Position | None:
        """
        The device has everything up to *offset*; where it stands now.

        :param epoch: empty for the epoch of now; without one (nothing was ever said) there is no position: None.
        :raises Conflict: the channel has not come to *offset* yet.
        :param id: of the message at *offset*; empty to take it from the log, as long as it is there.
        """
        return await self._set("move", user_id, device_id, Position(offset, epoch, id))

    async def begin(self, user_id: str, device_id: str, offset: int, epoch: str, id: str = "") -> Position | None:
        """The device came and stood here; where it stands, which is where it stood before if it has come before."""
        return await self._set("begin", user_id, device_id, Position(offset, epoch, id))

    async def _set(self, how: str, user_id: str, device_id: str, position: Position) -> Position | None:
        log, meta, _, term = self._names.of_durable(channel("user", user_id))
        offset, epoch, id = position
        args = (device_id, epoch, offset, id or _NO_ID, how, KEPT_SECONDS, MAX_DEVICES)
        held = await self._lane.run(_CURSOR, (self._names.cursor(user_id), log, meta, term), args)
        if isinstance(held, int):
            raise Conflict(f"offset {offset} is ahead of the channel, which stands at {held}", offset=held)
        return _position(held)


def _position(held: bytes | None) -> Position | None:
    """From ``<epoch> <offset> <message id or ->``."""
    if held is None:
        return None
    epoch, offset, id = held.decode().split(" ", 2)
    return Position(int(offset), epoch, "" if id == _NO_ID else id)
