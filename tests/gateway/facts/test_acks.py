"""Acknowledgements through the lane of a replica: written down once, and told to whoever waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from fairlead.acks import expect, look, standing
from fairlead.errors import Unavailable
from fairlead.names import Names
from fairlead.redis.calls import run
from fairlead.redis.connect import open_async
from fairlead.sent import Acknowledger, Outcome
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
        await run(redis, *expect(names.ack("topic:t", message_id), names.replies("w"), seconds))
    await asyncio.sleep(0.005)

    first = await pair[0].acknowledge("topic:t", ["a", "late", "never"], ANNA)
    again = await pair[1].acknowledge("topic:t", ["a"], BOB)

    assert first == {"a": "delivered", "late": "expired", "never": "unknown"}
    assert again == {"a": "duplicate"}
    assert standing(await run(redis, *look(names.ack("topic:t", "a")))).outcome == Outcome("delivered", ANNA)


async def test_the_sender_is_told_once_on_a_stream_that_ends_by_itself(
    pair: list[Acks], redis: Redis, names: Names
) -> None:
    stream, record = names.replies("w"), names.ack("user:anna", "a")
    await run(redis, *expect(record, stream, 5))

    await asyncio.gather(*(acks.acknowledge("user:anna", ["a"], ANNA) for acks in pair))

    await until_asked(lambda: redis.exists(stream), what="the sender is told")
    assert [fields for _, fields in await redis.xrange(stream)] == [{b"key": record.encode()}]
    assert 0 < await redis.ttl(stream) <= 60


async def test_of_two_devices_that_race_on_two_replicas_one_delivers(
    pair: list[Acks], redis: Redis, names: Names
) -> None:
    for n in range(50):
        await run(redis, *expect(names.ack("user:anna", f"m-{n}"), names.replies("w"), 5))

        results = await asyncio.gather(
            pair[n % 2].acknowledge("user:anna", [f"m-{n}"], ANNA),
            pair[1 - n % 2].acknowledge("user:anna", [f"m-{n}"], BOB),
        )

        said = [result[f"m-{n}"] for result in results]
        assert sorted(said) == ["delivered", "duplicate"]
        outcome = standing(await run(redis, *look(names.ack("user:anna", f"m-{n}")))).outcome
        assert outcome == Outcome("delivered", (ANNA, BOB)[said.index("delivered")])


async def test_without_redis_nothing_is_said(names: Names) -> None:
    client = open_async("redis://127.0.0.1:1/0", names)
    lane = Lane(client)

    with pytest.raises(Unavailable):
        await Acks(lane, names).acknowledge("user:anna", ["a"], ANNA)

    await lane.aclose()
    await client.aclose()
