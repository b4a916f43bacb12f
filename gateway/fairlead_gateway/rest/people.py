"""``sessions`` and ``online-users``: who is here, over all replicas."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from fairlead.errors import InvalidMessage
from fairlead.names import PARTITIONS, channel, is_id
from fairlead.redis.query import Query
from fairlead_gateway.access.roles import Rank
from fairlead_gateway.facts.lane import Lane
from fairlead_gateway.rest.route import Asked, Id, Nothing, Page, Paged, Params, Rows, View, row


class ById(Params):
    """One session."""

    id: Id


class Busy(View):
    """A session with somebody in it."""

    session_id: str
    connections: int
    people: int


class Person(View):
    """A user who is in a session."""

    user_id: str
    connections: int
    """How many of the user's are in it."""


class Session(Busy):
    """A session, and who is in it."""

    messages: int
    """How many have been said in its channel, so far."""
    members: list[Person]


class Online(View):
    """A user with a connection."""

    user_id: str


async def list_sessions(asked: Asked[Paged, Nothing]) -> Page[Busy]:
    """The sessions with somebody in them on any replica."""
    replica = asked.api.replica
    names, lane = replica.names, replica.lane
    ids, cursor = await _some(lane, names.sessions, asked.params)

    async def busy(id: str) -> Busy:
        session = channel("session", id)
        connections = lane.call("HLEN", names.here(session))
        people = await lane.call("HLEN", names.people(session))
        return Busy(session_id=id, connections=await connections, people=people)

    return Page[Busy](items=await asyncio.gather(*map(busy, ids)), cursor=cursor)


async def get_session(asked: Asked[ById, Nothing]) -> Session:
    """One session: who is in it, and how much has been said."""
    replica, name = asked.api.replica, channel("session", asked.params.id)
    said = await replica.history.said_in(name)
    here = Counter(member.user_id for member in await replica.seats.who_is_in(name))
    return Session(
        session_id=asked.params.id,
        connections=here.total(),
        people=len(here),
        messages=said,
        members=[Person(user_id=user, connections=count) for user, count in sorted(here.items())],
    )


async def list_online_users(asked: Asked[Paged, Nothing]) -> Page[Online]:
    """The users who have a connection to any replica."""
    replica = asked.api.replica
    users, cursor = await _some(replica.lane, replica.names.online, asked.params)
    return Page[Online](items=[Online(user_id=user) for user in users], cursor=cursor)


async def _some(lane: Lane, key: Callable[[int], str], page: Paged) -> tuple[list[str], str]:
    """
    Members of sets of which each partition has one, and the cursor behind them: ``<partition>:<member>``.

    None comes twice, and what is in a set all the time comes; a set is read whole.

    :raises InvalidMessage: the cursor is none.
    """
    partition, last = _place(page.cursor)
    counts = await lane.look(Query([("SCARD", key(each)) for each in range(partition, PARTITIONS)], list))
    found: list[tuple[int, str]] = []
    for each, count in enumerate(counts, partition):
        if count:
            names = (member.decode(errors="replace") for member in await lane.call("SMEMBERS", key(each)))
            members = sorted(name for name in names if is_id(name))
            found += [(each, member) for member in members if each > partition or member > last]
        if len(found) > page.limit:
            break
    shown = found[: page.limit]
    cursor = "{}:{}".format(*shown[-1]) if len(found) > len(shown) else ""
    return [member for _, member in shown], cursor


def _place(cursor: str) -> tuple[int, str]:
    if not cursor:
        return 0, ""
    partition, _, last = cursor.partition(":")
    if partition.isascii() and partition.isdecimal() and len(partition) <= 3 and int(partition) < PARTITIONS:
        return int(partition), last
    raise InvalidMessage("the cursor is none: take that of the page before, or none for the first page")


ROWS: Final[Rows] = (
    row("GET", "/sessions", Rank.VIEWER, list_sessions, params=Paged, answer=Page[Busy]),
    row("GET", "/sessions/{id}", Rank.VIEWER, get_session, params=ById, answer=Session),
    row("GET", "/online-users", Rank.VIEWER, list_online_users, params=Paged, answer=Page[Online]),
)
