"""The history of connections, as it is read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

import fairlead
from fairlead.backend.backend import Backend
from fairlead.ids import uuid7
from fairlead.names import Names
from fairlead.streams.history import PAGE, since_of

FACTS: dict[str, Any] = {
    "connection_id": "c1",
    "user_id": "42",
    "connected_at": 1_700_000_000.25,
    "ended_at": 1_700_000_060,
    "code": 4100,
    "reason": "slow_consumer: reads slower than it is written to",
    "replica": "r1",
    "address": "10.0.0.1",
    "device_id": "phone",
}


@pytest.fixture
async def fl(redis_url: str, prefix: str) -> AsyncIterator[Backend]:
    async with fairlead.connect(redis_url, prefix=prefix) as fl:
        yield fl


async def end(redis: Redis, names: Names, **changes: object) -> None:
    await redis.xadd(names.connection_history, {"facts": json.dumps(FACTS | changes)})


async def test_a_record_says_who_when_how_long_and_why(fl: Backend, redis: Redis, names: Names) -> None:
    await end(redis, names)

    (record,) = await fl.connection_history()

    assert (record.user_id, record.code, record.device_id, record.seconds) == ("42", 4100, "phone", 59.75)
    assert record.connected_at.isoformat() == "2023-11-14T22:13:20.250000+00:00"


async def test_the_latest_come_first_of_one_user_through_many_pages(
    fl: Backend, redis: Redis, names: Names, redis_url: str
) -> None:
    async with redis.pipeline(transaction=False) as pipeline:
        for n in range(3 * PAGE + 7):
            facts = FACTS | {"connection_id": f"c{n}", "user_id": str(n % PAGE)}
            pipeline.xadd(names.connection_history, {"facts": json.dumps(facts)})
        await pipeline.execute()

    found = await fl.connection_history("3")
    with fairlead.connect_sync(redis_url, prefix=names.prefix) as sync:
        same = sync.connection_history("3")

    assert [record.connection_id for record in found] == [f"c{n * PAGE + 3}" for n in (3, 2, 1, 0)]
    assert same == found
    assert len(await fl.connection_history(count=PAGE + 1)) == PAGE + 1
    assert await fl.connection_history("nobody") == [] == await fl.connection_history(count=0)


async def test_what_makes_no_sense_is_left_out_and_clocks_may_differ(fl: Backend, redis: Redis, names: Names) -> None:
    await redis.xadd(names.connection_history, {"other": "x"})
    await redis.xadd(names.connection_history, {"facts": "{"})
    for wrong in ({"code": "1"}, {"connected_at": 1e300}, {"ended_at": -1}, {"user_id": None}):
        await end(redis, names, **wrong)
    await end(redis, names, ended_at=1)

    (record,) = await fl.connection_history()

    assert record.seconds == 0


@pytest.mark.parametrize("id_", ["", "c1", "zzzzzzzz-zzzz-7000"])
def test_an_id_that_is_not_ours_tells_no_time(id_: str) -> None:
    assert since_of(id_) == 0
    assert since_of(uuid7()) > 1_700_000_000
