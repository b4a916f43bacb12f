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
        self._members: dict[str, dict[Member, int]] = {}
        self._coming: dict[str, dict[Member, int]] = {}
        self._by_id: dict[str, Member] = {}
        self.joins = 0
        """How often somebody has sat down since the start."""
        self.moves = 0
        """How often somebody has sat down or got up."""

    # -- connections ---------------------------------------------------------------------------

    def enter(self, id: str, member: Member) -> None:
        """Remember *member* by its connection id."""
        self._by_id[id] = member

    def exit(self, id: str) -> None:
        """Forget the connection *id*, if it is known."""
        self._by_id.pop(id, None)

    def get(self, id: str) -> Member | None:
        return self._by_id.get(id)

    def ids(self) -> list[str]:
        """Of all connections, in order; since ids tell the time and come in nearly that order, cheap to sort."""
        return sorted(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._by_id.values()))

    # -- channels ------------------------------------------------------------------------------

    def reserve(self, member: Member, channel: str) -> None:
        """Keep a place in *channel* for *member*, who hears nothing before it has joined."""
        self._coming.setdefault(channel, {})[member] = 0

    def join(self, member: Member, channel: str) -> None:
        """Sit *member* in *channel*, on its reserved place if it has one."""
        _remove(self._coming, member, channel)
        self.joins += 1
        self.moves += 1
        self._members.setdefault(channel, {}).setdefault(member, self.joins)

    def leave(self, member: Member, channel: str) -> bool:
        """Take *member* and its place out of *channel*; whether nobody needs the channel any more."""
        self.moves += 1
        was_there = _remove(self._members, member, channel)
        return (_remove(self._coming, member, channel) or was_there) and not self.is_needed(channel)

    def is_needed(self, channel: str) -> bool:
        """Whether somebody sits in *channel*, or is about to."""
        return channel in self._members or channel in self._coming

    def everyone(self, channel: str) -> list[Member]:
        """Who is in *channel* now, or about to be."""
        return [*self._members.get(channel, ()), *self._coming.get(channel, ())]

    def members(self, channel: str) -> Mapping[Member, int]:
        """Who is in *channel* now, by which of the `joins`: a live view, to be copied before anything that waits."""
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
        self.moves += 1
        if instance_name is not None:
            self._members.pop(channel_name("instance", instance_name), None)
        else:
            self._members.clear()
            self._coming.clear()
            self._by_id.clear()


def _remove(seats: dict[str, dict[Member, int]], member: Member, channel: str) -> bool:
    """Whether *member* was there."""
    members = seats.get(channel)
    if members is None or member not in members:
        return False
    del members[member]
    if not members:
        del seats[channel]
    return True
