"""Seats: which connection of which user is where, over all replicas (CON-5, ST-4)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from fairlead.errors import Unavailable
from fairlead.names import Names, partition_of
from fairlead.presence import Member, members_of
from fairlead.redis.scripts import load
from fairlead_gateway.facts.lane import SCRIPTS, Lane

_ADMIT: Final = load("admit", SCRIPTS)
_RELEASE: Final = load("release", SCRIPTS)


class Admission(NamedTuple):
    """What became of a request for a seat."""

    admitted: bool
    seats_before: int
    evicted: list[str]
    """Connections that lost their seat to this one, on whatever replica."""


class Seats:
    """
    The register of connections in Redis.

    What a replica holds is written in its own hash before anything else, so that whoever sweeps after a crash finds
    all of it. What cannot be taken back because Redis is away is owed, and paid by `settle_debts`.
    """

    def __init__(self, lane: Lane, names: Names, replica: str) -> None:
        self._lane = lane
        self._names = names
        self._replica = replica
        self._held_key = names.replica_conns(replica)
        self._owed: dict[str, tuple[str, Sequence[str]]] = {}
        self._ghosts: set[tuple[str, str]] = set()
        """Who is still shown in a channel that it has left."""

    # -- connections -----------------------------------------------------------------------------

    async def admit(
        self, connection_id: str, user_id: str, device_id: str, channels: Sequence[str], *, limit: int, policy: str
    ) -> Admission:
        """
        Ask for a seat under the limit of *user_id*, and show it in *channels*.

        :param policy: ``refuse``, ``evict`` or ``single`` (see the settings), or ``keep``: the connection is there
            anyway and is only written down again.
        :raises Unavailable: Redis cannot be reached; the seat may have been taken, so `release` it.
        """
        seat = f"{time.time_ns() // 1_000_000} {self._replica} {device_id}"
        await self._hold_first(connection_id, user_id, channels)
        admitted = self._lane.run(_ADMIT, self._keys(user_id), (user_id, connection_id, seat, limit, policy))
        answer = await admitted
        if answer[0]:
            self._appear(connection_id, user_id, channels)
        else:
            self._lane.call("HDEL", self._held_key, connection_id)
        return Admission(bool(answer[0]), answer[1], [id.decode() for id in answer[2:]])

    async def release(self, connection_id: str, user_id: str, channels: Sequence[str]) -> int | None:
        """
        Free a seat; how many the user still has, or None if it was not held any more.

        :raises Unavailable: Redis cannot be reached; the seat is owed.
        """
        self._owed[connection_id] = (user_id, channels)
        released = self._lane.run(_RELEASE, self._keys(user_id), (user_id, connection_id))
        gone = [self._lane.call("HDEL", self._names.here(channel), connection_id) for channel in channels]
        if not self._lane.is_ordered:
            # What is written down of it goes last, or nobody could sweep after us.
            await asyncio.gather(released, *gone)
        gone.append(self._lane.call("HDEL", self._held_key, connection_id))
        await asyncio.gather(released, *gone)
        self._owed.pop(connection_id, None)
        was_held, left = released.result()
        return int(left) if was_held else None

    async def settle_debts(self) -> None:
        """Release what could not be released, and hide whom we could not hide, while Redis was away."""
        ghosts, self._ghosts = self._ghosts, set()
        for channel, connection_id in ghosts:
            self._hide(channel, connection_id)
        for connection_id, (user_id, channels) in list(self._owed.items()):
            try:
                await self.release(connection_id, user_id, channels)
            except Unavailable:
                return

    # -- channels --------------------------------------------------------------------------------

    def join(
        self, connection_id: str, user_id: str, channels: Sequence[str], all_channels: Sequence[str]
    ) -> asyncio.Future[Any]:
        """
        Show the connection in *channels*; done when Redis has taken it.

        :param all_channels: everything it is in now, for whoever has to sweep after us; what it hears anyway is not
            among them, and shown by its seat.
        """
        self._appear(connection_id, user_id, [channel for channel in channels if channel in all_channels])
        return self._hold(connection_id, user_id, all_channels)

    def leave(self, connection_id: str, user_id: str, channels: Sequence[str], all_channels: Sequence[str]) -> None:
        """Show the connection in *channels* no more; if Redis is away, that is owed, too."""
        for channel in channels:
            self._hide(channel, connection_id)
        if self._lane.is_ordered:
            # Among several Redis the one of a channel may be away: then whoever sweeps must find it written down.
            self._hold(connection_id, user_id, all_channels)

    async def who_is_in(self, channel: str) -> list[Member]:
        """Connections in *channel*, those of dead replicas left out."""
        query = members_of(self._names, channel)
        return query.read(await asyncio.gather(*(self._lane.call(*command) for command in query.commands)))

    # -- inside ----------------------------------------------------------------------------------

    def _keys(self, user_id: str) -> tuple[str, str]:
        return self._names.conns(user_id), self._names.online(partition_of(f"user:{user_id}"))

    async def _hold_first(self, connection_id: str, user_id: str, channels: Sequence[str]) -> None:
        """Write down what we hold, before anything that must be swept: among several Redis, order is waited for."""
        held = self._hold(connection_id, user_id, channels)
        if not self._lane.is_ordered:
            await held

    def _hold(self, connection_id: str, user_id: str, channels: Sequence[str]) -> asyncio.Future[Any]:
        facts = orjson.dumps({"user": user_id, "channels": channels})
        return self._lane.call("HSET", self._held_key, connection_id, facts)

    def _appear(self, connection_id: str, user_id: str, channels: Sequence[str]) -> None:
        if channels:
            value = orjson.dumps({"user_id": user_id, "replica": self._replica})
            for channel in channels:
                self._ghosts.discard((channel, connection_id))
                self._lane.call("HSET", self._names.here(channel), connection_id, value)

    def _hide(self, channel: str, connection_id: str) -> None:
        hidden = self._lane.call("HDEL", self._names.here(channel), connection_id)
        hidden.add_done_callback(partial(self._hidden, channel, connection_id))

    def _hidden(self, channel: str, connection_id: str, answer: asyncio.Future[Any]) -> None:
        if answer.cancelled() or answer.exception() is not None:
            self._ghosts.add((channel, connection_id))
