"""The dispatcher: the right bytes to everybody in a channel, in order, without standing in the loop's way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead_gateway.dispatch import dispatcher as module
from fairlead_gateway.dispatch.dispatcher import SLICE, MessageDispatcher, Outgoing
from fairlead_gateway.pool import Connection, ConnectionPool, Format
from fairlead_gateway.pool.counted import Counted
from tests.gateway.dispatch.heard import messages_of
from tests.gateway.pool.sockets import connection, socket_of


class Hall:
    """A dispatcher with its pool, and what it asked of the link."""

    def __init__(self) -> None:
        self.pool: ConnectionPool[Connection] = ConnectionPool()
        self.orders: list[str] = []
        self.counted = Counted()
        self.dispatcher = MessageDispatcher(
            self.pool,
            lambda: self.orders.append("hold"),
            lambda: self.orders.append("release"),
            counted=self.counted,
        )

    def seat(self, count: int, channel: str = "topic:t") -> list[Connection]:
        members = [connection(f"u{number}") for number in range(count)]
        for member in members:
            self.pool.join(member, channel)
        return members

    def say(self, *numbers: int, channel: str = "topic:t", exclude: str = "") -> None:
        self.dispatcher.deliver(channel, [Outgoing(frame(number), exclude) for number in numbers])


def frame(number: int) -> bytes:
    return b'{"n":%d}' % number


def numbers_heard(member: Connection) -> list[int]:
    return [message["n"] for message in messages_of(member)]


async def quiet(turns: int = 200) -> None:
    """Let every slice that waits have its turn."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_everybody_in_the_channel_and_nobody_else_is_given_the_message() -> None:
    hall = Hall()
    members = hall.seat(3)
    (stranger,) = hall.seat(1, "topic:other")

    hall.say(1)

    assert [numbers_heard(member) for member in members] == [[1], [1], [1]]
    assert numbers_heard(stranger) == []


async def test_a_channel_without_members_costs_nothing_and_harms_nobody() -> None:
    hall = Hall()

    hall.say(1)

    assert hall.counted.messages_sent == 0


async def test_messages_of_one_read_reach_a_socket_in_one_write() -> None:
    hall = Hall()
    (member,) = hall.seat(1)

    hall.say(1, 2, 3)

    assert len(socket_of(member).writes) == 1
    assert numbers_heard(member) == [1, 2, 3]


async def test_between_the_slices_of_a_large_channel_the_loop_goes_on() -> None:
    hall = Hall()
    members = hall.seat(SLICE * 3 + 1)

    hall.say(1)

    served = sum(bool(socket_of(member).writes) for member in members)
    assert served == SLICE
    await asyncio.sleep(0)
    assert sum(bool(socket_of(member).writes) for member in members) == 2 * SLICE
    await quiet()
    assert all(numbers_heard(member) == [1] for member in members)


async def test_what_comes_while_a_large_channel_is_served_follows_in_order_and_joined() -> None:
    hall = Hall()
    members = hall.seat(SLICE * 2 + 10)

    hall.say(1)
    hall.say(2)
    await asyncio.sleep(0)
    hall.say(3, 4)
    await quiet()

    assert all(numbers_heard(member) == [1, 2, 3, 4] for member in members)
    assert all(len(socket_of(member).writes) == 2 for member in members)


async def test_a_small_channel_does_not_wait_for_a_large_one() -> None:
    hall = Hall()
    hall.seat(SLICE * 4)
    (other,) = hall.seat(1, "topic:small")

    hall.say(1)
    hall.say(9, channel="topic:small")

    assert numbers_heard(other) == [9]
    await quiet()


async def test_who_ends_in_the_middle_of_a_fan_out_hears_nothing_more() -> None:
    hall = Hall()
    members = hall.seat(SLICE + 2)
    left: list[bytes] = []

    hall.say(1)
    members[-1].write = left.append
    await quiet()

    assert socket_of(members[-1]).writes == []
    assert numbers_heard(members[-2]) == [1]


async def test_one_connection_can_be_spared() -> None:
    hall = Hall()
    spared, other = hall.seat(2)

    hall.say(1, exclude=f"connection:{spared.id}")

    assert (numbers_heard(spared), numbers_heard(other)) == ([], [1])


async def test_all_connections_of_one_user_can_be_spared() -> None:
    hall = Hall()
    first, second, other = connection("42"), connection("42"), connection("43")
    for member in (first, second, other):
        hall.pool.join(member, "topic:t")

    hall.say(1, exclude="user:42")

    assert [numbers_heard(member) for member in (first, second, other)] == [[], [], [1]]


async def test_in_a_mixed_batch_each_is_spared_only_what_excludes_it() -> None:
    hall = Hall()
    phone, laptop, other = connection("42", id="phone"), connection("42", id="laptop"), connection("43", id="other")
    for member in (phone, laptop, other):
        hall.pool.join(member, "topic:t")

    hall.dispatcher.deliver(
        "topic:t",
        [
            Outgoing(frame(1)),
            Outgoing(frame(2), "connection:phone"),
            Outgoing(frame(3), "user:42"),
            Outgoing(frame(4), "connection:other"),
            Outgoing(frame(5)),
        ],
    )

    assert numbers_heard(phone) == [1, 4, 5]
    assert numbers_heard(laptop) == [1, 2, 4, 5]
    assert numbers_heard(other) == [1, 2, 3, 5]


async def test_a_user_whose_id_is_the_id_of_a_connection_is_not_spared_for_it() -> None:
    hall = Hall()
    namesake = connection("c-77")
    hall.pool.join(namesake, "topic:t")

    hall.say(1, exclude="connection:c-77")

    assert numbers_heard(namesake) == [1]


async def test_what_was_delivered_counts_only_what_was_written() -> None:
    hall = Hall()
    spared, *_ = hall.seat(3)

    hall.say(1, 2)
    hall.say(3, exclude=f"connection:{spared.id}")

    assert hall.counted.messages_sent == 3 * 2 + 2


@pytest.mark.parametrize("format", list(Format))
async def test_each_format_is_given_the_same_message_in_its_own_bytes(format: Format) -> None:
    hall = Hall()
    member = connection(format=format)
    hall.pool.join(member, "topic:t")
    text = {"type": "news", "content": {"Größe": [1, 2.5, None, True, "𝄞"]}, "offset": 7}

    hall.dispatcher.deliver("topic:t", [Outgoing(orjson.dumps(text)), Outgoing(frame(2))])

    assert messages_of(member) == [text, {"n": 2}]


async def test_sockets_of_one_format_share_the_same_bytes() -> None:
    hall = Hall()
    by_format = {format: [connection(format=format), connection(format=format)] for format in Format}
    for members in by_format.values():
        for member in members:
            hall.pool.join(member, "topic:t")

    hall.say(1)

    for one, other in by_format.values():
        assert socket_of(one).writes[0] is socket_of(other).writes[0]


@pytest.mark.parametrize("broken", [b'{"a"}', b'{"a":1', b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}"])
@pytest.mark.parametrize("format", [Format.MSGPACK, Format.MSGPACK_DEFLATED])
async def test_what_cannot_be_carried_in_a_format_is_left_out_and_the_channel_goes_on(
    broken: bytes, format: Format
) -> None:
    hall = Hall()
    members = hall.seat(SLICE + 1)
    member = connection(format=format)
    hall.pool.join(member, "topic:t")

    hall.dispatcher.deliver("topic:t", [Outgoing(frame(1)), Outgoing(broken), Outgoing(frame(2))])
    hall.say(3)
    await quiet()

    assert numbers_heard(member) == [1, 2, 3]
    assert len(socket_of(members[0]).writes) == 2


async def test_too_much_waiting_holds_the_link_until_it_has_been_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BACKLOG_BYTES", 50)
    hall = Hall()
    members = hall.seat(SLICE * 2)

    hall.say(1)
    hall.say(2, 3, 4)
    held_early = list(hall.orders)
    hall.say(5, 6, 7, 8, 9, 10)
    held_late = list(hall.orders)
    await quiet()

    assert (held_early, held_late, hall.orders) == ([], ["hold"], ["hold", "release"])
    assert numbers_heard(members[-1]) == list(range(1, 11))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from(["a", "b"]), st.sampled_from(["", "connection:vip", "user:vip"])),
        st.tuples(st.just("turn"), st.integers(1, 3), st.just("")),
    ),
    max_size=25,
)


@settings(max_examples=15)
@given(STEPS)
def test_every_member_hears_every_message_once_and_in_order_however_they_interleave(
    steps: Iterable[tuple[str, str | int, str]],
) -> None:
    said: dict[str, list[tuple[int, str]]] = {"a": [], "b": []}
    hall = Hall()
    crowd = hall.seat(SLICE + 40, "topic:a")[:: SLICE // 4] + hall.seat(3, "topic:b")
    vip = connection("vip", id="vip", format=Format.MSGPACK)
    hall.pool.join(vip, "topic:a")

    async def follow() -> None:
        for number, (step, argument, exclude) in enumerate(steps):
            if step == "say":
                said[str(argument)].append((number, exclude))
                hall.say(number, channel=f"topic:{argument}", exclude=exclude)
            else:
                await quiet(int(argument))
        await quiet()

    asyncio.run(follow())

    for member in crowd:
        channel = "a" if member in hall.pool.members("topic:a") else "b"
        assert numbers_heard(member) == [number for number, _ in said[channel]]
    assert numbers_heard(vip) == [number for number, exclude in said["a"] if not exclude]


async def test_who_joins_while_a_large_channel_is_served_hears_what_comes_from_then_on() -> None:
    hall = Hall()
    hall.seat(SLICE * 2)
    hall.say(1)
    hall.say(2)
    (newcomer,) = hall.seat(1)
    hall.say(3)
    (latest,) = hall.seat(1)
    hall.say(4)

    await quiet()

    assert numbers_heard(newcomer) == [3, 4]
    assert numbers_heard(latest) == [4]


async def test_who_comes_back_while_a_large_channel_is_served_is_somebody_new() -> None:
    hall = Hall()
    member, *_ = hall.seat(SLICE * 2)
    hall.say(1)
    hall.say(2)
    hall.pool.leave(member, "topic:t")
    hall.pool.join(member, "topic:t")
    hall.say(3)

    await quiet()

    assert numbers_heard(member) == [1, 3]
