"""The servers of Redis as operators see them: there or not, which version, how much memory."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from redis.exceptions import RedisError

from fairlead.redis.shards import Shard, Shards


class Server(NamedTuple):
    """One of them."""

    name: str
    """Host, port and database; no credentials."""
    reachable: bool
    version: str = ""
    memory_bytes: int = 0
    max_memory_bytes: int = 0
    """0 for as much as there is."""

    @property
    def memory_percent(self) -> float | None:
        return 100 * self.memory_bytes / self.max_memory_bytes if self.max_memory_bytes else None


async def servers(shards: Shards) -> list[Server]:
    """All of them, asked at the same time; who does not answer is not reachable."""
    return list(await asyncio.gather(*(_asked(shard) for shard in shards)))


async def _asked(shard: Shard) -> Server:
    try:
        server, memory = await asyncio.gather(shard.redis.info("server"), shard.redis.info("memory"))
    except (RedisError, OSError):
        return Server(shard.name, False)
    version = str(server.get("valkey_version") or server.get("redis_version", ""))
    return Server(shard.name, True, version, int(memory.get("used_memory", 0)), int(memory.get("maxmemory", 0)))
