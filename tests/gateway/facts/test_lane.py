"""Commands of many connections travel together, in order; Redis away is an answer, not a hang."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from fairlead.errors import Unavailable
from fairlead.names import Names
from fairlead.redis.connect import open_async
from fairlead.redis.scripts import load
from fairlead_gateway.facts.lane import MAX_TOGETHER, SCRIPTS, Lane
from tests.gateway.patience import until_asked
from tests.support.redis import Server

RELEASE = load("release", SCRIPTS)


@pytest.fixture
async def lane(redis: Redis) -> AsyncIterator[Lane]:
    lane = Lane(redis)
    yield lane
    await lane.aclose()


async def test_answers_belong_to_their_commands_in_the_order_of_asking(lane: Lane, prefix: str) -> None:
    asked = [lane.call("INCR", f"{prefix}:counter") for _ in range(MAX_TOGETHER * 2 + 7)]

    answers = await asyncio.gather(*asked)

    assert answers == list(range(1, len(asked) + 1))


async def test_what_is_asked_while_a_batch_is_under_way_comes_after_it(lane: Lane, prefix: str) -> None:
    first = lane.call("RPUSH", f"{prefix}:list", "first")
    await asyncio.sleep(0)
    second = lane.call("RPUSH", f"{prefix}:list", "second")
    third = lane.call("LRANGE", f"{prefix}:list", 0, -1)

    assert await asyncio.gather(first, second, third) == [1, 2, [b"first", b"second"]]


async def test_a_script_that_the_server_does_not_know_is_loaded_on_the_way(
    lane: Lane, redis: Redis, prefix: str
) -> None:
    await redis.script_flush()
    keys = [f"{prefix}:{{1}}:{name}" for name in ("conns", "online", "departures", "facts", "seen")]
    args = ("42", "c1", 1000, "facts", 1000)

    before, released = await asyncio.gather(lane.call("HSET", keys[0], "c1", "x"), lane.run(RELEASE, keys, args))

    assert (before, released) == (1, [1, 0])
    assert await lane.run(RELEASE, keys, args) == [0, 0]


async def test_a_command_that_redis_refuses_fails_alone(lane: Lane, prefix: str) -> None:
    key = f"{prefix}:text"
    good = lane.call("SET", key, "word")
    bad = lane.call("HGET", key, "field")
    also_good = lane.call("GET", key)

    with pytest.raises(Unavailable):
        await bad
    assert (await good, await also_good) == (b"OK", b"word")


async def test_an_answer_that_nobody_awaits_harms_nobody(lane: Lane, prefix: str) -> None:
    lane.call("HGET", f"{prefix}:text", "too", "many", "words")
    given_up = lane.call("PING")
    given_up.cancel()

    assert await lane.call("ECHO", "still here") == b"still here"


async def test_redis_away_is_unavailable_and_works_again_when_it_is_back(own_server: Server, names: Names) -> None:
    redis = open_async(own_server.url, names)
    lane = Lane(redis)
    await lane.call("PING")
    own_server.stop()

    for _ in range(2):
        with pytest.raises(Unavailable):
            await lane.call("PING")
    own_server.start()

    assert await lane.call("ECHO", "back") == b"back"
    await lane.aclose()
    await redis.aclose()


async def test_a_frozen_redis_is_unavailable_within_the_deadline_and_its_late_answers_are_nobodys(
    own_server: Server, names: Names
) -> None:
    redis = open_async(own_server.url, names)
    lane = Lane(redis, answer_seconds=0.3)
    await lane.call("PING")
    own_server.freeze()
    asked_at = time.monotonic()

    with pytest.raises(Unavailable):
        await lane.call("ECHO", "lost")
    waited = time.monotonic() - asked_at
    own_server.thaw()

    assert waited < 2

    async def answers() -> bool:
        try:
            return bool(await lane.call("ECHO", "right") == b"right")
        except Unavailable:
            return False

    await until_asked(answers)
    assert await asyncio.gather(*(lane.call("ECHO", f"{n}") for n in range(50))) == [b"%d" % n for n in range(50)]
    await lane.aclose()
    await redis.aclose()


async def test_many_commands_at_once_are_few_round_trips(lane: Lane, redis: Redis, prefix: str) -> None:
    await lane.call("PING")
    before = await redis.info("stats")

    await asyncio.gather(*(lane.call("INCR", f"{prefix}:n") for _ in range(400)))

    after = await redis.info("stats")
    assert int(after["total_reads_processed"]) - int(before["total_reads_processed"]) < 40
