"""The pool against a plain model: who sits where, and who must subscribe."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fairlead.errors import InvalidMessage
from fairlead_gateway.pool import ConnectionPool

MEMBERS = st.integers(1, 6)
CHANNELS = st.sampled_from(["user:1", "user:2", "session:a", "instance:demo", "instance:other", "broadcast"])


class PoolAgainstModel(RuleBasedStateMachine):
    """Whatever is done, the pool answers as a list of pairs would."""

    def __init__(self) -> None:
        super().__init__()
        self.pool: ConnectionPool[int] = ConnectionPool()
        self.seats: list[tuple[str, int]] = []
        self.entered: dict[str, int] = {}
        self.reserved: set[tuple[str, int]] = set()

    def sitting(self, channel: str) -> list[int]:
        return [member for name, member in self.seats if name == channel]

    @rule(member=MEMBERS, channel=CHANNELS)
    def join(self, member: int, channel: str) -> None:
        self.reserved.discard((channel, member))
        if (channel, member) not in self.seats:
            self.seats.append((channel, member))

        self.pool.join(member, channel)

    @rule(member=MEMBERS, channel=CHANNELS)
    def reserve(self, member: int, channel: str) -> None:
        self.reserved.add((channel, member))

        self.pool.reserve(member, channel)

    @rule(member=MEMBERS, channel=CHANNELS)
    def leave(self, member: int, channel: str) -> None:
        was_there = {(channel, member)} & {*self.seats, *self.reserved}
        self.seats = [seat for seat in self.seats if seat != (channel, member)]
        self.reserved.discard((channel, member))
        is_last = bool(was_there) and channel not in {name for name, _ in (*self.seats, *self.reserved)}

        assert self.pool.leave(member, channel) is is_last

    @rule(member=MEMBERS)
    def enter(self, member: int) -> None:
        self.entered[f"c{member}"] = member
        self.pool.enter(f"c{member}", member)

    @rule(member=MEMBERS)
    def exit(self, member: int) -> None:
        self.entered.pop(f"c{member}", None)
        self.pool.exit(f"c{member}")

    @rule(member=MEMBERS, name=st.sampled_from(["demo", "other"]))
    def add_and_remove_by_the_older_names(self, member: int, name: str) -> None:
        self.pool.add(member, name)
        assert member in self.pool.get_all(name)
        self.pool.remove(member, name)
        self.reserved.discard((f"instance:{name}", member))
        self.seats = [seat for seat in self.seats if seat != (f"instance:{name}", member)]

    @rule(name=st.sampled_from(["demo", "other"]))
    def clear_an_instance(self, name: str) -> None:
        self.pool.clear(name)
        self.seats = [seat for seat in self.seats if seat[0] != f"instance:{name}"]

    @rule()
    def clear(self) -> None:
        self.pool.clear()
        self.seats.clear()
        self.reserved.clear()
        self.entered.clear()

    @invariant()
    def members_are_those_who_joined_in_that_order(self) -> None:
        for channel in {name for name, _ in self.seats} | {"topic:never"}:
            assert list(self.pool.members(channel)) == self.sitting(channel)

    @invariant()
    def a_channel_is_needed_by_who_sits_there_and_by_who_comes(self) -> None:
        for channel in {name for name, _ in (*self.seats, *self.reserved)} | {"topic:never"}:
            coming = {member for name, member in self.reserved if name == channel}
            assert self.pool.is_needed(channel) is bool(self.sitting(channel) or coming)
            assert set(self.pool.everyone(channel)) == {*self.sitting(channel), *coming}

    @invariant()
    def channels_are_those_with_somebody_in_them(self) -> None:
        assert dict(self.pool.channels()) == {name: len(self.sitting(name)) for name, _ in self.seats}
        users = {name: len(self.sitting(name)) for name, _ in self.seats if name.startswith("user:")}
        assert dict(self.pool.channels("user")) == users

    @invariant()
    def connections_are_known_by_id(self) -> None:
        assert len(self.pool) == self.pool.count() == len(self.entered)
        assert sorted(self.pool) == sorted(self.entered.values())
        assert all(self.pool.get(id) == member for id, member in self.entered.items())

    @invariant()
    def instances_are_counted_as_channels(self) -> None:
        for name in ("demo", "other"):
            assert self.pool.count(name) == len(self.sitting(f"instance:{name}"))
            assert self.pool.has_instance(name) is bool(self.sitting(f"instance:{name}"))
            assert self.pool.get_all(name) == set(self.sitting(f"instance:{name}"))


TestPool = PoolAgainstModel.TestCase
TestPool.settings = settings(max_examples=30, stateful_step_count=30)


def test_an_unknown_connection_is_none() -> None:
    assert ConnectionPool[str]().get("nobody") is None


def test_iterating_survives_that_everybody_leaves_meanwhile() -> None:
    pool: ConnectionPool[str] = ConnectionPool()
    for id in ("a", "b", "c"):
        pool.enter(id, id)

    for member in pool:
        pool.exit(member)

    assert len(pool) == 0


def test_an_instance_name_that_is_no_id_is_refused() -> None:
    pool: ConnectionPool[str] = ConnectionPool()

    with pytest.raises(InvalidMessage):
        pool.add("socket", "no such name")
