"""Who is connected and who may come in, as replicas write it down and everybody else reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple

from fairlead.errors import InvalidJson, InvalidMessage
from fairlead.format.codec import from_json
from fairlead.names import PARTITIONS, Names, channel, checked_channel, checked_id, id_of, is_id, kind_of, partition_of
from fairlead.redis.query import Query, pairs

SEEN_MS: Final = 30 * 24 * 3600 * 1000
"""How long it is remembered when a user was last seen."""


class Member(NamedTuple):
    """One connection that is in a channel."""

    connection_id: str
    user_id: str
    replica: str
    """Which replica holds it; it is there as long as the replica's lease lasts."""


class Stay(NamedTuple):
    """One connection that is in a channel, and for how long."""

    member: Member
    since: datetime | None
    """When it came, by the clock of its replica; None if that was not written down."""


class OnlinePage(NamedTuple):
    """Some of the users who are online."""

    users: list[str]
    cursor: str
    """What to ask the next page with; empty when this is the last one."""


def grant_session(names: Names, session_id: str, user_ids: Iterable[str]) -> Query[None]:
    """Let users join a session."""
    return _members(names, "SADD", session_id, user_ids)


def revoke_session(names: Names, session_id: str, user_ids: Iterable[str]) -> Query[None]:
    """Let users no longer join a session."""
    return _members(names, "SREM", session_id, user_ids)


def online_users(names: Names) -> Query[set[str]]:
    """Users with at least one connection."""
    commands = _online("SMEMBERS", names, range(PARTITIONS))
    return Query(commands, lambda sets: set(_texts(sets)))


def online_count(names: Names) -> Query[int]:
    """How many users have at least one connection."""
    return Query(_online("SCARD", names, range(PARTITIONS)), sum)


def session_count(names: Names) -> Query[int]:
    """How many sessions have somebody in them."""
    return Query([("SCARD", names.sessions(partition)) for partition in range(PARTITIONS)], sum)


def online_counts(names: Names, cursor: str) -> Query[list[int]]:
    """As `online_count`, for each partition from *cursor* on; what `online_part` chooses by."""
    return Query(_online("SCARD", names, range(_first(cursor), PARTITIONS)), list)


def online_part(names: Names, cursor: str, counts: Sequence[int], limit: int) -> Query[OnlinePage]:
    """
    Users of whole partitions from *cursor* on, until they are about *limit*.

    A user never changes its partition: nobody comes twice, and who is there all the time comes.
    """
    first = _first(cursor)
    until, users = first, 0
    while until < PARTITIONS and (users < limit or until == first):
        users += counts[until - first]
        until += 1
    after = str(until) if until < PARTITIONS else ""
    commands = _online("SMEMBERS", names, range(first, until))
    return Query(commands, lambda sets: OnlinePage(sorted(_texts(sets)), after))


def last_seen(names: Names, user_id: str) -> Query[datetime | None]:
    """When a user was last connected: now if it is, None if not within the last thirty days."""
    partition = partition_of(channel("user", user_id))
    commands = [
        ("SISMEMBER", names.online(partition), user_id),
        ("ZSCORE", names.last_seen(partition), user_id),
        ("TIME",),
    ]
    return Query(commands, _last_seen)


def is_online(names: Names, user_id: str) -> Query[bool]:
    """Whether a user has a connection."""
    key = names.online(partition_of(channel("user", user_id)))
    return Query([("SISMEMBER", key, user_id)], lambda replies: bool(replies[0]))


def members_of(names: Names, channel: str) -> Query[list[Member]]:
    """Connections that are in a channel now."""
    commands, read = stays_in(names, channel)
    return Query(commands, lambda replies: [stay.member for stay in read(replies)])


def stays_in(names: Names, channel: str) -> Query[list[Stay]]:
    """As `members_of`, and since when; a user's own channel is heard by all connections of that user."""
    name = checked_channel(channel)
    is_user = kind_of(name) == "user"
    key = names.conns(id_of(name)) if is_user else names.here(name)
    commands = [("HGETALL", key), ("ZRANGE", names.replicas, "0", "-1", "WITHSCORES"), ("TIME",)]
    return Query(commands, partial(_present, partial(_seat, id_of(name)) if is_user else _stay))


def replicas_alive(names: Names) -> Query[frozenset[str]]:
    """Replicas whose lease has not ended."""
    commands = [("ZRANGE", names.replicas, "0", "-1", "WITHSCORES"), ("TIME",)]
    return Query(commands, lambda replies: _alive(*replies))


def replica_facts(names: Names, replica: str) -> Query[dict[str, str]]:
    """What a replica is: ``host``, ``port``, ``version``, ``started_at``; also for a day after its death."""
    return Query([("HGETALL", names.replica(replica))], _facts)


def instance_counts(names: Names, replicas: Iterable[str]) -> Query[dict[str, int]]:
    """How many connections are in each instance, as *replicas* have it."""
    return Query([("GET", names.replica_instances(replica)) for replica in sorted(replicas)], _summed)


def _online(verb: str, names: Names, partitions: Iterable[int]) -> list[tuple[str, str]]:
    return [(verb, names.online(partition)) for partition in partitions]


def _texts(sets: Iterable[Iterable[bytes]]) -> Iterable[str]:
    return (user.decode(errors="replace") for users in sets for user in users)


def _first(cursor: str) -> int:
    """The partition that *cursor* names."""
    if not cursor:
        return 0
    if cursor.isascii() and cursor.isdecimal() and int(cursor) < PARTITIONS:
        return int(cursor)
    raise InvalidMessage("the cursor is none: take that of the page before, or none for the first page")


def _last_seen(replies: list[Any]) -> datetime | None:
    is_online, left, (seconds, micros) = replies
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    if is_online:
        return _moment(now_ms)
    is_remembered = left is not None and float(left) > now_ms - SEEN_MS
    return _moment(float(left)) if is_remembered else None


def _members(names: Names, verb: str, session_id: str, user_ids: Iterable[str]) -> Query[None]:
    if isinstance(user_ids, str):
        raise InvalidMessage("user ids must be a list, not a string")
    key = names.members(checked_id(session_id, "session id"))
    users = [checked_id(user_id, "user id") for user_id in user_ids]
    return Query([(verb, key, *users)] if users else [], lambda _: None)


def _present(stay: Callable[[bytes, bytes], Stay | None], replies: list[Any]) -> list[Stay]:
    """Stays of those whose replica's lease has not ended, by connection id; what makes no sense is left out."""
    here, leases, time = replies
    alive = _alive(leases, time)
    stays = [stay(connection_id, value) for connection_id, value in sorted(pairs(here))]
    return [one for one in stays if one and one.member.replica in alive]


def _alive(leases: Any, time: Sequence[Any]) -> frozenset[str]:
    seconds, micros = time
    now_ms = int(seconds) * 1000 + int(micros) / 1000
    return frozenset(replica.decode(errors="replace") for replica, until in pairs(leases) if float(until) > now_ms)


def _facts(replies: list[Any]) -> dict[str, str]:
    return {name.decode(errors="replace"): value.decode(errors="replace") for name, value in pairs(replies[0])}


def _summed(replies: list[Any]) -> dict[str, int]:
    """What replicas say together; what makes no sense is left out."""
    counts: dict[str, int] = {}
    for reply in filter(None, replies):
        said = _parsed(reply)
        for name, count in said.items() if isinstance(said, dict) else ():
            if is_id(name) and isinstance(count, int):
                counts[name] = counts.get(name, 0) + count
    return counts


def _parsed(text: bytes) -> object:
    try:
        return from_json(text)
    except InvalidJson:
        return None


def _stay(connection_id: bytes, value: bytes) -> Stay | None:
    match _parsed(value):
        case {"user_id": str(user_id), "replica": str(replica), **others}:
            member = Member(connection_id.decode(errors="replace"), user_id, replica)
            return Stay(member, _moment(others.get("since")))
    return None


def _seat(user_id: str, connection_id: bytes, value: bytes) -> Stay | None:
    """From ``<ms since epoch> <replica> <device>``, as a replica writes down the connections of a user."""
    parts = value.decode(errors="replace").split(" ")
    if len(parts) != 3:
        return None
    since = _moment(int(parts[0])) if parts[0].isdecimal() else None
    return Stay(Member(connection_id.decode(errors="replace"), user_id, parts[1]), since)


def _moment(ms: object) -> datetime | None:
    """A time in ms since the epoch, if it is one."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC) if isinstance(ms, (int, float)) else None
    except (ValueError, OverflowError, OSError):
        return None
