"""Deadlines: noticed in time by one replica, and by another when that one dies of it (I4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from fairlead.errors import Unavailable
from fairlead.names import Names
from fairlead_gateway.facts.due import TOGETHER, Due
from fairlead_gateway.facts.lane import Lane
from tests.gateway.patience import until, until_asked


@pytest.fixture
async def lane(redis: Redis) -> AsyncIterator[Lane]:
    lane = Lane(redis)
    yield lane
    await lane.aclose()


@pytest.fixture
def key(names: Names) -> str:
    return names.pubsub("user:42") + ":due"


class Noticed:
    """Writes down what was due, and says when it is due again."""

    def __init__(self, again: int | None = None) -> None:
        self.members: list[str] = []
        self.again = again

    async def __call__(self, member: str) -> int | None:
        self.members.append(member)
        return self.again


async def now_ms(redis: Redis) -> int:
    seconds, micros = await redis.time()
    return seconds * 1000 + micros // 1000


async def test_what_is_due_is_handled_and_what_is_not_stays(redis: Redis, lane: Lane, key: str) -> None:
    noticed = Noticed()
    await redis.zadd(key, {"past": 1, "far": await now_ms(redis) + 60_000})

    assert await Due(lane, [key]).sweep(noticed) == 1
    assert noticed.members == ["past"]
    assert await redis.zrange(key, 0, -1) == [b"far"]


async def test_what_is_no_text_holds_up_nobody_else_and_is_done_once(redis: Redis, lane: Lane, key: str) -> None:
    noticed = Noticed()
    await redis.zadd(key, {b"\xff\xfe": 1, "m": 2})

    assert await Due(lane, [key]).sweep(noticed) == 2
    assert noticed.members == ["\ufffd\ufffd", "m"]
    assert await redis.zcard(key) == 0


async def test_a_deadline_among_many_replicas_is_noticed_once(redis: Redis, lane: Lane, key: str) -> None:
    noticed = Noticed()
    sweepers = [asyncio.create_task(Due(lane, [key], beat_seconds=0.05).run(noticed)) for _ in range(3)]
    try:
        await redis.zadd(key, {f"m{i}": await now_ms(redis) + i for i in range(3 * TOGETHER)})
        await until_asked(lambda: _is_empty(redis, key))
    finally:
        for sweeper in sweepers:
            sweeper.cancel()
        await asyncio.gather(*sweepers, return_exceptions=True)
    assert sorted(noticed.members) == sorted(f"m{i}" for i in range(3 * TOGETHER))


async def test_all_of_many_are_handled_in_one_sweep(redis: Redis, lane: Lane, key: str, names: Names) -> None:
    other = names.pubsub("user:43") + ":due"
    noticed = Noticed()
    await redis.zadd(key, {f"m{i}": 1 for i in range(2 * TOGETHER + 1)})
    await redis.zadd(other, {"elsewhere": 1})

    assert await Due(lane, [key, other]).sweep(noticed) == 2 * TOGETHER + 2
    assert len(set(noticed.members)) == 2 * TOGETHER + 2


async def test_what_is_due_again_waits_until_then(redis: Redis, lane: Lane, key: str) -> None:
    again = await now_ms(redis) + 60_000
    await redis.zadd(key, {"m": 1})

    await Due(lane, [key]).sweep(Noticed(again))

    assert await redis.zscore(key, "m") == again


async def test_a_deadline_that_is_moved_meanwhile_is_kept(redis: Redis, lane: Lane, key: str) -> None:
    moved = await now_ms(redis) + 60_000
    await redis.zadd(key, {"m": 1})

    async def move(member: str) -> None:
        await redis.zadd(key, {member: moved})

    await Due(lane, [key]).sweep(move)

    assert await redis.zscore(key, "m") == moved


async def test_what_a_dead_replica_took_is_given_to_another(redis: Redis, lane: Lane, key: str) -> None:
    is_taken = asyncio.Event()

    async def die(member: str) -> None:
        is_taken.set()
        await asyncio.Event().wait()

    await redis.zadd(key, {"m": 1})
    dying = asyncio.create_task(Due(lane, [key], lease_seconds=0.2).sweep(die))
    async with asyncio.timeout(5):
        await is_taken.wait()
    dying.cancel()

    noticed, other = Noticed(), Due(lane, [key])
    assert await other.sweep(noticed) == 0, "it is the first one's until the lease ends"
    async with asyncio.timeout(5):
        while not await other.sweep(noticed):
            await asyncio.sleep(0.01)
    assert noticed.members == ["m"]


async def test_what_could_not_be_done_comes_again_and_holds_up_nothing(redis: Redis, lane: Lane, key: str) -> None:
    noticed = Noticed()

    async def refuse(member: str) -> int | None:
        if member == "bad" and len(noticed.members) < 3:
            noticed.members.append("refused")
            raise Unavailable("redis is away")
        return await noticed(member)

    await redis.zadd(key, {"bad": 1, "good": 2})
    task = asyncio.create_task(Due(lane, [key], beat_seconds=0.02, lease_seconds=0.05).run(refuse))
    try:
        await until(lambda: "bad" in noticed.members)
    finally:
        task.cancel()
    assert noticed.members[:2] == ["refused", "good"]
    assert noticed.members.count("good") == 1


async def test_replicas_take_turns(redis: Redis, lane: Lane, key: str, names: Names) -> None:
    turn = names.pubsub("user:42") + ":turn"
    await redis.zadd(key, {"m": 1})
    first, second = (Due(lane, [key], turn=turn, beat_seconds=60) for _ in range(2))

    assert await first.sweep(Noticed()) == 1
    await redis.zadd(key, {"m": 1})
    assert await second.sweep(Noticed()) == 0
    await redis.delete(turn)
    assert await second.sweep(Noticed()) == 1


async def _is_empty(redis: Redis, key: str) -> bool:
    return not await redis.exists(key)
