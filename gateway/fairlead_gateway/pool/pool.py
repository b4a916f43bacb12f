"""ConnectionPool: who sits in which channel on this replica."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Generic, TypeVar

from fairlead.names import channel as channel_name

Member = TypeVar("Member", bound=Hashable)


class ConnectionPool(Generic[Member]):
    """
    Members by channel, in the order in which they joined. Joining twice is joining once.

    The methods named after instances are those of the source documents; an instance ``demo`` is ``instance:demo``.
    """

    def __init__(self) -> None:
        self._members: dict[str, dict[Member, None]] = {}
        self._by_id: dict[str, Member] = {}

    # -- connections ---------------------------------------------------------------------------

    def enter(self, id: str, member: Member) -> None:
        """Remember *member* by its connection id."""
        self._by_id[id] = member

    def exit(self, id: str) -> None:
        """Forget the connection *id*, if it is known."""
        self._by_id.pop(id, None)

    def get(self, id: str) -> Member | None:
        return self._by_id.get(id)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._by_id.values()))

    # -- channels ------------------------------------------------------------------------------

    def join(self, member: Member, channel: str) -> bool:
        """Sit *member* in *channel*; whether it is the first there, so that somebody should subscribe."""
        members = self._members.get(channel)
        if members is None:
            self._members[channel] = {member: None}
            return True
        members[member] = None
        return False

    def leave(self, member: Member, channel: str) -> bool:
        """Take *member* out of *channel*; whether nobody is left, so that somebody may unsubscribe."""
        members = self._members.get(channel)
        if members is None or member not in members:
            return False
        del members[member]
        if members:
            return False
        del self._members[channel]
        return True

    def members(self, channel: str) -> Mapping[Member, None]:
        """Who is in *channel* now: a live view, to be copied before anything that waits."""
        return self._members.get(channel) or {}

    def channels(self, kind: str = "") -> Iterator[tuple[str, int]]:
        """Channels with somebody in them and how many, of one *kind* or all."""
        prefix = f"{kind}:" if kind else ""
        return ((name, len(members)) for name, members in self._members.items() if name.startswith(prefix))

    # -- the source documents' names -------------------------------------------------------------

    def add(self, websocket: Member, instance_name: str) -> None:
        """Sit a connection in an instance."""
        self.join(websocket, channel_name("instance", instance_name))

    def remove(self, websocket: Member, instance_name: str) -> None:
        """Take a connection out of an instance."""
        self.leave(websocket, channel_name("instance", instance_name))

    def get_all(self, instance_name: str) -> set[Member]:
        """The connections in an instance."""
        return set(self.members(channel_name("instance", instance_name)))

    def has_instance(self, instance_name: str) -> bool:
        """Whether anybody is in an instance."""
        return bool(self.members(channel_name("instance", instance_name)))

    def count(self, instance_name: str | None = None) -> int:
        """Connections in one instance, or of the whole replica."""
        return len(self) if instance_name is None else len(self.members(channel_name("instance", instance_name)))

    def clear(self, instance_name: str | None = None) -> None:
        """Empty one instance, or everything."""
        if instance_name is not None:
            self._members.pop(channel_name("instance", instance_name), None)
        else:
            self._members.clear()
            self._by_id.clear()
