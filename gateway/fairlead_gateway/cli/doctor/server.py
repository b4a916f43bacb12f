"""One server of Redis: fit to be used, and delivering."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Final, TypeAlias
from uuid import uuid4

from fairlead.names import Names
from fairlead.redis.shards import Shard, Shards
from fairlead_gateway.cli.doctor.finding import Finding, advice, good, wrong
from fairlead_gateway.cli.doctor.rights import needed, refused
from fairlead_gateway.settings import Settings

OLDEST: Final = (6, 2)
MODERN: Final = (7, 0)

APART_SECONDS: Final = 1.0
"""How far two clocks may be apart before anybody should know."""
FAR_APART_SECONDS: Final = 30.0

MANY_PERCENT: Final = 80

Look: TypeAlias = Callable[[Shards, Shard, Names, Settings], Awaitable[Iterable[Finding]]]


async def _version(shards: Shards, shard: Shard, names: Names, settings: Settings) -> Iterable[Finding]:
    info = await shard.redis.info("server")
    kind = "Valkey" if "valkey_version" in info else "Redis"
    text = str(info.get("valkey_version") or info.get("redis_version", "?"))
    understood = tuple(int(part) for part in str(info.get("redis_version", "0")).split(".")[:2] if part.isdigit())
    facts = {"server": shard.name, "kind": kind, "version": text}
    if understood < OLDEST:
        return [
            wrong("server", f"{kind} {text} at {shard.name}", "Fairlead needs Redis 6.2 or later, or Valkey", **facts)
        ]
    if understood < MODERN:
        todo = "it works; Redis 7 or Valkey has sharded pub/sub, and rights for channels in scripts"
        return [advice("server", f"{kind} {text} at {shard.name}", todo, **facts)]
    return [good("server", f"{kind} {text} at {shard.name}", **facts)]


async def _memory(shards: Shards, shard: Shard, names: Names, settings: Settings) -> Iterable[Finding]:
    info = await shard.redis.info("memory")
    most, used, policy = (info.get(name, 0) for name in ("maxmemory", "used_memory", "maxmemory_policy"))
    facts = {"server": shard.name, "maxmemory": most, "used_memory": used, "policy": policy}
    if policy not in ("noeviction", 0) and most:
        todo = "set maxmemory-policy noeviction: what is thrown away is places of clients, seats and questions"
        return [wrong("eviction", f"{shard.name} throws keys away when it is full ({policy})", todo, **facts)]
    if policy not in ("noeviction", 0):
        todo = "set maxmemory-policy noeviction before you set maxmemory"
        return [advice("eviction", f"{shard.name} would throw keys away, had it a maxmemory ({policy})", todo, **facts)]
    if most and 100 * used >= MANY_PERCENT * most:
        todo = "give it more memory: full, it takes no message more"
        return [advice("eviction", f"{shard.name} uses {100 * used // most} % of its maxmemory", todo, **facts)]
    limit = f"{most // 2**20} MB" if most else "none"
    return [good("eviction", f"nothing is evicted; maxmemory {limit}", **facts)]


async def _persistence(shards: Shards, shard: Shard, names: Names, settings: Settings) -> Iterable[Finding]:
    info = await shard.redis.info("persistence")
    has_aof = bool(info.get("aof_enabled"))
    failed = [name for name in ("rdb_last_bgsave_status", "aof_last_write_status") if info.get(name, "ok") != "ok"]
    facts = {"server": shard.name, "aof": has_aof, "failed": failed}
    if failed:
        todo = "look at the log and the disk of Redis; it may take no writes (stop-writes-on-bgsave-error)"
        return [wrong("persistence", f"{shard.name} could not save: {', '.join(failed)}", todo, **facts)]
    if not has_aof:
        todo = (
            "after a restart clients are told that history is gone; appendonly yes keeps it. "
            "For trying things out this is fine"
        )
        return [advice("persistence", f"{shard.name} has no append-only file", todo, **facts)]
    return [good("persistence", f"{shard.name} has an append-only file", **facts)]


async def _role(shards: Shards, shard: Shard, names: Names, settings: Settings) -> Iterable[Finding]:
    info = await shard.redis.info("replication")
    role, copies = info.get("role"), int(info.get("connected_slaves", 0))
    facts = {"server": shard.name, "role": role, "replicas": copies, "wanted": settings.durable_replicas}
    if role != "master":
        todo = "name its master in FAIRLEAD_REDIS_URL, or Sentinels: redis+sentinel://h1:26379,h2:26379/service/0"
        return [wrong("role", f"{shard.name} is a replica, and takes no writes", todo, **facts)]
    if copies < settings.durable_replicas:
        todo = "durable messages will not be confirmed: start replicas of Redis, or lower FAIRLEAD_DURABLE_REPLICAS"
        text = f"{shard.name} has {copies} replicas, FAIRLEAD_DURABLE_REPLICAS={settings.durable_replicas}"
        return [wrong("role", text, todo, **facts)]
    return [good("role", f"{shard.name} is a master with {copies} replicas", **facts)]


async def _clients(shards: Shards, shard: Shard, names: Names, settings: Settings) -> Iterable[Finding]:
    info = await shard.redis.info("clients")
    now, most = int(info.get("connected_clients", 0)), int(info.get("maxclients", 0))
    facts = {"server": shard.name, "clients": now, "maxclients": most}
    if most and 100 * now >= MANY_PERCENT * most:
        return [advice("clients", f"{shard.name} has {now} clients of {most}", "raise maxclients of Redis", **facts)]
    return [good("clients", f"{shard.name} has {now} clients of {most or 'any number'}", **facts)]


async def _rights(shards: Shards, shard: Shard, names: Names, settings: Settings) -> Iterable[Finding]:
    partition = next(iter(_partitions(shards, shard)), None)
    key = names.probe(f"doctor-{uuid4().hex[:12]}", partition)
    lacking = await refused(shard, key)
    user = shard.url.partition("://")[2].rpartition("@")[0].partition(":")[0] or "default"
    facts = {"server": shard.name, "user": user, "lacking": lacking}
    if lacking:
        todo = (
            f"give it +{' +'.join(lacking)} on ~{settings.prefix}:*, as deploy/redis-acl.conf does for `user gateway`"
        )
        return [wrong("rights", f"the user {user} of {shard.name} may not do all that a replica does", todo, **facts)]
    return [good("rights", f"the user {user} may do all {len(needed())} commands that a replica needs", **facts)]


async def _pubsub(shards: Shards, shard: Shard, names: Names, settings: Settings) -> Iterable[Finding]:
    """Say something, and hear it over a second connection."""
    partition = next(iter(_partitions(shards, shard)), None)
    channel = names.probe(f"doctor-{uuid4().hex[:12]}", partition)
    kind = "S" if shards.is_sharded else ""
    ear, mouth = await shard.connect(), await shard.connect()
    try:
        await ear.send_packed_command(ear.pack_commands([(f"{kind}SUBSCRIBE", channel)]), check_health=False)
        await ear.read_response()
        began = time.perf_counter()
        await mouth.send_packed_command(
            mouth.pack_commands([(f"{kind}PUBLISH", channel, "doctor")]), check_health=False
        )
        heard = await ear.read_response()
        ms = (time.perf_counter() - began) * 1000
    finally:
        await asyncio.gather(ear.disconnect(), mouth.disconnect())
    facts = {"server": shard.name, "ms": round(ms, 2)}
    if heard[-1] not in (b"doctor", "doctor"):
        todo = "is there a proxy before Redis that does not know pub/sub? Replicas need a connection to Redis itself"
        return [wrong("pubsub", f"what is said at {shard.name} is not what is heard", todo, **facts)]
    return [good("pubsub", f"what is published at {shard.name} is heard after {ms:.2f} ms", **facts)]


async def _clock(shards: Shards, shard: Shard, names: Names, settings: Settings) -> Iterable[Finding]:
    began = time.time()
    seconds, micros = await shard.redis.time()
    apart = seconds + micros / 1e6 - (began + time.time()) / 2
    facts = {"server": shard.name, "seconds": round(apart, 3)}
    if abs(apart) < APART_SECONDS:
        return [good("clock", f"this clock and that of {shard.name} are {abs(apart) * 1000:.0f} ms apart", **facts)]
    where = "ahead of" if apart > 0 else "behind"
    text = f"the clock of {shard.name} is {abs(apart):.1f} s {where} this one"
    todo = "let both follow the same time (NTP, chrony): tokens end, and deadlines are shown, by the clock of each"
    return [(wrong if abs(apart) > FAR_APART_SECONDS else advice)("clock", text, todo, **facts)]


def _partitions(shards: Shards, shard: Shard) -> Iterator[int]:
    """Those that a node of a cluster has."""
    if shards.is_sharded:
        yield from (partition for partition, owner in enumerate(shards.partitions) if owner is shard)


LOOKS: Final[Mapping[str, Look]] = {
    "server": _version,
    "role": _role,
    "eviction": _memory,
    "persistence": _persistence,
    "clients": _clients,
    "rights": _rights,
    "pubsub": _pubsub,
    "clock": _clock,
}
"""What is looked at, by the word for it."""
