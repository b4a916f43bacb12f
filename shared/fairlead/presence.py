"""Who is connected and who may come in, as replicas write it down and everybody else reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from fairlead.codec import from_json
from fairlead.errors import InvalidJson, InvalidMessage
from fairlead.names import PARTITIONS, Names, channel, checked_channel, checked_id, id_of, is_id, kind_of, partition_of

Answer = TypeVar("Answer")


class Member(NamedTuple):
    """One connection that is in a channel."""

    connection_id: str
    user_id: str
    replica: str
    """Which replica holds it; it is there as long as the replica's lease lasts."""


class Question(NamedTuple, Generic[Answer]):
    """Commands that may be asked twice, and what their replies mean."""

    commands: Sequence[tuple[str, ...]]
    read: Callable[[list[Any]], Answer]


def grant_session(names: Names, session_id: str, user_ids: Iterable[str]) -> Question[None]:
    """Let users join a session."""
    return _members(names, "SADD", session_id, user_ids)


def revoke_session(names: Names, session_id: str, user_ids: Iterable[str]) -> Question[None]:
    """Let users no longer join a session."""
    return _members(names, "SREM", session_id, user_ids)


def online_users(names: Names) -> Question[set[str]]:
    """Users with at least one connection."""
    commands = [("SMEMBERS", names.online(partition)) for partition in range(PARTITIONS)]
    return Question(commands, lambda sets: {user.decode() for users in sets for user in users})


def is_online(names: Names, user_id: str) -> Question[bool]:
    """Whether a user has a connection."""
    key = names.online(partition_of(channel("user", user_id)))
    return Question([("SISMEMBER", key, user_id)], lambda replies: bool(replies[0]))


def members_of(names: Names, channel: str) -> Question[list[Member]]:
    """Connections that are in a channel now; a user's own channel is heard by all connections of that user."""
    name = checked_channel(channel)
    is_user = kind_of(name) == "user"
    key = names.conns(id_of(name)) if is_user else names.here(name)
    commands = [("HGETALL", key), ("ZRANGE", names.replicas, "0", "-1", "WITHSCORES"), ("TIME",)]
    return Question(commands, partial(_present, partial(_seat, id_of(name)) if is_user else _member))


def replicas_alive(names: Names) -> Question[frozenset[str]]:
    """Replicas whose lease has not ended."""
    commands = [("ZRANGE", names.replicas, "0", "-1", "WITHSCORES"), ("TIME",)]
    return Question(commands, lambda replies: _alive(*replies))


def instance_counts(names: Names, replicas: Iterable[str]) -> Question[dict[str, int]]:
    """How many connections are in each instance, as *replicas* have it."""
    return Question([("GET", names.replica_instances(replica)) for replica in sorted(replicas)], _summed)


def _members(names: Names, verb: str, session_id: str, user_ids: Iterable[str]) -> Question[None]:
    if isinstance(user_ids, str):
        raise InvalidMessage("user ids must be a list, not a string")
    key = names.members(checked_id(session_id, "session id"))
    users = [checked_id(user_id, "user id") for user_id in user_ids]
    return Question([(verb, key, *users)] if users else [], lambda _: None)


def _present(member: Callable[[bytes, bytes], Member | None], replies: list[Any]) -> list[Member]:
    """Members whose replica's lease has not ended, by connection id; what makes no sense is left out."""
    here, leases, time = replies
    alive = _alive(leases, time)
    members = [member(connection_id, value) for connection_id, value in sorted(pairs(here))]
    return [one for one in members if one and one.replica in alive]


def _alive(leases: Any, time: Sequence[Any]) -> frozenset[str]:
    seconds, micros = time
    now_ms = int(seconds) * 1000 + int(micros) / 1000
    return frozenset(replica.decode() for replica, until in pairs(leases) if float(until) > now_ms)


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


def _member(connection_id: bytes, value: bytes) -> Member | None:
    match _parsed(value):
        case {"user_id": str(user_id), "replica": str(replica)}:
            return Member(connection_id.decode(errors="replace"), user_id, replica)
    return None


def _seat(user_id: str, connection_id: bytes, value: bytes) -> Member | None:
    """From ``<ms since epoch> <replica> <device>``, as a replica writes down the connections of a user."""
    parts = value.decode(errors="replace").split(" ")
    return Member(connection_id.decode(errors="replace"), user_id, parts[1]) if len(parts) == 3 else None


def pairs(reply: Mapping[bytes, bytes] | Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Redis writes maps flat; its clients give some of them as dictionaries."""
    if isinstance(reply, Mapping):
        return list(reply.items())
    return list(zip(reply[::2], reply[1::2], strict=True))
