"""The log says how a channel goes on from a position, or that it cannot be proven; never a part of it."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from fairlead.format.messages import push
from fairlead.format.position import Position, Span, span
from fairlead.names import Names, partition_of
from fairlead.publishing.publisher import Publisher
from fairlead.publishing.sent import Sent
from fairlead.redis.calls import run
from fairlead.redis.scripts import load

CHANNEL = "session:s1"


async def say(publisher: Publisher, count: int) -> list[Sent]:
    return [await publisher.publish(CHANNEL, push({"type": "n", "content": n}, CHANNEL)) for n in range(count)]


async def read(redis: Redis, names: Names, since: Position | None, limit: int = 100) -> Span:
    offset, epoch, id_ = since or (0, "", "")
    return span(await run(redis, load("read"), names.of_durable(CHANNEL), (60, "e", epoch, offset, id_, limit)))


def position(sent: Sent) -> Position:
    return Position(sent.offset, sent.epoch, sent.id)


async def another_master(redis: Redis, names: Names, term: str) -> None:
    """What a connection to a promoted replica writes down."""
    await redis.set(names.term(partition_of(CHANNEL)), term)


async def test_everything_since_a_position_in_order(publisher: Publisher, redis: Redis, names: Names) -> None:
    sent = await say(publisher, 5)

    found = await read(redis, names, position(sent[1]))

    assert (found.is_proven, found.is_whole, found.top) == (True, True, position(sent[-1]))
    assert [(entry.offset, entry.id) for entry in found.entries] == [(one.offset, one.id) for one in sent[2:]]


async def test_who_stands_at_the_top_has_missed_nothing(publisher: Publisher, redis: Redis, names: Names) -> None:
    sent = await say(publisher, 2)

    found = await read(redis, names, position(sent[-1]))

    assert (found.is_proven, found.entries) == (True, [])


async def test_a_long_history_comes_in_parts(publisher: Publisher, redis: Redis, names: Names) -> None:
    sent = await say(publisher, 5)

    first = await read(redis, names, position(sent[0]), limit=3)
    second = await read(redis, names, position(sent[3]), limit=3)

    assert [entry.offset for entry in first.entries] == [2, 3, 4]
    assert (first.is_whole, second.is_whole) == (False, True)


async def test_what_was_trimmed_cannot_be_proven(publisher: Publisher, redis: Redis, names: Names) -> None:
    sent = await say(publisher, 5)
    await redis.xtrim(names.log(CHANNEL), maxlen=2, approximate=False)

    lost, kept = await read(redis, names, position(sent[1])), await read(redis, names, position(sent[2]))

    assert (lost.is_proven, lost.entries, lost.top) == (False, [], position(sent[-1]))
    assert (kept.is_proven, len(kept.entries)) == (True, 2)


async def test_a_log_that_expired_cannot_be_proven(publisher: Publisher, redis: Redis, names: Names) -> None:
    sent = await say(publisher, 3)
    await redis.delete(names.log(CHANNEL))

    assert not (await read(redis, names, position(sent[1]))).is_proven


async def test_an_offset_that_was_never_given_cannot_be_proven(
    publisher: Publisher, redis: Redis, names: Names
) -> None:
    (sent,) = await say(publisher, 1)

    assert not (await read(redis, names, Position(9, sent.epoch))).is_proven


async def test_another_epoch_cannot_be_proven(publisher: Publisher, redis: Redis, names: Names) -> None:
    sent = await say(publisher, 2)
    term = sent[0].epoch.partition(".")[2]

    for epoch in (f"other.{term}", "other", "."):
        assert not (await read(redis, names, Position(1, epoch, sent[0].id))).is_proven


async def test_after_a_failover_the_very_message_proves_the_position(
    publisher: Publisher, redis: Redis, names: Names
) -> None:
    sent = await say(publisher, 3)
    await another_master(redis, names, "t2")

    found = await read(redis, names, position(sent[0]))
    without_id = await read(redis, names, position(sent[0])._replace(id=""))
    other_message = await read(redis, names, position(sent[0])._replace(id="m-other"))

    assert found.is_proven
    assert found.top.epoch == sent[0].epoch.partition(".")[0] + ".t2"
    assert [entry.offset for entry in found.entries] == [2, 3]
    assert (without_id.is_proven, other_message.is_proven) == (False, False)


async def test_who_has_seen_nothing_of_an_epoch_misses_nothing_in_a_failover(
    publisher: Publisher, redis: Redis, names: Names
) -> None:
    before = await read(redis, names, None)
    await another_master(redis, names, "t2")
    await say(publisher, 1)

    found = await read(redis, names, before.top)

    assert (found.is_proven, len(found.entries)) == (True, 1)


@pytest.mark.parametrize("offset", [2**53, 10**30])
async def test_absurd_offsets_are_answered_calmly(
    publisher: Publisher, redis: Redis, names: Names, offset: int
) -> None:
    (sent,) = await say(publisher, 1)

    assert not (await read(redis, names, Position(offset, sent.epoch, "x"))).is_proven
