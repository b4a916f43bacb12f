"""Redis, as a replica would find it: there, fit for it, and delivering."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final
from uuid import uuid4

from redis.exceptions import RedisError

from fairlead.names import Names
from fairlead.presence import replicas_alive
from fairlead.redis.greeting import WrongLayout
from fairlead.redis.outage import unavailable
from fairlead.redis.shards import Shard, Shards, open_shards
from fairlead_gateway.cli.doctor.finding import Finding, advice, good, skipped, within, wrong
from fairlead_gateway.cli.doctor.rights import needed, refused
from fairlead_gateway.settings import Settings

FAILS: Final = (RedisError, OSError)

OLDEST: Final = (6, 2)
MODERN: Final = (7, 0)

APART_SECONDS: Final = 1.0
"""How far two clocks may be apart before anybody should know."""
FAR_APART_SECONDS: Final = 30.0

MANY_PERCENT: Final = 80


async def redis_findings(settings: Settings, address: str, seconds: float) -> list[Finding]:
    """All of the servers at *address*, which is without its password."""
    names = Names(settings.prefix)
    url = settings.redis_url.get_secret_value()
    try:
        shards = open_shards(url, names, client_name="fairlead-doctor", answer_seconds=seconds)
    except ValueError as error:
        return [wrong("redis", "FAIRLEAD_REDIS_URL is no address that we know", f"it is {error}")]
    try:
        found = await within(seconds, "redis", partial(_reached, shards, address), ())
        if any(one.verdict == "wrong" for one in found):
            return [*found, skipped("pubsub", "Redis cannot be used")]
        for shard in shards:
            for name, check in _CHECKS.items():
                found += await within(seconds, name, partial(check, shards, shard, names, settings), FAILS)
        found += await within(seconds, "replicas", partial(_replicas, shards, names), FAILS)
        return found
    finally:
        await shards.aclose()


async def alive(settings: Settings) -> frozenset[str]:
    """
    Replicas that Redis knows to be alive.

    :raises RedisError: or ``OSError``: it cannot be reached.
    """
    names = Names(settings.prefix)
    shards = open_shards(settings.redis_url.get_secret_value(), names, client_name="fairlead-doctor")
    try:
        query = replicas_alive(names)
        return query.read(await shards.ask(*query.commands))
    finally:
        await shards.aclose()


# -- is it there -------------------------------------------------------------------------------------------------------


async def _reached(shards: Shards, address: str) -> list[Finding]:
    try:
        await shards.refresh()
        began = time.perf_counter()
        servers = list(shards)
        if not servers:
            raise ConnectionError(f"no node of the cluster at {address} answers")
        await asyncio.gather(*(shard.redis.ping() for shard in servers))
    except FAILS as error:
        return [_away(address, error)]
    ms = (time.perf_counter() - began) * 1000
    names = ", ".join(shard.name for shard in servers)
    return [good("redis", f"{address} answers in {ms:.1f} ms", address=address, servers=names, ms=round(ms, 2))]


def _away(address: str, error: Exception) -> Finding:
    """Why Redis at *address* cannot be used, in words."""
    reason = unavailable(error).message.removesuffix("; try again")
    facts = {"address": address, "error": str(error)[:300]}
    if isinstance(error, WrongLayout):
        return wrong(
            "redis", f"{address}: {error}", "take another FAIRLEAD_PREFIX, or empty what is under this", **facts
        )
    for words, todo in _REASONS.items():
        if words in f"{type(error).__name__} {error}":
            return wrong("redis", f"{address}: {reason} ({str(error)[:200]})", todo, **facts)
    todo = "start it, or set FAIRLEAD_REDIS_URL to where it is; `fairlead dev` brings one along"
    return wrong("redis", f"{address}: {reason} ({str(error)[:200] or type(error).__name__})", todo, **facts)


_REASONS: Final[Mapping[str, str]] = {
    "Authentication required": "give FAIRLEAD_REDIS_URL a password: redis://:PASSWORD@host:6379/0, or user:PASSWORD",
    "WRONGPASS": "user or password in FAIRLEAD_REDIS_URL are not those of this Redis; %-encode signs such as @ and /",
    "invalid username-password": "user or password in FAIRLEAD_REDIS_URL are not those of this Redis",
    "AuthenticationError": "user or password in FAIRLEAD_REDIS_URL are not those of this Redis, or it wants none",
    "NOPERM": "give the user the rights of `user gateway` in deploy/redis-acl.conf, with your prefix",
    "No permissions": "give the user the rights of `user gateway` in deploy/redis-acl.conf, with your prefix",
    "CERTIFICATE": "name who signed it, with ?ssl_ca_certs=/etc/ca.pem, and the host as in the certificate",
    "SSL": "does it speak TLS there? rediss:// is with TLS, redis:// without",
    "ReadOnlyError": "this is a replica of Redis: name its master, or Sentinels (redis+sentinel://…)",
    "Name or service not known": "the host name in FAIRLEAD_REDIS_URL is known to nobody here",
    "MISCONF": "Redis cannot save to its disk and takes no writes: look at its log and its disk",
}
"""What to do, by words in the error."""


# -- is it fit for it --------------------------------------------------------------------------------------------------


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


# -- does it deliver ---------------------------------------------------------------------------------------------------


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


async def _replicas(shards: Shards, names: Names) -> Iterable[Finding]:
    query = replicas_alive(names)
    found = sorted(query.read(await shards.ask(*query.commands)))
    facts = {"replicas": found, "prefix": names.prefix}
    if not found:
        todo = "start one: `fairlead serve`, `fairlead dev`; one that runs has another FAIRLEAD_REDIS_URL or _PREFIX"
        return [advice("replicas", f"no replica is alive under the prefix {names.prefix}", todo, **facts)]
    return [good("replicas", f"{len(found)} alive: {', '.join(found)[:200]}", **facts)]


def _partitions(shards: Shards, shard: Shard) -> Iterator[int]:
    """Those that a node of a cluster has."""
    if shards.is_sharded:
        yield from (partition for partition, owner in enumerate(shards.partitions) if owner is shard)


_CHECKS: Final[Mapping[str, Any]] = {
    "server": _version,
    "role": _role,
    "eviction": _memory,
    "persistence": _persistence,
    "clients": _clients,
    "rights": _rights,
    "pubsub": _pubsub,
    "clock": _clock,
}
