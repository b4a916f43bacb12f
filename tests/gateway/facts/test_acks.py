"""Acknowledgements through the lane of a replica: written down once, and told to whoever waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from fairlead.errors import Unavailable
from fairlead.format.messages import push
from fairlead.names import Names
from fairlead.publishing.acks import expect, look, record, standing
from fairlead.publishing.publisher import Publisher
from fairlead.publishing.sent import Acknowledger, Outcome
from fairlead.redis.calls import run
from fairlead.redis.connect import open_async
from fairlead_gateway.facts.acks import Acks
from fairlead_gateway.facts.lane import Lane
from tests.gateway.patience import until_asked

ANNA = Acknowledger("anna", "phone", "c1")
BOB = Acknowledger("bob", "", "c2")


@pytest.fixture
async def pair(redis_url: str, names: Names) -> AsyncIterator[list[Acks]]:
    """Two replicas."""
    clients = [open_async(redis_url, names) for _ in range(2)]
    lanes = [Lane(client) for client in clients]
    yield [Acks(lane, names) for lane in lanes]
    for lane, client in zip(lanes, clients, strict=True):
        await lane.aclose()
        await client.aclose()


async def test_each_id_gets_its_own_answer(pair: list[Acks], redis: Redis, names: Names) -> None:
    for message_id, seconds in (("a", 5), ("late", 0.001)):
        await run(redis, *expect(record(names, "topic:t", message_id), names.replies("w"), seconds))
    await asyncio.sleep(0.005)

    first = await pair[0].acknowledge("topic:t", ["a", "late", "never"], ANNA)
    again = await pair[1].acknowledge("topic:t", ["a"], BOB)

    assert first == {"a": "delivered", "late": "expired", "never": "unknown"}
    assert again == {"a": "duplicate"}
    assert standing(await run(redis, *look(record(names, "topic:t", "a")))).outcome == Outcome("delivered", ANNA)


async def test_the_sender_is_told_once_on_a_stream_that_ends_by_itself(
    pair: list[Acks], redis: Redis, names: Names
) -> None:
    stream, awaited = names.replies("w"), record(names, "user:anna", "a")
    await run(redis, *expect(awaited, stream, 5))

    await asyncio.gather(*(acks.acknowledge("user:anna", ["a"], ANNA) for acks in pair))

    await until_asked(lambda: redis.exists(stream), what="the sender is told")
    assert [fields for _, fields in await redis.xrange(stream)] == [{b"key": awaited.key.encode()}]
    assert 0 < await redis.ttl(stream) <= 60


async def test_what_is_awaited_up_to_an_offset_is_known(pair: list[Acks], redis: Redis, names: Names) -> None:
    publisher = Publisher(redis, names)
    sent = []
    for n in range(6):
        if n % 2 == 0:
            await run(redis, *expect(record(names, "user:anna", f"m-{n}"), names.replies("w"), 5))
        sent.append(await publisher.publish("user:anna", push({"type": "x", "id": f"m-{n}"}, "user:anna")))
    await publisher.aclose()
    epoch = sent[0].epoch

    assert await pair[0].awaited("user:anna", 4) == ["m-0", "m-2"]
    assert await pair[0].awaited("user:anna", 5, epoch) == ["m-0", "m-2", "m-4"]
    assert await pair[0].awaited("user:anna", 5, "another.1") == []
    assert await pair[0].awaited("user:bob", 5) == []

    await pair[1].acknowledge("user:anna", ["m-2"], ANNA)

    assert await pair[0].awaited("user:anna", 6) == ["m-0", "m-4"]


async def test_what_has_expired_is_awaited_no_more(pair: list[Acks], redis: Redis, names: Names) -> None:
    await run(redis, *expect(record(names, "user:anna", "old"), names.replies("w"), 0.01))
    await asyncio.sleep(0.02)
    await run(redis, *expect(record(names, "user:anna", "new"), names.replies("w"), 5))

    assert await redis.zrange(names.awaited("user:anna"), 0, -1) == [b"new"]
    assert 0 < await redis.pttl(names.awaited("user:anna")) <= 3_600_000


async def test_of_two_devices_that_race_on_two_replicas_one_delivers(
    pair: list[Acks], redis: Redis, names: Names
) -> None:
    for n in range(50):
        await run(redis, *expect(record(names, "user:anna", f"m-{n}"), names.replies("w"), 5))

        results = await asyncio.gather(
            pair[n % 2].acknowledge("user:anna", [f"m-{n}"], ANNA),
            pair[1 - n % 2].acknowledge("user:anna", [f"m-{n}"], BOB),
        )

        said = [result[f"m-{n}"] for result in results]
        assert sorted(said) == ["delivered", "duplicate"]
        outcome = standing(await run(redis, *look(record(names, "user:anna", f"m-{n}")))).outcome
        assert outcome == Outcome("delivered", (ANNA, BOB)[said.index("delivered")])


async def test_without_redis_nothing_is_said(names: Names) -> None:
    client = open_async("redis://127.0.0.1:1/0", names)
    lane = Lane(client)

    with pytest.raises(Unavailable):
        await Acks(lane, names).acknowledge("user:anna", ["a"], ANNA)

    await lane.aclose()
    await client.aclose()
