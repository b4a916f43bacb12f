"""Seats: which connection of which user is where, over all replicas (CON-5, ST-4)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from fairlead.errors import Unavailable
from fairlead.names import Names, kind_of, partition_of
from fairlead.redis.scripts import load
from fairlead.state.presence import SEEN_MS, Member, Stay, stays_in
from fairlead_gateway.facts.lane import SCRIPTS, Lane
from fairlead_gateway.facts.news import session_news

_ADMIT: Final = load("admit", SCRIPTS)
_RELEASE: Final = load("release", SCRIPTS)
_APPEAR: Final = load("appear", SCRIPTS)
_VANISH: Final = load("vanish", SCRIPTS)
_REMIND: Final = load("remind", SCRIPTS)

Shown = Mapping[str, asyncio.Future[Any]]
"""By session: 1 once Redis has said that the user has arrived there, 0 if it was there, or has come back in time."""

Told = Callable[[str], None]
"""Called with a session whose members were told that the user has left it."""


class Admission(NamedTuple):
    """What became of a request for a seat."""

    admitted: bool
    seats_before: int
    evicted: list[str]
    """Connections that lost their seat to this one, on whatever replica."""
    arrived: bool
    """Whether the user was not here, and has not just been: a second device and a reload do not arrive."""
    is_asked: bool
    """Whether there may be questions that the user has yet to answer."""
    shown: Shown


class Joined(NamedTuple):
    """Channels that Redis is writing down for a connection."""

    held: asyncio.Future[Any]
    shown: Shown

    async def arrived(self) -> list[str]:
        """
        The sessions in which the user has arrived; returns when Redis has taken all of it.

        :raises Unavailable: Redis cannot be reached.
        """
        await self.held
        return [session for session, answer in self.shown.items() if await answer]


class _Ghost(NamedTuple):
    """A connection that is still shown in a channel that it has left."""

    connection_id: str
    user_id: str
    channel: str


class Seats:
    """
    The register of connections in Redis.

    What a replica holds is written in its own hash before anything else, so that whoever sweeps after a crash finds
    all of it. What cannot be taken back because Redis is away is owed, and paid by `settle_debts`.

    :param grace_seconds: how long after its last connection a user may come back as if it had never left.
    """

    def __init__(self, lane: Lane, names: Names, replica: str, grace_seconds: float = 10.0) -> None:
        self._lane = lane
        self._names = names
        self._replica = replica
        self._grace_ms = int(grace_seconds * 1000)
        self._held_key = names.replica_conns(replica)
        self._owed: dict[str, tuple[str, Sequence[str]]] = {}
        self._ghosts: dict[_Ghost, Told] = {}

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
        seat = f"{_now_ms()} {self._replica} {device_id}"
        await self._hold_first(connection_id, user_id, channels)
        conns, online, departures, facts, _ = self._keys(user_id)
        keys = (conns, online, departures, facts, self._names.asks(f"user:{user_id}"))
        answer = await self._lane.run(_ADMIT, keys, (user_id, connection_id, seat, limit, policy))
        admitted, seats_before, arrived, is_asked, *evicted = answer
        shown: Shown = {}
        if admitted:
            shown = self._appear(connection_id, user_id, channels)
        else:
            self._lane.call("HDEL", self._held_key, connection_id)
        return Admission(
            bool(admitted), seats_before, [id.decode() for id in evicted], bool(arrived), bool(is_asked), shown
        )

    async def release(self, connection_id: str, user_id: str, channels: Sequence[str]) -> int | None:
        """
        Free a seat; how many the user still has, or None if it was not held any more.

        Where it was the user's last, in all or in a session, the departure is written down, to be told after the grace.

        :raises Unavailable: Redis cannot be reached; the seat is owed.
        """
        self._owed[connection_id] = (user_id, channels)
        sessions = [channel for channel in channels if kind_of(channel) == "session"]
        facts = orjson.dumps({"connection_id": connection_id, "sessions": sessions})
        args = (user_id, connection_id, self._grace_ms, facts, SEEN_MS)
        released = self._lane.run(_RELEASE, self._keys(user_id), args)
        gone = [self._vanish(_Ghost(connection_id, user_id, channel), facts) for channel in channels]
        await self._in_order(released, *gone)
        reminded = self._remind([f"user:{user_id}", *sessions])
        await self._in_order(reminded)
        # What is written down of it goes last, or nobody could sweep after us.
        gone += (reminded, self._lane.call("HDEL", self._held_key, connection_id))
        await asyncio.gather(released, *gone)
        self._owed.pop(connection_id, None)
        was_held, left = released.result()
        return int(left) if was_held else None

    async def settle_debts(self) -> None:
        """Release what could not be released, and hide whom we could not hide, while Redis was away."""
        ghosts, self._ghosts = self._ghosts, {}
        for ghost, told in ghosts.items():
            self._hide(ghost, told)
        for connection_id, (user_id, channels) in list(self._owed.items()):
            try:
                await self.release(connection_id, user_id, channels)
            except Unavailable:
                return

    # -- channels --------------------------------------------------------------------------------

    def join(self, connection_id: str, user_id: str, channels: Sequence[str], all_channels: Sequence[str]) -> Joined:
        """
        Show the connection in *channels*.

        :param all_channels: everything it is in now, for whoever has to sweep after us; what it hears anyway is not
            among them, and shown by its seat.
        """
        shown = self._appear(connection_id, user_id, [channel for channel in channels if channel in all_channels])
        return Joined(self._hold(connection_id, user_id, all_channels), shown)

    def leave(
        self, connection_id: str, user_id: str, channels: Sequence[str], all_channels: Sequence[str], told: Told
    ) -> None:
        """
        Show the connection in *channels* no more; if Redis is away, that is owed, too.

        The members of a session in which the user has no other connection are told at once.
        """
        for channel in channels:
            self._hide(_Ghost(connection_id, user_id, channel), told)
        if self._lane.is_ordered:
            # Among several Redis the one of a channel may be away: then whoever sweeps must find it written down.
            self._hold(connection_id, user_id, all_channels)

    async def people_in(self, session: str) -> int:
        """
        How many people are in *session*, a channel, on all replicas.

        :raises Unavailable: Redis cannot be reached.
        """
        return int(await self._lane.call("HLEN", self._names.people(session)))

    async def who_is_in(self, channel: str) -> list[Member]:
        """Connections in *channel*, those of dead replicas left out."""
        return [stay.member for stay in await self.stays_in(channel)]

    async def stays_in(self, channel: str) -> list[Stay]:
        """As `who_is_in`, and since when."""
        return await self._lane.look(stays_in(self._names, channel))

    # -- inside ----------------------------------------------------------------------------------

    def _keys(self, user_id: str) -> tuple[str, str, str, str, str]:
        partition = partition_of(f"user:{user_id}")
        names = self._names
        return names.conns(user_id), names.online(partition), *names.departures(partition), names.last_seen(partition)

    def _keys_in(self, session: str) -> tuple[str, str, str, str, str]:
        names, partition = self._names, partition_of(session)
        return names.here(session), names.people(session), *names.departures(partition), names.sessions(partition)

    async def _hold_first(self, connection_id: str, user_id: str, channels: Sequence[str]) -> None:
        """Write down what we hold, before anything that must be swept."""
        await self._in_order(self._hold(connection_id, user_id, channels))

    async def _in_order(self, *before: asyncio.Future[Any]) -> None:
        """Wait for what must be done *before* all else: among several Redis, only waiting makes an order."""
        if not self._lane.is_ordered:
            await asyncio.gather(*before)

    def _remind(self, channels: Iterable[str]) -> asyncio.Future[Any]:
        """Have the partitions of *channels* looked at when the grace is over."""
        partitions = sorted({partition_of(channel) for channel in channels})
        return self._lane.run(_REMIND, (self._names.reminders,), (self._grace_ms, *partitions))

    def _hold(self, connection_id: str, user_id: str, channels: Sequence[str]) -> asyncio.Future[Any]:
        facts = orjson.dumps({"user": user_id, "channels": channels})
        return self._lane.call("HSET", self._held_key, connection_id, facts)

    def _appear(self, connection_id: str, user_id: str, channels: Sequence[str]) -> Shown:
        shown = {}
        if channels:
            who = orjson.dumps({"user_id": user_id, "replica": self._replica, "since": _now_ms()})
            for channel in channels:
                self._ghosts.pop(_Ghost(connection_id, user_id, channel), None)
                if kind_of(channel) == "session":
                    args = (connection_id, user_id, channel, who)
                    shown[channel] = self._lane.run(_APPEAR, self._keys_in(channel), args)
                else:
                    self._lane.call("HSET", self._names.here(channel), connection_id, who)
        return shown

    def _vanish(self, ghost: _Ghost, facts: bytes = b"", news: bytes = b"") -> asyncio.Future[Any]:
        connection_id, user_id, channel = ghost
        if kind_of(channel) != "session":
            return self._lane.call("HDEL", self._names.here(channel), connection_id)
        args = (connection_id, user_id, channel, self._grace_ms, facts, self._names.pubsub(channel), news)
        return self._lane.run(_VANISH, self._keys_in(channel), args)

    def _hide(self, ghost: _Ghost, told: Told) -> None:
        news = b""
        if kind_of(ghost.channel) == "session":
            news = session_news("session_left", ghost.channel, ghost.user_id, ghost.connection_id).seal()
        self._vanish(ghost, news=news).add_done_callback(partial(self._hidden, ghost, told))

    def _hidden(self, ghost: _Ghost, told: Told, answer: asyncio.Future[Any]) -> None:
        if answer.cancelled() or answer.exception() is not None:
            self._ghosts[ghost] = told
        elif kind_of(ghost.channel) == "session" and answer.result():
            told(ghost.channel)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
