"""The publish script, through the publisher, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from fairlead.errors import Unavailable
from fairlead.format.envelope import unseal
from fairlead.format.messages import push
from fairlead.names import Names, partition_of
from fairlead.publishing.publication import SEEN_IDS, SEEN_SECONDS
from fairlead.publishing.publisher import Publisher
from fairlead.publishing.sent import Sent
from fairlead.redis.calls import run
from fairlead.redis.connect import open_async
from fairlead.redis.scripts import load
from tests.support.redis import Server

USER = "user:42"


@asynccontextmanager
async def listening(redis: Redis, *channels: str) -> AsyncIterator[asyncio.Queue[bytes]]:
    """What arrives on pub/sub *channels*, from now on."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    ready = asyncio.Event()

    async def listen() -> None:
        async with redis.pubsub() as pubsub:
            await pubsub.subscribe(*channels)
            async for message in pubsub.listen():
                if message["type"] == "message":
                    heard.put_nowait(message["data"])
                else:
                    ready.set()

    task = asyncio.create_task(listen())
    await asyncio.wait_for(ready.wait(), 5)
    yield heard
    task.cancel()


async def say(publisher: Publisher, channel: str, content: object, message_id: str | None = None) -> Sent:
    return await publisher.publish(channel, push({"type": "x", "content": content}, channel, message_id=message_id))


async def test_five_hundred_concurrent_publishes_get_contiguous_offsets(publisher: Publisher) -> None:
    receipts = await asyncio.gather(*(say(publisher, USER, i) for i in range(500)))

    assert [sent.offset for sent in receipts] == list(range(1, 501))
    assert len({sent.epoch for sent in receipts}) == 1


async def test_several_publishers_share_one_row_of_offsets(redis: Redis, names: Names) -> None:
    publishers = [Publisher(redis, names) for _ in range(5)]

    receipts = await asyncio.gather(*(say(publishers[i % 5], USER, i) for i in range(200)))

    assert sorted(sent.offset for sent in receipts) == list(range(1, 201))
    for publisher in publishers:
        await publisher.aclose()


async def test_a_duplicate_returns_the_first_result_and_sends_nothing(
    publisher: Publisher, redis: Redis, names: Names
) -> None:
    async with listening(redis, names.pubsub(USER)) as heard:
        first = await say(publisher, USER, "once", "m-1")
        again = await say(publisher, USER, "twice", "m-1")
        other = await say(publisher, USER, "last", "m-2")

        frames = [unseal(await asyncio.wait_for(heard.get(), 5)) for _ in range(2)]

    assert (first.duplicate, first.receivers) == (False, 1)
    assert (again.offset, again.epoch, again.duplicate, again.receivers) == (first.offset, first.epoch, True, 0)
    assert [delivery.offset for delivery in frames] == [first.offset, other.offset]
    assert await redis.xlen(names.log(USER)) == 2


async def test_of_fifty_racing_duplicates_one_is_sent(redis: Redis, names: Names) -> None:
    publishers = [Publisher(redis, names) for _ in range(5)]

    receipts = await asyncio.gather(*(say(publishers[i % 5], USER, i, "the-one") for i in range(50)))

    assert sum(not sent.duplicate for sent in receipts) == 1
    assert {sent.offset for sent in receipts} == {1}
    for publisher in publishers:
        await publisher.aclose()


async def test_the_epoch_carries_the_term_of_the_master(publisher: Publisher, redis: Redis, names: Names) -> None:
    sent = await say(publisher, USER, 1)
    term = await redis.get(names.term(partition_of(USER)))
    created = await redis.hget(names.meta(USER), "e")

    assert sent.epoch == f"{created.decode()}.{term.decode()}"
    assert len(term) == 12


async def test_a_change_of_the_term_changes_the_epoch_and_keeps_the_offsets(
    publisher: Publisher, redis: Redis, names: Names
) -> None:
    before = await say(publisher, USER, 1)
    await redis.set(names.term(partition_of(USER)), "cafecafecafe")

    after = await say(publisher, USER, 2)

    assert after.epoch == before.epoch.partition(".")[0] + ".cafecafecafe"
    assert after.offset == before.offset + 1


async def test_what_is_published_is_what_is_kept_with_its_position_in_front(
    publisher: Publisher, redis: Redis, names: Names
) -> None:
    async with listening(redis, names.pubsub(USER)) as heard:
        envelope = push({"type": "x", "content": "é" * 300}, USER)
        sent = await publisher.publish(USER, envelope)
        delivery = unseal(await asyncio.wait_for(heard.get(), 5))

    ((entry_id, fields),) = await redis.xrange(names.log(USER))
    assert delivery == (sent.offset, sent.epoch, envelope)
    assert entry_id == b"%d-0" % sent.offset
    assert fields == {b"m": envelope.id.encode(), b"d": envelope.seal()}


@pytest.mark.parametrize("offset", [1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**40])
async def test_offsets_of_every_size_are_read_back(
    offset: int, publisher: Publisher, redis: Redis, names: Names
) -> None:
    await redis.hset(names.meta(USER), mapping={"e": "e" * 20, "o": offset - 1})

    async with listening(redis, names.pubsub(USER)) as heard:
        sent = await say(publisher, USER, 1)
        delivery = unseal(await asyncio.wait_for(heard.get(), 5))

    assert (sent.offset, delivery.offset) == (offset, offset)
    assert (sent.epoch, len(sent.epoch)) == (delivery.epoch, 33)


async def test_a_log_that_outlived_its_meta_is_dropped(publisher: Publisher, redis: Redis, names: Names) -> None:
    before = [await say(publisher, USER, i, f"m-{i}") for i in range(3)]
    await redis.delete(names.meta(USER))

    after = await say(publisher, USER, "new", "m-1")

    assert (after.offset, after.duplicate) == (1, False)
    assert after.epoch != before[0].epoch
    assert [entry_id for entry_id, _ in await redis.xrange(names.log(USER))] == [b"1-0"]


async def test_history_is_bounded_in_number_and_time(publisher: Publisher, redis: Redis, names: Names) -> None:
    await asyncio.gather(*(say(publisher, USER, i) for i in range(500)))

    assert 100 <= await redis.xlen(names.log(USER)) <= 200
    assert 45 < await redis.ttl(names.log(USER)) <= 50
    assert 495 < await redis.ttl(names.meta(USER)) <= 500
    assert SEEN_SECONDS - 5 < await redis.ttl(names.seen(USER)) <= SEEN_SECONDS


async def test_the_newest_ids_are_remembered_and_no_more(publisher: Publisher, redis: Redis, names: Names) -> None:
    await redis.zadd(names.seen(USER), {f"old-{i}": i for i in range(1, SEEN_IDS + 1)})
    await redis.hset(names.meta(USER), mapping={"e": "e", "o": SEEN_IDS})

    await say(publisher, USER, 1, "new")

    assert await redis.zcard(names.seen(USER)) == SEEN_IDS
    assert await redis.zscore(names.seen(USER), "old-1") is None
    assert (await say(publisher, USER, 1, "old-2")).duplicate
    assert (await say(publisher, USER, 1, "new")).duplicate


async def test_ephemeral_messages_have_no_position_and_leave_nothing(
    publisher: Publisher, redis: Redis, names: Names
) -> None:
    async with listening(redis, names.pubsub("topic:t")) as heard:
        envelope = push({"type": "x"}, "topic:t")
        sent = await publisher.publish("topic:t", envelope)
        delivery = unseal(await asyncio.wait_for(heard.get(), 5))

    assert (sent.offset, sent.epoch, sent.duplicate, sent.receivers) == (0, "", False, 1)
    assert delivery == (0, "", envelope)
    assert not await redis.exists(names.log("topic:t"), names.meta("topic:t"), names.seen("topic:t"))


async def test_durability_can_be_overridden_for_one_message(publisher: Publisher) -> None:
    fleeting = await publisher.publish(USER, push({"type": "x"}, USER), durable=False)
    kept = await publisher.publish("topic:t", push({"type": "x"}, "topic:t"), durable=True)

    assert (fleeting.offset, kept.offset) == (0, 1)


async def test_a_new_channel_has_an_epoch_before_its_first_message(
    publisher: Publisher, redis: Redis, names: Names
) -> None:
    keys = [names.log(USER), names.meta(USER), names.seen(USER), names.term(partition_of(USER))]

    offset, epoch, last, *_ = await run(redis, load("read"), keys, (50, "fresh", "", 0, "", 0))
    sent = await say(publisher, USER, 1, "m-1")
    top = await run(redis, load("read"), keys, (50, "other", "", 0, "", 0))

    assert (offset, last) == (0, b"")
    assert (sent.offset, sent.epoch.encode()) == (1, epoch)
    assert top == [1, epoch, b"m-1", 0, []]


async def test_a_server_without_memory_refuses_before_it_has_written_anything(names: Names) -> None:
    with Server("--maxmemory-policy", "noeviction") as server:
        redis = open_async(server.url, names)
        publisher = Publisher(redis, names, timeout_seconds=2)
        before = await say(publisher, USER, 1)
        await redis.config_set("maxmemory", 1)

        with pytest.raises(Unavailable, match="maxmemory"):
            await say(publisher, USER, 2)

        await redis.config_set("maxmemory", 0)
        after = await say(publisher, USER, 3)
        await publisher.aclose()
        await redis.aclose()

    assert after.offset == before.offset + 1
