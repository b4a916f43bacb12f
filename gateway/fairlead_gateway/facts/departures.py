"""Departures: who has left and not come back within the grace is told once, by whichever replica looks (ST-4, I5)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final, NamedTuple, Protocol

import orjson
import structlog

from fairlead.names import Names, id_of, kind_of, partition_of
from fairlead.redis.scripts import load
from fairlead_gateway.facts.due import Due
from fairlead_gateway.facts.lane import SCRIPTS, Lane
from fairlead_gateway.facts.news import session_news

log = structlog.get_logger(__name__)

_DEPARTING: Final = load("departing", SCRIPTS)
_DEPART: Final = load("depart", SCRIPTS)

LOOK_MS: Final = 500
"""How soon at the earliest a partition is looked at again."""

TAKEN_SECONDS: Final = 1.0
"""
Who has not looked by then is taken for dead, and another one looks; it may be late, since nothing is told twice.

Short, since a departure that is written down while somebody looks may have to wait for it.
"""

SAY_MS: Final = 10_000
"""Who has not said that a user has gone by then is taken for dead, and another one says it."""

DEPARTURES_TOGETHER: Final = 200
"""Departures of one partition that are told at once."""


class Departure(NamedTuple):
    """A user who has left: altogether, or one session."""

    who: str
    """As it is written in Redis."""
    due: str
    """When its grace ended, ms by the clock of Redis; as it is written there."""
    user_id: str
    session: str
    """The session that was left, such as ``session:s1``; empty when the user's last connection of all has ended."""
    connection_id: str
    """The connection that was the last one."""
    sessions: tuple[str, ...]
    """The sessions that this connection sat in."""
    left_at: float
    """When it ended, in ms since the epoch by the clock of Redis."""

    @property
    def is_late(self) -> bool:
        """Whether somebody began to say it and has not finished."""
        return self.who.startswith("!")


class Teller(Protocol):
    """Who is called with departures that are ours to tell."""

    async def user_left(self, departure: Departure) -> None:
        """
        Say that a user has gone; it may have been said before, by a replica that died over it.

        :raises Unavailable: it could not be said, and will be later.
        """

    def user_is_back(self, departure: Departure) -> None:
        """Somebody whose departure was just said has come back meanwhile: that must be the last word."""

    def session_left(self, departure: Departure) -> None:
        """The members of a session have been told that a user has left it."""


class Departures:
    """
    Looks for departures whose grace is over, in the partitions that the reminders name. Those are written after the
    departures, and before the seat is forgotten that somebody would sweep: so none is without one for long.

    A departure that is taken is still written down until it has been said. A user who comes back meanwhile has
    arrived anew. The news of a session is published by the script that takes it, and so said exactly once.
    """

    def __init__(self, lane: Lane, names: Names, teller: Teller) -> None:
        self._lane = lane
        self._names = names
        self._teller = teller
        self._due = Due(lane, (names.reminders,), lease_seconds=TAKEN_SECONDS)

    async def run(self) -> None:
        """Look until cancelled."""
        await self._due.run(self._look_at)

    async def look(self) -> None:
        """
        Tell everything that is due and that nobody else is telling.

        :raises Unavailable: Redis cannot be reached; what was not told is told later.
        """
        await self._due.sweep(self._look_at)

    async def _look_at(self, partition: str) -> int | None:
        keys = self._names.departures(int(partition))
        now = after = 0
        while after == 0:
            now, after, *due = await self._lane.run(_DEPARTING, keys, (DEPARTURES_TOGETHER,))
            await _all(self._depart(keys, *one) for one in zip(due[::3], due[1::3], due[2::3], strict=True))
        return None if after < 0 else now + max(after, LOOK_MS)

    async def _depart(self, keys: tuple[str, str], who: bytes, due: bytes, facts: bytes) -> None:
        departure = departure_of(who, due, facts)
        if departure is None:
            log.warning("a departure that nobody of ours wrote", who=who[:128])
            await self._forget(keys, who)
        elif departure.session:
            await self._leave_session(keys, departure)
        else:
            await self._leave(keys, departure)

    async def _leave_session(self, keys: tuple[str, str], departure: Departure) -> None:
        session = departure.session
        news = session_news("session_left", session, departure.user_id, departure.connection_id).seal()
        args = (departure.who, departure.due, self._names.pubsub(session), news, 0)
        if await self._lane.run(_DEPART, keys, args):
            self._teller.session_left(departure)

    async def _leave(self, keys: tuple[str, str], departure: Departure) -> None:
        said = "!" + departure.who.removeprefix("!")
        if departure.is_late and await self._is_online(departure.user_id):
            # It has come back since, and that was told; what is late would be the last word.
            await self._forget(keys, said)
        elif await self._lane.run(_DEPART, keys, (departure.who, departure.due, "", "", SAY_MS)):
            await self._teller.user_left(departure)
            is_back, _ = await asyncio.gather(self._is_online(departure.user_id), self._forget(keys, said))
            if is_back:
                self._teller.user_is_back(departure)

    async def _is_online(self, user_id: str) -> bool:
        online = self._names.online(partition_of(f"user:{user_id}"))
        return bool(await self._lane.call("SISMEMBER", online, user_id))

    async def _forget(self, keys: tuple[str, str], who: str | bytes) -> None:
        self._lane.call("HDEL", keys[1], who)
        await self._lane.call("ZREM", keys[0], who)


def departure_of(who: bytes, due: bytes, facts: bytes) -> Departure | None:
    """The departure that Redis holds as these; None for what makes no sense."""
    name = who.decode(errors="replace")
    channel, _, visitor = name.removeprefix("!").partition(" ")
    session = channel if kind_of(channel) == "session" else ""
    user_id = visitor if session else id_of(channel)
    if not user_id or not (session or kind_of(channel) == "user"):
        return None
    left_at, _, said = facts.partition(b" ")
    try:
        told = orjson.loads(said)
        left_ms, connection_id, sessions = float(left_at), str(told["connection_id"]), tuple(map(str, told["sessions"]))
    except (ValueError, TypeError, KeyError):
        # The facts have been lost, by eviction say; that it has left is true all the same.
        left_ms, connection_id, sessions = float(due), "", ()
    return Departure(name, due.decode(), user_id, session, connection_id, sessions, left_ms)


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of *works*, whatever becomes of one; then raise the first error."""
    for outcome in await asyncio.gather(*works, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
