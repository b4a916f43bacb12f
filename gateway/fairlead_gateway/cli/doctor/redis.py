"""Redis, as a replica would find it: there, every server of it well, and with replicas that have written to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final

from redis.exceptions import RedisError

from fairlead.names import Names
from fairlead.redis.greeting import WrongLayout
from fairlead.redis.outage import unavailable
from fairlead.redis.shards import Shards, open_shards
from fairlead.state.presence import replicas_alive
from fairlead_gateway.cli.doctor.finding import Finding, advice, good, skipped, within, wrong
from fairlead_gateway.cli.doctor.server import LOOKS
from fairlead_gateway.settings import Settings

FAILS: Final = (RedisError, OSError)


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
            for name, check in LOOKS.items():
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
        return await _alive(shards, names)
    finally:
        await shards.aclose()


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


async def _replicas(shards: Shards, names: Names) -> Iterable[Finding]:
    found = sorted(await _alive(shards, names))
    versions = [_text(one) for one in await shards.ask(*(("HGET", names.replica(one), "version") for one in found))]
    facts = {"replicas": dict(zip(found, versions, strict=True)), "prefix": names.prefix}
    if not found:
        todo = "start one: `fairlead serve`, `fairlead dev`; one that runs has another FAIRLEAD_REDIS_URL or _PREFIX"
        return [advice("replicas", f"no replica is alive under the prefix {names.prefix}", todo, **facts)]
    text = f"{len(found)} alive: {', '.join(found)[:200]}"
    if len(set(versions)) > 1:
        todo = "while a fleet is renewed that is as it should be; afterwards, see who was left behind"
        return [advice("replicas", f"{text}; of the versions {', '.join(sorted(set(versions)))}", todo, **facts)]
    return [good("replicas", text, **facts)]


async def _alive(shards: Shards, names: Names) -> frozenset[str]:
    query = replicas_alive(names)
    return query.read(await shards.ask(*query.commands))


def _text(reply: bytes | str | None) -> str:
    return reply.decode(errors="replace") if isinstance(reply, bytes) else reply or "?"
