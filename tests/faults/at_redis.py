"""What happens to Redis, in each of its shapes."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from tests.faults.recorder import now
from tests.faults.stage import Stage
from tests.support.replica import wait_until


async def kill_subscriptions(stage: Stage, times: int = 20) -> None:
    before, began = len(stage.record.published), now()
    for _ in range(times):
        await stage.ground.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await stage.pause(0.02, 0.2)
    reached = (len(stage.record.published) - before) / (now() - began)
    stage.notes.append(f"{reached:.0f} publishes a second acknowledged meanwhile")


async def kill_all_clients(stage: Stage) -> None:
    for _ in range(5):
        for kind in ("normal", "pubsub"):
            await stage.ground.redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        await stage.pause(0.05, 0.3)


async def pause_clients(stage: Stage) -> None:
    for _ in range(3):
        await stage.ground.redis.execute_command("CLIENT", "PAUSE", stage.rng.randrange(200, 600), "ALL")
        await stage.pause(0.7)


async def restart_redis(stage: Stage) -> None:
    stage.ground.server.stop()
    await stage.pause(0.2, 1.0)
    await asyncio.to_thread(stage.ground.server.start)


async def fill_redis(stage: Stage) -> None:
    redis = stage.ground.redis
    used = int((await redis.info("memory"))["used_memory"])
    await redis.config_set("maxmemory", used - 100_000)
    await stage.pause(2)
    await redis.config_set("maxmemory", 0)
    refusals = (await redis.info("errorstats")).get("errorstat_OOM", {"count": 0})["count"]
    assert refusals > 0, "Redis was not full"
    stage.notes.append(f"{refusals} times out of memory")


async def overflow_output_buffer(stage: Stage) -> None:
    """A frozen replica reads nothing, until Redis throws its subscription out."""
    redis = stage.ground.redis
    victim = stage.victim()
    thrown_out = await _thrown_out(redis)
    victim.freeze()
    async with asyncio.timeout(20):
        while await _thrown_out(redis) == thrown_out:
            await redis.publish(stage.ground.names.pubsub("broadcast"), bytes(100_000))
    victim.thaw()


async def _thrown_out(redis: Redis) -> int:
    """How many Redis has hung up on, because they did not read."""
    return int((await redis.info("stats"))["client_output_buffer_limit_disconnections"])


async def kill_master(stage: Stage) -> None:
    sentinels = stage.ground.sentinels
    old = sentinels.master
    old.stop()
    await asyncio.to_thread(wait_until, lambda: sentinels.master is not old, 30, "a replica is promoted")
    stage.healed()
    await stage.pause(2)
    await asyncio.to_thread(old.start)


async def fail_over_twice(stage: Stage) -> None:
    for _ in range(2):
        await asyncio.to_thread(stage.ground.sentinels.failover)
        await stage.pause(1, 4)


async def split_brain(stage: Stage) -> None:
    """The old master is cut off from sentinels and its replicas, and goes on serving whoever has not noticed."""
    sentinels = stage.ground.sentinels
    old = sentinels.master
    sentinels.isolate(old)
    await asyncio.to_thread(wait_until, lambda: sentinels.master is not old, 30, "a replica is promoted")
    await stage.pause(10)
    sentinels.reunite(old)
    await asyncio.to_thread(wait_until, lambda: not sentinels.is_master(old), 30, "the old master is demoted")


async def kill_shard(stage: Stage) -> None:
    cluster, key = stage.ground.cluster, stage.ground.names.pubsub(stage.channels[0])
    old = cluster.owner_of(key)
    old.stop()
    await asyncio.to_thread(wait_until, lambda: cluster.owner_of(key) is not old, 30, "a replica is promoted")
    stage.healed()
    await stage.pause(2)


async def move_slots(stage: Stage) -> None:
    cluster = stage.ground.cluster
    for channel in stage.rng.sample(stage.channels, 5):
        key = stage.ground.names.pubsub(channel)
        target = stage.rng.choice([master for master in cluster.masters if master is not cluster.owner_of(key)])
        await asyncio.to_thread(cluster.move_slot, key, target)
        await stage.pause(0.1, 0.5)
