"""What begins and what is over is told once for the fleet, by whichever replica oversees it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from fairlead.format.envelope import unseal
from fairlead.names import ADMINS, Names
from fairlead.publishing.publisher import Publisher
from fairlead.redis.shards import shards_of
from fairlead_gateway.admin.alarm import KEPT, Alarm
from fairlead_gateway.admin.alerts import Depths, limits
from fairlead_gateway.admin.depths import depths
from fairlead_gateway.admin.overview import Figures
from fairlead_gateway.facts.lane import Lane
from fairlead_gateway.facts.statistics import Turn
from fairlead_gateway.sessions.tasks import Tasks
from tests.gateway.admin.test_alerts import overview
from tests.gateway.patience import until_asked

GOOD = {"a-1": Figures(), "b-1": Figures()}
LOST = ("b-1",)
ALL_BUT_B = {"a-1": Figures()}


class Overseer:
    """What one replica sees of the fleet, and the alarm that it raises."""

    def __init__(self, redis: Redis, names: Names, *, has_webhook: bool = False, alerts: tuple[str, ...] = ()) -> None:
        self.lane = Lane(redis)
        self.publisher = Publisher(shards_of(redis), names)
        self.tasks = Tasks()
        self.waiting = Depths()
        self.alarm = Alarm(
            self.lane, names, self.publisher, self.tasks, self._depths, limits(alerts), has_webhook=has_webhook
        )

    async def _depths(self) -> Depths:
        return self.waiting

    async def states(self) -> list[tuple[str, str | None, str]]:
        return [(one["rule"], one["replica"], one["state"]) for one in await self.alarm.alerts()]


@asynccontextmanager
async def overseers(redis: Redis, names: Names, number: int, **options: Any) -> AsyncIterator[list[Overseer]]:
    made = [Overseer(redis, names, **options) for _ in range(number)]
    try:
        yield made
    finally:
        for one in made:
            await one.tasks.end()
            await one.publisher.aclose()
            await one.lane.aclose()


@pytest.fixture
async def heard(redis: Redis, names: Names) -> AsyncIterator[Any]:
    """Reads what admins have been told, so far."""
    pubsub = redis.pubsub()
    await pubsub.subscribe(names.pubsub(ADMINS))
    await pubsub.get_message(timeout=1)

    async def told() -> list[dict[str, Any]]:
        found = []
        while (message := await pubsub.get_message(ignore_subscribe_messages=True, timeout=0.1)) is not None:
            found.append(json.loads(unseal(message["data"]).envelope.frame))
        return found

    yield told
    await pubsub.aclose()


async def test_a_replica_that_is_lost_is_told_once_and_again_when_it_is_back(
    redis: Redis, names: Names, heard: Any
) -> None:
    async with overseers(redis, names, 2) as (one, other):
        await one.alarm.watch(overview(GOOD, at=1000))
        assert await one.states() == []
        for at in (1001, 1002):
            await one.alarm.watch(overview(ALL_BUT_B, LOST, at=at))
        assert one.alarm.firing() == 1
        # The first one has died: the other goes on.
        for at in (1003, 1004):
            await other.alarm.watch(overview(ALL_BUT_B, LOST, at=at))
        assert await other.states() == [("replica_lost", "b-1", "firing")]
        await other.alarm.watch(overview({"a-1": Figures(), "b-2": Figures()}, LOST, at=1010))
        assert await one.states() == [("replica_lost", "b-1", "resolved")] and other.alarm.firing() == 0

        begun, over = [frame["alert"] for frame in await heard()]

    assert begun["id"] == over["id"] and begun["severity"] == "critical"
    assert (begun["state"], begun["since"], begun["until"]) == ("firing", "1970-01-01T00:16:41.000Z", None)
    assert (over["state"], over["until"]) == ("resolved", "1970-01-01T00:16:50.000Z")
    assert "b-1" in begun["message"]


async def test_two_that_take_themselves_for_the_overseer_tell_it_once(redis: Redis, names: Names, heard: Any) -> None:
    async with overseers(redis, names, 2) as both:
        for at in range(1000, 1005):
            for one in both:
                await one.alarm.watch(overview(ALL_BUT_B, LOST, at=at))

        assert [frame["alert"]["state"] for frame in await heard()] == ["firing"]


async def test_how_long_something_holds_is_known_to_the_next_overseer(redis: Redis, names: Names, heard: Any) -> None:
    async with overseers(redis, names, 2, alerts=("error_rate=5/10",)) as (one, other):
        for at in range(1000, 1006):
            await one.alarm.watch(overview(GOOD, at=at, errors=9.0, messages_received=10.0))
        assert await one.states() == []
        for at in range(1006, 1011):
            await other.alarm.watch(overview(GOOD, at=at, errors=9.0, messages_received=10.0))

        assert await one.states() == [("error_rate", None, "firing")]
        assert len(await heard()) == 1


async def test_the_value_is_the_present_one_and_the_worst_is_kept(redis: Redis, names: Names, heard: Any) -> None:
    async with overseers(redis, names, 1, alerts=("error_rate=5/0",)) as (one,):
        for at, errors in ((1000, 42.0), (1005, 60.0), (1010, 10.0)):
            await one.alarm.watch(overview(GOOD, at=at, errors=errors, messages_received=100.0))
        (alert,) = await one.alarm.alerts()
        for at in (1020, 1030):
            await one.alarm.watch(overview(GOOD, at=at, messages_received=100.0))
        (over,) = await one.alarm.alerts()

        told = [frame["alert"] for frame in await heard()]

    assert (alert["value"], alert["worst"], alert["message"][:4]) == (10.0, 60.0, "10 %")
    assert (over["state"], over["value"], over["worst"], over["message"][:4]) == ("resolved", 0.0, 60.0, "0 % ")
    assert [(one["state"], one["value"], one["worst"]) for one in told] == [
        ("firing", 42.0, 42.0),
        ("resolved", 0.0, 60.0),
    ]


async def test_what_was_written_down_without_a_worst_goes_on(redis: Redis, names: Names) -> None:
    watch = b'{"id":"a","since":1000000,"value":1.0,"fired":1000000,"calm":0}'
    await redis.hset(names.alerts, "replica_lost b-1", watch)
    async with overseers(redis, names, 1) as (one,):
        await one.alarm.watch(overview(ALL_BUT_B, LOST, at=1001))
        (alert,) = await one.alarm.alerts()

    assert (alert["id"], alert["value"], alert["worst"]) == ("a", 1.0, 1.0)


@pytest.mark.parametrize("oversees", [True, False], ids=["goes on", "another goes on"])
async def test_what_redis_forgets_while_it_fires_is_over_all_the_same(
    redis: Redis, names: Names, heard: Any, oversees: bool
) -> None:
    async with overseers(redis, names, 2, has_webhook=True) as (one, other):
        await one.alarm.turned(Turn(was_forgotten=False, oversees=True))
        await one.alarm.watch(overview(ALL_BUT_B, LOST, at=1000))
        (begun,) = await one.alarm.alerts()
        await redis.delete(names.alerts, names.alerts_past, *names.deliveries)
        await one.alarm.turned(Turn(was_forgotten=True, oversees=oversees))
        await other.alarm.turned(Turn(was_forgotten=True, oversees=not oversees))

        assert await one.alarm.alerts() == [begun]

        next_one = one if oversees else other
        await next_one.alarm.watch(overview(GOOD, at=1010))
        (over,) = await one.alarm.alerts()

        assert (over["id"], over["state"], over["since"]) == (begun["id"], "resolved", begun["since"])
        assert [frame["alert"]["state"] for frame in await heard()] == ["firing", "resolved"]
        assert await redis.hkeys(names.deliveries[1]) == [f"{begun['id']}:resolved".encode()]


async def test_what_another_has_seen_the_end_of_is_not_written_down_again(redis: Redis, names: Names) -> None:
    async with overseers(redis, names, 2) as (one, other):
        await one.alarm.watch(overview(ALL_BUT_B, LOST, at=1000))
        await one.alarm.turned(Turn(was_forgotten=False, oversees=False))
        await other.alarm.watch(overview(GOOD, at=1010))
        await redis.delete(names.alerts, names.alerts_past)

        await one.alarm.turned(Turn(was_forgotten=True, oversees=True))

        assert await one.alarm.alerts() == []


async def test_what_waits_in_redis_is_looked_up_beside_the_rest(redis: Redis, names: Names) -> None:
    async with overseers(redis, names, 1, alerts=("questions_open=10/0",)) as (one,):
        one.waiting = Depths(questions=11)

        async def is_told() -> bool:
            await one.alarm.watch(overview(GOOD, at=1000))
            return await one.states() == [("questions_open", None, "firing")]

        await until_asked(is_told)


async def test_a_rule_that_is_switched_off_is_over(redis: Redis, names: Names) -> None:
    async with overseers(redis, names, 1) as (one,), overseers(redis, names, 1, alerts=("replica_lost=off",)) as (two,):
        await one.alarm.watch(overview(ALL_BUT_B, LOST, at=1000))
        await two.alarm.watch(overview(ALL_BUT_B, LOST, at=1001))

        assert await two.states() == [("replica_lost", "b-1", "resolved")]


async def test_what_nobody_of_ours_wrote_is_written_anew(redis: Redis, names: Names) -> None:
    for garbage in (b"{", b"[]", b'{"id":1}', b"\xff"):
        await redis.hset(names.alerts, "replica_lost b-1", garbage)
        await redis.hset(names.alerts, b"\xff", garbage)
        async with overseers(redis, names, 1) as (one,):
            await one.alarm.watch(overview(ALL_BUT_B, LOST, at=1000))
            assert await one.states() == [("replica_lost", "b-1", "firing")]
        await redis.delete(names.alerts)


async def test_what_is_over_is_kept_within_bounds(redis: Redis, names: Names) -> None:
    async with overseers(redis, names, 1) as (one,):
        for at in range(KEPT + 5):
            await one.alarm.watch(overview(ALL_BUT_B, (f"lost{at}-1",), at=1000 + at))

        states = await one.states()

    assert [state for *_, state in states] == ["firing", *["resolved"] * KEPT]
    assert [replica for _, replica, _ in states[:3]] == [f"lost{KEPT + 4 - back}-1" for back in range(3)]


@pytest.mark.parametrize("has_webhook", [True, False])
async def test_what_is_to_be_delivered_is_put_down_with_it(redis: Redis, names: Names, has_webhook: bool) -> None:
    due, bodies = names.deliveries
    async with overseers(redis, names, 1, has_webhook=has_webhook) as (one,):
        await one.alarm.watch(overview(ALL_BUT_B, LOST, at=1000))
        await one.alarm.watch(overview(GOOD, at=1020))
        (alert,) = await one.alarm.alerts()

    expected = [f"{alert['id']}:firing", f"{alert['id']}:resolved"] if has_webhook else []
    assert [id.decode() for id in await redis.zrange(due, 0, -1)] == expected
    assert sorted(id.decode() for id in await redis.hkeys(bodies)) == expected


# -- what waits in Redis ----------------------------------------------------------------------------


async def test_depths_are_counted_where_they_are(redis: Redis, names: Names) -> None:
    lane = Lane(redis)
    try:
        assert await depths(lane, names, shards_of(redis)) == Depths(0, 0, 0, {})
        for number in range(5):
            await redis.xadd(names.ingress, {"n": number})
            await redis.xadd(names.inbound, {"n": number})
            await redis.xadd(names.events, {"n": number})
        await redis.xgroup_create(names.inbound, "bot", id="0")
        await redis.xreadgroup("bot", "one", {names.inbound: ">"}, count=2)
        await redis.xgroup_create(names.events, "crm", id="$")
        await redis.zadd(names.asks_due("q1"), {"q1": 1})
        await redis.zadd(names.asks_due("q2"), {"q2": 1})
        await redis.config_set("maxmemory", 1024 * 1024 * 1024)

        found = await depths(lane, names, shards_of(redis))
    finally:
        await redis.config_set("maxmemory", 0)
        await lane.aclose()

    assert found[:3] == (5, 5, 2)
    (percent,) = found.memory.values()
    assert 0 < percent < 100
