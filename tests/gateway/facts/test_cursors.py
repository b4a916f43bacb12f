"""Cursors: a device goes on where it was, and never further back (RT-4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from fairlead.errors import Conflict
from fairlead.format.messages import push
from fairlead.format.position import Position
from fairlead.names import Names, partition_of
from fairlead.publishing.publisher import Publisher
from fairlead_gateway.facts.cursors import MAX_DEVICES, Cursors, _position
from fairlead_gateway.facts.lane import Lane


@pytest.fixture
async def cursors(redis: Redis, names: Names) -> AsyncIterator[Cursors]:
    lane = Lane(redis)
    yield Cursors(lane, names)
    await lane.aclose()


@pytest.fixture
async def epoch(redis: Redis, names: Names) -> str:
    """The epoch of the channel of user 42."""
    await redis.hset(names.meta("user:42"), mapping={"e": "k3", "o": 2**53 - 1})
    term = await redis.get(names.term(partition_of("user:42")))
    return f"k3.{term.decode()}"


async def test_a_device_that_never_came_stands_nowhere(cursors: Cursors) -> None:
    assert await cursors.read("42", "phone") is None


async def test_a_cursor_is_kept_for_each_device(cursors: Cursors, epoch: str) -> None:
    await cursors.move("42", "phone", 7, epoch, "m-7")
    await cursors.move("42", "laptop", 3, epoch, "an id with spaces")

    assert await cursors.read("42", "phone") == Position(7, epoch, "m-7")
    assert await cursors.read("42", "laptop") == Position(3, epoch, "an id with spaces")


async def test_within_an_epoch_a_cursor_only_moves_forward(cursors: Cursors, epoch: str) -> None:
    moved = [await cursors.move("42", "phone", offset, epoch, f"m-{offset}") for offset in (5, 9, 7, 9, 10)]

    assert [cursor and cursor.offset for cursor in moved] == [5, 9, 9, 9, 10]
    assert await cursors.read("42", "phone") == Position(10, epoch, "m-10")


async def test_offsets_are_compared_as_numbers(cursors: Cursors, epoch: str) -> None:
    await cursors.move("42", "phone", 9, epoch)
    await cursors.move("42", "phone", 10, epoch)
    await cursors.move("42", "phone", 2**53 - 1, epoch)
    await cursors.move("42", "phone", 2**53 - 2, epoch)

    assert await cursors.read("42", "phone") == Position(2**53 - 1, epoch)


async def test_a_new_epoch_takes_the_place_of_the_one_before(cursors: Cursors, epoch: str) -> None:
    await cursors.move("42", "phone", 900, "old.1")

    assert await cursors.move("42", "phone", 2, epoch) == Position(2, epoch)


async def test_an_epoch_of_before_takes_the_place_of_none(cursors: Cursors, epoch: str) -> None:
    await cursors.move("42", "phone", 2, epoch)

    assert await cursors.move("42", "phone", 900, "old.1") == Position(2, epoch)
    assert await cursors.read("42", "phone") == Position(2, epoch)


async def test_without_an_epoch_the_one_of_now_is_meant(cursors: Cursors, epoch: str) -> None:
    assert await cursors.move("42", "phone", 4) == Position(4, epoch)


async def test_the_message_at_the_offset_is_taken_from_the_log_when_the_client_does_not_name_it(
    cursors: Cursors, redis: Redis, names: Names
) -> None:
    publisher = Publisher(redis, names)
    sent = [await publisher.publish("user:42", push({"type": "x"}, "user:42")) for _ in range(3)]
    await publisher.aclose()

    assert await cursors.move("42", "phone", 2) == Position(2, sent[1].epoch, sent[1].id)
    assert await cursors.move("42", "laptop", 2, "other.1") == Position(2, "other.1")
    await redis.xtrim(names.log("user:42"), maxlen=1, approximate=False)
    assert await cursors.move("42", "tablet", 1) == Position(1, sent[1].epoch)


async def test_where_nothing_was_ever_said_there_is_no_position(cursors: Cursors) -> None:
    assert await cursors.move("42", "phone", 4) is None
    assert await cursors.read("42", "phone") is None


async def test_beginning_writes_only_where_nothing_is(cursors: Cursors, epoch: str) -> None:
    began = await cursors.begin("42", "phone", 4, epoch, "m-4")
    again = await cursors.begin("42", "phone", 9, epoch, "m-9")

    assert began == again == Position(4, epoch, "m-4")


async def test_cursors_are_forgotten_a_month_after_the_last_sign_of_a_device(
    cursors: Cursors, epoch: str, redis: Redis, names: Names
) -> None:
    key = names.cursor("42")
    for sign in (cursors.begin("42", "phone", 1, epoch), cursors.move("42", "phone", 1, epoch)):
        await sign
        assert 2_591_990 < await redis.ttl(key) <= 2_592_000
        await redis.expire(key, 5)


async def test_a_user_has_no_more_cursors_than_a_bound(
    cursors: Cursors, epoch: str, redis: Redis, names: Names
) -> None:
    for n in range(MAX_DEVICES + 20):
        await cursors.move("42", f"d{n}", n, epoch)

    assert await redis.hlen(names.cursor("42")) == MAX_DEVICES
    assert await cursors.read("42", f"d{MAX_DEVICES + 19}") == Position(MAX_DEVICES + 19, epoch)


@given(st.integers(0, 2**53 - 1), st.text("abc0.9", min_size=1), st.text(max_size=20).filter(lambda id: id != "-"))
def test_a_cursor_reads_as_it_was_written(offset: int, epoch: str, id: str) -> None:
    written: Any = f"{epoch} {offset} {id or '-'}".encode()

    assert _position(written) == Position(offset, epoch, id)


async def test_nobody_stands_where_the_channel_has_not_come(cursors: Cursors, redis: Redis, names: Names) -> None:
    await redis.hset(names.meta("user:42"), mapping={"e": "k3", "o": 7})
    await cursors.move("42", "phone", 7)

    with pytest.raises(Conflict, match="which stands at 7"):
        await cursors.move("42", "phone", 8)

    stood = await cursors.read("42", "phone")
    assert stood is not None
    assert stood.offset == 7
