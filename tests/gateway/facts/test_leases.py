"""A replica is alive while its lease is; the dead are swept after once, the living never."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from fairlead.errors import Unavailable
from fairlead.names import Names
from fairlead_gateway.facts import leases as module
from fairlead_gateway.facts.leases import Leases
from tests.gateway.facts.shared import Fact, replicas
from tests.gateway.patience import until, until_asked
from tests.support.proxy import Proxy
from tests.support.redis import Server

LEASE = 0.7
SWEEP = 0.15
SWEPT = "sweeping after a dead replica"


@pytest.fixture(autouse=True)
def quick_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_SECONDS", SWEEP)


@pytest.fixture
def logs() -> Iterator[list[dict[str, object]]]:
    with capture_logs() as entries:
        yield entries  # type: ignore[misc]


def events(logs: list[dict[str, object]], event: str) -> list[dict[str, object]]:
    return [entry for entry in logs if entry["event"] == event]


async def alive(facts: list[Fact]) -> None:
    """All of *facts* live."""
    for fact in facts:
        fact.live()
    await until_asked(lambda: has_leases(facts), what="everybody holds a lease")


async def able_to_judge(facts: list[Fact]) -> None:
    """All of *facts* live, and have held their lease for long enough to judge others."""
    await alive(facts)
    began = time.monotonic()
    await until(lambda: time.monotonic() - began > LEASE * 1.3)


async def has_leases(facts: list[Fact]) -> bool:
    scores = await facts[0].redis.zmscore(facts[0].names.replicas, [fact.replica for fact in facts])
    return None not in scores


async def test_a_dead_replica_is_swept_by_exactly_one_and_its_seats_are_free_in_time(
    redis_url: str, prefix: str, logs: list[dict[str, object]]
) -> None:
    async with replicas(redis_url, prefix, "r1", "r2", "r3", "dead", lease_seconds=LEASE) as (*others, dead):
        await asyncio.gather(*(dead.admit(f"c{n}", f"u{n % 100}", ("session:s1",)) for n in range(300)))
        await able_to_judge([*others, dead])

        await dead.die()
        died_at = time.monotonic()
        await until_asked(lambda: everything_free(others[0]), LEASE + 5, "all seats are free")
        free_after = time.monotonic() - died_at
        began = time.monotonic()
        await until(lambda: time.monotonic() - began > LEASE)

        assert free_after < LEASE + SWEEP * 1.2 + 3
        assert [entry["connections"] for entry in events(logs, SWEPT)] == [300]
        assert not await others[0].redis.exists(others[0].names.replica_conns("dead"))
        assert [dead for fact in others for dead in fact.inherited] == ["dead"]
        kept = await others[0].redis.hgetall(others[0].names.replica("dead"))
        assert (kept[b"swept"], kept[b"version"]) == (b"1", b"test")
        assert await others[0].redis.ttl(others[0].names.replica("dead")) > 0
        assert await others[0].redis.zcard(others[0].names.sweeping) == 0


async def everything_free(fact: Fact) -> bool:
    pipeline = fact.redis.pipeline(transaction=False)
    pipeline.hlen(fact.names.here("session:s1"))
    for number in range(100):
        pipeline.hlen(fact.names.conns(f"u{number}"))
    return not any(await pipeline.execute())


async def test_a_sweeper_that_died_itself_is_followed_by_another(
    redis_url: str, prefix: str, redis: Redis, names: Names
) -> None:
    async with replicas(redis_url, prefix, "r1", "dead", lease_seconds=LEASE) as (fact, dead):
        await dead.admit("c0", "42", ("session:s1",))
        await redis.zadd(names.sweeping, {"dead": 1})

        await alive([fact])

        await until_asked(lambda: is_empty(fact, "42"), what="the seat is free")
        assert await redis.zscore(names.sweeping, "dead") is None


async def is_empty(fact: Fact, user_id: str) -> bool:
    return not await fact.seats_of(user_id)


async def test_what_nobody_of_ours_wrote_does_not_stop_a_sweep(
    redis_url: str, prefix: str, redis: Redis, names: Names
) -> None:
    async with replicas(redis_url, prefix, "r1", "dead", lease_seconds=LEASE) as (fact, dead):
        await redis.hset(names.replica_conns("dead"), mapping={"x": "not json", "y": "[]", "z": '{"user":1}'})
        await dead.admit("c0", "42")
        await redis.zadd(names.replicas, {"dead": 1})

        await alive([fact])

        await until_asked(lambda: is_empty(fact, "42"), what="the seat is free")
        await until_asked(lambda: is_gone(redis, names.replica_conns("dead")), what="the record is gone")


async def is_gone(redis: Redis, key: str) -> bool:
    return not await redis.exists(key)


async def test_a_replica_that_lost_its_lease_writes_its_connections_down_again(
    redis_url: str, prefix: str, redis: Redis, names: Names
) -> None:
    async with replicas(redis_url, prefix, "r1", lease_seconds=LEASE) as (fact,):
        await fact.admit("c0", "42", ("session:s1",))
        await alive([fact])
        before = fact.reseated

        await redis.delete(names.replicas, names.conns("42"), names.replica_conns("r1"), names.here("session:s1"))
        await until(lambda: fact.reseated > before, what="it reseats")

        await until_asked(lambda: fact.is_here("session:s1", "c0"))
        assert await fact.seats_of("42") == {"c0"}
        assert await fact.is_online("42")
        assert await redis.hkeys(names.replica_conns("r1")) == [b"c0"]


async def test_after_redis_forgot_everything_the_seats_come_back(own_server: Server, prefix: str) -> None:
    async with replicas(own_server.url, prefix, "r1", "r2", lease_seconds=LEASE) as facts:
        for n, fact in enumerate(facts):
            await fact.admit(f"c{n}", "42", ("session:s1",))
        await alive(facts)

        await facts[0].redis.flushall()
        await until_asked(lambda: has_both_seats(facts[0]), what="both seats are back")

        members = await facts[0].seats.who_is_in("session:s1")
        assert {member.connection_id for member in members} == {"c0", "c1"}


async def has_both_seats(fact: Fact) -> bool:
    return await fact.seats_of("42") == {"c0", "c1"} and len(await fact.seats.who_is_in("session:s1")) == 2


async def test_a_reseat_that_failed_half_way_is_tried_again(
    redis_url: str, prefix: str, redis: Redis, names: Names
) -> None:
    async with replicas(redis_url, prefix, "r1", lease_seconds=LEASE) as (fact,):
        tries: list[int] = []

        async def reseat(was_swept: bool) -> None:
            tries.append(len(tries))
            if len(tries) < 3:
                raise Unavailable("half way")

        leases = Leases(fact.lane, names, "r1", LEASE, {"version": "test"}, reseat, fact.seats)
        task = asyncio.create_task(leases.run())

        await until(lambda: len(tries) == 3, what="it is tried until it works")
        began = time.monotonic()
        await until(lambda: time.monotonic() - began > LEASE)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert tries == [0, 1, 2]


async def test_nobody_is_swept_because_redis_was_frozen_for_longer_than_a_lease(
    own_server: Server, prefix: str, logs: list[dict[str, object]]
) -> None:
    ids = [f"r{n}" for n in range(6)]
    async with replicas(own_server.url, prefix, *ids, lease_seconds=LEASE) as facts:
        for n, fact in enumerate(facts):
            await fact.admit(f"c{n}", f"u{n}", ("session:s1",))
        await able_to_judge(facts)

        own_server.freeze()
        frozen_at = time.monotonic()
        await until(lambda: time.monotonic() - frozen_at > LEASE * 2)
        own_server.thaw()
        thawed_at = time.monotonic()
        await until(lambda: time.monotonic() - thawed_at > LEASE * 1.6, 10)

        assert events(logs, SWEPT) == []
        assert [await fact.seats_of(f"u{n}") for n, fact in enumerate(facts)] == [{f"c{n}"} for n in range(6)]
        assert len(await facts[0].seats.who_is_in("session:s1")) == 6


async def test_nobody_is_swept_because_redis_was_away_for_longer_than_a_lease(
    prefix: str, logs: list[dict[str, object]]
) -> None:
    with Server("--appendonly", "yes", "--appendfsync", "always") as server:
        async with replicas(server.url, prefix, "r1", "r2", "r3", lease_seconds=LEASE) as facts:
            for n, fact in enumerate(facts):
                await fact.admit(f"c{n}", f"u{n}")
            await able_to_judge(facts)

            server.stop()
            stopped_at = time.monotonic()
            await until(lambda: time.monotonic() - stopped_at > LEASE * 1.5)
            server.start()
            started_at = time.monotonic()
            await until(lambda: time.monotonic() - started_at > LEASE * 2, 10)

            assert events(logs, SWEPT) == []
            assert [await fact.seats_of(f"u{n}") for n, fact in enumerate(facts)] == [{f"c{n}"} for n in range(3)]


async def test_a_replica_that_comes_back_while_it_is_swept_after_waits_and_then_has_all_its_seats(
    redis_url: str, prefix: str, redis: Redis, names: Names
) -> None:
    async with replicas(redis_url, prefix, "r1", "frozen", lease_seconds=LEASE) as (fact, frozen):
        await frozen.admit("c0", "42", ("session:s1",))
        time_now = (await redis.time())[0] * 1000
        await redis.zadd(names.sweeping, {"frozen": time_now + 3_600_000})

        frozen.live()
        began = time.monotonic()
        await until(lambda: time.monotonic() - began > LEASE)
        alive_meanwhile = await redis.zscore(names.replicas, "frozen")
        reseated_meanwhile = frozen.reseated
        await fact.seats.release("c0", "42", ("session:s1",))
        await redis.delete(names.replica_conns("frozen"))
        await redis.zrem(names.sweeping, "frozen")

        await until_asked(lambda: frozen.is_here("session:s1", "c0"), what="it is back")
        assert (alive_meanwhile, reseated_meanwhile) == (None, 0)
        assert await frozen.seats_of("42") == {"c0"}
        assert await redis.hkeys(names.replica_conns("frozen")) == [b"c0"]


async def test_a_replica_that_leaves_gives_its_lease_back(
    redis_url: str, prefix: str, redis: Redis, names: Names
) -> None:
    async with replicas(redis_url, prefix, "r1", lease_seconds=LEASE) as (fact,):
        await alive([fact])
        await fact.die()

        await fact.leases.end()

        assert not await redis.exists(names.replicas, names.replica("r1"), names.replica_conns("r1"))


async def test_a_living_replica_says_who_it_is(redis_url: str, prefix: str, redis: Redis, names: Names) -> None:
    async with replicas(redis_url, prefix, "r1", lease_seconds=LEASE) as (fact,):
        fact.live()

        await until_asked(lambda: redis.hget(names.replica("r1"), "version"))
        assert await redis.hget(names.replica("r1"), "version") == b"test"


async def test_a_renewal_whose_answer_was_lost_may_have_taken_a_new_lease(own_server: Server, names: Names) -> None:
    async with (
        Proxy(own_server.port) as proxy,
        replicas(proxy.url, names.prefix, "r1", lease_seconds=LEASE) as (fact,),
        replicas(own_server.url, names.prefix, "onlooker") as (onlooker,),
    ):
        await fact.admit("c0")
        await alive([fact])
        first = await onlooker.redis.zscore(names.replicas, "r1")
        await until_asked(lambda: is_renewed(onlooker, "r1", first), what="it has settled in, and renewed its lease")
        await fact.die()
        await onlooker.redis.delete(names.replicas, names.conns("42"), names.replica("r1"), names.replica_conns("r1"))

        proxy.cut_answers = 1
        fact.live()

        await until_asked(lambda: has_seats(onlooker, "42", {"c0"}), what="the connection is written down again")
        assert proxy.cut_answers == 0


async def is_renewed(fact: Fact, replica: str, first: float) -> bool:
    return (await fact.redis.zscore(fact.names.replicas, replica) or 0) > first


async def has_seats(fact: Fact, user_id: str, connections: set[str]) -> bool:
    return await fact.seats_of(user_id) == connections
