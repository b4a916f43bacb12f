"""Who is connected, as replicas write it down and everybody else reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from fairlead.codec import from_json, to_json
from fairlead.errors import InvalidJson, InvalidMessage
from fairlead.names import PARTITIONS, Names, channel, partition_of

ALL_PARTITIONS: Final = range(PARTITIONS)


class Member(NamedTuple):
    """One connection that is in a channel."""

    connection_id: str
    user_id: str
    replica: str = ""
    """Which replica holds it; it is there as long as the replica's lease lasts."""

    def seal(self) -> bytes:
        """The value to keep under the connection's id in the channel's ``here``."""
        return to_json({"user_id": self.user_id, "replica": self.replica})


def unseal(connection_id: str, data: bytes) -> Member:
    """
    The member that was kept under *connection_id*.

    :raises InvalidMessage: when it is none.
    """
    try:
        facts = from_json(data)
    except InvalidJson as error:
        raise InvalidMessage("not a member") from error
    match facts:
        case {"user_id": str(user_id), "replica": str(replica)}:
            return Member(connection_id, user_id, replica)
    raise InvalidMessage("not a member")


def present(here: Mapping[bytes, bytes], leases: Iterable[tuple[bytes, float]], now_ms: float) -> list[Member]:
    """Members in *here* whose replica's lease has not ended, by connection id; what makes no sense is left out."""
    alive = {replica.decode() for replica, until in leases if until > now_ms}
    members = []
    for connection_id, data in sorted(here.items()):
        try:
            member = unseal(connection_id.decode(), data)
        except (InvalidMessage, UnicodeDecodeError):
            continue
        if member.replica in alive:
            members.append(member)
    return members


def online_key(names: Names, user_id: str) -> str:
    """The set that holds *user_id* while it has a connection."""
    return names.online(partition_of(channel("user", user_id)))
