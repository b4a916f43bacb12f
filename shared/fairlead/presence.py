"""Who is connected and who may come in, as replicas write it down and everybody else reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from fairlead.codec import from_json
from fairlead.errors import InvalidJson, InvalidMessage
from fairlead.names import PARTITIONS, Names, channel, checked_channel, checked_id, id_of, kind_of, partition_of

Answer = TypeVar("Answer")


class Member(NamedTuple):
    """One connection that is in a channel."""

    connection_id: str
    user_id: str
    replica: str
    """Which replica holds it; it is there as long as the replica's lease lasts."""
    since: datetime | None = None
    """When it came, by the clock of its replica; None if that was not written down."""


class Query(NamedTuple, Generic[Answer]):
    """Commands that may be asked twice, and what their replies mean."""

    commands: Sequence[tuple[str, ...]]
    read: Callable[[list[Any]], Answer]


def grant_session(names: Names, session_id: str, user_ids: Iterable[str]) -> Query[None]:
    """Let users join a session."""
    return _members(names, "SADD", session_id, user_ids)


def revoke_session(names: Names, session_id: str, user_ids: Iterable[str]) -> Query[None]:
    """Let users no longer join a session."""
    return _members(names, "SREM", session_id, user_ids)


def online_users(names: Names) -> Query[set[str]]:
    """Users with at least one connection."""
    commands = [("SMEMBERS", names.online(partition)) for partition in range(PARTITIONS)]
    return Query(commands, lambda sets: {user.decode() for users in sets for user in users})


def is_online(names: Names, user_id: str) -> Query[bool]:
    """Whether a user has a connection."""
    key = names.online(partition_of(channel("user", user_id)))
    return Query([("SISMEMBER", key, user_id)], lambda replies: bool(replies[0]))


def members_of(names: Names, channel: str) -> Query[list[Member]]:
    """Connections that are in a channel now; a user's own channel is heard by all connections of that user."""
    name = checked_channel(channel)
    is_user = kind_of(name) == "user"
    key = names.conns(id_of(name)) if is_user else names.here(name)
    commands = [("HGETALL", key), ("ZRANGE", names.replicas, "0", "-1", "WITHSCORES"), ("TIME",)]
    return Query(commands, partial(_present, partial(_seat, id_of(name)) if is_user else _member))


def _members(names: Names, verb: str, session_id: str, user_ids: Iterable[str]) -> Query[None]:
    if isinstance(user_ids, str):
        raise InvalidMessage("user ids must be a list, not a string")
    key = names.members(checked_id(session_id, "session id"))
    users = [checked_id(user_id, "user id") for user_id in user_ids]
    return Query([(verb, key, *users)] if users else [], lambda _: None)


def _present(member: Callable[[bytes, bytes], Member | None], replies: list[Any]) -> list[Member]:
    """Members whose replica's lease has not ended, by connection id; what makes no sense is left out."""
    here, leases, (seconds, micros) = replies
    now_ms = int(seconds) * 1000 + int(micros) / 1000
    alive = {replica.decode() for replica, until in _pairs(leases) if float(until) > now_ms}
    members = [member(connection_id, value) for connection_id, value in sorted(_pairs(here))]
    return [one for one in members if one and one.replica in alive]


def _member(connection_id: bytes, value: bytes) -> Member | None:
    try:
        facts = from_json(value)
    except InvalidJson:
        return None
    match facts:
        case {"user_id": str(user_id), "replica": str(replica), **others}:
            return Member(connection_id.decode(errors="replace"), user_id, replica, _moment(others.get("since")))
    return None


def _seat(user_id: str, connection_id: bytes, value: bytes) -> Member | None:
    """From ``<ms since epoch> <replica> <device>``, as a replica writes down the connections of a user."""
    parts = value.decode(errors="replace").split(" ")
    if len(parts) != 3:
        return None
    since = _moment(int(parts[0])) if parts[0].isdecimal() else None
    return Member(connection_id.decode(errors="replace"), user_id, parts[1], since)


def _moment(ms: object) -> datetime | None:
    """A time in ms since the epoch, if it is one."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC) if isinstance(ms, (int, float)) else None
    except (ValueError, OverflowError, OSError):
        return None


def _pairs(reply: Mapping[bytes, bytes] | Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Redis writes maps flat; its clients give some of them as dictionaries."""
    if isinstance(reply, Mapping):
        return list(reply.items())
    return list(zip(reply[::2], reply[1::2], strict=True))
