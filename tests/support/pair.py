"""A real master with a real replica that follows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from redis.asyncio import Redis

from tests.support.redis import Server

SYNC_SECONDS = 20.0


class Pair(NamedTuple):
    """Two servers, and a client of the first that only looks."""

    master: Server
    replica: Server
    redis: Redis


@asynccontextmanager
async def pair(binary: str) -> AsyncIterator[Pair]:
    """A master and its replica, in step when the block begins."""
    master = Server("--repl-diskless-sync-delay", "0", binary=binary)
    replica = Server("--replicaof", "127.0.0.1", str(master.port), binary=binary)
    with master, replica:
        redis = Redis.from_url(master.url)
        async with asyncio.timeout(SYNC_SECONDS):
            await redis.set("written", "by the master")
            while not await redis.wait(1, 100):
                pass
        yield Pair(master, replica, redis)
        await redis.aclose()
