"""One replica at a time oversees the fleet: it sums, remembers and tells, and nothing goes down that was counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from fairlead.errors import Unavailable
from fairlead.format.envelope import unseal
from fairlead.names import ADMINS, Names, partition_of
from fairlead.publishing.publisher import Publisher
from fairlead.state import statistics as shared
from fairlead.state.statistics import TEN
from fairlead_gateway.admin.overseer import ABANDONED_BEATS, RECOUNT_BEATS, SETTLE_BEATS, Overseer
from fairlead_gateway.admin.overview import Overview
from fairlead_gateway.facts import statistics as module
from fairlead_gateway.facts.lane import Lane
from fairlead_gateway.facts.statistics import Statistics

GAUGES = {"@total_connections": 2, "@active_connections": 1, "@is_ready": 1, "@total_user_connections": 2}


class Station:
    """A replica as far as its overseer knows it."""

    def __init__(self, redis: Redis, names: Names, replica: str) -> None:
        self.redis, self.names, self.replica = redis, names, replica
        self.figures: dict[str, int] = {"messages_sent": 0, "connections_opened": 2, "disconnections": 0, **GAUGES}
        self.lane = Lane(redis)
        self.statistics = Statistics(self.lane, names, replica)
        self.publisher = Publisher(redis, names)
        self.overseer = Overseer(self.statistics, self.publisher, lambda: self.figures, lambda: True)
        self.seen: list[Overview] = []
        self.overseer.watchers.append(self._watch)

    async def live(self, lease_ms: int = 60_000) -> None:
        seconds, micros = await self.redis.time()
        await self.redis.zadd(self.names.replicas, {self.replica: seconds * 1000 + micros // 1000 + lease_ms})

    async def _watch(self, seen: Overview) -> None:
        self.seen.append(seen)


@asynccontextmanager
async def stations(redis: Redis, names: Names, *replicas: str) -> AsyncIterator[list[Station]]:
    """Replicas that live, and beat when they are told to."""
    made = [Station(redis, names, replica) for replica in replicas]
    for one in made:
        await one.live()
    try:
        yield made
    finally:
        for one in made:
            await one.publisher.aclose()
            await one.lane.aclose()


async def history(redis: Redis, names: Names) -> list[Mapping[str, Any]]:
    return [orjson.loads(fields[b"sample"]) for _, fields in await redis.xrange(names.stats_history)]


async def test_all_replicas_are_summed_by_one_of_them(redis: Redis, names: Names) -> None:
    await redis.sadd(names.online(partition_of("user:a")), "a", "b", "c")
    await redis.sadd(names.sessions(3), "s1")
    async with stations(redis, names, "r1", "r2", "r3") as (first, *others):
        for number, one in enumerate((first, *others)):
            one.figures["messages_sent"] = 10**number
            await one.overseer.beat()
        await first.overseer.beat()

        assert [len(one.seen) for one in (first, *others)] == [2, 0, 0]
        seen = first.seen[-1]
        assert seen.fleet.ten == dict(zip(TEN, (6, 3, 111, 0, 0, 0, 3, 1, 6, 0), strict=True)), (
            "held, active, sent, received, ended, errors, users, sessions, of users, of sessions"
        )
        assert {replica: figures.messages_sent for replica, figures in seen.replicas.items()} == {
            "r1": 1,
            "r2": 10,
            "r3": 100,
        }
        assert (seen.alive, seen.lost, seen.fleet.is_ready) == ({"r1", "r2", "r3"}, frozenset(), True)
        assert [one["figures"][2] for one in await history(redis, names)] == [1, 111]
        (command,) = shared.latest(names).commands
        assert shared.latest(names).read([await redis.execute_command(*command)]) == seen.fleet.ten
        assert (await others[0].overseer.see()).fleet == seen.fleet, "whoever looks sees the same"


async def test_the_admins_are_told(redis: Redis, names: Names) -> None:
    async with stations(redis, names, "r1") as (one,), redis.pubsub() as pubsub:
        await pubsub.subscribe(names.pubsub(ADMINS))
        one.overseer.firing = lambda: 3

        await one.overseer.beat()

        async with asyncio.timeout(5):
            while (heard := await pubsub.get_message(ignore_subscribe_messages=True, timeout=1)) is None:
                pass
    message = orjson.loads(unseal(heard["data"]).envelope.frame)
    assert (message["type"], message["alerts"], message["total_connections"]) == ("stats_update", 3, 2)
    assert set(TEN) | {"at", "rates", "percentiles", "replicas"} <= set(message)
    assert message["replicas"] == [{"replica": "r1", "is_alive": True, **{name: message[name] for name in TEN}}]


async def test_a_dead_replica_is_lost_and_what_it_counted_stays(redis: Redis, names: Names) -> None:
    async with stations(redis, names, "r1", "r2") as (one, dead):
        dead.figures["messages_sent"] = 7
        await dead.overseer.beat()
        await redis.delete(names.stats_turn)
        await one.overseer.beat()
        await redis.zrem(names.replicas, "r2")

        await one.overseer.beat()
        await one.statistics.inherit("r2")
        await one.overseer.beat()

        sent = [(seen.fleet.messages_sent, seen.fleet.total_connections, sorted(seen.lost)) for seen in one.seen]
        assert sent == [(7, 4, []), (7, 2, ["r2"]), (7, 2, ["r2"])]
        ended = [seen.fleet.disconnections for seen in one.seen]
        assert ended == [0, 0, 2], "its connections have ended with it"
        assert one.seen[-1].replicas["r2"].messages_sent == 7, "what it said last"
        assert not one.seen[-1].replicas["r2"].is_ready


async def test_who_was_never_swept_after_is_folded_in_the_end(redis: Redis, names: Names) -> None:
    async with stations(redis, names, "r1", "r2") as (one, dead):
        await one.overseer.beat()
        dead.figures["messages_sent"] = 7
        await dead.overseer.beat()
        await redis.zrem(names.replicas, "r2")

        for _ in range(ABANDONED_BEATS):
            await one.overseer.beat()
        known = await redis.zrange(names.stats_known, 0, -1)
        await one.overseer.beat()
        await one.overseer.beat()

        assert (known, await redis.zrange(names.stats_known, 0, -1)) == ([b"r2", b"r1"], [b"r1"])
        assert {seen.fleet.messages_sent for seen in one.seen[1:]} == {7}


async def test_another_goes_on_when_the_overseer_is_silent(
    redis: Redis, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TURN_SECONDS", 0.2)
    async with stations(redis, names, "r1", "r2") as (first, second):
        await first.overseer.beat()
        async with asyncio.timeout(5):
            while not second.overseer.oversees:
                await second.overseer.beat()
                await asyncio.sleep(0.02)

        await first.overseer.beat()

        assert (first.overseer.oversees, len(first.seen), len(second.seen)) == (False, 1, 1)


async def test_who_ends_lets_another_one_oversee_at_once(redis: Redis, names: Names) -> None:
    async with stations(redis, names, "r1", "r2") as (first, second):
        await first.overseer.beat()
        await first.overseer.end()
        await redis.zrem(names.replicas, "r1")
        await second.overseer.beat()

        assert [seen.fleet.connections_opened for seen in second.seen] == [4]
        assert sorted(second.seen[0].replicas) == ["r2"], "it ended as it should"


async def test_when_redis_has_forgotten_nothing_is_recorded_until_all_have_reported(redis: Redis, names: Names) -> None:
    async with stations(redis, names, "r1", "r2") as (first, second):
        for one in (first, second):
            one.figures["messages_sent"] = 1_000
            await one.overseer.beat()
        keys = [key async for key in redis.scan_iter(f"{names.stats}*")]
        await redis.delete(*keys)
        count = len(first.seen)

        for _ in range(SETTLE_BEATS):
            await first.overseer.beat()
        await second.overseer.beat()
        assert len(first.seen) == count
        await first.overseer.beat()

        assert len(first.seen) == count + 1
        assert first.seen[-1].fleet.messages_sent == 2_000
        assert first.seen[-1].rates["messages_sent"] == 0, "no jump"


async def test_a_watcher_that_fails_keeps_nobody_from_seeing(redis: Redis, names: Names) -> None:
    async def fail(seen: Overview) -> None:
        raise Unavailable("the webhook is away")

    async with stations(redis, names, "r1") as (one,):
        one.overseer.watchers.insert(0, fail)

        await one.overseer.beat()

        assert len(one.seen) == 1


async def test_people_are_counted_while_they_come_and_go_and_otherwise_rarely(redis: Redis, names: Names) -> None:
    async with stations(redis, names, "r1") as (one,):

        async def beat(moves: int) -> int:
            one.figures["@moves"] = moves
            await one.overseer.beat()
            return one.seen[-1].fleet.active_users

        assert await beat(1) == 0
        assert await beat(1) == 0, "counted once more, since Redis may have been behind"
        await redis.sadd(names.online(7), "a")
        assert [await beat(1) for _ in range(RECOUNT_BEATS)] == [0] * RECOUNT_BEATS
        assert await beat(1) == 1
        await redis.sadd(names.online(7), "b")
        assert [await beat(moves) for moves in (1, 2, 2)] == [1, 2, 2]


async def test_rates_are_over_the_last_minute(redis: Redis, names: Names) -> None:
    async with stations(redis, names, "r1") as (one,):
        await one.overseer.beat()
        began = one.seen[0].at
        one.figures["messages_sent"] = 500
        one.figures["action_ms:5"] = 10
        await one.overseer.beat()

        seconds = (one.seen[1].at - began).total_seconds()
        assert one.seen[1].rates["messages_sent"] == pytest.approx(500 / seconds, rel=0.01)
        assert one.seen[1].percentiles["action_ms"]["count"] == 10
