"""The table of faults: what happens to replicas, to Redis and to what lies between them, and what must hold."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from random import Random
from typing import Any, Final

from msgpack import packb
from redis.asyncio import Redis

from fairlead.envelope import Envelope
from fairlead.names import partition_of
from tests.faults.ground import Ground
from tests.faults.light import LightDevice
from tests.faults.recorder import now
from tests.faults.stage import Scenario, Stage
from tests.support.cable import Cable
from tests.support.namespace import DOWN, UP
from tests.support.replica import Replica, wait_until
from tests.support.topologies import Cluster, Sentinels


async def nothing(stage: Stage) -> None:
    """As a measure for the others."""


async def kill_replica(stage: Stage) -> None:
    victim = stage.victim()
    victim.kill()
    stage.healed()
    await stage.pause(0.2, 1.0)
    await _started(victim)


async def kill_the_replica_of_all(stage: Stage) -> None:
    """Thousands come to the other replica at once."""
    first, second = stage.ground.fleet
    redis, began = stage.ground.redis, now()
    before = await _cpu(redis)
    stage.spare(first)
    stage.ground.doors = [second]
    first.kill()
    stage.healed()
    for device in stage.devices:
        device.standing.clear()
    async with asyncio.timeout(60):
        for device in stage.devices:
            await device.standing.wait()
    stage.notes.append(
        f"all back after {now() - began:.1f} s; CPU of Redis meanwhile {await _cpu(redis) - before:.2f} s"
    )


async def _cpu(redis: Redis) -> float:
    """Seconds of CPU that Redis has used."""
    info = await redis.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


async def freeze_replica(stage: Stage) -> None:
    await _frozen(stage, 5)


async def freeze_for_long(stage: Stage) -> None:
    await _frozen(stage, 30)


async def _frozen(stage: Stage, seconds: float) -> None:
    victim = stage.victim()
    victim.freeze()
    await stage.pause(seconds)
    victim.thaw()


async def kill_subscriptions(stage: Stage) -> None:
    for _ in range(20):
        await stage.ground.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await stage.pause(0.02, 0.2)


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


async def cut_cables(stage: Stage) -> None:
    for _ in range(10):
        stage.rng.choice(stage.ground.cables).cut()
        await stage.pause(0.05, 0.3)


async def block_both_ways(stage: Stage) -> None:
    await _blocked(stage, lambda cable: cable.block())


async def block_down(stage: Stage) -> None:
    await _blocked(stage, lambda cable: cable.down.block())


async def block_up(stage: Stage) -> None:
    await _blocked(stage, lambda cable: cable.up.block())


async def _blocked(stage: Stage, block: Callable[[Cable], None], seconds: float = 8.0) -> None:
    replica, cable = stage.rng.choice(list(zip(stage.ground.fleet, stage.ground.cables, strict=True)))
    block(cable)
    await stage.pause(seconds)
    stage.blinded(replica, seconds)
    cable.clear()


async def drop_for_a_while(stage: Stage) -> None:
    await _partitioned(stage, 10)


async def drop_for_long(stage: Stage) -> None:
    await _partitioned(stage, 60)


async def drop_on_the_way_up(stage: Stage) -> None:
    await _partitioned(stage, 10, UP)


async def drop_on_the_way_down(stage: Stage) -> None:
    await _partitioned(stage, 10, DOWN)


async def _partitioned(stage: Stage, seconds: float, *ways: str) -> None:
    namespace, replica = stage.ground.namespace, stage.ground.fleet[0]
    assert namespace is not None
    namespace.drop(stage.ground.server.port, *ways)
    await stage.pause(seconds)
    stage.blinded(replica, seconds)
    namespace.clear()


async def slow_cables(stage: Stage) -> None:
    for cable in stage.ground.cables:
        cable.up.delay_seconds = cable.down.delay_seconds = stage.rng.uniform(0.05, 0.2)
    await stage.pause(3)
    for cable in stage.ground.cables:
        cable.clear()


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


async def garbage_on_the_backplane(stage: Stage) -> None:
    """Random bytes, and envelopes with positions that the log never gave."""
    for _ in range(200):
        channel = stage.rng.choice(stage.channels)
        forged = stage.rng.choice((_noise, _cut_short, _from_the_future, _from_elsewhere))
        data = forged(stage.rng, await _epoch(stage.ground, channel))
        await stage.ground.redis.publish(stage.ground.names.pubsub(channel), data)
        await stage.pause(0.005)


_FORGED: Final = Envelope("forged", "forged", b'{"type":"forged","id":"forged"}')


def _noise(rng: Random, epoch: str) -> bytes:
    return rng.randbytes(rng.randrange(1, 60))


def _cut_short(rng: Random, epoch: str) -> bytes:
    return _at(1, epoch)[: rng.randrange(1, 30)]


def _from_the_future(rng: Random, epoch: str) -> bytes:
    return _at(rng.randrange(1 << 20, 1 << 40), epoch)


def _from_elsewhere(rng: Random, epoch: str) -> bytes:
    return _at(rng.randrange(1, 50), "feed.beef")


def _at(offset: int, epoch: str) -> bytes:
    """A forged message with a position in front, as only the publish script may write it."""
    return b"\x93" + packb(offset) + packb(epoch) + _FORGED.seal()


async def _epoch(ground: Ground, channel: str) -> str:
    """The epoch that is good now."""
    epoch = await ground.redis.hget(ground.names.meta(channel), "e")
    term = await ground.redis.get(ground.names.term(partition_of(channel)))
    return f"{(epoch or b'').decode()}.{(term or b'0').decode()}"


async def fill_redis(stage: Stage) -> None:
    redis = stage.ground.redis
    used = int((await redis.info("memory"))["used_memory"])
    await redis.config_set("maxmemory", used - 100_000)
    await stage.pause(2)
    await redis.config_set("maxmemory", 0)


async def stall_readers(stage: Stage) -> None:
    """Some read nothing, until they are so far behind that they are closed; then they come back."""
    stalled = stage.devices[:: max(1, len(stage.devices) // 3)]
    for device in stalled:
        device.stall()
    for number in range(300):
        await stage.ground.backend.broadcast({"type": "filler", "content": "x" * 60_000, "n": number})
    stage.healed()
    await stage.pause(1)
    for device in stalled:
        device.resume()


async def terminate_replica(stage: Stage) -> None:
    victim = stage.victim()
    stage.healed()
    await asyncio.to_thread(victim.stop)
    await _started(victim)


async def terminate_twice(stage: Stage) -> None:
    victim = stage.victim()
    stage.healed()
    for _ in range(2):
        os.kill(victim.pid, signal.SIGTERM)
        await stage.pause(0.3)
    await asyncio.to_thread(victim.stop)
    await _started(victim)


async def terminate_beside_stalled_readers(stage: Stage) -> None:
    for device in stage.devices[::2]:
        device.stall()
    await terminate_replica(stage)
    for device in stage.devices[::2]:
        device.resume()


async def roll_the_fleet(stage: Stage) -> None:
    """Every replica in turn, as a deployment does."""
    stage.healed()
    for replica in stage.ground.fleet:
        stage.spare(replica)
        await asyncio.to_thread(replica.stop)
        await _started(replica)


async def _started(replica: Replica) -> None:
    replica.launch()
    await asyncio.to_thread(replica.wait_ready)


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


SLOW_DRAIN: Final[dict[str, object]] = {"drain_seconds": 5}
AOF: Final = ("--appendonly", "yes", "--appendfsync", "always")
FAILOVER: Final[dict[str, Any]] = {"may_break": True, "may_lose_with_master": True, "whole_seconds": 10}
SMALL_BUFFER: Final = ("--client-output-buffer-limit", "pubsub", "1mb", "1mb", "1")

SCENARIOS: Final = (
    Scenario("nothing", "no fault, as a measure", nothing, whole_seconds=1, is_quick=True),
    Scenario("kill replica", "kill -9 one replica, start it again", kill_replica, is_quick=True),
    Scenario(
        "kill under 5000",
        "kill -9 the replica that holds 5,000 devices",
        kill_the_replica_of_all,
        devices=5000,
        sessions=50,
        device=LightDevice,
        all_on_first=True,
        whole_seconds=20,
        # The question whether it lives stands in the queue behind thousands of newcomers.
        answer_seconds=10,
        after_seconds=3,
    ),
    Scenario("freeze replica", "SIGSTOP for 5 s, then SIGCONT", freeze_replica),
    Scenario("freeze for long", "SIGSTOP for 30 s, then SIGCONT", freeze_for_long, rate=50),
    Scenario("kill subscriptions", "CLIENT KILL TYPE pubsub 20 times", kill_subscriptions, rate=1000, is_quick=True),
    Scenario("kill clients", "all connections to Redis are killed 5 times", kill_all_clients, is_quick=True),
    Scenario("pause clients", "CLIENT PAUSE ALL 3 times", pause_clients),
    Scenario("restart redis empty", "kill -9, all is gone", restart_redis, may_break=True, is_quick=True),
    Scenario("restart redis with AOF", "kill -9, all is kept", restart_redis, redis_options=AOF),
    Scenario("cut cables", "10 TCP resets between replicas and Redis", cut_cables, is_cabled=True, is_quick=True),
    Scenario("block both ways", "a replica hears nothing of Redis for 8 s", block_both_ways, is_cabled=True),
    Scenario("block down", "Redis is not heard for 8 s, and hears", block_down, is_cabled=True),
    Scenario("block up", "Redis hears nothing for 8 s, and is heard", block_up, is_cabled=True),
    Scenario("drop 10 s", "all packets between a replica and Redis are dropped", drop_for_a_while, is_apart=True),
    Scenario("drop 60 s", "all packets, for a minute", drop_for_long, is_apart=True, rate=50),
    Scenario("drop up", "packets to Redis are dropped for 10 s", drop_on_the_way_up, is_apart=True),
    Scenario("drop down", "packets from Redis are dropped for 10 s", drop_on_the_way_down, is_apart=True),
    Scenario("slow cables", "50-200 ms each way", slow_cables, is_cabled=True, rate=50),
    Scenario(
        "overflow output buffer",
        "a frozen replica does not read, and Redis hangs up at 1 MB",
        overflow_output_buffer,
        redis_options=SMALL_BUFFER,
        is_quick=True,
    ),
    Scenario("garbage on the backplane", "forged and random messages", garbage_on_the_backplane, is_quick=True),
    Scenario("redis full", "maxmemory with noeviction for 2 s", fill_redis, may_refuse=True),
    Scenario("stalled readers", "a third read nothing while 18 MB come", stall_readers),
    Scenario("terminate replica", "SIGTERM under load, start it again", terminate_replica, is_quick=True),
    Scenario("terminate twice", "SIGTERM, and again after 0.3 s", terminate_twice),
    Scenario(
        "terminate beside readers", "SIGTERM while half of the devices read nothing", terminate_beside_stalled_readers
    ),
    Scenario("roll the fleet", "SIGTERM and start, each replica in turn", roll_the_fleet, settings=SLOW_DRAIN),
    Scenario("kill master", "kill -9 the master behind sentinels", kill_master, shape=Sentinels, **FAILOVER),
    Scenario("fail over twice", "SENTINEL FAILOVER, and again", fail_over_twice, shape=Sentinels, **FAILOVER),
    Scenario("kill shard", "kill -9 a master of a cluster", kill_shard, shape=lambda: Cluster(replicas=1), **FAILOVER),
    Scenario("move slots", "slots of five channels move to other shards", move_slots, shape=Cluster),
)
"""Every fault; the quick ones run with the other tests."""
