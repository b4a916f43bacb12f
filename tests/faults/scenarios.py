"""The table of faults: what happens to replicas, to Redis and to what lies between them, and what must hold."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from tests.faults import at_redis, at_replicas, between, forgeries
from tests.faults.light import LightDevice
from tests.faults.stage import Scenario
from tests.support.namespace import DOWN, UP
from tests.support.topologies import Cluster, Sentinels

AOF: Final = ("--appendonly", "yes", "--appendfsync", "always")
SMALL_BUFFER: Final = ("--client-output-buffer-limit", "pubsub", "1mb", "1mb", "1")
FAILOVER: Final[dict[str, Any]] = {"may_break": True, "fails_over": True, "whole_seconds": 10}
GUARDED: Final = partial(Sentinels, "--min-replicas-to-write", "1", "--min-replicas-max-lag", "2")
REPLICATED: Final[dict[str, Any]] = {**FAILOVER, "shape": GUARDED, "durable_replicas": 1}

AT_REPLICAS: Final = (
    Scenario("nothing", "no fault, as a measure", at_replicas.nothing, whole_seconds=1, is_quick=True),
    Scenario("kill replica", "kill -9 one replica, start it again", at_replicas.kill_replica, is_quick=True),
    Scenario(
        "kill under 5000",
        "kill -9 the replica that holds 5,000 devices",
        at_replicas.kill_the_replica_of_all,
        devices=5000,
        sessions=50,
        device=LightDevice,
        all_on_first=True,
        whole_seconds=20,
        after_seconds=3,
    ),
    Scenario("freeze replica", "SIGSTOP for 5 s, then SIGCONT", partial(at_replicas.freeze_replica, seconds=5)),
    Scenario("freeze for long", "SIGSTOP for 30 s", partial(at_replicas.freeze_replica, seconds=30), rate=50),
    Scenario(
        "files exhausted",
        "hundreds connect to a replica that may have 150 files",
        at_replicas.exhaust_files,
        files=150,
        whole_seconds=1,
        all_on_first=True,
    ),
    Scenario("stalled readers", "a third read nothing while 18 MB come", at_replicas.stall_readers),
    Scenario("garbage from clients", "noise, nonsense and ping floods for 3 s", at_replicas.garbage_from_clients),
    Scenario("terminate replica", "SIGTERM, start it again", at_replicas.terminate_replica, is_quick=True),
    Scenario("terminate twice", "SIGTERM, and again after 0.3 s", at_replicas.terminate_twice),
    Scenario("terminate unread", "SIGTERM while half read nothing", at_replicas.terminate_beside_stalled_readers),
    Scenario(
        "roll the fleet",
        "SIGTERM and start, each replica in turn",
        at_replicas.roll_the_fleet,
        settings={"drain_seconds": 5},
    ),
)

AT_REDIS: Final = (
    Scenario(
        "kill subscriptions", "CLIENT KILL TYPE pubsub 20 times", at_redis.kill_subscriptions, rate=1000, is_quick=True
    ),
    Scenario(
        "kill subscriptions at 5000",
        "CLIENT KILL TYPE pubsub 40 times, under 5,000 publishes a second",
        partial(at_redis.kill_subscriptions, times=40),
        rate=5000,
        devices=10,
        sessions=2,
        device=LightDevice,
    ),
    Scenario("kill clients", "all connections to Redis, 5 times", at_redis.kill_all_clients, is_quick=True),
    Scenario("pause clients", "CLIENT PAUSE ALL 3 times", at_redis.pause_clients),
    Scenario("restart redis empty", "kill -9, all is gone", at_redis.restart_redis, may_break=True, is_quick=True),
    Scenario("restart redis with AOF", "kill -9, all is kept", at_redis.restart_redis, redis_options=AOF),
    Scenario("redis full", "maxmemory with noeviction for 2 s", at_redis.fill_redis, may_refuse=True),
    Scenario(
        "overflow output buffer",
        "a frozen replica does not read, and Redis hangs up at 1 MB",
        at_redis.overflow_output_buffer,
        redis_options=SMALL_BUFFER,
        is_quick=True,
    ),
    Scenario("garbage on the backplane", "forged and random messages", forgeries.publish, is_quick=True),
)

AT_SEVERAL: Final = (
    Scenario("kill master", "kill -9, behind sentinels", at_redis.kill_master, shape=Sentinels, **FAILOVER),
    Scenario("fail over twice", "SENTINEL FAILOVER, and again", at_redis.fail_over_twice, shape=Sentinels, **FAILOVER),
    Scenario("split brain", "the old master goes on, cut off", at_redis.split_brain, shape=Sentinels, **FAILOVER),
    Scenario(
        "kill shard",
        "kill -9 a master of a cluster",
        at_redis.kill_shard,
        shape=partial(Cluster, replicas=1),
        **FAILOVER,
    ),
    Scenario("kill master replicated", "where a replica must confirm", at_redis.kill_master, **REPLICATED),
    Scenario(
        "fail over replicated",
        "where both replicas must confirm, since a living master may be left for either",
        at_redis.fail_over_twice,
        **{**REPLICATED, "durable_replicas": 2},
    ),
    Scenario("split brain replicated", "likewise", at_redis.split_brain, **REPLICATED),
    Scenario("move slots", "slots of five channels move to other shards", at_redis.move_slots, shape=Cluster),
)

BETWEEN: Final = (
    Scenario(
        "reload nginx",
        "20 times, with its old workers ended after 1 s",
        between.reload_nginx,
        replicas=3,
        is_proxied=True,
    ),
    Scenario("cut cables", "10 TCP resets", between.cut_cables, is_cabled=True, is_quick=True),
    Scenario("slow cables", "50-200 ms each way", between.slow_cables, is_cabled=True, rate=50),
    Scenario("block cable", "silence for 8 s", partial(between.block_cable, ways=(UP, DOWN)), is_cabled=True),
    Scenario("block up", "Redis hears nothing", partial(between.block_cable, ways=(UP,)), is_cabled=True),
    Scenario("block down", "Redis is not heard", partial(between.block_cable, ways=(DOWN,)), is_cabled=True),
    Scenario("drop 10 s", "every packet", partial(between.drop_packets, seconds=10), is_apart=True),
    Scenario("lose packets", "one of 20 each way, for 15 s", partial(between.lose_packets, seconds=15), is_apart=True),
    Scenario("drop 60 s", "every packet", partial(between.drop_packets, seconds=60), is_apart=True, rate=50),
    Scenario("drop up", "packets to Redis", partial(between.drop_packets, seconds=10, ways=(UP,)), is_apart=True),
    Scenario("drop down", "packets from Redis", partial(between.drop_packets, seconds=10, ways=(DOWN,)), is_apart=True),
)

SCENARIOS: Final = (*AT_REPLICAS, *AT_REDIS, *AT_SEVERAL, *BETWEEN)
"""Every fault; the quick ones run with the other tests."""
